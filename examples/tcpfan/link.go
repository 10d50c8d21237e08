package tcpfan

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// link is a subscriber's way to one publisher.
type link struct {
	sub     *subscriber
	address string
	source  *driver.Source
	ctx     context.Context // of the link's life, by end
	end     context.CancelFunc

	// The subscriber's mu guards these.
	connected bool
	asked     []byte // frames that are to be sent
	wake      chan struct{}
}

func newLink(s *subscriber, address, uri string) *link {
	l := &link{sub: s, address: address, source: &driver.Source{Address: uri}, wake: make(chan struct{}, 1)}
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

// run connects, again and again.
func (l *link) run() {
	cfg := &l.sub.cfg
	wait := cfg.ReconnectMin
	dialer := net.Dialer{
		Timeout:         cfg.HandshakeTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: cfg.HeartbeatTimeout, Interval: cfg.HeartbeatInterval, Count: 3},
	}
	for again := false; l.ctx.Err() == nil; {
		conn, err := dialer.DialContext(l.ctx, "tcp", l.address)
		if err == nil {
			wait = cfg.ReconnectMin
			err = l.serve(conn, again)
			again = true
		}
		cfg.Log.Debug("no connection", "to", l.address, "reason", err)
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)):
		case <-l.ctx.Done():
		}
		wait = min(2*wait, cfg.ReconnectMax)
	}
}

// serve is one connection, until that ends.
func (l *link) serve(conn net.Conn, again bool) error {
	s := l.sub
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	s.mu.Lock()
	l.connected, l.asked = true, nil
	for topic := range s.topics {
		l.askLocked(subscribe, topic)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		l.connected = false
		s.mu.Unlock()
	}()

	gone := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { l.write(conn, gone) })
	defer writer.Wait()
	defer close(gone)
	// What was published meanwhile is missed.
	if again && !s.put(driver.Message{Notice: driver.Gap}, l.ctx.Done()) {
		return l.ctx.Err()
	}
	r := bufio.NewReader(conn)
	for {
		f, err := readFrame(r, s.cfg.MaxPayload)
		if err == nil && f.kind != message {
			err = errFrame
		}
		if err != nil {
			return err
		}
		if !s.put(driver.Message{Topic: f.topic, Payload: f.payload, Source: l.source}, l.ctx.Done()) {
			return l.ctx.Err()
		}
	}
}

// askLocked has something sent, if there is a connection. Caller holds the
// subscriber's lock.
func (l *link) askLocked(kind byte, topic string) {
	if l.connected {
		l.asked = appendFrame(l.asked, frame{kind: kind, topic: []byte(topic)})
		hint(l.wake)
	}
}

// write sends what is asked.
func (l *link) write(conn net.Conn, gone <-chan struct{}) {
	for {
		select {
		case <-l.wake:
		case <-gone:
			return
		}
		l.sub.mu.Lock()
		asked := l.asked
		l.asked = nil
		l.sub.mu.Unlock()
		if _, err := conn.Write(asked); err != nil {
			conn.Close() // which ends serve
			return
		}
	}
}
