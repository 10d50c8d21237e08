package zmtp

// Null is the mechanism NULL of RFC 37: no authentication, no encryption, one READY each way.
type Null struct{}

// Name returns "NULL".
func (Null) Name() string { return "NULL" }

// NewExchange begins the exchange of one connection.
func (Null) NewExchange(local Local) Exchange { return &nullExchange{local: local} }

type nullExchange struct {
	local Local
	done  bool
}

// AdvertiseServer is false on both sides: "the as-server field MUST be zero" (RFC 37).
func (x *nullExchange) AdvertiseServer() bool { return false }

func (x *nullExchange) Greeting(asServer bool) error {
	if asServer {
		return errorf(KindGreeting, "as-server is 1 with mechanism NULL")
	}
	return nil
}

// Start sends READY as a client. A server waits for the client's and answers with READY or ERROR, so that it tells a stranger
// nothing and a mistaken peer the reason.
func (x *nullExchange) Start(dst []byte) []byte {
	if x.local.AsServer {
		return dst
	}
	return AppendCommand(dst, CommandReady, x.local.Metadata)
}

func (x *nullExchange) Command(dst, name, data []byte) ([]byte, error) {
	if string(name) != CommandReady {
		return dst, errorf(KindCommand, "%s instead of READY", quote(name))
	}
	m, err := ParseMetadata(data)
	if err != nil {
		return dst, err
	}
	if err := x.local.Accept(m); err != nil {
		return dst, err
	}
	if x.local.AsServer {
		dst = AppendCommand(dst, CommandReady, x.local.Metadata)
	}
	x.done = true
	return dst, nil
}

func (x *nullExchange) Done() bool { return x.done }

func (x *nullExchange) Cipher() Cipher { return nil }
