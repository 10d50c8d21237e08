package zmtp

// SubscriptionOp is what a frame of a subscriber asks for.
type SubscriptionOp uint8

const (
	NotSubscription SubscriptionOp = iota // a message, or another command
	Subscribe
	Cancel
)

// String returns the operation in words.
func (op SubscriptionOp) String() string {
	switch op {
	case Subscribe:
		return "subscribe"
	case Cancel:
		return "cancel"
	}
	return "not a subscription"
}

// The first byte of a subscription in its ZMTP 3.0 form.
const (
	messageCancel    = 0
	messageSubscribe = 1
)

// ParseSubscription recognises both forms of a subscription: the commands of ZMTP 3.1 and the one-frame messages of 3.0, from
// every peer, because libzmq's XSUB lets applications write the latter. The topic is a prefix, may be empty, and aliases f.Body.
//
// Subscriptions add up: who subscribes twice has to cancel twice (RFC 37).
//
// f must be the first frame of a message or a command; a later frame of a longer message only looks like a subscription. The error
// is a *ProtocolError for a malformed command.
func ParseSubscription(f Frame) (op SubscriptionOp, topic []byte, err error) {
	if f.Command {
		name, data, err := ParseCommand(f.Body)
		switch {
		case err != nil:
			return NotSubscription, nil, err
		case string(name) == CommandSubscribe:
			return Subscribe, data, nil
		case string(name) == CommandCancel:
			return Cancel, data, nil
		}
		return NotSubscription, nil, nil
	}
	if f.More || len(f.Body) == 0 {
		return NotSubscription, nil, nil
	}
	switch f.Body[0] {
	case messageSubscribe:
		return Subscribe, f.Body[1:], nil
	case messageCancel:
		return Cancel, f.Body[1:], nil
	}
	return NotSubscription, nil, nil
}

// AppendSubscribe appends a subscription in the form that a peer of this minor version understands: from 1 on a command, at 0 a
// message.
func AppendSubscribe(dst []byte, minor uint8, topic []byte) []byte {
	if minor == 0 {
		return appendMessage(dst, messageSubscribe, topic)
	}
	return AppendCommand(dst, CommandSubscribe, topic)
}

// AppendCancel appends the end of a subscription, in the form for the peer's minor version.
func AppendCancel(dst []byte, minor uint8, topic []byte) []byte {
	if minor == 0 {
		return appendMessage(dst, messageCancel, topic)
	}
	return AppendCommand(dst, CommandCancel, topic)
}

func appendMessage(dst []byte, op byte, topic []byte) []byte {
	dst = AppendFrameHeader(dst, 0, 1+len(topic))
	return append(append(dst, op), topic...)
}
