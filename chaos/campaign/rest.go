//go:build linux

package campaign

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// group is some of the actors.
type group func(*system) []*process

func workersOnly(s *system) (ps []*process) {
	for _, w := range s.workers {
		ps = append(ps, w.present())
	}
	return ps
}

func nodesOnly(s *system) (ps []*process) {
	for _, n := range s.nodes {
		ps = append(ps, n.present())
	}
	return ps
}

func everybody(s *system) []*process { return append(workersOnly(s), nodesOnly(s)...) }

// order gives an order to some actors and waits until all have answered.
func (s *system) order(ctx context.Context, do string, to group) error {
	ctx, cancel := context.WithTimeout(ctx, pauseTimeout)
	defer cancel()
	ps := to(s)
	errs := make([]error, len(ps))
	var wg sync.WaitGroup
	for i, p := range ps {
		wg.Go(func() { errs[i] = p.order(ctx, actor.Order{Do: do}) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// check judges records up to the last KindCheck.
func check(r io.Reader, p validator.Params) (*validator.Result, error) {
	c := validator.New(p)
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	var all validator.Result
	checked := false
	for n := 1; lines.Scan(); n++ {
		rec, err := validator.Parse(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		c.Add(rec)
		if rec.Kind == validator.KindCheck {
			checked = true
			all.Merge(c.Check(time.Duration(rec.At)))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !checked {
		return nil, errors.New("the log has no check record: it is of a round that did not come to its end")
	}
	return &all, nil
}
