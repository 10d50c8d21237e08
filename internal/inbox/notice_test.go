package inbox

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var (
	alice = &driver.Source{Publisher: "alice", Epoch: 1}
	anew  = &driver.Source{Publisher: "alice", Epoch: 2}
)

// describe returns a message or a notice in short: "T", "T gap", "* gap alice/1".
func describe(m driver.Message) string {
	if m.Notice == driver.NoNotice {
		return string(m.Topic)
	}
	topic := string(m.Topic)
	if topic == "" {
		topic = "*"
	}
	s := topic + " " + m.Notice.String()
	if m.Source != nil && m.Source.Publisher != "" {
		s += fmt.Sprintf(" %s/%d", m.Source.Publisher, m.Source.Epoch)
	}
	return s
}

// A notice that is already there, with nothing in between, is not added again.
func TestNotices(t *testing.T) {
	message := func(topic string) driver.Message { return driver.Message{Topic: []byte(topic), Payload: []byte("x")} }
	notice := func(n driver.Notice, topic string, from *driver.Source) driver.Message {
		m := driver.Message{Notice: n, Source: from}
		if topic != "" {
			m.Topic = []byte(topic)
		}
		return m
	}
	const c, g, behind = driver.Confirmed, driver.Gap, driver.Behind
	take := driver.Message{Notice: driver.Notice(255)} // Receive one
	for _, v := range []struct {
		name string
		ops  []driver.Message
		want string
	}{
		{"once", []driver.Message{notice(g, "T", nil), notice(g, "T", nil), notice(g, "T", nil)}, "T gap"},
		{"about all once", []driver.Message{notice(g, "", nil), notice(g, "", nil)}, "* gap"},
		{"kinds", []driver.Message{notice(c, "T", nil), notice(g, "T", nil), notice(behind, "T", nil), notice(c, "T", nil), notice(g, "T", nil)},
			"T confirmed, T gap, T behind"},
		{"topics", []driver.Message{notice(g, "T", nil), notice(g, "U", nil), notice(g, "", nil), notice(g, "T", nil)}, "T gap, U gap, * gap"},
		{"sources", []driver.Message{notice(g, "T", alice), notice(g, "T", anew), notice(g, "T", nil), notice(g, "T", &driver.Source{Publisher: "alice", Epoch: 1})},
			"T gap alice/1, T gap alice/2, T gap"},
		{"addresses", []driver.Message{notice(g, "T", nil), notice(g, "T", &driver.Source{Address: "here"}), notice(g, "T", &driver.Source{Address: "there"})}, "T gap"},
		{"behind a message", []driver.Message{notice(g, "T", nil), message("T"), notice(g, "T", nil), notice(g, "T", nil)}, "T gap, T, T gap"},
		{"behind another topic's", []driver.Message{notice(g, "T", nil), message("U"), notice(g, "T", nil)}, "T gap, U"},
		{"all, behind a message", []driver.Message{notice(g, "", nil), message("U"), notice(g, "", nil)}, "* gap, U, * gap"},
		{"all, behind a notice", []driver.Message{notice(g, "", nil), notice(g, "U", nil), notice(g, "", nil)}, "* gap, U gap"},
		{"taken", []driver.Message{notice(g, "T", nil), take, notice(g, "T", nil)}, "T gap, T gap"},
		{"taken, of two", []driver.Message{notice(g, "T", nil), notice(c, "T", nil), take, notice(g, "T", nil), notice(c, "T", nil)},
			"T gap, T confirmed, T gap"},
		{"taken, but not the last", []driver.Message{notice(g, "T", nil), message("T"), notice(g, "T", nil), take, notice(g, "T", nil)},
			"T gap, T, T gap"},
	} {
		t.Run(v.name, func(t *testing.T) {
			b := New(1 << 20)
			var got []string
			for _, m := range v.ops {
				if m.Notice == take.Notice {
					got = append(got, describe(receive(t, b, 1)[0]))
					continue
				}
				b.Add(m)
			}
			for b.queue.length > 0 {
				got = append(got, describe(receive(t, b, 1)[0]))
			}
			if got := strings.Join(got, ", "); got != v.want {
				t.Errorf("got %s\nwant %s", got, v.want)
			}
			if b.notices.count != 0 || b.notices.last != nil {
				t.Errorf("left: %+v", b.notices)
			}
		})
	}
}

// Past the maximum a notice is about every topic, at its place, and those that
// wait stay. When there is room again, it is about its topic.
func TestMemoryOfNotices(t *testing.T) {
	b := New(1 << 20)
	const more = 1000
	for i := range MaxNotices + more {
		b.Tell(driver.Behind, fmt.Sprint(i), nil)
	}
	b.Tell(driver.Confirmed, "another", nil)
	b.Add(text("T", "x"))
	for i := range more {
		b.Tell(driver.Behind, fmt.Sprint("late ", i), nil)
	}
	if got, most := b.queue.length, MaxNotices+4; got > most {
		t.Errorf("%d wait, more than %d", got, most)
	}
	for i := range MaxNotices {
		if got, want := describe(receive(t, b, 1)[0]), fmt.Sprint(i, " behind"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	b.Tell(driver.Behind, "U", nil)
	for _, want := range []string{"* behind", "* confirmed", "T", "* behind", "U behind"} {
		if got := describe(receive(t, b, 1)[0]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Whatever is put and told and taken in whatever order: messages come in order,
// and each notice is there, about its topic or every one, at its place or with
// nothing of that topic in between. Notices are no more than topics and messages
// allow.
func TestNoticesKeepTheirPlace(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		b := New(1 << 30)
		if seed%3 == 0 {
			b.notices.count = MaxNotices - 20 // as if so many waited
		}
		topics := []string{"T", "U", "V"}
		kinds := []driver.Notice{driver.Confirmed, driver.Behind, driver.Gap}
		sources := []*driver.Source{nil, alice, anew}
		var want, got []driver.Message
		take := func(n int) {
			if n = min(n, b.queue.length); n > 0 {
				got = append(got, receive(t, b, n)...)
			}
		}
		waiting := 0
		for i := range 200 {
			topic := topics[random.IntN(len(topics))]
			switch random.IntN(10) {
			case 0, 1, 2:
				m := text(topic, fmt.Sprint(i))
				b.Add(m)
				want = append(want, m)
				waiting++
			case 3:
				take(random.IntN(8))
			default:
				if random.IntN(4) == 0 {
					topic = ""
				}
				m := driver.Message{Topic: []byte(topic), Notice: kinds[random.IntN(len(kinds))], Source: sources[random.IntN(len(sources))]}
				b.Add(m)
				want = append(want, m)
			}
			if most := waiting + len(kinds)*len(sources)*(len(topics)+1+waiting); b.queue.length > most {
				t.Fatalf("seed %d: %d wait, more than %d", seed, b.queue.length, most)
			}
		}
		take(b.queue.length)
		if err := places(want, got); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// places compares what was added with what was handed out.
func places(want, got []driver.Message) error {
	at := 0 // in got: what comes next belongs behind all of want so far
	for i, w := range want {
		if w.Notice == driver.NoNotice {
			for at < len(got) && got[at].Notice != driver.NoNotice {
				at++
			}
			if at == len(got) || string(got[at].Payload) != string(w.Payload) {
				return fmt.Errorf("message %d is not in its place", i)
			}
			at++
			continue
		}
		says := func(m driver.Message) bool {
			return m.Notice == w.Notice && (len(m.Topic) == 0 || string(m.Topic) == string(w.Topic)) &&
				(m.Source == w.Source || m.Source != nil && w.Source != nil && *m.Source == *w.Source)
		}
		found := false
		for k := at; k < len(got) && got[k].Notice != driver.NoNotice && !found; k++ {
			found = says(got[k])
		}
		for k := at - 1; k >= 0 && !found; k-- {
			if got[k].Notice == driver.NoNotice && (len(w.Topic) == 0 || string(got[k].Topic) == string(w.Topic)) {
				break
			}
			found = says(got[k])
		}
		if !found {
			return fmt.Errorf("notice %d, %s, is not there", i, describe(w))
		}
	}
	if at < len(got) {
		for _, m := range got[at:] {
			if m.Notice == driver.NoNotice {
				return fmt.Errorf("there is a message that nobody added")
			}
		}
	}
	return nil
}
