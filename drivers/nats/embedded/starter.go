package embedded

import "context"

// Serves implements driver.Starter.
func (Driver) Serves() string { return "nats" }

// StartServer implements driver.Starter. The server has JetStream.
func (Driver) StartServer(ctx context.Context, dir string) (servers []string, stop func() error, err error) {
	s, err := Start(ctx, Options{JetStream: true, StoreDir: dir})
	if err != nil {
		return nil, nil, err
	}
	return []string{s.URL()}, func() error { s.Shutdown(); return nil }, nil
}
