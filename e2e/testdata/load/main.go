// Command load makes load and checks what comes of it. It speaks ZMTP by itself
// and has nothing in common with the product, so that it can judge it.
//
//	load read ADDRESS COUNT TOPIC    so many subscribers, in one process
//	load push SOCKET COUNT TOPIC     so many workers; sends until it is told to stop
//	load herd ADDRESS COUNT TOPIC    so many subscribers that connect again
//
// It prints a line when it is connected, and a status, in JSON, for every line
// of its input. Push stops at the first.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	if len(os.Args) != 5 {
		fail(errors.New("want four arguments"))
	}
	count, err := strconv.Atoi(os.Args[3])
	fail(err)
	switch os.Args[1] {
	case "read":
		read(os.Args[2], count, os.Args[4])
	case "push":
		push(os.Args[2], count, os.Args[4])
	case "herd":
		herd(os.Args[2], count, os.Args[4])
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func print(what any) { fail(json.NewEncoder(os.Stdout).Encode(what)) }

// shake performs the handshake of the side that connects.
func shake(conn net.Conn, socketType string) (*bufio.Reader, error) {
	var g [64]byte
	g[0], g[9], g[10], g[11] = 0xff, 0x7f, 3, 1
	copy(g[12:], "NULL")
	body := "\x05READY\x0bSocket-Type\x00\x00\x00" + string(rune(len(socketType))) + socketType
	hello := append(g[:], 0x04, byte(len(body)))
	if _, err := conn.Write(append(hello, body...)); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	if _, err := io.ReadFull(r, g[:]); err != nil {
		return nil, err
	}
	flags, ready, err := frame(r)
	if err == nil && (flags&4 == 0 || !bytes.HasPrefix(ready, []byte("\x05READY"))) {
		err = fmt.Errorf("no READY: %q", ready)
	}
	return r, err
}

// frame reads one. What it returns is valid until the next call with r.
func frame(r *bufio.Reader) (flags byte, body []byte, err error) {
	if flags, err = r.ReadByte(); err != nil {
		return
	}
	size := 0
	if flags&2 != 0 {
		var b [8]byte
		if _, err = io.ReadFull(r, b[:]); err != nil {
			return
		}
		size = int(binary.BigEndian.Uint64(b[:]))
	} else {
		var b byte
		if b, err = r.ReadByte(); err != nil {
			return
		}
		size = int(b)
	}
	if body, err = r.Peek(size); err == nil {
		_, err = r.Discard(size)
		return
	}
	body = make([]byte, size) // more than its buffer
	_, err = io.ReadFull(r, body)
	return
}

// subscriber is one connection of read.
type subscriber struct {
	last, events, gaps, syncs atomic.Uint64
	ended                     atomic.Bool
	synced                    func() // called with each sync; may be nil
}

type status struct {
	Subscribers int    `json:"subscribers"`
	Ended       int    `json:"ended"`  // connections that were lost
	Least       uint64 `json:"least"`  // the smallest last number
	Most        uint64 `json:"most"`   // the largest
	Gaps        uint64 `json:"gaps"`   // in the numbers
	Syncs       uint64 `json:"syncs"`  // orders to resync
	Events      uint64 `json:"events"` // of all subscribers
}

// join connects a subscriber and returns when its subscription counts.
func join(address, topic string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	r, err := shake(conn, "SUB")
	if err == nil {
		// A subscription, and a PING behind it: the answer says that both came.
		sub := append([]byte{0, byte(1 + len(topic)), 1}, topic...)
		_, err = conn.Write(append(sub, "\x04\x08\x04PING\x00\x00c"...))
	}
	for err == nil {
		var flags byte
		var body []byte
		if flags, body, err = frame(r); err == nil && flags&4 != 0 && bytes.HasPrefix(body, []byte("\x04PONG")) {
			return conn, r, nil
		}
	}
	conn.Close()
	return nil, nil, err
}

func read(address string, count int, topic string) {
	subs := make([]*subscriber, count)
	for i := range subs {
		conn, r, err := join(address, topic)
		fail(err)
		s := new(subscriber)
		subs[i] = s
		go s.read(conn, r)
	}
	print(map[string]int{"connected": count})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		st := status{Subscribers: count, Least: 1<<64 - 1}
		for _, s := range subs {
			last := s.last.Load()
			st.Least, st.Most = min(st.Least, last), max(st.Most, last)
			st.Gaps += s.gaps.Load()
			st.Syncs += s.syncs.Load()
			st.Events += s.events.Load()
			if s.ended.Load() {
				st.Ended++
			}
		}
		print(st)
	}
}

var (
	seqKey     = []byte("\xa3seq\xcf")
	syncAction = []byte("\xa6action\xa4sync")
)

func (s *subscriber) read(conn net.Conn, r *bufio.Reader) {
	defer s.ended.Store(true)
	defer conn.Close()
	second := false
	for {
		flags, body, err := frame(r)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "load: connection ended:", err)
			return
		case flags&4 != 0:
			if bytes.HasPrefix(body, []byte("\x04PING")) {
				pong := append([]byte("\x04PONG"), body[7:]...)
				if _, err := conn.Write(append([]byte{4, byte(len(pong))}, pong...)); err != nil {
					return
				}
			}
			continue
		case !second:
			second = true
			continue
		}
		second = false
		if bytes.Contains(body, syncAction) {
			s.syncs.Add(1)
			if s.synced != nil {
				s.synced()
			}
		}
		i := bytes.LastIndex(body, seqKey)
		if i < 0 || i+len(seqKey)+8 > len(body) {
			continue // a private sync has no number
		}
		seq := binary.BigEndian.Uint64(body[i+len(seqKey):])
		if last := s.last.Load(); last != 0 && seq != last+1 {
			s.gaps.Add(1)
		}
		s.last.Store(seq)
		s.events.Add(1)
	}
}

// herd prints, for every line of its input, when each order to sync came, in
// milliseconds of the wall clock.
func herd(address string, count int, topic string) {
	var mu sync.Mutex
	var connected atomic.Int64
	told := []int64{}
	for range count {
		s := new(subscriber)
		s.synced = func() {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, time.Now().UnixMilli())
		}
		conn, r, err := join(address, topic)
		fail(err)
		connected.Add(1)
		go func() {
			for {
				if err == nil {
					s.read(conn, r)
					connected.Add(-1)
				}
				time.Sleep(50*time.Millisecond + rand.N(100*time.Millisecond))
				if conn, r, err = join(address, topic); err == nil {
					connected.Add(1)
				}
			}
		}()
	}
	print(map[string]bool{"connected": true})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		mu.Lock()
		print(map[string]any{"nodes": count, "connected": connected.Load(), "told": told})
		mu.Unlock()
	}
}

// push floods: every event is 2 KB.
func push(socket string, count int, topic string) {
	var stop atomic.Bool
	var sent atomic.Uint64
	var wg sync.WaitGroup
	for range count {
		conn, err := net.Dial("unix", socket)
		fail(err)
		r, err := shake(conn, "PUSH")
		fail(err)
		go io.Copy(io.Discard, r) // it is asked for signs of life only if it speaks of them
		value := bytes.Repeat([]byte("x"), 2000)
		body := []byte("\x85\xa5table\xa5lport\xa3key\xa1k\xa6action\xa3set\xa5value\xda\x07\xd0")
		body = append(append(body, value...), "\xa5topic\xa1D"...)
		msg := append([]byte{1, byte(len(topic))}, topic...)
		msg = binary.BigEndian.AppendUint64(append(msg, 2), uint64(len(body)))
		msg = append(msg, body...)
		const batch = 10
		many := bytes.Repeat(msg, batch)
		wg.Go(func() {
			for !stop.Load() {
				_, err := conn.Write(many)
				fail(err)
				sent.Add(batch)
			}
		})
	}
	print(map[string]int{"connected": count})
	lines := bufio.NewScanner(os.Stdin)
	lines.Scan()
	stop.Store(true)
	wg.Wait()
	print(map[string]uint64{"sent": sent.Load()})
	for lines.Scan() { // until it may go
	}
}
