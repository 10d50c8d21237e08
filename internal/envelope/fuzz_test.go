package envelope

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func seedCorpus(f *testing.F) {
	for _, g := range goldenFrames(f) {
		if len(g.new) < 1000 {
			f.Add(g.new)
			f.Add(g.old)
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		f.Add(randomBody(r))
	}
	event := portEvent(200)
	event.Epoch, event.Seq = testEpoch, testSeq
	f.Add(Append(nil, &event))
}

// What Decode accepts, Append can write and Decode read again.
func FuzzDecode(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var first Fields
		if err := Decode(body, &first); err != nil {
			if e, ok := err.(Error); !ok || e.Kind == 0 || e.Offset < 0 || e.Offset > len(body) {
				t.Fatalf("Decode(%x): error %#v", body, err)
			}
			return
		}
		if err := first.Validate(); err != nil {
			t.Fatalf("Validate(%+v): %v", first, err)
		}
		out := Append(nil, &first)
		want := first
		if want.Seq == 0 {
			want.Epoch = 0 // Append writes neither
		}
		second := mustDecode(t, out)
		if second != want {
			t.Fatalf("round trip of %x:\n got %+v\nwant %+v", body, second, want)
		}
		if again := Append(nil, &second); !bytes.Equal(again, out) {
			t.Fatalf("Append is not stable:\n got %x\nwant %x", again, out)
		}
	})
}

// Renumber accepts what Decode accepts, but for forged numbers, and does what
// the obvious implementation does.
func FuzzRenumber(f *testing.F) {
	seedCorpus(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		var before Fields
		decodeErr := Decode(body, &before)
		dst := []byte("head")
		out, err := Renumber(dst, body, testEpoch, testSeq)
		if !bytes.Equal(body, kept) {
			t.Fatalf("the body was written to: %x", kept)
		}
		forged := kindOf(decodeErr) == KindNumber
		if (err == nil) != (decodeErr == nil || forged) {
			t.Fatalf("%x: Renumber says %v, Decode %v", body, err, decodeErr)
		}
		if err != nil {
			if err != decodeErr {
				t.Fatalf("%x: Renumber says %v, Decode %v", body, err, decodeErr)
			}
			if string(out) != "head" {
				t.Fatalf("%x: dst is %x", body, out)
			}
			return
		}
		out = out[len("head"):]
		if len(out) > len(body)+MaxGrowth {
			t.Fatalf("%x grew by %d", body, len(out)-len(body))
		}
		if want := slowRenumber(t, body, testEpoch, testSeq); !bytes.Equal(out, want) {
			t.Fatalf("Renumber(%x):\n got %x\nwant %x", body, out, want)
		}
		after := mustDecode(t, out)
		if want := numbered(before, testEpoch, testSeq); !forged && after != want {
			t.Fatalf("Decode(Renumber(%x)):\n got %+v\nwant %+v", body, after, want)
		}
		if again := mustRenumber(t, out, testEpoch, testSeq); !bytes.Equal(again, out) {
			t.Fatalf("Renumber is not stable on its own result:\n got %x\nwant %x", again, out)
		}
	})
}
