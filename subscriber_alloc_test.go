package wyvern

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// endless returns the same batch again and again, with the next numbers, until
// left is used up.
type endless struct {
	*fakeSubscriber
	batch   []driver.Message
	numbers [][]byte // where they are in the payloads
	round   uint64
	left    int
	empty   chan struct{}
}

func (s *endless) Receive(ctx context.Context, dst []driver.Message) (int, error) {
	if s.left == 0 {
		select {
		case s.empty <- struct{}{}:
		default:
		}
		return s.fakeSubscriber.Receive(ctx, dst)
	}
	s.renumber()
	n := copy(dst, s.batch[:min(len(s.batch), s.left)])
	s.left -= n
	return n, nil
}

// endlessTopics is how many topics are in the batch, in turn.
const endlessTopics = 16

// renumber gives the batch the next numbers.
func (s *endless) renumber() {
	for i := range s.batch {
		binary.BigEndian.PutUint64(s.numbers[i], s.round*(maxBatch/endlessTopics)+uint64(i/endlessTopics)+1)
	}
	s.round++
}

func newEndless(total int) *endless {
	s := &endless{fakeSubscriber: newFakeSubscriber(), left: total, empty: make(chan struct{}, 1)}
	source := &driver.Source{Publisher: "p1", Address: "fake://p1"}
	for i := range maxBatch {
		e := portEvent()
		e.Epoch, e.Seq = 1<<60, 1
		m := message(fmt.Sprintf("%s%03d", e.Topic[:29], i%endlessTopics), e)
		m.Source = source
		s.batch = append(s.batch, m)
		at := bytes.LastIndex(m.Payload, []byte("\xa3seq\xcf")) + 5
		s.numbers = append(s.numbers, m.Payload[at:at+8])
	}
	return s
}

func (s *endless) hold(o *SubscriberOptions) {
	for i := range endlessTopics {
		o.Topics = append(o.Topics, string(s.batch[i].Topic))
	}
	for i := range 1000 {
		o.Topics = append(o.Topics, fmt.Sprint("another ", i))
	}
}

func TestSubscriberAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	half := newEndless(0)
	handled := 0
	s := openFakeSubscriber(t, half, func(context.Context, Event) error { handled++; return nil }, half.hold)
	<-half.empty
	ctx := t.Context()
	if n := testing.AllocsPerRun(10, func() {
		half.renumber()
		for i := range half.batch {
			s.take(ctx, &half.batch[i])
		}
	}); n > maxBatch {
		t.Errorf("%v allocations for %d events, want one for each", n, maxBatch)
	}
	if handled == 0 {
		t.Error("nothing was handled")
	}
}

func BenchmarkSubscriber(b *testing.B) {
	half := newEndless(b.N)
	b.SetBytes(int64(len(half.batch[0].Payload)))
	b.ReportAllocs()
	handled := 0
	openFakeSubscriber(b, half, func(context.Context, Event) error { handled++; return nil }, half.hold)
	<-half.empty
	if handled != b.N {
		b.Fatalf("%d events of %d", handled, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
