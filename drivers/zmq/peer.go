package zmq

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
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
	inputs   inputs
	heard    time.Time     // the last input, or when it could not be asked for one
	pinged   time.Time     // last PING to it
	pings    bool          // it understands PING
	ttl      time.Duration // it asked to be dropped when silent for so long
	requests requests
	spell    spell
	skip     bool // inside a message that is not a subscription
	scratch  []byte

	// Of one of ours: it resumes where it stood, or its stream has begun.
	resumes bool
	begun   bool
	resume  bool
	epoch   uint64
	offset  uint64

	// Of a ZeroMQ node: what it is to be told to resync, how many ends of
	// connections it has considered, and whether one of them was late.
	owed     []owed
	ends     uint64
	toldLate bool
}

// Input implements fanlog.Handler.
func (h *peer) Input(s *fanlog.Session, p []byte) (int, error) {
	h.heard = time.Now()
	h.inputs.note(h.heard)
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
		h.resumes = version(&h.info) >= versionResume
		h.pings = h.info.Minor >= 1
		h.pub.introduced.Add(1)
		if err := checkNeeds(&h.info); err != nil {
			_ = s.Send(zmtp.AppendError(nil, errorText(err)))
			return n, err
		}
		if !h.resumes {
			h.begin(s)
		}
		h.pub.cfg.Log.Debug("subscriber connected", "peer", h.address, "ours", h.ours,
			"version", fmt.Sprintf("%d.%d", h.info.Major, h.info.Minor))
	}
	for {
		f, n, _, err := zmtp.ParseFrame(p[used:], maxRequest)
		if err != nil || n == 0 {
			return used, err
		}
		used += n
		held, work := s.Held(), s.Work()
		if err := h.frame(s, f); err != nil {
			return used, err
		}
		if until, stop := h.requests.charge(h.heard, s.Held() > held, s.Work()-work, h.pub.cfg.MaxSubscriptions); stop {
			s.Pause(until)
			return used, nil
		}
	}
}

func (h *peer) frame(s *fanlog.Session, f zmtp.Frame) error {
	if h.skip && f.Command {
		return errInside
	}
	if !h.begun && !h.resume && !isResume(f) {
		h.begin(s)
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
		return h.subscribeNode(s, string(topic))
	case op == zmtp.Cancel && h.ours:
		s.Unsubscribe(string(topic))
		return nil
	case op == zmtp.Cancel:
		s.UnsubscribePrefix(string(topic))
		h.owed = slices.DeleteFunc(h.owed, func(o owed) bool { return o.text == string(topic) })
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
		if h.begun && h.resumes {
			if offset, messages, whole := s.Position(); whole && !h.plantedSilence(offset) {
				h.scratch = appendMark(h.scratch, offset, messages)
			}
		}
		return s.Send(h.scratch)
	case commandResume:
		if h.resumes && !h.begun {
			h.epoch, h.offset, err = parseNumbers(commandResume, data)
			h.resume = err == nil
			return err
		}
	case commandGo:
		if h.resume {
			return h.goOn(s)
		}
	case zmtp.CommandError:
		reason, err := zmtp.ParseError(data)
		if err != nil {
			return err
		}
		return fmt.Errorf("peer reports: %q", reason)
	}
	return nil // unknown commands are ignored
}

// plantedSilence says whether a planted bug answers a heartbeat without a mark:
// always, or while there are events.
func (h *peer) plantedSilence(offset uint64) bool {
	if plant.On(plant.MarkWhenIdle) {
		before := h.offset
		h.offset = offset
		return offset != before
	}
	return plant.On(plant.HeartbeatNoData)
}

// isResume says whether a frame is the command that asks to go on somewhere.
func isResume(f zmtp.Frame) bool {
	if !f.Command {
		return false
	}
	name, _, err := zmtp.ParseCommand(f.Body)
	return err == nil && string(name) == commandResume
}

// begin lets events flow.
func (h *peer) begin(s *fanlog.Session) {
	h.begun = true
	s.Activate()
}

// goOn lets events flow from where the peer said, if they are retained.
func (h *peer) goOn(s *fanlog.Session) error {
	h.resume = false
	head, _, _ := s.Position() // it is not active yet: that of the log
	how := fromHead
	known := h.epoch == h.pub.cfg.Epoch || plant.On(plant.EmptyEpoch) && h.epoch == 0
	if known && (s.Resume(h.offset) || plant.On(plant.SkipUntold)) {
		how = fromMark
	}
	h.begin(s)
	h.scratch = appendFrom(h.scratch[:0], how, head)
	return s.Send(h.scratch)
}

// Mark implements fanlog.Marker.
func (h *peer) Mark(s *fanlog.Session, offset, messages uint64) {
	if !h.resumes {
		return
	}
	h.scratch = appendMark(h.scratch[:0], offset, messages)
	if err := s.Send(h.scratch); err != nil {
		s.End(err)
	}
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
	if !h.ours && now.Sub(h.began) < lateEnd {
		h.oweLate(s, now)
	}
	if len(h.owed) > 0 {
		h.tellOwed(s, now)
	}
	lag := s.Lag()
	h.watch(lag, now)
	if lag.Behind || s.Unsent() > 0 || s.Paused() {
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

// Lost implements fanlog.Handler: one of ours is told so; a ZeroMQ node is told,
// for each of its subscriptions, to compare itself with the database.
func (h *peer) Lost(s *fanlog.Session) {
	h.pub.lostLog.Warn(h.pub.cfg.Log, "subscriber fell behind and lost events; told to resync", "peer", h.address)
	if plant.On(plant.BehindUntold) {
		return
	}
	if h.resumes {
		offset, messages, _ := s.Position()
		h.scratch = appendFrom(h.scratch[:0], fromHead, offset)
		h.scratch = appendMark(h.scratch, offset, messages)
		if err := s.Send(h.scratch); err != nil {
			s.End(err)
		}
		return
	}
	if h.pub.cfg.Resync == nil {
		return
	}
	h.oweAll(s)
}

// Closed implements fanlog.Handler.
func (h *peer) Closed(s *fanlog.Session, reason error) {
	h.guest.leave()
	h.endSpell()
	if h.hs == nil {
		h.pub.introduced.Add(-1)
		if !h.ours {
			_, texts := s.Subscriptions()
			now := time.Now()
			h.pub.ended.end(host(h.address), texts, h.inputs.there(now, s.Undelivered()), now)
		}
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
