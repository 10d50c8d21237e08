package zmq

import (
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// endedFor is how long it is remembered that a subscription of a ZeroMQ
	// node ended with its connection: a node may be cut off for that long.
	endedFor = 24 * time.Hour
	// confused is for how long after the end of a connection, or after one was
	// taken for re-made, it is not known which of the nodes behind an address
	// comes.
	confused = 10 * time.Second
	// lateEnd is for how long after a node has connected the end of an earlier
	// connection of its address may be noticed: when its host is gone, the
	// kernel notices last.
	lateEnd = 2 * unackedTimeout
	// afterCrash is for how long after a crash all subscriptions are taken for
	// re-made.
	afterCrash = 5 * time.Minute
	// maxEnded bounds the addresses and subscriptions that are remembered. Of
	// an address beyond that every subscription is taken for a re-made one.
	maxEnded = 1 << 17
)

// ended is what a publisher knows of ZeroMQ nodes that were connected before:
// they have no identity, so a subscription of an address to a text that one of
// that address had, whose connection has ended, is taken for the same one,
// re-made. Several nodes may share an address: as long as it is not known which
// of them comes, each is told. It may come before the end of its old connection
// is noticed: late is for that.
//
// Handlers on all loops use it. mu is a leaf.
type ended struct {
	mu    sync.Mutex
	nodes map[string]*endedNode // by address without port
	count int                   // of subscriptions in them
	swept time.Time
	// crash is until when every subscription is taken for a re-made one:
	// another instance ended here without handing over.
	crash time.Time

	ends atomic.Uint64 // how many connections have ended
}

type endedNode struct {
	last  time.Time            // when something of it changed last
	texts map[string]endedText // by subscription
	full  bool                 // there were more
	end   uint64               // which end of a connection was its last
}

type endedText struct {
	count int       // how many ended and were not made again
	last  time.Time // when one ended, or was made again
	end   uint64    // which end of a connection was the last
	there time.Time // until when its node was there; of several in a short time, the earliest
}

func newEnded(crashed bool, now time.Time) *ended {
	e := &ended{nodes: make(map[string]*endedNode), swept: now}
	if crashed {
		e.crash = now.Add(afterCrash)
	}
	return e
}

// host is the part of a remote address that a re-made connection shares.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// end notes that the connection of a node ended, with its subscriptions. There is
// until when its node is known to have been there.
func (e *ended) end(address string, texts []string, there, now time.Time) {
	if len(texts) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweepLocked(now)
	n := e.nodes[address]
	if n == nil {
		if len(e.nodes) >= maxEnded {
			return
		}
		n = &endedNode{texts: make(map[string]endedText)}
		e.nodes[address] = n
	}
	n.last, n.end = now, e.ends.Add(1)
	for _, text := range texts {
		t, known := n.texts[text]
		if !known {
			if e.count >= maxEnded {
				n.full = true
				continue
			}
			e.count++
		}
		first := there
		if known && now.Sub(t.last) <= confused && t.there.Before(there) {
			first = t.there
		}
		n.texts[text] = endedText{t.count + 1, now, n.end, first}
	}
}

// remade says whether a new subscription of a node is a re-made one.
func (e *ended) remade(address, text string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Before(e.crash) {
		return true
	}
	n := e.nodes[address]
	if n == nil {
		return len(e.nodes) >= maxEnded // it may have been
	}
	if now.Sub(n.last) > endedFor {
		return false
	}
	t, known := n.texts[text]
	if !known {
		return n.full
	}
	if t.count > 0 {
		n.last = now
		t.count--
		ended := now.Sub(t.last) <= endedFor
		t.last = now
		n.texts[text] = t
		return ended
	}
	return n.full || now.Sub(t.last) <= confused
}

// late says whether some of a node's subscriptions are re-made ones, because the end
// of a connection of that address was noticed since the node last asked, whose node was
// not known to be there any more when this one began: it came before that was noticed.
// seen is how many ends it has considered.
func (e *ended) late(address string, texts []string, began time.Time, seen uint64, now time.Time) (late bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.nodes[address]
	if n == nil || n.end <= seen {
		return false
	}
	for _, text := range texts {
		t, known := n.texts[text]
		if !known || t.end <= seen || t.there.After(began) {
			continue
		}
		t.count = max(t.count-1, 0) // another one may have taken it: it is not known which of them it was
		t.last, n.last = now, now
		n.texts[text] = t
		late = true
	}
	return late
}

// sweepLocked forgets, now and then, what is too old.
func (e *ended) sweepLocked(now time.Time) {
	pause := time.Minute
	if len(e.nodes) >= maxEnded || e.count >= maxEnded {
		pause = time.Second
	}
	if now.Sub(e.swept) < pause {
		return
	}
	e.swept = now
	for address, n := range e.nodes {
		if now.Sub(n.last) > endedFor {
			e.count -= len(n.texts)
			delete(e.nodes, address)
			continue
		}
		for text, t := range n.texts {
			if now.Sub(t.last) > endedFor || t.count == 0 && now.Sub(t.last) > confused {
				e.count--
				delete(n.texts, text)
			}
		}
	}
}

// savedNode is what is handed over of one address: how many of its
// subscriptions ended.
type savedNode struct {
	Address string
	Texts   map[string]int
}

// save writes what the next publisher must know.
func (e *ended) save(w io.Writer) error {
	e.mu.Lock()
	nodes := make([]savedNode, 0, len(e.nodes))
	for address, n := range e.nodes {
		saved := savedNode{address, make(map[string]int, len(n.texts))}
		for text, t := range n.texts {
			if t.count > 0 {
				saved.Texts[text] = t.count
			}
		}
		nodes = append(nodes, saved)
	}
	e.mu.Unlock()
	return gob.NewEncoder(w).Encode(nodes)
}

// restore reads what save wrote.
func (e *ended) restore(r io.Reader, now time.Time) error {
	var nodes []savedNode
	if err := gob.NewDecoder(r).Decode(&nodes); err != nil {
		return fmt.Errorf("restore subscriptions that ended: %w", err)
	}
	for _, saved := range nodes {
		for text, count := range saved.Texts {
			for range min(count, maxEnded) {
				e.end(saved.Address, []string{text}, now, now)
			}
		}
	}
	return nil
}
