package zmq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
	"github.com/wyvern-pubsub/wyvern/internal/plant"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// line keeps one publisher connected.
type line struct {
	sub    *subscriber
	target endpoint
	ctx    context.Context // ends with Disconnect
	cancel context.CancelFunc

	// Guarded by sub.mu.
	link    *link    // nil while not connected
	history *history // of whom it is connected to, or was last
	source  *driver.Source
	twin    bool  // the publisher is connected by another line
	why     error // why it isn't connected
}

// run connects again and again.
func (l *line) run() {
	s := l.sub
	pause := &backoff.Backoff{Min: s.cfg.ReconnectMin, Max: s.cfg.ReconnectMax}
	vain := 0 // of a planted bug
	for l.ctx.Err() == nil {
		began := clock()
		up, err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		twin := errors.Is(err, errTwin)
		s.mu.Lock()
		l.why, l.twin = err, twin
		s.notifyLocked()
		s.mu.Unlock()
		switch {
		case twin:
			l.awaitTurn()
			pause.Reset()
			continue
		case isRefusal(err): // it will do the same again: not at once
			s.refusals.add(l.target.String(), err)
			if up && isProtocol(err) {
				s.malformed.Add(1)
			}
		case errors.Is(err, errMissing):
			s.cfg.Log.Warn("publisher connected again", "uri", l.target.String(), "reason", err)
			if clock()-began >= int64(s.cfg.HeartbeatInterval) { // marks come that often
				pause.Reset()
			}
		case up:
			pause.Reset()
			s.cfg.Log.Info("publisher lost", "uri", l.target.String(), "reason", err)
		default:
			s.cfg.Log.Debug("publisher not reached", "uri", l.target.String(), "reason", err)
			if plant.On(plant.ConnectGivesUp) {
				if vain++; vain == 5 {
					return
				}
			}
		}
		if await(l.ctx, pause.Next()) != nil {
			return
		}
	}
}

// awaitTurn waits until the other line to the same publisher has lost its
// connection, or for a while: the address may lead elsewhere by then.
func (l *line) awaitTurn() {
	ctx, cancel := context.WithTimeout(l.ctx, l.sub.cfg.ReconnectMax)
	defer cancel()
	_ = l.sub.until(ctx, func() bool { return l.history.line == nil })
}

// connect makes one connection and serves it until it ends. up says whether it
// came about.
func (l *line) connect() (up bool, err error) {
	s := l.sub
	k, rest, release, err := openLink(l.ctx, l.target, s.hello, &s.cfg)
	if err != nil {
		return false, err
	}
	defer release()
	k.malformed, k.report = &s.malformed, &s.refusals
	k.onCommand = func(name string, data []byte) ([]driver.Message, error) { return l.command(k, name, data) }
	if err := l.begin(k); err != nil {
		k.close(err)
		return false, err
	}

	var writer sync.WaitGroup
	writer.Go(func() { k.write(nil) })
	k.read(s.in, rest, s.cfg.MaxPayload+envelopeGrowth, l.source)
	k.close(errClosed)
	writer.Wait()
	l.end(k)
	return true, k.reason
}

// identity returns who is at the other end of a fresh connection.
func (l *line) identity(k *link) (id string, epoch uint64) {
	id, _ = k.peer.Properties.Get(propertyID)
	if id == "" || plant.On(plant.TwoAddresses) {
		id = l.target.String()
	}
	if text, ok := k.peer.Properties.Get(propertyEpoch); ok {
		epoch, _ = strconv.ParseUint(text, 16, 64)
	}
	return id, epoch
}

// begin finds out who is at the other end of a fresh connection and asks for
// what is held.
func (l *line) begin(k *link) error {
	s := l.sub
	id, epoch := l.identity(k)
	s.mu.Lock()
	if l.ctx.Err() != nil { // Disconnect or Close came first
		s.mu.Unlock()
		return errClosed
	}
	known, before := l.twin, l.history
	h, rival := s.historyLocked(id, epoch)
	l.history = h // whoever was there before is watched for LostAfter, and gone then
	s.restLocked(before)
	if other := h.line; other != nil {
		s.mu.Unlock()
		if !known {
			s.cfg.Log.Info("publisher is connected already", "uri", l.target.String(), "id", id, "by", other.target.String())
		}
		return fmt.Errorf("%w: %s by %s", errTwin, id, other.target)
	}
	resumed := l.beginLocked(k, epoch)
	s.mu.Unlock()
	if rival != nil {
		s.cfg.Log.Warn("another incarnation of the publisher is connected: its connection is dead, or two services have one identity",
			"id", id, "uri", l.target.String(), "other", rival.target.String())
	}
	s.cfg.Log.Info("publisher connected", "uri", l.target.String(), "id", id, "resumed", resumed)
	return nil
}

// beginLocked asks for what is held. It says whether that goes on where the
// connection before ended.
func (l *line) beginLocked(k *link, epoch uint64) (resumed bool) {
	s, h := l.sub, l.history
	h.line = l
	l.link, l.why, l.twin = k, nil, false
	l.source = &driver.Source{Publisher: h.id, Epoch: epoch, Address: l.target.String()}
	resumed = h.connect(epoch, (epoch != 0 || plant.On(plant.EmptyEpoch)) && k.resumes, s.topics, s.token+1)
	if resumed {
		p := appendResume(nil, epoch, h.mark)
		for i, t := range h.old(s.topics) {
			if plant.On(plant.ResubscribeDrops) && i >= plantedMark {
				break
			}
			p = zmtp.AppendSubscribe(p, k.peer.Minor, []byte(t))
		}
		p = zmtp.AppendCommand(p, commandGo, nil)
		k.send(append(p, probe...))
	} else {
		// What comes before the notice about all topics is covered by it, and
		// told twice if it came first: not all of them are in force yet. Who
		// holds all topics has one subscription, and hears of some first so.
		k.early = h.start != driver.NoNotice && k.pings.Load() && !s.cfg.AllTopics
		l.askLocked()
	}
	s.notifyLocked()
	return resumed
}

// end notes that a connection is gone, and has somebody watch for how long.
func (l *line) end(k *link) {
	s, h := l.sub, l.history
	s.mu.Lock()
	defer s.mu.Unlock()
	l.link = nil
	h.line = nil
	h.heard = k.lastHeard()
	h.end(isProtocol(k.reason) || errors.Is(k.reason, errMissing))
	if !h.watching {
		h.watching = true
		s.wg.Go(func() { s.watch(h) })
	}
	s.notifyLocked()
}

// probe is a PING whose answer comes with a mark.
var probe = pingToken(nil, 0)

// pingToken appends a PING with a token as its context.
func pingToken(dst []byte, token uint64) []byte {
	var context [8]byte
	binary.BigEndian.PutUint64(context[:], token)
	return zmtp.AppendPing(dst, 0, context[:])
}

// plantedMark is how many subscriptions at once a planted bug lets pass.
const plantedMark = 4

// askLocked requests what was not asked for yet, and a sign that the request
// arrived.
func (l *line) askLocked() {
	k, s := l.link, l.sub
	s.token++
	var p []byte
	for i, t := range l.history.wanted.take(s.token) {
		if plant.On(plant.ResubscribeDrops) && l.history.start != driver.NoNotice && i >= plantedMark {
			break
		}
		p = zmtp.AppendSubscribe(p, k.peer.Minor, []byte(t))
	}
	if k.pings.Load() && !plant.On(plant.ConfirmedEarly) {
		p = pingToken(p, s.token)
	} else {
		// It can't confirm: that the request was made has to do.
		if notices := l.confirmLocked(s.token); len(notices) > 0 {
			s.wg.Go(func() { s.in.note(notices) })
		}
	}
	if len(p) > 0 {
		k.send(p)
	}
}

// command handles what only a publisher says. It returns the notices that
// belong at this place of the stream. The link's reader calls it.
func (l *line) command(k *link, name string, data []byte) (notices []driver.Message, err error) {
	s, h := l.sub, l.history
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name {
	case zmtp.CommandPong:
		if len(data) != 8 {
			return nil, nil
		}
		token := min(s.token, binary.BigEndian.Uint64(data))
		if token == 0 {
			h.probing = false
			return nil, nil
		}
		notices = l.confirmLocked(token)
		k.early = k.early && h.start != driver.NoNotice
	case commandFrom:
		how, head, err := parseFrom(data)
		if err != nil {
			return nil, err
		}
		resuming := h.catching
		if h.from(how, head) {
			notices = append(notices, driver.Message{Notice: driver.Behind, Source: l.source})
			if resuming {
				l.askLocked()
				s.notifyLocked()
			}
		}
	case commandMark:
		offset, messages, err := parseNumbers(name, data)
		if err != nil {
			return nil, err
		}
		ok, caught := h.markAt(offset, messages, k.received)
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: %d messages were sent, %d received", errMissing, messages, k.received)
		case caught:
			l.askLocked()
			s.notifyLocked()
		case h.catching && !h.probing: // one at a time
			h.probing = true
			k.send(probe)
		}
	}
	return notices, nil
}

// confirmLocked notes that the publisher has taken note of subscriptions. It
// returns the notices that this is worth.
func (l *line) confirmLocked(token uint64) (notices []driver.Message) {
	s := l.sub
	start, relied, others := l.history.confirm(token)
	if start != driver.NoNotice {
		notices = append(notices, driver.Message{Notice: start, Source: l.source})
	}
	for _, t := range relied {
		notices = append(notices, driver.Message{Topic: []byte(t), Notice: driver.Gap, Source: l.source})
	}
	for _, t := range others {
		if s.awaited[t] == 0 && !plant.On(plant.ConfirmedUntold) {
			s.late = append(s.late, driver.Message{Topic: []byte(t), Notice: driver.Confirmed, Source: l.source})
		}
	}
	if len(s.late) > 0 && s.later == nil {
		s.later = time.AfterFunc(lateAfter, s.tellLate)
	}
	s.notifyLocked()
	return notices
}
