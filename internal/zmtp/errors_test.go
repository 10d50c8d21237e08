package zmtp

import (
	"errors"
	"strings"
	"testing"
)

// wantKind fails unless err is a *ProtocolError of this kind whose detail has the text, and whose line is safe to log.
func wantKind(t *testing.T, err error, kind Kind, text string) {
	t.Helper()
	var pe *ProtocolError
	if !errors.As(err, &pe) {
		t.Fatalf("error: got %v, want a ProtocolError of kind %q", err, kind)
	}
	if pe.Kind != kind || !strings.Contains(pe.Detail, text) {
		t.Fatalf("error: got %q, want kind %q with %q", err, kind, text)
	}
	wantSafe(t, pe)
}

func wantSafe(t *testing.T, pe *ProtocolError) {
	t.Helper()
	line := pe.Error()
	if len(line) > 1200 {
		t.Errorf("error line has %d bytes, want at most 1200", len(line))
	}
	if pe.Kind == 0 || pe.Detail == "" && pe.Kind != KindPeerError {
		t.Errorf("error %#v lacks kind or detail", pe)
	}
	for i := range len(line) {
		if line[i] < 0x20 || line[i] > 0x7e {
			t.Errorf("error line %q has byte %#02x", line, line[i])
		}
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestErrorLine(t *testing.T) {
	err := error(&ProtocolError{Kind: KindTooLarge, Detail: "frame of 3 bytes"})
	if got, want := err.Error(), "zmtp: too large: frame of 3 bytes"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for k := KindSignature; k <= KindPeerError; k++ {
		if s := k.String(); s != strings.ToLower(s) || strings.HasPrefix(s, "kind ") {
			t.Errorf("kind %d is called %q", k, s)
		}
	}
	if got := Kind(200).String(); got != "kind 200" {
		t.Errorf("unknown kind: got %q", got)
	}
}

func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"no such thing", "no such thing"},
		{"a\nb\x00\xff\x7f", `a\x0ab\x00\xff\x7f`},
		{`a\n`, `a\\n`},
		{strings.Repeat("x", 20), strings.Repeat("x", 20)},
		{strings.Repeat("x", 21), strings.Repeat("x", 20) + "..."},
	} {
		if got := escape(tt.in, 20); got != tt.want {
			t.Errorf("escape(%q): got %q, want %q", tt.in, got, tt.want)
		}
	}
}
