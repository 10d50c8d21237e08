package fanlog

import (
	"slices"
	"sort"
	"strings"
)

// order is the known topics by name, for prefixes, which only foreign peers
// have: it begins when the first is asked for. New topics wait in a tail until
// it is asked for again; topics that are not known any more stay until they are
// half of it.
type order struct {
	topics []mention
	sorted int // how many; the rest is the tail
	used   bool
}

// mention is a topic that became known. It may not be known any more, and may
// be so again by another mention.
type mention struct {
	topic *topic
	met   uint64
}

// slack is how many topics may be out of date in any case.
const slack = 1024

// add takes in a topic that became known.
func (o *order) add(m mention, x *index) {
	if !o.used {
		return
	}
	if len(o.topics) > 2*x.known+slack {
		o.clean(x)
	}
	o.topics = append(o.topics, m)
}

// clean drops what is not known any more.
func (o *order) clean(x *index) {
	kept, sorted := o.topics[:0], 0
	for i, m := range o.topics {
		if !x.knows(m) {
			continue
		}
		kept = append(kept, m)
		if i < o.sorted {
			sorted++
		}
	}
	clear(o.topics[len(kept):])
	o.topics, o.sorted = kept, sorted
}

// matching returns the topics that begin with text, and some that are not known
// any more. It is valid until the next topic becomes known.
func (x *index) matching(text string) []mention {
	o := &x.order
	if !o.used {
		o.used = true
		for i := range x.slots {
			if r := &x.slots[i]; r.topic != nil {
				o.topics = append(o.topics, mention{r.topic, r.met})
			}
		}
	}
	o.sort()
	i := o.search(len(o.topics), text)
	n := sort.Search(len(o.topics)-i, func(n int) bool { return !strings.HasPrefix(o.topics[i+n].topic.name, text) })
	return o.topics[i : i+n]
}

// search returns how many of the first n topics, which are sorted, come before
// name.
func (o *order) search(n int, name string) int {
	return sort.Search(n, func(i int) bool { return o.topics[i].topic.name >= name })
}

// sort moves the tail to where it belongs, from its last on. What lies between
// is moved in one piece.
func (o *order) sort() {
	if o.sorted == len(o.topics) {
		return
	}
	tail := slices.Clone(o.topics[o.sorted:])
	slices.SortFunc(tail, func(a, b mention) int { return strings.Compare(a.topic.name, b.topic.name) })
	from, to := o.sorted, len(o.topics)
	for i := len(tail) - 1; i >= 0; i-- {
		at := o.search(from, tail[i].topic.name)
		to -= copy(o.topics[to-(from-at):to], o.topics[at:from])
		from = at
		to--
		o.topics[to] = tail[i]
	}
	o.sorted = len(o.topics)
}
