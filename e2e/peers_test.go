//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// peerConfig is what testdata/peer.py is told.
type peerConfig struct {
	Type    string         `json:"type"`
	Connect []string       `json:"connect,omitempty"`
	Bind    string         `json:"bind,omitempty"`
	Topics  []string       `json:"topics,omitempty"`
	Options map[string]int `json:"options,omitempty"`
	Monitor bool           `json:"monitor,omitempty"`
	Keys    bool           `json:"keys,omitempty"`   // tell the keys of the map
	Linger  int            `json:"linger,omitempty"` // ms
}

// zmqPeer is a process on libzmq.
type zmqPeer struct {
	*process
	*inbox
	uri string // where it is bound
}

// startPeer starts a process on libzmq, and waits until its socket is there.
func startPeer(t testing.TB, name string, c peerConfig) *zmqPeer {
	t.Helper()
	return startPeerIn(t, nil, name, c)
}

// startPeerIn is startPeer in a network.
func startPeerIn(t testing.TB, n *network, name string, c peerConfig) *zmqPeer {
	t.Helper()
	conf, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	in := newInbox(name)
	p := &zmqPeer{inbox: in}
	program, args := n.command(python, []string{"testdata/peer.py", string(conf)})
	p.process = start(t, func(line string) bool {
		if e := numbered(line); e != nil {
			in.put(e)
			return true
		}
		var m struct {
			Event *event
			Frame string
		}
		if json.Unmarshal([]byte(line), &m) != nil || m.Event == nil {
			return false
		}
		m.Event.Frame = m.Frame
		in.put(m.Event)
		return true
	}, program, args...)
	p.process.name = name
	var ready struct{ Ready string }
	if err := json.Unmarshal([]byte(p.stdout.await(t, `"ready"`)), &ready); err != nil {
		t.Fatal(err)
	}
	p.uri = ready.Ready
	return p
}

// order is one to testdata/peer.py.
type order struct {
	Do     string   `json:"do"`
	Topic  string   `json:"topic,omitempty"`
	Worker string   `json:"worker,omitempty"`
	First  int      `json:"first,omitempty"`
	Count  int      `json:"count,omitempty"`
	Every  int      `json:"every,omitempty"` // ms between some events and the next
	Form   string   `json:"form,omitempty"`
	Frames []string `json:"frames,omitempty"` // in hex
}

// subscriber is a node of ours in this process.
type subscriber struct {
	*wyvern.Subscriber
	*inbox
}

// startSubscriber opens a node and waits until it is connected and subscribed.
func startSubscriber(t testing.TB, name, uri string, topics ...string) *subscriber {
	t.Helper()
	s := &subscriber{inbox: newInbox(name)}
	var err error
	s.Subscriber, err = wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
		Alias:   "zmq_pubsub_driver",
		Topics:  topics,
		Connect: []string{uri},
		Handler: func(_ context.Context, e wyvern.Event) error {
			s.put(fromEvent(e))
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if err := s.Await(ctx); err != nil {
		t.Fatalf("node %s: %v", name, err)
	}
	return s
}

func fromEvent(e wyvern.Event) *event {
	text := func(s string, f wyvern.Field) *string {
		if s == "" && e.IsNull(f) {
			return nil
		}
		return &s
	}
	return &event{
		Table: text(e.Table, wyvern.FieldTable), Key: text(e.Key, wyvern.FieldKey), Action: &e.Action,
		Value: text(e.Value, wyvern.FieldValue), Topic: &e.Topic, Epoch: e.Epoch, Seq: e.Seq, Reason: string(e.Reason),
	}
}

// startSub starts `wyvern sub` and waits until it is connected.
func startSub(t testing.TB, name, uri string, topics ...string) (*process, *inbox) {
	t.Helper()
	return startSubWith(t, name, uri, nil, topics...)
}

// startSubWith is startSub with settings of group [wyvern].
func startSubWith(t testing.TB, name, uri string, settings []string, topics ...string) (*process, *inbox) {
	t.Helper()
	return startSubIn(t, nil, name, uri, settings, topics...)
}

// startSubIn is startSubWith in a network.
func startSubIn(t testing.TB, n *network, name, uri string, settings []string, topics ...string) (*process, *inbox) {
	t.Helper()
	in := newInbox(name)
	args := []string{"sub", "--connect", uri, "--set", "wyvern.log_level=debug"}
	for _, s := range settings {
		args = append(args, "--set", "wyvern."+s)
	}
	for _, topic := range topics {
		args = append(args, "--topic", topic)
	}
	program, args := n.command(checked, args)
	p := start(t, in.line, program, args...)
	p.name = name
	p.stderr.await(t, "publisher connected")
	return p, in
}

// line takes a line of `wyvern sub`, if it is an event.
func (in *inbox) line(line string) bool {
	if e := numbered(line); e != nil {
		in.put(e)
		return true
	}
	e := new(event)
	if json.Unmarshal([]byte(line), e) != nil || e.Action == nil {
		return false
	}
	in.put(e)
	return true
}

// worker is one of ours in this process.
type worker struct {
	*wyvern.Publisher
	name string
	next int // number of the next event
}

// startWorker opens a worker. It connects with its first event.
func startWorker(t testing.TB, name, socket string) *worker {
	t.Helper()
	p, err := wyvern.OpenPublisher(t.Context(), wyvern.PublisherOptions{
		Alias:  "zmq_pubsub_multiproc_driver",
		Hop:    driver.IPC,
		Config: driver.Config{Socket: socket, ReconnectMax: 200 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return &worker{Publisher: p, name: name}
}

// publish publishes one event.
func (w *worker) publish(t testing.TB, e wyvern.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if err := w.Publish(ctx, e); err != nil {
		t.Fatalf("worker %s: %v", w.name, err)
	}
}

// flush waits until the service has read everything.
func (w *worker) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), atMost)
	defer cancel()
	if err := w.Flush(ctx); err != nil {
		t.Fatalf("worker %s: %v", w.name, err)
	}
}

// warm publishes on a topic again and again until every node has it: nodes on
// libzmq can't tell when they are subscribed.
func (w *worker) warm(t testing.TB, topic string, nodes ...*inbox) {
	t.Helper()
	key := "warm " + topic + " " + time.Now().String()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(atMost)
	for {
		w.publish(t, wyvern.Event{Table: "info", Key: key, Action: "log", Topic: topic})
		missing := ""
		for _, n := range nodes {
			if !n.has(key) {
				missing = n.name
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("node %s is not subscribed to %q", missing, topic)
		}
	}
}

// numberedEvent is what testdata/peer.py sends.
func numberedEvent(name string, number int, topic string) wyvern.Event {
	return wyvern.Event{
		Table: "lport", Key: name + "-" + strconv.Itoa(number), Action: "set", Topic: topic,
		Value: `{"id": ` + strconv.Itoa(number) + `}`,
	}
}

func jsonLine(t testing.TB, e wyvern.Event) string {
	t.Helper()
	line, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// send publishes so many numbered events.
func (w *worker) send(t testing.TB, topic string, count int) {
	t.Helper()
	for range count {
		w.publish(t, numberedEvent(w.name, w.next, topic))
		w.next++
	}
}

// keepSending publishes numbered events, some every few milliseconds, until the
// returned function is called, which returns how many there were.
func (w *worker) keepSending(t testing.TB, topic string) (stop func() int) {
	t.Helper()
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			for range 20 {
				if err := w.Publish(t.Context(), numberedEvent(w.name, w.next, topic)); err != nil {
					if t.Context().Err() == nil {
						t.Errorf("worker %s: %v", w.name, err)
					}
					return
				}
				w.next++
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	once := sync.OnceFunc(func() { close(done) })
	t.Cleanup(func() { once(); w.Close(); <-stopped })
	return func() int {
		once()
		<-stopped
		return w.next
	}
}
