package zmq

import (
	"errors"
	"fmt"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// maxRequest bounds a frame that a subscriber may send: a subscription.
const maxRequest = 8 << 10

// maxName is the longest topic that there is: a longer prefix matches none.
const maxName = 255

// peer speaks ZMTP with one subscriber. It lives on a loop of the Fanout.
type peer struct {
	pub      *publisher
	guest    *guest
	address  string
	hs       *zmtp.Handshake // nil when done
	info     zmtp.Peer
	ours     bool
	began    time.Time
	heard    time.Time     // last input
	pinged   time.Time     // last PING to it
	pings    bool          // it understands PING
	ttl      time.Duration // it asked to be dropped when silent for so long
	requests requests
	skip     bool // inside a message that is not a subscription
	scratch  []byte
}

// Input implements fanlog.Handler.
func (h *peer) Input(s *fanlog.Session, p []byte) (int, error) {
	h.heard = time.Now()
	used := 0
	if h.hs != nil {
		out, n, err := h.hs.Input(nil, p)
		if len(out) > 0 {
			if serr := s.Send(out); serr != nil && err == nil {
				err = serr
			}
		}
		if err != nil || !h.hs.Done() {
			return n, err
		}
		if err := h.guest.introduced(); err != nil {
			return n, err
		}
		used = n
		h.info = h.hs.Peer()
		h.hs = nil
		h.ours = isOurs(&h.info)
		h.pings = h.info.Minor >= 1
		h.pub.introduced.Add(1)
		s.Activate()
		h.pub.cfg.Log.Debug("subscriber connected", "peer", h.address, "ours", h.ours,
			"version", fmt.Sprintf("%d.%d", h.info.Major, h.info.Minor))
	}
	for {
		f, n, _, err := zmtp.ParseFrame(p[used:], maxRequest)
		if err != nil || n == 0 {
			return used, err
		}
		used += n
		work := s.Work()
		if err := h.frame(s, f); err != nil {
			return used, err
		}
		if until, stop := h.requests.charge(h.heard, s.Work()-work, h.pub.cfg.MaxSubscriptions); stop {
			s.Pause(until)
			return used, nil
		}
	}
}

func (h *peer) frame(s *fanlog.Session, f zmtp.Frame) error {
	if h.skip && f.Command {
		return errInside
	}
	if !f.Command && (h.skip || f.More) {
		// A message of several frames: SUB peers have no business to send one.
		if !h.skip {
			h.malformed()
		}
		h.skip = f.More
		return nil
	}
	op, topic, err := zmtp.ParseSubscription(f)
	if err != nil {
		return err
	}
	switch {
	case op != zmtp.NotSubscription && len(topic) > maxName:
		return errTopic
	case op == zmtp.Subscribe && h.ours && len(topic) == 0:
		return s.SubscribePrefix("") // all topics
	case op == zmtp.Cancel && h.ours && len(topic) == 0:
		s.UnsubscribePrefix("")
		return nil
	case op == zmtp.Subscribe && h.ours:
		return s.Subscribe(string(topic))
	case op == zmtp.Subscribe:
		return s.SubscribePrefix(string(topic))
	case op == zmtp.Cancel && h.ours:
		s.Unsubscribe(string(topic))
		return nil
	case op == zmtp.Cancel:
		s.UnsubscribePrefix(string(topic))
		return nil
	case f.Command:
		return h.command(s, f.Body)
	}
	h.malformed()
	return nil
}

func (h *peer) malformed() {
	h.pub.malformed.Add(1)
	h.pub.refusals.note("message from a subscriber that is no subscription", h.address)
}

func (h *peer) command(s *fanlog.Session, body []byte) error {
	name, data, err := zmtp.ParseCommand(body)
	if err != nil {
		return err
	}
	switch string(name) {
	case zmtp.CommandPing:
		ttl, context, err := zmtp.ParsePing(data)
		if err != nil {
			return err
		}
		h.ttl, h.pings = ttl, true
		h.scratch = zmtp.AppendPong(h.scratch[:0], context)
		return s.Send(h.scratch)
	case zmtp.CommandError:
		reason, err := zmtp.ParseError(data)
		if err != nil {
			return err
		}
		return fmt.Errorf("peer reports: %q", reason)
	}
	return nil // unknown commands are ignored
}

// Tick implements fanlog.Handler.
func (h *peer) Tick(s *fanlog.Session, now time.Time) error {
	cfg := &h.pub.cfg
	if h.hs != nil {
		if now.Sub(h.began) > cfg.HandshakeTimeout {
			return errHandshakeTimeout
		}
		return nil
	}
	if behind, _ := s.Behind(); behind || s.Unsent() > 0 || s.Paused() {
		// It doesn't read at the moment, or isn't read, so it can't be asked.
		// The kernel finds out whether its host is alive.
		h.heard = now
		return nil
	}
	silence := now.Sub(h.heard)
	if h.ttl > 0 && silence > h.ttl || h.pings && silence > subscriberSilence*cfg.HeartbeatTimeout {
		return errSilent
	}
	if h.pings && silence >= cfg.HeartbeatInterval && now.Sub(h.pinged) >= cfg.HeartbeatInterval {
		h.pinged = now
		h.scratch = zmtp.AppendPing(h.scratch[:0], 0, nil)
		return s.Send(h.scratch)
	}
	return nil
}

// Lost implements fanlog.Handler: the subscriber is told, for each of its
// subscriptions, to compare itself with the database. More than fit are told
// by ending the connection, which its own side notices.
func (h *peer) Lost(s *fanlog.Session) {
	if resync := h.pub.cfg.Resync; resync != nil {
		exact, prefixes := s.Subscriptions()
		for _, topic := range append(exact, prefixes...) {
			h.scratch = zmtp.AppendMessage2(h.scratch[:0], []byte(topic), resync)
			if err := s.Send(h.scratch); err != nil {
				s.End(err)
				break
			}
		}
	}
	h.pub.refusals.note("subscriber fell behind and lost events; told to resync", h.address)
}

// Closed implements fanlog.Handler.
func (h *peer) Closed(_ *fanlog.Session, reason error) {
	h.guest.leave()
	if h.hs == nil {
		h.pub.introduced.Add(-1)
		if isProtocol(reason) {
			h.pub.malformed.Add(1)
		}
	}
	if h.hs != nil && !errors.Is(reason, fanlog.ErrClosed) || isRefusal(reason) {
		h.pub.refusals.add(h.address, reason)
		return
	}
	h.pub.cfg.Log.Debug("subscriber gone", "peer", h.address, "reason", reason)
}
