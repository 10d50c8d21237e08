package wyvern

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
)

// handOverFrom returns what a publisher leaves that published some events.
func handOverFrom(t testing.TB, id string, counts map[string]int) []byte {
	t.Helper()
	p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: &fakePublisher{}}, ID: id, Epoch: 77})
	if err != nil {
		t.Fatal(err)
	}
	for topic, n := range counts {
		for range n {
			if err := p.Publish(t.Context(), Event{Action: ActionSet, Topic: topic}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var b bytes.Buffer
	if err := p.Save(&b); err == nil {
		t.Error("an open publisher can be saved")
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := p.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A publisher goes on with the epoch and the numbers that another one left.
func TestHandOver(t *testing.T) {
	left := handOverFrom(t, "p", map[string]int{"a": 3, "b": 1})
	half := &fakePublisher{}
	p, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: half}, ID: "p", Restore: bytes.NewReader(left)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, topic := range []string{"a", "b", "c"} {
		if err := p.Publish(context.Background(), Event{Action: ActionSet, Topic: topic}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"a 77 4", "b 77 2", "c 77 1"} {
		if got := fmt.Sprint(half.got[i].topic, " ", half.got[i].Epoch, " ", half.got[i].Seq); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := OpenPublisher(t.Context(), PublisherOptions{Driver: fakeDriver{pub: half}, ID: "another", Restore: bytes.NewReader(left)}); err == nil {
		t.Error("one of another identity was taken")
	}
}

// What is damaged, wherever, is refused.
func TestHandOverDamaged(t *testing.T) {
	left := handOverFrom(t, "p", map[string]int{"a": 3, "b": 1})
	for i := range left[:len(left)-1] { // the last byte says whether more follows
		for _, damaged := range [][]byte{left[:i], append(append(bytes.Clone(left[:i]), left[i]^0x41), left[i+1:]...)} {
			if _, err := readHandover(bufio.NewReader(bytes.NewReader(damaged))); !errors.Is(err, errHandover) {
				t.Fatalf("byte %d of %d: %v", i, len(left), err)
			}
		}
	}
}

func FuzzHandover(f *testing.F) {
	f.Add(handOverFrom(f, "p", map[string]int{"a": 3, "b": 1}))
	f.Add([]byte(handoverMagic))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, err := readHandover(bufio.NewReader(bytes.NewReader(p)))
		if err == nil && h.epoch == 0 {
			t.Error("no epoch")
		}
	})
}
