package envelope

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unicode/utf8"
)

// stringForms are s in every msgpack form that has room for it.
func stringForms(s string) map[string][]byte {
	n := len(s)
	forms := map[string][]byte{}
	if n < 32 {
		forms["fixstr"] = append([]byte{0xa0 | byte(n)}, s...)
	}
	if n < 256 {
		forms["str8"] = append([]byte{0xd9, byte(n)}, s...)
		forms["bin8"] = append([]byte{0xc4, byte(n)}, s...)
	}
	forms["str16"] = append(binary.BigEndian.AppendUint16([]byte{0xda}, uint16(n)), s...)
	forms["bin16"] = append(binary.BigEndian.AppendUint16([]byte{0xc5}, uint16(n)), s...)
	forms["str32"] = append(binary.BigEndian.AppendUint32([]byte{0xdb}, uint32(n)), s...)
	forms["bin32"] = append(binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(n)), s...)
	return forms
}

// fiveParts are the five entries of an event, each a key and a value.
func fiveParts() ([][2]string, Fields) {
	return [][2]string{{"table", "lport"}, {"key", "k\u00e9y"}, {"action", "set"}, {"value", "{}"}, {"topic", "D"}},
		Fields{Table: "lport", Key: "k\u00e9y", Action: "set", Value: "{}", Topic: "D"}
}

func fixstr(s string) []byte { return append([]byte{0xa0 | byte(len(s))}, s...) }

// Every string form is accepted for every key and every value, and what leaves
// Renumber has no bin form of ours, because a Python 3 node would see bytes.
func TestStringForms(t *testing.T) {
	parts, want := fiveParts()
	for i := range parts {
		for side := range 2 {
			for form, token := range stringForms(parts[i][side]) {
				body := []byte{0x85}
				wantOut := []byte{0x87}
				for j, p := range parts {
					for s := range 2 {
						tok := fixstr(p[s])
						outTok := tok
						if i == j && s == side {
							tok = token
							outTok = slices.Clone(token)
							switch outTok[0] {
							case 0xc4:
								outTok[0] = 0xd9
							case 0xc5:
								outTok[0] = 0xda
							case 0xc6:
								outTok[0] = 0xdb
							}
						}
						body = append(body, tok...)
						wantOut = append(wantOut, outTok...)
					}
				}
				wantOut = appendStamp(wantOut, testEpoch, testSeq)
				if got := mustDecode(t, body); got != want {
					t.Errorf("%s %q: got %+v, want %+v", form, parts[i][side], got, want)
				}
				if got := mustRenumber(t, body, testEpoch, testSeq); !bytes.Equal(got, wantOut) {
					t.Errorf("%s %q:\n got %x\nwant %x", form, parts[i][side], got, wantOut)
				}
			}
		}
	}
}

// Keys come in any order, with unknown keys and forged numbers anywhere.
func TestKeyOrders(t *testing.T) {
	parts, five := fiveParts()
	var all [][]byte
	for _, p := range parts {
		all = append(all, append(fixstr(p[0]), fixstr(p[1])...))
	}
	want := five
	want.Epoch, want.Seq, want.Version, want.HasVersion = 1, 9, 5, true
	all = append(all,
		append(fixstr("epoch"), 0x01),
		append(fixstr("seq"), 0xd1, 0x00, 0x09),
		append(append([]byte{0xc4, 7}, "version"...), 0xcc, 0x05),
		append(fixstr("future"), 0x82, 0xa1, 'a', 0xc4, 0x01, 0xff, 0xa1, 'b', 0x92, 0xca, 1, 2, 3, 4, 0xd4, 1, 1),
	)
	n := 0
	permute(len(all), func(order []int) {
		// A prime stride through the 362,880 orders.
		if n++; n%97 != 0 && n != 1 {
			return
		}
		body := []byte{0x80 | byte(len(all))}
		for _, i := range order {
			body = append(body, all[i]...)
		}
		if got := mustDecode(t, body); got != want {
			t.Fatalf("order %v: got %+v, want %+v", order, got, want)
		}
		got := mustRenumber(t, body, testEpoch, testSeq)
		if want := slowRenumber(t, body, testEpoch, testSeq); !bytes.Equal(got, want) {
			t.Fatalf("order %v:\n got %x\nwant %x", order, got, want)
		}
		if got, want := mustDecode(t, got), numbered(want, testEpoch, testSeq); got != want {
			t.Fatalf("order %v renumbered: got %+v, want %+v", order, got, want)
		}
	})
}

func permute(n int, visit func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var from func(i int)
	from = func(i int) {
		if i == n {
			visit(order)
			return
		}
		for j := i; j < n; j++ {
			order[i], order[j] = order[j], order[i]
			from(i + 1)
			order[i], order[j] = order[j], order[i]
		}
	}
	from(0)
}

func TestIntegerForms(t *testing.T) {
	const bad = ^uint64(0) - 12345
	for _, c := range []struct {
		token string
		want  uint64
	}{
		{"00", 0}, {"7f", 127}, {"cc00", 0}, {"ccff", 255}, {"cdffff", 65535},
		{"ceffffffff", 1<<32 - 1}, {"cf0000000100000000", 1 << 32}, {"cfffffffffffffffff", 1<<64 - 1},
		{"d07f", 127}, {"d17fff", 32767}, {"d27fffffff", 1<<31 - 1}, {"d37fffffffffffffff", 1<<63 - 1},
		{"ff", bad}, {"e0", bad}, {"d080", bad}, {"d1ffff", bad}, {"d280000000", bad}, {"d3ffffffffffffffff", bad},
		{"c0", bad}, {"c2", bad}, {"c3", bad}, {"a131", bad}, {"ca3f800000", bad}, {"cb3ff0000000000000", bad},
		{"80", bad}, {"90", bad}, {"c40131", bad}, {"d40101", bad}, {"d6ff00000001", bad}, {"9181a161c0", bad},
	} {
		for _, key := range []string{"version", "epoch", "seq"} {
			five := Fields{Action: "set"}
			body := Append(nil, &five)
			body[0]++
			body = append(body, fixstr(key)...)
			at := len(body)
			body = append(body, unhex(t, c.token)...)

			kind := KindNumber
			if key == "version" {
				kind = KindVersion
			}
			var got Fields
			err := Decode(body, &got)
			if c.want == bad {
				if want := (Error{kind, at}); err != want {
					t.Errorf("%s %s: got %v, want %v", key, c.token, err, want)
				}
			} else {
				want := five
				switch key {
				case "version":
					want.Version, want.HasVersion = c.want, true
				case "epoch":
					want.Epoch = c.want
				case "seq":
					want.Seq = c.want
				}
				if err != nil || got != want {
					t.Errorf("%s %s: got %+v, %v, want %+v", key, c.token, got, err, want)
				}
			}

			// Renumber drops epoch and seq, whatever they are.
			out, err := Renumber(nil, body, testEpoch, testSeq)
			if key == "version" {
				if (err == nil) != (c.want != bad) {
					t.Errorf("Renumber of version %s: %v", c.token, err)
				}
				continue
			}
			want := numbered(five, testEpoch, testSeq)
			if wantOut := Append(nil, &want); err != nil || !bytes.Equal(out, wantOut) {
				t.Errorf("Renumber of %s %s:\n got %x, %v\nwant %x", key, c.token, out, err, wantOut)
			}
		}
	}
}

// The header of the map grows and shrinks with the entries that it counts.
func TestMapHeader(t *testing.T) {
	five := Fields{Action: "set"}
	entries := Append(nil, &five)[1:]
	for _, c := range []struct {
		extra      int
		forged     bool
		in, wantIn string
	}{
		{0, false, "85", "87"},
		{0, false, "de0005", "87"},
		{0, false, "df00000005", "87"},
		{8, false, "8d", "8f"},
		{9, false, "8e", "de0010"},
		{10, false, "8f", "de0011"},
		{8, true, "8f", "8f"},
		{9, true, "de0010", "de0010"},
		{65528, false, "defffd", "deffff"},
		{65529, false, "defffe", "df00010000"},
		{65530, false, "deffff", "df00010001"},
	} {
		body := append(unhex(t, c.in), entries...)
		if c.forged {
			body = appendStamp(body, 3, 4)
		}
		tail := bytes.Repeat([]byte{0xa1, 'x', 0xc0}, c.extra)
		body = append(body, tail...)
		want := append(unhex(t, c.wantIn), entries...)
		want = append(appendStamp(want, testEpoch, testSeq), tail...)
		got := mustRenumber(t, body, testEpoch, testSeq)
		if !bytes.Equal(got, want) {
			t.Errorf("%s with %d more:\n got %.99x\nwant %.99x", c.in, c.extra, got, want)
		}
		if len(got) > len(body)+MaxGrowth {
			t.Errorf("%s with %d more: grew by %d, want <= %d", c.in, c.extra, len(got)-len(body), MaxGrowth)
		}
	}
}

// Renumber appends, and on error leaves dst as it was.
func TestRenumberAppends(t *testing.T) {
	five := Fields{Action: "set"}
	body := Append(nil, &five)
	want := numbered(five, 1, 2)
	dst := []byte("head")
	got, err := Renumber(dst, body, 1, 2)
	if err != nil || !bytes.Equal(got, Append([]byte("head"), &want)) {
		t.Errorf("got %x, %v", got, err)
	}
	got, err = Renumber(dst, body[:9], 1, 2)
	if err == nil || len(got) != 4 || &got[0] != &dst[0] || string(got) != "head" {
		t.Errorf("malformed body: got %x, %v, want dst as it was", got, err)
	}
}

func TestRenumberPanicsOnZero(t *testing.T) {
	body := Append(nil, &Fields{Action: "set"})
	for _, c := range [][2]uint64{{0, 1}, {1, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("epoch %d, seq %d: no panic", c[0], c[1])
				}
			}()
			_, _ = Renumber(nil, body, c[0], c[1])
		}()
	}
}

// validText agrees with the standard library wherever in the text something
// other than ASCII stands.
func TestValidText(t *testing.T) {
	for _, bit := range []string{"", "\x7f", "\x80", "\xff", "\u00e9", "\u4e16", "\U0001f600", "\xed\xa0\x80", "\xc0\x80", "\xe4\xb8"} {
		for n := range 100 {
			for at := range n + 1 {
				text := bytes.Repeat([]byte("0"), n)
				text = slices.Insert(text, at, []byte(bit)...)
				if got, want := validText(text), utf8.Valid(text); got != want {
					t.Fatalf("validText(%q) = %v, want %v", text, got, want)
				}
			}
		}
	}
}
