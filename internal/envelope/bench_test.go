package envelope

import (
	"fmt"
	"strings"
	"testing"
)

// portEvent is what a worker announces about a port: a value that makes the
// body about size bytes long.
func portEvent(size int) Fields {
	f := Fields{
		Table:   "lport",
		Key:     "0b1f6d4e-2a57-4d4f-9a43-51a0b6b1f0aa",
		Action:  "set",
		Topic:   "4f2e0f1bd1c64bd1a9b2f1d6b6a7c001",
		Version: 70000, HasVersion: true,
	}
	value := `{"id": "0b1f6d4e", "ips": ["10.0.0.6"], "macs": ["fa:16:3e:8c:2e:b3"], "name": ""}`
	pad := max(size-len(Append(nil, &f))-len(value)-1, 0)
	f.Value = value[:len(value)-2] + strings.Repeat("vm-1 ", pad/5+1)[:pad] + value[len(value)-2:]
	return f
}

func benchSizes(b *testing.B, run func(b *testing.B, f Fields, body []byte)) {
	for _, size := range []int{200, 700} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			f := portEvent(size)
			body := Append(nil, &f)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			run(b, f, body)
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	benchSizes(b, func(b *testing.B, f Fields, body []byte) {
		f.Epoch, f.Seq = 1<<63+5, 12345
		dst := make([]byte, 0, MaxSize(&f))
		for b.Loop() {
			dst = Append(dst[:0], &f)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	benchSizes(b, func(b *testing.B, f Fields, body []byte) {
		body, _ = Renumber(nil, body, 1<<63+5, 12345)
		var got Fields
		for b.Loop() {
			if err := Decode(body, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRenumber(b *testing.B) {
	benchSizes(b, func(b *testing.B, f Fields, body []byte) {
		dst := make([]byte, 0, len(body)+MaxGrowth)
		for b.Loop() {
			dst, _ = Renumber(dst[:0], body, 1<<63+5, 12345)
		}
	})
}

// BenchmarkMalformed is the price of a hostile worker's body.
func BenchmarkMalformed(b *testing.B) {
	benchSizes(b, func(b *testing.B, f Fields, body []byte) {
		dst := make([]byte, 0, len(body)+MaxGrowth)
		for b.Loop() {
			if _, err := Renumber(dst[:0], body[:len(body)-1], 1<<63+5, 12345); err == nil {
				b.Fatal("a truncated body was accepted")
			}
		}
	})
}

// BenchmarkFloor is one copy of the body: nothing that relays it costs less.
func BenchmarkFloor(b *testing.B) {
	benchSizes(b, func(b *testing.B, f Fields, body []byte) {
		dst := make([]byte, 0, len(body))
		for b.Loop() {
			dst = append(dst[:0], body...)
		}
	})
}

// BenchmarkFloorString is Decode's one allocation, with what it costs the
// garbage collector.
func BenchmarkFloorString(b *testing.B) {
	benchSizes(b, func(b *testing.B, f Fields, body []byte) {
		body, _ = Renumber(nil, body, 1<<63+5, 12345)
		for b.Loop() {
			sink = string(body)
		}
	})
}

var sink string
