package zmq

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/internal/backoff"
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
	start   driver.Notice // to be given when what is asked first is confirmed
	first   uint64        // that one's token
	twin    bool          // the publisher is connected by another line
	why     error         // why it isn't connected
}

// run connects again and again.
func (l *line) run() {
	s := l.sub
	pause := &backoff.Backoff{Min: s.cfg.ReconnectMin, Max: s.cfg.ReconnectMax}
	for l.ctx.Err() == nil {
		up, err := l.connect()
		if l.ctx.Err() != nil {
			return
		}
		switch {
		case isRefusal(err): // it will do the same again: not at once
			s.refusals.add(l.target.String(), err)
			if up && isProtocol(err) {
				s.malformed.Add(1)
			}
		case up:
			pause.Reset()
			s.cfg.Log.Info("publisher lost", "uri", l.target.String(), "reason", err)
		default:
			s.cfg.Log.Debug("publisher not reached", "uri", l.target.String(), "reason", err)
		}
		s.mu.Lock()
		l.why = err
		s.mu.Unlock()
		if l.wait(pause.Next()) != nil {
			return
		}
	}
}

// wait waits before the next attempt. A twin waits for the other line to lose
// its connection, and looks now and then whether the address still leads there.
func (l *line) wait(d time.Duration) error {
	s := l.sub
	s.mu.Lock()
	twin := l.twin
	s.mu.Unlock()
	if !twin {
		return await(l.ctx, d)
	}
	ctx, cancel := context.WithTimeout(l.ctx, s.cfg.ReconnectMax)
	defer cancel()
	_ = s.until(ctx, func() bool { return l.history.line == nil })
	return l.ctx.Err()
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

// begin finds out who is at the other end of a fresh connection and asks for
// what is held.
func (l *line) begin(k *link) error {
	s := l.sub
	id, _ := k.peer.Properties.Get(propertyID)
	if id == "" {
		id = l.target.String()
	}
	epoch := uint64(0)
	if text, ok := k.peer.Properties.Get(propertyEpoch); ok {
		epoch, _ = strconv.ParseUint(text, 16, 64)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ctx.Err() != nil { // Disconnect or Close came first
		return errClosed
	}
	h := s.histories[id]
	if h == nil {
		h = newHistory(id)
		s.histories[id] = h
	}
	l.history = h // whoever was there before is watched for LostAfter, and gone then
	if other := h.line; other != nil && h.epoch == epoch {
		if !l.twin {
			s.cfg.Log.Info("publisher is connected already", "uri", l.target.String(), "id", id, "by", other.target.String())
		}
		l.twin = true
		s.notifyLocked()
		return fmt.Errorf("the publisher %s is connected already, as %s", id, other.target)
	}
	l.twin = false
	h.line = l
	l.link, l.why = k, nil
	l.source = &driver.Source{Publisher: id, Epoch: epoch, Address: l.target.String()}
	l.start, l.first = driver.NoNotice, s.token+1
	how := h.connect(epoch, epoch != 0 && k.resumes, s.topics)
	switch how {
	case planResume:
		p := appendResume(nil, epoch, h.mark)
		for _, t := range h.old(s.topics) {
			p = zmtp.AppendSubscribe(p, k.peer.Minor, []byte(t))
		}
		p = zmtp.AppendCommand(p, commandGo, nil)
		k.send(append(p, ping...))
	case planRestart:
		l.start = driver.Restarted
	case planGap:
		l.start = driver.Gap
	}
	if how != planResume {
		l.askLocked()
	}
	s.notifyLocked()
	s.cfg.Log.Info("publisher connected", "uri", l.target.String(), "id", id, "resume", how == planResume)
	return nil
}

// end notes that a connection is gone, and has somebody watch for how long.
func (l *line) end(k *link) {
	s := l.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	l.link = nil
	s.notifyLocked()
	h := l.history
	if h.line != l {
		return // another connection to it was made meanwhile
	}
	h.end()
	h.line = nil
	h.heard = k.lastHeard()
	if !h.watching && l.ctx.Err() == nil {
		h.watching = true
		s.wg.Go(func() { s.watch(h) })
	}
}

// askLocked requests what was not asked for yet, and a sign that the request
// arrived.
func (l *line) askLocked() {
	k, s := l.link, l.sub
	s.token++
	var p []byte
	for _, t := range l.history.ask(s.token) {
		p = zmtp.AppendSubscribe(p, k.peer.Minor, []byte(t))
	}
	if k.pings.Load() {
		var context [8]byte
		binary.BigEndian.PutUint64(context[:], s.token)
		p = zmtp.AppendPing(p, 0, context[:])
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

// waits says whether one of the topics is still to be confirmed.
func (l *line) waits(topics []string) bool {
	for _, t := range topics {
		if l.history.waits(t) {
			return true
		}
	}
	return false
}

// command handles what only a publisher says. It returns the notices that
// belong at this place of the stream.
func (l *line) command(k *link, name string, data []byte) (notices []driver.Message, err error) {
	s := l.sub
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.link != k || l.history.line != l {
		return nil, nil
	}
	switch name {
	case zmtp.CommandPong:
		if len(data) == 8 {
			notices = l.confirmLocked(min(s.token, binary.BigEndian.Uint64(data)))
		}
	case commandFrom:
		how, head, err := parseFrom(data)
		if err != nil {
			return nil, err
		}
		resuming := l.history.catching
		if l.history.from(how, head) {
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
		ok, caught := l.history.markAt(offset, messages, k.received)
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: %d messages were sent, %d received", errMissing, messages, k.received)
		case caught:
			l.askLocked()
			s.notifyLocked()
		case l.history.catching:
			k.send(ping) // for the next mark
		}
	}
	return notices, nil
}

// confirmLocked notes that the publisher has taken note of subscriptions. It
// returns the notices that this is worth.
func (l *line) confirmLocked(token uint64) (notices []driver.Message) {
	s := l.sub
	confirmed := l.history.confirm(token)
	if l.start != driver.NoNotice && token >= l.first {
		notices = append(notices, driver.Message{Notice: l.start, Source: l.source})
		l.start = driver.NoNotice
		// Which is all that there is to say of these.
		confirmed = nil
	}
	for _, t := range confirmed {
		if s.awaited[t] == 0 {
			s.late = append(s.late, driver.Message{Topic: []byte(t), Notice: driver.Confirmed, Source: l.source})
		}
	}
	if len(s.late) > 0 && s.later == nil {
		s.later = time.AfterFunc(lateAfter, s.tellLate)
	}
	s.notifyLocked()
	return notices
}
