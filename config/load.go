package config

import (
	"errors"
	"fmt"
	"strings"
)

// Load reads the sources and returns the effective configuration, or all that
// is wrong with it: an error that joins one for each mistake. It reads files
// and blocks as long as that takes.
func Load(s Sources) (*Config, error) {
	l := newLoader(options(), sections())
	l.readSources(s)
	return l.finish()
}

// A value is what the last source said of an option.
type value struct {
	text   string // before substitution
	source string
	layer  int // one for each file, variable and flag, rising
	alias  key // the deprecated name that was used, or zero
}

// A loader gathers values and turns them into a Config.
type loader struct {
	table     []option
	groups    []string        // ours, in order
	exclusive map[string]bool // groups that are ours alone
	options   map[key]*option // by current name
	aliases   map[key]key     // deprecated name -> current
	values    map[key]value   // of everybody's options
	expanded  map[key]expansion
	bad       map[key]bool // options whose value was refused
	layer     int
	errs      []error
	seen      map[string]bool // groups of drivers that this program does not have
	warnings  []string
}

func newLoader(table []option, sections []section) *loader {
	l := &loader{
		table:     table,
		exclusive: map[string]bool{},
		options:   map[key]*option{},
		aliases:   map[key]key{},
		values:    map[key]value{},
		expanded:  map[key]expansion{},
		bad:       map[key]bool{},
		seen:      map[string]bool{},
	}
	for _, s := range sections {
		l.groups = append(l.groups, s.group)
		l.exclusive[s.group] = s.exclusive
	}
	for i := range table {
		o := &table[i]
		l.options[o.key()] = o
		for _, a := range o.aliases {
			l.aliases[a] = o.key()
		}
	}
	return l
}

func (l *loader) canonical(k key) key {
	if current, ok := l.aliases[k]; ok {
		return current
	}
	return k
}

// known says whether k is an option of ours, under any name.
func (l *loader) known(k key) bool { return l.options[l.canonical(k)] != nil }

// names returns the options of a group of ours.
func (l *loader) names(group string) []string {
	var names []string
	for _, o := range l.table {
		if o.group == group {
			names = append(names, o.name)
		}
	}
	return names
}

// qualified returns the options of that name as group.name.
func (l *loader) qualified(name string) []string {
	var names []string
	for _, o := range l.table {
		if o.name == name {
			names = append(names, o.group+"."+o.name)
		}
	}
	return names
}

// put takes a value unless the same file has it under the current name, which
// wins over a deprecated one wherever it stands.
func (l *loader) put(k key, text, source string) {
	v := value{text: text, source: source, layer: l.layer}
	if current := l.canonical(k); current != k {
		v.alias = k
		k = current
	}
	if old, set := l.values[k]; set && v.alias != (key{}) && old.alias == (key{}) && old.layer == v.layer {
		return
	}
	l.values[k] = v
}

// value returns what the sources or the table say of an option.
func (l *loader) value(k key) value {
	if v, set := l.values[k]; set {
		return v
	}
	if o := l.options[k]; o != nil {
		return value{text: o.byDefault, source: sourceDefault}
	}
	return value{}
}

// finish sets the fields and checks them. Options that were set go first: a
// default is refused only because of what it refers to, and if that was
// refused, then once is enough.
func (l *loader) finish() (*Config, error) {
	c := &Config{sources: map[key]string{}, Warnings: l.warnings}
	for i := range l.table {
		o := &l.table[i]
		if v, set := l.values[o.key()]; set {
			c.sources[o.key()] = v.source
			l.assign(c, o)
			if v.alias != (key{}) {
				c.warn("%s: [%s] %s is deprecated; use [%s] %s", v.source, v.alias.group, v.alias.name, o.group, o.name)
			}
		}
	}
	for i := range l.table {
		o := &l.table[i]
		if _, set := l.values[o.key()]; !set && !l.refersToBad(o.key()) {
			l.assign(c, o)
		}
	}
	l.relate(c)
	if len(l.errs) > 0 {
		return nil, errors.Join(l.errs...)
	}
	first, setFirst := c.sources[keyMultiprocSocket]
	second, setSecond := c.sources[keyIPCSocket]
	if setFirst && setSecond && c.DF.PublisherMultiprocSocket != c.DFZMQ.IPCSocket {
		c.warn("%s: [df] publisher_multiproc_socket = %q is ignored, because [df_zmq] ipc_socket = %q (%s)",
			first, c.DF.PublisherMultiprocSocket, c.DFZMQ.IPCSocket, second)
	}
	return c, nil
}

func (c *Config) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// assign sets the field of an option.
func (l *loader) assign(c *Config, o *option) {
	k := o.key()
	x := l.expand(k, nil)
	if !x.ok {
		l.bad[k] = true
		return
	}
	err := o.set(c, x.text)
	if err == nil {
		return
	}
	reason := err.Error()
	if errors.Is(err, errInvalid) || x.secret { // the error may quote a part
		reason = "not " + o.valid
	}
	l.failValue(k, x, reason)
	l.bad[k] = true
}

// refersToBad says whether an option refers to one that was refused.
func (l *loader) refersToBad(k key) bool {
	for _, ref := range l.expand(k, nil).refs {
		if l.bad[ref] || l.refersToBad(ref) {
			return true
		}
	}
	return false
}

// relate checks what must hold between options.
func (l *loader) relate(c *Config) {
	for _, r := range relations() {
		a, b := l.options[key{"wyvern", r.name}], l.options[key{"wyvern", r.than}]
		if a == nil || b == nil || l.bad[a.key()] || l.bad[b.key()] || r.holds(&c.Wyvern) {
			continue
		}
		// Blame the one that was set, and say where the other comes from.
		source, from, to := l.value(a.key()).source, "", l.value(b.key()).source
		if source == sourceDefault {
			source, from, to = to, " ("+source+")", ""
		} else {
			to = " (" + to + ")"
		}
		l.fail(source, fmt.Errorf("[wyvern] %s = %s%s %s %s = %s%s", r.name, a.get(c), from, r.must, r.than, b.get(c), to))
	}
}

func (l *loader) fail(source string, err error) {
	l.errs = append(l.errs, fmt.Errorf("%s: %w", source, err))
}

// failValue reports the value of an option, before and after substitution.
func (l *loader) failValue(k key, x expansion, reason string) {
	v := l.value(k)
	text := quote(v.text)
	if x.text != v.text && x.ok {
		text += " (that is " + quote(x.text) + ")"
	}
	if x.secret {
		text = mask
	}
	name := k
	if v.alias != (key{}) {
		name = v.alias // as the person wrote it
	}
	l.fail(v.source, fmt.Errorf("[%s] %s = %s: %s", name.group, name.name, text, reason))
}

// maxQuoted is how much of a text an error shows, in bytes.
const maxQuoted = 120

func quote(s string) string { return fmt.Sprintf("%q", abbreviate(s)) }

func abbreviate(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "..."
}
