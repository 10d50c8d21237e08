package zmtp

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	b300 := strings.Repeat("b", 300)
	tests := []struct {
		name          string
		in            string
		limit         int
		more, command bool
		body          string
		n, need       int
		kind          Kind
		text          string
	}{
		{name: "nothing", in: "", limit: 10, need: 2},
		{name: "flags only", in: "\x00", limit: 10, need: 2},
		{name: "long flags only", in: "\x02", limit: 10, need: 9},
		{name: "empty body", in: "\x00\x00", limit: 0, n: 2},
		{name: "empty body, negative limit", in: "\x02\x00\x00\x00\x00\x00\x00\x00\x00", limit: -1, n: 9},
		{name: "short", in: "\x00\x03abcxyz", limit: 3, body: "abc", n: 5},
		{name: "more", in: "\x01\x01a", limit: 3, more: true, body: "a", n: 3},
		{name: "command", in: "\x04\x01a", limit: 3, command: true, body: "a", n: 3},
		{name: "long command", in: "\x06\x00\x00\x00\x00\x00\x00\x00\x01a", limit: 3, command: true, body: "a", n: 10},
		{name: "long more", in: "\x03\x00\x00\x00\x00\x00\x00\x01\x2c" + b300, limit: 300, more: true, body: b300, n: 309},
		{name: "long of a short body", in: "\x02\x00\x00\x00\x00\x00\x00\x00\x02abc", limit: 3, body: "ab", n: 11},
		{name: "short incomplete", in: "\x00\x03ab", limit: 3, need: 5},
		{name: "long header incomplete", in: "\x02\x00\x00\x00\x00\x00\x00\x00", limit: 3, need: 9},
		{name: "long body incomplete", in: "\x02\x00\x00\x00\x00\x00\x00\x00\x03ab", limit: 3, need: 12},
		{name: "largest limit", in: "\x02\x7f\xff\xff\xff\xff\xff\xff\xff", limit: math.MaxInt, need: math.MaxInt},

		{name: "reserved 3", in: "\x08", limit: 3, kind: KindFrame, text: "reserved"},
		{name: "reserved 7", in: "\x80\x00", limit: 3, kind: KindFrame, text: "reserved"},
		{name: "all flags", in: "\xff\x00", limit: 3, kind: KindFrame, text: "reserved"},
		{name: "command with more", in: "\x05", limit: 3, kind: KindFrame, text: "command with more"},
		{name: "command with more, long", in: "\x07\x00", limit: 3, kind: KindFrame, text: "command with more"},
		{name: "short too large", in: "\x00\x04", limit: 3, kind: KindTooLarge, text: "4 bytes, at most 3"},
		{name: "long too large", in: "\x02\x00\x00\x00\x00\x00\x00\x00\x04", limit: 3, kind: KindTooLarge},
		{name: "one byte, negative limit", in: "\x00\x01a", limit: -1, kind: KindTooLarge},
		{name: "2^63-1", in: "\x02\x7f\xff\xff\xff\xff\xff\xff\xff", limit: 1 << 20, kind: KindTooLarge},
		{name: "2^63", in: "\x02\x80\x00\x00\x00\x00\x00\x00\x00", limit: math.MaxInt, kind: KindFrame, text: "2^63"},
		{name: "2^64-1", in: "\x02\xff\xff\xff\xff\xff\xff\xff\xff", limit: 1 << 20, kind: KindFrame, text: "2^63"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, n, need, err := ParseFrame([]byte(tt.in), tt.limit)
			if tt.kind != 0 {
				wantKind(t, err, tt.kind, tt.text)
			} else if err != nil {
				t.Fatal(err)
			}
			if n != tt.n || need != tt.need {
				t.Errorf("got n %d, need %d, want %d, %d", n, need, tt.n, tt.need)
			}
			if f.More != tt.more || f.Command != tt.command || string(f.Body) != tt.body {
				t.Errorf("got %v %v %q, want %v %v %q", f.More, f.Command, f.Body, tt.more, tt.command, tt.body)
			}
		})
	}
}

// The body aliases the input, and appending to it can't reach the next frame.
func TestParseFrameAliases(t *testing.T) {
	in := []byte("\x00\x02ab\x00\x01c")
	f, _, _, err := ParseFrame(in, 10)
	if err != nil {
		t.Fatal(err)
	}
	if &f.Body[0] != &in[2] {
		t.Error("body was copied")
	}
	_ = append(f.Body, "XYZ"...)
	if string(in) != "\x00\x02ab\x00\x01c" {
		t.Errorf("append to a body changed the input to %q", in)
	}
}

func TestAppendFrame(t *testing.T) {
	for _, size := range []int{0, 1, 254, 255, 256, 65536} {
		for _, more := range []bool{false, true} {
			body := bytes.Repeat([]byte{7}, size)
			got := AppendFrame([]byte("x"), more, body)
			if len(got) != 1+FrameSize(size) {
				t.Errorf("size %d: %d bytes, FrameSize says %d", size, len(got)-1, FrameSize(size))
			}
			f, n, need, err := ParseFrame(got[1:], size)
			if err != nil || n != len(got)-1 || need != 0 || f.More != more || f.Command || !bytes.Equal(f.Body, body) {
				t.Errorf("size %d: parsed back %v %v %d bytes, n %d need %d, %v", size, f.More, f.Command, len(f.Body), n, need, err)
			}
		}
	}
	for _, tt := range []struct {
		flags byte
		size  int
		want  string
	}{
		{0, 0, "\x00\x00"},
		{FlagMore, 255, "\x01\xff"},
		{FlagMore, 256, "\x03\x00\x00\x00\x00\x00\x00\x01\x00"},
		{FlagCommand, 256, "\x06\x00\x00\x00\x00\x00\x00\x01\x00"},
		{FlagLong, 1, "\x02\x00\x00\x00\x00\x00\x00\x00\x01"},
		{0, math.MaxInt, "\x02\x7f\xff\xff\xff\xff\xff\xff\xff"},
	} {
		if got := AppendFrameHeader(nil, tt.flags, tt.size); string(got) != tt.want {
			t.Errorf("header %#x %d: got %q, want %q", tt.flags, tt.size, got, tt.want)
		}
	}
	mustPanic(t, "negative size", func() { AppendFrameHeader(nil, 0, -1) })
	mustPanic(t, "reserved flag", func() { AppendFrameHeader(nil, 8, 1) })
	mustPanic(t, "command with more", func() { AppendFrameHeader(nil, FlagCommand|FlagMore, 1) })
}

func TestAppendMessage2(t *testing.T) {
	for _, topic := range []int{0, 1, 255, 256} {
		for _, body := range []int{0, 1, 255, 256, 1000} {
			a, b := bytes.Repeat([]byte{'t'}, topic), bytes.Repeat([]byte{'b'}, body)
			want := AppendFrame(AppendFrame([]byte("x"), true, a), false, b)
			got := AppendMessage2([]byte("x"), a, b)
			if !bytes.Equal(got, want) {
				t.Errorf("%d, %d: got %q, want %q", topic, body, got, want)
			}
			if got, want := Message2Size(topic, body), len(want)-1; got != want {
				t.Errorf("%d, %d: size %d, want %d", topic, body, got, want)
			}
			dirty := bytes.Repeat([]byte{0xee}, 4096)[:1]
			dirty[0] = 'x'
			if got := AppendMessage2(dirty, a, b); !bytes.Equal(got, want) || &got[0] != &dirty[0] {
				t.Errorf("%d, %d: into spare capacity: got %q, want %q", topic, body, got, want)
			}
		}
	}
}

// The traffic path allocates nothing.
func TestTrafficAllocates(t *testing.T) {
	topic, body := []byte("topic"), bytes.Repeat([]byte("b"), 300)
	buf := make([]byte, 0, 4096)
	message := AppendMessage2(nil, topic, body)
	command := AppendSubscribe(nil, 1, topic)
	legacy := AppendSubscribe(nil, 0, topic)
	ping := AppendPing(nil, 1e9, topic)
	allocs := testing.AllocsPerRun(100, func() {
		for _, p := range [][]byte{message, command, legacy, ping} {
			f, _, _, _ := ParseFrame(p, 1<<20)
			_, _, _ = ParseSubscription(f)
		}
		f, _, _, _ := ParseFrame(ping, 1<<20)
		name, data, _ := ParseCommand(f.Body)
		_, context, _ := ParsePing(data)
		b := AppendMessage2(buf, topic, body)
		b = AppendPong(b, context)
		b = AppendPing(b, 1e9, context)
		b = AppendSubscribe(b, 1, name)
		b = AppendCancel(b, 0, name)
		_ = AppendFrame(b, true, topic)
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want 0", allocs)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte("\x00\x03abc"), 3)
	f.Add([]byte("\x03\x00\x00\x00\x00\x00\x00\x00\x02ab"), 1<<20)
	f.Add([]byte("\x02\x80\x00\x00\x00\x00\x00\x00\x00"), 1<<20)
	f.Add([]byte("\x02\x7f\xff\xff\xff\xff\xff\xff\xff"), math.MaxInt)
	f.Add([]byte("\x05\x00"), 0)
	f.Add(AppendMessage2(nil, []byte("D"), make([]byte, 300)), 300)
	f.Fuzz(func(t *testing.T, p []byte, limit int) {
		for {
			f, n, need, err := ParseFrame(p, limit)
			// Exactly one of three outcomes.
			if (n > 0) == (need > 0) && err == nil || err != nil && (n != 0 || need != 0) {
				t.Fatalf("n %d, need %d, error %v", n, need, err)
			}
			if err != nil {
				wantSafe(t, err.(*ProtocolError))
				// A fault is never undone by later bytes, and the header is enough to find it.
				_, _, _, again := ParseFrame(p[:min(len(p), 9)], limit)
				if again == nil || again.Error() != err.Error() {
					t.Fatalf("whole: %v, header: %v", err, again)
				}
				return
			}
			if need > 0 {
				if need <= len(p) || limit >= 0 && limit < math.MaxInt-9 && need > limit+9 {
					t.Fatalf("need %d of %d bytes, limit %d", need, len(p), limit)
				}
				return
			}
			if n > len(p) || len(f.Body) > max(limit, 0) || f.More && f.Command || cap(f.Body) != len(f.Body) {
				t.Fatalf("n %d of %d, body %d, limit %d, %v %v", n, len(p), len(f.Body), limit, f.More, f.Command)
			}
			// Every prefix is incomplete and asks for no more than the frame has.
			for cut := range min(n, 12) {
				_, m, need, err := ParseFrame(p[:cut], limit)
				if m != 0 || need <= cut || need > n || err != nil {
					t.Fatalf("%d of %d bytes: got %d, %d, %v", cut, n, m, need, err)
				}
			}
			flags := p[0] & FlagCommand
			if f.More {
				flags |= FlagMore
			}
			back := append(AppendFrameHeader(nil, flags|p[0]&FlagLong, len(f.Body)), f.Body...)
			if !bytes.Equal(back, p[:n]) {
				t.Fatalf("written back as %q, was %q", back, p[:n])
			}
			p = p[n:]
		}
	})
}

var sink []byte

func BenchmarkParseFrame(b *testing.B) {
	message := AppendMessage2(nil, []byte("lport"), make([]byte, 205))
	b.ReportAllocs()
	b.SetBytes(int64(len(message)))
	for b.Loop() { // both frames of one message
		p := message
		for len(p) > 0 {
			f, n, need, err := ParseFrame(p, 1<<20)
			if err != nil || need > 0 {
				b.Fatal(need, err)
			}
			sink = f.Body
			p = p[n:]
		}
	}
}

func BenchmarkParseFrameLong(b *testing.B) {
	p := AppendFrame(nil, false, make([]byte, 1000))
	b.ReportAllocs()
	for b.Loop() {
		f, _, _, err := ParseFrame(p, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		sink = f.Body
	}
}

func BenchmarkAppendMessage2(b *testing.B) {
	topic, body := []byte("lport"), make([]byte, 205)
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	b.SetBytes(int64(Message2Size(len(topic), len(body))))
	for b.Loop() {
		sink = AppendMessage2(buf, topic, body)
	}
}
