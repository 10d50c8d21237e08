package envelope

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

// Bodies as each version of the envelope writes them, for good: an event of
// today has to be read by the peers of yesterday, and the other way round.
//
//	table "lport", key "p1", action "set", value "{}", topic "D"
const (
	// dragonflow's own, which has five keys
	version0 = "85 a57461626c65 a56c706f7274 a36b6579 a27031 a6616374696f6e a3736574 a576616c7565 a27b7d a5746f706963 a144"
	// ours: epoch 0x0102030405060708 and seq 9
	version1 = "87 a57461626c65 a56c706f7274 a36b6579 a27031 a6616374696f6e a3736574 a576616c7565 a27b7d a5746f706963 a144" +
		" a565706f6368 cf0102030405060708 a3736571 cf0000000000000009"
	// ours, with the version 3 of its object
	version1Object = "88 a57461626c65 a56c706f7274 a36b6579 a27031 a6616374696f6e a3736574 a576616c7565 a27b7d a5746f706963 a144" +
		" a565706f6368 cf0102030405060708 a3736571 cf0000000000000009 a776657273696f6e 03"
	// one of the future: keys that nobody knows, first, between and last, with
	// values of every kind
	versionFuture = "8c a161 93 01c0 81a162c3 a57461626c65 a56c706f7274 a36b6579 a27031 a6616374696f6e a3736574 a87072696f72697479 cb3ff0000000000000" +
		" a576616c7565 a27b7d a5746f706963 a144 a565706f6368 cf0102030405060708 a3736571 cf0000000000000009 a776657273696f6e 03" +
		" a3657874 c7050501020304 05 a17a c403ff00ff"
)

// What any version writes is read, and what is not known passes as it is.
func TestX6Versions(t *testing.T) {
	const epoch, seq = 0x1112131415161718, 0x21
	event := Fields{Table: "lport", Key: "p1", Action: "set", Value: "{}", Topic: "D"}
	with := func(numbers bool, version uint64, has bool) Fields {
		f := event
		if numbers {
			f.Epoch, f.Seq = 0x0102030405060708, 9
		}
		f.Version, f.HasVersion = version, has
		return f
	}
	for _, c := range []struct {
		name, body string
		want       Fields
		unknown    []string // as they are to pass
		ours       bool     // Append writes the same
	}{
		{"dragonflow's", version0, with(false, 0, false), nil, true},
		{"1", version1, with(true, 0, false), nil, true},
		{"1 with an object's version", version1Object, with(true, 3, true), nil, true},
		{"future", versionFuture, with(true, 3, true), []string{
			"a161 93 01c0 81a162c3", "a87072696f72697479 cb3ff0000000000000", "a3657874 c7050501020304 05", "a17a c403ff00ff"}, false},
	} {
		body := unhex(t, c.body)
		if got := mustDecode(t, body); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		if got := Append(nil, &c.want); c.ours && !bytes.Equal(got, body) {
			t.Errorf("%s: it is written as %x now, was %x", c.name, got, body)
		}
		out := mustRenumber(t, body, epoch, seq)
		want := c.want
		want.Epoch, want.Seq = epoch, seq
		if got := mustDecode(t, out); got != want {
			t.Errorf("%s: renumbered it is %+v, want %+v", c.name, got, want)
		}
		for _, entry := range c.unknown {
			if !bytes.Contains(out, unhex(t, entry)) {
				t.Errorf("%s: %s did not pass: %x", c.name, entry, out)
			}
		}
	}
}

// Lengths that are not there and nesting without end are refused before
// anything is allocated for them.
func TestX1Bombs(t *testing.T) {
	after := func(value string) string { return "86" + five + "a178" + value }
	for name, body := range map[string]string{
		"array of 2^32-1":      after("ddffffffff"),
		"map of 2^32-1":        after("dfffffffff"),
		"map of all":           "dfffffffff" + five,
		"text of 2^32-1":       after("dbffffffff"),
		"bytes of 2^32-1":      after("c6ffffffff"),
		"value of 2^32-1":      "85 a57461626c65dbffffffff" + strings.Repeat("00", 40),
		"nested arrays":        after(strings.Repeat("91", 1e5) + "c0"),
		"nested maps":          after(strings.Repeat("81a161", 1e5) + "c0"),
		"arrays of arrays":     after(strings.Repeat("ddffffffff", 32)),
		"a nested number":      "86" + five + "a3736571" + strings.Repeat("91", 1e5) + "c0",
		"each of what remains": after(strings.Repeat("dd00000064", 32) + strings.Repeat("c0", 100)),
	} {
		p := unhex(t, body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		derr := Decode(p, &Fields{})
		_, rerr := Renumber(nil, p, 1, 1)
		runtime.ReadMemStats(&after)
		if derr == nil || rerr == nil {
			t.Errorf("%s: Decode says %v, Renumber %v", name, derr, rerr)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<10 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}
