package zmtp

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestPing(t *testing.T) {
	for _, tt := range []struct {
		ttl  time.Duration
		wire string
		back time.Duration
	}{
		{0, "\x00\x00", 0},
		{-time.Second, "\x00\x00", 0},
		{math.MinInt64, "\x00\x00", 0},
		{1, "\x00\x01", 100 * time.Millisecond},
		{100 * time.Millisecond, "\x00\x01", 100 * time.Millisecond},
		{100*time.Millisecond + 1, "\x00\x02", 200 * time.Millisecond},
		{3 * time.Second, "\x00\x1e", 3 * time.Second},
		{6553500 * time.Millisecond, "\xff\xff", 6553500 * time.Millisecond},
		{6553500*time.Millisecond + 1, "\xff\xff", 6553500 * time.Millisecond},
		{math.MaxInt64, "\xff\xff", 6553500 * time.Millisecond},
	} {
		got := AppendPing(nil, tt.ttl, []byte("ctx"))
		if want := "\x04\x0a\x04PING" + tt.wire + "ctx"; string(got) != want {
			t.Errorf("%v: got %q, want %q", tt.ttl, got, want)
		}
		ttl, context, err := ParsePing(got[7:])
		if err != nil || ttl != tt.back || string(context) != "ctx" {
			t.Errorf("%v: parsed %v %q %v, want %v", tt.ttl, ttl, context, err, tt.back)
		}
	}
}

func TestHeartbeatContext(t *testing.T) {
	full, over := strings.Repeat("c", 16), []byte(strings.Repeat("c", 17))
	if got, want := string(AppendPong(nil, []byte(full))), "\x04\x15\x04PONG"+full; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := string(AppendPong(nil, nil)), "\x04\x05\x04PONG"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, context, err := ParsePing([]byte("\x00\x00" + full)); err != nil || string(context) != full {
		t.Errorf("16 bytes: got %q, %v", context, err)
	}
	if context, err := ParsePong([]byte(full)); err != nil || string(context) != full {
		t.Errorf("16 bytes: got %q, %v", context, err)
	}
	_, _, err := ParsePing(append([]byte("\x00\x00"), over...))
	wantKind(t, err, KindCommand, "17 bytes")
	_, err = ParsePong(over)
	wantKind(t, err, KindCommand, "17 bytes")
	for _, data := range []string{"", "\x00"} {
		_, _, err := ParsePing([]byte(data))
		wantKind(t, err, KindCommand, "without a ttl")
	}
	mustPanic(t, "ping context", func() { AppendPing(nil, 0, over) })
	mustPanic(t, "pong context", func() { AppendPong(nil, over) })
}
