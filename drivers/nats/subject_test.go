package nats

import (
	"strings"
	"testing"
)

// nasty are topics that would be something else as a part of a subject.
var nasty = []string{
	"a", "A", "ab", "a.b", "a.", ".a", ".", "..", "*", ">", "a.*", "a.>", "a*", "a>", " ", "a b", "\t", "\r\n", "%", "%2A", "%2a", "%%", "%25",
	"$JS.API.>", "_INBOX.x", "wyvern:beats", "wyvern.a", "Straße", "世界", "\x00", "\x7f", "é", "/", "\\", "'", "\"", "-", "_", ":", "+", "=", strings.Repeat("*", 255), strings.Repeat("世", 85),
}

func TestSubjectsAreReversible(t *testing.T) {
	s := subjects{"wyvern."}
	seen := make(map[string]string)
	for _, topic := range nasty {
		subject := s.of(topic)
		if other, twice := seen[subject]; twice {
			t.Errorf("%q and %q have one subject: %s", topic, other, subject)
		}
		seen[subject] = topic
		checkSubject(t, s, topic)
	}
}

func checkSubject(t *testing.T, s subjects, topic string) {
	t.Helper()
	subject := s.of(topic)
	tok, ok := strings.CutPrefix(subject, s.prefix)
	if !ok || tok == "" || strings.ContainsAny(tok, ".*> \t\r\n\x00") {
		t.Errorf("%q: the subject %q is not one token below the prefix", topic, subject)
	}
	if len(subject) > 3*255+len(s.prefix) {
		t.Errorf("%q: the subject has %d bytes", topic, len(subject))
	}
	if back, err := s.topic(subject); err != nil || back != topic {
		t.Errorf("%q became %q and that %q, %v", topic, subject, back, err)
	}
}

func TestSubjectsOfOthers(t *testing.T) {
	s := subjects{"wyvern."}
	for _, subject := range []string{
		"", "wyvern", "wyvern.", "other.a", "wyvern.a.b", "wyvern.%", "wyvern.%2", "wyvern.%2a", "wyvern.%41", "wyvern.%GG", "wyvern.a b", "wyvern.*", "wyvern.>", "wyvern.ü",
	} {
		if topic, err := s.topic(subject); err == nil {
			t.Errorf("%q was understood as %q: no topic has that subject", subject, topic)
		}
	}
}

// FuzzSubject checks both ways: every topic has a subject of its own, and what
// is understood as a topic is what that topic's subject is.
func FuzzSubject(f *testing.F) {
	for _, topic := range nasty {
		f.Add(topic)
	}
	s := subjects{"p.q."}
	f.Fuzz(func(t *testing.T, text string) {
		if text != "" && len(text) <= 255 {
			checkSubject(t, s, text)
		}
		if topic, err := s.topic("p.q." + text); err == nil && s.of(topic) != "p.q."+text {
			t.Errorf("%q was understood as %q, which has the subject %q", text, topic, s.of(topic))
		}
	})
}

func TestPrefixes(t *testing.T) {
	for _, good := range []string{"wyvern", "a.b.c", "A-1_:x"} {
		if err := checkPrefix(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "a.", ".a", "a..b", "*", "a.>", "a b", "$JS", "ü", strings.Repeat("a", 201)} {
		if checkPrefix(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		wide, narrow string
		want         bool
	}{
		{"a.*", "a.*", true}, {"a.>", "a.*", true}, {">", "a.*", true}, {"*.*", "a.*", true}, {"*.>", "a.b.*", true},
		{"a", "a.*", false}, {"a.b", "a.*", false}, {"b.*", "a.*", false}, {"a.*.*", "a.*", false}, {"a.*", "a.b.*", false}, {"a.b.*.>", "a.b.*", false},
	} {
		if got := covers(c.wide, c.narrow); got != c.want {
			t.Errorf("covers(%s, %s) = %v", c.wide, c.narrow, got)
		}
	}
}

func TestParseReply(t *testing.T) {
	for reply, want := range map[string]delivery{
		"$JS.ACK.stream.consumer.1.22.3.1700000000.4":                {"consumer", 3, 22},
		"$JS.ACK.hub.account.stream.consumer.1.22.3.1700000000.4.rn": {"consumer", 3, 22},
		"$JS.ACK._.account.stream.consumer.1.22.3.1700000000.4":      {"consumer", 3, 22},
	} {
		if got, ok := parseReply(reply); !ok || got != want {
			t.Errorf("%s: got %+v, %v", reply, got, ok)
		}
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add("$JS.ACK.stream.consumer.1.22.3.1700000000.4")
	f.Add("$JS.ACK.hub.account.stream.consumer.1.22.3.1700000000.4.rn")
	f.Add("$JS.ACK.........")
	f.Fuzz(func(t *testing.T, reply string) {
		if d, ok := parseReply(reply); ok && !strings.Contains(reply, d.consumer) {
			t.Errorf("%q: %+v", reply, d)
		}
	})
}
