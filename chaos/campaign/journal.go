//go:build linux

package campaign

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/wyvern-pubsub/wyvern/chaos/actor"
	"github.com/wyvern-pubsub/wyvern/chaos/validator"
)

// keptRounds is how many rounds' logs are kept while all is well.
const keptRounds = 2

// recordsFile is where a round's records are.
const recordsFile = "records.jsonl"

var lastID atomic.Uint64

func newID() string { return fmt.Sprint(lastID.Add(1)) }

// journal takes what all processes write, puts it into the directory of the
// round, and keeps the records for the validator.
type journal struct {
	dir string

	mu      sync.Mutex
	round   string   // its directory
	rounds  []string // those that may be deleted, the present one last
	records *bufio.Writer
	file    *os.File
	texts   map[string]*os.File
	pending []validator.Record
	resyncs map[toldTo]int
	err     error // the first of writing
}

// toldTo names the resyncs of a session.
type toldTo struct{ session, publisher, reason string }

func newJournal(dir string) *journal {
	return &journal{dir: dir, texts: make(map[string]*os.File), resyncs: make(map[toldTo]int)}
}

// begin begins a round with what the validator knew before.
func (j *journal) begin(round int, known []validator.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endLocked()
	dir := filepath.Join(j.dir, fmt.Sprintf("round-%04d", round))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, recordsFile))
	if err != nil {
		return err
	}
	j.round, j.file, j.records = dir, f, bufio.NewWriterSize(f, 1<<20)
	j.rounds = append(j.rounds, dir)
	for len(j.rounds) > keptRounds {
		if err := os.RemoveAll(j.rounds[0]); err != nil {
			return err
		}
		j.rounds = j.rounds[1:]
	}
	for _, r := range append(known, j.pending...) {
		j.writeLocked(&r)
	}
	return nil
}

// keep keeps the logs of the present round, whatever comes.
func (j *journal) keep() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.rounds); n > 0 && j.rounds[n-1] == j.round {
		j.rounds = j.rounds[:n-1]
	}
}

// end closes the round's files.
func (j *journal) end() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endLocked()
	return j.err
}

func (j *journal) endLocked() {
	if j.file != nil {
		j.noteLocked(j.records.Flush())
		j.noteLocked(j.file.Close())
		j.file, j.records = nil, nil
	}
	for name, f := range j.texts {
		j.noteLocked(f.Close())
		delete(j.texts, name)
	}
}

func (j *journal) noteLocked(err error) {
	if j.err == nil && err != nil {
		j.err = fmt.Errorf("write log: %w", err)
	}
}

func (j *journal) writeLocked(r *validator.Record) {
	if j.records == nil {
		return
	}
	_, err := j.records.Write(r.Append(nil))
	j.noteLocked(err)
}

// add takes a record.
func (j *journal) add(r validator.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending = append(j.pending, r)
	j.writeLocked(&r)
	if r.Kind == validator.KindResync {
		j.resyncs[toldTo{r.Session, r.Publisher, r.Reason}]++
	}
}

// told returns how often a session was told to resync for a reason.
func (j *journal) told(who toldTo) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.resyncs[who]
}

// take returns the records since the last time.
func (j *journal) take() []validator.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	rs := j.pending
	j.pending = nil
	return rs
}

// text takes a line of standard error.
func (j *journal) text(name, line string) {
	at := actor.Now().Seconds()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.round == "" {
		return
	}
	f := j.texts[name]
	if f == nil {
		var err error
		f, err = os.OpenFile(filepath.Join(j.round, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			j.noteLocked(err)
			return
		}
		j.texts[name] = f
	}
	_, err := fmt.Fprintf(f, "%.6f %s\n", at, line)
	j.noteLocked(err)
}
