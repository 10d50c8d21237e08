package zmq

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// Cut off again and again under load, for less than is retained: nothing is
// missing, nothing comes twice, and nobody is told anything.
func TestS3CutsUnderLoad(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	topics := names("t", 8)
	link := through(t, pub.Addr())
	nodes := []*node{newNode(t, ctx, topics[:3]), newNode(t, ctx, topics[2:]), newNode(t, ctx, nil)}
	for _, n := range nodes {
		n.meet(ctx, link.Addr())
	}

	var stop atomic.Bool
	var load sync.WaitGroup
	rounds := 0
	load.Go(func() {
		for ; !stop.Load(); rounds++ {
			for _, topic := range topics {
				say(t, ctx, pub, topic, 5)
			}
			time.Sleep(200 * time.Microsecond)
		}
	})
	cuts := 0
	for i := range 15 {
		eventually(t, "connections", func() bool { return link.Open() == len(nodes) })
		if i%3 == 0 {
			for _, n := range nodes {
				n.await(ctx)
			}
		}
		time.Sleep(time.Duration(i) * time.Millisecond) // at any point of what goes on
		if i%2 == 0 {
			cuts += link.Reset()
		} else {
			cuts += link.Cut()
		}
	}
	stop.Store(true)
	load.Wait()
	for _, topic := range topics {
		say(t, ctx, pub, topic, 1)
	}
	last := uint64(5*rounds + 1)
	for i, held := range [][]string{topics[:3], topics[2:], topics} {
		for _, topic := range held {
			nodes[i].waitFor("the last of "+topic, isEvent(topic, 0, last))
		}
		if got, want := nodes[i].check(), len(held)*int(last); got != want {
			t.Errorf("node %d: %d events, want %d", i, got, want)
		}
		nodes[i].wantResyncs()
		if n := strings.Count(nodes[i].log.String(), "resumed=true"); n == 0 {
			t.Errorf("node %d never resumed", i)
		}
	}
	if cuts < 30 {
		t.Errorf("only %d cuts", cuts)
	}
	t.Logf("%d cuts, %d events of each topic", cuts, last)
}

// resumeAt asks a publisher as one of ours to go on with topics at an offset,
// and returns what it says to that.
func resumeAt(t testing.TB, pub driver.Publisher, epoch, offset uint64, topics ...string) (r *reader, how byte, head uint64) {
	t.Helper()
	r = foreign(t, dial(t, pub.(driver.Bound).Addr()), zmtp.Sub, 1, zmtp.Property{Name: propertyPeer, Value: "2"})
	p := appendResume(nil, epoch, offset)
	for _, topic := range topics {
		p = zmtp.AppendSubscribe(p, 1, []byte(topic))
	}
	if _, err := r.conn.Write(zmtp.AppendCommand(p, commandGo, nil)); err != nil {
		t.Fatal(err)
	}
	how, head, err := parseFrom(r.command(commandFrom))
	if err != nil {
		t.Fatal(err)
	}
	return r, how, head
}

// command returns the data of the next frame, which must be a command of that
// name; PINGs are passed over.
func (r *reader) command(name string) []byte {
	r.t.Helper()
	for {
		f := r.frame()
		got, data, err := zmtp.ParseCommand(f.Body)
		switch {
		case !f.Command || err != nil:
			r.t.Fatalf("got %.40q, want %s", f.Body, name)
		case string(got) == zmtp.CommandPing:
		case string(got) != name:
			r.t.Fatalf("got %s, want %s", got, name)
		default:
			return data
		}
	}
}

// A subscriber that comes back when the event after its last mark is still
// retained, has just retired, or long ago: it is told once per topic in the
// latter cases, and only then.
func TestS3RetentionBoundary(t *testing.T) {
	body := strings.Repeat("x", 100<<10)
	small := func(c *driver.Config) { c.MaxPayload, c.Retention, c.ID, c.Epoch = 128<<10, 4<<20, "p", 7 }

	// With which event does the first one retire?
	ctx := begin(t)
	pub := openPub(t, ctx, small)
	publish(t, ctx, pub, "a", "seen", "missed")
	limit := 0
	for how := fromMark; how == fromMark; limit++ {
		publish(t, ctx, pub, "b", body)
		r, answer, _ := resumeAt(t, pub, 7, 1)
		r.conn.Close()
		how = answer
	}
	pub.Close()

	topics := []string{"a", "b", "quiet"}
	for _, past := range []int{-1, 0, 1, 100} {
		t.Run(fmt.Sprint(past), func(t *testing.T) {
			ctx := begin(t)
			pub := serviceOn(t, ctx, "p", 0, small)
			n := newNode(t, ctx, topics)
			link := through(t, pub.Addr())
			n.meet(ctx, link.Addr())
			say(t, ctx, pub, "a", 1)
			n.waitFor("the first event", isEvent("a", 0, 1))
			for range 2 { // the second answer comes behind a mark
				if err := n.sub.Subscribe(ctx, "passing"); err != nil {
					t.Fatal(err)
				}
				if err := n.sub.Unsubscribe(ctx, "passing"); err != nil {
					t.Fatal(err)
				}
			}
			link.Refuse(true)
			if link.Reset() != 1 {
				t.Fatal("nothing was cut")
			}
			eventually(t, "the loss", func() bool { return n.sub.Status().Peers == 0 })
			say(t, ctx, pub, "a", 1)
			for range limit + past {
				if err := pub.Publish(ctx, wyvern.Event{Topic: "b", Action: "set", Value: body}); err != nil {
					t.Fatal(err)
				}
			}
			link.Refuse(false)
			n.await(ctx)
			if past < 0 {
				say(t, ctx, pub, "a", 1)
				n.waitFor("the last event", isEvent("a", 0, 3))
				n.wantResyncs()
				if got := n.check(); got != 3+limit+past {
					t.Errorf("%d events, want %d", got, 3+limit+past)
				}
				return
			}
			for _, topic := range topics {
				n.waitFor("a resync of "+topic, func(e wyvern.Event) bool { return isResync(e) && e.Topic == topic })
			}
			say(t, ctx, pub, "a", 1)
			n.waitFor("the last event", isEvent("a", 0, 3))
			n.check()
			n.wantResyncs(each(topics, wyvern.ReasonBehind)...)
		})
	}
}

// Subscribing while events flow, many times, and from several goroutines: what
// is published after Subscribe has returned comes.
func TestN3SubscribeUnderLoad(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	n := newNode(t, ctx, []string{"busy"})
	n.meet(ctx, pub.Addr())
	var stop atomic.Bool
	var load, subscribers sync.WaitGroup
	load.Go(func() {
		for !stop.Load() {
			say(t, ctx, pub, "busy", 20)
			time.Sleep(time.Millisecond)
		}
	})
	const many = 100
	for i := range 4 {
		subscribers.Go(func() {
			for _, topic := range names(fmt.Sprint("s", i, "-"), many) {
				say(t, ctx, pub, topic, 3)
				if err := n.sub.Subscribe(ctx, topic); err != nil {
					t.Errorf("subscribe: %v", err)
					return
				}
				say(t, ctx, pub, topic, 2)
			}
		})
	}
	subscribers.Wait()
	stop.Store(true)
	load.Wait()
	for i := range 4 {
		for _, topic := range names(fmt.Sprint("s", i, "-"), many) {
			n.waitFor("the last of "+topic, isEvent(topic, 0, 5))
			if n.count(isEvent(topic, 0, 4)) != 1 {
				t.Errorf("%s: the first event after Subscribe did not come", topic)
			}
		}
	}
	n.check()
	n.wantResyncs()
}

// Who subscribes while the line is down is told when the topic is in force,
// unless Await or a Subscribe waited for that.
func TestN3SubscribeWhileDown(t *testing.T) {
	for _, await := range []bool{false, true} {
		t.Run(fmt.Sprint("await=", await), func(t *testing.T) {
			ctx := begin(t)
			pub := serviceOn(t, ctx, "p", 0)
			link := through(t, pub.Addr())
			n := newNode(t, ctx, []string{"a"})
			n.meet(ctx, link.Addr())
			link.Refuse(true)
			link.Reset()
			eventually(t, "the loss", func() bool { return n.sub.Status().Peers == 0 })
			if err := n.sub.Subscribe(ctx, "b", "c"); err != nil {
				t.Fatal(err)
			}
			if err := n.sub.Unsubscribe(ctx, "c"); err != nil {
				t.Fatal(err)
			}
			say(t, ctx, pub, "a", 1)
			link.Refuse(false)
			if await {
				n.await(ctx)
				if err := n.sub.Subscribe(ctx, "d"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(lateAfter + 200*time.Millisecond)
				n.wantResyncs()
			} else {
				n.waitFor("a resync of b", isResync)
				n.wantResyncs("b: " + string(wyvern.ReasonSubscribed))
			}
			n.waitFor("what was missed on a", isEvent("a", 0, 1))
		})
	}
}

// With 20,000 topics a reconnect resumes all of them, a restart tells each of
// them once, and subscribing one by one stays as quick as it was.
func TestN5ManyTopics(t *testing.T) {
	many := 20000
	if raceEnabled {
		many = 4000
	}
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0)
	link := through(t, pub.Addr())
	topics := names("topic number ", many)
	n := newNode(t, ctx, topics)
	n.meet(ctx, link.Addr())

	began := time.Now()
	for i := range 5 {
		link.Reset()
		say(t, ctx, pub, topics[i], 1)
		eventually(t, "the connection", func() bool { return link.Open() == 1 })
		n.await(ctx)
		say(t, ctx, pub, topics[many-1-i], 1)
	}
	for i := range 5 {
		n.waitFor("an event", isEvent(topics[i], 0, 1))
		n.waitFor("an event", isEvent(topics[many-1-i], 0, 1))
	}
	n.wantResyncs()
	t.Logf("5 reconnects in %s", time.Since(began))

	began = time.Now()
	for _, topic := range names("one by one ", 2000) {
		if err := n.sub.Subscribe(ctx, topic); err != nil {
			t.Fatal(err)
		}
		topics = append(topics, topic)
	}
	t.Logf("2000 subscribed one by one in %s", time.Since(began))

	began = time.Now()
	port := portOf(pub)
	pub.Close()
	serviceOn(t, ctx, "p", port)
	n.await(ctx)
	eventually(t, "all resyncs", func() bool { return n.count(isResync) >= len(topics) })
	t.Logf("restart told in %s", time.Since(began))
	n.wantResyncs(each(topics, wyvern.ReasonIncarnation)...)
}

// A subscriber that falls out of retention while it is connected is told once
// per topic, and then everything comes again. (N1)
func TestS2FellBehind(t *testing.T) {
	ctx := begin(t)
	pub := serviceOn(t, ctx, "p", 0, func(c *driver.Config) { c.MaxPayload, c.Retention = 64<<10, 4<<20 })
	topics := []string{"a", "b", "quiet"}
	n := newNode(t, ctx, topics)
	open := make(chan struct{})
	release := sync.OnceFunc(func() { close(open) })
	t.Cleanup(release)
	n.before = func(e wyvern.Event) {
		if e.Seq == 1 && e.Topic == "a" {
			<-open
		}
	}
	n.meet(ctx, pub.Addr())
	body := strings.Repeat("x", 32<<10)
	last := uint64(0)
	for ; pub.Status().Lost == 0; last++ {
		for _, topic := range topics[:2] {
			if err := pub.Publish(ctx, wyvern.Event{Topic: topic, Action: "set", Value: body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	release()
	eventually(t, "the resyncs", func() bool { return n.count(isResync) >= len(topics) })
	for _, topic := range topics[:2] {
		say(t, ctx, pub, topic, 1)
		n.waitFor("the last of "+topic, isEvent(topic, 0, last+1))
	}
	n.check()
	n.wantResyncs(each(topics, wyvern.ReasonBehind)...)
	if strings.Count(n.log.String(), "publisher connected") != 1 {
		t.Errorf("it has connected again:\n%s", n.log.String())
	}
}

// A topic of which somebody was told that it is in force, and whose connection
// went before the next mark, is told to everybody, whoever waits by then.
func TestB3ChangeInFlight(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		t.Run(fmt.Sprint("confirmed=", confirmed), func(t *testing.T) {
			ctx := begin(t)
			l := listen(t, "tcp", "127.0.0.1:0")
			sub := openSub(t, ctx, quick)
			if err := sub.Subscribe(ctx, "kept"); err != nil {
				t.Fatal(err)
			}
			if err := sub.Connect(addrURI(l.Addr())); err != nil {
				t.Fatal(err)
			}
			pub := func() *reader {
				return foreign(t, accept(t, l), zmtp.Pub, 1, zmtp.Property{Name: propertyPeer, Value: "2"},
					zmtp.Property{Name: propertyID, Value: "p"}, zmtp.Property{Name: propertyEpoch, Value: "7"})
			}
			r := pub()
			asked, token := r.requests()
			wantTopics(t, "asked at first", asked, "kept")
			r.send(appendMark(zmtp.AppendPong(nil, token), 5, 0))
			if err := sub.Await(ctx); err != nil {
				t.Fatal(err)
			}
			subscribed := make(chan error, 1)
			go func() { subscribed <- sub.Subscribe(ctx, "flying") }()
			asked, token = r.requests()
			wantTopics(t, "asked for the new one", asked, "flying")
			if confirmed {
				r.send(zmtp.AppendPong(nil, token))
				if err := <-subscribed; err != nil {
					t.Fatal(err)
				}
			}
			r.conn.Close()
			r = pub()
			if !confirmed {
				if err := <-subscribed; err != nil {
					t.Fatal(err)
				}
			}
			if _, offset, err := parseNumbers(commandResume, r.command(commandResume)); offset != 5 || err != nil {
				t.Errorf("resumes at %d: %v, want the mark at 5", offset, err)
			}
			asked, token = r.requests()
			wantTopics(t, "asked to resume", asked, "kept")
			r.send(appendMark(zmtp.AppendPong(appendFrom(nil, fromMark, 5), token), 5, 0))
			go func() { subscribed <- sub.Subscribe(ctx, "flying") }()
			asked, token = r.requests()
			wantTopics(t, "asked afterwards", asked, "flying")
			eventually(t, "somebody who waits", func() bool {
				sub.mu.Lock()
				defer sub.mu.Unlock()
				return sub.awaited["flying"] > 0
			})
			r.send(appendMark(zmtp.AppendPong(nil, token), 5, 0))
			batch := make([]driver.Message, 1)
			if _, err := sub.Receive(ctx, batch); err != nil {
				t.Fatal(err)
			}
			if m := batch[0]; m.Notice != driver.Gap || string(m.Topic) != "flying" {
				t.Errorf("got %v about %q, want a gap of the topic", m.Notice, m.Topic)
			}
			if err := <-subscribed; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// requests reads what a subscriber asks for up to its next PING with a token,
// and returns both.
func (r *reader) requests() (topics []string, token []byte) {
	r.t.Helper()
	for {
		f := r.frame()
		op, topic, err := zmtp.ParseSubscription(f)
		if err != nil {
			r.t.Fatal(err)
		}
		if op == zmtp.Subscribe {
			topics = append(topics, string(topic))
			continue
		}
		if name, data, err := zmtp.ParseCommand(f.Body); err == nil && string(name) == zmtp.CommandPing {
			if _, context, err := zmtp.ParsePing(data); err == nil && len(context) > 0 {
				return topics, context
			}
		}
	}
}
