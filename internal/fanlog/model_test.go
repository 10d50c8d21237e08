package fanlog

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// model judges what a session received, with nothing but a list of all events.
type model struct {
	topics []string  // of event 1, 2, ...; [0] unused
	asked  []request // in order
	known  []int     // events that may have been appended when the acknowledgement of asked[i] was read

	buf   []byte
	items []item
}

// item is one frame of the stream.
type item struct {
	kind   byte
	number int  // of the event or acknowledgement; the offset
	events int  // of a mark
	told   bool // of a resumption
}

// read takes bytes of the stream as they come.
func (m *model) read(p []byte, appended int) error {
	m.buf = append(m.buf, p...)
	for len(m.buf) >= 5 {
		size := int(binary.BigEndian.Uint32(m.buf)) + 4
		if size < 5 || size > 1<<20 {
			return fmt.Errorf("frame of %d bytes", size)
		}
		if len(m.buf) < size {
			break
		}
		it, body := item{kind: m.buf[4]}, m.buf[5:size]
		switch it.kind {
		case kindEvent:
			var err error
			if it.number, _, err = parseEvent(body); err != nil {
				return err
			}
		case kindAck:
			it.number = int(binary.BigEndian.Uint32(body))
			m.known = append(m.known, appended)
		case kindLost:
		case kindMark:
			it.number, it.events = int(binary.BigEndian.Uint64(body)), int(binary.BigEndian.Uint64(body[8:]))
		case kindFrom:
			it.told, it.number = body[0] == 1, int(binary.BigEndian.Uint64(body[1:]))
		default:
			return fmt.Errorf("frame of kind %q", it.kind)
		}
		m.items = append(m.items, it)
		m.buf = m.buf[size:]
	}
	return nil
}

// holds is what a session asked for, after some requests.
type holds struct {
	exact  map[string]bool
	prefix map[string]int
}

func (h *holds) match(topic string) bool {
	if h.exact[topic] {
		return true
	}
	for p, n := range h.prefix {
		if n > 0 && strings.HasPrefix(topic, p) {
			return true
		}
	}
	return false
}

func after(asked []request) *holds {
	h := &holds{exact: make(map[string]bool), prefix: make(map[string]int)}
	for _, r := range asked {
		switch r.op {
		case 's':
			h.exact[r.text] = true
		case 'u':
			delete(h.exact, r.text)
		case 'p':
			h.prefix[r.text]++
		case 'q':
			h.prefix[r.text] = max(h.prefix[r.text]-1, 0)
		}
	}
	return h
}

// judge checks the whole stream. Acknowledgements are written before the next
// event, so what was acknowledged before an event is exactly what it must
// match. An event that is not there must not have been due: there must be a
// state, among those that the session had since it was appended and between
// its neighbours in the stream, that it doesn't match. A mark is as good as an
// event there. A resumption begins anew at its offset, which is the number of
// the event before.
func (m *model) judge() (lost int, err error) {
	if len(m.buf) > 0 {
		return 0, fmt.Errorf("the stream ends with %d bytes of a frame", len(m.buf))
	}
	states := []*holds{after(nil)}
	for i := range m.asked {
		states = append(states, after(m.asked[:i+1]))
	}
	now, then, last, gap, events := 0, 0, 0, false, 0
	// missing says that an event between last and end was due.
	missing := func(end int) error {
		for k := last + 1; k < end && !gap; k++ {
			due := true
			for i := then; i <= now && due; i++ {
				if i < now && m.known[i] < k {
					continue // request i+1 was acknowledged before k was appended
				}
				due = states[i].match(m.topics[k])
			}
			if due {
				return fmt.Errorf("event %d (%s) is missing between %d and %d", k, m.topics[k], last, end)
			}
		}
		return nil
	}
	for _, it := range m.items {
		switch it.kind {
		case kindAck:
			if it.number != now+1 {
				return 0, fmt.Errorf("acknowledgement %d after %d", it.number, now)
			}
			now++
		case kindLost:
			lost++
			gap = true
		case kindEvent:
			if it.number <= last {
				return 0, fmt.Errorf("event %d after %d", it.number, last)
			}
			if !states[now].match(m.topics[it.number]) {
				return 0, fmt.Errorf("event %d (%s) does not match after request %d", it.number, m.topics[it.number], now)
			}
			if err := missing(it.number); err != nil {
				return 0, err
			}
			last, then, gap = it.number, now, false
			events++
		case kindMark:
			if it.number < last || it.number >= len(m.topics) {
				return 0, fmt.Errorf("mark %d after event %d of %d", it.number, last, len(m.topics)-1)
			}
			if it.events != events {
				return 0, fmt.Errorf("mark %d after event %d says %d events, want %d", it.number, last, it.events, events)
			}
			if err := missing(it.number + 1); err != nil {
				return 0, fmt.Errorf("mark: %w", err)
			}
			last, then, gap = it.number, now, false
		case kindFrom:
			if it.told {
				last, then, gap = it.number, now, false
			}
		}
	}
	if last != len(m.topics)-1 {
		return 0, fmt.Errorf("the stream ends with event %d, want %d", last, len(m.topics)-1)
	}
	return lost, nil
}

func randomTopic(r *rand.Rand) string {
	return []string{"a", "ab", "abc", "b", "ba", "bab", "c", "cc"}[r.IntN(8)] + []string{"", "", "x", "yz"}[r.IntN(4)]
}

func randomRequest(r *rand.Rand, head int) request {
	text := randomTopic(r)
	switch r.IntN(14) {
	case 12:
		return request{'m', ""}
	case 13:
		// Not far back: what is taken twice must be written twice.
		return request{'r', fmt.Sprint(max(head+2-r.IntN(800), 0))}
	case 0, 1, 2:
		return request{'s', text}
	case 3, 4:
		return request{'u', text}
	case 5, 6:
		return request{'p', text[:1+r.IntN(len(text))]}
	case 7, 8, 9:
		return request{'q', text[:1+r.IntN(len(text))]}
	case 10:
		return request{'p', ""}
	}
	return request{'q', ""}
}

func randomSize(r *rand.Rand) int {
	switch r.IntN(40) {
	case 0:
		return r.IntN(60 << 10)
	case 1, 2:
		return r.IntN(20 << 10)
	}
	return r.IntN(400)
}

func TestModel(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, seed)
		})
	}
}

func runModel(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	f := open(t, Options{Loops: 1 + int(seed%3), Retention: 1})
	const sessions = 12
	total := 5000 + r.IntN(2000)
	topics := make([]string, 1, total+2)
	var appended atomic.Int64

	type client struct {
		*peer
		model
		stopped bool          // main's
		resume  chan struct{} // has one value while the reader may go on
		err     error
	}
	clients := make([]*client, sessions)
	var wg sync.WaitGroup
	for i := range clients {
		connect := connect
		if i%2 == 0 {
			connect = connectMarked
		}
		c := &client{peer: connect(t, f, []int{2 << 10, 16 << 10, 64 << 10}[r.IntN(3)]), resume: make(chan struct{}, 1)}
		c.resume <- struct{}{}
		clients[i] = c
		c.asked = append(c.asked, request{'s', "END"})
		c.ask('s', "END")
		rr := rand.New(rand.NewPCG(seed, uint64(i)+10))
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			judged := 0
			for {
				<-c.resume
				c.resume <- struct{}{}
				size := 1 + rr.IntN(1<<(1+rr.IntN(17)))
				n, err := c.conn.Read(buf[:size])
				if err == nil {
					err = c.read(buf[:n], int(appended.Load()))
				}
				if err != nil {
					c.err = err
					return
				}
				if slices.Contains(c.items[judged:], item{kind: kindEvent, number: total + 1}) {
					return
				}
				judged = len(c.items)
			}
		})
	}
	var frames []Frame
	for len(topics) <= total {
		for range r.IntN(4) {
			c := clients[r.IntN(sessions)]
			switch r.IntN(12) {
			case 0:
				if !c.stopped && r.IntN(3) == 0 {
					<-c.resume
					c.stopped = true
				}
			case 1:
				if c.stopped {
					c.resume <- struct{}{}
					c.stopped = false
				}
			default:
				if len(c.asked) < 120 { // a socket's buffer takes them all
					req := randomRequest(r, len(topics)-1)
					c.asked = append(c.asked, req)
					c.ask(req.op, req.text)
				}
			}
		}
		frames = frames[:0]
		for range min(1+r.IntN(100), total+1-len(topics)) {
			topic := randomTopic(r)
			frames = append(frames, event(len(topics), topic, randomSize(r)))
			topics = append(topics, topic)
		}
		appended.Store(int64(len(topics) - 1)) // before: what is read meanwhile counts as known for later ones
		mustAppend(t, f, frames...)
	}
	for _, c := range clients {
		if c.stopped {
			c.resume <- struct{}{}
		}
	}
	for _, c := range clients { // the last event is to be the last frame
		eventually(t, "all is answered", func() bool { return int(c.h.requests.Load()) == c.sent })
	}
	// A session that is lost and not told yet would miss the last event, too.
	eventually(t, "all are told", func() bool { return f.Flush(t.Context()) == nil })
	topics = append(topics, "END")
	mustAppend(t, f, event(total+1, "END", 100))
	for _, c := range clients {
		_ = c.conn.SetReadDeadline(time.Now().Add(forever))
	}
	wg.Wait()
	lost := 0
	for i, c := range clients {
		if c.err != nil {
			t.Errorf("session %d: %v", i, c.err)
			continue
		}
		c.topics = topics
		n, err := c.judge()
		if err != nil {
			t.Errorf("session %d: %v", i, err)
		}
		lost += n
	}
	if got := int(f.Stats().Lost); lost > got {
		t.Errorf("%d notices of loss, %d losses", lost, got)
	}
	t.Logf("%d losses were told", lost)
}
