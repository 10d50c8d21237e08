package etcd

import (
	"github.com/wyvern-pubsub/wyvern/driver"
)

const (
	// maxOps is how many keys a transaction may write: etcd's default.
	maxOps = 128
	// maxRequest is when a transaction is large enough, in bytes; one message
	// may go past it. It is well below etcd's default for a request, 1.5 MiB.
	maxRequest = 1 << 20
	// requestOverhead is what a message adds to a request besides its bytes, at
	// most.
	requestOverhead = 32
)

// chunk is the messages of one transaction, by their indices: each has another
// topic, because a transaction can write a key only once.
type chunk struct {
	of   []int
	size int
}

// planner cuts batches into transactions. It belongs to one goroutine.
type planner struct {
	ops    int            // of a transaction
	counts map[string]int // how often a topic has occurred
	layers [][]chunk
}

// plan returns layers of chunks. The n-th message of a topic is in the n-th
// layer: so the chunks of a layer may be sent at once, and the layers one after
// the other, with every topic in order and as few layers as can be.
func (p *planner) plan(msgs []driver.Message) [][]chunk {
	if p.counts == nil {
		p.counts = make(map[string]int)
	}
	clear(p.counts)
	p.layers = p.layers[:0]
	for i := range msgs {
		m := &msgs[i]
		layer := p.counts[string(m.Topic)]
		p.counts[string(m.Topic)] = layer + 1
		if layer == len(p.layers) {
			p.layers = append(p.layers, []chunk{{}})
		}
		chunks := p.layers[layer]
		last := &chunks[len(chunks)-1]
		size := len(m.Topic) + len(m.Payload) + requestOverhead
		if len(last.of) > 0 && (len(last.of) >= p.ops || last.size+size > maxRequest) {
			p.layers[layer] = append(chunks, chunk{})
			last = &p.layers[layer][len(chunks)]
		}
		last.of = append(last.of, i)
		last.size += size
	}
	return p.layers
}
