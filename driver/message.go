package driver

// Message is one payload on its way, or a notice at its place among them.
// Drivers don't look inside Payload.
type Message struct {
	// Topic is 1 to 255 bytes of UTF-8. On receipt it is what the sender said
	// and may be anything: the core checks it.
	Topic []byte
	// Payload is at most Capabilities.MaxPayload, or Config.MaxPayload, bytes.
	Payload []byte
	// Source is set on receipt by drivers that know who sent it, else nil. It
	// is shared by all messages of one connection and never changes.
	Source *Source
	// Notice is set on receipt when this is not a payload: what the driver
	// knows of the messages around it. It is about Topic or, where that is
	// empty, about every topic that is held. Never set by publishers.
	Notice Notice
}

// Source is the sender of a message, as the driver knows it.
type Source struct {
	// Publisher is the stable identity that the sender gave, or "".
	Publisher string
	// Epoch is the sender's incarnation, 0 where the driver doesn't know it.
	Epoch uint64
	// Address is where it was reached, or who it is, for people: a URI, or
	// the process at the other end of a local socket.
	Address string
}
