package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// eventSource yields events, of a JSON stream or a single one.
type eventSource struct {
	single *wyvern.Event
	closer io.Closer
	lines  *bufio.Scanner
	line   int
}

func newEventSource(r io.ReadCloser, maxEvent int64) *eventSource {
	s := &eventSource{closer: r, lines: bufio.NewScanner(r)}
	// JSON may write a byte as six.
	s.lines.Buffer(nil, int(min(6*maxEvent+64<<10, 1<<30)))
	return s
}

// next returns io.EOF at the end. Blank lines are none.
func (s *eventSource) next(e *wyvern.Event) error {
	if s.single != nil {
		if s.line++; s.line > 1 {
			return io.EOF
		}
		*e = *s.single
		return nil
	}
	for s.lines.Scan() {
		s.line++
		line := bytes.TrimSpace(s.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := json.Unmarshal(line, e); err != nil {
			return fmt.Errorf("not an event in JSON: %w", err)
		}
		return nil
	}
	s.line++ // the one that could not be read
	if err := s.lines.Err(); err != nil {
		return err
	}
	return io.EOF
}

func (s *eventSource) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// pusher publishes a stream.
type pusher struct {
	publisher *wyvern.Publisher
	timeout   time.Duration
	hint      string
	published atomic.Uint64 // accepted, to be exact
	flushing  atomic.Bool
}

// stream publishes until the source ends. Reading standard input can't be
// interrupted, so that a signal is noticed at the next line; hence the
// goroutine, which then ends with the process.
func (p *pusher) stream(ctx context.Context, source *eventSource, name string) error {
	ended := make(chan error, 1)
	go func() { ended <- p.publishAll(ctx, source, name) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}

func (p *pusher) publishAll(ctx context.Context, source *eventSource, name string) error {
	at := func(err error) error {
		if name == "" {
			return err
		}
		return fmt.Errorf("%s:%d: %w", name, source.line, err)
	}
	for {
		var e wyvern.Event
		err := source.next(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return at(err)
		}
		if err := p.publish(ctx, e); err != nil {
			return at(err)
		}
		p.published.Add(1)
	}
}

func (p *pusher) publish(ctx context.Context, e wyvern.Event) error {
	bounded, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.explain(p.publisher.Publish(bounded, e))
}

// shutdown hands over what was accepted. A signal ends that too, unless it was
// what ended the stream.
func (p *pusher) shutdown(ctx context.Context) error {
	p.flushing.Store(true)
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	bounded, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.explain(p.publisher.Shutdown(bounded))
}

// explain says of a wait that ended in vain what it was for.
func (p *pusher) explain(err error) error {
	var hinted *driver.HintError
	if err == nil || p.hint == "" || errors.As(err, &hinted) || errors.Is(err, wyvern.ErrInvalidEvent) || errors.Is(err, wyvern.ErrTooLarge) {
		return err
	}
	return driver.WithHint(err, p.hint)
}

// progress prints once a second how far it is, and once more at the end if it
// did. The caller calls the function returned, with the outcome.
func (p *pusher) progress(w io.Writer) (stop func(error)) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	printed := false
	wait.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		var last uint64
		for {
			select {
			case <-ticker.C:
			case <-done:
				return
			}
			n := p.published.Load()
			if p.flushing.Load() {
				fmt.Fprintf(w, "wyvern: accepted %d events, waiting until they are taken\n", n)
			} else {
				fmt.Fprintf(w, "wyvern: accepted %d events, %d/s\n", n, n-last)
			}
			last, printed = n, true
		}
	})
	return func(err error) {
		close(done)
		wait.Wait()
		if printed && err == nil {
			fmt.Fprintf(w, "wyvern: published %d events\n", p.published.Load())
		}
	}
}
