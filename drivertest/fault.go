package drivertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/validator"
	"github.com/wyvern-pubsub/wyvern/driver"
)

// Fault is something that happens to a mechanism while events flow.
type Fault struct {
	// Name is that of the subtest.
	Name string
	// Strike makes it happen and returns when it is over, as far as it has an
	// end. cfg is what Harness.Config returned. It fails t when the fault did
	// not strike.
	Strike func(t testing.TB, cfg driver.Config)
	// Within is how soon after Strike has returned everything that was accepted
	// until then must have been seen, or its loss been told; default 8 s, which
	// is 5 s for a notice, 1 s of spread, and time for a busy machine.
	Within time.Duration
	// Resumes: the mechanism keeps what was missed, so nobody may be told to
	// resync, but by a first "subscribed".
	Resumes bool
}

// faultLoad is what flows while a fault strikes.
const (
	faultWorkers = 2
	faultTopics  = 4
	faultPace    = 3 * time.Millisecond
	// lullTopic gets an event now and then, so that one may be the last for long.
	lullTopic = "lull"
	lullPace  = 700 * time.Millisecond
	// afterwards is for how long events flow when a fault is over.
	afterwards = time.Second
)

// RunFaults strikes each fault while two publishers publish and three
// subscribers, one of which changes its topics all the time, take what comes; and
// two that every driver has: a publisher that ends without a word and comes back
// as another incarnation, and one that hands over to its successor. Then a judge who
// knows only what was accepted and what the handlers saw decides: each event once,
// in order, or its loss told in time. In the end events must flow again, without
// anything having been opened anew.
//
// Harness.Timeout bounds what comes after a fault, not the fault.
func RunFaults(t *testing.T, h Harness, faults []Fault) {
	h = h.withDefaults()
	for _, f := range faults {
		t.Run(f.Name, func(t *testing.T) {
			runFault(t, h, f, func(s *scene) { f.Strike(t, s.cfg) })
		})
	}
	t.Run("PublisherCrashes", func(t *testing.T) {
		runFault(t, h, Fault{}, func(s *scene) { s.workers[0].crash() })
	})
	t.Run("PublisherHandsOver", func(t *testing.T) {
		runFault(t, h, Fault{Resumes: !h.Driver.Capabilities().Lossy}, func(s *scene) { s.workers[0].handOver() })
	})
}

// scene is a small system with a judge.
type scene struct {
	*place
	judge   *judge
	workers []*worker
	nodes   []*node
}

func runFault(t *testing.T, h Harness, f Fault, strike func(*scene)) {
	if f.Within <= 0 {
		f.Within = 8 * time.Second
	}
	p := newPlace(t, h)
	p.ctx = t.Context() // a fault takes as long as it takes
	s := &scene{place: p, judge: newJudge(f.Within, !p.caps.Identifies)}
	topics := []string{lullTopic}
	for i := range faultTopics {
		topics = append(topics, fmt.Sprintf("topic %d", i))
	}
	for i := range faultWorkers {
		s.workers = append(s.workers, s.newWorker(fmt.Sprintf("worker-%d", i), topics))
	}
	s.nodes = []*node{s.newNode("all", topics), s.newNode("half", topics[:1+faultTopics/2]), s.newNode("churn", topics[:1])}

	load, stop := context.WithCancel(p.ctx)
	defer stop()
	for _, w := range s.workers {
		s.start(w.run, load)
	}
	s.start(func(ctx context.Context) { s.nodes[2].churn(ctx, topics[1:]) }, load)
	s.await("flow before the fault", func() bool { return s.flows(0) && s.known() })
	resyncs := s.judge.resyncs()

	began := s.judge.now()
	strike(s)
	over := s.judge.now()
	s.judge.add(validator.Record{Kind: validator.KindFault, At: int64(began), End: int64(over), Fault: f.Name, On: []string{"*"}, Confirmed: true})
	s.await("flow after the fault", func() bool { return s.flows(over) })
	flowing := s.judge.now()
	linger(load, afterwards)
	stop()
	for _, w := range s.workers {
		<-w.done
	}
	<-s.nodes[2].done

	result := s.judge.settle(f.Within)
	for _, v := range result.Violations {
		t.Errorf("%v", v)
	}
	told := s.judge.resyncs()
	for reason, n := range resyncs {
		told[reason] -= n
	}
	delete(told, "subscribed")
	maps.DeleteFunc(told, func(_ string, n int) bool { return n == 0 })
	if f.Resumes && len(told) > 0 {
		t.Errorf("told to resync: %v, though nothing was lost for good", told)
	}
	t.Logf("%d accepted, %d unsure, %d deliveries, %d covered; fault %v, flow %v after it; resyncs: %s",
		result.Accepted, s.judge.unsure, result.Deliveries, result.Covered, (over - began).Round(time.Millisecond),
		(flowing - over).Round(time.Millisecond), counts(told))
}

// flows says whether every node that holds all topics has seen an event of every
// worker that was published after t.
func (s *scene) flows(t time.Duration) bool {
	for _, n := range s.nodes[:2] {
		for _, w := range s.workers {
			if !s.judge.sawSince(n.name, w.name, t) {
				return false
			}
		}
	}
	return true
}

// known says whether the nodes that hold all topics know which incarnation of
// each worker they hear. Where that takes a beat, a worker that ends before has
// not been somebody yet.
func (s *scene) known() bool {
	if s.caps.Liveness || s.h.Hop != driver.Network {
		return true
	}
	for _, n := range s.nodes[:2] {
		for _, w := range s.workers {
			if !s.judge.named(n.name, w.name) {
				return false
			}
		}
	}
	return true
}

// await waits until done. It polls: what it waits for happens in another
// process, or is the sum of many events.
func (s *scene) await(what string, done func() bool) {
	s.Helper()
	timeout := time.NewTimer(s.h.Timeout)
	defer timeout.Stop()
	for !done() {
		select {
		case <-timeout.C:
			s.Fatalf("no %s in %v", what, s.h.Timeout)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// start runs a goroutine that ends with the case.
func (s *scene) start(run func(context.Context), load context.Context) {
	ctx, cancel := context.WithCancel(load)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	s.Cleanup(func() { cancel(); <-ended })
}

// linger waits for d, or until ctx ends.
func linger(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func counts(told map[string]int) string {
	if len(told) == 0 {
		return "none"
	}
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(told)) {
		list = append(list, fmt.Sprintf("%s %d", reason, told[reason]))
	}
	return strings.Join(list, ", ")
}
