package zmtp

import "errors"

// DefaultMaxCommand is HandshakeConfig.MaxCommand when that is zero.
const DefaultMaxCommand = 8 << 10

// Peer is what is known of the other side after the handshake.
type Peer struct {
	// The version that the connection speaks. A peer of a later major than 3 steps down, so it shows as 3.1; a later minor shows as
	// it is.
	Major, Minor uint8
	SocketType   SocketType
	Properties   Metadata // as received, with Socket-Type
	Mechanism    string
}

// HandshakeConfig is one side of a handshake. One value, Properties included, may serve many connections.
type HandshakeConfig struct {
	SocketType SocketType // ours, required
	AsServer   bool       // this side bound: it answers the peer's READY. Two such sides wait for each other.
	Mechanism  Mechanism  // nil is Null
	Properties Metadata   // ours, besides Socket-Type
	MaxCommand int        // bytes, the largest command body accepted from the peer before Done; 0 is 8 KiB
}

// Handshake takes one connection from its first byte to its first byte of traffic. It keeps at most one incomplete command of
// the peer, grown as bytes arrive and not by what the peer announces, and nothing once it is done. Deadlines are the caller's:
// a silent peer costs one Handshake.
type Handshake struct {
	socketType SocketType
	mechanism  string
	maxCommand int
	started    bool
	greeting   greetingReader
	exchange   Exchange
	buf        []byte // the incomplete command
	need       int    // bytes of buf that ParseFrame asked for
	peer       Peer
	done       bool
	err        error
}

// NewHandshake begins a handshake. It panics for a configuration that can't be: an unknown socket type, bad or duplicate
// properties. A bad mechanism name panics in Start.
func NewHandshake(cfg HandshakeConfig) *Handshake {
	if !cfg.SocketType.Known() {
		panic("zmtp: unknown socket type " + quote(string(cfg.SocketType)))
	}
	if cfg.Mechanism == nil {
		cfg.Mechanism = Null{}
	}
	if cfg.MaxCommand <= 0 {
		cfg.MaxCommand = DefaultMaxCommand
	}
	h := &Handshake{
		socketType: cfg.SocketType,
		mechanism:  cfg.Mechanism.Name(),
		maxCommand: cfg.MaxCommand,
	}
	properties := make(Metadata, 0, 1+len(cfg.Properties))
	properties = append(properties, Property{PropertySocketType, string(cfg.SocketType)})
	properties = append(properties, cfg.Properties...)
	h.exchange = cfg.Mechanism.NewExchange(Local{
		AsServer: cfg.AsServer,
		Metadata: AppendMetadata(nil, properties),
		Accept:   h.accept,
	})
	return h
}

// Start appends what to send before anything was received: the whole greeting. Later calls append nothing.
func (h *Handshake) Start(dst []byte) []byte {
	if h.started {
		return dst
	}
	h.started = true
	return AppendGreeting(dst, h.mechanism, h.exchange.AdvertiseServer())
}

// Input takes n bytes from the start of p, a slice of the peer's stream cut anywhere, and appends to dst what to send. The
// result does not depend on the cuts. It takes all of p until Done, and nothing more from then on: the rest of p is traffic.
//
// The error is a *ProtocolError, and stays. out may end with an ERROR command then, which the caller should still send before it
// closes the connection; n counts up to the byte that proved the fault. Input keeps neither p nor dst.
func (h *Handshake) Input(dst, p []byte) (out []byte, n int, err error) {
	if h.err != nil {
		return dst, 0, h.err
	}
	dst = h.Start(dst) // a caller who forgot it would send READY ahead of the greeting
	for n < len(p) && !h.done {
		var took int
		if h.greeting.done() {
			dst, took, err = h.command(dst, p[n:])
		} else {
			dst, err = h.greet(dst, p[n])
			took = 1
		}
		n += took
		if err != nil {
			h.err, h.buf = err, nil
			return h.refuse(dst, err), n, err
		}
	}
	return dst, n, nil
}

// Done reports that the handshake is complete: both sides may send traffic, once what Input returned is sent.
func (h *Handshake) Done() bool { return h.done }

// Peer returns what is known of the peer. It is valid once Done.
func (h *Handshake) Peer() Peer { return h.peer }

// Cipher returns what carries the traffic, nil for as it is. It is valid once Done.
func (h *Handshake) Cipher() Cipher {
	if !h.done {
		return nil
	}
	return h.exchange.Cipher()
}

func (h *Handshake) greet(dst []byte, c byte) ([]byte, error) {
	if err := h.greeting.step(c, h.mechanism); err != nil {
		return dst, err
	}
	if h.greeting.n == asServerAt+1 {
		if err := h.exchange.Greeting(h.greeting.asServer); err != nil {
			return dst, err
		}
	}
	if h.greeting.done() {
		h.peer.Major, h.peer.Minor = h.greeting.version()
		h.peer.Mechanism = h.mechanism
		dst = h.exchange.Start(dst)
	}
	return dst, nil
}

// command takes bytes of the peer's next command, at most up to its end. All go through buf, even when p has the whole command: a
// handshake is not the path to save a copy on, and one path treats every way of cutting the stream alike.
func (h *Handshake) command(dst, p []byte) (out []byte, n int, err error) {
	if len(h.buf) == 0 {
		h.need = 1 // the flags alone can prove a fault
	}
	for {
		took := min(h.need-len(h.buf), len(p)-n)
		h.buf = append(h.buf, p[n:n+took]...)
		n += took
		var f Frame
		f, _, h.need, err = ParseFrame(h.buf, h.maxCommand)
		switch {
		case err != nil:
			return dst, n, err
		case h.buf[0]&FlagCommand == 0:
			return dst, n, errorf(KindCommand, "message before the end of the handshake")
		case h.need == 0:
			dst, err = h.execute(dst, f.Body)
			h.buf = h.buf[:0]
			return dst, n, err
		case n == len(p):
			return dst, n, nil
		}
	}
}

func (h *Handshake) execute(dst, body []byte) ([]byte, error) {
	name, data, err := ParseCommand(body)
	if err != nil {
		return dst, err
	}
	if string(name) == CommandError {
		reason, err := ParseError(data)
		if err != nil {
			return dst, err
		}
		return dst, &ProtocolError{Kind: KindPeerError, Detail: reason}
	}
	dst, err = h.exchange.Command(dst, name, data)
	if err != nil {
		return dst, err
	}
	if h.exchange.Done() {
		if h.peer.SocketType == "" {
			panic("zmtp: mechanism " + h.mechanism + " is done without the peer's metadata")
		}
		h.done, h.buf = true, nil
	}
	return dst, nil
}

// accept is Local.Accept.
func (h *Handshake) accept(m Metadata) error {
	value, ok := m.Get(PropertySocketType)
	if !ok {
		return errorf(KindMetadata, "no property Socket-Type")
	}
	t := SocketType(value)
	if !t.Known() {
		return errorf(KindSocketType, "unknown type %s", quote(value))
	}
	if !h.socketType.Compatible(t) {
		return errorf(KindSocketType, "peer is %s, which can't talk to %s", t, h.socketType)
	}
	h.peer.SocketType, h.peer.Properties = t, m
	return nil
}

// refuse appends the ERROR command for what the peer can only mend in its configuration: it means "do not come back like
// this". For all else RFC 37 wants the connection closed without a word. The reasons are without spaces, as its grammar has
// them.
func (h *Handshake) refuse(dst []byte, err error) []byte {
	var pe *ProtocolError
	if !errors.As(err, &pe) {
		return dst
	}
	switch pe.Kind {
	case KindSocketType:
		return AppendError(dst, "incompatible-socket-type-need-peer-of-"+string(h.socketType))
	case KindMetadata:
		return AppendError(dst, "bad-metadata")
	}
	return dst
}
