package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// roleArgument makes the binary a child that reads its job from standard input.
const roleArgument = "role"

// Kinds of rivals.
const (
	kindOurs   = "ours"
	kindLibzmq = "libzmq"
	kindFloor  = "floor"
)

// job is what a child must be. Every field beyond Role and Kind is for the roles
// that need it.
type job struct {
	Role string
	Kind string

	Address     string        // reader, subscriber, crowd: of the publisher, host:port
	Path        string        // service, puller: to bind; pusher: to connect
	Subscribers int           // reader, crowd: how many; floor's publisher: how many to await
	Workers     int           // receivers: how many senders there are
	Worker      int           // pusher: which one
	Gap         time.Duration // paced: between two events; 0: as fast as possible
	Window      uint64        // events a sender may be ahead of the slowest subscriber; 0: any
	IOThreads   int           // libzmq
	HWM         int           // libzmq
	Stamped     bool          // floor's publisher: bodies with epoch and seq
	API         bool          // our publisher: through wyvern.Publisher
	Retention   int64         // our publisher: bytes; 0: its default
	Bulk        int           // our publisher, paced: size of a large event half-way between two; 0: none
	Receives    bool          // reports when events flow
}

// run is the role itself: it returns when the run is over.
func (j *job) run(ctx context.Context, st *station) error {
	roles := map[string]func(context.Context, *station) error{
		"reader": runReader,

		"publisher/" + kindFloor:   runFloorPublisher,
		"publisher/" + kindLibzmq:  runLibzmqPublisher,
		"publisher/" + kindOurs:    runOurPublisher,
		"service/" + kindLibzmq:    runLibzmqService,
		"service/" + kindOurs:      runOurService,
		"pusher/" + kindLibzmq:     runLibzmqPusher,
		"pusher/" + kindOurs:       runOurPusher,
		"puller/" + kindLibzmq:     runLibzmqPuller,
		"puller/" + kindOurs:       runOurPuller,
		"subscriber/" + kindLibzmq: runLibzmqSubscriber,
		"subscriber/" + kindOurs:   runOurSubscriber,

		"crowd/" + crowdStopped: runStopped,
		"crowd/" + crowdSlow:    runSlow,
		"crowd/" + crowdHostile: runHostile,
	}
	name := j.Role
	if j.Kind != "" {
		name += "/" + j.Kind
	}
	role := roles[name]
	if role == nil {
		return fmt.Errorf("no role %q", name)
	}
	return role(ctx, st)
}

// publisher is where the publisher is.
func (j *job) publisher() (unix.Sockaddr, error) {
	addr, err := netip.ParseAddrPort(j.Address)
	if err != nil {
		return nil, fmt.Errorf("publisher's address: %w", err)
	}
	return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}, nil
}

// Kinds of messages; doc.go has the conversation.
const (
	msgJob     = "job"
	msgReady   = "ready"
	msgTrickle = "trickle"
	msgFlowing = "flowing"
	msgFull    = "full"
	msgLook    = "look"
	msgMark    = "mark"
	msgStop    = "stop"
	msgDone    = "done"
	msgExit    = "exit"
	msgError   = "error"
)

// message is one line between parent and child.
type message struct {
	Kind     string
	Job      *job      `json:",omitempty"`
	Address  string    `json:",omitempty"` // ready
	Target   []uint64  `json:",omitempty"` // stop: events sent, per worker
	Snapshot *snapshot `json:",omitempty"` // look, mark, done
	Error    string    `json:",omitempty"`
	NotBuilt bool      `json:",omitempty"`
}
