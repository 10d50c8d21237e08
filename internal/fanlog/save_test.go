package fanlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"
)

// saved returns what Save writes.
func saved(t testing.TB, f *Fanout) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A log goes from one Fanout to the next; a session goes on where its mark was
// and gets what it missed, once, in order, and what is appended then.
func TestResumeOnRestoredLog(t *testing.T) {
	const before, missed, later = 3000, 2500, 100
	topic := func(i int) string { return fmt.Sprint("t", i%7) }
	f := open(t, Options{Loops: 2})
	want := map[string][]int{"t3": nil, "": nil, "t": nil} // by subscription
	p := connect(t, f, 0)
	p.subscribe('p', "")
	n := 0
	add := func(f *Fanout, count int) {
		for range count {
			n++
			mustAppend(t, f, event(n, topic(n), n%1000))
		}
	}
	add(f, before)
	for range before {
		p.next()
	}
	p.ask('m', "")
	kind, body, err := p.frame()
	if err != nil || kind != kindMark || binary.BigEndian.Uint64(body) != before {
		t.Fatalf("got %q %x %v, want mark %d", kind, body, err, before)
	}
	add(f, missed)
	f.Close() // before or after: it makes no difference
	file := saved(t, f)

	r := bytes.NewReader(append(slices.Clip(file), "more"...))
	f = open(t, Options{Loops: 3, Restore: iotest.OneByteReader(r)})
	if r.Len() != len("more") {
		t.Errorf("%d bytes are left to read, want what follows the log", r.Len())
	}
	if got := f.Head(); got != before+missed {
		t.Errorf("head %d, want %d", got, before+missed)
	}
	peers := make(map[string]*peer)
	for sub := range want {
		op := byte('p')
		if sub == "t3" {
			op = 's'
		}
		p := connect(t, f, 0)
		p.subscribe(op, sub)
		p.ask('r', fmt.Sprint(before))
		if kind, body, err := p.frame(); err != nil || kind != kindFrom || body[0] != 1 {
			t.Fatalf("got %q %x %v, want to resume", kind, body, err)
		}
		if kind, _, err := p.frame(); err != nil || kind != kindAck {
			t.Fatalf("got %q %v, want an acknowledgement", kind, err)
		}
		peers[sub] = p
	}
	fresh := connect(t, f, 0)
	fresh.subscribe('p', "")
	add(f, later)
	for sub, p := range peers {
		for i := before + 1; i <= n; i++ {
			if sub == "t3" && topic(i) != sub {
				continue
			}
			if got, _ := p.next(); got != i {
				t.Fatalf("%q: event %d, want %d", sub, got, i)
			}
		}
	}
	// Who doesn't resume gets nothing that was restored.
	if got, _ := fresh.next(); got != before+missed+1 {
		t.Errorf("event %d, want %d", got, before+missed+1)
	}
}

// What is restored is the same log, and what the budget doesn't allow is the
// oldest.
func TestRestoreIsTheSame(t *testing.T) {
	f := open(t, Options{Retention: 16 << 20, Loops: 1})
	if got := saved(t, open(t, Options{Restore: bytes.NewReader(saved(t, f))})); !bytes.Equal(got, saved(t, f)) {
		t.Error("an empty log is not the same")
	}
	n := 0
	for f.log.segs[0].seq < 3 {
		n++
		mustAppend(t, f, event(n, fmt.Sprint("t", n%100), []int{10, 1000, 100 << 10, 1100 << 10}[n%40/13]))
	}
	file := saved(t, f)
	g := open(t, Options{Retention: 16 << 20, Loops: 1, Restore: bytes.NewReader(file)})
	if got := saved(t, g); !bytes.Equal(got, file) {
		t.Errorf("saved again: %d bytes, want the same %d", len(got), len(file))
	}
	mustAppend(t, g, event(n+1, "x", 100))
	if got := g.Head(); got != uint64(n+1) {
		t.Errorf("head %d, want %d", got, n+1)
	}

	g = open(t, Options{Retention: 1, Loops: 1, Restore: bytes.NewReader(file)})
	if got := g.Stats().Retained; got > 4*segmentSize+segmentSize/2 {
		t.Errorf("%d bytes retained", got)
	}
	first := g.log.segs[0].base
	if first <= f.log.segs[0].base || g.Head() != uint64(n) {
		t.Errorf("offsets %d to %d, want some to %d", first, g.Head(), n)
	}
	p := connect(t, g, 0)
	p.ask('p', "")
	p.ask('r', fmt.Sprint(first-1))
	p.ask('r', fmt.Sprint(first))
	for _, want := range []byte{kindAck, kindFrom, kindAck, kindFrom, kindAck} {
		if kind, _, err := p.frame(); err != nil || kind != want {
			t.Fatalf("got %q %v, want %q", kind, err, want)
		}
	}
	for i := int(first) + 1; i <= n; i++ {
		if got, _ := p.next(); got != i {
			t.Fatalf("event %d, want %d", got, i)
		}
	}
}

// small returns a saved log of a few events that begins at an offset.
func small(t testing.TB, base uint64) []byte {
	t.Helper()
	l := newLog(4*segmentSize, 1)
	l.segs[0].base = base
	for i := range 10 {
		e := event(i, fmt.Sprint("t", i%3), 20)
		l.appendLocked(&e)
	}
	return saved(t, &Fanout{log: l})
}

// What is cut off or changed anywhere is refused, and nothing starts.
func TestRestoreRefusesDamage(t *testing.T) {
	file := small(t, 7)
	restore := func(p []byte) error { return newLog(4*segmentSize, 1).restore(bytes.NewReader(p)) }
	if err := restore(file); err != nil {
		t.Fatal(err)
	}
	for i := range file {
		if err := restore(file[:i]); !errors.Is(err, ErrSaved) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
		p := bytes.Clone(file)
		p[i] ^= 1 << (i % 8)
		if err := restore(p); !errors.Is(err, ErrSaved) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	if _, err := New(Options{Restore: bytes.NewReader(file[:40])}); !errors.Is(err, ErrSaved) {
		t.Errorf("New: %v, want %v", err, ErrSaved)
	}
	broken := errors.New("broken disk")
	if _, err := New(Options{Restore: iotest.ErrReader(broken)}); !errors.Is(err, broken) || errors.Is(err, ErrSaved) {
		t.Errorf("New: %v, want %v", err, broken)
	}
	if err := (&Fanout{log: newLog(1, 1)}).Save(limited(10)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Save: %v, want %v", err, io.ErrShortWrite)
	}
}

// limited takes so many bytes.
type limited int

func (n limited) Write(p []byte) (int, error) {
	if len(p) > int(n) {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// block returns a sealed block.
func block(kind byte, offset uint64, rest ...byte) []byte {
	b := append(make([]byte, saveHead), kind)
	b = append(binary.BigEndian.AppendUint64(b, offset), rest...)
	seal(b)
	return b
}

// Whole blocks with lies in them.
func TestRestoreRefusesLies(t *testing.T) {
	event := []byte{0, 1, 'x', 2, 'h', 'i'}
	long := binary.AppendUvarint([]byte{0, 1, 'x'}, saveBlock)
	long = append(long, make([]byte, saveBlock)...)
	for name, blocks := range map[string][][]byte{
		"a gap":                    {block('E', 0, event...), block('E', 2, event...), block('Z', 3)},
		"twice":                    {block('E', 0, event...), block('E', 0, event...), block('Z', 2)},
		"events missing at end":    {block('E', 0, event...), block('Z', 2)},
		"unknown kind":             {block('Q', 0)},
		"an end with more":         {block('Z', 0, 1)},
		"offset near the maximum":  {block('E', math.MaxUint64, event...), block('Z', 0)},
		"unknown topic":            {block('E', 0, 1, 0), block('Z', 1)},
		"topic longer than block":  {block('E', 0, 0, 9, 'x'), block('Z', 1)},
		"event longer than block":  {block('E', 0, 0, 1, 'x', 200, 1), block('Z', 1)},
		"endless number":           {block('E', 0, bytes.Repeat([]byte{255}, 12)...), block('Z', 1)},
		"several in a long block":  {block('E', 0, append(long, 1, 0)...), block('Z', 2)},
		"a claim that isn't kept":  {{0x3f, 255, 255, 255, 0, 0, 0, 0, 'E'}},
		"a claim beyond all bound": {{255, 255, 255, 255, 0, 0, 0, 0, 'E'}},
	} {
		file := append([]byte(saveMagic), bytes.Join(blocks, nil)...)
		if err := newLog(4*segmentSize, 1).restore(bytes.NewReader(file)); !errors.Is(err, ErrSaved) {
			t.Errorf("%s: %v, want %v", name, err, ErrSaved)
		}
	}
	file := append([]byte(saveMagic), bytes.Join([][]byte{block('E', 0, long...), block('E', 1), block('Z', 1)}, nil)...)
	if err := newLog(4*segmentSize, 1).restore(bytes.NewReader(file)); err != nil {
		t.Errorf("a long block of one event, and an empty one: %v", err)
	}
}

// The log is saved in bounded memory, and restored in its own.
func TestSaveMemory(t *testing.T) {
	f := open(t, Options{Retention: 32 << 20, Loops: 1})
	flood(t, f, 40)
	before := memory()
	var b bytes.Buffer
	b.Grow(34 << 20)
	buffer := memory() - before
	peak := int64(0)
	if err := f.Save(io.MultiWriter(&b, writerFunc(func(p []byte) { peak = max(peak, int64(len(p))) }))); err != nil {
		t.Fatal(err)
	}
	if peak > saveBlock+1<<10 || memory()-before > buffer+2<<20 {
		t.Errorf("writes of %d bytes, %d KB more heap", peak, (memory()-before-buffer)>>10)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// FuzzRestore takes anything, as it is and with its checksums put right. What
// is accepted is a log whose save is accepted as the same.
func FuzzRestore(f *testing.F) {
	f.Add(small(f, 0))
	f.Add(small(f, 1<<40))
	f.Add(append([]byte(saveMagic), bytes.Join([][]byte{block('E', 5, 0, 0, 0), block('E', 6, 0, 1, 'x', 2, 1, 2, 1, 0), block('Z', 8)}, nil)...))
	f.Add([]byte(saveMagic))
	f.Fuzz(func(t *testing.T, p []byte) {
		tryRestore(t, p)
		p = bytes.Clone(p)
		for at := len(saveMagic); len(p)-at >= saveHead; {
			n := int64(binary.BigEndian.Uint32(p[at:]))
			if n > int64(len(p)-at-saveHead) {
				break
			}
			end := at + saveHead + int(n)
			seal(p[at:end])
			at = end
		}
		tryRestore(t, p)
	})
}

func tryRestore(t *testing.T, p []byte) {
	l := newLog(4*segmentSize, 1)
	if err := l.restore(bytes.NewReader(p)); err != nil {
		if !errors.Is(err, ErrSaved) {
			t.Fatal(err)
		}
		return
	}
	file := saved(t, &Fanout{log: l})
	m := newLog(4*segmentSize, 1)
	if err := m.restore(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved(t, &Fanout{log: m}), file) || m.headLocked() != l.headLocked() {
		t.Fatal("saved again it is another")
	}
}
