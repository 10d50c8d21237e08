package drivertest

import (
	"fmt"
	"hash/crc32"
	"maps"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// judge gathers what workers and nodes did, for the validator.
type judge struct {
	began time.Time

	mu         sync.Mutex
	checker    *validator.Checker
	publishers map[uint64]string // by epoch
	// unnamed: the driver does not say who publishes, and a node may hear an event
	// of an epoch before it knows whose that is. Each is a publisher of its own.
	unnamed    bool
	sent       map[sent]time.Duration      // when each event was published
	saw        map[[2]string]time.Duration // by node and worker: the latest event's time of publishing
	identified map[[2]string]bool          // by node and worker: events said who sent them
	told       map[string]int
	unsure     int
}

// sent names an event.
type sent struct {
	worker, topic string
	n             uint64
}

func newJudge(within time.Duration, unnamed bool) *judge {
	return &judge{
		began:      time.Now(),
		checker:    validator.New(validator.Params{Within: within, All: wyvern.TopicAll}),
		publishers: make(map[uint64]string), unnamed: unnamed,
		sent:       make(map[sent]time.Duration),
		saw:        make(map[[2]string]time.Duration),
		identified: make(map[[2]string]bool),
		told:       make(map[string]int),
	}
}

func (j *judge) now() time.Duration { return time.Since(j.began) }

func (j *judge) add(r validator.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.checker.Add(r)
}

// incarnation notes whose an epoch is: drivers may not say it with each event.
func (j *judge) incarnation(epoch uint64, id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.unnamed {
		id = fmt.Sprintf("%s/%x", id, epoch)
	}
	j.publishers[epoch] = id
}

// publishing notes that an event is about to be published.
func (j *judge) publishing(of sent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent[of] = j.now()
}

// accepted notes that it was, or perhaps was: who holds its topic gets it or is
// told.
func (j *judge) accepted(of sent, epoch uint64, value string, unsure bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if unsure {
		j.unsure++
	}
	j.checker.Add(validator.Record{
		Kind: validator.KindAccept, At: int64(j.sent[of]), End: int64(j.now()), Publisher: j.publishers[epoch],
		Worker: of.worker, Topic: of.topic, N: of.n, Sum: crc32.ChecksumIEEE([]byte(value)),
	})
}

// event notes that a node's handler got an event.
func (j *judge) event(node string, e *wyvern.Event, of sent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	j.checker.Add(validator.Record{
		Kind: validator.KindEvent, At: int64(now), End: int64(now), Session: node, Topic: e.Topic,
		Publisher: j.publishers[e.Epoch], Epoch: e.Epoch, Seq: e.Seq, Worker: of.worker, N: of.n, Sum: crc32.ChecksumIEEE([]byte(e.Value)),
	})
	by := [2]string{node, of.worker}
	j.saw[by] = max(j.saw[by], j.sent[of])
	j.identified[by] = j.identified[by] || e.Publisher != ""
}

// resync notes that it was told to resync.
func (j *judge) resync(node string, e *wyvern.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	publisher := e.Publisher
	if j.unnamed {
		publisher = "" // whoever is told reads what all of them made
	}
	j.told[string(e.Reason)]++
	j.checker.Add(validator.Record{
		Kind: validator.KindResync, At: int64(now), End: int64(now), Session: node, Topic: e.Topic,
		Publisher: publisher, Reason: string(e.Reason),
	})
}

// sawSince says whether a node has seen an event of a worker that was published
// after t.
func (j *judge) sawSince(node, worker string, t time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.saw[[2]string{node, worker}] > t
}

// named says whether events of a worker told a node who sent them.
func (j *judge) named(node, worker string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.identified[[2]string{node, worker}]
}

// resyncs returns how often handlers were told to resync so far, by reason.
func (j *judge) resyncs() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.told)
}

// settle judges when nothing is published any more: as soon as everything was
// seen or told, or when that is overdue.
func (j *judge) settle(within time.Duration) *validator.Result {
	j.mu.Lock()
	defer j.mu.Unlock()
	deadline := time.Now().Add(within + time.Second)
	result := j.checker.Check(j.now())
	for result.Unsettled > 0 && time.Now().Before(deadline) {
		j.mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		j.mu.Lock()
		result.Merge(j.checker.Check(j.now()))
	}
	return result
}
