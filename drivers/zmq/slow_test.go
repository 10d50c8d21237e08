package zmq

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

func TestS2Slow(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name           string
		slow           bool
		behind, silent time.Duration
		want           bool
	}{
		{"just behind", false, slowAfter, 0, false},
		{"behind for long, and reading", false, time.Hour, stuckAfter - 1, false},
		{"without its claim, a moment", true, slowAfter - 1, slowAfter - 1, false},
		{"without its claim", true, slowAfter, slowAfter, true},
		{"without its claim, crawling", true, slowAfter, 0, true},
		{"stuck", false, stuckAfter, stuckAfter, true},
		{"had nothing to read for long, then something", false, slowAfter, time.Hour, false},
	} {
		lag := fanlog.Lag{Behind: true, Slow: c.slow, Since: now.Add(-c.silent)}
		if got := isSlow(lag, c.behind, now); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// A subscriber that stops is reported while it is stopped, once, with where and
// how far it is, and counted; when it has caught up it isn't any more, and
// reported again when it stops again.
func TestS2SlowIsReported(t *testing.T) {
	ctx := begin(t)
	var book logBook
	pub := openPub(t, ctx, book.use, func(c *driver.Config) { c.Retention, c.MaxPayload = 4<<20, 64<<10 })
	good := openSub(t, ctx)
	meet(t, ctx, good, uri(pub), "T")
	var victims []net.Conn
	for range 2 {
		conn := dial(t, pub.Addr())
		// The kernel would give one that has read as much as a flood is.
		if err := conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
			t.Fatal(err)
		}
		foreign(t, conn, zmtp.Sub, 1).subscribe(1, "T")
		victims = append(victims, conn)
	}
	payload := strings.Repeat("x", 60000)
	// flood publishes more than is retained and sockets hold.
	flood := func() {
		for range 150 {
			publish(t, ctx, pub, "T", payload)
			receive(t, ctx, good, 1)
		}
	}
	lines := func() (about [2]int) {
		for line := range strings.Lines(book.String()) {
			for i, v := range victims {
				if strings.Contains(line, "subscriber is slow") && strings.Contains(line, "peer="+v.LocalAddr().String()) {
					about[i]++
					if strings.Contains(line, "behind_bytes=0 ") {
						t.Errorf("not what happened: %s", line)
					}
				}
			}
		}
		return about
	}
	flood()
	eventually(t, "both are reported", func() bool { return lines() == [2]int{1, 1} })
	if st := pub.Status(); st.Slow != 2 || st.Lost != 2 {
		t.Errorf("status %+v, want 2 slow that lost events", st)
	}
	flood() // and for some time
	if got := lines(); got != [2]int{1, 1} {
		t.Errorf("they were reported %v times", got)
	}
	// The first one reads on, until it has everything, and stops again.
	want := string(zmtp.AppendMessage2(nil, []byte("T"), []byte("fence")))
	publish(t, ctx, pub, "T", "fence")
	receive(t, ctx, good, 1)
	tail := ""
	for buf := make([]byte, 64<<10); !strings.HasSuffix(tail, want); {
		n, err := victims[0].Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		tail = (tail + string(buf[:n]))[max(0, len(tail)+n-len(want)):]
		publish(t, ctx, pub, "T", "fence") // a heartbeat may come last
		receive(t, ctx, good, 1)
	}
	eventually(t, "one is left", func() bool { return pub.Status().Slow == 1 })
	flood()
	eventually(t, "the first is reported again", func() bool { return lines() == [2]int{2, 1} && pub.Status().Slow == 2 })
	for _, v := range victims {
		v.Close()
	}
	eventually(t, "nobody is left", func() bool { return pub.Status().Slow == 0 && pub.Status().Peers == 1 })
}
