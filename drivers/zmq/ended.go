package zmq

import (
	"net"
	"sync"
	"time"
)

const (
	// endedFor is how long it is remembered that a subscription of a ZeroMQ
	// node ended with its connection.
	endedFor = 5 * time.Minute
	// maxEnded bounds the addresses and subscriptions that are remembered. Of
	// an address beyond that every subscription is taken for a re-made one.
	maxEnded = 1 << 17
)

// ended is what a publisher knows of ZeroMQ nodes that were connected before:
// they have no identity, so a subscription of an address to a text that one of
// that address had, whose connection has ended, is taken for the same one,
// re-made. Several nodes may share an address: which of them comes is not
// known, and so each is told.
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
	last  time.Time            // when a connection of it ended last
	texts map[string]time.Time // subscription -> likewise
	full  bool                 // there were more
}

func newEnded(crashed bool, now time.Time) *ended {
	e := &ended{nodes: make(map[string]*endedNode), swept: now}
	if crashed {
		e.crash = now.Add(endedFor)
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
		n = &endedNode{texts: make(map[string]time.Time)}
		e.nodes[address] = n
	}
	n.last = now
	for _, text := range texts {
		if _, known := n.texts[text]; !known {
			if e.count >= maxEnded {
				n.full = true
				continue
			}
			e.count++
		}
		n.texts[text] = now
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
	at, known := n.texts[text]
	return n.full || known && now.Sub(at) <= endedFor
}

// sweepLocked forgets, now and then, what is too old.
func (e *ended) sweepLocked(now time.Time) {
	pause := endedFor / 10
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
		for text, at := range n.texts {
			if now.Sub(at) > endedFor {
				e.count--
				delete(n.texts, text)
			}
		}
	}
}
