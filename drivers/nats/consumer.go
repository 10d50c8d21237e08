package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxPull is how many messages are asked for at once, and pullExpires for
	// how long the server waits for them.
	maxPull     = 500
	pullExpires = 30 * time.Second
	// idleConsumer is after how long the server forgets a consumer that nobody
	// asks for messages.
	idleConsumer = 30 * time.Second
)

// position is up to where a stream was received. What lies before it, of the
// subjects that were selected, was received, or its loss told.
type position struct {
	created time.Time // of the stream; zero: no position yet
	seq     uint64
}

// consumer follows the stream on one session, or until something is wrong with
// it. Then the next one goes on from where it came to.
type consumer struct {
	sub     *streamSubscriber
	session *session
	at      *position
	backoff *backoff.Backoff

	config jetstream.ConsumerConfig
	// clustered: a change that is on its way among servers while one of them
	// fails is not to be relied on, so each makes a new consumer.
	clustered bool
	filters   uint64 // which change of the filters it has
	given     uint64 // messages of it that came
	pull      uint64 // the number of the last request
	left      int    // how many messages may still come for it; 0: it is over
	behind    bool   // it did not ask for a while, so the stream may have dropped what is next
}

var errConsumer = errors.New("the consumer is gone")

// follow receives until something is wrong.
func (c *consumer) follow(ctx context.Context) error {
	subjects, wanted := c.sub.filters()
	for len(subjects) == 0 {
		*c.at = position{} // what comes next begins from then on
		c.sub.applied(wanted)
		select {
		case <-c.sub.edited:
		case <-c.session.lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		}
		subjects, wanted = c.sub.filters()
	}
	if err := c.create(ctx, subjects); err != nil {
		return err
	}
	defer c.remove()
	c.filters = wanted
	c.sub.applied(wanted)
	alive := time.NewTimer(c.patience())
	defer alive.Stop()
	for {
		if err := c.ask(); err != nil {
			return err
		}
		select {
		case m := <-c.session.acks:
			if err := c.take(ctx, m); err != nil {
				return err
			}
			alive.Reset(c.patience())
		case <-c.sub.edited:
			// A sign of life is only what comes of what was asked for.
			if again, err := c.refilter(ctx); err != nil || again {
				return err
			}
		case <-c.sub.inbox.space:
		case <-alive.C:
			if c.left > 0 {
				return errors.New("the consumer gives no sign of life")
			}
			alive.Reset(c.patience())
		case <-c.session.lost:
			return errLost
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// patience is for how long a consumer that was asked may stay silent.
func (c *consumer) patience() time.Duration {
	return c.sub.settings.cfg.HeartbeatTimeout + c.heartbeat()
}

func (c *consumer) heartbeat() time.Duration {
	return min(max(c.sub.settings.cfg.HeartbeatInterval, 100*time.Millisecond), pullExpires/3)
}

// create makes a consumer that begins behind the position. Where the stream
// doesn't have what comes next any more, that is told.
func (c *consumer) create(ctx context.Context, subjects []string) error {
	st := c.sub.store
	info, err := st.ensure(ctx, c.session)
	if err != nil {
		return err
	}
	created, at := info.Created, c.at
	c.clustered = info.Cluster != nil && len(info.Cluster.Replicas) > 0
	switch {
	case at.created.IsZero():
		*at = position{created, info.State.LastSeq} // from now on
	case !at.created.Equal(created) || info.State.LastSeq < at.seq:
		// Another stream, or one that has lost its end. What it has by now is
		// older than what is told here.
		*at = position{created, info.State.LastSeq}
		c.sub.begun(0)
		c.sub.tell(nil, driver.Gap)
	}
	c.sub.fresh(info.State.LastSeq)
	c.config = jetstream.ConsumerConfig{
		Name: "wyvern-" + client.NewInbox()[len("_INBOX."):], DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq: at.seq + 1, AckPolicy: jetstream.AckNonePolicy, ReplayPolicy: jetstream.ReplayInstantPolicy,
		InactiveThreshold: idleConsumer, MemoryStorage: true, Replicas: 1,
	}
	c.setFilters(subjects)
	err = st.call(ctx, c.session, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateConsumer(ctx, st.settings.stream.name, c.config)
		return err
	})
	if err != nil {
		return st.settings.explainStream(fmt.Errorf("create consumer: %w", err))
	}
	c.given, c.left = 0, 0
	return c.checkBehind(ctx, math.MaxUint64)
}

func (c *consumer) setFilters(subjects []string) {
	c.config.FilterSubject, c.config.FilterSubjects = "", nil
	if len(subjects) == 1 {
		c.config.FilterSubject = subjects[0]
	} else {
		c.config.FilterSubjects = subjects
	}
}

// checkBehind tells if the stream has dropped what comes after the position,
// and before the message that came next.
func (c *consumer) checkBehind(ctx context.Context, next uint64) error {
	st := c.sub.store
	return st.call(ctx, c.session, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, st.settings.stream.name)
		if err != nil {
			return err
		}
		info := stream.CachedInfo()
		if !info.Created.Equal(c.at.created) {
			return errConsumer
		}
		if first := min(info.State.FirstSeq, next); first > c.at.seq+1 && info.State.FirstSeq > c.at.seq+1 {
			c.at.seq = first - 1
			c.sub.tell(nil, driver.Behind)
		}
		return nil
	})
}

// remove deletes the consumer, if that can be done at once. Otherwise the server
// does it in a while.
func (c *consumer) remove() {
	select {
	case <-c.session.lost:
		return
	default:
	}
	c.session.nc.Publish(c.subject("DELETE"), nil)
}

// subject is where the server takes a request about the consumer.
func (c *consumer) subject(what string) string {
	api := "$JS.API."
	if domain := c.sub.settings.stream.domain; domain != "" {
		api = "$JS." + domain + ".API."
	}
	return api + "CONSUMER." + what + "." + c.sub.settings.stream.name + "." + c.config.Name
}

// refilter gives the consumer the filters that are wanted now. again says that
// it is better to begin again.
func (c *consumer) refilter(ctx context.Context) (again bool, err error) {
	subjects, wanted := c.sub.filters()
	if wanted == c.filters {
		return false, nil
	}
	if len(subjects) == 0 || c.clustered {
		return true, nil
	}
	c.setFilters(subjects)
	st := c.sub.store
	err = st.call(ctx, c.session, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, st.settings.stream.name)
		if err != nil {
			return err
		}
		c.sub.fresh(stream.CachedInfo().State.LastSeq)
		_, err = js.UpdateConsumer(ctx, st.settings.stream.name, c.config)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("change the filters: %w", err)
	}
	c.filters = wanted
	c.sub.applied(wanted)
	return false, nil
}

// request is what is asked of a consumer.
type request struct {
	Batch     int           `json:"batch"`
	MaxBytes  int64         `json:"max_bytes"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// ask asks for more messages, if none are on their way and there is room: half
// of the inbox is for what was asked for.
func (c *consumer) ask() error {
	if c.left > 0 {
		return nil
	}
	if c.sub.inbox.full() {
		c.behind = true
		return nil
	}
	c.pull++
	body, err := json.Marshal(request{Batch: maxPull, MaxBytes: c.sub.inbox.limit / 2, Expires: pullExpires, Heartbeat: c.heartbeat()})
	if err != nil {
		return err
	}
	c.left = maxPull
	if err := c.session.nc.PublishRequest(c.subject("MSG.NEXT"), c.session.inbox+strconv.FormatUint(c.pull, 10), body); err != nil {
		c.session.nc.Close()
		return errLost
	}
	return nil
}

// take handles what came: a message, or how a request stands.
func (c *consumer) take(ctx context.Context, m *client.Msg) error {
	if status := m.Header.Get("Status"); status != "" && len(m.Data) == 0 {
		return c.status(m, status)
	}
	of, ok := parseReply(m.Reply)
	if !ok || of.consumer != c.config.Name {
		return nil // of an earlier consumer
	}
	if c.given++; of.delivered != c.given {
		return fmt.Errorf("message %d of the consumer came, not %d", of.delivered, c.given)
	}
	c.left--
	if c.behind {
		c.behind = false
		if err := c.checkBehind(ctx, of.seq); err != nil {
			return err
		}
	}
	if of.seq <= c.at.seq {
		return nil // received before
	}
	c.at.seq = of.seq
	c.backoff.Reset()
	c.sub.take(m, of.seq)
	return nil
}

func (c *consumer) status(m *client.Msg, status string) error {
	_, text, _ := cutLast(m.Subject)
	if text != strconv.FormatUint(c.pull, 10) {
		return nil // of an earlier request
	}
	what := m.Header.Get("Description")
	switch {
	case status == "100":
		return nil // alive
	case status == "503", strings.Contains(what, "Consumer Deleted"), strings.Contains(what, "Consumer is push based"):
		return errConsumer
	case status == "404", status == "408", status == "409":
		c.left = 0 // over
		return nil
	}
	return fmt.Errorf("the consumer says %s %s", status, what)
}

// delivery is what the reply subject of a stream's message says.
type delivery struct {
	consumer  string
	delivered uint64 // how many the consumer has handed out with this one
	seq       uint64 // in the stream
}

// parseReply understands the two forms: with a domain and account, and without.
//
//	$JS.ACK.<stream>.<consumer>.<times>.<seq>.<delivered>.<time>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<times>.<seq>.<delivered>.<time>.<pending>[.<random>]
func parseReply(reply string) (d delivery, ok bool) {
	tokens := strings.Split(reply, ".")
	switch {
	case len(tokens) < 9 || tokens[0] != "$JS" || tokens[1] != "ACK":
		return d, false
	case len(tokens) == 9:
		tokens = tokens[2:]
	case len(tokens) >= 11:
		tokens = tokens[4:]
	default:
		return d, false
	}
	seq, err1 := strconv.ParseUint(tokens[3], 10, 64)
	delivered, err2 := strconv.ParseUint(tokens[4], 10, 64)
	return delivery{tokens[1], delivered, seq}, err1 == nil && err2 == nil
}
