package zmq

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// greetings and properties as each generation of peers sends them, for good. In
// READY a property is a length, a name, a length of four bytes and a value.
const (
	greeting30 = "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	identity  = "\x08Identity\x00\x00\x00\x00"
	wyvern1   = "\x08X-Wyvern\x00\x00\x00\x011\x0bX-Wyvern-Id\x00\x00\x00\x02n1\x0eX-Wyvern-Epoch\x00\x00\x00\x100102030405060708"
	wyvern2   = "\x08X-Wyvern\x00\x00\x00\x012\x0bX-Wyvern-Id\x00\x00\x00\x02n1\x0eX-Wyvern-Epoch\x00\x00\x00\x100102030405060708"
	wyvern99  = "\x08X-Wyvern\x00\x00\x00\x0299\x10X-Wyvern-Unheard\x00\x00\x00\x03\x00\xff\x01"
	wyvernOdd = "\x08x-wyvern\x00\x00\x00\x09\xffnumber?!"
	others    = "\x07X-Other\x00\x00\x00\x00\x01a\x00\x00\x00\x01b"

	unheard = "\x04\x0a\x07UNHEARDxy\x04\x08\x07UNHEARD" // commands of the future
)

// peers are all who may be on the other side.
var peers = []struct {
	name, greeting, properties string
}{
	{"ZeroMQ 4.0", greeting30, identity},
	{"ZeroMQ 4.3", with31(1), identity},
	{"ZeroMQ of the future", with31(7), identity + others},
	{"ours, the first", with31(1), wyvern1},
	{"ours, the second", with31(1), wyvern2},
	{"ours, of the future", with31(1), wyvern99 + others},
	{"odd", with31(1), wyvernOdd},
}

func with31(minor byte) string { return greeting30[:11] + string(minor) + greeting30[12:] }

// hello is what one of them sends up to its first byte of traffic.
func hello(greeting, properties, socketType string) []byte {
	body := "\x05READY\x0bSocket-Type\x00\x00\x00" + string(byte(len(socketType))) + socketType + properties
	return []byte(greeting + "\x04" + string(byte(len(body))) + body)
}

// Every half works with peers of every age, which may say things that it has
// never heard of.
func TestX6Peers(t *testing.T) {
	const topic = "T"
	message := string(zmtp.AppendMessage2(nil, []byte(topic), []byte("x")))
	for _, p := range peers {
		say := func(t *testing.T, conn net.Conn, kind, more string) {
			t.Helper()
			if _, err := conn.Write(append(hello(p.greeting, p.properties, kind), unheard+more...)); err != nil {
				t.Fatal(err)
			}
		}
		hear := func(t *testing.T, conn net.Conn) *reader {
			t.Helper()
			if _, err := io.ReadFull(conn, make([]byte, zmtp.GreetingSize)); err != nil {
				t.Fatal(err)
			}
			return &reader{t: t, conn: conn}
		}
		// A subscription as a message is understood from every peer.
		subscribe := "\x00\x02\x01" + topic
		t.Run(p.name+"/PUB", func(t *testing.T) {
			ctx := begin(t)
			pub := openPub(t, ctx)
			conn := dial(t, pub.Addr())
			say(t, conn, "SUB", subscribe+string(zmtp.AppendPing(nil, 0, []byte("sub"))))
			r := hear(t, conn)
			for !bytes.HasSuffix(r.frame().Body, []byte("PONGsub")) {
			}
			publish(t, ctx, pub, topic, "x")
			wantMessages(t, []string{r.message()}, topic+" x")
			if st := pub.Status(); st.Refused+st.Malformed > 0 {
				t.Errorf("status %+v", st)
			}
		})
		t.Run(p.name+"/PULL", func(t *testing.T) {
			ctx := begin(t)
			pull := openPull(t, ctx, shortDir(t)+"/s")
			say(t, dial(t, pull.Addr()), "PUSH", message)
			wantMessages(t, receive(t, ctx, pull, 1), topic+" x")
			if st := pull.Status(); st.Refused+st.Malformed > 0 {
				t.Errorf("status %+v", st)
			}
		})
		t.Run(p.name+"/SUB", func(t *testing.T) {
			ctx := begin(t)
			l := listen(t, "tcp", "127.0.0.1:0")
			sub := openSub(t, ctx)
			if err := sub.Subscribe(ctx, topic); err != nil {
				t.Fatal(err)
			}
			if err := sub.Connect(addrURI(l.Addr())); err != nil {
				t.Fatal(err)
			}
			say(t, accept(t, l), "PUB", message)
			wantMessages(t, receive(t, ctx, sub, 1), topic+" x")
			if st := sub.Status(); st.Refused+st.Malformed > 0 || st.Peers != 1 {
				t.Errorf("status %+v", st)
			}
		})
		t.Run(p.name+"/PUSH", func(t *testing.T) {
			ctx := begin(t)
			l := listen(t, "unix", shortDir(t)+"/s")
			push := openPush(t, ctx, l.Addr().String())
			publish(t, ctx, push, topic, "x")
			conn := accept(t, l)
			say(t, conn, "PULL", "")
			wantMessages(t, []string{hear(t, conn).message()}, topic+" x")
			if st := push.Status(); st.Refused+st.Malformed > 0 || st.Peers != 1 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// What this version says of itself is what the list of all versions has, so that
// the next one is tested with it.
func TestX6OwnHello(t *testing.T) {
	cfg := driver.Config{ID: "n1", Epoch: 0x0102030405060708}
	var got strings.Builder
	for _, p := range peers {
		got.WriteString(p.properties + "\n")
	}
	if own := string(zmtp.AppendMetadata(nil, ours(&cfg))); !strings.Contains(got.String(), own+"\n") {
		t.Errorf("no peer in the list says %q", own)
	}
}
