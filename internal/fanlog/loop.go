package fanlog

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wyvern-pubsub/wyvern/internal/eventloop"
)

// writeTurn bounds what one session is written before the next one's turn.
const writeTurn = 4 * wholeWrite

// loop serves its share of the sessions: it reads, takes in what was appended,
// and writes, in rounds, from one goroutine. Everything but the mailbox and
// the atomics belongs to that goroutine.
type loop struct {
	fan    *Fanout
	poller *eventloop.Poller
	window *window
	index  *index

	sessions map[int]*Session
	busy     []*Session            // have something to be written
	greedy   map[*Session]struct{} // hold everything
	readable []*Session            // may have input
	turn     []*Session            // readable's other array
	paused   []*Session            // are not read for a while (pause.go)
	leaving  []*Session            // are closed, and still in the index (leave.go)
	now      time.Time
	ticked   time.Time
	round    uint64
	marked   []*held    // topics with news in this round that somebody holds
	unheld   bool       // there are others
	owners   []*held    // the topic of each event of this round; nil for those
	arena    []position // what marked's news lie in
	flushes  []*flush
	closing  bool
	deadline time.Time

	events  []eventloop.Event
	input   [64 << 10]byte
	scratch []byte
	merged  []position
	chunk   chunk

	account account

	sleeping atomic.Bool
	floor    atomic.Uint64 // oldest segment that a session with a claim, or the loop, still reads
	peers    atomic.Int64

	mail struct {
		mu     sync.Mutex
		closed bool
		tasks  []func()
	}
}

func newLoop(f *Fanout) (*loop, error) {
	poller, err := eventloop.New(512)
	if err != nil {
		return nil, err
	}
	return &loop{
		fan:      f,
		poller:   poller,
		window:   openWindow(f.log),
		index:    newIndex(f.log),
		sessions: make(map[int]*Session),
		greedy:   make(map[*Session]struct{}),
		scratch:  make([]byte, 0, gatherSize+directWrite),
	}, nil
}

// post runs a task on the loop, soon. It says no when the loop has ended.
func (l *loop) post(task func()) bool {
	l.mail.mu.Lock()
	closed := l.mail.closed
	if !closed {
		l.mail.tasks = append(l.mail.tasks, task)
	}
	l.mail.mu.Unlock()
	if !closed {
		l.ring()
	}
	return !closed
}

// ring makes the loop look again, if it sleeps.
func (l *loop) ring() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		l.poller.Wake()
	}
}

func (l *loop) takeMail() []func() {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	tasks := l.mail.tasks
	l.mail.tasks = nil
	return tasks
}

// run makes rounds. Their order matters: what peers ask takes effect before the
// look at the log, whose lists know nothing of later requests, and writes use
// those lists.
func (l *loop) run() {
	defer l.finish()
	l.now = time.Now()
	l.ticked = l.now
	for l.takeIn() { // what was restored is nobody's news
	}
	more := false
	for {
		if err := l.wait(more); err != nil {
			l.fan.opts.Log.Error("event loop stops", "err", err)
			return
		}
		for _, task := range l.takeMail() {
			task()
		}
		l.readAll()
		l.dismissSome()
		more = l.takeIn()
		l.writeAll()
		l.tick()
		l.settleAccounts(more)
		if l.closing && (len(l.sessions) == 0 || l.now.After(l.deadline)) {
			return
		}
	}
}

// wait blocks until there is something to do. Whoever makes work after the
// announcement of sleep rings; whoever made it before is found by the look
// that follows the announcement.
func (l *loop) wait(more bool) error {
	timeout := time.Duration(0)
	if !more && !l.writable() && len(l.readable) == 0 && len(l.leaving) == 0 {
		timeout = l.ticked.Add(l.fan.opts.Tick).Sub(l.now)
		if l.account.waiting || l.closing {
			timeout = min(timeout, judgeEvery)
		}
		if len(l.flushes) > 0 {
			timeout = min(timeout, flushEvery)
		}
		timeout = min(timeout, l.untilPauseEnds())
		timeout = max(timeout, time.Millisecond)
		l.sleeping.Store(true)
		if l.window.behind() || l.hasMail() || l.fan.waiting.Load() && !l.account.waiting {
			timeout = 0
		}
	}
	events, err := l.poller.Wait(l.events[:0], timeout)
	l.sleeping.Store(false)
	l.events = events
	l.now = time.Now()
	for _, ev := range events {
		s := l.sessions[ev.FD]
		if s == nil {
			continue
		}
		if ev.Writable {
			s.blocked = false
		}
		if ev.Readable && !s.readable {
			s.readable = true
			l.readable = append(l.readable, s)
		}
	}
	return err
}

func (l *loop) hasMail() bool {
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	return len(l.mail.tasks) > 0
}

func (l *loop) writable() bool {
	for _, s := range l.busy {
		if !s.blocked {
			return true
		}
	}
	return false
}

// attach takes a connection over.
func (l *loop) attach(fd int, h Handler, greeting []byte) {
	s := &Session{loop: l, fd: fd, handler: h, busy: -1, moved: l.now}
	s.marker, _ = h.(Marker)
	if l.closing {
		unix.Close(fd)
		h.Closed(s, ErrClosed)
		return
	}
	if err := l.poller.Add(fd); err != nil {
		unix.Close(fd)
		h.Closed(s, err)
		return
	}
	l.sessions[fd] = s
	l.peers.Add(1)
	if err := s.Send(greeting); err != nil {
		l.close(s, err)
	}
}

// close ends a session. Its descriptor's number may be used again from here on.
func (l *loop) close(s *Session, reason error) {
	if s.closed {
		return
	}
	if s.at.skip == 0 && len(s.out) > 0 && !s.blocked {
		_ = s.writePrivate()
	}
	s.closed = true
	l.makeIdle(s)
	delete(l.sessions, s.fd)
	_ = l.poller.Remove(s.fd)
	s.undelivered = undelivered(s.fd)
	unix.Close(s.fd)
	l.peers.Add(-1)
	s.in, s.out, s.news = nil, nil, nil
	s.handler.Closed(s, reason)
	l.dismiss(s)
}

func (l *loop) makeBusy(s *Session) {
	if s.busy >= 0 || s.closed {
		return
	}
	s.busy = len(l.busy)
	s.moved = l.now
	l.busy = append(l.busy, s)
}

func (l *loop) makeIdle(s *Session) {
	if s.busy < 0 {
		return
	}
	last := len(l.busy) - 1
	l.busy[s.busy] = l.busy[last]
	l.busy[s.busy].busy = s.busy
	l.busy[last] = nil
	l.busy = l.busy[:last]
	s.busy = -1
}

// takeIn looks at what was appended and puts it on the lists of those who hold
// its topics. It says whether there is more.
func (l *loop) takeIn() bool {
	l.round++
	clear(l.marked)
	l.marked = l.marked[:0]
	news, dropped, more := l.window.refresh()
	if len(dropped) > 0 {
		l.drop(dropped)
	}
	l.sortOut(news)
	for _, h := range l.marked {
		for _, g := range h.holders {
			l.mark(g)
		}
	}
	if len(news) > 0 {
		for s := range l.greedy {
			if s.active && s.caught && !s.lost {
				s.caught = false
				s.at = l.window.from
				l.makeBusy(s)
			}
		}
	}
	return more
}

// sortOut gives each topic the list of its news, if somebody holds it. The lists
// lie in one array, which is as large as a round may be: a topic that had a
// burst once keeps nothing of it.
func (l *loop) sortOut(news []newsItem) {
	l.owners, l.unheld = l.owners[:0], false
	var r *indexSlot
	for i := range news {
		n := &news[i]
		if r == nil || r.topic != n.topic {
			r = l.index.resolve(n.topic)
			switch h := r.held; {
			case h == nil:
				l.unheld = true
			case h.round != l.round:
				h.round, h.items = l.round, 0
				l.marked = append(l.marked, h)
			}
		}
		r.seen = n.at.seg
		if r.held != nil {
			r.held.items++
		}
		l.owners = append(l.owners, r.held)
	}
	arena := slices.Grow(l.arena[:0], len(news))[:len(news)]
	l.arena = arena
	for _, h := range l.marked {
		h.news, arena = arena[:0:h.items], arena[h.items:]
	}
	for i, h := range l.owners {
		if h != nil {
			h.news = append(h.news, news[i].at)
		}
	}
	clear(l.owners)
}

// mark puts a topic's news on a holder's list.
func (l *loop) mark(g *holding) {
	s := g.session
	if !s.active || s.lost {
		return
	}
	if s.caught {
		s.caught = false
		s.at = l.window.from
		s.round = l.round
		s.news, s.topics = nil, 0
		l.makeBusy(s)
	}
	if s.round == l.round {
		g.next, s.news = s.news, g
		s.topics++
		s.whole = s.topics == len(l.marked) && !l.unheld
	}
}

// drop handles segments that left the window: who was still reading them lost
// the rest.
func (l *loop) drop(views []view) {
	last := &views[len(views)-1]
	end := position{seg: last.seg.seq, entry: len(last.entries)}
	for i := len(l.busy) - 1; i >= 0; i-- {
		s := l.busy[i]
		if !s.active || s.caught || s.at.seg >= l.window.views[0].seg.seq {
			continue
		}
		if s.at == end && !l.window.missed {
			s.at = l.window.views[0].position()
			continue
		}
		l.lose(s, views)
	}
	for i := range views {
		l.index.forget(views[i].seg)
		l.fan.log.release(views[i].seg)
		views[i] = view{}
	}
	if l.window.missed {
		for _, s := range l.sessions {
			if s.active && s.caught && !s.lost {
				l.lose(s, nil)
			}
		}
	}
}

// lose takes a session that fell out of retention from its place. The event
// that it is taking is completed from a copy of the rest; then it is told, and
// goes on from where the window ends at that time.
func (l *loop) lose(s *Session, views []view) {
	for i := range views {
		if v := &views[i]; v.seg.seq == s.at.seg && !s.detach(v) {
			l.close(s, ErrTorn)
			return
		}
	}
	s.at = position{}
	s.caught, s.lost = true, true
	s.slow, s.since = true, s.sent // until it has caught up by itself
	l.fan.lost.Add(1)
	l.makeBusy(s)
}

func (l *loop) writeAll() {
	for i := len(l.busy) - 1; i >= 0; i-- {
		if i >= len(l.busy) { // sessions were closed meanwhile
			continue
		}
		s := l.busy[i]
		if s.blocked {
			continue
		}
		if err := l.serve(s); err != nil {
			l.close(s, err)
		}
	}
}

// serve writes to one session until it has everything, its socket is full or
// its turn is over.
func (l *loop) serve(s *Session) error {
	if s.ending != nil {
		return s.ending
	}
	for budget := writeTurn; budget > 0; {
		if s.at.skip == 0 && len(s.out) > 0 {
			if err := s.writePrivate(); err != nil {
				return err
			}
			if s.blocked {
				return nil
			}
		}
		if s.lost {
			s.lost = false
			s.handler.Lost(s)
			if s.ending != nil {
				return s.ending
			}
			continue
		}
		if !s.active || s.caught {
			l.makeIdle(s)
			return nil
		}
		if l.window.head.less(s.at) {
			return nil // resumes at what is not scanned yet
		}
		c := l.gather(s)
		n := 0
		if len(c.bytes) > 0 {
			var err error
			if n, err = s.write(c.bytes); err != nil {
				return err
			}
			budget -= n
			l.advance(s, c, n)
		} else {
			s.at = c.end
			budget -= directWrite
		}
		if s.at.skip == 0 && !s.at.less(l.window.head) {
			s.caught = true
			s.slow = s.slow && s.sent-s.since < regain
		}
		if s.marker != nil && s.sent-s.mark >= markEvery {
			if err := s.makeMark(); err != nil {
				return err
			}
		}
		if s.blocked && !s.caught {
			return nil
		}
	}
	return nil
}

// tick gives every handler its turn to look at the clock.
func (l *loop) tick() {
	if l.now.Sub(l.ticked) < l.fan.opts.Tick {
		return
	}
	l.ticked = l.now
	for _, s := range l.sessions {
		if err := s.handler.Tick(s, l.now); err != nil {
			l.close(s, err)
		}
	}
}

// finish closes what is left.
func (l *loop) finish() {
	for _, s := range l.sessions {
		l.close(s, ErrClosed)
	}
	l.closing = true
	l.mail.mu.Lock()
	l.mail.closed = true
	l.mail.mu.Unlock()
	for _, task := range l.takeMail() {
		task()
	}
	l.endFlushes(0, ErrClosed)
	l.floor.Store(math.MaxUint64)
	l.fan.progressed()
	l.window.close()
	l.poller.Close()
}
