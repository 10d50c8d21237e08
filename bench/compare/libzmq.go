package main

/*
#cgo pkg-config: libzmq
#include <stdlib.h>
#include <zmq.h>
#include "libzmq.h"
*/
import "C"

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"unsafe"
)

// libzmqVersion is the version that is linked, not the one of the headers.
func libzmqVersion() string {
	var major, minor, patch C.int
	C.zmq_version(&major, &minor, &patch)
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}

// runLibzmqPublisher is XPUB that waits at the high-water mark instead of
// dropping.
func runLibzmqPublisher(_ context.Context, st *station) error {
	z := newLibzmq(st.job.IOThreads)
	sock := z.socket(C.ZMQ_XPUB, st.job.HWM)
	z.set(sock, C.ZMQ_XPUB_NODROP, 1)
	address := z.bind(sock, "tcp://127.0.0.1:*")
	if z.err != nil {
		return z.err
	}
	st.ready(address)
	err := loopError("send", C.libzmq_send_loop(sock, newCSource(st, newBody(0), 0)))
	st.finish(nil)
	return err
}

// runLibzmqService is a worker's PULL and a node's XPUB in one loop.
func runLibzmqService(_ context.Context, st *station) error {
	z := newLibzmq(st.job.IOThreads)
	pull := z.socket(C.ZMQ_PULL, st.job.HWM)
	z.bind(pull, "ipc://"+st.job.Path)
	xpub := z.socket(C.ZMQ_XPUB, st.job.HWM)
	z.set(xpub, C.ZMQ_XPUB_NODROP, 1)
	address := z.bind(xpub, "tcp://127.0.0.1:*")
	if z.err != nil {
		return z.err
	}
	st.ready(address)
	err := loopError("forward", C.libzmq_forward_loop(pull, xpub, st.cTally()))
	st.finish(nil)
	return err
}

// runLibzmqPusher is a worker.
func runLibzmqPusher(_ context.Context, st *station) error {
	z := newLibzmq(1)
	sock := z.socket(C.ZMQ_PUSH, st.job.HWM)
	z.connect(sock, "ipc://"+st.job.Path)
	if z.err != nil {
		return z.err
	}
	st.ready("")
	err := loopError("send", C.libzmq_send_loop(sock, newCSource(st, newBody(st.job.Worker), 0)))
	st.finish(nil)
	return err
}

// runLibzmqPuller receives from the workers and counts.
func runLibzmqPuller(_ context.Context, st *station) error {
	z := newLibzmq(st.job.IOThreads)
	sock := z.socket(C.ZMQ_PULL, st.job.HWM)
	z.bind(sock, "ipc://"+st.job.Path)
	if z.err != nil {
		return z.err
	}
	return z.receive(sock, st)
}

// runLibzmqSubscriber receives from one publisher and counts, in C and without
// decoding: more than fair to the rival.
func runLibzmqSubscriber(_ context.Context, st *station) error {
	z := newLibzmq(st.job.IOThreads)
	sock := z.socket(C.ZMQ_SUB, st.job.HWM)
	z.subscribe(sock)
	z.connect(sock, "tcp://"+st.job.Address)
	if z.err != nil {
		return z.err
	}
	return z.receive(sock, st)
}

func (z *libzmq) receive(sock unsafe.Pointer, st *station) error {
	st.ready("")
	err := loopError("receive", C.libzmq_receive_loop(sock, st.cTally(), valueAt))
	st.tally.addMissing()
	st.finish(nil)
	return err
}

func loopError(what string, errno C.int) error {
	if errno == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s", what, C.GoString(C.zmq_strerror(errno)))
}

// libzmq is one context. Its methods do nothing after the first error, which
// err keeps. It's never closed: the process ends.
type libzmq struct {
	ctx unsafe.Pointer
	err error
}

func newLibzmq(ioThreads int) *libzmq {
	z := &libzmq{ctx: C.zmq_ctx_new()}
	if r, err := C.zmq_ctx_set(z.ctx, C.ZMQ_IO_THREADS, C.int(ioThreads)); r != 0 {
		z.fail("set i/o threads", err)
	}
	return z
}

func (z *libzmq) socket(kind C.int, hwm int) unsafe.Pointer {
	sock, err := C.zmq_socket(z.ctx, kind)
	if sock == nil {
		z.fail("open socket", err)
	}
	z.set(sock, C.ZMQ_SNDHWM, hwm)
	z.set(sock, C.ZMQ_RCVHWM, hwm)
	z.set(sock, C.ZMQ_SNDTIMEO, 100)
	z.set(sock, C.ZMQ_RCVTIMEO, 100)
	z.set(sock, C.ZMQ_LINGER, 0)
	z.set(sock, C.ZMQ_BACKLOG, 4096)
	return sock
}

func (z *libzmq) set(sock unsafe.Pointer, option C.int, value int) {
	if z.err != nil {
		return
	}
	v := C.int(value)
	if r, err := C.zmq_setsockopt(sock, option, unsafe.Pointer(&v), C.size_t(unsafe.Sizeof(v))); r != 0 {
		z.fail(fmt.Sprintf("set option %d", int(option)), err)
	}
}

func (z *libzmq) subscribe(sock unsafe.Pointer) {
	if z.err != nil {
		return
	}
	prefix := []byte(topic)
	if r, err := C.zmq_setsockopt(sock, C.ZMQ_SUBSCRIBE, unsafe.Pointer(&prefix[0]), C.size_t(len(prefix))); r != 0 {
		z.fail("subscribe", err)
	}
}

// bind returns the address without its scheme, the port filled in.
func (z *libzmq) bind(sock unsafe.Pointer, endpoint string) string {
	if z.err != nil {
		return ""
	}
	name := C.CString(endpoint)
	defer C.free(unsafe.Pointer(name))
	if r, err := C.zmq_bind(sock, name); r != 0 {
		z.fail("bind "+endpoint, err)
		return ""
	}
	var last [256]C.char
	size := C.size_t(len(last))
	if r, err := C.zmq_getsockopt(sock, C.ZMQ_LAST_ENDPOINT, unsafe.Pointer(&last[0]), &size); r != 0 {
		z.fail("get endpoint", err)
		return ""
	}
	_, address, _ := strings.Cut(C.GoString(&last[0]), "://")
	return address
}

func (z *libzmq) connect(sock unsafe.Pointer, endpoint string) {
	if z.err != nil {
		return
	}
	name := C.CString(endpoint)
	defer C.free(unsafe.Pointer(name))
	if r, err := C.zmq_connect(sock, name); r != 0 {
		z.fail("connect "+endpoint, err)
	}
}

func (z *libzmq) fail(what string, err error) {
	if z.err == nil {
		if errno, ok := err.(syscall.Errno); ok {
			err = fmt.Errorf("%s", C.GoString(C.zmq_strerror(C.int(errno))))
		}
		z.err = fmt.Errorf("libzmq: %s: %w", what, err)
	}
}
