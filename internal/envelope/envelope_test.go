package envelope

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const (
	testEpoch = 0x8a1b2c3d4e5f6071
	testSeq   = 1<<32 + 7
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustDecode(t testing.TB, body []byte) Fields {
	t.Helper()
	var f Fields
	if err := Decode(body, &f); err != nil {
		t.Fatalf("Decode(%x): %v", body, err)
	}
	return f
}

func mustRenumber(t testing.TB, body []byte, epoch, seq uint64) []byte {
	t.Helper()
	out, err := Renumber(nil, body, epoch, seq)
	if err != nil {
		t.Fatalf("Renumber(%x): %v", body, err)
	}
	return out
}

func kindOf(err error) Kind {
	var e Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// numbered is f as it is after Renumber.
func numbered(f Fields, epoch, seq uint64) Fields {
	f.Epoch, f.Seq = epoch, seq
	return f
}

// entry is one key and value of a map, as bytes; name is the key's content.
type entry struct {
	name, raw []byte
}

// entries splits a valid body.
func entries(t testing.TB, body []byte) []entry {
	t.Helper()
	n, off, k := mapAt(body, 0)
	if k != 0 {
		t.Fatalf("map header of %x: %v", body, k)
	}
	var list []entry
	for range n {
		start, end, k := stringAt(body, off)
		if k != 0 {
			t.Fatalf("key at %d of %x: %v", off, body, k)
		}
		next, k := skip(body, end, MaxDepth)
		if k != 0 {
			t.Fatalf("value at %d of %x: %v", end, body, k)
		}
		list = append(list, entry{body[start:end], body[off:next]})
		off = next
	}
	return list
}

// slowRenumber is what Renumber promises, done the obvious way.
func slowRenumber(t testing.TB, body []byte, epoch, seq uint64) []byte {
	t.Helper()
	var out []byte
	count, five := uint32(2), 0
	for _, e := range entries(t, body) {
		f := fieldOf(e.name)
		if f == fieldEpoch || f == fieldSeq {
			continue
		}
		count++
		raw := slices.Clone(e.raw)
		if f != fieldUnknown {
			if isBin(raw[0]) {
				raw[0] += binToStr
			}
			_, value, _ := stringAt(raw, 0)
			if isBin(raw[value]) {
				raw[value] += binToStr
			}
		}
		out = append(out, raw...)
		if f <= fieldTopic {
			if five++; five == 5 {
				out = appendStamp(out, epoch, seq)
			}
		}
	}
	return append(appendMap(nil, count), out...)
}

// randomText has lengths on both sides of every boundary between forms.
func randomText(r *rand.Rand) string {
	lengths := []int{0, 1, 7, 8, 31, 32, 33, 63, 255, 256, 300, 65535, 65536}
	n := lengths[r.IntN(len(lengths)-2)]
	if r.IntN(20) == 0 {
		n = lengths[r.IntN(len(lengths))]
	}
	alphabet := []rune("abc {}\":,\x00\n\u00e9\u4e16\U0001f600")
	if r.IntN(2) == 0 {
		alphabet = alphabet[:9]
	}
	var b strings.Builder
	for b.Len() < n {
		c := alphabet[r.IntN(len(alphabet))]
		if b.Len()+len(string(c)) > n {
			c = 'x'
		}
		b.WriteRune(c)
	}
	return b.String()
}

func randomNumber(r *rand.Rand) uint64 {
	return r.Uint64() >> r.IntN(64)
}

func randomFields(r *rand.Rand) Fields {
	f := Fields{
		Table:  randomText(r),
		Key:    randomText(r),
		Action: randomText(r) + "a",
		Value:  randomText(r),
		Topic:  randomText(r),
		Null:   Mask(r.UintN(uint(allText)+1)) &^ Action,
	}
	for i, s := range []*string{&f.Table, &f.Key, &f.Action, &f.Value, &f.Topic} {
		if f.Null&(1<<i) != 0 {
			*s = ""
		}
	}
	if r.IntN(2) == 0 {
		f.Epoch, f.Seq = randomNumber(r), randomNumber(r)|1
	}
	if r.IntN(2) == 0 {
		f.Version, f.HasVersion = randomNumber(r), true
	}
	return f
}

func TestRandomFieldsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		f := randomFields(r)
		if err := f.Validate(); err != nil {
			t.Fatalf("Validate(%+v): %v", f, err)
		}
		body := Append(nil, &f)
		if len(body) > MaxSize(&f) {
			t.Fatalf("MaxSize(%+v) = %d, want >= %d", f, MaxSize(&f), len(body))
		}
		if got := mustDecode(t, body); got != f {
			t.Fatalf("Decode(Append(f)):\n got %+v\nwant %+v", got, f)
		}
		epoch, seq := randomNumber(r)|1, randomNumber(r)|1
		want := numbered(f, epoch, seq)
		if got, want := mustRenumber(t, body, epoch, seq), Append(nil, &want); !bytes.Equal(got, want) {
			t.Fatalf("Renumber of a canonical body:\n got %x\nwant %x", got, want)
		}
	}
}

func TestNumberBoundaries(t *testing.T) {
	for _, v := range []uint64{1, 127, 128, 255, 256, 1<<16 - 1, 1 << 16, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		f := Fields{Action: "set", Epoch: v, Seq: v, Version: v, HasVersion: true}
		if got := mustDecode(t, Append(nil, &f)); got != f {
			t.Errorf("Append of %d: got %+v, want %+v", v, got, f)
		}
		plain := Fields{Action: "set"}
		want := numbered(plain, v, v)
		if got := mustDecode(t, mustRenumber(t, Append(nil, &plain), v, v)); got != want {
			t.Errorf("Renumber with %d: got %+v, want %+v", v, got, want)
		}
	}
}

func TestVersionZeroIsNotAbsent(t *testing.T) {
	f := Fields{Action: "set", HasVersion: true}
	if got := mustDecode(t, Append(nil, &f)); got != f {
		t.Errorf("got %+v, want %+v", got, f)
	}
}

// A Fields that is used again keeps nothing of the event before.
func TestDecodeOverwrites(t *testing.T) {
	body := Append(nil, &Fields{Action: "sync", Null: allText &^ Action})
	got := Fields{"a", "b", "c", "d", "e", Action, 1, 2, 3, true}
	want := Fields{Action: "sync", Null: allText &^ Action}
	if err := Decode(body, &got); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// Strings do not alias the body, which the caller uses again.
func TestDecodeCopies(t *testing.T) {
	f := portEvent(200)
	body := Append(nil, &f)
	got := mustDecode(t, body)
	clear(body)
	if got != f {
		t.Errorf("after the body was cleared: got %+v, want %+v", got, f)
	}
}

func TestAllocations(t *testing.T) {
	f := portEvent(200)
	f.Epoch, f.Seq = testEpoch, testSeq
	body := Append(nil, &f)
	// Every slow way at once: bin forms, other order, unknown keys, forged seq.
	slow := unhex(t, "89 c403736571 a178 a3666f6f 9301a161c0 a5746f706963 c40144 c405 76616c7565 c0 a5657063 6f 6805"+
		"a6616374696f6e c403736574 a36b6579 a0 a57461626c65 a174 c407 76657273696f6e 07")
	dst := make([]byte, 0, 1024)
	var got Fields
	for _, c := range []struct {
		name string
		want float64
		run  func()
	}{
		{"Append", 0, func() { dst = Append(dst[:0], &f) }},
		{"Decode", 1, func() { _ = Decode(body, &got) }},
		{"Decode slow", 1, func() { _ = Decode(slow, &got) }},
		{"Renumber", 0, func() { dst, _ = Renumber(dst[:0], body, 1, 1) }},
		{"Renumber slow", 0, func() { dst, _ = Renumber(dst[:0], slow, 1, 1) }},
		{"Renumber malformed", 1, func() { dst, _ = Renumber(dst[:0], body[:50], 1, 1) }},
		{"Validate", 0, func() { _ = f.Validate() }},
	} {
		if got := testing.AllocsPerRun(100, c.run); got != c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
	mustRenumber(t, slow, 1, 1)
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Fields
		want Kind
	}{
		{"plain", Fields{Action: "set"}, 0},
		{"nil but action", Fields{Action: "sync", Null: allText &^ Action}, 0},
		{"empty action", Fields{}, KindAction},
		{"nil action", Fields{Action: "set", Null: Action}, KindAction},
		{"invalid table", Fields{Action: "set", Table: "\xff"}, KindUTF8},
		{"invalid topic", Fields{Action: "set", Topic: "\xed\xa0\x80"}, KindUTF8},
		{"invalid but nil", Fields{Action: "set", Value: "\xff", Null: Value}, 0},
	} {
		err := c.f.Validate()
		if got := kindOf(err); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		// What Validate lets pass, Decode reads.
		if gotDecode := Decode(Append(nil, &c.f), &Fields{}); (gotDecode == nil) != (err == nil) {
			t.Errorf("%s: Validate says %v, Decode of Append says %v", c.name, err, gotDecode)
		}
	}
}
