package zmq

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func set(topics ...string) map[string]struct{} {
	m := make(map[string]struct{})
	for _, t := range topics {
		m[t] = struct{}{}
	}
	return m
}

func sorted(topics []string) []string {
	topics = slices.Clone(topics)
	slices.Sort(topics)
	return topics
}

func wantTopics(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if got = sorted(got); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// settled returns the history of a publisher that has topics in force, at mark
// 100 and with token 1 used.
func settled(t *testing.T, topics ...string) *history {
	t.Helper()
	h := newHistory("p")
	if h.connect(7, true, set(topics...), 1) {
		t.Fatal("resumes from nothing")
	}
	wantTopics(t, "asked first", h.wanted.take(1), sorted(topics)...)
	start, relied, others := h.confirm(1)
	if start != driver.NoNotice || relied != nil {
		t.Errorf("the first connection gave %v, %q", start, relied)
	}
	wantTopics(t, "confirmed", others, sorted(topics)...)
	if ok, caught := h.markAt(100, 0, 0); !ok || caught {
		t.Fatalf("mark: %v, %v", ok, caught)
	}
	return h
}

func TestHistoryResumes(t *testing.T) {
	h := settled(t, "a", "b")
	held := set("a", "b", "c", "d")
	h.add([]string{"c", "d"})
	h.wanted.take(2)
	h.confirm(2) // c and d, but no mark came
	h.end(false)
	if !h.connect(7, true, held, 3) {
		t.Fatal("doesn't resume")
	}
	wantTopics(t, "in force at the mark", h.old(held), "a", "b")
	if h.complete() {
		t.Error("complete while catching up")
	}
	if _, caught := h.markAt(150, 0, 0); caught {
		t.Error("caught up before it was said how far")
	}
	h.from(fromMark, 200)
	if _, caught := h.markAt(199, 0, 0); caught {
		t.Error("caught up one event too early")
	}
	if _, caught := h.markAt(200, 0, 0); !caught {
		t.Error("not caught up")
	}
	wantTopics(t, "asked afterwards", h.wanted.take(3), "c", "d")
	start, relied, others := h.confirm(3)
	if start != driver.NoNotice || others != nil {
		t.Errorf("got %v, %q", start, others)
	}
	wantTopics(t, "lapsed", relied, "c", "d")
	if !h.complete() {
		t.Error("not complete")
	}
}

// Each of these makes that a connection does not go on where the one before
// ended, and that all is told at once when it is in force.
func TestHistoryDoesNotResume(t *testing.T) {
	held := set("a")
	for _, c := range []struct {
		name  string
		epoch uint64
		marks bool
		spoil func(h *history)
		want  driver.Notice
	}{
		{"another epoch", 8, true, func(*history) {}, driver.Restarted},
		{"no marks", 7, false, func(*history) {}, driver.Gap},
		{"twice the same fault", 7, true, func(h *history) {
			h.end(true)
			if !h.connect(7, true, held, 2) {
				t.Error("not resumed after the first fault")
			}
			h.markAt(100, 0, 0)
			h.end(true)
		}, driver.Gap},
		{"gone, and no line led to it", 7, true, func(h *history) {
			h.rest()
			if h.add([]string{"x"}); len(h.wanted.topics) != 0 {
				t.Error("keeps a list for a publisher that is gone")
			}
		}, driver.Gap},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := settled(t, "a")
			h.end(false)
			c.spoil(h)
			if h.connect(c.epoch, c.marks, held, 3) {
				t.Fatal("resumes")
			}
			wantTopics(t, "asked", h.wanted.take(3), "a")
			if start, _, _ := h.confirm(2); start != driver.NoNotice {
				t.Errorf("told %v before it is in force", start)
			}
			// The connection goes before it is: it is due still.
			h.end(false)
			if h.connect(c.epoch, c.marks, held, 4) {
				t.Fatal("resumes without a mark")
			}
			h.wanted.take(4)
			if h.complete() {
				t.Error("complete before it is")
			}
			start, relied, others := h.confirm(4)
			if start != c.want || relied != nil || others != nil {
				t.Errorf("told %v, %q, %q; want %v alone", start, relied, others, c.want)
			}
			if !h.complete() {
				t.Error("not complete")
			}
		})
	}
}

// Faults with progress between them are resumed from, each of them.
func TestHistoryFaultsWithProgress(t *testing.T) {
	h := settled(t, "a")
	for i := range uint64(5) {
		if ok, _ := h.markAt(101+i, 3, 2); ok {
			t.Fatal("a mark that counts more than was received is right")
		}
		h.end(true)
		if !h.connect(7, true, set("a"), 2) {
			t.Fatalf("fault %d: not resumed", i)
		}
		if h.mark != 100+i {
			t.Errorf("resumes at %d, want %d", h.mark, 100+i)
		}
		h.markAt(101+i, 0, 0)
	}
}

// Without anything in force nothing was missed.
func TestHistoryNothingInForce(t *testing.T) {
	h := settled(t)
	h.end(false)
	h.add([]string{"a"})
	if h.connect(7, true, set("a"), 2) {
		t.Fatal("resumes")
	}
	h.wanted.take(2)
	start, relied, others := h.confirm(2)
	if start != driver.NoNotice || relied != nil {
		t.Errorf("told %v, %q", start, relied)
	}
	wantTopics(t, "confirmed", others, "a")
}

// A publisher that gives no marks is never resumed, whatever it learns.
func TestHistoryWithoutMarks(t *testing.T) {
	h := newHistory("p")
	for i := range uint64(3) {
		if h.connect(7, i == 2, set("a"), i+1) {
			t.Fatal("resumes")
		}
		h.wanted.take(i + 1)
		start, relied, others := h.confirm(i + 1)
		if i == 0 {
			wantTopics(t, "confirmed", others, "a")
		} else if start != driver.Gap || relied != nil || others != nil {
			t.Errorf("told %v, %q, %q", start, relied, others)
		}
		if len(h.wanted.topics) != 0 && i < 2 {
			t.Error("waits for a mark")
		}
		h.end(false)
	}
}

// Nothing is complete before it is known how the publisher goes on.
func TestHistoryComplete(t *testing.T) {
	h := settled(t, "a")
	if !h.complete() {
		t.Error("not complete in force")
	}
	h.end(false)
	if !h.connect(7, true, set("a"), 2) || h.complete() {
		t.Error("complete before it is known whether it is resumed")
	}
	h.drop([]string{"a"})
	h.end(false)
	if h.connect(8, true, set(), 2) || h.complete() {
		t.Error("complete before the notice")
	}
	if start, _, _ := h.confirm(2); start != driver.Restarted || !h.complete() {
		t.Errorf("told %v", start)
	}
}

func TestHistoryBehind(t *testing.T) {
	h := settled(t, "a")
	h.add([]string{"b"})
	h.end(false)
	h.connect(7, true, set("a", "b"), 2)
	if !h.from(fromHead, 900) || h.catching {
		t.Error("behind is not said, or still catching up")
	}
	wantTopics(t, "asked", h.wanted.take(2), "b")
	if !h.from(99, 900) {
		t.Error("an unknown way to go on is taken for one that misses nothing")
	}
}

// A topic that is dropped and held again is another one: neither the mark nor a
// token of before is good for it.
func TestHistoryGenerations(t *testing.T) {
	h := settled(t, "a", "b")
	h.drop([]string{"a"})
	h.add([]string{"a"})
	if !h.waits([]string{"b", "a"}) || h.waits([]string{"b"}) {
		t.Error("what waits is wrong")
	}
	wantTopics(t, "asked", h.wanted.take(2), "a")
	h.drop([]string{"a"})
	h.add([]string{"a"})
	h.drop([]string{"a"})
	h.add([]string{"a"})
	wantTopics(t, "asked again, once", h.wanted.take(3), "a")
	if _, _, others := h.confirm(2); others != nil || !h.waits([]string{"a"}) {
		t.Errorf("an old token confirms %q", others)
	}
	h.markAt(110, 0, 0)
	h.end(false)
	h.connect(7, true, set("a", "b"), 4)
	wantTopics(t, "in force at the mark", h.old(set("a", "b")), "b")
	h.drop([]string{"a", "b", "never held"})
	if h.wanted.pending != 0 {
		t.Errorf("%d pending of nothing", h.wanted.pending)
	}
}

// Somebody whose Subscribe was overtaken by the end of the connection relies on
// the topic; not on what was confirmed, nor on what isn't held.
func TestHistoryRely(t *testing.T) {
	h := settled(t, "a")
	h.add([]string{"b", "c"})
	h.end(false)
	for _, topic := range []string{"a", "b", "x"} {
		h.wanted.rely(topic)
	}
	h.connect(7, true, set("a", "b", "c"), 2)
	h.from(fromHead, 0)
	h.wanted.take(2)
	_, relied, others := h.confirm(math.MaxUint64 - 1)
	wantTopics(t, "relied on", relied, "b")
	wantTopics(t, "others", others, "c")
}

// Topics that come and go while nobody asks leave nothing behind.
func TestWantedStaysSmall(t *testing.T) {
	var w wanted
	for i := range 100000 {
		topic := fmt.Sprint(i)
		w.put(topic)
		if i >= 10 {
			w.drop(fmt.Sprint(i - 10))
		}
	}
	if len(w.todo) > 4*keepWanted || w.pending != 10 {
		t.Errorf("%d on the list for %d topics", len(w.todo), w.pending)
	}
	if got := w.take(1); len(got) != 10 {
		t.Errorf("asks for %q", got)
	}
	for i := range 20000 {
		w.put(fmt.Sprint("t", i))
	}
	w.take(2)
	w.confirm(2)
	w.settle()
	if w.topics != nil || w.asked != nil || w.done != nil || w.pending != 0 {
		t.Errorf("of topics in force %d, %d, %d and %d are kept", len(w.topics), len(w.asked), len(w.done), w.pending)
	}
}

// One topic costs the same whether 20,000 others are held or not.
func BenchmarkSubscribeOneByOne(b *testing.B) {
	for _, others := range []int{0, 20000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			h := newHistory("p")
			held := set()
			for i := range others {
				held[fmt.Sprint(i)] = struct{}{}
			}
			h.connect(7, true, held, 1)
			h.wanted.take(1)
			h.confirm(1)
			h.markAt(1, 0, 0)
			token := uint64(1)
			for b.Loop() {
				token++
				h.add([]string{"x"})
				h.wanted.take(token)
				h.confirm(token)
				h.markAt(token, 0, 0)
				h.drop([]string{"x"})
			}
		})
	}
}
