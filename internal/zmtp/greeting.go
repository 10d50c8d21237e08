package zmtp

import "bytes"

// Sizes and places in the greeting.
const (
	GreetingSize = 64 // the whole greeting, fixed

	signatureEnd  = 9
	majorAt       = 10
	minorAt       = 11
	mechanismAt   = 12
	mechanismSize = 20
	asServerAt    = mechanismAt + mechanismSize
)

// Our version.
const (
	Major = 3
	Minor = 1
)

// AppendGreeting appends our 64 bytes. The pad is zero as RFC 37 asks of those who don't talk to older peers: a ZMTP 1.0 peer
// would take it for a length.
// It panics when the mechanism's name is not one.
func AppendGreeting(dst []byte, mechanism string, asServer bool) []byte {
	if !validMechanism(mechanism) {
		panic("zmtp: bad mechanism name " + quote(mechanism))
	}
	var g [GreetingSize]byte
	g[0], g[signatureEnd] = 0xff, 0x7f
	g[majorAt], g[minorAt] = Major, Minor
	copy(g[mechanismAt:], mechanism)
	if asServer {
		g[asServerAt] = 1
	}
	return append(dst, g[:]...)
}

func validMechanism(name string) bool {
	if name == "" || len(name) > mechanismSize {
		return false
	}
	for i := range len(name) {
		if !mechanismChar(name[i]) {
			return false
		}
	}
	return true
}

func mechanismChar(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '+'
}

// greetingReader reads a peer's greeting byte by byte, so that it refuses at the first byte which proves the fault and does so
// alike however the stream was cut.
type greetingReader struct {
	n            int // bytes read so far
	first        byte
	major, minor byte
	mechanism    [mechanismSize]byte
	asServer     bool
}

func (g *greetingReader) done() bool { return g.n == GreetingSize }

func (g *greetingReader) version1() error {
	return errorf(KindVersion, "peer speaks zmtp 1.0, 3.0 or later is needed")
}

// step takes the next byte. ours is the name of our mechanism.
func (g *greetingReader) step(c byte, ours string) error {
	at := g.n
	g.n++
	switch {
	case at == 0:
		// A ZMTP 1.0 peer starts with an identity frame: its length, counting the flags, then the flags, always zero. So a zero
		// is wrong in every version, and another byte than FF is proved to be one or the other by the next one.
		g.first = c
		if c == 0 {
			return errorf(KindSignature, "first byte is 0x00, not that of any zmtp version")
		}
	case at == 1 && g.first != 0xff:
		if c == 0 {
			return g.version1()
		}
		return errorf(KindSignature, "first bytes are %#02x %#02x, not those of any zmtp version", g.first, c)
	case at < signatureEnd:
		// "A peer SHALL NOT assign any significance to the padding field and MUST NOT validate this" (RFC 37).
	case at == signatureEnd:
		switch c {
		case 0x7f:
		case 0: // FF and 8 bytes were the long length of an identity, this is its flags
			return g.version1()
		default:
			return errorf(KindSignature, "byte 9 of the greeting is %#02x, not 0x7f", c)
		}
	case at == majorAt:
		switch c {
		case 0: // what libzmq calls revision 0: ZMTP 1.0 framing behind a signature
			return g.version1()
		case 1, 2:
			return errorf(KindVersion, "peer speaks zmtp 2.0 (revision %d), 3.0 or later is needed", c)
		}
		g.major = c
	case at == minorAt:
		g.minor = c
	case at < asServerAt:
		return g.stepMechanism(at-mechanismAt, c, ours)
	case at == asServerAt:
		if c > 1 {
			return errorf(KindGreeting, "as-server is %#02x, not 0 or 1", c)
		}
		g.asServer = c == 1
	default:
		if c != 0 && g.major == Major && g.minor <= Minor {
			return errorf(KindGreeting, "filler byte %d is %#02x, not zero", at, c)
		}
	}
	return nil
}

// stepMechanism takes byte i of the mechanism. A wrong character is refused at once; another mechanism than ours when all of its
// name is known, because that name is what tells an operator which side to mend.
func (g *greetingReader) stepMechanism(i int, c byte, ours string) error {
	switch {
	case c == 0 && i == 0:
		return errorf(KindMechanism, "name is empty")
	case c != 0 && !mechanismChar(c):
		return errorf(KindMechanism, "byte %#02x in the name", c)
	case c != 0 && i > 0 && g.mechanism[i-1] == 0:
		return errorf(KindMechanism, "byte %#02x after the name's zero padding", c)
	}
	g.mechanism[i] = c
	if i == mechanismSize-1 && g.name() != ours {
		return errorf(KindMechanism, "peer wants %s, we have %s", quote(g.name()), quote(ours))
	}
	return nil
}

func (g *greetingReader) name() string {
	return string(bytes.TrimRight(g.mechanism[:], "\x00"))
}

// version is what the connection speaks: the peer's, or ours when the peer is of a later major and steps down.
func (g *greetingReader) version() (major, minor uint8) {
	if g.major > Major {
		return Major, Minor
	}
	return g.major, g.minor
}
