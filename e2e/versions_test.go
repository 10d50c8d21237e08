//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// readyWith is the command READY with more properties, in pairs.
func readyWith(socketType string, properties ...string) []byte {
	p := []byte("\x05READY")
	for i := range len(properties)/2 + 1 {
		name, value := "Socket-Type", socketType
		if i > 0 {
			name, value = properties[2*i-2], properties[2*i-1]
		}
		p = append(append(p, byte(len(name))), name...)
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(value))), value...)
	}
	return shortFrame(4, p)
}

// awaitCommand reads frames until a command of that name, and returns what is
// behind the name.
func (c *rawConn) awaitCommand(name string) []byte {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(atMost))
	for {
		flags, body := c.frame()
		if rest, ok := bytes.CutPrefix(body, append([]byte{byte(len(name))}, name...)); ok && flags&4 != 0 {
			return rest
		}
	}
}

// A worker writes numbers into its events: its own, those of the service's epoch
// that are to come, that were, and the largest. The service's take their place,
// whatever else is in the map, and no node loses or repeats anything for them
// (failures: X5).
func TestX5ForgedNumbers(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	ours := startSubscriber(t, "ours", svc.uri, "D", "other")
	theirs := startPeer(t, "libzmq", peerConfig{Type: "SUB", Connect: []string{svc.uri}, Topics: []string{"D"}})
	w := startWorker(t, "w", site.socket)
	w.warm(t, "D", ours.inbox, theirs.inbox)
	epoch := ours.events()[0].Epoch
	forger := startPeer(t, "forger", peerConfig{Type: "PUSH", Connect: []string{"ipc://" + site.socket}})
	number := func(p []byte, key string, v uint64) []byte {
		p = append(append(p, 0xa0|byte(len(key))), key...)
		return binary.BigEndian.AppendUint64(append(p, 0xcf), v)
	}
	count := 0
	for _, e := range []uint64{epoch, epoch + 1, 1, 0} {
		for _, seq := range []uint64{1, 2, 10000, 1<<64 - 1, 0} {
			for _, first := range []bool{true, false} {
				five := []byte("\xa5table\xa5lport\xa3key\xd9\x00\xa6action\xa3set\xa5value\xc0\xa5topic\xa1D")
				key := fmt.Sprintf("f-%d", count)
				five = bytes.Replace(five, []byte("\xd9\x00"), append([]byte{0xd9, byte(len(key))}, key...), 1)
				numbers := number(number(nil, "seq", seq), "epoch", e)
				body := mapOf(first, numbers, five)
				forger.order(t, order{Do: "raw", Frames: []string{hex.EncodeToString([]byte("D")), hex.EncodeToString(body)}})
				count++
			}
		}
		w.send(t, "D", 5)
	}
	w.flush(t)
	for _, n := range []*inbox{ours.inbox, theirs.inbox} {
		n.awaitKey(t, fmt.Sprintf("f-%d", count-1))
		n.awaitKey(t, "w-19")
		n.checkComplete(t, []string{"f"}, count)
		for _, e := range n.events() {
			if e.Epoch != epoch {
				t.Errorf("node %s: %v, and the epoch is %d", n.name, e, epoch)
			}
		}
	}
	checkTold(t, ours.inbox, "D")
	wantNoResync(t, ours.inbox)
}

// mapOf is a map of seven pairs, of which either part comes first.
func mapOf(first bool, numbers, five []byte) []byte {
	if first {
		return append(append([]byte{0x87}, numbers...), five...)
	}
	return append(append([]byte{0x87}, five...), numbers...)
}

// Peers of any version, older and newer, with properties and commands that nobody
// knows yet, are served on either side; one that needs what is not known is
// refused and told why (failures: X6).
func TestX6Versions(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	svc := site.serve(t)
	w := startWorker(t, "w", site.socket)
	unknown := shortFrame(4, []byte("\x08WUNKNOWNdata"))
	ping := shortFrame(4, []byte("\x04PING\x00\x00x"))
	for name, properties := range map[string][]string{
		"none":             nil,
		"1":                {"X-Wyvern", "1"},
		"2":                {"X-Wyvern", "2", "X-Wyvern-Id", "node-1"},
		"3":                {"X-Wyvern", "3", "X-Wyvern-Colour", "blue", "Identity", ""},
		"a later one":      {"X-Wyvern", "4711", "X-Wyvern-Needs", ""},
		"no number":        {"X-Wyvern", "two"},
		"other properties": {"X-Other", strings.Repeat("x", 150)},
	} {
		t.Run("node, version "+name, func(t *testing.T) {
			c := dial(t, svc.address)
			c.shakeWith(readyWith("SUB", properties...))
			c.write(append(append(unknown, shortFrame(0, []byte("\x01D"))...), ping...))
			c.awaitCommand("PONG")
			key := "for version " + name
			w.publish(t, wyvern.Event{Table: "t", Key: key, Action: "set", Topic: "D"})
			for {
				flags, body := c.frame()
				if flags&5 == 0 && bytes.Contains(body, []byte(key)) {
					break
				}
			}
			c.Close()
		})
		t.Run("service, version "+name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			done := make(chan *rawConn, 1)
			go func() {
				defer close(done)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				c := &rawConn{conn, t}
				c.write(append(greeting(), readyWith("PUB", properties...)...))
				done <- c
			}()
			in := newInbox("node")
			node, err := wyvern.OpenSubscriber(t.Context(), wyvern.SubscriberOptions{
				Alias: "zmq_pubsub_driver", Topics: []string{"D"}, Connect: []string{"tcp://" + l.Addr().String()},
				Handler: func(_ context.Context, e wyvern.Event) error { in.put(fromEvent(e)); return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { node.Close() })
			c := <-done
			t.Cleanup(func() { c.Close() })
			_ = c.SetReadDeadline(time.Now().Add(atMost))
			var g [64]byte
			if _, err := io.ReadFull(c, g[:]); err != nil {
				t.Fatal(err)
			}
			token := c.awaitCommand("PING")[2:]
			c.write(unknown)
			c.write(shortFrame(4, append([]byte("\x04PONG"), token...)))
			c.write(message([]byte("D"), eventBody("D", "w-0", nil)))
			in.awaitKey(t, "w-0")
			wantNoResync(t, in)
		})
	}
	t.Run("needs", func(t *testing.T) {
		from := svc.stderr.count()
		c := dial(t, svc.address)
		c.write(append(greeting(), readyWith("SUB", "X-Wyvern", "3", "X-Wyvern-Needs", "time-travel")...))
		_ = c.SetReadDeadline(time.Now().Add(atMost))
		var g [64]byte
		if _, err := io.ReadFull(c, g[:]); err != nil {
			t.Fatal(err)
		}
		if reason := c.awaitCommand("ERROR"); !bytes.Contains(reason, []byte("time-travel")) {
			t.Errorf("told %q", reason)
		}
		c.awaitEnd()
		svc.stderr.awaitFrom(t, from, "refused", "time-travel")
	})
	svc.drain(t)
}
