package zmtp

import (
	"encoding/binary"
	"math"
	"time"
)

// MaxPingContext is how many bytes of context a PING and its PONG carry at most.
const MaxPingContext = 16

const ttlUnit = 100 * time.Millisecond

// AppendPing appends a PING. The peer should take the connection for dead when it gets nothing more within ttl, zero meaning
// never. On the wire ttl counts tenths of a second: it is rounded up, so that a short one does not become never, and cut at
// 6553.5 s. A negative one is zero. It panics for a context above 16 bytes. ZMTP 3.0 has no PING.
func AppendPing(dst []byte, ttl time.Duration, context []byte) []byte {
	checkContext(context)
	tenths := ttl / ttlUnit
	if ttl%ttlUnit > 0 {
		tenths++
	}
	tenths = min(max(tenths, 0), math.MaxUint16)
	dst = appendCommandHeader(dst, CommandPing, 2+len(context))
	dst = binary.BigEndian.AppendUint16(dst, uint16(tenths))
	return append(dst, context...)
}

// ParsePing parses the data of a PING. The context aliases data and goes into the PONG as it is.
func ParsePing(data []byte) (ttl time.Duration, context []byte, err error) {
	if len(data) < 2 {
		return 0, nil, errorf(KindCommand, "ping of %d bytes, without a ttl", len(data))
	}
	context, err = ParsePong(data[2:])
	if err != nil {
		return 0, nil, err
	}
	return time.Duration(binary.BigEndian.Uint16(data)) * ttlUnit, context, nil
}

// AppendPong appends the answer to a PING with this context. It panics for one above 16 bytes, which ParsePing never returns.
func AppendPong(dst []byte, context []byte) []byte {
	checkContext(context)
	return AppendCommand(dst, CommandPong, context)
}

// ParsePong parses the data of a PONG. The context aliases data.
func ParsePong(data []byte) (context []byte, err error) {
	if len(data) > MaxPingContext {
		return nil, errorf(KindCommand, "heartbeat context of %d bytes, at most %d are accepted", len(data), MaxPingContext)
	}
	return data, nil
}

func checkContext(context []byte) {
	if len(context) > MaxPingContext {
		panic("zmtp: heartbeat context above 16 bytes")
	}
}
