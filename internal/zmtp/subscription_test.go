package zmtp

import (
	"bytes"
	"testing"
)

func TestSubscription(t *testing.T) {
	tests := []struct {
		name  string
		frame Frame
		op    SubscriptionOp
		topic string
		fault bool
	}{
		{name: "3.1 subscribe", frame: Frame{Command: true, Body: []byte("\x09SUBSCRIBEabc")}, op: Subscribe, topic: "abc"},
		{name: "3.1 subscribe to all", frame: Frame{Command: true, Body: []byte("\x09SUBSCRIBE")}, op: Subscribe},
		{name: "3.1 cancel", frame: Frame{Command: true, Body: []byte("\x06CANCELabc")}, op: Cancel, topic: "abc"},
		{name: "3.0 subscribe", frame: Frame{Body: []byte("\x01abc")}, op: Subscribe, topic: "abc"},
		{name: "3.0 subscribe to all", frame: Frame{Body: []byte("\x01")}, op: Subscribe},
		{name: "3.0 cancel", frame: Frame{Body: []byte("\x00abc")}, op: Cancel, topic: "abc"},
		{name: "binary topic", frame: Frame{Body: []byte("\x01\x00\xff")}, op: Subscribe, topic: "\x00\xff"},
		{name: "another message", frame: Frame{Body: []byte("\x02abc")}},
		{name: "empty message", frame: Frame{}},
		{name: "first of several frames", frame: Frame{More: true, Body: []byte("\x01abc")}},
		{name: "another command", frame: Frame{Command: true, Body: []byte("\x04PING\x00\x00")}},
		{name: "commands are in capitals", frame: Frame{Command: true, Body: []byte("\x09subscribeabc")}},
		{name: "command that looks like 3.0", frame: Frame{Command: true, Body: []byte("\x01abc")}},
		{name: "malformed command", frame: Frame{Command: true, Body: []byte("\x09SUB")}, fault: true},
		{name: "empty command", frame: Frame{Command: true}, fault: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op, topic, err := ParseSubscription(tt.frame)
			if tt.fault {
				wantKind(t, err, KindCommand, "")
			} else if err != nil {
				t.Fatal(err)
			}
			if op != tt.op || string(topic) != tt.topic {
				t.Errorf("got %v %q, want %v %q", op, topic, tt.op, tt.topic)
			}
		})
	}
}

func TestAppendSubscription(t *testing.T) {
	for _, tt := range []struct {
		append func([]byte, uint8, []byte) []byte
		minor  uint8
		want   string
	}{
		{AppendSubscribe, 0, "\x00\x04\x01abc"},
		{AppendSubscribe, 1, "\x04\x0d\x09SUBSCRIBEabc"},
		{AppendSubscribe, 2, "\x04\x0d\x09SUBSCRIBEabc"},
		{AppendCancel, 0, "\x00\x04\x00abc"},
		{AppendCancel, 1, "\x04\x0a\x06CANCELabc"},
	} {
		if got := string(tt.append([]byte("x"), tt.minor, []byte("abc"))); got != "x"+tt.want {
			t.Errorf("minor %d: got %q, want x and %q", tt.minor, got, tt.want)
		}
	}
}

func FuzzSubscription(f *testing.F) {
	for _, minor := range []uint8{0, 1} {
		f.Add(AppendSubscribe(nil, minor, []byte("abc")))
		f.Add(AppendCancel(nil, minor, bytes.Repeat([]byte("x"), 300)))
	}
	f.Add([]byte("\x04\x02\x09S"))
	f.Fuzz(func(t *testing.T, p []byte) {
		frame, _, need, err := ParseFrame(p, 1<<20)
		if err != nil || need > 0 {
			return
		}
		op, topic, err := ParseSubscription(frame)
		if err != nil {
			wantSafe(t, err.(*ProtocolError))
		}
		if op == NotSubscription {
			if len(topic) != 0 {
				t.Fatalf("topic %q of nothing", topic)
			}
			return
		}
		var minor uint8
		if frame.Command {
			minor = 1
		}
		back := AppendSubscribe
		if op == Cancel {
			back = AppendCancel
		}
		if got := back(nil, minor, topic); !bytes.HasSuffix(got, frame.Body) || len(got) != FrameSize(len(frame.Body)) {
			t.Fatalf("written back as %q, was %q", got, frame.Body)
		}
	})
}
