package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A valueType says how the text of an option becomes a value.
type valueType[T any] struct {
	name   string // for the sample: "port value"
	valid  string // what is valid, to follow "not" or "Valid:"
	parse  func(string) (T, error)
	format func(T) string // what parse reads back
}

// errInvalid is what parse returns when "not a ..." says it all.
var errInvalid = errors.New("not valid")

func identity(s string) string { return s }

// checked is a type of strings that pass a check.
func checked(name, valid string, check func(string) bool) valueType[string] {
	return valueType[string]{name, valid, func(s string) (string, error) {
		if !check(s) {
			return "", errInvalid
		}
		return s, nil
	}, identity}
}

// aliasType is a driver's alias; which ones exist is the registry's to know.
func aliasType() valueType[string] {
	return checked("string value", "a name without white space", func(s string) bool {
		return s != "" && !strings.ContainsFunc(s, unicode.IsSpace)
	})
}

// identityType is what a publisher may be called in the registry.
func identityType() valueType[string] {
	return checked("string value", "an identity (at most 255 bytes, no white space)", func(s string) bool {
		return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsSpace(r) || !unicode.IsPrint(r)
		})
	})
}

func transportType() valueType[string] {
	return checked("string value", "a transport (the scheme of a URI, such as tcp)", func(s string) bool {
		for i, r := range s {
			letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
			if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
				return false
			}
		}
		return s != ""
	})
}

// bindType is an address, a host name or, as ZeroMQ has it, an interface.
func bindType() valueType[string] {
	t := checked("string value", "a local address, interface or *", func(s string) bool {
		return s != "" && !strings.ContainsRune(s, '/') && !strings.ContainsFunc(s, unicode.IsSpace)
	})
	check := t.parse
	t.parse = func(s string) (string, error) { return check(unbracket(s)) }
	return t
}

// maxSocketPath is the longest path that fits in Linux's sockaddr_un.
const maxSocketPath = 107

func socketType() valueType[string] {
	valid := fmt.Sprintf("a socket's path (1..%d bytes, not a URI)", maxSocketPath)
	return checked("string value", valid, func(s string) bool {
		return s != "" && len(s) <= maxSocketPath && isPath(s) && !strings.Contains(s, "://")
	})
}

// pathType is the path of a file or directory, or empty.
func pathType() valueType[string] {
	return checked("string value", "a path", isPath)
}

func isPath(s string) bool { return !strings.ContainsAny(s, "\x00\n") }

func choiceType(choices ...string) valueType[string] {
	valid := "one of " + strings.Join(choices, ", ")
	return valueType[string]{"string value", valid, func(s string) (string, error) {
		for _, c := range choices {
			if strings.EqualFold(s, c) {
				return c, nil
			}
		}
		return "", errInvalid
	}, identity}
}

func ipType() valueType[string] {
	return checked("IP address value", "an IP address", func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && a.Zone() == "" // inet_pton, which oslo.config asks, knows no zones
	})
}

func boolType() valueType[bool] {
	return valueType[bool]{"boolean value", "a boolean (true, 1, yes, on, or false, 0, no, off)",
		func(s string) (bool, error) {
			switch strings.ToLower(strings.TrimSpace(s)) {
			case "true", "1", "yes", "on":
				return true, nil
			case "false", "0", "no", "off":
				return false, nil
			}
			return false, errInvalid
		}, strconv.FormatBool}
}

func intType(low, high int) valueType[int] {
	return valueType[int]{"integer value", fmt.Sprintf("a whole number (%d..%d)", low, high),
		func(s string) (int, error) {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil || n < low || n > high {
				return 0, errInvalid
			}
			return n, nil
		}, strconv.Itoa}
}

func portType() valueType[int] {
	t := intType(0, math.MaxUint16)
	t.name, t.valid = "port value", "a port (0..65535)"
	return t
}

// maxSeconds is about 68 years, what Dragonflow's C libraries can wait.
const maxSeconds = math.MaxInt32

// secondsType is Dragonflow's: a whole number of seconds.
func secondsType(low int) valueType[time.Duration] {
	n := intType(low, maxSeconds)
	return valueType[time.Duration]{n.name, fmt.Sprintf("a whole number of seconds (%d..%d)", low, maxSeconds),
		func(s string) (time.Duration, error) {
			v, err := n.parse(s)
			return time.Duration(v) * time.Second, err
		}, formatSeconds}
}

// floatSecondsType is Dragonflow's: seconds, with a fraction.
func floatSecondsType() valueType[time.Duration] {
	return valueType[time.Duration]{"floating point value", fmt.Sprintf("a number of seconds (above 0, up to %d)", maxSeconds),
		func(s string) (time.Duration, error) {
			d, ok := parseSeconds(strings.TrimSpace(s))
			if !ok || d <= 0 {
				return 0, errInvalid
			}
			return d, nil
		}, formatSeconds}
}

// durationType is ours: a number with Go's units, or of seconds.
func durationType(low, high time.Duration) valueType[time.Duration] {
	return valueType[time.Duration]{"duration value",
		fmt.Sprintf("a duration (%s..%s, in seconds or with ms, s, m, h)", formatDuration(low), formatDuration(high)),
		func(s string) (time.Duration, error) {
			s = strings.TrimSpace(s)
			d, ok := parseSeconds(s)
			if !ok {
				var err error
				d, err = time.ParseDuration(s)
				ok = err == nil
			}
			if !ok || d < low || d > high {
				return 0, errInvalid
			}
			return d, nil
		}, formatDuration}
}

func parseSeconds(s string) (time.Duration, bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > maxSeconds {
		return 0, false
	}
	return time.Duration(math.Round(f * float64(time.Second))), true
}

func formatSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// formatDuration is Duration.String without the zeros: 1h, not 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// sizeUnits are the suffixes of a size, in any case; the binary ones first and
// falling, for formatSize.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"G", 1e9}, {"M", 1e6}, {"k", 1e3},
}

// binaryUnits is how many of sizeUnits are powers of two.
const binaryUnits = 3

// sizeType is a number of bytes.
func sizeType(low, high int64) valueType[int64] {
	return valueType[int64]{"size value",
		fmt.Sprintf("a size (%s..%s, in bytes or with KiB, MiB, GiB, k, M, G)", formatSize(low), formatSize(high)),
		func(s string) (int64, error) {
			s = strings.TrimSpace(s)
			unit := int64(1)
			for _, u := range sizeUnits {
				if n := len(s) - len(u.suffix); n > 0 && strings.EqualFold(s[n:], u.suffix) {
					s, unit = strings.TrimSpace(s[:n]), u.bytes
					break
				}
			}
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < 0 || n > math.MaxInt64/unit || n*unit < low || n*unit > high {
				return 0, errInvalid
			}
			return n * unit, nil
		}, formatSize}
}

// formatSize writes a size with the largest binary unit that divides it.
func formatSize(n int64) string {
	for _, u := range sizeUnits[:binaryUnits] {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// listType is a list of items, separated by commas, as oslo.config splits it:
// commas at the end don't count, white space around an item neither. Unlike
// there an item between two commas may not be empty; none of our lists has a
// use for it.
func listType(valid string, item func(string) (string, bool)) valueType[[]string] {
	return valueType[[]string]{"list value", "a comma-separated list of " + valid,
		func(s string) ([]string, error) {
			s = strings.TrimRight(strings.TrimSpace(s), ",")
			if s == "" {
				return nil, nil
			}
			var list []string
			for part := range strings.SplitSeq(s, ",") {
				part = strings.TrimSpace(part)
				v, ok := item(part)
				if !ok {
					return nil, fmt.Errorf("%s is not one of %s", quote(part), valid)
				}
				list = append(list, v)
			}
			return list, nil
		}, func(list []string) string { return strings.Join(list, ",") }}
}

func tableItem(s string) (string, bool) {
	return s, s != "" && !strings.ContainsFunc(s, unicode.IsSpace)
}

// hostItem is an address or a host name. Brackets around IPv6 are removed.
func hostItem(s string) (string, bool) {
	host := unbracket(s)
	if _, err := netip.ParseAddr(host); err == nil {
		return host, true
	}
	return host, isHostName(host)
}

// hostPortItem is host:port. IPv6 gets the brackets that it lacks when it
// comes from $remote_db_ip.
func hostPortItem(s string) (string, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", false
	}
	host, ok := hostItem(s[:i])
	if !ok {
		return "", false
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), err == nil
}

// unbracket removes the brackets around an IPv6 address.
func unbracket(s string) string {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return s
	}
	inner, ok = strings.CutSuffix(inner, "]")
	if a, err := netip.ParseAddr(inner); !ok || err != nil || !a.Is6() {
		return s
	}
	return inner
}

// isHostName follows oslo.config's HostDomain: RFC 1123 and the underscore.
// Digits alone in the last label are a mistyped IPv4 address.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool {
				return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			}) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}
