package redis

import (
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// TestCompare: what is gone before it was read is found, and nothing else.
func TestCompare(t *testing.T) {
	at := func(ms, added uint64) position { return position{id{ms, 0}, added, true} }
	uncounted := func(ms uint64) position { return position{id: id{ms, 0}} }
	stream := func(first, last, length, added uint64) state {
		return state{exists: true, first: id{first, 0}, last: id{last, 0}, length: length, added: added, counts: true}
	}
	old := func(first, last, length uint64) state {
		s := stream(first, last, length, 0)
		s.counts = false
		return s
	}
	none := driver.NoNotice
	for _, c := range []struct {
		name string
		p    position
		s    state
		want finding
	}{
		{"nothing yet", position{counted: true}, state{}, finding{}},
		{"the first entries", position{counted: true}, stream(1, 3, 3, 3), finding{}},
		{"all read", at(5, 5), stream(1, 5, 5, 5), finding{}},
		{"all read, then trimmed", at(5, 5), stream(0, 5, 0, 5), finding{}},
		{"more to read", at(5, 5), stream(1, 9, 9, 9), finding{}},
		{"trimmed up to here", at(5, 5), stream(6, 9, 4, 9), finding{}},
		{"trimmed past here", at(5, 5), stream(7, 9, 3, 9), finding{notice: driver.Behind, more: 1}},
		{"trimmed past here, rest read", at(9, 8), stream(7, 9, 3, 9), finding{notice: driver.Behind, more: 1}},
		{"trimmed to nothing past here", at(5, 5), stream(0, 9, 0, 9), finding{notice: driver.Behind, reset: true, to: at(9, 9)}},
		{"removed", at(5, 5), state{}, finding{notice: driver.Gap, reset: true, to: position{counted: true}}},
		{"an older state", at(9, 9), stream(1, 5, 5, 5), finding{notice: driver.Gap, reset: true, to: at(5, 5)}},
		{"another stream, by the count", at(5, 5), stream(7, 8, 2, 2), finding{notice: driver.Gap, reset: true, to: uncounted(5)}},
		{"another one, read meanwhile", at(8, 7), stream(7, 8, 2, 2), finding{notice: driver.Gap, reset: true, to: at(8, 2)}},
		{"the count is known again", uncounted(8), stream(7, 8, 2, 2), finding{notice: none, reset: true, to: at(8, 2)}},
		{"a server without counts", uncounted(5), old(1, 9, 9), finding{}},
		{"the same, trimmed to nothing", uncounted(5), old(0, 9, 0), finding{notice: driver.Behind, reset: true, to: uncounted(9)}},
		{"the same, an older state", uncounted(9), old(1, 5, 5), finding{notice: driver.Gap, reset: true, to: uncounted(5)}},
	} {
		if got := compare(c.p, c.s); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestParseID(t *testing.T) {
	for text, want := range map[string]bool{"1-2": true, "18446744073709551615-0": true, "1": false, "-": false, "a-1": false, "1-2-3": false} {
		got, ok := parseID(text)
		if ok != want || ok && got.String() != text {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	if a, b := (id{1, 9}), (id{2, 0}); !a.less(b) || b.less(a) || a.less(a) || !a.less(id{1, 10}) {
		t.Error("ids are in a wrong order")
	}
}
