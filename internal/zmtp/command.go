package zmtp

// Names of the commands of RFC 37 that PUB, SUB, PUSH and PULL need.
const (
	CommandReady     = "READY"
	CommandError     = "ERROR"
	CommandSubscribe = "SUBSCRIBE"
	CommandCancel    = "CANCEL"
	CommandPing      = "PING"
	CommandPong      = "PONG"
)

// AppendCommand appends a command frame. It panics when the name is not one to 255 letters.
func AppendCommand(dst []byte, name string, data []byte) []byte {
	dst = appendCommandHeader(dst, name, len(data))
	return append(dst, data...)
}

// appendCommandHeader appends a command up to its data, of which size bytes follow.
func appendCommandHeader(dst []byte, name string, size int) []byte {
	if len(name) == 0 || len(name) > shortMax || !letters(name) {
		panic("zmtp: bad command name " + quote(name))
	}
	dst = AppendFrameHeader(dst, FlagCommand, 1+len(name)+size)
	dst = append(dst, byte(len(name)))
	return append(dst, name...)
}

// ParseCommand splits the body of a command frame. Both results alias it. The error is a *ProtocolError of KindCommand. A command
// with an unknown name is no error: who extends the protocol relies on its being ignored.
func ParseCommand(body []byte) (name, data []byte, err error) {
	if len(body) == 0 {
		return nil, nil, errorf(KindCommand, "empty")
	}
	end := 1 + int(body[0])
	switch {
	case end == 1:
		return nil, nil, errorf(KindCommand, "name is empty")
	case end > len(body):
		return nil, nil, errorf(KindCommand, "name of %d bytes in a body of %d", end-1, len(body))
	}
	name = body[1:end:end]
	if !letters(name) {
		return nil, nil, errorf(KindCommand, "name %s has other characters than letters", quote(name))
	}
	return name, body[end:len(body):len(body)], nil
}

func letters[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// AppendError appends an ERROR command. The reason is cut at 255 bytes, and bytes that are not printable ASCII become '?'. RFC 37
// has no space in a reason; libzmq takes one, and so does this package on both ways.
func AppendError(dst []byte, reason string) []byte {
	reason = reason[:min(len(reason), shortMax)]
	dst = appendCommandHeader(dst, CommandError, 1+len(reason))
	dst = append(dst, byte(len(reason)))
	for i := range len(reason) {
		c := reason[i]
		if c < 0x20 || c > 0x7e {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// ParseError parses the data of an ERROR command. The reason is escaped to printable ASCII and safe to log.
func ParseError(data []byte) (reason string, err error) {
	if len(data) == 0 {
		return "", errorf(KindCommand, "error without a reason field")
	}
	if size := int(data[0]); size != len(data)-1 {
		return "", errorf(KindCommand, "error reason of %d bytes in %d bytes of data", size, len(data))
	}
	return escape(data[1:], shortMax), nil
}
