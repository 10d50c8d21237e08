package envelope

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// five is a body's five entries, without the header.
const five = "a57461626c65c0 a36b6579c0 a6616374696f6ea3736574 a576616c7565c0 a5746f706963c0"

const fiveSize = 37 // bytes

// stamp is epoch and seq as we write them.
const stamp = "a565706f6368cf0000000000000001 a3736571cf0000000000000001"

func TestMalformed(t *testing.T) {
	nest := func(open string, n int, inner string) string { return strings.Repeat(open, n) + inner }
	// after puts an unknown key x with the value behind the five: the key is
	// at 1+fiveSize, the value two bytes later.
	const key, value = 1 + fiveSize, 1 + fiveSize + 2
	after := func(value string) string { return "86" + five + "a178" + value }
	for _, c := range []struct {
		name, body string
		kind       Kind
		offset     int
	}{
		{"empty", "", KindTruncated, 0},
		{"nil", "c0", KindNotMap, 0},
		{"array", "95" + five, KindNotMap, 0},
		{"string", "a131", KindNotMap, 0},
		{"empty map", "80", KindMissing, 1},
		{"four keys", "84 a57461626c65c0 a36b6579c0 a6616374696f6ea3736574 a576616c7565c0", KindMissing, 31},
		{"five keys, one unknown", "85 a57461626c65c0 a36b6579c0 a6616374696f6ea3736574 a576616c7565c0 a178c0", KindMissing, 34},
		{"trailing", "85" + five + "c0", KindTrailing, key},
		{"two maps", "85" + five + "85" + five, KindTrailing, key},
		{"stamp not counted", "85" + five + stamp, KindTrailing, key},
		{"half a stamp counted", "86" + five + stamp, KindTrailing, key + 15},
		{"version not counted", "85" + five + "a776657273696f6e01", KindTrailing, key},
		{"version not counted behind a stamp", "87" + five + stamp + "a776657273696f6e01", KindTrailing, key + 28},
		{"missing entry", "86" + five, KindTruncated, key},
		{"missing value", "86" + five + "a178", KindTruncated, value},
		{"map16 cut", "de00", KindTruncated, 0},
		{"map32 cut", "df000000", KindTruncated, 0},

		{"duplicate table", "86" + five + "a57461626c65c0", KindDuplicate, key},
		{"duplicate in bin", "86" + five + "c4057461626c65c0", KindDuplicate, key},
		{"duplicate version", "87" + five + "a776657273696f6e01 a776657273696f6e01", KindDuplicate, key + 9},
		{"duplicate epoch", "88" + five + "a565706f636801 a37365710 1 a565706f636801", KindDuplicate, key + 12},
		{"duplicate seq behind a stamp", "88" + five + stamp + "a373657101", KindDuplicate, key + 28},

		{"action nil", "85 a57461626c65c0 a36b6579c0 a6616374696f6ec0 a576616c7565c0 a5746f706963c0", KindAction, 20},
		{"action empty", "85 a57461626c65c0 a36b6579c0 a6616374696f6ea0 a576616c7565c0 a5746f706963c0", KindAction, 20},
		{"action empty bin", "85 a57461626c65c0 a36b6579c0 a6616374696f6ec400 a576616c7565c0 a5746f706963c0", KindAction, 20},
		{"value a number", "85 a57461626c65c0 a36b6579c0 a6616374696f6ea3736574 a576616c756501 a5746f706963c0", KindText, 30},
		{"value a map", "85 a57461626c65c0 a36b6579c0 a6616374696f6ea3736574 a576616c756580 a5746f706963c0", KindText, 30},
		{"key a bool", "85 a57461626c65c0 a36b6579c2 a6616374696f6ea3736574 a576616c7565c0 a5746f706963c0", KindText, 12},
		{"table invalid UTF-8", "85 a57461626c65a1ff a36b6579c0 a6616374696f6ea3736574 a576616c7565c0 a5746f706963c0", KindUTF8, 7},
		{"topic invalid UTF-8 in bin", "85 a57461626c65c0 a36b6579c0 a6616374696f6ea3736574 a576616c7565c0 a5746f706963c403eda080", KindUTF8, 37},

		{"key not a string", "86" + five + "01c0", KindMapKey, key},
		{"key nil", "86" + five + "c0c0", KindMapKey, key},
		{"key an array", "86" + five + "90c0", KindMapKey, key},
		{"key reserved", "86" + five + "c1c0", KindMapKey, key},
		{"key invalid UTF-8", "86" + five + "a1ffc0", KindUTF8, key},

		{"reserved", after("c1"), KindToken, value},
		{"nested reserved", after("91c1"), KindToken, value + 1},
		{"nested invalid UTF-8", after("91a1ff"), KindUTF8, value + 1},
		{"nested key invalid UTF-8", after("81a1ffc0"), KindUTF8, value + 1},
		{"nested key not a string", after("8101c0"), KindMapKey, value + 1},
		{"nested key an ext", after("81d40101c0"), KindMapKey, value + 1},
		{"nested missing", after("9201"), KindTruncated, value},
		{"uint64 cut", after("cf00"), KindTruncated, value},
		{"float64 cut", after("cb00000000000000"), KindTruncated, value},
		{"array16 cut", after("dc00"), KindTruncated, value},
		{"str8 cut", after("d9"), KindTruncated, value},

		{"timestamp of 1", after("d4ff00"), KindExt, value},
		{"timestamp of 16", after("d8ff" + strings.Repeat("00", 16)), KindExt, value},
		{"timestamp of 5", after("c705ff0000000000"), KindExt, value},
		{"timestamp of 0", after("c700ff"), KindExt, value},
		{"timestamp of 10^9 ns", after("d7ffee6b280000000000"), KindExt, value},
		{"long timestamp of 10^9 ns", after("c70cff3b9aca000000000000000000"), KindExt, value},
		{"ext of type -2", after("d4fe00"), KindExt, value},
		{"ext of type -128", after("c70180ff"), KindExt, value},
		{"ext cut", after("c705010000"), KindTruncated, value},
		{"ext without type", after("c700"), KindTruncated, value},
		{"fixext cut", after("d801" + strings.Repeat("00", 15)), KindTruncated, value},

		{"bomb: map of 2^32-1", "dfffffffff" + five, KindTruncated, 0},
		{"bomb: map of 65535", "deffff" + five, KindTruncated, 0},
		{"bomb: array of 2^32-1", after("ddffffffff"), KindTruncated, value},
		{"bomb: array of 65535", after("dcffff"), KindTruncated, value},
		{"bomb: nested map of 2^32-1", after("dfffffffff"), KindTruncated, value},
		{"bomb: map of 2 in 3 bytes", after("82a161c0"), KindTruncated, value},
		{"bomb: str of 2^32-1", after("dbffffffff"), KindTruncated, value},
		{"bomb: bin of 2^32-1", after("c6ffffffff"), KindTruncated, value},
		{"bomb: ext of 2^32-1", after("c9ffffffff05"), KindTruncated, value},
		{"bomb: value of 2^32-1", "85 a57461626c65dbffffffff" + strings.Repeat("00", 40), KindTruncated, 7},
		{"bomb: key of 2^32-1", "85 dbffffffff" + strings.Repeat("00", 40), KindTruncated, 1},
		{"bomb: 33 arrays", after(nest("91", 33, "c0")), KindDepth, value + 32},
		{"bomb: 33 maps", after(nest("81a161", 33, "c0")), KindDepth, value + 3*32},
		{"bomb: 33rd array empty", after(nest("91", 32, "90")), KindDepth, value + 32},
		{"bomb: 33rd map empty", after(nest("91", 32, "80")), KindDepth, value + 32},
		{"bomb: a million arrays", after(nest("91", 1e6, "c0")), KindDepth, value + 32},
		{"bomb: a million arrays for a seq", "86" + five + "a3736571" + nest("91", 1e6, "c0"), KindDepth, key + 4 + 32},
		// The innermost has its hundred, the next lacks its other 99.
		{"bomb: each array of what remains", after(nest("dd00000064", 32, strings.Repeat("c0", 100))), KindTruncated, value + 32*5 + 100},
	} {
		body := unhex(t, c.body)
		want := Error{c.kind, c.offset}
		before := Fields{Table: "untouched"}
		got := before
		if err := Decode(body, &got); err != want {
			t.Errorf("%s: Decode: got %v, want %v", c.name, err, want)
		}
		if got != before {
			t.Errorf("%s: Decode wrote %+v", c.name, got)
		}
		if _, err := Renumber(nil, body, 1, 1); err != want {
			t.Errorf("%s: Renumber: got %v, want %v", c.name, err, want)
		}
		if n := testing.AllocsPerRun(5, func() { _ = Decode(body, &got) }); n > 1 {
			t.Errorf("%s: %v allocations, want the error's", c.name, n)
		}
	}
}

// Every proper prefix of a body is truncated, whatever lies in memory behind it.
func TestTruncated(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	bodies := [][]byte{Append(nil, &Fields{Table: "t", Key: "k", Action: "set", Value: "v", Topic: "D", Epoch: 1, Seq: 2, Version: 3, HasVersion: true})}
	for len(bodies) < 200 {
		if body := randomBody(r); Decode(body, &Fields{}) == nil {
			bodies = append(bodies, body)
		}
	}
	for _, body := range bodies {
		for n := range body {
			for _, prefix := range [][]byte{body[:n], slices.Clip(bytes.Clone(body[:n]))} {
				if got := kindOf(Decode(prefix, &Fields{})); got != KindTruncated {
					t.Fatalf("%x, %d bytes of %x: got %v, want %v", prefix, n, body, got, KindTruncated)
				}
			}
		}
	}
}

// What an unknown key may carry.
func TestUnknownValues(t *testing.T) {
	for _, value := range []string{
		"c0", "c2", "c3", "00", "7f", "e0", "ff", "ca00000000", "cb0000000000000000",
		"cc00", "cd0000", "ce00000000", "cf0000000000000000", "d000", "d10000", "d200000000", "d30000000000000000",
		"a0", "d900", "da0000", "db00000000", "c400", "c401ff", "c50001ff", "c600000001ff",
		"90", "dc0000", "dd00000000", "80", "de0000", "df00000000", "82a161c0c4016101", "dd00000002c0c0",
		"d40000", "d57f0000", "d60100000000", "d7010000000000000000", "d801" + strings.Repeat("00", 16),
		"c70005", "c80000 05", "c90000000005", "c9000000020500ff",
		"d6ffffffffff", "d7ffee6b27fc00000000", "c70cff3b9ac9ff8000000000000000",
		strings.Repeat("91", 32) + "c0", strings.Repeat("81a161", 32) + "c0", strings.Repeat("91", 30) + "92c091c0",
	} {
		tail := "a178" + value
		body := unhex(t, "86"+five+tail)
		want := Fields{Action: "set", Null: allText &^ Action}
		if got := mustDecode(t, body); got != want {
			t.Errorf("%s: got %+v, want %+v", value, got, want)
		}
		out := mustRenumber(t, body, 1, 1)
		if wantTail := unhex(t, tail); string(out[len(out)-len(wantTail):]) != string(wantTail) {
			t.Errorf("%s: renumbered %x, want it unchanged", value, out)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{Error{KindUTF8, 17}, "malformed event body: invalid UTF-8 in text at byte 17"},
		{Error{KindAction, -1}, "malformed event: action is nil or empty"},
		{Error{200, 0}, "malformed event body: kind 200 at byte 0"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	for k := KindTruncated; k <= KindNumber; k++ {
		if strings.HasPrefix(k.String(), "kind ") {
			t.Errorf("kind %d has no text", k)
		}
	}
}
