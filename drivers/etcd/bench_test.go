package etcd_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/wyvern-pubsub/wyvern/driver"
	"github.com/wyvern-pubsub/wyvern/drivers/etcd"
	"github.com/wyvern-pubsub/wyvern/internal/testserver/etcdserver"
)

// BenchmarkPublishTopics publishes batches of 512 events of 200 bytes on so many
// topics.
func BenchmarkPublishTopics(b *testing.B) {
	s := etcdserver.Start(b, etcdserver.Options{Process: true})
	for _, topics := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(topics), func(b *testing.B) {
			pub, err := etcd.Driver{}.OpenPublisher(b.Context(), site(s.Endpoint()))
			if err != nil {
				b.Fatal(err)
			}
			defer pub.Close()
			msgs, payload := make([]driver.Message, 512), make([]byte, 200)
			sent := 0
			for b.Loop() {
				for i := range msgs {
					msgs[i] = driver.Message{Topic: fmt.Append(nil, sent%topics), Payload: payload}
					sent++
				}
				if _, err := pub.Publish(b.Context(), msgs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkHold measures what it costs a process to hold 5,000 topics: by this
// driver, and by a watch of etcd's client for each.
func BenchmarkHold(b *testing.B) {
	const count = 5000
	s := etcdserver.Start(b, etcdserver.Options{Process: true})
	var topics []string
	for i := range count {
		topics = append(topics, fmt.Sprintf("topic-%d", i))
	}
	measure := func(b *testing.B, hold func(b *testing.B) (release func())) {
		for b.Loop() {
			before, goroutines := heap(), runtime.NumGoroutine()
			began := time.Now()
			release := hold(b)
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms")
			b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
			b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
			release()
		}
	}
	b.Run("driver", func(b *testing.B) {
		measure(b, func(b *testing.B) func() {
			sub, err := etcd.Driver{}.OpenSubscriber(b.Context(), site(s.Endpoint()))
			if err != nil {
				b.Fatal(err)
			}
			if err := sub.Subscribe(b.Context(), topics...); err != nil {
				b.Fatal(err)
			}
			for !etcd.Watching(sub) {
				time.Sleep(time.Millisecond)
			}
			return func() { sub.Close() }
		})
	})
	b.Run("client", func(b *testing.B) {
		measure(b, func(b *testing.B) func() {
			c := s.Client(nil)
			ctx, cancel := context.WithCancel(b.Context())
			for _, topic := range topics {
				ch := c.Watch(ctx, "/pubsub/"+topic, clientv3.WithCreatedNotify())
				<-ch
				go func() {
					for range ch {
					}
				}()
			}
			return func() { cancel(); c.Close() }
		})
	})
}

// heap returns the bytes in use, stacks included.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
