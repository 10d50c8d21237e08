package params

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// TLS declares the options of an encrypted connection to a broker.
func TLS() []driver.Option {
	return []driver.Option{
		Bool("tls", false, "Encrypt the connection. A server's URL may say so too."),
		File("tls_ca", "Certificates (PEM) of who may have signed the server's. Empty: the system's."),
		File("tls_cert", "Our own certificate (PEM), if the server asks for one."),
		File("tls_key", "The private key (PEM) of tls_cert."),
		Text("tls_server_name", "", "The name that the server's certificate must have. Empty: that of its address."),
	}
}

// TLS returns what the options of an encrypted connection say, or nil when
// none of them is set.
func (v Values) TLS() (*tls.Config, error) {
	ca, cert, key, name := v.Text("tls_ca"), v.Text("tls_cert"), v.Text("tls_key"), v.Text("tls_server_name")
	if !v.Bool("tls") && ca == "" && cert == "" && key == "" && name == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("tls_ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls_ca: no certificate in %s", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("tls_cert and tls_key must be set together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("tls_cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
