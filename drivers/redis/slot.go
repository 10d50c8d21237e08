package redis

import (
	"hash/fnv"
	"strconv"
)

// Topics are spread over buckets. In a cluster the streams of a bucket are in
// one slot, so that one command reads all of them; and a subscriber needs no
// more connections than there are buckets, whatever it holds. The number is
// part of the keys: to change it is to lose who has another one.
const (
	buckets = 16
	slots   = 16384
)

// bucket returns the bucket of a topic.
func bucket(topic []byte) int {
	h := fnv.New32a()
	_, _ = h.Write(topic)
	return int(h.Sum32() % buckets)
}

// key returns the key of a topic's stream: the prefix, the bucket in braces,
// which is what a cluster goes by, and the topic as it is.
func key(prefix string, topic []byte) string {
	return prefix + "{" + strconv.Itoa(bucket(topic)) + "}" + string(topic)
}

// bucketSlots are the slots of the buckets.
var bucketSlots = func() (list [buckets]int) {
	for i := range list {
		list[i] = int(crc16(strconv.Itoa(i)) % slots)
	}
	return list
}()

// crc16 is CRC-16/XMODEM, by which clusters compute slots.
func crc16(text string) uint16 {
	var crc uint16
	for i := range len(text) {
		crc ^= uint16(text[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
