package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// is says whether a server's error is one of those that etcd names.
func is(err, named error) bool {
	return err != nil && rpctypes.ErrorDesc(err) == rpctypes.ErrorDesc(named)
}

// refused says whether a server's error means that it did not do what it was
// asked, and won't.
func refused(err error) bool {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.OutOfRange, codes.Unimplemented, codes.FailedPrecondition:
		return !is(err, rpctypes.ErrGRPCAuthOldRevision) && !is(err, rpctypes.ErrGRPCNotLeader) && !is(err, rpctypes.ErrGRPCNotSupportedForLearner)
	case codes.ResourceExhausted:
		return !is(err, rpctypes.ErrGRPCRequestTooManyRequests)
	}
	return false
}

// notDone says whether a server's error means that nothing was done, though it
// may be another time. What it can't be told of may have been done.
func notDone(err error) bool {
	switch status.Code(err) {
	case codes.Unauthenticated:
		return true
	case codes.InvalidArgument, codes.FailedPrecondition, codes.ResourceExhausted:
		return true
	}
	return is(err, rpctypes.ErrGRPCNoLeader)
}

// tooLarge says whether a server refused a request for its size.
func tooLarge(err error) bool {
	return is(err, rpctypes.ErrGRPCRequestTooLarge) ||
		status.Code(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "larger than max")
}

// badToken says whether a server wants to be logged in to again.
func badToken(reason string) bool {
	for _, named := range []error{rpctypes.ErrGRPCInvalidAuthToken, rpctypes.ErrGRPCAuthOldRevision, rpctypes.ErrGRPCUserEmpty} {
		if strings.Contains(reason, rpctypes.ErrorDesc(named)) {
			return true
		}
	}
	return false
}

// explain returns what etcd or the connection to it says in few words, and what
// can be done about it where that is known.
func explain(err error, s *settings) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	text, cause := "", err
	var d *doing
	if errors.As(err, &d) {
		text, cause = d.what+": ", d.err
	}
	return hinted(&causeError{text + desc(cause), err}, s)
}

// desc is what a server or the connection to it says, without what says that
// it is an error.
func desc(err error) string {
	text := strings.TrimPrefix(rpctypes.ErrorDesc(err), "etcdserver: ")
	if strings.HasPrefix(text, "last connection error: ") || strings.HasPrefix(text, "connection error: ") {
		text = text[strings.Index(text, "connection error: ")+len("connection error: "):]
		text = strings.Trim(strings.TrimPrefix(text, "desc = "), `"`)
		text = strings.TrimPrefix(text, "transport: ")
	}
	return text
}

// hinted adds what can be done, where that is known.
func hinted(err error, s *settings) error {
	text := err.Error()
	for _, h := range hints {
		for _, part := range strings.Split(h.says, "|") {
			if strings.Contains(text, part) {
				return driver.WithHint(err, fmt.Sprintf(h.hint, strings.Join(s.endpoints, ", ")))
			}
		}
	}
	return err
}

// doing is an error with what was being done.
type doing struct {
	what string
	err  error
}

func (d *doing) Error() string { return d.what + ": " + d.err.Error() }
func (d *doing) Unwrap() error { return d.err }

// causeError is an error in other words.
type causeError struct {
	text string
	err  error
}

func (e *causeError) Error() string { return e.text }
func (e *causeError) Unwrap() error { return e.err }

// hints are by what an error says, or one of several things. %[1]s is where
// the servers are.
var hints = []struct{ says, hint string }{
	{"invalid user ID or password", "check the options user and password%.0[1]s"},
	{"user name is empty|invalid auth token", "the cluster wants a user: set the options user and password%.0[1]s"},
	{"permission denied", "grant the user a role with readwrite permission on the prefix%.0[1]s"},
	{"database space exceeded", "compact and defragment etcd, then disarm the alarm; switch auto-compaction on%.0[1]s"},
	{"connection refused", "is etcd running at %[1]s?"},
	{"no such host|no route to host|network is unreachable", "check the names of the servers: %[1]s"},
	{"first record does not look like a TLS handshake|authentication handshake failed: EOF", "the server does not speak TLS: write http://, and set no option for TLS%.0[1]s"},
	{"signed by unknown authority", "set tls_ca to the certificates of who signed the server's%.0[1]s"},
	{"certificate is valid for|doesn't contain any IP SANs|not valid for any names", "set tls_server_name to a name in the server's certificate%.0[1]s"},
	{"certificate required|bad certificate", "the server wants a certificate of ours: set tls_cert and tls_key%.0[1]s"},
	{"error reading server preface|broken pipe|connection reset", "does the server at %[1]s speak TLS? Write https://; does it want a certificate? Set tls_cert and tls_key"},
	{"deadline exceeded|request timed out|no leader", "nobody answers in time at %[1]s: is it etcd, and has the cluster a leader?"},
}
