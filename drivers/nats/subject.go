package nats

import (
	"errors"
	"fmt"
	"strings"
)

const hexDigits = "0123456789ABCDEF"

// safe are the bytes of a topic that stand for themselves in a subject.
func safe(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_' || b == ':'
}

// token returns the one token of a subject that stands for a topic. What is
// not safe, wildcards and separators above all, becomes % and two digits.
func token(topic string) string {
	unsafe := 0
	for i := range len(topic) {
		if !safe(topic[i]) {
			unsafe++
		}
	}
	if unsafe == 0 {
		return topic
	}
	var b strings.Builder
	b.Grow(len(topic) + 2*unsafe)
	for i := range len(topic) {
		if c := topic[i]; safe(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

var errToken = errors.New("not the token of a topic")

// topicOf returns the topic that a token stands for. There is one token for
// each topic: any other way to write it is an error.
func topicOf(tok string) (string, error) {
	if tok == "" {
		return "", errToken
	}
	b := make([]byte, 0, len(tok))
	for i := 0; i < len(tok); i++ {
		switch c := tok[i]; {
		case safe(c):
			b = append(b, c)
		case c == '%' && i+2 < len(tok):
			high, low := strings.IndexByte(hexDigits, tok[i+1]), strings.IndexByte(hexDigits, tok[i+2])
			if high < 0 || low < 0 || safe(byte(high<<4|low)) {
				return "", errToken
			}
			b = append(b, byte(high<<4|low))
			i += 2
		default:
			return "", errToken
		}
	}
	return string(b), nil
}

// subjects maps topics to subjects below a prefix, and back.
type subjects struct{ prefix string } // with its dot

func (s subjects) of(topic string) string { return s.prefix + token(topic) }

// all is the pattern that every subject of a topic matches.
func (s subjects) all() string { return s.prefix + "*" }

func (s subjects) topic(subject string) (string, error) {
	tok, ok := strings.CutPrefix(subject, s.prefix)
	if !ok {
		return "", errToken
	}
	return topicOf(tok)
}

// checkPrefix reports what can't stand before topics.
func checkPrefix(prefix string) error {
	if len(prefix) > 200 {
		return fmt.Errorf("longer than 200 bytes")
	}
	for tok := range strings.SplitSeq(prefix, ".") {
		if tok == "" {
			return errors.New("an empty token")
		}
		for i := range len(tok) {
			if !safe(tok[i]) {
				return fmt.Errorf("%q in a token", tok[i])
			}
		}
	}
	return nil
}

// cache remembers the subjects of topics. It belongs to one goroutine.
type cache struct {
	subjects subjects
	known    map[string]string
}

// maxCached bounds a cache; then it begins anew.
const maxCached = 1 << 16

func (c *cache) of(topic []byte) string {
	if s, ok := c.known[string(topic)]; ok {
		return s
	}
	if c.known == nil || len(c.known) >= maxCached {
		c.known = make(map[string]string)
	}
	s := c.subjects.of(string(topic))
	c.known[string(topic)] = s
	return s
}
