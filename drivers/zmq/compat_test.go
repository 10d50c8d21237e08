package zmq

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// withEpoch makes a publisher one that is known by its epoch.
func withEpoch(epoch uint64) func(*driver.Config) {
	return func(c *driver.Config) { c.ID, c.Epoch = "p", epoch }
}

// as connects to a publisher as one of ours of a version.
func as(t testing.TB, pub *publisher, version string, more ...zmtp.Property) *reader {
	t.Helper()
	return foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1, append(more, zmtp.Property{Name: propertyPeer, Value: version})...)
}

func (r *reader) send(p []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(p); err != nil {
		r.t.Fatal(err)
	}
}

// A publisher goes on where it is asked to, if that is a place of this epoch
// that is retained, and otherwise says that it doesn't. Either way what comes
// next comes.
func TestResumeFrom(t *testing.T) {
	for _, c := range []struct {
		epoch, offset uint64
		how           byte
		want          []string
	}{
		{7, 10, fromMark, nil},
		{7, 0, fromMark, []string{"a 0", "a 1", "a 2", "a 3", "a 4"}},
		{7, 7, fromMark, []string{"a 4"}},
		{8, 0, fromHead, nil},
		{0, 0, fromHead, nil},
		{7, 11, fromHead, nil},
		{7, math.MaxUint64, fromHead, nil},
	} {
		t.Run(fmt.Sprintf("%d of epoch %d", c.offset, c.epoch), func(t *testing.T) {
			ctx := begin(t)
			pub := openPub(t, ctx, withEpoch(7))
			for i := range 5 {
				publish(t, ctx, pub, "a", fmt.Sprint(i))
				publish(t, ctx, pub, "b", fmt.Sprint(i))
			}
			r, how, head := resumeAt(t, pub, c.epoch, c.offset, "a")
			if how != c.how || head != 10 {
				t.Errorf("how %d, head %d; want %d and 10", how, head, c.how)
			}
			publish(t, ctx, pub, "b", "not held")
			publish(t, ctx, pub, "a", "end")
			for _, want := range append(c.want, "a end") {
				wantMessages(t, []string{r.message()}, want)
			}
			r.send(zmtp.AppendPing(nil, 0, []byte("x")))
			r.command(zmtp.CommandPong)
			offset, messages, err := parseNumbers(commandMark, r.command(commandMark))
			if want := uint64(len(c.want) + 1); err != nil || offset != 12 || messages != want {
				t.Errorf("mark %d, %d messages, %v; want 12, %d", offset, messages, err, want)
			}
		})
	}
}

// Our commands where they don't belong, or cut short, end that connection or do
// nothing; who else is connected is not harmed.
func TestMisplacedCommands(t *testing.T) {
	ctx := begin(t)
	var book logBook
	pub := openPub(t, ctx, withEpoch(7), book.use)
	good := openSub(t, ctx)
	meet(t, ctx, good, uri(pub), "a")
	command := func(name string, data ...byte) []byte { return zmtp.AppendCommand(nil, name, data) }
	subscribe := zmtp.AppendSubscribe(nil, 1, []byte("a"))
	for _, c := range []struct {
		name, version string
		send          []byte
		ends          bool
	}{
		{"go without resume", "2", append(command(commandGo), subscribe...), false},
		{"resume twice", "2", bytes.Join([][]byte{appendResume(nil, 9, 9), appendResume(nil, 7, 0), subscribe, command(commandGo)}, nil), false},
		{"resume and go twice", "2", bytes.Join([][]byte{appendResume(nil, 7, 0), subscribe, command(commandGo), appendResume(nil, 7, 0), command(commandGo)}, nil), false},
		{"resume too late", "2", append(bytes.Clone(subscribe), appendResume(nil, 7, 0)...), false},
		{"resume by the first version", "1", bytes.Join([][]byte{appendResume(nil, 7, 0), subscribe, command(commandGo)}, nil), false},
		{"resume of another one's kind", "", bytes.Join([][]byte{appendResume(nil, 7, 0), subscribe, command(commandGo)}, nil), false},
		{"later version", "12", bytes.Join([][]byte{command(commandResume, append(make([]byte, 16), "more"...)...), subscribe, command(commandGo, 1, 2, 3)}, nil), false},
		{"no version", "none", subscribe, false},
		{"marks from a subscriber", "2", bytes.Join([][]byte{subscribe, appendMark(nil, 1, 1), appendFrom(nil, 1, 1)}, nil), false},
		{"empty resume", "2", command(commandResume), true},
		{"short resume", "2", command(commandResume, make([]byte, 15)...), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := as(t, pub, c.version)
			if c.version == "" {
				r = foreign(t, dial(t, pub.Addr()), zmtp.Sub, 1)
			}
			r.send(c.send)
			if c.ends {
				if _, err := io.Copy(io.Discard, r.conn); err != nil {
					t.Fatal(err)
				}
				book.waitFor(t, "WRESUME with")
			} else {
				seen := make(map[string]bool)
				for _, text := range []string{c.name, c.name + ", later"} {
					r.subscribe(1)
					publish(t, ctx, pub, "a", text)
					wantMessages(t, receive(t, ctx, good, 1), "a "+text)
					for got := ""; got != "a "+text; { // after what it resumed with
						if got = r.message(); seen[got] {
							t.Errorf("%q came twice", got)
						}
						seen[got] = true
					}
					r.send(c.send) // that stream has begun
				}
				if !strings.Contains(c.name, "twice") && len(seen) > 2 {
					t.Errorf("%q came, some of which were published before", slices.Collect(maps.Keys(seen)))
				}
			}
			r.conn.Close()
		})
	}
	publish(t, ctx, pub, "a", "end")
	wantMessages(t, receive(t, ctx, good, 1), "a end")
}

// The same towards a subscriber: what a publisher may not say ends its
// connection, and what it may say at the wrong time claims nothing.
func TestMisplacedAnswers(t *testing.T) {
	short := func(name string, n int) []byte { return zmtp.AppendCommand(nil, name, make([]byte, n)) }
	for _, c := range []struct {
		name string
		send []byte
		want string // in the reason why the connection ends; "": it doesn't
	}{
		{"mark of the first version", appendMark(nil, 5, 1), ""},
		{"mark before anything", appendMark(nil, 5, 0), ""},
		{"mark of what never came", appendMark(nil, 5, 1), "messages are missing"},
		{"short mark", short(commandMark, 15), "WMARK with 15 bytes"},
		{"short from", short(commandFrom, 8), "WFROM with 8 bytes"},
		{"from, unasked", appendFrom(nil, fromMark, 5), ""},
		{"behind, a hundred times", bytes.Repeat(appendFrom(nil, fromHead, 5), 100), ""},
		{"pong to nothing", zmtp.AppendPong(nil, bytes.Repeat([]byte{255}, 8)), ""},
		{"short pong", zmtp.AppendPong(nil, []byte{1}), ""},
		{"resume", append(appendResume(nil, 1, 1), zmtp.AppendCommand(nil, commandGo, nil)...), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := begin(t)
			l := listen(t, "tcp", "127.0.0.1:0")
			var book logBook
			sub := openSub(t, ctx, quick, book.useAll)
			if err := sub.Subscribe(ctx, "a"); err != nil {
				t.Fatal(err)
			}
			if err := sub.Connect(addrURI(l.Addr())); err != nil {
				t.Fatal(err)
			}
			version := "2"
			if strings.Contains(c.name, "first version") {
				version = "1"
			}
			r := foreign(t, accept(t, l), zmtp.Pub, 1,
				zmtp.Property{Name: propertyPeer, Value: version}, zmtp.Property{Name: propertyID, Value: "p"}, zmtp.Property{Name: propertyEpoch, Value: "7"})
			r.send(c.send)
			if c.want != "" {
				book.waitFor(t, c.want)
				return
			}
			r.send(zmtp.AppendMessage2(nil, []byte("a"), []byte("x")))
			for got := ""; got != "a x"; got = receive(t, ctx, sub, 1)[0] {
			}
			if strings.HasPrefix(c.name, "pong") {
				return // the token is cut to the latest one, which it has asked with
			}
			sub.mu.Lock()
			defer sub.mu.Unlock()
			if h := sub.histories[0]; !h.waits([]string{"a"}) || h.complete() {
				t.Error("the topic is taken for confirmed")
			}
		})
	}
}

// A peer that needs a feature that is not known is refused, and told why; both
// ways.
func TestX6Needs(t *testing.T) {
	needs := zmtp.Property{Name: propertyNeeds, Value: "time-travel"}
	ctx := begin(t)
	var book logBook
	pub := openPub(t, ctx, book.use)
	r := as(t, pub, "3", needs)
	if reason, err := zmtp.ParseError(r.command(zmtp.CommandError)); err != nil || !strings.Contains(string(reason), "time-travel") {
		t.Errorf("told %q, %v", reason, err)
	}
	book.waitFor(t, "time-travel")
	if pub.Status().Refused != 1 {
		t.Errorf("%+v", pub.Status())
	}
	l := listen(t, "tcp", "127.0.0.1:0")
	var subBook logBook
	sub := openSub(t, ctx, quick, subBook.use)
	if err := sub.Connect(addrURI(l.Addr())); err != nil {
		t.Fatal(err)
	}
	r = foreign(t, accept(t, l), zmtp.Pub, 1, zmtp.Property{Name: propertyPeer, Value: "3"}, needs)
	if reason, err := zmtp.ParseError(r.command(zmtp.CommandError)); err != nil || !strings.Contains(string(reason), "time-travel") {
		t.Errorf("told %q, %v", reason, err)
	}
	subBook.waitFor(t, "time-travel")
}

// Whatever bytes follow the handshake, each half survives them, and its good
// peer gets what it should.
func FuzzCommands(f *testing.F) {
	for _, p := range [][]byte{
		appendResume(nil, 7, 0), appendMark(nil, 1, 1), appendFrom(nil, fromMark, 9),
		zmtp.AppendCommand(appendResume(nil, 7, 1), commandGo, nil),
		zmtp.AppendCommand(nil, commandResume, make([]byte, 3)),
		append(appendFrom(nil, fromHead, 1), zmtp.AppendPong(nil, make([]byte, 8))...),
		zmtp.AppendSubscribe(appendResume(nil, 7, 0), 1, []byte("a")),
	} {
		f.Add(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	pub := openPub(f, ctx, withEpoch(7))
	good := openSub(f, ctx)
	meet(f, ctx, good, uri(pub), "a")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, p []byte) {
		r := as(t, pub, "2")
		r.send(p)
		r.conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, r.conn)
		r.conn.Close()

		// It connects once: another attempt would be there for the next input.
		sub := openSub(t, ctx, func(c *driver.Config) { c.ReconnectMin, c.ReconnectMax = time.Hour, time.Hour })
		defer sub.Close()
		if err := sub.Subscribe(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		if err := sub.Connect(addrURI(l.Addr())); err != nil {
			t.Fatal(err)
		}
		r = foreign(t, accept(t, l), zmtp.Pub, 1, zmtp.Property{Name: propertyPeer, Value: "2"}, zmtp.Property{Name: propertyEpoch, Value: "7"})
		r.send(p)
		r.conn.Close()
		sub.Close()

		publish(t, ctx, pub, "a", "x")
		wantMessages(t, receive(t, ctx, good, 1), "a x")
	})
}
