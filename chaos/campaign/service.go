//go:build linux

package campaign

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	term = syscall.SIGTERM
	// startTimeout is how long a process may take to be ready, on a machine that
	// is busy.
	startTimeout = 20 * time.Second
)

// service is a publisher service: the product's binary.
type service struct {
	part
	sys     *system
	id      string
	file    string
	socket  string
	address string
}

func (s *system) newService(i int) (*service, error) {
	shape := s.shape.Services[i]
	port, err := s.freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(s.dir, shape.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	svc := &service{
		part: part{name: "service-" + shape.ID}, sys: s, id: shape.ID,
		file: filepath.Join(dir, "df.ini"), socket: filepath.Join(dir, "s"), address: fmt.Sprintf("127.0.0.1:%d", port),
	}
	text := fmt.Sprintf(`[df]
pub_sub_driver = zmq_pubsub_driver
enable_df_pub_sub = True
publisher_bind_address = 127.0.0.1
publisher_port = %d
publisher_multiproc_socket = %s
[wyvern]
publisher_id = %s
log_level = debug
`, port, svc.socket, shape.ID)
	if s.shape.Retention > 0 {
		text += fmt.Sprintf("retention = %d\n", s.shape.Retention)
	}
	for _, line := range s.shape.Config {
		text += line + "\n"
	}
	return svc, os.WriteFile(svc.file, []byte(text), 0o600)
}

// start starts it and waits until it is ready.
func (svc *service) start(ctx context.Context) error {
	p, err := svc.sys.spawn(svc.next(), svc.name, svc.sys.programs.Wyvern, "serve", "--config-file", svc.file)
	if err != nil {
		return err
	}
	svc.set(p)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return p.await(ctx, saysReady)
}
