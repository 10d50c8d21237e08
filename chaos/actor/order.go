//go:build linux

package actor

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// What an actor can be told to do.
const (
	// DoPause: do nothing on your own any more. Answered when that is so, and
	// what was begun is done.
	DoPause = "pause"
	// DoGo: go on.
	DoGo = "go"
	// DoBurst: a worker publishes N events of Size bytes on Topic, as fast as it
	// can.
	DoBurst = "burst"
	// DoSlow: a node's handlers take Millis for each event; 0: as before.
	DoSlow = "slow"
	// DoFail: a node's handlers fail, and log nothing of it, if N is not 0; 0: as
	// before.
	DoFail = "fail"
	// DoMark: answer. What was written before it, was done before.
	DoMark = "mark"
	// DoQuit: end in order.
	DoQuit = "quit"
)

// Order is one line of standard input. All but DoQuit are answered by a record
// of KindMark.
type Order struct {
	Do     string `json:"do"`
	ID     string `json:"id,omitempty"`
	Topic  string `json:"topic,omitempty"`
	N      int    `json:"n,omitempty"`
	Size   int    `json:"size,omitempty"`
	Millis int    `json:"millis,omitempty"`
}

// orders reads orders until the end of in, and then ends the actor by quit. The
// read can't be stopped: it ends with the process.
func orders(ctx context.Context, in io.Reader, quit context.CancelCauseFunc) <-chan Order {
	out := make(chan Order)
	go func() {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			var o Order
			if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
				quit(fmt.Errorf("parse order %.100q: %w", lines.Bytes(), err))
				return
			}
			select {
			case out <- o:
			case <-ctx.Done():
				return
			}
		}
		quit(nil)
	}()
	return out
}
