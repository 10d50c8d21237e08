package cli

import (
	"strings"
	"syscall"
	"testing"
)

// With --count, the status is 0 only if so many came.
func TestSubCount(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	publish := func() {
		t.Helper()
		if r := run(t, "", site.args("pub", "--action", "set")...); r.status != 0 {
			t.Fatalf("pub: %+v", r)
		}
	}
	sub := site.subscribe(t, "--count", "2", "--timeout", "700ms")
	publish()
	if r := sub.wait(t); r.status != 1 || !strings.HasSuffix(r.stderr, "wyvern: got 1 of 2 events in 700ms\n") {
		t.Errorf("too few: %+v", r)
	}
	sub = site.subscribe(t, "--count", "2")
	publish()
	sub.signal(t, syscall.SIGINT)
	if r := sub.wait(t); r.status != 1 || !strings.Contains(r.stderr, " of 2 events\n") {
		t.Errorf("interrupted: %+v", r)
	}
	service.end(t)
}

// Without --count, it is over when somebody says so.
func TestSubEnd(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		sub := site.subscribe(t)
		sub.signal(t, s)
		if r := sub.wait(t); r.status != 0 {
			t.Errorf("%v: %+v", s, r)
		}
	}
	if r := run(t, "", site.args("sub", "--timeout", "500ms")...); r.status != 0 || r.stdout != "" {
		t.Errorf("timeout: %+v", r)
	}
	service.end(t)
}

func TestSubNobody(t *testing.T) {
	site := newSite(t)
	r := run(t, "", site.args("sub", "--timeout", "200ms")...)
	if r.status != 1 || !strings.HasPrefix(r.stderr, "wyvern: no connection to "+site.uri+" in 200ms\nhint: ") {
		t.Errorf("%+v", r)
	}
	r = run(t, "", site.args("sub", "--connect", "nonsense")...)
	if r.status != 1 || !strings.Contains(r.stderr, "\nhint: ") {
		t.Errorf("%+v", r)
	}
}

func TestSubText(t *testing.T) {
	site := newSite(t)
	service := site.serve(t)
	sub := site.subscribe(t, "--count", "1", "-o", "text", "--connect", site.uri)
	if r := run(t, "", site.args("pub", "--action", "set", "--table", "lport", "--key", "1", "--version", "2", "--value", "{}")...); r.status != 0 {
		t.Fatalf("pub: %+v", r)
	}
	if r := sub.wait(t); r.status != 0 || r.stdout != "D set lport 1 version 2 {}\n" {
		t.Errorf("%+v", r)
	}
	service.end(t)
}
