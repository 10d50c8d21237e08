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
	if err := s.SubscribePrefix(text); err != nil {
		return err
	}
	cfg := &h.pub.cfg
	if cfg.Resync == nil || cfg.NoReconnectSync || plant.On(plant.RemadeUntold) {
		return nil
	}
	now := time.Now()
	if h.pub.ended.remade(host(h.address), text, now) {
		h.owed = append(h.owed, owed{text, now.Add(rand.N(max(cfg.ResyncSpread, 1)))})
		h.tellOwed(s, now)
	}
	return nil
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
