package zmtp

// Mechanism is one security mechanism with its keys or policy: NULL, or one that authenticates and encrypts. It holds no state of a
// connection, so that one value serves a whole socket, and may be called concurrently.
type Mechanism interface {
	// Name is the name in the greeting: 1 to 20 capitals, digits and "-_.+". Both peers must have the same.
	Name() string
	// NewExchange begins the exchange of one connection.
	NewExchange(local Local) Exchange
}

// Local is what an Exchange knows of its own side.
type Local struct {
	AsServer bool   // this side bound
	Metadata []byte // our properties, as AppendMetadata wrote them, for the mechanism to send; read only
	// Accept judges what the peer says of itself. The exchange calls it once, as soon as it has the peer's metadata and trusts
	// it, before it answers. It returns the error of Accept from Command, and answers nothing then.
	Accept func(Metadata) error
}

// Exchange is the handshake of one connection, from the end of the greeting to the first byte of traffic. It is a state
// machine with one caller at a time: no I/O, no clock. Slices that it gets are valid during the call only. It returns
// *ProtocolError for what a peer did. ERROR commands never reach it, in either direction: Handshake reads and writes them.
type Exchange interface {
	// AdvertiseServer is the as-server byte of our greeting.
	AdvertiseServer() bool
	// Greeting judges the as-server byte of the peer's greeting.
	Greeting(asServer bool) error
	// Start appends the commands to send when the peer's greeting is accepted.
	Start(dst []byte) []byte
	// Command takes a command of the peer and appends the commands that answer it. Handshake sends what was appended even when
	// there is an error.
	Command(dst, name, data []byte) ([]byte, error)
	// Done reports that both sides may send traffic. It changes in Command only. Accept was called and returned nil.
	Done() bool
	// Cipher carries the traffic when Done. Nil means as it is, which costs the traffic nothing.
	Cipher() Cipher
}

// Cipher encrypts and decrypts frames of traffic, messages and commands alike, in the order of the stream. Seal and Open may
// each run in a goroutine of its own.
type Cipher interface {
	// Seal appends the frame that carries a frame with these flags (FlagMore, FlagCommand) and body.
	Seal(dst []byte, flags byte, body []byte) []byte
	// Open returns the frame that f carries. Its body is appended to dst, whose old contents stay; it is valid as long as that.
	Open(dst []byte, f Frame) (Frame, error)
}
