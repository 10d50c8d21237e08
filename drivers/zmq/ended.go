package zmq

import (
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"sync"
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
// of them comes, each is told.
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
}

type endedNode struct {
	last  time.Time            // when something of it changed last
	texts map[string]endedText // by subscription
	full  bool                 // there were more
}

type endedText struct {
	count int       // how many ended and were not made again
	last  time.Time // when one ended, or was made again
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

// end notes that the connection of a node ended, with its subscriptions.
func (e *ended) end(address string, texts []string, now time.Time) {
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
	n.last = now
	for _, text := range texts {
		t, known := n.texts[text]
		if !known {
			if e.count >= maxEnded {
				n.full = true
				continue
			}
			e.count++
		}
		n.texts[text] = endedText{t.count + 1, now}
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
		n.texts[text] = endedText{t.count - 1, now}
		return now.Sub(t.last) <= endedFor
	}
	return n.full || now.Sub(t.last) <= confused
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
				e.end(saved.Address, []string{text}, now)
			}
		}
	}
	return nil
}
