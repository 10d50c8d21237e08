package zmtp

import (
	"bytes"
	"strings"
	"testing"
)

// The greeting in RFC 37's worked example.
var goldenGreeting = "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x01NULL" + strings.Repeat("\x00", 16+1+31)

// with returns the golden greeting with other bytes from an offset on.
func with(at int, s string) string {
	return goldenGreeting[:at] + s + goldenGreeting[at+len(s):]
}

func TestAppendGreeting(t *testing.T) {
	if got := AppendGreeting([]byte("x"), "NULL", false); string(got) != "x"+goldenGreeting {
		t.Errorf("got %q, want x and %q", got, goldenGreeting)
	}
	if got, want := AppendGreeting(nil, "CURVE", true), with(12, "CURVE"); string(got) != want[:32]+"\x01"+want[33:] {
		t.Errorf("curve server: got %q", got)
	}
	for _, name := range []string{"", "null", "A B", strings.Repeat("A", 21), "A\x00"} {
		mustPanic(t, "mechanism "+name, func() { AppendGreeting(nil, name, false) })
	}
}

// A greeting is accepted whole, or refused at the byte that proves the fault and not one later.
func TestGreeting(t *testing.T) {
	tests := []struct {
		name  string
		in    string
		kind  Kind // 0: accepted
		text  string
		at    int   // bytes needed to refuse it
		minor uint8 // when accepted
	}{
		{name: "ours", in: goldenGreeting, minor: 1},
		{name: "3.0", in: with(11, "\x00"), minor: 0},
		{name: "3.2", in: with(11, "\x02"), minor: 2},
		{name: "4.0 steps down to 3.1", in: with(10, "\x04\x00"), minor: 1},
		{name: "255.255", in: with(10, "\xff\xff"), minor: 1},
		{name: "padding as libzmq has it", in: with(8, "\x01"), minor: 1},
		{name: "padding is anything", in: with(1, "\xff\x7fGET /x"), minor: 1},
		{name: "filler of a later minor", in: with(11, "\x02NULL") + "", minor: 2},
		{name: "filler used by 3.2", in: func() string { s := with(11, "\x02"); return s[:63] + "\x09" }(), minor: 2},

		{name: "zero", in: "\x00", kind: KindSignature, at: 1},
		{name: "http", in: "GET / HTTP/1.1\r\n", kind: KindSignature, text: "0x47 0x45", at: 2},
		{name: "tls", in: "\x16\x03\x01\x02\x00", kind: KindSignature, at: 2},
		{name: "ssh", in: "SSH-2.0-OpenSSH", kind: KindSignature, at: 2},
		{name: "1.0 anonymous", in: "\x01\x00", kind: KindVersion, text: "zmtp 1.0", at: 2},
		{name: "1.0 with identity", in: "\x05\x00abcd", kind: KindVersion, text: "zmtp 1.0", at: 2},
		{name: "1.0 with long identity", in: "\xff\x00\x00\x00\x00\x00\x00\x01\x2c\x00", kind: KindVersion, text: "zmtp 1.0", at: 10},
		{name: "one then garbage", in: "\x01\x01", kind: KindSignature, at: 2},
		{name: "wrong end of signature", in: with(9, "\x7e"), kind: KindSignature, text: "0x7e", at: 10},
		{name: "odd end of signature", in: with(9, "\x01"), kind: KindSignature, at: 10},
		{name: "revision 0", in: with(10, "\x00"), kind: KindVersion, text: "zmtp 1.0", at: 11},
		{name: "2.0 PUB", in: with(10, "\x01\x01\x00\x00")[:14], kind: KindVersion, text: "zmtp 2.0", at: 11},
		{name: "2.0 revision 2", in: with(10, "\x02"), kind: KindVersion, text: "zmtp 2.0", at: 11},
		{name: "mechanism lower case", in: with(12, "null"), kind: KindMechanism, text: "0x6e", at: 13},
		{name: "mechanism empty", in: with(12, "\x00"), kind: KindMechanism, text: "empty", at: 13},
		{name: "mechanism with a space", in: with(16, " "), kind: KindMechanism, at: 17},
		{name: "mechanism after its padding", in: with(17, "X"), kind: KindMechanism, text: "padding", at: 18},
		{name: "mechanism of the last byte", in: with(31, "X"), kind: KindMechanism, text: "padding", at: 32},
		{name: "another mechanism", in: with(12, "CURVE"), kind: KindMechanism, text: `"CURVE"`, at: 32},
		{name: "longer mechanism", in: with(12, "NULL2"), kind: KindMechanism, text: `"NULL2"`, at: 32},
		{name: "shorter mechanism", in: with(12, "NUL\x00"), kind: KindMechanism, text: `"NUL"`, at: 32},
		{name: "full mechanism", in: with(12, strings.Repeat("Z", 20)), kind: KindMechanism, text: "ZZ", at: 32},
		{name: "as-server with NULL", in: with(32, "\x01"), kind: KindGreeting, text: "as-server", at: 33},
		{name: "as-server 2", in: with(32, "\x02"), kind: KindGreeting, text: "as-server", at: 33},
		{name: "filler, first", in: with(33, "\x01"), kind: KindGreeting, text: "filler", at: 34},
		{name: "filler, last", in: with(63, "\x01"), kind: KindGreeting, text: "filler", at: 64},
		{name: "filler in 3.0", in: with(11, "\x00")[:63] + "\x01", kind: KindGreeting, text: "filler", at: 64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHandshake(HandshakeConfig{SocketType: Pub, AsServer: true})
			h.Start(nil)
			out, n, err := h.Input(nil, []byte(tt.in))
			if tt.kind == 0 {
				if err != nil || n != GreetingSize || len(out) != 0 {
					t.Fatalf("got %d bytes, out %q, error %v, want all accepted", n, out, err)
				}
				if p := h.Peer(); p.Major != 3 || p.Minor != tt.minor || p.Mechanism != "NULL" {
					t.Errorf("peer: got %+v, want 3.%d NULL", p, tt.minor)
				}
				return
			}
			wantKind(t, err, tt.kind, tt.text)
			if n != tt.at {
				t.Errorf("refused at byte %d, want %d", n, tt.at)
			}
			if len(out) != 0 {
				t.Errorf("replied %q, want nothing", out)
			}
			// Refused for good.
			if _, n, again := h.Input(nil, []byte(goldenGreeting)); again != err || n != 0 {
				t.Errorf("after the error: got %d, %v, want 0, %v", n, again, err)
			}
			h = NewHandshake(HandshakeConfig{SocketType: Pub})
			if _, _, err := h.Input(nil, []byte(tt.in)[:tt.at-1]); err != nil {
				t.Errorf("refused before the byte that proves it: %v", err)
			}
		})
	}
}

// Every prefix of an accepted greeting asks for more, with nothing said but what Start gave.
func TestGreetingPrefix(t *testing.T) {
	for n := range GreetingSize {
		h := NewHandshake(HandshakeConfig{SocketType: Sub})
		out, took, err := h.Input(nil, []byte(goldenGreeting)[:n])
		if err != nil || took != n || h.Done() || !bytes.Equal(out, []byte(goldenGreeting)) {
			t.Fatalf("%d bytes: got %q, %d, %v", n, out, took, err)
		}
	}
}
