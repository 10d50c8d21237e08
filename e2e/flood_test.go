//go:build linux

package e2e

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A worker that sends what can't be understood, as fast as it can, makes the
// nodes resync once a second and not more often; they miss nothing that others
// send.
func TestX4ResyncSpam(t *testing.T) {
	t.Parallel()
	const bad = 50000
	site := newSite(t, "log_level = info")
	svc := site.serveWith(t, plain)
	node := startSubscriber(t, "ours", svc.uri, "D")
	w := startWorker(t, "w", site.socket)
	w.send(t, "D", 1)
	node.awaitSets(t, 1)
	begin := time.Now()
	stop := w.keepSending(t, "D")
	c := dial(t, svc.socket)
	c.shake("PUSH")
	many := bytes.Repeat(message([]byte("D"), []byte{0xc1}), bad/100)
	for range 100 {
		c.write(many)
	}
	// A last one of its own, after which all have been seen.
	c.write(message([]byte("D"), eventBody("D", "last", nil)))
	node.awaitKey(t, "last")
	took := time.Since(begin)
	total := stop()
	w.flush(t)
	node.until(t, "everything", func(in *inbox) bool { return in.actions["set"] >= total+1 })
	node.checkComplete(t, []string{"w"}, total)
	node.mu.Lock()
	syncs := node.actions["sync"]
	node.mu.Unlock()
	if most := 2 + int(time.Since(begin)/time.Second); syncs < 1 || syncs > most {
		t.Errorf("%d orders to resync in %v, want 1 to %d", syncs, took, most)
	}
	if lines := svc.stderr.count(); lines > 20+10*int(1+time.Since(begin)/time.Second) {
		t.Errorf("%d lines of log in %v", lines, took)
	}
	svc.drain(t)
}

// A million frames that are wrong, in each way in which that is no reason to end
// a connection, make few lines of log; and these say how many there were.
func TestS9LogFlood(t *testing.T) {
	t.Parallel()
	site := newSite(t, "log_level = info")
	svc := site.serveWith(t, plain)
	node := startSubscriber(t, "ours", svc.uri, "D")
	for _, c := range []struct {
		name, socketType, address string
		frame                     []byte
		count                     int
		line                      string
	}{
		{"bodies", "PUSH", svc.socket, message([]byte("D"), []byte{0xc1}), 400_000, `msg="event refused"`},
		{"messages", "PUSH", svc.socket, message([]byte("D")), 591_000, `msg="message has one frame, not two"`},
		// No more than that at a time are taken from a subscriber.
		{"requests", "SUB", svc.address, message([]byte("D")), 9_000, `msg="message from a subscriber that is no subscription"`},
	} {
		before := svc.stderr.count()
		begin := time.Now()
		conn := dial(t, c.address)
		conn.shake(c.socketType)
		many := bytes.Repeat(c.frame, c.count/1000)
		for range 1000 {
			conn.write(many)
		}
		// What was suppressed is told by the next line, so one more is needed,
		// when there may be a line again.
		sent, told := c.count, 0
		until(t, "all are accounted for", func() bool {
			if told = accounted(svc.stderr, c.line); told >= sent {
				return true
			}
			conn.write(c.frame)
			sent++
			return false
		})
		if told > sent {
			t.Errorf("%s: %d in the log, %d sent", c.name, told, sent)
		}
		lines, most := svc.stderr.count()-before, 10+20*int(1+time.Since(begin)/time.Second)
		t.Logf("%s: %d in %v, %d lines", c.name, sent, time.Since(begin).Round(time.Millisecond), lines)
		if lines > most {
			t.Errorf("%s: %d lines of log in %v, want up to %d", c.name, lines, time.Since(begin), most)
		}
	}
	startWorker(t, "w", site.socket).send(t, "D", 1)
	node.awaitKey(t, "w-0")
	svc.drain(t)
}

var suppressed = regexp.MustCompile(`suppressed=(\d+)`)

// accounted returns how many happenings the lines that have a text stand for.
func accounted(o *output, text string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range o.lines {
		if !strings.Contains(line, text) {
			continue
		}
		n++
		if m := suppressed.FindStringSubmatch(line); m != nil {
			more, _ := strconv.Atoi(m[1])
			n += more
		}
	}
	return n
}
