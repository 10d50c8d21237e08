package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// lines decodes what sub printed.
func lines(t *testing.T, out string) []wyvern.Event {
	t.Helper()
	var events []wyvern.Event
	for line := range strings.Lines(out) {
		var e wyvern.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// An event goes from a worker to a node, through the service.
func TestPubSub(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	sub := site.subscribe(t, "--count", "1")
	r := run(t, "", site.args("pub", "--table", "lport", "--key", "17", "--action", "set", "--value", `{"id":"17"}`, "--version", "3")...)
	if r.status != 0 || r.stdout != "" || r.stderr != "" {
		t.Errorf("pub: %+v", r)
	}
	r = sub.wait(t)
	got := lines(t, r.stdout)
	if r.status != 0 || len(got) != 1 {
		t.Fatalf("sub: %+v", r)
	}
	e := got[0]
	if e.Table != "lport" || e.Key != "17" || e.Action != "set" || e.Value != `{"id":"17"}` || e.Topic != "D" || e.Version != 3 ||
		e.Publisher != "test" || e.Epoch == 0 || e.Seq != 1 {
		t.Errorf("event: %+v", e)
	}
	service.end(t)
}

// A file goes in order, and each subscriber gets the topics that it holds.
func TestPubFile(t *testing.T) {
	const n = 300
	site := newSite(t)
	service := site.serve(t)
	all := site.subscribe(t, "--topic", "D", "--topic", "a", "--topic", "ab", "--count", fmt.Sprint(3*n))
	one := site.subscribe(t, "--topic", "a", "--count", fmt.Sprint(n))
	file := filepath.Join(site.dir, "events.jsonl")
	var text strings.Builder
	for i := range n {
		for _, topic := range []string{"D", "a", "ab"} {
			fmt.Fprintf(&text, `{"table":"t","key":"%d","action":"create","value":null,"topic":"%s","version":%d}`+"\n\n", i, topic, i+1)
		}
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, "", site.args("pub", "--from", file, "-o", "json")...)
	var sum struct {
		Accepted   int
		HandedOver bool `json:"handed_over"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &sum); err != nil || r.status != 0 || sum.Accepted != 3*n || !sum.HandedOver {
		t.Errorf("pub: %+v", r)
	}
	for name, sub := range map[string]*process{"all": all, "one": one} {
		r := sub.wait(t)
		if r.status != 0 {
			t.Fatalf("%s: status %d\n%s", name, r.status, r.stderr)
		}
		next := map[string]uint64{}
		for _, e := range lines(t, r.stdout) {
			next[e.Topic]++
			if e.Seq != next[e.Topic] || e.Version != e.Seq || name == "one" && e.Topic != "a" {
				t.Fatalf("%s: %+v after %d", name, e, next[e.Topic]-1)
			}
		}
	}
	service.end(t)
}

// A bad line is named; what came before it was published.
func TestPubBadLine(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	good := `{"table":"t","key":"1","action":"set","topic":"D"}` + "\n"
	for name, tt := range map[string]struct{ bad, want string }{
		"syntax":   {"bad", "wyvern: standard input:3: not an event in JSON: "},
		"type":     {`{"table":1}`, "wyvern: standard input:3: not an event in JSON: "},
		"no topic": {`{"table":"t","action":"set"}`, "wyvern: standard input:3: publish: zmq ipc: invalid event: the topic is empty"},
		"large":    {`{"action":"set","topic":"D","value":"` + strings.Repeat("x", 2<<20) + `"}`, "payload too large: "},
		"endless":  {strings.Repeat("x", 8<<20), "wyvern: standard input:3: bufio.Scanner: token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			sub := site.subscribe(t, "--count", "1")
			r := run(t, good+"\n"+tt.bad+"\n"+good, site.args("pub", "--from", "-")...)
			if r.status != 1 || !strings.Contains(r.stderr, tt.want) {
				t.Errorf("status %d\n%.300s", r.status, r.stderr)
			}
			if r := sub.wait(t); r.status != 0 {
				t.Errorf("sub: %+v", r)
			}
		})
	}
	if r := run(t, "", site.args("pub", "--from", "/nowhere/x")...); r.status != 1 || r.stderr != "wyvern: open /nowhere/x: no such file or directory\n" {
		t.Errorf("no file: %+v", r)
	}
	service.end(t)
}

// Without a service, pub waits as long as it may, and fails.
func TestPubNoService(t *testing.T) {
	site := newSite(t)
	begin := time.Now()
	r := run(t, "", site.args("pub", "--action", "set", "--timeout", "300ms")...)
	if r.status != 1 || !strings.Contains(r.stderr, site.socket) || !strings.Contains(r.stderr, "\nhint: ") {
		t.Errorf("%+v", r)
	}
	if took := time.Since(begin); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// A service that comes late is waited for.
func TestPubEarly(t *testing.T) {
	site := newSite(t)
	pub := start(t, nil, site.args("pub", "--action", "set", "--timeout", "15s")...)
	pub.stderr.await(t, "waiting until they are taken")
	service := site.serve(t)
	if r := pub.wait(t); r.status != 0 || !strings.HasSuffix(r.stderr, "wyvern: published 1 events\n") {
		t.Errorf("%+v", r)
	}
	service.end(t)
}

// pipe is one of the system's: what ends at the writer ends at the process.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// A stream is published line by line, and says how far it is.
func TestPubStream(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	sub := site.subscribe(t, "--count", "2")
	r, w := pipe(t)
	pub := start(t, r, site.args("pub", "--from", "-")...)
	for i := range 2 {
		fmt.Fprintf(w, `{"table":"t","key":"%d","action":"set","topic":"D"}`+"\n", i)
	}
	if r := sub.wait(t); r.status != 0 { // although the stream goes on
		t.Errorf("sub: %+v", r)
	}
	pub.stderr.await(t, "wyvern: accepted 2 events, ")
	w.Close()
	if r := pub.wait(t); r.status != 0 {
		t.Errorf("pub: %+v", r)
	}
	service.end(t)
}

func TestPubInterrupted(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	r, w := pipe(t)
	pub := start(t, r, site.args("pub", "--from", "-")...)
	fmt.Fprintln(w, `{"table":"t","key":"1","action":"set","topic":"D"}`)
	pub.stderr.await(t, "wyvern: accepted 1 events, ")
	pub.signal(t, syscall.SIGINT)
	if r := pub.wait(t); r.status != 1 || !strings.Contains(r.stderr, "wyvern: interrupted\n") {
		t.Errorf("pub: %+v", r)
	}
	service.end(t)
}

// With --direct, or where the configuration has no service, pub is the
// publisher.
func TestPubDirect(t *testing.T) {
	for _, more := range [][]string{{"--direct"}, {"--set", "df.pub_sub_use_multiproc=false"}} {
		site := newSite(t)
		pub := start(t, nil, site.args("pub", append(more, "--action", "set", "--key", "1", "--wait-subscribers", "1", "--timeout", "15s")...)...)
		sub := start(t, nil, site.args("sub", "--count", "1", "--timeout", "15s")...)
		if r := sub.wait(t); r.status != 0 {
			t.Errorf("%v: sub: %+v", more, r)
		} else if got := lines(t, r.stdout); got[0].Publisher != "test" || got[0].Seq != 1 {
			t.Errorf("%v: %+v", more, got)
		}
		if r := pub.wait(t); r.status != 0 {
			t.Errorf("%v: pub: %+v", more, r)
		}
	}
}

func TestPubDirectAlone(t *testing.T) {
	site := newSite(t)
	r := run(t, "", site.args("pub", "--direct", "--action", "set", "--wait-subscribers", "2", "--timeout", "100ms")...)
	if r.status != 1 || !strings.Contains(r.stderr, "wyvern: wait for subscribers: 0 of 2 are connected") {
		t.Errorf("%+v", r)
	}
}
