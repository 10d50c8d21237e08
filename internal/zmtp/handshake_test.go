package zmtp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// RFC 37's worked example: READY of a DEALER with an empty Identity, and of a ROUTER.
const (
	goldenDealer = "\x04\x29\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
	goldenRouter = "\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER"
)

func ready(properties ...Property) string {
	return string(AppendCommand(nil, CommandReady, AppendMetadata(nil, properties)))
}

// run feeds in, cut into pieces whose lengths cuts gives in turn, until an error or Done.
func run(h *Handshake, in []byte, cuts []byte) (out []byte, n int, err error) {
	out = h.Start(nil)
	for i := 0; n < len(in) && err == nil && !h.Done(); i++ {
		size := len(in)
		if len(cuts) > 0 {
			size = int(cuts[i%len(cuts)])%80 + 1
		}
		piece := bytes.Clone(in[n:min(n+size, len(in))])
		var took int
		out, took, err = h.Input(out, piece)
		n += took
		clear(piece) // Input keeps nothing of it
		if took < len(piece) && err == nil && !h.Done() {
			return out, n, errors.New("input left bytes without a reason")
		}
	}
	return out, n, err
}

func TestHandshakeGolden(t *testing.T) {
	client := NewHandshake(HandshakeConfig{SocketType: Dealer, Properties: Metadata{{"Identity", ""}}})
	server := NewHandshake(HandshakeConfig{SocketType: Router, AsServer: true})
	out, n, err := run(server, []byte(goldenGreeting+goldenDealer+"traffic"), nil)
	if err != nil || string(out) != goldenGreeting+goldenRouter || n != 64+43 || !server.Done() {
		t.Errorf("server: got %q, %d, %v, done %v", out, n, err, server.Done())
	}
	want := Peer{3, 1, Dealer, Metadata{{"Socket-Type", "DEALER"}, {"Identity", ""}}, "NULL"}
	if got := server.Peer(); !reflect.DeepEqual(got, want) {
		t.Errorf("peer of the server: got %+v, want %+v", got, want)
	}
	out, n, err = run(client, []byte(goldenGreeting+goldenRouter+"traffic"), nil)
	if err != nil || string(out) != goldenGreeting+goldenDealer || n != 64+30 || !client.Done() {
		t.Errorf("client: got %q, %d, %v, done %v", out, n, err, client.Done())
	}
	if client.Cipher() != nil || server.Cipher() != nil {
		t.Error("NULL has a cipher")
	}
	// After Done nothing is consumed.
	if out, n, err := client.Input(nil, []byte("\x00\x01a")); len(out) != 0 || n != 0 || err != nil {
		t.Errorf("after done: got %q, %d, %v", out, n, err)
	}
	if out := client.Start(nil); len(out) != 0 {
		t.Errorf("second start: got %q", out)
	}
}

// Two handshakes talk to each other, every step of it delivered in pieces of every size.
func TestHandshakeSlicing(t *testing.T) {
	for _, server := range []bool{false, true} { // false: both send READY at once, as libzmq does
		for size := 1; size <= 200; size++ {
			a := NewHandshake(HandshakeConfig{SocketType: Sub, Properties: Metadata{{"X-Node", strings.Repeat("n", 300)}}})
			b := NewHandshake(HandshakeConfig{SocketType: Pub, AsServer: server, Properties: Metadata{{"X-Epoch", "\x00\xff"}}})
			toA, toB := b.Start(nil), a.Start(nil)
			for turn := 0; len(toA)+len(toB) > 0; turn++ {
				if turn > 2000 {
					t.Fatalf("pieces of %d: no end", size)
				}
				step := func(h *Handshake, in, reply []byte) ([]byte, []byte) {
					piece := bytes.Clone(in[:min(size, len(in))])
					out, n, err := h.Input(reply, piece)
					if err != nil || n != len(piece) {
						t.Fatalf("pieces of %d: took %d of %d, %v", size, n, len(piece), err)
					}
					clear(piece)
					return in[n:], out
				}
				if len(toB) > 0 {
					toB, toA = step(b, toB, toA)
				}
				if len(toA) > 0 {
					toA, toB = step(a, toA, toB)
				}
			}
			if !a.Done() || !b.Done() {
				t.Fatalf("pieces of %d: done %v and %v", size, a.Done(), b.Done())
			}
			if v, ok := b.Peer().Properties.Get("x-node"); !ok || v != strings.Repeat("n", 300) {
				t.Fatalf("pieces of %d: X-Node is %q", size, v)
			}
			if v, ok := a.Peer().Properties.Get("x-epoch"); !ok || v != "\x00\xff" {
				t.Fatalf("pieces of %d: X-Epoch is %q", size, v)
			}
			if a.buf != nil || b.buf != nil {
				t.Fatalf("pieces of %d: a buffer is kept after the handshake", size)
			}
		}
	}
}

// One cut at every place gives what no cut gives, byte for byte.
func TestHandshakeCut(t *testing.T) {
	in := []byte(goldenGreeting + ready(Property{"Socket-Type", "SUB"}, Property{"X-a", strings.Repeat("v", 300)}) + "\x00\x01x")
	config := HandshakeConfig{SocketType: Pub, AsServer: true}
	want, wantN, err := run(NewHandshake(config), in, nil)
	if err != nil || wantN != len(in)-3 {
		t.Fatalf("whole: took %d of %d, %v", wantN, len(in), err)
	}
	for cut := range len(in) {
		h := NewHandshake(config)
		out := h.Start(nil)
		out, n, err := h.Input(out, in[:cut])
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		out, m, err := h.Input(out, in[n:])
		if err != nil || !bytes.Equal(out, want) || n+m != wantN || !h.Done() {
			t.Fatalf("cut at %d: got %q, %d, %v, want %q, %d", cut, out, n+m, err, want, wantN)
		}
	}
}

func TestHandshakeCommands(t *testing.T) {
	sub := Property{"Socket-Type", "SUB"}
	const incompatible = "\x04\x30\x05ERROR\x29incompatible-socket-type-need-peer-of-PUB"
	const badMetadata = "\x04\x13\x05ERROR\x0cbad-metadata"
	tests := []struct {
		name  string
		in    string // after the greeting
		kind  Kind   // 0: done
		text  string
		reply string
		n     int // when not all of in
	}{
		{name: "ready", in: ready(sub)},
		{name: "xsub", in: ready(Property{"Socket-Type", "XSUB"})},
		{name: "name in lower case", in: ready(Property{"socket-type", "SUB"})},
		{name: "unknown properties", in: ready(Property{"X-any", "\x00"}, sub, Property{"Identity", ""})},
		{name: "long form", in: "\x06\x00\x00\x00\x00\x00\x00\x00\x19" + ready(sub)[2:]},

		{name: "no properties", in: ready(), kind: KindMetadata, text: "no property Socket-Type", reply: badMetadata},
		{name: "no socket type", in: ready(Property{"Identity", "x"}), kind: KindMetadata, text: "no property Socket-Type", reply: badMetadata},
		{name: "duplicate", in: "\x04\x0f\x05READY" + "\x01aX\x00\x00\x00"[:2] + "\x00\x00\x00\x00\x01a\x00",
			kind: KindMetadata, reply: badMetadata},
		{name: "garbage", in: "\x04\x09\x05READY\x00\x00\x00", kind: KindMetadata, text: "empty", reply: badMetadata},
		{name: "same type", in: ready(Property{"Socket-Type", "PUB"}), kind: KindSocketType, text: "PUB, which can't talk to PUB", reply: incompatible},
		{name: "pull", in: ready(Property{"Socket-Type", "PULL"}), kind: KindSocketType, text: "PULL", reply: incompatible},
		{name: "type in lower case", in: ready(Property{"Socket-Type", "sub"}), kind: KindSocketType, text: `"sub"`, reply: incompatible},
		{name: "empty type", in: ready(Property{"Socket-Type", ""}), kind: KindSocketType, text: `""`, reply: incompatible},
		{name: "hostile type", in: ready(Property{"Socket-Type", strings.Repeat("\n", 5000)}), kind: KindSocketType, text: `\x0a`, reply: incompatible},

		{name: "error", in: string(AppendError(nil, "go away")), kind: KindPeerError, text: "go away"},
		{name: "error without a reason", in: string(AppendError(nil, "")), kind: KindPeerError},
		{name: "hostile error", in: "\x04\x0a\x05ERROR\x03\x1b[\xff", kind: KindPeerError, text: `\x1b[\xff`},
		{name: "malformed error", in: "\x04\x08\x05ERROR\x05x", kind: KindCommand, text: "error reason"},
		{name: "another command", in: string(AppendPing(nil, 0, nil)), kind: KindCommand, text: `"PING" instead of READY`},
		{name: "ready in lower case", in: "\x04\x06\x05ready", kind: KindCommand, text: `"ready"`},
		{name: "curve", in: "\x04\x06\x05HELLO", kind: KindCommand, text: `"HELLO"`},
		{name: "empty command", in: "\x04\x00", kind: KindCommand, text: "empty"},
		{name: "message", in: "\x00\x01x", kind: KindCommand, text: "message before", n: 1},
		{name: "large message", in: "\x03\x7f\xff", kind: KindCommand, text: "message before", n: 1},
		{name: "reserved flags", in: "\x0c\x00", kind: KindFrame, text: "reserved", n: 1},
		{name: "command with more", in: "\x05\x00", kind: KindFrame, text: "more", n: 1},
		{name: "too large", in: "\x06\x00\x00\x00\x00\x00\x00\x20\x01\x05READY", kind: KindTooLarge, text: "8193", n: 9},
		{name: "2^63", in: "\x06\x80\x00\x00\x00\x00\x00\x00\x00", kind: KindFrame, text: "2^63"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, cuts := range [][]byte{nil, {0}, {63, 4}} {
				h := NewHandshake(HandshakeConfig{SocketType: Pub, AsServer: true})
				out, n, err := run(h, []byte(goldenGreeting+tt.in), cuts)
				want := len(tt.in)
				if tt.n > 0 {
					want = tt.n
				}
				if n != GreetingSize+want {
					t.Errorf("took %d, want %d", n, GreetingSize+want)
				}
				if tt.kind == 0 {
					if err != nil || !h.Done() || string(out[GreetingSize:]) != ready(Property{"Socket-Type", "PUB"}) {
						t.Fatalf("got %q, %v, done %v", out, err, h.Done())
					}
					continue
				}
				wantKind(t, err, tt.kind, tt.text)
				if got := string(out[GreetingSize:]); got != tt.reply {
					t.Errorf("replied %q, want %q", got, tt.reply)
				}
				if h.Done() || h.buf != nil {
					t.Error("done, or a buffer kept, after an error")
				}
			}
		})
	}
}

// A client has sent READY before it learns that the server is of the wrong type: ERROR follows it.
func TestHandshakeClientRefuses(t *testing.T) {
	h := NewHandshake(HandshakeConfig{SocketType: Sub})
	out, _, err := run(h, []byte(goldenGreeting+ready(Property{"Socket-Type", "PUSH"})), nil)
	wantKind(t, err, KindSocketType, "PUSH, which can't talk to SUB")
	want := goldenGreeting + ready(Property{"Socket-Type", "SUB"}) + string(AppendError(nil, "incompatible-socket-type-need-peer-of-SUB"))
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	// The other side reads it as the peer's reason, were it still in its handshake.
	o := NewHandshake(HandshakeConfig{SocketType: Push})
	_, _, err = run(o, []byte(goldenGreeting+string(AppendError(nil, "no"))), nil)
	wantKind(t, err, KindPeerError, "no")
}

func TestHandshakeMaxCommand(t *testing.T) {
	in := func(size int) []byte { // READY with a body of size bytes
		value := strings.Repeat("v", size-6-19-8)
		return []byte(goldenGreeting + ready(Property{"Socket-Type", "SUB"}, Property{"X-a", value}))
	}
	for _, tt := range []struct {
		max, size int
		ok        bool
	}{
		{0, 8192, true}, {0, 8193, false}, {100, 100, true}, {100, 101, false}, {20000, 20000, true},
	} {
		h := NewHandshake(HandshakeConfig{SocketType: Pub, MaxCommand: tt.max})
		_, _, err := run(h, in(tt.size), []byte{50})
		if tt.ok && (err != nil || !h.Done()) {
			t.Errorf("max %d, %d bytes: %v", tt.max, tt.size, err)
		}
		if !tt.ok {
			wantKind(t, err, KindTooLarge, "")
		}
	}
}

// A length that a peer only announces costs nothing.
func TestHandshakeMemory(t *testing.T) {
	h := NewHandshake(HandshakeConfig{SocketType: Pub, MaxCommand: 1 << 30})
	_, _, err := run(h, []byte(goldenGreeting+"\x06\x00\x00\x00\x00\x3f\xff\xff\xff\x05RE"), nil)
	if err != nil || cap(h.buf) > 1024 {
		t.Errorf("buffer of %d bytes, %v", cap(h.buf), err)
	}
}

func TestHandshakeConfig(t *testing.T) {
	for name, cfg := range map[string]HandshakeConfig{
		"no type":      {},
		"unknown type": {SocketType: "FOO"},
		"bad property": {SocketType: Pub, Properties: Metadata{{"a b", ""}}},
		"duplicate":    {SocketType: Pub, Properties: Metadata{{"Socket-type", "SUB"}}},
	} {
		mustPanic(t, name, func() { NewHandshake(cfg) })
	}
}

// xor is a mechanism of two round trips with a cipher, to show that Handshake and the seam carry one that is not NULL.
type xor struct{ key byte }

func (xor) Name() string                       { return "X-XOR_1.0+" }
func (m xor) NewExchange(local Local) Exchange { return &xorExchange{m: m, local: local} }

type xorExchange struct {
	m     xor
	local Local
	step  int
}

func (x *xorExchange) crypt(p []byte) []byte {
	p = bytes.Clone(p)
	for i := range p {
		p[i] ^= x.m.key
	}
	return p
}

func (x *xorExchange) AdvertiseServer() bool { return x.local.AsServer }

func (x *xorExchange) Greeting(asServer bool) error {
	if asServer == x.local.AsServer {
		return errorf(KindMechanism, "both sides have the same role")
	}
	return nil
}

func (x *xorExchange) Start(dst []byte) []byte {
	if x.local.AsServer {
		return dst
	}
	return AppendCommand(dst, "HELLO", nil)
}

func (x *xorExchange) Command(dst, name, data []byte) ([]byte, error) {
	x.step++
	switch {
	case string(name) == "HELLO" && x.local.AsServer && x.step == 1:
		return AppendCommand(dst, "WELCOME", nil), nil
	case string(name) == "WELCOME" && !x.local.AsServer && x.step == 1:
		return AppendCommand(dst, "INITIATE", x.crypt(x.local.Metadata)), nil
	case string(name) == "INITIATE" && x.local.AsServer && x.step == 2,
		string(name) == "READY" && !x.local.AsServer && x.step == 2:
		m, err := ParseMetadata(x.crypt(data))
		if err == nil {
			err = x.local.Accept(m)
		}
		if err == nil && x.local.AsServer {
			dst = AppendCommand(dst, "READY", x.crypt(x.local.Metadata))
		}
		x.step++
		return dst, err
	}
	return dst, errorf(KindCommand, "%s in step %d", quote(name), x.step)
}

func (x *xorExchange) Done() bool     { return x.step == 3 }
func (x *xorExchange) Cipher() Cipher { return x }

func (x *xorExchange) Seal(dst []byte, flags byte, body []byte) []byte {
	return AppendCommand(dst, "MESSAGE", x.crypt(append([]byte{flags}, body...)))
}

func (x *xorExchange) Open(dst []byte, f Frame) (Frame, error) {
	name, data, err := ParseCommand(f.Body)
	if err != nil || string(name) != "MESSAGE" || len(data) == 0 {
		return Frame{}, errorf(KindCommand, "%s instead of MESSAGE", quote(name))
	}
	at := len(dst)
	dst = append(dst, x.crypt(data)...)
	return Frame{More: dst[at]&FlagMore != 0, Command: dst[at]&FlagCommand != 0, Body: dst[at+1:]}, nil
}

func TestHandshakeOtherMechanism(t *testing.T) {
	client := NewHandshake(HandshakeConfig{SocketType: Sub, Mechanism: xor{7}})
	server := NewHandshake(HandshakeConfig{SocketType: Pub, AsServer: true, Mechanism: xor{7}})
	toServer, toClient := client.Start(nil), server.Start(nil)
	if client.Cipher() != nil {
		t.Error("cipher before the end")
	}
	for range 5 {
		var n, m int
		var err error
		in := toServer
		if toClient, n, err = server.Input(toClient, in); err != nil {
			t.Fatal(err)
		}
		toServer = in[n:]
		in = toClient
		if toServer, m, err = client.Input(toServer, in); err != nil {
			t.Fatal(err)
		}
		toClient = in[m:]
	}
	if !client.Done() || !server.Done() || client.Peer().SocketType != Pub || server.Peer().Mechanism != "X-XOR_1.0+" {
		t.Fatalf("done %v and %v, peers %+v and %+v", client.Done(), server.Done(), client.Peer(), server.Peer())
	}
	wire := server.Cipher().Seal(nil, FlagMore, []byte("topic"))
	f, n, _, err := ParseFrame(wire, 100)
	if err != nil || n != len(wire) {
		t.Fatal(n, err)
	}
	if f, err = client.Cipher().Open(nil, f); err != nil || !f.More || f.Command || string(f.Body) != "topic" {
		t.Errorf("opened %v %v %q, %v", f.More, f.Command, f.Body, err)
	}
	// The role of the greeting reaches the mechanism, and so does ours the wire.
	_, _, err = run(NewHandshake(HandshakeConfig{SocketType: Pub, AsServer: true, Mechanism: xor{}}),
		AppendGreeting(nil, "X-XOR_1.0+", true), nil)
	wantKind(t, err, KindMechanism, "same role")
	// NULL is not served by it.
	_, _, err = run(NewHandshake(HandshakeConfig{SocketType: Pub, Mechanism: xor{}}), []byte(goldenGreeting), nil)
	wantKind(t, err, KindMechanism, `peer wants "NULL", we have "X-XOR_1.0+"`)
}

// Any stream in any pieces ends like the whole of it: same reply, same error, same bytes taken.
func FuzzHandshake(f *testing.F) {
	sub := ready(Property{"Socket-Type", "SUB"}, Property{"X-a", "b"})
	f.Add([]byte(goldenGreeting+sub+"\x00\x01x"), []byte{0}, true)
	f.Add([]byte(goldenGreeting+sub), []byte{63, 1, 5}, false)
	f.Add([]byte(goldenGreeting+goldenRouter), []byte{9}, false)
	f.Add([]byte(goldenGreeting+string(AppendError(nil, "no"))), []byte{3, 70}, true)
	f.Add([]byte(with(11, "\x00")+sub), []byte{2}, true)
	f.Add([]byte(with(10, "\x01\x01\x00\x00")), []byte{2}, true)
	f.Add([]byte("\x01\x00"), []byte{0}, true)
	f.Add([]byte("GET / HTTP/1.1\r\n"), []byte{0}, false)
	f.Add([]byte(goldenGreeting+"\x06\x00\x00\x00\x00\x00\x00\x00\x19"+sub[2:]), []byte{0}, true)
	f.Fuzz(func(t *testing.T, in, cuts []byte, asServer bool) {
		config := HandshakeConfig{SocketType: Pub, AsServer: asServer, MaxCommand: 512}
		whole, sliced := NewHandshake(config), NewHandshake(config)
		out, n, err := run(whole, in, nil)
		out2, n2, err2 := run(sliced, in, cuts)
		if !bytes.Equal(out, out2) || n != n2 || whole.Done() != sliced.Done() || !reflect.DeepEqual(err, err2) {
			t.Fatalf("whole:  %q %d %v\nsliced: %q %d %v", out, n, err, out2, n2, err2)
		}
		if !reflect.DeepEqual(whole.Peer(), sliced.Peer()) {
			t.Fatalf("whole:  %+v\nsliced: %+v", whole.Peer(), sliced.Peer())
		}
		if len(out) > 64+64+64 || cap(sliced.buf) > 2048 {
			t.Fatalf("%d bytes of reply, buffer of %d", len(out), cap(sliced.buf))
		}
		switch {
		case err != nil:
			pe, ok := err.(*ProtocolError)
			if !ok {
				t.Fatalf("error of type %T: %v", err, err)
			}
			wantSafe(t, pe)
			if whole.Done() {
				t.Fatal("done with an error")
			}
		case whole.Done():
			if p := whole.Peer(); !Pub.Compatible(p.SocketType) || p.Major != 3 || p.Mechanism != "NULL" {
				t.Fatalf("done with %+v", p)
			}
		case n != len(in):
			t.Fatalf("took %d of %d", n, len(in))
		}
	})
}

func BenchmarkHandshake(b *testing.B) {
	in := []byte(goldenGreeting + ready(Property{"Socket-Type", "SUB"}, Property{"X-Node", "node-1"}))
	out := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		h := NewHandshake(HandshakeConfig{SocketType: Pub, AsServer: true})
		o := h.Start(out)
		if _, _, err := h.Input(o, in); err != nil || !h.Done() {
			b.Fatal(err)
		}
	}
}
