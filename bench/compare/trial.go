package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// trial is one run of one rival: the processes of a small system, measured once.
type trial struct {
	ctx      context.Context
	cancel   context.CancelFunc
	opts     *options
	dir      string   // for sockets
	progress *os.File // shared memory, see tally.go
	children []*process
	aside    []*process // publishers that nobody measures

	// effect says why the window can't end yet, by a look at the billed
	// process; nil: it ends when its time is over.
	effect func(snapshot) error
}

// patience is what a run may take beyond its warm-up and its window.
const patience = 60 * time.Second

func newTrial(ctx context.Context, opts *options) (*trial, error) {
	fd, err := unix.MemfdCreate("progress", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	t := &trial{opts: opts, progress: os.NewFile(uintptr(fd), "progress")}
	if err := t.progress.Truncate(int64(os.Getpagesize())); err != nil {
		return nil, errors.Join(err, t.progress.Close())
	}
	if t.dir, err = os.MkdirTemp("", "compare"); err != nil {
		return nil, errors.Join(err, t.progress.Close())
	}
	t.ctx, t.cancel = context.WithTimeoutCause(ctx, opts.warmup+opts.duration+patience, errors.New("run took too long"))
	return t, nil
}

// path is where the trial's unix socket is.
func (t *trial) path() string { return filepath.Join(t.dir, "ipc") }

// start starts a child and waits until it's ready.
func (t *trial) start(j job) (*process, error) {
	p, err := startProcess(t.ctx, t.progress, j)
	if p != nil {
		t.children = append(t.children, p)
	}
	return p, err
}

// close ends every child, the last started first, and removes what they left.
func (t *trial) close() error {
	t.cancel()
	for i := len(t.children) - 1; i >= 0; i-- {
		t.children[i].close()
	}
	return errors.Join(t.progress.Close(), os.RemoveAll(t.dir))
}

// measure runs the senders against the receiver and returns the figures. billed
// is the process whose CPU time is divided by the receiver's deliveries.
func (t *trial) measure(senders []*process, receiver, billed *process) (figures, error) {
	if err := t.begin(senders, receiver); err != nil {
		return figures{}, err
	}
	if err := t.sleep(t.opts.warmup); err != nil {
		return figures{}, err
	}
	first, err := t.mark(receiver, billed)
	if err != nil {
		return figures{}, err
	}
	if err := t.sleep(t.opts.duration); err != nil {
		return figures{}, err
	}
	if err := t.awaitEffect(billed); err != nil {
		return figures{}, err
	}
	second, err := t.mark(receiver, billed)
	if err != nil {
		return figures{}, err
	}
	final, err := t.end(senders, receiver)
	if err != nil {
		return figures{}, err
	}
	return newFigures(first, second, final), nil
}

// lookEvery is how often awaitEffect looks.
const lookEvery = 50 * time.Millisecond

// awaitEffect returns when there is the effect without which the figures mean
// nothing. A slow machine needs longer for it.
func (t *trial) awaitEffect(p *process) error {
	if t.effect == nil {
		return nil
	}
	for {
		if err := p.tell(message{Kind: msgLook}); err != nil {
			return err
		}
		m, err := p.await(t.ctx, msgLook)
		if err != nil {
			return err
		}
		missing := t.effect(*m.Snapshot)
		if missing == nil {
			return nil
		}
		if err := t.sleep(lookEvery); err != nil {
			return errors.Join(missing, err)
		}
	}
}

// begin returns when every stream has begun and the senders go at full speed.
func (t *trial) begin(senders []*process, receiver *process) error {
	for _, p := range t.children {
		if err := p.tell(message{Kind: msgTrickle}); err != nil {
			return err
		}
	}
	if err := t.awaitWhole(receiver, msgFlowing); err != nil {
		return err
	}
	for _, p := range slices.Concat(senders, t.aside) {
		if err := p.tell(message{Kind: msgFull}); err != nil {
			return err
		}
	}
	return nil
}

// awaitWhole awaits a message without a snapshot, unless another child fails
// first.
func (t *trial) awaitWhole(p *process, kind string) error {
	ctx, cancel := context.WithCancelCause(t.ctx)
	defer cancel(nil)
	for _, other := range t.children {
		if other != p {
			stop := other.watch(ctx, cancel)
			defer stop()
		}
	}
	_, err := p.await(ctx, kind)
	return err
}

// watch cancels when a child that should be silent says something: only an error
// is possible. The returned function ends the watch and waits for it.
func (p *process) watch(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := p.await(ctx, msgError); ctx.Err() == nil {
			cancel(err)
		}
	}()
	return func() { end(); <-done }
}

// marks are the snapshots at one edge of the window. Each one carries its own
// time, so that it doesn't matter when the children get round to it.
type marks struct {
	receiver, billed snapshot
	machine          machineTime
}

func (t *trial) mark(receiver, billed *process) (marks, error) {
	var m marks
	var err error
	if m.machine, err = readMachineTime(); err != nil {
		return m, err
	}
	if err := receiver.tell(message{Kind: msgMark}); err != nil {
		return m, err
	}
	if billed != receiver {
		if err := billed.tell(message{Kind: msgMark}); err != nil {
			return m, err
		}
	}
	reply, err := receiver.await(t.ctx, msgMark)
	if err != nil {
		return m, err
	}
	m.receiver, m.billed = *reply.Snapshot, *reply.Snapshot
	if billed != receiver {
		if reply, err = billed.await(t.ctx, msgMark); err != nil {
			return m, err
		}
		m.billed = *reply.Snapshot
	}
	return m, nil
}

// end stops the senders, then the receiver when it has everything they sent.
// What is between them still runs meanwhile.
func (t *trial) end(senders []*process, receiver *process) (snapshot, error) {
	var sent []uint64
	for _, p := range senders {
		if err := p.tell(message{Kind: msgStop}); err != nil {
			return snapshot{}, err
		}
	}
	for _, p := range senders {
		m, err := p.await(t.ctx, msgDone)
		if err != nil {
			return snapshot{}, err
		}
		sent = append(sent, m.Snapshot.Count)
	}
	if err := receiver.tell(message{Kind: msgStop, Target: sent}); err != nil {
		return snapshot{}, err
	}
	m, err := receiver.await(t.ctx, msgDone)
	if err != nil {
		return snapshot{}, err
	}
	for _, p := range t.children {
		// Whoever fails to hear this is closed all the same.
		_ = p.tell(message{Kind: msgExit})
	}
	return *m.Snapshot, nil
}

func (t *trial) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-t.ctx.Done():
		return fmt.Errorf("wait: %w", context.Cause(t.ctx))
	}
}
