package redis

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
)

var errReply = errors.New("a reply is larger than what may be held in memory")

// maxLine is how long a line may be; servers write short ones.
const maxLine = 64 << 10

// guard reads a connection for the client library, which believes any length
// that it is told. A string that is longer than most is passed on as an empty
// one, which is no event: its topic is resynced. A reply that all in all is
// longer than a budget ends the connection.
//
// It follows the protocol only as far as strings have a length: what is a line
// and what is a string.
type guard struct {
	net.Conn
	most   int // of a string, in bytes
	budget int // of what is read between two calls of begin; 0: any

	spent   atomic.Int64
	swallow atomic.Int64 // strings that were too long

	line  []byte // the part of a line that was read so far
	body  int    // bytes of the string that are still to come, with its end
	drop  bool   // they are not passed on
	extra []byte // to be passed on before anything else
}

// begin starts a new reply.
func (g *guard) begin() { g.spent.Store(0) }

func (g *guard) Read(p []byte) (int, error) {
	for {
		if len(g.extra) > 0 {
			n := copy(p, g.extra)
			g.extra = g.extra[n:]
			return n, nil
		}
		n, err := g.Conn.Read(p)
		if n > 0 {
			if spent := g.spent.Add(int64(n)); g.budget > 0 && spent > int64(g.budget) {
				return 0, errReply
			}
			if len(g.line) > maxLine {
				return 0, errReply
			}
			if n = g.pass(p[:n]); n > 0 || len(g.extra) > 0 {
				err = nil // it comes again
			}
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// pass looks at what was read and takes out of it what is not to be passed on.
// It returns how much is left at the beginning of p; what has no room there is
// in extra.
func (g *guard) pass(p []byte) int {
	if g.body == 0 && len(g.line) == 0 && bytes.IndexByte(p, '$') < 0 {
		if last := bytes.LastIndexByte(p, '\n'); last == len(p)-1 {
			return len(p) // lines only
		}
	}
	var out []byte // instead of p, from the first thing that is taken out
	taken := false
	emit := func(from, to int) {
		if taken {
			out = append(out, p[from:to]...)
		}
	}
	kept := 0 // of p, as long as nothing was taken out
	for i := 0; i < len(p); {
		if g.body > 0 {
			n := min(g.body, len(p)-i)
			g.body -= n
			switch {
			case g.drop:
				taken = true
			case taken:
				emit(i, i+n)
			default:
				kept = i + n
			}
			i += n
			continue
		}
		end := bytes.IndexByte(p[i:], '\n')
		if end < 0 {
			// The rest waits for its end, so that it can still be changed.
			taken = true
			g.line = append(g.line, p[i:]...)
			break
		}
		whole := p[i : i+end+1]
		if len(g.line) > 0 {
			g.line = append(g.line, whole...)
			whole = g.line
			taken = true
		}
		n := length(whole)
		switch {
		case n > g.most:
			taken = true
			out = append(out, "$0\r\n\r\n"...)
			g.body, g.drop = n+2, true
			g.swallow.Add(1)
		default:
			if n >= 0 {
				g.body, g.drop = n+2, false
			}
			if taken {
				out = append(out, whole...)
			} else {
				kept = i + end + 1
			}
		}
		g.line = g.line[:0]
		i += end + 1
	}
	if len(out) > 0 {
		if kept == 0 {
			n := copy(p, out)
			g.extra = append(g.extra[:0], out[n:]...)
			return n
		}
		g.extra = append(g.extra[:0], out...)
	}
	return kept
}

// length returns the length in the line that begins a string; -1: it begins
// none.
func length(line []byte) int {
	if len(line) < 4 || line[0] != '$' {
		return -1
	}
	n, err := strconv.Atoi(string(bytes.TrimRight(line[1:], "\r\n")))
	if err != nil {
		return -1
	}
	return n
}
