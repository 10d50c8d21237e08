package etcd

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func planned(ops int, topics ...string) [][]chunk {
	msgs := make([]driver.Message, len(topics))
	for i, topic := range topics {
		msgs[i].Topic = []byte(topic)
	}
	p := planner{ops: ops}
	return p.plan(msgs)
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		ops          int
		topics, want string
	}{
		{128, "a", "[0]"},
		{128, "a b c", "[0 1 2]"},
		{128, "a a a", "[0] / [1] / [2]"},
		{128, "a b a c b a", "[0 1 3] / [2 4] / [5]"},
		{2, "a b c a d e", "[0 1] [2 4] [5] / [3]"},
	} {
		var layers []string
		for _, layer := range planned(c.ops, strings.Fields(c.topics)...) {
			var chunks []string
			for _, chunk := range layer {
				chunks = append(chunks, fmt.Sprint(chunk.of))
			}
			layers = append(layers, strings.Join(chunks, " "))
		}
		if got := strings.Join(layers, " / "); got != c.want {
			t.Errorf("%s, %d at once: got %s, want %s", c.topics, c.ops, got, c.want)
		}
	}
}

// Whatever the batch, each message is in it once, no transaction has a topic
// twice, and the layers have each topic in order.
func TestPlanKeepsOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		topics := make([]string, random.IntN(200))
		for i := range topics {
			topics[i] = fmt.Sprint(random.IntN(1 + random.IntN(50)))
		}
		last, seen := map[string]int{}, 0
		for _, layer := range planned(1+random.IntN(10), topics...) {
			inLayer := map[string]bool{}
			for _, chunk := range layer {
				for _, i := range chunk.of {
					seen++
					topic := topics[i]
					if before, some := last[topic]; some && before >= i || inLayer[topic] {
						t.Fatalf("%v: message %d is out of order", topics, i)
					}
					last[topic], inLayer[topic] = i, true
				}
			}
		}
		if seen != len(topics) {
			t.Fatalf("%v: %d messages are in the plan", topics, seen)
		}
	}
}
