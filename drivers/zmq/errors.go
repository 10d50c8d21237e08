package zmq

import (
	"errors"

	"github.com/wyvern-pubsub/wyvern/internal/fanlog"
	"github.com/wyvern-pubsub/wyvern/internal/zmtp"
)

// Reasons for ending a connection.
var (
	errHandshakeTimeout = errors.New("handshake not completed in time")
	errSilent           = errors.New("no sign of life")
	errDeaf             = errors.New("peer does not read what it is told")
	errCrowded          = errors.New("made room for another: it had not introduced itself")
	errCrowdedHere      = errors.New("made room for another of the same origin: it had not introduced itself")
	errClosed           = errors.New("closed") // by this side
	errMissing          = errors.New("messages are missing")
	errTwin             = errors.New("the publisher is connected already")

	// errUnconfirmed is what a Flush returns that lost its service.
	errUnconfirmed = errors.New("the service went before it confirmed what was written to it: some of it may be lost")

	errInside     = &zmtp.ProtocolError{Kind: zmtp.KindFrame, Detail: "command inside a message"}
	errUnexpected = &zmtp.ProtocolError{Kind: zmtp.KindFrame, Detail: "message from a peer that has none to send"}
	errTopic      = &zmtp.ProtocolError{Kind: zmtp.KindTooLarge, Detail: "topic of a subscription is longer than any topic"}
)

// isProtocol says whether a peer violated the protocol.
func isProtocol(err error) bool {
	var protocol *zmtp.ProtocolError
	return errors.As(err, &protocol)
}

// isRefusal says whether a peer was turned away for what it did or lacked, as
// opposed to having gone.
func isRefusal(err error) bool {
	for _, reason := range []error{errHandshakeTimeout, errCrowded, errCrowdedHere, errDeaf, fanlog.ErrSubscriptions, fanlog.ErrPrivate, fanlog.ErrUnread} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return isProtocol(err)
}
