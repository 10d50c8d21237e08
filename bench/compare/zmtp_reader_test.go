package main

import (
	"errors"
	"testing"
)

// events is the wire of a worker's events with these sequence numbers.
func events(worker int, seqs ...uint64) []byte {
	var out []byte
	for _, n := range seqs {
		b := newBody(worker)
		putDigits(b[seqAt:], n)
		out = append(out, wire(b)...)
	}
	return out
}

func TestParseFindsGapsAndRepetitions(t *testing.T) {
	cases := []struct {
		name string
		data []byte
		want tally
	}{
		{"contiguous", events(0, 1, 2, 3), tally{Count: 3}},
		{"begins anywhere", events(0, 17, 18), tally{Count: 2}},
		{"gap", events(0, 1, 2, 6), tally{Count: 3, Lost: 3}},
		{"twice", events(0, 1, 2, 2, 3), tally{Count: 3, Disorder: 1}},
		{"late", events(0, 1, 3, 2, 4), tally{Count: 3, Lost: 1, Disorder: 1}},
		{"workers apart", append(events(0, 1, 2), events(1, 1, 2)...), tally{Count: 4}},
		{"gap of one worker", append(events(0, 1, 2), events(1, 1, 3)...), tally{Count: 4, Lost: 1}},
		{"command between", append(append(events(0, 1), "\x04\x05\x04PING"...), events(0, 2)...), tally{Count: 2}},
		{"sync between", append(append(events(0, 1), wire([]byte("\x81\xa6action\xa4sync"))...), events(0, 2)...), tally{Count: 2, Other: 1}},
	}
	for _, c := range cases {
		// However the bytes are cut into reads, the result is the same.
		for _, chunk := range []int{1, 2, 3, 7, 204, 205, 206, len(c.data)} {
			var s stream
			var l ledger
			var rest []byte
			for at := 0; at < len(c.data); at += chunk {
				data := append(rest, c.data[at:min(at+chunk, len(c.data))]...)
				var err error
				if rest, err = s.parse(data, &l); err != nil {
					t.Fatalf("%s in chunks of %d: %v", c.name, chunk, err)
				}
			}
			if l.tally != c.want || len(rest) != 0 {
				t.Errorf("%s in chunks of %d: got %+v and %d bytes left, want %+v", c.name, chunk, l.tally, len(rest), c.want)
			}
		}
	}
}

func TestParseReadsLongFrames(t *testing.T) {
	body := newBody(0)
	countUp(body[seqAt : seqAt+digits])
	data := append([]byte("\x01\x01D\x02\x00\x00\x00\x00\x00\x00\x00\xc8"), body...)
	var s stream
	var l ledger
	if rest, err := s.parse(data, &l); err != nil || len(rest) != 0 || l.tally.Count != 1 {
		t.Errorf("got %+v, %d bytes left, %v, want one event", l.tally, len(rest), err)
	}
}

func TestParseRefuses(t *testing.T) {
	cases := []struct {
		name, data string
		want       error
	}{
		{"body without topic", "\x00\x01x", errFrameOrder},
		{"three frames", "\x01\x01D\x01\x01x", errFrameOrder},
		{"huge frame", "\x03\xff\xff\xff\xff\xff\xff\xff\xff", errFrameSize},
		{"other topic", "\x01\x01E", nil},
	}
	for _, c := range cases {
		var s stream
		_, err := s.parse([]byte(c.data), &ledger{})
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", c.name, err, c.want)
		}
	}
}

func TestParseRecordsLatencyOnlyInsideTheWindow(t *testing.T) {
	b := newBody(0)
	countUp(b[seqAt : seqAt+digits])
	putDigits(b[timeAt:], 5)
	var s stream
	l := ledger{now: 7000}
	for _, record := range []bool{false, true} {
		l.record = record
		if _, err := s.parse(wire(b), &l); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.latency) != 1 || l.latency[0] != 2000 {
		t.Errorf("latencies %v, want [2000]", l.latency)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(events(0, 1, 2), 3)
	f.Add([]byte("\x04\x05\x04PING\x01\x01D\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, data []byte, chunk int) {
		var whole, cut stream
		var a, b ledger
		_, errA := whole.parse(data, &a)
		chunk = max(1, chunk&0xff)
		var rest []byte
		var errB error
		for at := 0; at < len(data) && errB == nil; at += chunk {
			rest, errB = cut.parse(append(rest, data[at:min(at+chunk, len(data))]...), &b)
		}
		if (errA == nil) != (errB == nil) || a.tally != b.tally {
			t.Errorf("whole: %+v, %v; in chunks of %d: %+v, %v", a.tally, errA, chunk, b.tally, errB)
		}
	})
}
