package zmtp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// libzmq is the judge of this codec: these tests talk to the real one, through Debian's python3-zmq, over loopback TCP.

const pythonPath = "/usr/bin/python3" // the interpreter that Debian's packages belong to

// python is a running script; its lines come out one by one, and it ends when its input does.
type python struct {
	lines *bufio.Scanner
	stdin io.WriteCloser
}

// startPython runs a script with pyzmq, as zmq, and a context, as ctx. A missing package is a failure: a skipped judge proves
// nothing.
func startPython(t *testing.T, script string, args ...string) *python {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	if out, err := exec.CommandContext(ctx, pythonPath, "-c", "import zmq").CombinedOutput(); err != nil {
		t.Fatalf("python3-zmq is needed: %v: %s\nhint: run make deps", err, bytes.TrimSpace(out))
	}
	prelude := "import sys, zmq\nctx = zmq.Context()\ndef say(*a): print(*a, flush=True)\n"
	cmd := exec.CommandContext(ctx, pythonPath, append([]string{"-c", prelude + script}, args...)...)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("python: %v: %s", err, stderr)
		}
	})
	return &python{lines: bufio.NewScanner(stdout), stdin: stdin}
}

func (p *python) line(t *testing.T) string {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("python ended early: %v", p.lines.Err())
	}
	return p.lines.Text()
}

// wire is a connection that has done its handshake.
type wire struct {
	net.Conn
	peer Peer
	buf  []byte
}

// shake does the handshake on a connection. minor is what we announce in place of our own.
func shake(t *testing.T, conn net.Conn, cfg HandshakeConfig, minor byte) *wire {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h := NewHandshake(cfg)
	out := h.Start(nil)
	out[minorAt] = minor
	w := &wire{Conn: conn}
	chunk := make([]byte, 4096)
	for {
		w.send(t, out)
		if h.Done() {
			w.peer = h.Peer()
			return w
		}
		n, err := conn.Read(chunk)
		if err != nil {
			t.Fatalf("handshake: %v", err)
		}
		var took int
		if out, took, err = h.Input(nil, chunk[:n]); err != nil {
			t.Fatalf("handshake: %v", err)
		}
		w.buf = append(w.buf, chunk[took:n]...)
	}
}

func (w *wire) send(t *testing.T, p []byte) {
	t.Helper()
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
}

// frame reads the next frame.
func (w *wire) frame(t *testing.T) Frame {
	t.Helper()
	for {
		f, n, need, err := ParseFrame(w.buf, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if need == 0 {
			w.buf = w.buf[n:]
			return f
		}
		chunk := make([]byte, need-len(w.buf))
		n, err = w.Read(chunk)
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		w.buf = append(w.buf, chunk[:n]...)
	}
}

// command reads frames up to the next command of this name.
func (w *wire) command(t *testing.T, want string) []byte {
	t.Helper()
	for range 10000 {
		f := w.frame(t)
		if !f.Command {
			continue
		}
		name, data, err := ParseCommand(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		if string(name) == want {
			return data
		}
	}
	t.Fatalf("no %s in 10000 frames", want)
	return nil
}

// answerPing waits for a PING and answers it.
func (w *wire) answerPing(t *testing.T, ttl time.Duration) {
	t.Helper()
	got, context, err := ParsePing(w.command(t, CommandPing))
	if err != nil || got != ttl {
		t.Fatalf("ping: got ttl %v, %v, want %v", got, err, ttl)
	}
	w.send(t, AppendPong(nil, context))
}

const subscriberScript = `
s = ctx.socket(zmq.SUB)
s.linger = 0
s.rcvtimeo = 15000
s.setsockopt(zmq.HEARTBEAT_IVL, 100)
s.setsockopt(zmq.HEARTBEAT_TTL, 2500)
s.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
s.subscribe(b'lport')
s.connect('tcp://127.0.0.1:' + sys.argv[1])
for i in range(3):
    m = s.recv_multipart()
    say(len(m), m[0].decode(), len(m[1]), m[1][:5].decode())
s.unsubscribe(b'lport')
sys.stdin.read()
s.close()
ctx.term()
`

func TestLibzmqSubscriber(t *testing.T) {
	for _, tt := range []struct {
		name              string
		minor             byte
		subscribe, cancel Frame // as libzmq writes them to a peer that announces minor
	}{
		{"3.1", 1, Frame{Command: true, Body: []byte("\x09SUBSCRIBElport")}, Frame{Command: true, Body: []byte("\x06CANCELlport")}},
		{"3.0", 0, Frame{Body: []byte("\x01lport")}, Frame{Body: []byte("\x00lport")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			_, port, _ := strings.Cut(l.Addr().String(), ":")
			p := startPython(t, subscriberScript, port)
			if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			w := shake(t, conn, HandshakeConfig{SocketType: Pub, AsServer: true, Properties: Metadata{{"X-Wyvern", "1"}}}, tt.minor)
			if w.peer.Major != 3 || w.peer.Minor != 1 || w.peer.SocketType != Sub {
				t.Errorf("peer: got %+v, want a SUB of 3.1", w.peer)
			}

			f := w.frame(t)
			if f.Command != tt.subscribe.Command || f.More || string(f.Body) != string(tt.subscribe.Body) {
				t.Fatalf("subscription: got %v %q, want %v %q", f.Command, f.Body, tt.subscribe.Command, tt.subscribe.Body)
			}
			if op, topic, err := ParseSubscription(f); op != Subscribe || string(topic) != "lport" || err != nil {
				t.Fatalf("subscription: got %v %q %v", op, topic, err)
			}

			w.answerPing(t, 2500*time.Millisecond) // libzmq pings peers of 3.0 too

			// One of each size of header, then a long header on a short body.
			w.send(t, AppendMessage2(nil, []byte("lport"), []byte("hello")))
			w.send(t, AppendMessage2(nil, []byte("lport"), bytes.Repeat([]byte("hello"), 14000)))
			w.send(t, append(append(AppendFrame(nil, true, []byte("lport")), AppendFrameHeader(nil, FlagLong, 5)...), "hello"...))
			for _, want := range []string{"2 lport 5 hello", "2 lport 70000 hello", "2 lport 5 hello"} {
				if got := p.line(t); got != want {
					t.Errorf("python got %q, want %q", got, want)
				}
			}

			for {
				f = w.frame(t)
				op, topic, err := ParseSubscription(f)
				if err != nil {
					t.Fatal(err)
				}
				if op == NotSubscription {
					continue // PINGs
				}
				if f.Command != tt.cancel.Command || string(f.Body) != string(tt.cancel.Body) || op != Cancel || string(topic) != "lport" {
					t.Errorf("cancel: got %v %q, want %v %q", f.Command, f.Body, tt.cancel.Command, tt.cancel.Body)
				}
				return
			}
		})
	}
}

// A libzmq that gets no PONG gives the connection up: answers keep it for several times its patience.
func TestLibzmqTakesOurPong(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	startPython(t, strings.Replace(subscriberScript, "for i in range(3):", "for i in range(0):", 1), port)
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	w := shake(t, conn, HandshakeConfig{SocketType: XPub}, Minor)
	for range 5 {
		w.answerPing(t, 2500*time.Millisecond)
	}
	// Ours is answered with our context.
	w.send(t, AppendPing(nil, 3*time.Second, []byte("0123456789abcdef")))
	if context, err := ParsePong(w.command(t, CommandPong)); err != nil || string(context) != "0123456789abcdef" {
		t.Errorf("pong: got context %q, %v", context, err)
	}
}

const publisherScript = `
import threading
s = ctx.socket(zmq.PUB)
s.linger = 0
s.setsockopt(zmq.HEARTBEAT_IVL, 100)
s.setsockopt(zmq.HEARTBEAT_TTL, 2500)
s.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
say(s.bind_to_random_port('tcp://127.0.0.1'))
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), end.set())).start()
while not end.wait(0.01):
    s.send_multipart([b'other', b'not subscribed'])
    s.send_multipart([b'lport', b'b' * 300])
s.close()
ctx.term()
`

func TestLibzmqPublisher(t *testing.T) {
	p := startPython(t, publisherScript)
	port := p.line(t)
	for _, minor := range []uint8{1, 0} { // the same connection twice: as 3.1 and as 3.0, each with its form of subscription
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		w := shake(t, conn, HandshakeConfig{SocketType: Sub}, minor)
		if w.peer.Major != 3 || w.peer.Minor != 1 || w.peer.SocketType != Pub {
			t.Errorf("peer: got %+v, want a PUB of 3.1", w.peer)
		}
		w.send(t, AppendSubscribe(nil, minor, []byte("lport")))
		message := func() (frames []Frame) {
			for {
				f := w.frame(t)
				if f.Command {
					continue
				}
				frames = append(frames, f)
				if !f.More {
					return frames
				}
			}
		}
		for range 3 {
			m := message()
			if len(m) != 2 || string(m[0].Body) != "lport" || string(m[1].Body) != strings.Repeat("b", 300) {
				t.Fatalf("minor %d: got %+v", minor, m)
			}
		}
		w.answerPing(t, 2500*time.Millisecond)
		w.send(t, AppendPing(nil, 3*time.Second, []byte("ctx")))
		if context, err := ParsePong(w.command(t, CommandPong)); err != nil || string(context) != "ctx" {
			t.Errorf("pong: got context %q, %v", context, err)
		}
		// After a cancel the stream ends: what comes behind the answer to a ping is behind the cancel too.
		w.send(t, AppendCancel(nil, minor, []byte("lport")))
		w.send(t, AppendSubscribe(nil, minor, []byte("oth")))
		for range 1000 {
			if m := message(); string(m[0].Body) == "other" {
				break
			}
		}
		if m := message(); string(m[0].Body) != "other" {
			t.Errorf("minor %d: got %q after its cancel", minor, m[0].Body)
		}
		conn.Close()
	}
}

// libzmq refuses a pair of sockets that can't talk; so do we, and say ERROR.
func TestLibzmqWrongSocketType(t *testing.T) {
	p := startPython(t, publisherScript)
	conn, err := net.Dial("tcp", "127.0.0.1:"+p.line(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	h := NewHandshake(HandshakeConfig{SocketType: Pull})
	if _, err := conn.Write(h.Start(nil)); err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 4096)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := h.Input(nil, chunk[:n])
		if err == nil {
			if _, err := conn.Write(out); err != nil {
				t.Fatal(err)
			}
			continue
		}
		wantKind(t, err, KindSocketType, "PUB, which can't talk to PULL")
		if !bytes.Contains(out, []byte("ERROR")) {
			t.Errorf("replied %q, want an ERROR", out)
		}
		return
	}
}
