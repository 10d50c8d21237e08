package demo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/drivertest"
	"github.com/wyvern-pubsub/wyvern/internal/workload"
)

func TestMain(m *testing.M) { drivertest.Main(m) }

// object returns a version of an object, as a node or a worker would have it.
func object(key string, version uint64, value string) Object {
	return Object{Topic: "D", Table: "t", Key: key, Version: version, Sum: sum("t", key, version, value), Deleted: value == ""}
}

// Whatever the order of the events, the highest versions are held in the end.
func TestObjectsOrder(t *testing.T) {
	g := workload.New(3, workload.Options{Tenants: 3})
	var all []Object
	for range 3000 {
		_, c := g.Next()
		all = append(all, Object{
			Topic: c.Topic, Table: c.Table, Key: c.Key, Version: c.Version,
			Sum: sum(c.Table, c.Key, c.Version, c.Value), Deleted: c.Action == workload.Delete,
		})
	}
	inOrder, shuffled := newObjects(), newObjects()
	for _, o := range all {
		if !inOrder.put(o) {
			t.Fatalf("refused in order: %+v", o)
		}
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, o := range all {
		shuffled.put(o)
		shuffled.put(o) // twice is once
	}
	topics := append(g.Topics(), workload.Everyone)
	if inOrder.differ(shuffled.digests, topics) {
		t.Error("the digests depend on the order")
	}
	if d := inOrder.differences(shuffled.list(), topics); d != nil {
		t.Errorf("the objects depend on the order: %q", d)
	}
	if inOrder.live() == 0 || inOrder.live() == len(inOrder.held) {
		t.Errorf("%d of %d are live", inOrder.live(), len(inOrder.held))
	}
}

// Every way in which a node can differ is noticed by the digest, and told.
func TestDifferences(t *testing.T) {
	published := newObjects()
	for _, o := range []Object{object("a", 1, "x"), object("b", 2, "y"), object("c", 3, "")} {
		published.put(o)
	}
	elsewhere := object("a", 1, "x")
	elsewhere.Topic = "E"
	for _, tt := range []struct {
		name string
		node []Object
		want string
	}{
		{"the same", []Object{object("a", 1, "x"), object("b", 2, "y"), object("c", 3, "")}, ""},
		{"deletion unknown", []Object{object("a", 1, "x"), object("b", 2, "y")}, ""},
		{"older", []Object{object("a", 1, "x"), object("b", 1, "y")}, "t b is at version 1, published was 2"},
		{"newer", []Object{object("a", 2, "x"), object("b", 2, "y")}, "t a is at version 2, published was 1"},
		{"missing", []Object{object("a", 1, "x")}, "t b is missing, published was version 2"},
		{"deleted", []Object{object("a", 1, "x"), object("b", 3, "")}, "t b is at version 3, published was 2"},
		{"not deleted", []Object{object("a", 1, "x"), object("b", 2, "y"), object("c", 2, "z")}, "t c is at version 2 and was deleted at 3"},
		{"other value", []Object{object("a", 1, "x"), object("b", 2, "z")}, "t b has another value than was published"},
		{"invented", []Object{object("a", 1, "x"), object("b", 2, "y"), object("d", 1, "z")}, "t d was never published"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := newObjects()
			for _, o := range tt.node {
				node.put(o)
			}
			if got := published.differ(node.digests, []string{"D"}); got != (tt.want != "") {
				t.Errorf("the digest says %v", got)
			}
			if got := strings.Join(published.differences(node.list(), []string{"D"}), "\n"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := published.differences([]Object{elsewhere}, nil); len(got) != 1 || !strings.Contains(got[0], "does not hold") {
		t.Errorf("another topic: %q", got)
	}
}

// What is deleted is remembered for a while, and then not.
func TestGraves(t *testing.T) {
	s := newObjects()
	now := time.Now()
	s.now = func() time.Time { return now }
	s.put(object("a", 1, "x"))
	s.put(object("a", 2, ""))
	now = now.Add(graveTime)
	s.put(object("b", 1, ""))
	if s.put(object("a", 1, "x")) {
		t.Error("a late event brought an object back")
	}
	s.put(object("other", 1, "x"))
	s.bury(object("other", 1, "x").id())
	now = now.Add(graveTime + time.Second)
	s.put(object("c", 1, ""))
	if len(s.held) != 1 || len(s.graves) != 1 || s.live() != 0 {
		t.Errorf("held: %v, %d graves", s.held, len(s.graves))
	}
}

func TestHistogram(t *testing.T) {
	for _, d := range []time.Duration{0, time.Microsecond, 7 * time.Microsecond, 8 * time.Microsecond, 15 * time.Microsecond,
		16 * time.Microsecond, 1234 * time.Microsecond, 5 * time.Second, time.Hour} {
		b := bucket(d)
		if up := upper(b); up <= d || up > d+d/8+time.Microsecond {
			t.Errorf("%v is in the bucket up to %v", d, up)
		}
		if b > 0 && upper(b-1) > d {
			t.Errorf("%v is not in its bucket's predecessor, up to %v", d, upper(b-1))
		}
	}
	if bucket(-time.Second) != 0 {
		t.Error("clocks may go back")
	}
	var h, other Histogram
	if q := h.quantiles(); q != (Quantiles{}) {
		t.Errorf("empty: %+v", q)
	}
	for i := range 1000 {
		h.add(time.Duration(i) * time.Millisecond)
	}
	other.add(10 * time.Second)
	h.merge(other)
	q := h.quantiles()
	near := func(got, want time.Duration) bool { return got >= want && got <= want+want/8 }
	if !near(q.P50, 500*time.Millisecond) || !near(q.P99, 990*time.Millisecond) || !near(q.Max, 10*time.Second) {
		t.Errorf("got %+v", q)
	}
}

func TestStamp(t *testing.T) {
	at := time.UnixMicro(1234567890123456)
	value := stamp(`{"id":"1"}`, at)
	if value != `{"published_at":1234567890123456,"id":"1"}` {
		t.Errorf("got %s", value)
	}
	if got, ok := stamped(value); !ok || !got.Equal(at) {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, none := range []string{"", "{}", `{"id":"1"}`} {
		if _, ok := stamped(none); ok {
			t.Errorf("a time in %q", none)
		}
	}
	if stamp("", at) != "" {
		t.Error("a deletion got a value")
	}
}

// Every node holds D and some tenants, and the same for the same seed.
func TestAssign(t *testing.T) {
	o := Options{Workers: 2, Nodes: 20, Seed: 5}
	first, second := assign(o), assign(o)
	held := map[string]bool{}
	for i, topics := range first {
		if topics[0] != workload.Everyone || len(topics) < 3 {
			t.Errorf("node %d holds %v", i, topics)
		}
		if fmt.Sprint(topics) != fmt.Sprint(second[i]) {
			t.Errorf("node %d: another time, other topics", i)
		}
		for _, topic := range topics {
			held[topic] = true
		}
	}
	if len(held) < o.tenants()/2 {
		t.Errorf("only %d of %d tenants are held by a node", len(held), o.tenants())
	}
}

func TestPace(t *testing.T) {
	var p pace
	start := time.Now()
	if p.rate() != 0 {
		t.Error("a rate without samples")
	}
	for i := range 20 {
		p.add(start.Add(time.Duration(i)*500*time.Millisecond), uint64(i*i))
	}
	// The last two seconds: from 15² to 19².
	if got := p.rate(); got != (19*19-15*15)/2.0 {
		t.Errorf("got %v", got)
	}
}

func TestVerdictString(t *testing.T) {
	v := Verdict{Converged: true, Nodes: 10, ConvergedNodes: 10, Workers: 4, Published: 7, Received: 9, Objects: 3,
		Lag: Quantiles{P50: 123456 * time.Nanosecond, P99: 12345678 * time.Nanosecond}}
	want := "verdict: converged: 10 of 10 nodes hold what 4 workers published: 7 events, 3 objects; 9 deliveries, lag p50 120µs p99 12.3ms"
	if got := v.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	v.Converged, v.ConvergedNodes, v.Resyncs = false, 9, 2
	v.add("node 3", []string{"1", "2", "3", "4", "5", "6", "7"})
	got := v.String()
	for _, want := range []string{"verdict: not converged: 9 of 10", ", 2 resyncs\n", "\n  node 3 differs in 7 objects\n    1\n", "\n    5\n    and 2 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestScreen(t *testing.T) {
	rows := []row{
		{name: "worker 1", pid: 17, events: 5, rate: 2.4},
		{name: allWorkers, events: 5, rate: 2.4, note: "behind by 1s"},
		{name: allNodes, events: 9, rate: 3, lag: Quantiles{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}},
	}
	t.Run("line", func(t *testing.T) {
		var out bytes.Buffer
		s := newScreen(&out)
		s.show(rows, "1s of 9s", false)
		s.show(rows, "done", true)
		want := "demo: 1s of 9s; published 5, 2/s, behind by 1s; delivered 9, 3/s, lag p50 1ms p99 2ms\n"
		if out.String() != want {
			t.Errorf("got  %qwant %q", &out, want)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		var out bytes.Buffer
		s := newScreen(&out)
		height := 24
		s.size = func() (int, int, error) { return 40, height, nil }
		s.show(rows, "1s of 9s", false)
		first := out.String()
		if strings.Count(first, "\n") != 5 || !strings.Contains(first, "\nworker 1           17          5") {
			t.Errorf("got\n%s", first)
		}
		for line := range strings.Lines(first) {
			if len(line) > 40 {
				t.Errorf("too wide: %q", line)
			}
		}
		out.Reset()
		height = 6
		s.show(rows, "2s of 9s", false)
		if got := out.String(); !strings.HasPrefix(got, "\x1b[5A\x1b[J") || strings.Count(got, "\n") != 4 || !strings.HasSuffix(got, "and 2 more\n") {
			t.Errorf("got %q", got)
		}
		out.Reset()
		s.say("something")
		s.show(rows, "3s of 9s", false)
		if got := out.String(); !strings.HasPrefix(got, "demo: something\nwyvern demo: 3s") {
			t.Errorf("got %q", got)
		}
	})
}

func TestTail(t *testing.T) {
	var tail tail
	for i := range 10000 {
		fmt.Fprintf(&tail, "wyvern: line %d\n", i)
	}
	if got := tail.String(); got != "line 9997; line 9998; line 9999" {
		t.Errorf("got %q", got)
	}
	if len(tail.text) > 2*tailBytes {
		t.Errorf("it keeps %d bytes", len(tail.text))
	}
}
