package zmtp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestMetadata(t *testing.T) {
	long := strings.Repeat("n", 255)
	many := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf("\x04X-%02d\x00\x00\x00\x00", i)
		}
		return s
	}
	tests := []struct {
		name, in string
		want     Metadata
		fault    string
	}{
		{name: "none", in: ""},
		{name: "RFC 37's DEALER", in: "\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00",
			want: Metadata{{"Socket-Type", "DEALER"}, {"Identity", ""}}},
		{name: "binary value", in: "\x03X-a\x00\x00\x00\x02\x00\xff", want: Metadata{{"X-a", "\x00\xff"}}},
		{name: "every kind of character", in: "\x0aaZ09-_.+xX\x00\x00\x00\x00", want: Metadata{{"aZ09-_.+xX", ""}}},
		{name: "longest name", in: "\xff" + long + "\x00\x00\x00\x00", want: Metadata{{long, ""}}},
		{name: "empty name", in: "\x00\x00\x00\x00\x00", fault: "name is empty"},
		{name: "name past the end", in: "\x05abc", fault: "5 bytes, 3 are left"},
		{name: "name with a space", in: "\x02a \x00\x00\x00\x00", fault: `"a "`},
		{name: "name with a control", in: "\x02a\n\x00\x00\x00\x00", fault: `a\x0a`},
		{name: "name of a colon", in: "\x01:\x00\x00\x00\x00", fault: "name"},
		{name: "no size", in: "\x01a", fault: "ends in its size"},
		{name: "half a size", in: "\x01a\x00\x00\x00", fault: "ends in its size"},
		{name: "value past the end", in: "\x01a\x00\x00\x00\x02b", fault: "2 bytes, 1 are left"},
		{name: "value of 2^32-1", in: "\x01a\xff\xff\xff\xff", fault: "4294967295"},
		{name: "duplicate", in: "\x01a\x00\x00\x00\x00\x01a\x00\x00\x00\x00", fault: "twice"},
		{name: "duplicate in another case", in: "\x03X-a\x00\x00\x00\x00\x03x-A\x00\x00\x00\x00", fault: "twice"},
		{name: "one too many", in: many(MaxProperties + 1), fault: "more than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMetadata([]byte(tt.in))
			if tt.fault != "" {
				wantKind(t, err, KindMetadata, tt.fault)
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
			if back := AppendMetadata(nil, got); string(back) != tt.in {
				t.Errorf("written back as %q, was %q", back, tt.in)
			}
		})
	}
	if m, err := ParseMetadata([]byte(many(MaxProperties))); err != nil || len(m) != MaxProperties {
		t.Errorf("%d properties: got %d, %v", MaxProperties, len(m), err)
	}
	for _, m := range []Metadata{{{"", ""}}, {{"a b", ""}}, {{"a", ""}, {"A", ""}}, {{long + "n", ""}}, make(Metadata, 65)} {
		mustPanic(t, fmt.Sprint(m), func() { AppendMetadata(nil, m) })
	}
}

func TestMetadataGet(t *testing.T) {
	m := Metadata{{"Socket-Type", "SUB"}, {"X-Epoch", ""}}
	for _, tt := range []struct {
		name, value string
		ok          bool
	}{
		{"Socket-Type", "SUB", true}, {"socket-TYPE", "SUB", true}, {"x-epoch", "", true}, {"X-Epoc", "", false}, {"", "", false},
	} {
		if value, ok := m.Get(tt.name); value != tt.value || ok != tt.ok {
			t.Errorf("%q: got %q, %v, want %q, %v", tt.name, value, ok, tt.value, tt.ok)
		}
	}
}

// The result outlives the buffer that it came from.
func TestMetadataIsACopy(t *testing.T) {
	data := []byte("\x03X-a\x00\x00\x00\x01b")
	m, err := ParseMetadata(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if value, ok := m.Get("X-a"); value != "b" || !ok {
		t.Errorf("got %q after the input changed", m)
	}
}
