package driver

// Message is one payload on its way. Drivers don't look inside Payload.
type Message struct {
	// Topic is 1 to 255 bytes of UTF-8. On receipt it is what the sender said
	// and may be anything: the core checks it.
	Topic []byte
	// Payload is at most Capabilities.MaxPayload, or Config.MaxPayload, bytes.
	Payload []byte
	// Source is set on receipt by drivers that know who sent it, else nil. It
	// is shared by all messages of one connection and never changes.
	Source *Source
}

// Source is the sender of a message, as the driver knows it.
type Source struct {
	// Publisher is the stable identity that the sender gave, or "".
	Publisher string
	// Address is where it was reached, or who it is, for people: a URI, or
	// the process at the other end of a local socket.
	Address string
}
