package zmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern"
)

// churn is a topic that one goroutine holds and lets go, again and again, and
// publishes to.
type churn struct {
	t     *testing.T
	n     *node
	topic string
	pub   *atomic.Pointer[wyvern.Publisher]
	rand  *rand.Rand
	round int
}

// publish publishes one event, by whatever incarnation takes it.
func (c *churn) publish(ctx context.Context, key string) {
	for ctx.Err() == nil {
		err := c.pub.Load().Publish(ctx, wyvern.Event{Topic: c.topic, Action: "set", Key: key})
		if err == nil {
			return
		}
		if !errors.Is(err, wyvern.ErrClosed) {
			c.t.Errorf("publish: %v", err)
			return
		}
		time.Sleep(time.Millisecond) // it is being restarted
	}
}

// reached says whether an event came, or a resync that covers it: one that was
// told after it was published.
func (c *churn) reached(key string, published time.Time) bool {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for i := len(c.n.got) - 1; i >= 0; i-- {
		e := &c.n.got[i]
		if e.Topic == c.topic && (e.Key == key || isResync(*e) && c.n.at[i].After(published)) {
			return true
		}
		if c.n.at[i].Before(published) {
			break
		}
	}
	return false
}

// turn holds the topic, publishes, waits until all of that has reached the
// handler or was told, and lets go.
func (c *churn) turn(ctx context.Context) {
	c.round++
	if err := c.n.sub.Subscribe(ctx, c.topic); err != nil {
		c.t.Errorf("subscribe: %v", err)
		return
	}
	type sent struct {
		key string
		at  time.Time
	}
	var all []sent
	for i := range 1 + c.rand.IntN(4) {
		s := sent{fmt.Sprintf("%d in round %d", i, c.round), time.Now()}
		c.publish(ctx, s.key)
		all = append(all, s)
		time.Sleep(time.Duration(c.rand.IntN(1000)) * time.Microsecond)
	}
	if c.rand.IntN(3) > 0 {
		for _, s := range all {
			for deadline := s.at.Add(5 * time.Second); !c.reached(s.key, s.at); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) || ctx.Err() != nil {
					c.t.Errorf("%s: event %s neither came nor was it covered", c.topic, s.key)
					return
				}
			}
		}
	}
	if err := c.n.sub.Unsubscribe(ctx, c.topic); err != nil {
		c.t.Errorf("unsubscribe: %v", err)
	}
	until := c.n.count(func(wyvern.Event) bool { return true })
	c.publish(ctx, fmt.Sprint("not held, after round ", c.round))
	time.Sleep(time.Duration(c.rand.IntN(2000)) * time.Microsecond)
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for _, e := range c.n.got[until:] {
		if e.Topic == c.topic {
			c.t.Errorf("%s: %s%s after Unsubscribe", c.topic, e.Key, e.Reason)
		}
	}
}

// Topics come and go while connections are cut and the publisher restarts: what
// is published between a Subscribe that has returned and the Unsubscribe comes
// once, or is told. Nothing comes after that.
func TestB3Churn(t *testing.T) {
	ctx := begin(t)
	opened := serviceOn(t, ctx, "p", 0)
	port := portOf(opened)
	var pub atomic.Pointer[wyvern.Publisher]
	pub.Store(opened)
	link := through(t, opened.Addr())
	n := newNode(t, ctx, []string{"kept"})
	n.meet(ctx, link.Addr())

	var stop atomic.Bool
	var workers sync.WaitGroup
	churns := make([]*churn, 8)
	for i := range churns {
		churns[i] = &churn{t: t, n: n, topic: fmt.Sprint("t", i), pub: &pub, rand: rand.New(rand.NewPCG(uint64(i), 1))}
		workers.Go(func() {
			for !stop.Load() && !t.Failed() {
				churns[i].turn(ctx)
			}
		})
	}
	r := rand.New(rand.NewPCG(7, 7))
	cuts := 0
	for i := range 100 {
		time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
		if i%2 == 0 {
			cuts += link.Reset()
		} else {
			cuts += link.Cut()
		}
		if i == 40 || i == 70 {
			pub.Load().Close()
			pub.Store(serviceOn(t, ctx, "p", port))
		}
	}
	stop.Store(true)
	workers.Wait()
	rounds := 0
	came := make(map[string]bool)
	for _, e := range n.got {
		key := e.Topic + " " + e.Key
		if !isResync(e) && came[key] {
			t.Errorf("%s came twice", key)
		}
		came[key] = true
	}
	for _, c := range churns {
		rounds += c.round
	}
	told := make(map[string]int)
	for _, r := range n.resyncs() {
		_, reason, _ := strings.Cut(r, ": ")
		told[reason]++
	}
	t.Logf("%d rounds, %d cuts, %d events, told %v", rounds, cuts, n.count(func(e wyvern.Event) bool { return !isResync(e) }), told)
	if cuts < 50 || rounds < 100 {
		t.Error("too little happened")
	}
}
