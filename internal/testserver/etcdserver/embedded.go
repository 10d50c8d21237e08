package etcdserver

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// inProcess is a server in this process.
type inProcess struct{ etcd *embed.Etcd }

func embedded(s spec) (runner, error) {
	cfg, err := s.config()
	if err != nil {
		return nil, err
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	return inProcess{e}, nil
}

// config is the server's. What costs time and serves no test is off.
func (s *spec) config() (*embed.Config, error) {
	client, err := url.Parse(s.Client)
	if err != nil {
		return nil, err
	}
	peer, err := url.Parse(s.Peer)
	if err != nil {
		return nil, err
	}
	c := embed.NewConfig()
	c.Name, c.Dir = s.Name, s.Dir
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	c.InitialCluster = s.Cluster
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	c.UnsafeNoFsync = true
	c.StrictReconfigCheck = false
	c.TickMs, c.ElectionMs = 100, 1000
	c.BcryptCost = 4
	if s.TokenTTL > 0 {
		c.AuthTokenTTL = uint(s.TokenTTL / time.Second)
	}
	if s.MaxRequestBytes > 0 {
		c.MaxRequestBytes = s.MaxRequestBytes
	}
	if s.MaxTxnOps > 0 {
		c.MaxTxnOps = s.MaxTxnOps
	}
	if s.Cert != "" {
		c.ClientTLSInfo = transport.TLSInfo{
			CertFile: s.Cert, KeyFile: s.Key, TrustedCAFile: s.CA, ClientCertAuth: s.CA != "", Logger: zap.NewNop(),
		}
	}
	return c, nil
}

func (r inProcess) ready(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-r.etcd.Server.ReadyNotify():
		return nil
	case err := <-r.etcd.Err():
		return fmt.Errorf("stopped: %w", err)
	case <-timer.C:
		return errors.New("not ready in time")
	}
}

func (r inProcess) stop() { r.etcd.Close() }

// kill cuts what clients have before it closes: they get no farewell.
func (r inProcess) kill() {
	for _, l := range r.etcd.Clients {
		l.Close()
	}
	r.etcd.Server.HardStop()
	r.etcd.Close()
}
