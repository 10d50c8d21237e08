//go:build linux

package campaign

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// The kinds that are aimed: each goes for one weakness, by several steps in order.
// They are not drawn at random.
const (
	LinkFlap      Kind = "link-flap"      // cut again and again, while what goes up is late
	LinkBacklog   Kind = "link-backlog"   // cut while much is on its way and heartbeats are answered
	LinkMissed    Kind = "link-missed"    // down while more is published than is retained
	ServiceAhead  Kind = "service-ahead"  // killed, and soon as far as it was before, which a node sees late
	ServiceGone   Kind = "service-gone"   // killed for good, with an event in hand
	ServiceSecond Kind = "service-second" // another one is started on its socket
	WorkerPoison  Kind = "worker-poison"  // a worker sends what can't be understood, twice
	NodeFail      Kind = "node-fail"      // the handler fails
	ClockBack     Kind = "clock-back"     // the clock that planted bugs go by is set back
)

// aimed carries out the faults that are aimed. ok is false of others.
func (s *system) aimed(ctx context.Context, f Fault) (p proof, ok bool, err error) {
	switch f.Kind {
	case LinkFlap:
		return s.flap(ctx, f), true, nil
	case LinkBacklog:
		p, err = s.backlog(ctx, f)
	case LinkMissed:
		p, err = s.missed(ctx, f)
	case ServiceAhead:
		p, err = s.ahead(ctx, f)
	case ServiceGone:
		p, err = s.gone(ctx, f)
	case ServiceSecond:
		p, err = s.second(ctx, f)
	case WorkerPoison:
		p, err = s.poison(ctx, f)
	case NodeFail:
		p, err = s.failHandler(ctx, f)
	case ClockBack:
		err = os.WriteFile(s.clock(), []byte("-1h"), 0o600)
		p = proven(err == nil, "set back by an hour")
	default:
		return p, false, nil
	}
	return p, true, err
}

// aimedAt are the parts that such a fault concerns, as in hits.
func (s *system) aimedAt(f Fault) []string {
	switch f.Kind {
	case ServiceAhead, ServiceGone, ServiceSecond:
		return []string{s.services[f.Target].id}
	case NodeFail, ClockBack:
		return []string{s.nodes[f.Target].name}
	case WorkerPoison:
		return []string{poisoner}
	}
	return nil
}

// clock is the file by which the clock of planted bugs is set.
func (s *system) clock() string { return filepath.Join(s.dir, "clock") }

func (s *system) linkOf(f Fault) *proxy.Proxy { return s.nodes[f.Target].groups[f.Group][f.Service] }

const (
	// flapDelay is how late everything is that goes up, flapEvery how long a
	// connection is left alone at least: until it is resumed, and asks for what
	// was subscribed meanwhile, and that is on its way.
	flapDelay = 250 * time.Millisecond
	flapEvery = 820 * time.Millisecond
)

// flap cuts a link again and again while what goes up is late, so that requests are
// on their way when the connection ends; what comes down is much, and has marks.
func (s *system) flap(ctx context.Context, f Fault) proof {
	p := s.linkOf(f)
	p.Apply(proxy.Up, proxy.Rule{Delay: flapDelay})
	ctx, cancel := context.WithTimeout(ctx, f.For)
	defer cancel()
	cuts := 0
	for i := 0; ctx.Err() == nil; i++ {
		before := p.Counts().Accepted
		cuts += p.Reset()
		for p.Counts().Accepted == before && ctx.Err() == nil {
			sleep(ctx, 10*time.Millisecond)
		}
		sleep(ctx, flapEvery+time.Duration(i*37%12)*flapDelay/12)
	}
	p.Reset() // in the midst of it
	p.Heal()
	return proven(cuts > 1, "%d cuts", cuts)
}

const (
	// backlogRate is what passes in a second, backlogTime for how long: until an
	// answer to a heartbeat has come through what the kernel holds, and not yet
	// the backlog, of so many events.
	backlogRate   = 500 << 10
	backlogTime   = 5 * time.Second
	backlogEvents = 500
)

// backlog cuts a link when a node has a part of what was published, and was told
// something by a heartbeat. The last event is on a quiet topic.
func (s *system) backlog(ctx context.Context, f Fault) (proof, error) {
	p, svc, n := s.linkOf(f), s.services[f.Service], s.nodes[f.Target]
	before := p.Counts().Throttled
	p.Apply(proxy.Down, proxy.Rule{Rate: backlogRate})
	err := s.publish(ctx, svc, 0, s.shape.Fixed[0], backlogEvents, burstSize)
	if err == nil {
		err = s.publish(ctx, svc, 0, n.quiet(), 1, 100)
	}
	sleep(ctx, backlogTime)
	cut := p.Reset()
	p.Heal()
	throttled := p.Counts().Throttled - before
	return proven(cut > 0 && throttled < backlogEvents*burstSize, "cut after %d bytes of %d", throttled, backlogEvents*burstSize), err
}

// missed takes a link away while more is published than is retained, and before
// that something on a quiet topic, on which no later number shows what is missing.
func (s *system) missed(ctx context.Context, f Fault) (proof, error) {
	p, svc, n := s.linkOf(f), s.services[f.Service], s.nodes[f.Target]
	p.Refuse(true)
	cut := p.Reset()
	err := s.publish(ctx, svc, 0, n.quiet(), 1, 100)
	if err == nil {
		err = s.publish(ctx, svc, 0, s.shape.Fixed[0], 2*s.shape.Retention/burstSize, burstSize)
	}
	p.Heal()
	return proven(cut > 0, "%d bytes published", 2*s.shape.Retention), err
}

const (
	// markTime is until a node has had a mark, by the heartbeat.
	markTime = 1500 * time.Millisecond
	// relayTime is until what a worker has published is relayed, on a machine
	// that is busy.
	relayTime = 700 * time.Millisecond
	// aheadEvents is how far the next instance comes.
	aheadEvents = 40
	// nobodys is a topic that nobody holds.
	nobodys = "nobodys"
)

// ahead kills a service and starts it again while a node can't reach it. The first
// that it publishes is for that node; then it goes on, until it is further than it
// was before: a node that took the one for the other would miss it.
func (s *system) ahead(ctx context.Context, f Fault) (proof, error) {
	svc, n := s.services[f.Target], s.nodes[0]
	if err := s.publish(ctx, svc, 0, n.quiet(), 4, 100); err != nil {
		return proof{}, err
	}
	sleep(ctx, markTime)
	p := n.groups[0][f.Target]
	p.Refuse(true)
	cut := p.Reset()
	killed, err := s.killService(ctx, svc, 0)
	if err == nil {
		err = s.publish(ctx, svc, 0, n.quiet(), 1, 100)
	}
	if err == nil {
		err = s.publish(ctx, svc, 0, nobodys, aheadEvents, 100)
	}
	sleep(ctx, relayTime)
	p.Heal()
	return proven(cut > 0 && killed.struck, "%s; %d connections cut before", killed.text, cut), err
}

// gone kills a service for good, and with it an event that it has accepted and not
// got rid of: the nodes' links let nothing through. Its workers have to be quiet, or
// they would go on accepting what nobody takes.
func (s *system) gone(ctx context.Context, f Fault) (proof, error) {
	svc, n := s.services[f.Target], s.nodes[0]
	for _, p := range s.linksTo(f.Target) {
		p.Apply(proxy.Down, proxy.Rule{Hold: true})
	}
	if err := s.publish(ctx, svc, 0, n.quiet(), 1, 100); err != nil {
		return proof{}, err
	}
	sleep(ctx, relayTime)
	killed := svc.present().kill()
	withheld := int64(0)
	for _, p := range s.linksTo(f.Target) {
		withheld += p.Counts().Withheld
		p.Reset()
		p.Heal()
	}
	return proven(killed && withheld > 0, "killed with %d bytes withheld", withheld), nil
}

// second starts another service on the socket of one that lives. It has to be
// refused; if not, it stays.
func (s *system) second(ctx context.Context, f Fault) (proof, error) {
	svc := s.services[f.Target]
	port, err := s.freePort()
	if err != nil {
		return proof{}, err
	}
	text, err := os.ReadFile(svc.file)
	if err != nil {
		return proof{}, err
	}
	// Another identity and another port: only the socket is the same.
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "publisher_port"):
			lines[i] = fmt.Sprintf("publisher_port = %d", port)
		case strings.HasPrefix(line, "publisher_id"):
			lines[i] = "publisher_id = second"
		}
	}
	file := filepath.Join(s.dir, "second.ini")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return proof{}, err
	}
	p, err := s.spawn("second", "second", s.programs.Wyvern, "serve", "--config-file", file)
	if err != nil {
		return proof{}, err
	}
	p.expect()
	s.others = append(s.others, p)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if p.await(ctx, saysReady) == nil {
		return proven(true, "process %d was not refused", p.pid()), nil
	}
	status, killed := p.end(killTimeout)
	return proven(status != 0 && !killed, "process %d ended with status %d", p.pid(), status), nil
}

const (
	// poisoner is the worker that sends what can't be understood, on a topic of
	// its own service.
	poisoner = "poisoner"
	// poisonPause is shorter than a service waits between two syncs of a topic.
	poisonPause = 400 * time.Millisecond
)

// poison sends a service two messages that are no events, one soon after the other,
// on the quiet topic of a node: whoever holds that has to be told after each.
func (s *system) poison(ctx context.Context, f Fault) (proof, error) {
	svc, topic := s.services[f.Service], s.nodes[0].quiet()
	conn, err := pushTo(svc.socket)
	if err != nil {
		return proven(false, "%v", err), nil
	}
	defer conn.Close()
	for range 2 {
		s.poisoned++
		begin := actor.Now()
		if _, err := conn.Write(message(topic, "\xc1 no event")); err != nil {
			return proven(false, "%v", err), nil
		}
		s.journal.add(validator.Record{
			Kind: validator.KindAccept, At: int64(begin), End: int64(actor.Now()), Publisher: svc.id, Topic: topic,
			Worker: poisoner, N: s.poisoned,
		})
		sleep(ctx, poisonPause)
	}
	return proven(true, "2 messages written"), nil
}

// pushTo connects to a service as a worker does that knows the least of ZMTP 3.0.
func pushTo(socket string) (net.Conn, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	greeting := make([]byte, 64)
	greeting[0], greeting[9], greeting[10] = 0xff, 0x7f, 3
	copy(greeting[12:], "NULL")
	ready := []byte("\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH")
	hello := append(append(greeting, 0x04, byte(len(ready))), ready...)
	if _, err = conn.Write(hello); err == nil {
		theirs := make([]byte, 64+2)
		if _, err = io.ReadFull(conn, theirs); err == nil && theirs[64] != 0x04 {
			err = errors.New("no READY")
		}
		if err == nil {
			_, err = io.CopyN(io.Discard, conn, int64(theirs[65]))
		}
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("shake hands with %s: %w", socket, err)
	}
	return conn, nil
}

// message is one of two frames.
func message(topic, body string) []byte {
	p := append([]byte{0x01, byte(len(topic))}, topic...)
	p = append(p, 0x02)
	p = binary.BigEndian.AppendUint64(p, uint64(len(body)))
	return append(p, body...)
}

// failHandler lets a node's handler fail on an event of its quiet topic, and on
// whatever else comes.
func (s *system) failHandler(ctx context.Context, f Fault) (proof, error) {
	n := s.nodes[f.Target]
	p := n.present()
	if err := p.order(ctx, actor.Order{Do: actor.DoFail, N: 1}); err != nil {
		return proof{}, err
	}
	err := s.publish(ctx, s.services[f.Service], 0, n.quiet(), 1, 100)
	sleep(ctx, f.For)
	return proven(true, "process %d confirmed the order", p.pid()), errors.Join(err, p.order(ctx, actor.Order{Do: actor.DoFail}))
}
