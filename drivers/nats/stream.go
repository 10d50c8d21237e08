package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// apiTimeout is how long JetStream may take to answer.
const apiTimeout = 5 * time.Second

// dedup is for how long the stream remembers what it was sent, so that what is
// sent again is stored once.
const dedup = 2 * time.Minute

// store is the stream behind a link.
type store struct {
	settings *settings
	// denied has the last thing that the server did not permit, for the calls
	// that never get an answer because of it.
	denied chan error
}

func newStore(s *settings) *store { return &store{settings: s, denied: make(chan error, 1)} }

// trouble is a link's.
func (st *store) trouble(_ *session, _ *client.Subscription, err error) {
	if !errors.Is(err, client.ErrPermissionViolation) {
		return
	}
	st.refusal()
	select {
	case st.denied <- err:
	default:
	}
}

// refusal returns what was not permitted since it was last asked, or nil.
func (st *store) refusal() error {
	select {
	case err := <-st.denied:
		return err
	default:
		return nil
	}
}

func (st *store) api(nc *client.Conn) (jetstream.JetStream, error) {
	if domain := st.settings.stream.domain; domain != "" {
		return jetstream.NewWithDomain(nc, domain)
	}
	return jetstream.New(nc)
}

// call bounds one request, which also ends when the server does not permit it.
func (st *store) call(ctx context.Context, s *session, f func(ctx context.Context, js jetstream.JetStream) error) error {
	st.refusal() // of something else
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	ended, watched := make(chan struct{}), make(chan error, 1)
	go func() {
		defer cancel()
		select {
		case <-ended:
			watched <- nil
		case <-s.lost:
			watched <- errLost
		case err := <-st.denied:
			watched <- err
		}
	}()
	js, err := st.api(s.nc)
	if err == nil {
		err = f(ctx, js)
	}
	close(ended)
	if why := <-watched; err != nil && why != nil {
		return why
	}
	return err
}

// ensure returns the stream's state, and creates it if it is missing and that is
// wanted. What exists is checked.
func (st *store) ensure(ctx context.Context, s *session) (*jetstream.StreamInfo, error) {
	var info *jetstream.StreamInfo
	err := st.call(ctx, s, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, st.settings.stream.name)
		if errors.Is(err, jetstream.ErrStreamNotFound) && st.settings.stream.create {
			stream, err = js.CreateStream(ctx, st.config())
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				stream, err = js.Stream(ctx, st.settings.stream.name) // somebody was faster
			} else if err == nil {
				st.settings.cfg.Log.Info("stream created", "stream", st.settings.stream.name)
			}
		}
		if err == nil {
			info = stream.CachedInfo()
		}
		return err
	})
	if err == nil {
		err = st.check(&info.Config)
	}
	if err != nil {
		return nil, st.settings.explainStream(err)
	}
	return info, nil
}

// find is ensure for who opens: it waits while a cluster that has just been
// started can't say anything yet, until ctx ends.
func (st *store) find(ctx context.Context, s *session) error {
	for {
		_, err := st.ensure(ctx, s)
		if !temporary(err) || !wait(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// temporary says that JetStream has no leader, or not all of its servers, for
// the moment.
func temporary(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == 10008 || api.ErrorCode == 10005)
}

// config is the stream as it is created.
func (st *store) config() jetstream.StreamConfig {
	o := &st.settings.stream
	c := jetstream.StreamConfig{
		Name: o.name, Description: "events of wyvern", Subjects: []string{st.settings.subjects.all()},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
		MaxAge: o.maxAge, MaxBytes: o.maxBytes, Replicas: o.replicas, Duplicates: dedup,
	}
	if o.maxAge > 0 {
		c.Duplicates = min(dedup, o.maxAge)
	}
	if o.memory {
		c.Storage = jetstream.MemoryStorage
	}
	return c
}

// check reports what makes an existing stream useless, and logs in what it is
// not as configured.
func (st *store) check(c *jetstream.StreamConfig) error {
	all := st.settings.subjects.all()
	covered := false
	for _, subject := range c.Subjects {
		covered = covered || covers(subject, all)
	}
	hint := "delete it, or set stream to another name"
	switch {
	case !covered:
		return driver.WithHint(fmt.Errorf("it takes the subjects %s, not %s", strings.Join(c.Subjects, ", "), all), hint+", or correct prefix")
	case c.Retention != jetstream.LimitsPolicy:
		return driver.WithHint(fmt.Errorf("its retention is %v, so what one subscriber read is gone for the others", c.Retention), hint)
	case c.Discard != jetstream.DiscardOld:
		return driver.WithHint(errors.New("when it is full it refuses new events, not the oldest"), "set its discard policy to old")
	case c.MaxMsgsPerSubject > 0:
		return driver.WithHint(fmt.Errorf("it keeps only %d events of a topic", c.MaxMsgsPerSubject), "set its maximum of messages per subject to -1")
	case c.NoAck:
		return driver.WithHint(errors.New("it does not acknowledge"), hint)
	case c.Sealed:
		return driver.WithHint(errors.New("it is sealed"), hint)
	}
	want := st.config()
	if differ := (c.MaxAge != want.MaxAge || c.MaxBytes != want.MaxBytes || c.Replicas != want.Replicas || c.Storage != want.Storage); differ {
		st.settings.cfg.Log.Warn("the stream is not as configured, and stays so", "stream", c.Name, limits("is", c), limits("configured", &want))
	}
	return nil
}

func limits(key string, c *jetstream.StreamConfig) slog.Attr {
	return slog.Group(key, "max_age", c.MaxAge, "max_bytes", c.MaxBytes, "replicas", c.Replicas, "storage", c.Storage)
}

// covers says whether every subject that matches narrow, which ends in *,
// matches wide.
func covers(wide, narrow string) bool {
	w, n := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i, tok := range w {
		switch {
		case tok == ">":
			return i < len(n)
		case i >= len(n) || tok != "*" && tok != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}
