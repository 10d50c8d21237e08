package redis

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
)

// pieces is a connection that brings a text in pieces.
type pieces struct {
	net.Conn
	text []byte
	size func() int
}

func (c *pieces) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(len(c.text), max(1, c.size()))])
	c.text = c.text[n:]
	return n, nil
}

func bulk(text string) string { return "$" + strconv.Itoa(len(text)) + "\r\n" + text + "\r\n" }

// TestGuardSwallows: strings past the limit arrive as empty ones and everything
// else as it was, however the stream is cut up.
func TestGuardSwallows(t *testing.T) {
	const most = 20
	random := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		var in, want strings.Builder
		long := int64(0)
		for range 1 + random.IntN(12) {
			switch random.IntN(5) {
			case 0:
				line := []string{"+OK\r\n", ":12\r\n", "*3\r\n", "-ERR no $99 here\r\n", "$-1\r\n", "$0\r\n\r\n"}[random.IntN(6)]
				in.WriteString(line)
				want.WriteString(line)
			case 1:
				body := strings.Repeat("$9\r\n", 6+random.IntN(30)) // longer than most, and looks like headers
				in.WriteString(bulk(body))
				want.WriteString(bulk(""))
				long++
			default:
				body := strings.Repeat("\n$\r*", 5)[:random.IntN(most+1)]
				in.WriteString(bulk(body))
				want.WriteString(bulk(body))
			}
		}
		size := 1 + random.IntN(40)
		g := &guard{Conn: &pieces{text: []byte(in.String()), size: func() int { return random.IntN(size) }}, most: most}
		var got bytes.Buffer
		buf := make([]byte, 1+random.IntN(64))
		for {
			n, err := g.Read(buf)
			got.Write(buf[:n])
			if err != nil {
				break
			}
		}
		if got.String() != want.String() || g.swallow.Load() != long {
			t.Fatalf("of %q came %q, want %q; %d swallowed, want %d", in.String(), got.String(), want.String(), g.swallow.Load(), long)
		}
	}
}

// TestGuardBounds: an answer past the budget, and a line without an end, end the
// connection instead of being kept.
func TestGuardBounds(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		budget int
		fails  bool
	}{
		"Within":     {bulk(strings.Repeat("x", 50)), 100, false},
		"Past":       {bulk(strings.Repeat("x", 100)), 100, true},
		"NoBudget":   {bulk(strings.Repeat("x", 100)), 0, false},
		"EndlessRow": {"+" + strings.Repeat("x", 3*maxLine), 0, true},
	} {
		g := &guard{Conn: &pieces{text: []byte(c.text), size: func() int { return 4096 }}, most: 1000, budget: c.budget}
		_, err := io.Copy(io.Discard, g)
		if errors.Is(err, errReply) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
