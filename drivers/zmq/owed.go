package zmq

import (
	"math/rand/v2"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

const (
	// topicAll is the topic that a ZeroMQ node that subscribed to everything is
	// told by: Dragonflow's for everybody.
	topicAll = "D"
	// noticeRoom is how many bytes of notices may wait to be sent to one peer.
	noticeRoom = 32 << 10
)

// owed is a subscription whose holder is to be told to resync.
type owed struct {
	text string
	at   time.Time
}

// subscribeNode adds a subscription of a ZeroMQ node. One that was made again
// after its connection ended is told to resync, some time in the window.
func (h *peer) subscribeNode(s *fanlog.Session, text string) error {
	h.oweLate(s, h.heard) // of those before: what has ended until now is asked for below
	if err := s.SubscribePrefix(text); err != nil {
		return err
	}
	if !h.tellsRemade() {
		return nil
	}
	now := time.Now()
	if h.pub.ended.remade(host(h.address), text, now) {
		h.owe(text, now)
		h.tellOwed(s, now)
	}
	return nil
}

// tellsRemade says whether ZeroMQ nodes are told that they have reconnected.
func (h *peer) tellsRemade() bool {
	cfg := &h.pub.cfg
	return cfg.Resync != nil && !cfg.NoReconnectSync && !plant.On(plant.RemadeUntold)
}

// owe has a node told of a subscription, some time in the window.
func (h *peer) owe(text string, now time.Time) {
	h.owed = append(h.owed, owed{text, now.Add(rand.N(max(h.pub.cfg.ResyncSpread, 1)))})
}

// oweLate has a node told, if the end of its connection before may have been noticed
// only now. Once is enough, whoever else ends: what it missed was before it came. It
// is told of all that it holds, for it is not known which connection was its own.
func (h *peer) oweLate(s *fanlog.Session, now time.Time) {
	ends := h.pub.ended.ends.Load()
	if ends == h.ends || h.toldLate || !h.tellsRemade() {
		return
	}
	exact, prefixes := s.Subscriptions()
	texts := append(exact, prefixes...)
	if h.pub.ended.late(host(h.address), texts, h.began, h.ends, now) {
		h.toldLate = true
		h.owed = h.owed[:0] // they are among these
		for _, text := range texts {
			h.owe(text, now)
		}
	}
	h.ends = ends
}

// tellOwed tells a ZeroMQ node what is due, as much as there is room for.
func (h *peer) tellOwed(s *fanlog.Session, now time.Time) {
	kept := h.owed[:0]
	for i, o := range h.owed {
		if s.Unsent() > noticeRoom {
			kept = append(kept, h.owed[i:]...)
			break
		}
		if o.at.After(now) {
			kept = append(kept, o)
			continue
		}
		topic := o.text
		if topic == "" {
			topic = topicAll
		}
		h.scratch = zmtp.AppendMessage2(h.scratch[:0], []byte(topic), h.pub.cfg.Resync)
		if err := s.Send(h.scratch); err != nil {
			s.End(err)
			return
		}
	}
	if h.owed = kept; len(kept) == 0 {
		h.owed = nil
	}
}

// oweAll makes a node that lost events be told of each of its subscriptions.
func (h *peer) oweAll(s *fanlog.Session) {
	exact, prefixes := s.Subscriptions()
	now := time.Now()
	h.owed = h.owed[:0] // they are among these
	for _, text := range append(exact, prefixes...) {
		h.owed = append(h.owed, owed{text, now})
	}
	h.tellOwed(s, now)
}
