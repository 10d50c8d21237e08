package zmtp

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	tests := []struct {
		name, in, command, data, fault string
	}{
		{name: "ready", in: "\x05READYabc", command: "READY", data: "abc"},
		{name: "no data", in: "\x04PONG", command: "PONG"},
		{name: "unknown is fine", in: "\x03fooBAR", command: "foo", data: "BAR"},
		{name: "longest name", in: "\xff" + strings.Repeat("n", 255), command: strings.Repeat("n", 255)},
		{name: "empty", in: "", fault: "empty"},
		{name: "empty name", in: "\x00abc", fault: "name is empty"},
		{name: "name past the end", in: "\x05READ", fault: "name of 5 bytes in a body of 5"},
		{name: "digit", in: "\x02A1", fault: "letters"},
		{name: "control", in: "\x02A\n", fault: `A\x0a`},
		{name: "at sign, next to A", in: "\x01@", fault: "letters"},
		{name: "bracket, next to Z", in: "\x01[", fault: "letters"},
		{name: "backquote, next to a", in: "\x01`", fault: "letters"},
		{name: "brace, next to z", in: "\x01{", fault: "letters"},
		{name: "high bit", in: "\x01\xc1", fault: "letters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, data, err := ParseCommand([]byte(tt.in))
			if tt.fault != "" {
				wantKind(t, err, KindCommand, tt.fault)
				return
			}
			if err != nil || string(name) != tt.command || string(data) != tt.data {
				t.Errorf("got %q %q %v, want %q %q", name, data, err, tt.command, tt.data)
			}
		})
	}
}

func TestAppendCommand(t *testing.T) {
	if got, want := string(AppendCommand([]byte("x"), "PONG", []byte("ab"))), "x\x04\x07\x04PONGab"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := AppendCommand(nil, "SUBSCRIBE", make([]byte, 246))
	if want := "\x06\x00\x00\x00\x00\x00\x00\x01\x00\x09SUBSCRIBE"; string(long[:19]) != want || len(long) != 9+256 {
		t.Errorf("256 bytes: got %q of %d, want %q", long[:19], len(long), want)
	}
	for _, name := range []string{"", "A1", "a b", strings.Repeat("n", 256)} {
		mustPanic(t, "name "+name, func() { AppendCommand(nil, name, nil) })
	}
}

func TestErrorCommand(t *testing.T) {
	long := strings.Repeat("r", 300)
	for _, tt := range []struct{ reason, wire, parsed string }{
		{"", "\x04\x07\x05ERROR\x00", ""},
		{"Invalid-type", "\x04\x13\x05ERROR\x0cInvalid-type", "Invalid-type"},
		{"with space", "\x04\x11\x05ERROR\x0awith space", "with space"},
		{"a\nb\xff", "\x04\x0b\x05ERROR\x04a?b?", "a?b?"},
		{long, "\x06\x00\x00\x00\x00\x00\x00\x01\x06\x05ERROR\xff" + long[:255], long[:255]},
	} {
		got := AppendError(nil, tt.reason)
		if string(got) != tt.wire {
			t.Errorf("%q: got %q, want %q", tt.reason, got, tt.wire)
		}
		f, _, _, err := ParseFrame(got, 1000)
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := ParseCommand(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		if reason, err := ParseError(data); err != nil || reason != tt.parsed {
			t.Errorf("%q: parsed %q, %v, want %q", tt.reason, reason, err, tt.parsed)
		}
	}
	if reason, err := ParseError([]byte("\x03a\x1b\xff")); err != nil || reason != `a\x1b\xff` {
		t.Errorf("hostile reason: got %q, %v", reason, err)
	}
	for _, data := range []string{"", "\x01", "\x00x", "\x05abcd"} {
		_, err := ParseError([]byte(data))
		wantKind(t, err, KindCommand, "reason")
	}
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte("\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"))
	f.Add([]byte("\x05ERROR\x03bad"))
	f.Add([]byte("\x04PING\x00\x1eabc"))
	f.Add([]byte("\x04PONG"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		name, data, err := ParseCommand(body)
		if err != nil {
			wantSafe(t, err.(*ProtocolError))
			return
		}
		frame := AppendCommand(nil, string(name), data)
		if !bytes.HasSuffix(frame, body) || len(frame) != FrameSize(len(body)) {
			t.Fatalf("written back as %q, was %q", frame, body)
		}
		if reason, err := ParseError(data); err == nil {
			wantSafe(t, &ProtocolError{Kind: KindPeerError, Detail: reason})
		}
		if ttl, context, err := ParsePing(data); err == nil {
			if got := AppendPing(nil, ttl, context); !bytes.HasSuffix(got, data) {
				t.Fatalf("ping written back as %q, was %q", got, data)
			}
		}
		m, err := ParseMetadata(data)
		if err != nil {
			wantSafe(t, err.(*ProtocolError))
			return
		}
		if got := AppendMetadata(nil, m); !bytes.Equal(got, data) {
			t.Fatalf("metadata written back as %q, was %q", got, data)
		}
	})
}
