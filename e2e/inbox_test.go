//go:build linux

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// event is one as a node has it, whatever kind of node that is.
type event struct {
	Table  *string `json:"table"`
	Key    *string `json:"key"`
	Action *string `json:"action"`
	Value  *string `json:"value"`
	Topic  *string `json:"topic"`
	Epoch  uint64  `json:"epoch"`
	Seq    uint64  `json:"seq"`
	Reason string  `json:"reason"`

	Keys  []string `json:"keys"` // of the map, where asked for
	Frame string   `json:"-"`    // the topic's frame, where there is one
}

func (e *event) String() string {
	s := func(p *string) string {
		if p == nil {
			return "nil"
		}
		return fmt.Sprintf("%.60q", *p)
	}
	return fmt.Sprintf("{%s %s %s %s %s frame %q epoch %d seq %d %s}",
		s(e.Table), s(e.Key), s(e.Action), s(e.Value), s(e.Topic), e.Frame, e.Epoch, e.Seq, e.Reason)
}

func (e *event) key() string {
	if e.Key == nil {
		return ""
	}
	return *e.Key
}

func (e *event) action() string {
	if e.Action == nil {
		return ""
	}
	return *e.Action
}

// topic is what the event was published on.
func (e *event) topic() string {
	if e.Frame != "" || e.Topic == nil {
		return e.Frame
	}
	return *e.Topic
}

// numbered returns the event in a line of JSON, if it is one of the many that
// workers number, or else nil. It is a shortcut past package encoding/json,
// which would take most of the tests' time; the value is left out.
func numbered(line string) *event {
	field := func(name string) string {
		_, rest, _ := strings.Cut(line, `"`+name+`":`)
		return rest[:max(0, strings.IndexAny(rest, ",}"))]
	}
	e := &event{Table: new(string), Key: new(string), Action: new(string), Topic: new(string)}
	*e.Table, *e.Action = "lport", "set"
	*e.Key = strings.Trim(field("key"), `"`)
	*e.Topic = strings.Trim(field("topic"), `"`)
	e.Frame = strings.Trim(field("frame"), `"`)
	if field("table") != `"lport"` || field("action") != `"set"` || field("reason") != "" {
		return nil
	}
	var errs [2]error
	e.Epoch, errs[0] = strconv.ParseUint(field("epoch"), 10, 64)
	e.Seq, errs[1] = strconv.ParseUint(field("seq"), 10, 64)
	if _, _, ok := e.worker(); !ok || errs != [2]error{} || strings.Contains(*e.Key+*e.Topic+e.Frame, "\\") {
		return nil
	}
	return e
}

// worker splits the key of a numbered event.
func (e *event) worker() (name string, number int, ok bool) {
	name, digits, found := strings.Cut(e.key(), "-")
	number, err := strconv.Atoi(digits)
	return name, number, found && err == nil && e.action() == "set"
}

// inbox is what a node has received.
type inbox struct {
	name string

	mu      sync.Mutex
	all     []*event
	keys    map[string]int // how often each came
	actions map[string]int
	changed chan struct{}
}

func newInbox(name string) *inbox {
	return &inbox{name: name, keys: map[string]int{}, actions: map[string]int{}, changed: make(chan struct{}, 1)}
}

func (in *inbox) put(e *event) {
	in.mu.Lock()
	in.all = append(in.all, e)
	in.keys[e.key()]++
	in.actions[e.action()]++
	in.mu.Unlock()
	select {
	case in.changed <- struct{}{}:
	default:
	}
}

// until waits until the inbox is as wanted. Only one goroutine may wait, and yes
// should be cheap: it is asked often.
func (in *inbox) until(t testing.TB, what string, yes func(*inbox) bool) {
	t.Helper()
	timeout := time.After(atMost)
	for {
		in.mu.Lock()
		ok, n := yes(in), len(in.all)
		in.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-in.changed:
		case <-timeout:
			t.Fatalf("node %s waited in vain for %s; it has %d events", in.name, what, n)
		}
	}
}

func (in *inbox) has(key string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.keys[key] > 0
}

// count returns how many events came so far.
func (in *inbox) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.all)
}

// events returns what came so far.
func (in *inbox) events() []*event {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.all[:len(in.all):len(in.all)]
}

// awaitSets waits for so many events with the action set.
func (in *inbox) awaitSets(t testing.TB, n int) {
	t.Helper()
	in.until(t, strconv.Itoa(n)+" events", func(in *inbox) bool { return in.actions["set"] >= n })
}

// awaitKey waits for an event with that key.
func (in *inbox) awaitKey(t testing.TB, key string) {
	t.Helper()
	in.until(t, "key "+key, func(in *inbox) bool { return in.keys[key] > 0 })
}

// checkComplete checks that the node has every event of every worker, each once
// and in the worker's order, and that the publisher's numbers rise one by one.
func (in *inbox) checkComplete(t testing.TB, workers []string, count int) {
	t.Helper()
	next := map[string]int{}
	type series struct {
		epoch uint64
		topic string
	}
	seqs := map[series]uint64{}
	for _, e := range in.events() {
		s := series{e.Epoch, e.topic()}
		if last := seqs[s]; e.Reason == "" && last != 0 && e.Seq != last+1 {
			t.Errorf("node %s: number %d follows %d: %v", in.name, e.Seq, last, e)
			return
		}
		seqs[s] = e.Seq
		name, number, ok := e.worker()
		if !ok {
			continue
		}
		if number != next[name] {
			t.Errorf("node %s: event %d of worker %s, expected %d: %v", in.name, number, name, next[name], e)
			return
		}
		next[name]++
	}
	for _, name := range workers {
		if next[name] != count {
			t.Errorf("node %s: %d events of worker %s, want %d", in.name, next[name], name, count)
		}
	}
}
