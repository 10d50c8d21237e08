package main

import (
	"bytes"
	"fmt"
	"testing"
)

func TestBodyIsTheSizeThatTheFiguresAreAbout(t *testing.T) {
	if got := len(newBody(0)); got != bodySize {
		t.Errorf("body is %d bytes, want %d", got, bodySize)
	}
	if got, want := len(wire(newBody(0))), bodySize+5; got != want {
		t.Errorf("event on the wire is %d bytes, want %d", got, want)
	}
}

func TestBodyIsMsgpackMapOfFiveTexts(t *testing.T) {
	want := []string{"table", "lport", "key", "", "action", "set", "value", "", "topic", "D"}
	for _, body := range [][]byte{newBody(3), stamp(newBody(3), 7)[:bodySize]} {
		at := 1
		for i, w := range want {
			size := int(body[at] & 0x1f)
			if at++; body[at-1] == 0xd9 {
				size = int(body[at])
				at++
			}
			if got := string(body[at : at+size]); w != "" && got != w {
				t.Errorf("text %d is %q, want %q", i, got, w)
			}
			at += size
		}
		if at != bodySize {
			t.Errorf("the five end at %d, want %d", at, bodySize)
		}
	}
}

func TestStampKeepsValueInPlaceAndEndsWithSequence(t *testing.T) {
	plain := newBody(1)
	stamped := stamp(plain, 0x0102030405060708)
	if stamped[0] != 0x87 || !bytes.Equal(stamped[1:bodySize], plain[1:]) {
		t.Error("stamp changed the five keys or did not count two more")
	}
	tail := "\xa5epoch\xcf\x01\x02\x03\x04\x05\x06\x07\x08\xa3seq\xcf\x00\x00\x00\x00\x00\x00\x00\x00"
	if got := string(stamped[bodySize:]); got != tail {
		t.Errorf("tail is %q, want %q", got, tail)
	}
}

func TestParseEventReadsWhatSourcesWrite(t *testing.T) {
	for _, seq := range []uint64{1, 9, 12_345_678, 99_999_999, 100_000_000, 9_999_999_999_999_999} {
		body := newBody(5)
		putDigits(body[seqAt:], seq)
		putDigits(body[timeAt:], 424_242)
		want := event{worker: 5, seq: seq, sentAt: 424_242_000}
		for _, b := range [][]byte{body, stamp(body, 1)} {
			if got, ok := parseEvent(b); !ok || got != want {
				t.Errorf("parseEvent: got %+v, %v, want %+v", got, ok, want)
			}
		}
		if got, ok := parseValue(body[valueAt : valueAt+118]); !ok || got != want {
			t.Errorf("parseValue: got %+v, %v, want %+v", got, ok, want)
		}
	}
}

func TestParseEventRefusesOtherBodies(t *testing.T) {
	foreign := newBody(0)
	foreign[valueAt+2] = 'x'
	unknownWorker := newBody(0)
	unknownWorker[workerAt] = '0' + maxWorkers
	for name, b := range map[string][]byte{
		"empty": nil, "short": newBody(0)[:eventEnd-1], "foreign": foreign, "worker": unknownWorker,
	} {
		if e, ok := parseEvent(b); ok {
			t.Errorf("%s: got %+v, want refusal", name, e)
		}
	}
}

func TestCountUpCarries(t *testing.T) {
	for _, n := range []uint64{0, 8, 9, 99, 1099, 99_999_999, 9_999_999_999_999_998} {
		b := fmt.Appendf(nil, "%016d", n)
		countUp(b)
		if got := parseDigits(b); got != n+1 {
			t.Errorf("countUp(%d) = %d", n, got)
		}
	}
}
