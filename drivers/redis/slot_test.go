package redis

import (
	"path"
	"strconv"
	"strings"
	"testing"
)

// nasty are topics that mean something to Redis.
var nasty = []string{"*", "a*", "a?", "[ab]", "a", "ab", "{", "}", "{0}", "{a}b", "a}{b", " ", "a b", "\\*", "世界", strings.Repeat("x", 255), "__keyspace@0__:a"}

// TestKeys: no two topics share a key, a key leads back to its topic, and a
// cluster goes by the bucket, whatever braces a topic has.
func TestKeys(t *testing.T) {
	seen := make(map[string]string)
	for _, topic := range nasty {
		k := key("wyvern:", []byte(topic))
		if other, twice := seen[k]; twice {
			t.Errorf("%q and %q have the key %q", other, topic, k)
		}
		seen[k] = topic
		// A cluster's rule: what stands between the first { and the next }.
		_, rest, _ := strings.Cut(k, "{")
		tag, name, _ := strings.Cut(rest, "}")
		if tag != strconv.Itoa(bucket([]byte(topic))) || name != topic {
			t.Errorf("%q has the key %q: tag %q, name %q", topic, k, tag, name)
		}
	}
}

func TestSlots(t *testing.T) {
	// The check value of the specification of clusters.
	if got := crc16("123456789"); got != 0x31c3 {
		t.Errorf("got %x", got)
	}
	// What a server answers to CLUSTER KEYSLOT.
	if bucketSlots[0] != 13907 || bucketSlots[1] != 9842 {
		t.Errorf("got %v", bucketSlots)
	}
}

// TestPattern: all channels with a prefix match, and no others.
func TestPattern(t *testing.T) {
	for _, prefix := range []string{"", "p:", "p*", "p?", "[p]", `p\`} {
		for _, other := range append([]string{prefix + "x"}, nasty...) {
			// path.Match has the same special characters but for /.
			got, err := path.Match(pattern(prefix), strings.ReplaceAll(other, "/", ""))
			if err != nil || got != strings.HasPrefix(other, prefix) {
				t.Errorf("prefix %q, channel %q: %v, %v", prefix, other, got, err)
			}
		}
	}
}
