package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// errNotBuilt is returned by a role that does not exist yet; the parent skips
// the rival and says so.
var errNotBuilt = errors.New("not built yet")

// station is a role's end of the conversation with the parent.
type station struct {
	job      job
	tally    *tally
	seen     tally // what count has counted, before others see it
	progress *progress
	clock    clock

	begin chan struct{} // closed at trickle
	exit  chan struct{} // closed at exit
	stop  context.CancelFunc
	marks atomic.Int32 // how many so far: 1 is inside the window

	mu     sync.Mutex
	out    *json.Encoder   // guarded by mu
	status driver.Statuser // guarded by mu; may be nil
}

// runRole is the main of every child. It returns the exit status.
func runRole() int {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	st := &station{
		clock: newClock(),
		begin: make(chan struct{}), exit: make(chan struct{}),
		out: json.NewEncoder(os.Stdout),
	}
	err := st.open(in)
	if err == nil {
		var ctx context.Context
		ctx, st.stop = context.WithCancel(context.Background())
		defer st.stop()
		go st.obey(in)
		err = st.job.run(ctx, st)
	}
	if err != nil {
		st.emit(message{Kind: msgError, Error: err.Error(), NotBuilt: errors.Is(err, errNotBuilt)})
		return 1
	}
	return 0
}

func (st *station) open(in *bufio.Scanner) error {
	if !in.Scan() {
		return errors.Join(errors.New("no job"), in.Err())
	}
	var m message
	if err := json.Unmarshal(in.Bytes(), &m); err != nil || m.Job == nil {
		return errors.Join(errors.New("no job"), err)
	}
	st.job = *m.Job
	var err error
	if st.tally, err = newTally(); err != nil {
		return err
	}
	st.tally.Workers = uint32(st.job.Workers)
	st.progress, err = mapProgress(progressFd)
	return err
}

// ready tells the parent that the role is bound or connected and waits for the
// signal to begin. address is what the others must know, or "".
func (st *station) ready(address string) {
	st.emit(message{Kind: msgReady, Address: address})
	<-st.begin
}

// reportStatus makes what a driver knows of itself a part of snapshots.
func (st *station) reportStatus(s driver.Statuser) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.status = s
}

// finish tells the parent the final counts and returns when the parent has
// seen every event of the run at the other end: only then may the role close
// what it sends through.
func (st *station) finish(latency []int64) {
	s := st.snapshot()
	s.Latency = summarize(latency)
	st.emit(message{Kind: msgDone, Snapshot: &s})
	<-st.exit
}

// measuring says whether the measured window is open.
func (st *station) measuring() bool { return st.marks.Load() == 1 }

// countBody counts one received body in a role with a single stream per worker.
// Not concurrently.
func (st *station) countBody(body []byte) {
	e, ok := parseEvent(body)
	st.count(e, ok)
}

// countValue is countBody for an event whose envelope was decoded.
func (st *station) countValue(value []byte) {
	e, ok := parseValue(value)
	st.count(e, ok)
}

func (st *station) count(e event, ok bool) {
	seen, shared := &st.seen, st.tally
	if !ok {
		seen.Other++
		atomic.StoreUint64(&shared.Other, seen.Other)
		return
	}
	last := &seen.Last[e.worker]
	*last = seen.see(*last, e.seq)
	atomic.StoreUint64(&shared.Last[e.worker], *last)
	atomic.StoreUint64(&shared.Lost, seen.Lost)
	atomic.StoreUint64(&shared.Disorder, seen.Disorder)
	atomic.StoreUint64(&shared.Count, seen.Count)
}

// awaitDrained returns when everything that was sent has been received, or when
// nothing has come for drainPatience after the stop. It adds what is missing to
// the losses. For roles whose events are counted by other goroutines.
func (st *station) awaitDrained(ctx context.Context) {
	<-ctx.Done()
	count, since := uint64(0), time.Now()
	for !st.tally.reached() && time.Since(since) < drainPatience {
		if now := atomic.LoadUint64(&st.tally.Count); now != count {
			count, since = now, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
	st.tally.addMissing()
}

const drainPatience = 1500 * time.Millisecond

// obey carries out what the parent says until standard input ends. It owns
// nothing that outlives the process.
func (st *station) obey(in *bufio.Scanner) {
	for in.Scan() {
		var m message
		if err := json.Unmarshal(in.Bytes(), &m); err != nil {
			fmt.Fprintln(os.Stderr, "bad message:", err)
			os.Exit(1)
		}
		switch m.Kind {
		case msgTrickle:
			atomic.StoreUint32(&st.tally.Phase, phaseTrickle)
			close(st.begin)
			if st.job.Receives {
				go st.reportFlowing()
			}
		case msgFull:
			atomic.StoreUint32(&st.tally.Phase, phaseFull)
		case msgLook:
			s := st.snapshot()
			st.emit(message{Kind: msgLook, Snapshot: &s})
		case msgMark:
			s := st.snapshot()
			st.marks.Add(1)
			st.emit(message{Kind: msgMark, Snapshot: &s})
		case msgStop:
			for w, n := range m.Target {
				atomic.StoreUint64(&st.tally.Target[w], n)
			}
			atomic.StoreUint32(&st.tally.Phase, phaseStop)
			st.stop()
		case msgExit:
			close(st.exit)
		}
	}
	os.Exit(0) // the parent is done with us, or dead
}

func (st *station) reportFlowing() {
	for !st.tally.flowing() {
		time.Sleep(time.Millisecond)
	}
	st.emit(message{Kind: msgFlowing})
}

// snapshot is the state of a child at one moment.
type snapshot struct {
	At       int64 // CLOCK_MONOTONIC, ns
	CPU      int64 // user + system of this process, ns
	PeakRSS  int64 // of this process, bytes
	Count    uint64
	Lost     uint64
	Disorder uint64
	Other    uint64
	Latency  *latency       `json:",omitempty"`
	Status   *driver.Status `json:",omitempty"` // of our publisher
}

func (st *station) snapshot() snapshot {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		panic(err) // only a bad argument can fail
	}
	s := snapshot{
		At:       st.clock.now(),
		CPU:      use.Utime.Nano() + use.Stime.Nano(),
		PeakRSS:  peakRSS(),
		Count:    atomic.LoadUint64(&st.tally.Count),
		Lost:     atomic.LoadUint64(&st.tally.Lost),
		Disorder: atomic.LoadUint64(&st.tally.Disorder),
		Other:    atomic.LoadUint64(&st.tally.Other),
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.status != nil {
		status := st.status.Status()
		s.Status = &status
	}
	return s
}

// peakRSS is the most memory that this process ever had. Not getrusage's, which
// begins with that of the process that started it.
func peakRSS() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err) // Linux always has it
	}
	_, rest, _ := strings.Cut(string(text), "\nVmHWM:")
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(kilobytes, 10, 64)
	if err != nil {
		panic(err)
	}
	return n << 10
}

func (st *station) emit(m message) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.out.Encode(m); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		os.Exit(1) // nobody to tell
	}
}
