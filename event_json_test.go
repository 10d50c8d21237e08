package wyvern

import (
	"encoding/json"
	"testing"
)

// What is read from a line of JSON is written and read again as the same.
func FuzzEventJSON(f *testing.F) {
	for _, line := range []string{
		`{"table":"lport","key":"k","action":"set","value":"{}","topic":"D"}`,
		`{"table":null,"key":null,"action":"sync","value":null,"topic":"D","epoch":1,"seq":18446744073709551615}`,
		`{"table":"","key":"\u0000\ud800","action":"","value":"","topic":"","version":3,"publisher":"p","reason":"gap"}`,
		`{"unknown":[[[[{}]]]],"table":1}`, `{}`, `[]`, `null`, `{"seq":-1}`, `{"seq":1e30}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var first, second Event
		if json.Unmarshal(line, &first) != nil {
			return
		}
		out, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("%q was read as %+v, which can't be written: %v", line, first, err)
		}
		if err := json.Unmarshal(out, &second); err != nil || first != second {
			t.Fatalf("%q was read as %+v, written as %q and read as %+v, %v", line, first, out, second, err)
		}
	})
}
