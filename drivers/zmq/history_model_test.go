package zmq

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// world is a subscriber's history and the rest as simply as can be: a log, one
// connection, and somebody who writes down what was promised and what came.
type world struct {
	t    *testing.T
	rand *rand.Rand
	h    *history

	lossy bool // events may be swallowed

	// The publisher.
	epoch  uint64
	base   uint64   // offset of the oldest event that is retained
	events []string // the topics of all events of the epoch

	// The subscriber.
	held     map[string]struct{}
	gens     map[string]int // how often a topic was held
	token    uint64
	relies   map[string]bool  // was told that it is in force
	owed     map[string][]int // epoch and offset of events that are to come, or to be covered
	atMark   map[string]int   // what was in force at the mark that the history knows, with its generation
	resumes  int
	resyncs  int
	received int

	conn  *wire
	trace []string // what happened
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(w.trace[max(0, len(w.trace)-60):], "\n"))
}

// wire is one connection, and the publisher's side of it.
type wire struct {
	up, down []item
	early    bool
	got      uint64 // messages, by the subscriber

	subs          map[string]int // with the generation
	begun, resume bool
	next          uint64 // offset of the next event to send
	sent          uint64
}

// item is one thing on the wire.
type item struct {
	kind  string
	topic string
	gen   int
	a, b  uint64
	snap  map[string]int // of a mark: what was in force
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), h: newHistory("p"), epoch: 1,
		held: set(), gens: make(map[string]int), relies: make(map[string]bool), owed: make(map[string][]int),
	}
}

func (w *world) publish(topic string) {
	w.events = append(w.events, topic)
	w.note("publish %s as %d, relies %v", topic, len(w.events)-1, w.relies[topic])
	if w.relies[topic] {
		w.owed[topic] = append(w.owed[topic], int(w.epoch)<<32|len(w.events)-1)
	}
}

func (w *world) hold(topic string) {
	if _, ok := w.held[topic]; ok {
		return
	}
	w.held[topic] = struct{}{}
	w.gens[topic]++
	w.h.add([]string{topic})
	if w.conn != nil && !w.h.catching {
		w.ask()
	}
}

func (w *world) letGo(topic string) {
	if _, ok := w.held[topic]; !ok {
		return
	}
	delete(w.held, topic)
	w.h.drop([]string{topic})
	delete(w.relies, topic)
	delete(w.owed, topic)
	if w.conn != nil {
		w.conn.up = append(w.conn.up, item{kind: "cancel", topic: topic})
	}
}

func (w *world) ask() {
	w.token++
	for _, t := range w.h.wanted.take(w.token) {
		w.conn.up = append(w.conn.up, item{kind: "subscribe", topic: t, gen: w.gens[t]})
	}
	w.conn.up = append(w.conn.up, item{kind: "ping", a: w.token})
}

func (w *world) connect() {
	c := &wire{subs: make(map[string]int)}
	w.note("connect")
	w.conn = c
	if !w.h.connect(w.epoch, true, w.held, w.token+1) {
		c.early = w.h.start != driver.NoNotice
		w.ask()
		return
	}
	w.resumes++
	c.up = append(c.up, item{kind: "resume", a: w.epoch, b: w.h.mark})
	for _, t := range w.h.old(w.held) {
		if gen, ok := w.atMark[t]; !ok || gen != w.gens[t] {
			w.fatalf("%s is in the list, and was not in force at the mark", t)
		}
		c.up = append(c.up, item{kind: "subscribe", topic: t, gen: w.gens[t]})
	}
	c.up = append(c.up, item{kind: "go"}, item{kind: "ping"})
}

func (w *world) cut(fault bool) {
	if w.conn != nil {
		w.note("cut %v", fault)
		w.conn = nil
		w.h.end(fault)
	}
}

func (w *world) restart() {
	w.cut(false)
	w.epoch++
	w.base, w.events = 0, nil
}

// serve is the publisher taking one thing from the subscriber.
func (w *world) serve() {
	c := w.conn
	it := c.up[0]
	w.note("serve %v", it)
	c.up = c.up[1:]
	head := uint64(len(w.events))
	if it.kind != "resume" && !c.begun && !c.resume {
		c.begun, c.next = true, head
	}
	switch it.kind {
	case "resume":
		c.resume, c.next = true, it.b
	case "go":
		how := fromHead
		if c.next >= w.base {
			how = fromMark
		} else {
			c.next = head
		}
		c.begun = true
		c.down = append(c.down, item{kind: "from", a: uint64(how), b: head})
	case "subscribe":
		c.subs[it.topic] = it.gen
	case "cancel":
		delete(c.subs, it.topic)
	case "ping":
		c.down = append(c.down, item{kind: "pong", a: it.a})
		w.mark()
	}
}

func (w *world) mark() {
	if c := w.conn; c.begun {
		c.down = append(c.down, item{kind: "mark", a: c.next, b: c.sent, snap: maps.Clone(c.subs)})
	}
}

// send is the publisher going on by one event.
func (w *world) send() {
	c := w.conn
	if !c.begun || c.next >= uint64(len(w.events)) {
		return
	}
	if c.next < w.base { // fell behind
		c.next = uint64(len(w.events))
		c.down = append(c.down, item{kind: "from", a: uint64(fromHead), b: c.next})
		return
	}
	topic := w.events[c.next]
	if _, ok := c.subs[topic]; ok {
		c.down = append(c.down, item{kind: "event", topic: topic, a: c.next, gen: int(w.epoch)})
		c.sent++
	}
	c.next++
}

// take is the subscriber taking one thing from the publisher.
func (w *world) take() {
	c := w.conn
	it := c.down[0]
	w.note("take %v", it)
	c.down = c.down[1:]
	switch it.kind {
	case "event":
		c.got++
		if !c.early {
			w.deliver(it.topic, it.gen<<32|int(it.a))
		}
	case "pong":
		if it.a == 0 {
			w.h.probing = false
			return
		}
		start, relied, others := w.h.confirm(it.a)
		c.early = c.early && w.h.start != driver.NoNotice
		if start != driver.NoNotice {
			w.coverAll()
		}
		for _, t := range relied {
			w.cover(t)
		}
		for _, t := range others {
			w.cover(t) // or whoever waits reads the database
		}
	case "from":
		resuming := w.h.catching
		if w.h.from(byte(it.a), it.b) {
			w.coverAll()
			if resuming {
				w.ask()
			}
		}
	case "mark":
		ok, caught := w.h.markAt(it.a, it.b, c.got)
		switch {
		case !ok:
			w.cut(true)
			return
		case caught:
			w.ask()
		case w.h.catching && !w.h.probing:
			w.h.probing = true
			c.up = append(c.up, item{kind: "ping"})
		}
		w.atMark = it.snap
	}
}

func (w *world) deliver(topic string, number int) {
	w.received++
	list := w.owed[topic]
	for len(list) > 0 && list[0] < number {
		if !w.lossy && !w.h.waits([]string{topic}) {
			w.fatalf("event %x of %s came and %x did not", number, topic, list[0])
		}
		list = list[1:] // its number tells
	}
	if len(list) > 0 && list[0] == number {
		list = list[1:]
	}
	w.owed[topic] = list
}

// cover is a resync: what was published before is not owed, and what comes
// from here on is.
func (w *world) cover(topic string) {
	w.resyncs++
	w.relies[topic] = true
	w.owed[topic] = nil
}

func (w *world) coverAll() {
	for t := range w.held {
		w.resyncs++
		w.owed[t] = nil
		if !w.h.waits([]string{t}) {
			w.relies[t] = true
		}
	}
}

// check looks at what must hold at any moment.
func (w *world) check() {
	pending := 0
	for t := range w.held {
		waits := w.h.waits([]string{t})
		if waits {
			pending++
		}
		if c := w.conn; c != nil && !waits && !w.h.catching && w.h.start == driver.NoNotice {
			if gen, ok := c.subs[t]; !ok || gen != w.gens[t] {
				w.fatalf("%s is taken for confirmed, and the publisher has it as %d of %d", t, gen, w.gens[t])
			}
		}
	}
	if w.h.wanted.pending != pending {
		w.fatalf("%d pending, counted as %d", pending, w.h.wanted.pending)
	}
}

// step does something at random.
func (w *world) step() {
	topic := fmt.Sprint("t", w.rand.IntN(6))
	switch n := w.rand.IntN(100); {
	case n < 15:
		w.publish(topic)
	case n < 20:
		w.hold(topic)
	case n < 23:
		w.letGo(topic)
	case n < 24:
		w.cut(w.rand.IntN(4) == 0)
	case n < 25 && w.rand.IntN(5) == 0:
		w.restart()
	case n < 27 && w.rand.IntN(5) == 0:
		w.base = uint64(len(w.events)) - uint64(w.rand.IntN(min(len(w.events), 10)+1))
	case w.conn == nil:
		if n < 40 {
			w.connect()
		}
	case n < 50:
		w.send()
	case n < 75 && len(w.conn.up) > 0:
		w.serve()
	case n < 98 && len(w.conn.down) > 0:
		w.take()
	case n == 98:
		w.mark()
	case n == 99 && w.lossy && w.rand.IntN(3) == 0: // something swallows an event
		for i, it := range w.conn.down {
			if it.kind == "event" {
				w.conn.down = append(w.conn.down[:i:i], w.conn.down[i+1:]...)
				break
			}
		}
	}
	w.check()
}

// settle lets everything come to rest.
func (w *world) settle() {
	for idle, rounds := 0, 0; idle < 3; idle, rounds = idle+1, rounds+1 {
		if rounds > 20 {
			w.fatalf("doesn't come to rest")
		}
		if w.conn == nil {
			w.connect()
			idle = 0
		}
		for w.conn != nil && (len(w.conn.up) > 0 || len(w.conn.down) > 0 || w.conn.begun && w.conn.next < uint64(len(w.events))) {
			switch {
			case len(w.conn.up) > 0:
				w.serve()
			case len(w.conn.down) > 0:
				w.take()
			}
			if w.conn != nil {
				w.send()
			}
			w.check()
		}
		if w.conn != nil {
			w.conn.up = append(w.conn.up, item{kind: "ping"}) // a heartbeat
		}
	}
}

// Whatever happens when: once somebody was told that a topic is in force, each
// of its events comes, in order, or is covered by a notice.
func TestHistoryModel(t *testing.T) {
	resumes, resyncs, received := 0, 0, 0
	seeds := 3000
	if raceEnabled {
		seeds = 200
	}
	for seed := range uint64(seeds) {
		w := newWorld(t, seed)
		w.lossy = seed%2 == 1
		for range 300 {
			w.step()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		w.settle()
		if !w.h.complete() {
			t.Errorf("seed %d: not complete at rest", seed)
		}
		for topic, owed := range w.owed {
			if len(owed) > 0 {
				t.Errorf("seed %d: %d events of %s neither came nor were covered: %x", seed, len(owed), topic, owed)
			}
		}
		if t.Failed() {
			return
		}
		resumes, resyncs, received = resumes+w.resumes, resyncs+w.resyncs, received+w.received
	}
	t.Logf("%d resumed, %d events came, %d resyncs", resumes, received, resyncs)
	if resumes < seeds || received < 5*seeds {
		t.Error("too little happened")
	}
}
