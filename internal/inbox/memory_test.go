package inbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

// raceEnabled is set where the race detector, which allocates, is on.
var raceEnabled bool

// What was received longer ago than a burst is not kept.
func TestMemoryOfBurst(t *testing.T) {
	b := New(1 << 30)
	for i := range 100000 {
		b.Add(text("T", strings.Repeat("x", i%100)))
	}
	for i := range 2000 {
		b.Tell(driver.Gap, fmt.Sprint(i), nil)
	}
	blocks := func() int {
		n := 0
		for _, list := range []*block{b.queue.first, b.queue.spare} {
			for ; list != nil; list = list.next {
				n++
			}
		}
		return n
	}
	dst := make([]driver.Message, 1000)
	for b.queue.length > 0 {
		if got, most := blocks(), b.queue.length/blockSize+2+maxSpares; got > most {
			t.Fatalf("%d blocks with %d messages left, more than %d", got, b.queue.length, most)
		}
		if _, err := b.Receive(t.Context(), dst); err != nil {
			t.Fatal(err)
		}
	}
	if got := blocks(); got > 1+maxSpares {
		t.Errorf("%d blocks are kept", got)
	}
	if b.notices.last != nil || b.notices.count != 0 || retained(b) != 0 {
		t.Errorf("left: %d notices, %d topics of them, %d bytes", b.notices.count, len(b.notices.last), retained(b))
	}
	for _, list := range []*block{b.queue.first, b.queue.spare} {
		for ; list != nil; list = list.next {
			for i := range list.msgs {
				if list.msgs[i].Topic != nil {
					t.Fatalf("a message that was handed out is kept")
				}
			}
		}
	}
}

// Once it has been used, a message costs no allocation, whether somebody had to
// wait for room or not.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := text("T", "hello")
	dst := make([]driver.Message, 512)
	for _, c := range []struct {
		name  string
		limit int64
		count int
	}{
		{"some", 1 << 20, 10},
		{"several blocks", 1 << 20, 5 * blockSize},
		{"full", 10 * cost(&m), 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New(c.limit)
			more := make(chan struct{})
			defer close(more)
			go func() {
				for range more {
					for range c.count {
						if _, err := b.Put(t.Context(), m); err != nil {
							return
						}
					}
				}
			}()
			got := testing.AllocsPerRun(100, func() {
				more <- struct{}{}
				for taken := 0; taken < c.count; {
					n, err := b.Receive(t.Context(), dst)
					if err != nil {
						t.Fatal(err)
					}
					taken += n
				}
			})
			if got > 0 {
				t.Errorf("%v allocations for %d messages", got, c.count)
			}
		})
	}
}

// BenchmarkInbox puts and takes messages: by one goroutine, so many at a time,
// and by two, of which one waits for the other.
func BenchmarkInbox(b *testing.B) {
	m := text("topic", strings.Repeat("p", 200))
	dst := make([]driver.Message, 512)
	for _, batch := range []int{1, 64, 512} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			in := New(1 << 20)
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch {
				for range batch {
					in.Put(b.Context(), m)
				}
				if n, _ := in.Receive(b.Context(), dst); n != batch {
					b.Fatalf("%d messages, want %d", n, batch)
				}
			}
		})
	}
	b.Run("notices", func(b *testing.B) { // some wait: each message is compared with them
		in := New(1 << 20)
		b.ReportAllocs()
		for i := 0; i < b.N; i += 64 {
			in.Tell(driver.Gap, "another", nil)
			for range 63 {
				in.Put(b.Context(), m)
			}
			if n, _ := in.Receive(b.Context(), dst); n != 64 {
				b.Fatalf("%d messages, want 64", n)
			}
		}
	})
	b.Run("waiting", func(b *testing.B) {
		in := New(1 << 16)
		b.ReportAllocs()
		go func() {
			for range b.N {
				in.Put(b.Context(), m)
			}
		}()
		for got := 0; got < b.N; {
			n, _ := in.Receive(b.Context(), dst)
			got += n
		}
	})
}
