package envelope

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"
)

// peer.py unpacks bodies as a node does, and judges them by the rules of this
// package, written once more on top of Python's msgpack.
//
//go:embed testdata/peer.py
var peerScript string

// verdict is what peer.py says of one body.
type verdict struct {
	Error    string         // why Python's msgpack can't unpack it
	Event    map[string]any // the known keys, numbers as json.Number
	Decode   bool           // whether Decode must accept it
	Renumber bool           // whether Renumber must
}

// askPython runs Debian's Python, whose msgpack the nodes use, and not whichever
// comes first in PATH.
func askPython(t *testing.T, bodies [][]byte) []verdict {
	t.Helper()
	var in bytes.Buffer
	for _, body := range bodies {
		in.WriteString(hex.EncodeToString(body) + "\n")
	}
	cmd := exec.Command("/usr/bin/python3", "-c", peerScript)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			stderr = exit.Stderr
		}
		t.Fatalf("python3 with msgpack: %v\n%s\nhint: run `make deps`", err, stderr)
	}
	var list []verdict
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var v verdict
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("%v in %.200q", err, lines.Bytes())
		}
		list = append(list, v)
	}
	if len(list) != len(bodies) {
		t.Fatalf("%d verdicts of %d bodies", len(list), len(bodies))
	}
	return list
}

// asMap is f as a Python peer sees it.
func asMap(f Fields) map[string]any {
	m := map[string]any{"table": f.Table, "key": f.Key, "action": f.Action, "value": f.Value, "topic": f.Topic}
	for i, name := range []string{"table", "key", "action", "value", "topic"} {
		if f.Null&(1<<i) != 0 {
			m[name] = nil
		}
	}
	number := func(v uint64) json.Number {
		b, _ := json.Marshal(v)
		return json.Number(b)
	}
	if f.Seq != 0 {
		m["epoch"], m["seq"] = number(f.Epoch), number(f.Seq)
	}
	if f.HasVersion {
		m["version"] = number(f.Version)
	}
	return m
}

// A Python node reads what Append and Renumber write, as str and int under the
// names of the fields.
func TestPythonPeer(t *testing.T) {
	var bodies [][]byte
	var want []Fields
	add := func(body []byte, f Fields) {
		bodies = append(bodies, body)
		want = append(want, f)
	}
	for _, g := range goldenFrames(t) {
		f := g.event
		add(g.new, f)
		add(Append(nil, &f), f)
		f.Epoch, f.Seq, f.Version, f.HasVersion = 1<<64-1, 1<<32-1, 1<<63, true
		add(Append(nil, &f), f)
		f = numbered(g.event, testEpoch, testSeq)
		add(mustRenumber(t, g.new, testEpoch, testSeq), f)
		add(mustRenumber(t, g.old, testEpoch, testSeq), f)
		add(mustRenumber(t, mustRenumber(t, g.old, 1, 1), testEpoch, testSeq), f)
	}
	parts, f := fiveParts()
	f = numbered(f, testEpoch, testSeq)
	for _, form := range []string{"fixstr", "str8", "str16", "str32", "bin8", "bin16", "bin32"} {
		body := []byte{0x85}
		for _, p := range parts {
			body = append(body, stringForms(p[0])[form]...)
			body = append(body, stringForms(p[1])[form]...)
		}
		add(mustRenumber(t, body, testEpoch, testSeq), f)
	}
	for i, v := range askPython(t, bodies) {
		if v.Error != "" {
			t.Errorf("%.200x: %s", bodies[i], v.Error)
		} else if want := asMap(want[i]); !maps.Equal(v.Event, want) {
			t.Errorf("%.200x:\n got %.400v\nwant %.400v", bodies[i], v.Event, want)
		}
	}
}

// The codec accepts and refuses the same mutated bodies as Python's msgpack with
// our rules on top, and Python reads whatever Renumber lets pass.
func TestPythonAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var bodies [][]byte
	for range 6000 {
		bodies = append(bodies, mutate(r, randomBody(r)))
	}
	verdicts := askPython(t, bodies)
	var passed [][]byte
	var want []Fields
	accepted := 0
	for i, v := range verdicts {
		var f Fields
		err := Decode(bodies[i], &f)
		if (err == nil) != v.Decode {
			t.Errorf("Decode(%x): got %v, want accepted %v (%s)", bodies[i], err, v.Decode, v.Error)
		}
		if err == nil {
			accepted++
		}
		out, err := Renumber(nil, bodies[i], testEpoch, testSeq)
		if (err == nil) != v.Renumber {
			t.Errorf("Renumber(%x): got %v, want accepted %v (%s)", bodies[i], err, v.Renumber, v.Error)
		}
		if err == nil {
			passed = append(passed, out)
			want = append(want, mustDecode(t, out))
		}
	}
	if accepted < len(bodies)/10 || accepted > len(bodies)*9/10 {
		t.Errorf("%d of %d bodies accepted: the mutations test one side only", accepted, len(bodies))
	}
	for i, v := range askPython(t, passed) {
		if want := asMap(want[i]); v.Error != "" || !maps.Equal(v.Event, want) {
			t.Errorf("%x: got %v %s, want %v", passed[i], v.Event, v.Error, want)
		}
	}
}

// randomBody has the five keys and some others, in some order and form.
func randomBody(r *rand.Rand) []byte {
	names := []string{"table", "key", "action", "value", "topic"}
	for _, name := range []string{"epoch", "seq", "version", "x", "y"} {
		if r.IntN(3) == 0 {
			names = append(names, name)
		}
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	}
	body := []byte{0x80 | byte(len(names))}
	for _, name := range names {
		body = append(body, randomString(r, name)...)
		switch name {
		case "epoch", "seq", "version":
			if r.IntN(4) == 0 {
				body = append(body, randomValue(r, 4)...)
			} else {
				body = appendUint(body, randomNumber(r))
			}
		case "x", "y":
			body = append(body, randomValue(r, 4)...)
		case "action":
			body = append(body, randomString(r, "set")...)
		default:
			body = append(body, randomString(r, []string{"", "h\u00e9llo", "a longer text, of some words"}[r.IntN(3)])...)
		}
	}
	return body
}

func randomString(r *rand.Rand, s string) []byte {
	forms := stringForms(s)
	if token, ok := forms["fixstr"]; ok && r.IntN(2) == 0 {
		return token
	}
	names := slices.Sorted(maps.Keys(forms))
	return forms[names[r.IntN(len(names))]]
}

// randomValue is a token with any first byte, and what must follow it; mostly.
func randomValue(r *rand.Rand, depth int) []byte {
	tag := byte(r.UintN(256))
	if r.IntN(2) == 0 {
		tag = 0xc0 + byte(r.UintN(32))
	}
	some := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			if b[i] = byte(r.UintN(256)); r.IntN(2) == 0 {
				b[i] = 0
			}
		}
		return b
	}
	values := func(head []byte, n int, keys bool) []byte {
		for range n {
			if keys {
				head = append(head, randomString(r, "k")...)
			}
			if depth == 0 {
				head = append(head, tagNil)
			} else {
				head = append(head, randomValue(r, depth-1)...)
			}
		}
		return head
	}
	n := r.IntN(3)
	switch {
	case tag&0xf0 == tagFixmap:
		return values([]byte{tagFixmap | byte(n)}, n, true)
	case tag&0xf0 == tagFixarray:
		return values([]byte{tagFixarray | byte(n)}, n, false)
	case tag == tagArray16:
		return values([]byte{tag, 0, byte(n)}, n, false)
	case tag == tagArray32:
		return values([]byte{tag, 0, 0, 0, byte(n)}, n, false)
	case tag == tagMap16:
		return values([]byte{tag, 0, byte(n)}, n, true)
	case tag == tagMap32:
		return values([]byte{tag, 0, 0, 0, byte(n)}, n, true)
	case tag&0xe0 == tagFixstr, tag >= tagStr8 && tag <= tagStr32, isBin(tag):
		return randomString(r, "text")
	case tag >= tagFixext1 && tag <= tagFixext16:
		ext := append([]byte{tag}, some(1+1<<(tag-tagFixext1))...)
		if r.IntN(2) == 0 {
			ext[1] = 0xff
		}
		return ext
	case tag == tagExt8:
		n := []int{0, 4, 8, 12, 13}[r.IntN(5)]
		ext := append([]byte{tag, byte(n)}, some(1+n)...)
		if r.IntN(2) == 0 {
			ext[2] = 0xff
		}
		return ext
	case tag == tagFloat32:
		return append([]byte{tag}, some(4)...)
	case tag == tagFloat64:
		return append([]byte{tag}, some(8)...)
	case tag >= tagUint8 && tag <= tagInt64:
		return append([]byte{tag}, some(1<<((tag-tagUint8)&3))...)
	}
	return []byte{tag}
}

// mutate changes a few bytes of some bodies.
func mutate(r *rand.Rand, body []byte) []byte {
	for range r.IntN(3) {
		at := r.IntN(len(body))
		switch r.IntN(5) {
		case 0:
			body[at] ^= 1 << r.IntN(8)
		case 1:
			body[at] = 0xc0 + byte(r.UintN(32))
		case 2:
			body = slices.Insert(body, at, byte(r.UintN(256)))
		case 3:
			if len(body) > 1 {
				body = slices.Delete(body, at, at+1)
			}
		case 4:
			body[0]++
			body = append(append(body, fixstr("z")...), randomValue(r, 4)...)
		}
	}
	return body
}
