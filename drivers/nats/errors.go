package nats

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"syscall"

	"github.com/wyvern-pubsub/wyvern/driver"

	client "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// errLost is returned when the connection went before an answer came.
var errLost = errors.New("the connection was lost")

// explain adds to the error of a connection that could not be made what the
// person who reads it can do.
func (s *settings) explain(err error, servers []string) error {
	where := strings.Join(redacted(servers), ", ")
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch wrapped := fmt.Errorf("%s: %w", where, err); {
	case errors.Is(err, client.ErrNoServers):
		return driver.WithHint(fmt.Errorf("no server answers at %s: %w", where, err), "start nats-server there, or correct servers")
	case errors.Is(err, client.ErrAuthorization), errors.Is(err, client.ErrAuthExpired), errors.Is(err, client.ErrAuthRevoked),
		errors.Is(err, client.ErrAccountAuthExpired), errors.Is(err, client.ErrNkeysNotSupported):
		switch {
		case s.logins == "credentials":
			return driver.WithHint(wrapped, "the server refuses what credentials says: they may have expired, or belong to another operator")
		case s.logins != "":
		case strings.Contains(where, "@"):
			return driver.WithHint(wrapped, "the server refuses the user and password in the URL")
		default:
			return driver.WithHint(wrapped, "no credentials are set: user and password, token, credentials or nkey_seed")
		}
		return driver.WithHint(wrapped, "the server refuses what "+s.logins+" says")
	case s.logins == "credentials" && strings.Contains(err.Error(), "nkeys: "), strings.Contains(err.Error(), "signing nonce"):
		return driver.WithHint(wrapped, "credentials is not a file with a JWT and its seed, as nsc makes them")
	case errors.Is(err, client.ErrMaxConnectionsExceeded), errors.Is(err, client.ErrMaxAccountConnectionsExceeded):
		return driver.WithHint(wrapped, "raise max_connections in the servers' configuration, or of the account")
	case errors.Is(err, client.ErrSecureConnWanted):
		return driver.WithHint(wrapped, "the server has no TLS: write nats:// and leave the options tls... unset, or give it a certificate")
	case errors.As(err, &unknown):
		return driver.WithHint(wrapped, "set tls_ca to the certificates of who signed the server's")
	case errors.As(err, &name):
		return driver.WithHint(wrapped, "set tls_server_name to the name in the server's certificate")
	case errors.As(err, &invalid):
		return driver.WithHint(wrapped, "renew the server's certificate, or set the clock")
	case errors.As(err, &record):
		return driver.WithHint(wrapped, "what answers there does not speak TLS")
	case errors.As(err, &alert), strings.Contains(err.Error(), "tls:"):
		return driver.WithHint(wrapped, "the server may want a certificate of ours: set tls_cert and tls_key")
	case errors.Is(err, client.ErrNoInfoReceived), strings.Contains(err.Error(), "Protocol Violation"), strings.Contains(err.Error(), "EOF"):
		return driver.WithHint(wrapped, "what answers there is no NATS server")
	case errors.Is(err, context.DeadlineExceeded):
		return driver.WithHint(fmt.Errorf("%s: no answer in %v: %w", where, s.cfg.HandshakeTimeout, err), "what is there does not answer as a NATS server does")
	case (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) && s.tls != nil:
		return driver.WithHint(wrapped, "the server may want a certificate of ours that it accepts: set tls_cert and tls_key; or its max_connections are reached")
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return driver.WithHint(wrapped, "the server ended the connection at once: its max_connections may be reached; its log tells")
	case errors.Is(err, client.ErrTimeout), errors.As(err, &timeout) && timeout.Timeout():
		return driver.WithHint(wrapped, "what is there does not answer as a NATS server does")
	default:
		return wrapped
	}
}

// permissions are what a stream needs besides those for events.
const permissions = "give the user permission to publish to $JS.API.> and to subscribe to _INBOX.>"

// explainStream does so for what concerns the stream.
func (s *settings) explainStream(err error) error {
	var api *jetstream.APIError
	what := fmt.Errorf("stream %q: %w", s.stream.name, err)
	noAnswer := errors.Is(err, client.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
	switch {
	case noAnswer && s.stream.domain != "":
		return driver.WithHint(fmt.Errorf("stream %q: no JetStream with the domain %q: %w", s.stream.name, s.stream.domain, err),
			"check jetstream_domain: it is the domain in the servers' configuration, or empty for that of the servers themselves")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), noAnswer:
		return driver.WithHint(fmt.Errorf("stream %q: the server has no JetStream: %w", s.stream.name, err), "start the servers with JetStream (jetstream {} in their configuration, or -js), or use the driver nats")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return driver.WithHint(what, "give the account jetstream: enabled, or use the driver nats")
	case errors.Is(err, client.ErrPermissionViolation):
		return driver.WithHint(what, permissions)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return driver.WithHint(what, "create it, with the subject "+s.subjects.all()+", or set stream_create = true")
	case errors.As(err, &api) && api.ErrorCode == 10065: // subjects overlap with an existing stream
		return driver.WithHint(what, "another stream takes "+s.subjects.all()+": set stream to its name, or choose another prefix")
	case errors.As(err, &api) && (api.ErrorCode == 10047 || api.ErrorCode == 10028 || api.ErrorCode == 10023):
		return driver.WithHint(what, "lower stream_max_bytes, or give JetStream or the account more storage")
	case errors.As(err, &api) && api.ErrorCode == maxConsumers:
		return driver.WithHint(what, "raise the maximum of consumers, of the stream or the account: each subscriber has one")
	case errors.As(err, &api) && (api.ErrorCode == 10074 || api.ErrorCode == 10005):
		return driver.WithHint(what, "set stream_replicas to at most the number of servers in the cluster")
	}
	return what
}

// maxConsumers is JetStream's code for a stream or an account that may have no
// more consumers.
const maxConsumers = 10026

// refusesConsumer says whether there is no consumer for us before an operator
// does something.
func refusesConsumer(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, client.ErrPermissionViolation) || errors.As(err, &api) && api.ErrorCode == maxConsumers
}

// violation returns what a server does not permit, if err says that: to publish
// or to subscribe, and on which subject.
func violation(err error) (publish bool, subject string, ok bool) {
	if !errors.Is(err, client.ErrPermissionViolation) {
		return false, "", false
	}
	m := violationText.FindStringSubmatch(err.Error())
	if m == nil {
		return false, "", false
	}
	return strings.EqualFold(m[1], "Publish"), m[2], true
}

var violationText = regexp.MustCompile(`(?i)violation for (publish|subscription) to "([^"]*)"`)

// refusedPublish is the error of a message that the server does not permit.
func refusedPublish(err error, subject string) error {
	return driver.WithHint(fmt.Errorf("%w: %w", driver.ErrRefused, err), "give the user permission to publish to "+subject)
}

func tooLarge(size int, limit int64, whose string) error {
	return fmt.Errorf("%w: %d bytes, more than %s of %d", driver.ErrTooLarge, size, whose, limit)
}
