package zmq

import (
	"encoding/gob"
	"fmt"
	"io"
	"maps"
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
// that address had, whose connection ended, is taken for the same one, re-made.
//
// Handlers on all loops use it. mu is a leaf.
type ended struct {
	mu    sync.Mutex
	nodes map[string]*endedNode // by address without port
	count int                   // of subscriptions in them
	swept time.Time
	// crash is until when every subscription is taken for a re-made one, once:
	// another instance ended here without handing over.
	crash time.Time
}

type endedNode struct {
	last  time.Time      // when a connection of it ended last
	texts map[string]int // subscription -> how often it ended and was not re-made
	told  map[string]int // during crash: how often it was taken for re-made
	full  bool
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
	n := e.nodeLocked(address)
	if n == nil {
		return
	}
	n.last = now
	for _, text := range texts {
		if n.texts[text] > 0 || e.count < maxEnded {
			if n.texts[text] == 0 {
				e.count++
			}
			n.texts[text]++
		} else {
			n.full = true
		}
	}
}

// nodeLocked returns the entry of an address, or nil when there are too many.
func (e *ended) nodeLocked(address string) *endedNode {
	n := e.nodes[address]
	if n == nil && len(e.nodes) < maxEnded {
		n = &endedNode{texts: make(map[string]int), told: make(map[string]int)}
		e.nodes[address] = n
	}
	return n
}

// remade says whether a new subscription of a node is a re-made one.
func (e *ended) remade(address, text string, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.nodes[address]
	if now.Before(e.crash) {
		if n == nil {
			if n = e.nodeLocked(address); n == nil {
				return true
			}
			n.last = now
		}
		if n.told[text] == 0 {
			n.told[text] = 1
			return true
		}
	}
	if n == nil {
		return len(e.nodes) >= maxEnded // it may have been
	}
	if now.Sub(n.last) > endedFor {
		return false
	}
	if n.texts[text] > 0 {
		if n.texts[text]--; n.texts[text] == 0 {
			delete(n.texts, text)
			e.count--
		}
		return true
	}
	return n.full
}

// sweepLocked forgets, now and then, what is too old.
func (e *ended) sweepLocked(now time.Time) {
	if now.Sub(e.swept) < endedFor/10 && len(e.nodes) < maxEnded {
		return
	}
	e.swept = now
	for address, n := range e.nodes {
		if now.Sub(n.last) > endedFor {
			e.count -= len(n.texts)
			delete(e.nodes, address)
		}
	}
}

// savedNode is what is handed over of one address.
type savedNode struct {
	Address string
	Texts   map[string]int
}

// save writes what the next publisher must know.
func (e *ended) save(w io.Writer) error {
	e.mu.Lock()
	nodes := make([]savedNode, 0, len(e.nodes))
	for address, n := range e.nodes {
		nodes = append(nodes, savedNode{address, maps.Clone(n.texts)})
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
