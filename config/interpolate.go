package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxExpansion bounds a value after substitution, in bytes: a few options
	// that each name the next one twice would fill the memory.
	maxExpansion = 64 << 10
	// maxChain bounds how many options may refer to one another in a row.
	maxChain = 64
)

// reference matches what oslo.config substitutes. A dollar that it does not
// match stands for itself.
var reference = regexp.MustCompile(`\$(?:(\$)|([A-Za-z_][A-Za-z0-9_.]*)|\{([A-Za-z_][A-Za-z0-9_.]*)\})`)

// An expansion is a value after substitution.
type expansion struct {
	text   string
	ok     bool  // false: the reason has been reported, at the option at fault
	refs   []key // the options that it refers to
	secret bool  // it is secret, or made of something that is
}

// expand returns the value of k, which must exist, after substitution. The
// chain holds the options that wait for this one.
func (l *loader) expand(k key, chain []key) expansion {
	if x, done := l.expanded[k]; done {
		return x
	}
	x := l.substitute(k, append(chain, k))
	l.expanded[k] = x
	return x
}

func (l *loader) substitute(k key, chain []key) expansion {
	x := expansion{ok: true}
	if o := l.options[k]; o != nil {
		x.secret = o.secret
	}
	text := strings.ReplaceAll(l.value(k).text, `\$`, `$$`)
	fail := func(format string, args ...any) {
		x.ok = false
		l.failValue(k, x, fmt.Sprintf(format, args...))
	}
	var b strings.Builder
	end := 0
	for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:m[0]])
		end = m[1]
		if m[2] >= 0 { // $$
			b.WriteByte('$')
			continue
		}
		name := text[max(m[4], m[6]):max(m[5], m[7])]
		to, found := l.find(k.group, name)
		switch {
		case !found:
			fail("$%s is not set anywhere (a dollar is written $$)", name)
			return x
		case slices.Contains(chain, to):
			fail("refers to itself: %s", describeCycle(chain, to))
			return x
		case len(chain) == maxChain:
			fail("more than %d options refer to one another in a row", maxChain)
			return x
		}
		ref := l.expand(to, chain)
		x.refs = append(x.refs, to)
		x.secret = x.secret || ref.secret
		if !ref.ok {
			x.ok = false
			return x
		}
		b.WriteString(ref.text)
		if b.Len() > maxExpansion {
			fail("longer than %s after substitution", formatSize(maxExpansion))
			return x
		}
	}
	b.WriteString(text[end:])
	x.text = b.String()
	return x
}

// find returns the option that $name means in a group: name of that group or
// of [DEFAULT], or group.name.
func (l *loader) find(group, name string) (key, bool) {
	candidates := []key{{group, name}, {"DEFAULT", name}}
	if g, n, dotted := strings.Cut(name, "."); dotted {
		candidates = []key{{normalizeGroup(g), n}}
	}
	for _, k := range candidates {
		k = l.canonical(k)
		if _, set := l.values[k]; set || l.options[k] != nil {
			return k, true
		}
	}
	return key{}, false
}

// describeCycle names the options from the one that closes the cycle to
// itself.
func describeCycle(chain []key, to key) string {
	var names []string
	for _, k := range append(chain[slices.Index(chain, to):len(chain):len(chain)], to) {
		names = append(names, k.group+"."+k.name)
	}
	return strings.Join(names, " -> ")
}
