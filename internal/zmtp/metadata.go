package zmtp

import (
	"encoding/binary"
	"math"
	"strings"
)

// Property is one entry of the metadata that peers exchange in the handshake. Names are 1 to 255 letters, digits and "-_.+", and
// compare without case; values are any bytes. Names that start with "X-" are for applications.
type Property struct{ Name, Value string }

// Metadata is what a peer says of itself.
type Metadata []Property

// The property that every peer sends.
const PropertySocketType = "Socket-Type"

// MaxProperties is how many properties a peer may send. Looking for duplicates costs the square of it.
const MaxProperties = 64

// Get returns the value of a property.
func (m Metadata) Get(name string) (string, bool) {
	for i := range m {
		if strings.EqualFold(m[i].Name, name) {
			return m[i].Value, true
		}
	}
	return "", false
}

// AppendMetadata appends the properties as they stand in READY. It panics for what ParseMetadata would refuse.
func AppendMetadata(dst []byte, m Metadata) []byte {
	if len(m) > MaxProperties {
		panic("zmtp: too many properties")
	}
	for i, p := range m {
		if !validName(p.Name) || len(p.Value) > math.MaxInt32 {
			panic("zmtp: bad property " + quote(p.Name))
		}
		if _, dup := m[:i].Get(p.Name); dup {
			panic("zmtp: duplicate property " + quote(p.Name))
		}
		dst = append(dst, byte(len(p.Name)))
		dst = append(dst, p.Name...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(p.Value)))
		dst = append(dst, p.Value...)
	}
	return dst
}

// ParseMetadata parses the data of READY. The result does not alias data; its memory is at most that of data and of MaxProperties
// entries. The error is a *ProtocolError of KindMetadata.
func ParseMetadata(data []byte) (Metadata, error) {
	var m Metadata
	rest := string(data) // one allocation that all names and values share
	for len(rest) > 0 {
		if len(m) == MaxProperties {
			return nil, errorf(KindMetadata, "more than %d properties", MaxProperties)
		}
		size := int(rest[0])
		if size == 0 {
			return nil, errorf(KindMetadata, "property name is empty")
		}
		if rest = rest[1:]; size > len(rest) {
			return nil, errorf(KindMetadata, "property name of %d bytes, %d are left", size, len(rest))
		}
		name := rest[:size]
		if !validName(name) {
			return nil, errorf(KindMetadata, "property name %s", quote(name))
		}
		if _, dup := m.Get(name); dup {
			return nil, errorf(KindMetadata, "property %s appears twice", quote(name))
		}
		if rest = rest[size:]; len(rest) < 4 {
			return nil, errorf(KindMetadata, "property %s ends in its size", quote(name))
		}
		value := uint32(rest[0])<<24 | uint32(rest[1])<<16 | uint32(rest[2])<<8 | uint32(rest[3])
		if rest = rest[4:]; uint64(value) > uint64(len(rest)) {
			return nil, errorf(KindMetadata, "property %s of %d bytes, %d are left", quote(name), value, len(rest))
		}
		m = append(m, Property{Name: name, Value: rest[:value]})
		rest = rest[value:]
	}
	return m, nil
}

func validName(name string) bool {
	if len(name) == 0 || len(name) > shortMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if lower := c | 0x20; lower >= 'a' && lower <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if c != '-' && c != '_' && c != '.' && c != '+' {
			return false
		}
	}
	return true
}
