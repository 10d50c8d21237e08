package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	goredis "github.com/redis/go-redis/v9"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var (
	errAllTopics = driver.WithHint(fmt.Errorf("%w: all topics at once can't be read from streams", driver.ErrRole),
		"name the topics, or use the driver redis")
	errReplica = errors.New("the server is a replica")
)

// reply is an error that the server answered.
type reply interface {
	error
	RedisError()
}

// answered returns what the server answered, if err is that.
func answered(err error) (string, bool) {
	var r reply
	if !errors.As(err, &r) || errors.Is(err, goredis.Nil) {
		return "", false
	}
	return r.Error(), true
}

// redirected returns where a cluster says that a key is, and by which word.
func redirected(err error) (word, addr string) {
	text, ok := answered(err)
	if !ok {
		return "", ""
	}
	f := strings.Fields(text)
	if len(f) == 3 && (f[0] == "MOVED" || f[0] == "ASK") {
		return f[0], f[2]
	}
	return "", ""
}

// passing begin answers that another attempt, perhaps at another server, may
// change.
var passing = []string{
	"MOVED ", "ASK ", "READONLY ", "LOADING ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "BUSY ", "NOREPLICAS ", "UNBLOCKED ",
	"OOM ", "MISCONF ", "NOAUTH ", "WRONGPASS ", "ERR max number of clients",
}

// passes tells whether another attempt may succeed.
func passes(err error) bool {
	text, ok := answered(err)
	if !ok {
		return true // the connection
	}
	for _, p := range passing {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}

// denied tells whether a server does not let us use a channel or key, or can't
// use the key.
func denied(err error) bool {
	text, _ := answered(err)
	return strings.HasPrefix(text, "NOPERM ") || strings.HasPrefix(text, "WRONGTYPE ")
}

// tooLong tells whether a string was longer than the server takes, after which
// it has closed the connection.
func tooLong(err error) bool {
	text, ok := answered(err)
	return ok && strings.Contains(text, "invalid bulk length")
}

// explain adds to an error of the first contact with a server what can be done
// about it.
func (d *dialer) explain(addr string, err error) error {
	text, ok := answered(err)
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var timeout net.Error
	hint := ""
	switch {
	case strings.HasPrefix(text, "WRONGPASS"):
		hint = "check user and password; those of Sentinels are sentinel_user and sentinel_password"
	case strings.HasPrefix(text, "NOAUTH"):
		hint = "set password, and user if it isn't the default one; for Sentinels sentinel_password"
	case strings.HasPrefix(text, "NOPERM"):
		hint = "give the user the commands and channels that the driver needs: +@pubsub +@connection +@stream +@read +cluster|slots, and &*"
	case strings.Contains(text, "SELECT is not allowed in cluster mode"):
		hint = "the server is part of a cluster: set mode to cluster, and db to 0"
	case strings.Contains(text, "unknown command"):
		hint = "the server is older than Redis 6, or something else"
	case strings.Contains(text, "DB index is out of range"):
		hint = "the server has fewer databases: check db"
	case strings.Contains(text, "DENIED"):
		hint = "the server is in protected mode: it wants a password"
	case ok:
	case errors.As(err, &unknown):
		hint = "set tls_ca to the certificate of who signed the server's"
	case errors.As(err, &name):
		hint = "set tls_server_name to a name that the server's certificate has"
	case errors.As(err, &record):
		hint = "the server doesn't speak TLS: set tls to false, or redis:// instead of rediss://"
	case d.tls != nil && (strings.Contains(err.Error(), "tls: ") || hungUp(err)):
		hint = "if the server asks for a certificate of ours, set tls_cert and tls_key to one that it accepts"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "no server listens there: start it, or check servers"
	case d.tls == nil && (hungUp(err) || strings.Contains(err.Error(), "redis: ")):
		hint = "what listens there doesn't speak Redis's protocol in the clear: if it speaks TLS, set tls to true, or rediss:// instead of redis://"
	case errors.As(err, &timeout) && timeout.Timeout() && d.tls != nil:
		hint = "the server did not answer: if it doesn't speak TLS there, set tls to false, or redis:// instead of rediss://"
	}
	err = fmt.Errorf("%s: %w", addr, err)
	if hint != "" {
		err = driver.WithHint(err, hint)
	}
	return err
}

// hungUp tells whether the other side ended the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// hinted adds a hint to an answer to a command, where there is one.
func hinted(err error) error {
	text, _ := answered(err)
	switch {
	case strings.HasPrefix(text, "NOPERM"):
		return driver.WithHint(err, "give the user this command and this channel or key, by ACL SETUSER")
	case strings.HasPrefix(text, "WRONGTYPE"):
		return driver.WithHint(err, "a key that is no stream stands where a stream should: change stream_prefix, or remove it")
	case strings.HasPrefix(text, "OOM"):
		return driver.WithHint(err, "the server's memory is full: raise maxmemory, or keep less by stream_length or stream_age")
	case strings.HasPrefix(text, "MISCONF"):
		return driver.WithHint(err, "the server can't write to its disk: see its log")
	}
	return err
}
