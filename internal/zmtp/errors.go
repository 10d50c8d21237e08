package zmtp

import (
	"fmt"
	"strconv"
)

// Kind says which rule a peer broke.
type Kind uint8

// The kinds of ProtocolError. Signature to Mechanism come from the greeting, Metadata to PeerError from the handshake's
// commands, the others from both handshake and traffic.
const (
	KindSignature  Kind = iota + 1 // the first bytes are those of no version of ZMTP
	KindVersion                    // the peer speaks ZMTP 1.0 or 2.0
	KindGreeting                   // as-server or filler is not what RFC 37 says
	KindMechanism                  // another security mechanism than ours, or a malformed one
	KindFrame                      // reserved flags, a command with MORE, a length of 2^63 or more
	KindTooLarge                   // a frame above the limit
	KindCommand                    // malformed, or not to be sent at this point
	KindMetadata                   // malformed properties, duplicates, no Socket-Type
	KindSocketType                 // an unknown socket type, or one that can't talk to ours
	KindPeerError                  // the peer sent ERROR; Detail is its reason
)

var kindNames = [...]string{
	KindSignature:  "signature",
	KindVersion:    "version",
	KindGreeting:   "greeting",
	KindMechanism:  "mechanism",
	KindFrame:      "frame",
	KindTooLarge:   "too large",
	KindCommand:    "command",
	KindMetadata:   "metadata",
	KindSocketType: "socket type",
	KindPeerError:  "peer sent error",
}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// ProtocolError is what every function of this package returns when a peer breaks the protocol. The connection is of no
// further use. Detail is one line of printable ASCII, whatever the peer sent, and below 1200 bytes.
type ProtocolError struct {
	Kind   Kind
	Detail string
}

// Error returns one line, safe to log.
func (e *ProtocolError) Error() string {
	return "zmtp: " + e.Kind.String() + ": " + e.Detail
}

// quotedMax bounds the bytes of a peer that a Detail repeats. A peer's reason for an ERROR may have all its 255.
const quotedMax = 64

func errorf(kind Kind, format string, args ...any) *ProtocolError {
	return &ProtocolError{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// escape returns at most limit bytes of s as printable ASCII. Printable text without a backslash stays as it is.
func escape[T string | []byte](s T, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	out := make([]byte, 0, len(s)+3)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			out = append(out, '\\', '\\')
		case c >= 0x20 && c < 0x7f:
			out = append(out, c)
		default:
			const hex = "0123456789abcdef"
			out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	if cut {
		out = append(out, "..."...)
	}
	return string(out)
}

func quote[T string | []byte](s T) string { return `"` + escape(s, quotedMax) + `"` }
