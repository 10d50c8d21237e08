package zmtp

// SocketType is the value of the property Socket-Type, written as on the wire. Case matters.
type SocketType string

// The socket types of RFC 37. Wyvern speaks the first six; the others are known so that they can be refused by name.
const (
	Pub     SocketType = "PUB"
	Sub     SocketType = "SUB"
	XPub    SocketType = "XPUB"
	XSub    SocketType = "XSUB"
	Push    SocketType = "PUSH"
	Pull    SocketType = "PULL"
	Req     SocketType = "REQ"
	Rep     SocketType = "REP"
	Dealer  SocketType = "DEALER"
	Router  SocketType = "ROUTER"
	Pair    SocketType = "PAIR"
	Client  SocketType = "CLIENT"
	Server  SocketType = "SERVER"
	Radio   SocketType = "RADIO"
	Dish    SocketType = "DISH"
	Scatter SocketType = "SCATTER"
	Gather  SocketType = "GATHER"
	Node    SocketType = "PEER" // Peer is the other end of a connection here
	Channel SocketType = "CHANNEL"
)

// partners is the table of RFC 37, "The Socket-Type Property".
func (t SocketType) partners() []SocketType {
	switch t {
	case Pub, XPub:
		return []SocketType{Sub, XSub}
	case Sub, XSub:
		return []SocketType{Pub, XPub}
	case Push:
		return []SocketType{Pull}
	case Pull:
		return []SocketType{Push}
	case Req:
		return []SocketType{Rep, Router}
	case Rep:
		return []SocketType{Req, Dealer}
	case Dealer:
		return []SocketType{Rep, Dealer, Router}
	case Router:
		return []SocketType{Req, Dealer, Router}
	case Client:
		return []SocketType{Server}
	case Server:
		return []SocketType{Client}
	case Radio:
		return []SocketType{Dish}
	case Dish:
		return []SocketType{Radio}
	case Scatter:
		return []SocketType{Gather}
	case Gather:
		return []SocketType{Scatter}
	case Pair, Node, Channel:
		return []SocketType{t}
	}
	return nil
}

// Known reports whether RFC 37 has the type.
func (t SocketType) Known() bool { return t.partners() != nil }

// Compatible reports whether a socket of type t may talk to one of type peer. It is symmetric, and false for unknown types.
func (t SocketType) Compatible(peer SocketType) bool {
	for _, p := range t.partners() {
		if p == peer {
			return true
		}
	}
	return false
}
