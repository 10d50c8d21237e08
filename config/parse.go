package config

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSyntaxErrors bounds what is reported of one file: what is no
// configuration file at all has an error in every line.
const maxSyntaxErrors = 10

// An entry is one assignment in a file.
type entry struct {
	group, name, value string
	line               int // of the name, from 1
}

// A syntaxError is a line that the dialect does not allow.
type syntaxError struct {
	line   int // from 1
	reason string
}

// parse reads oslo.config's INI dialect. It goes on after an error, with what
// the bad line would have begun left out, so that one mistake makes one error.
func parse(data []byte) ([]entry, []syntaxError) {
	p := parser{group: "DEFAULT"}
	for data = bytes.TrimPrefix(data, []byte("\ufeff")); len(data) > 0; {
		var line []byte
		line, data = cutLine(data)
		p.line++
		if !utf8.Valid(line) {
			p.fail("not UTF-8 text")
			break // most likely the whole file is in another encoding
		}
		if p.parseLine(strings.TrimRightFunc(string(line), unicode.IsSpace)); len(p.errs) == maxSyntaxErrors {
			break
		}
	}
	p.flush()
	return p.entries, p.errs
}

// cutLine cuts the first line off data. Like Python, it takes \n, \r\n and a
// lone \r for the end of a line.
func cutLine(data []byte) (line, rest []byte) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0:
		return data, nil
	case data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n':
		return data[:i], data[i+2:]
	default:
		return data[:i], data[i+1:]
	}
}

type parser struct {
	entries []entry
	errs    []syntaxError
	line    int
	group   string // empty after a bad group line: what follows is nobody's
	open    entry  // the assignment that a continuation line would continue
	isOpen  bool
	values  []string // lines of the open assignment
	skip    bool     // continuation lines belong to a bad line
}

func (p *parser) parseLine(line string) {
	switch {
	case line == "":
		p.flush()
	case line[0] == ' ' || line[0] == '\t':
		switch {
		case p.isOpen:
			p.values = append(p.values, strings.TrimLeftFunc(line, unicode.IsSpace))
		case !p.skip:
			p.fail("white space at the start of the line, but no option above it to continue")
		}
	default:
		p.flush()
		switch line[0] {
		case '[':
			p.parseGroup(line)
		case '#', ';':
		default:
			p.parseAssignment(line)
		}
	}
}

func (p *parser) parseGroup(line string) {
	p.group = ""
	switch {
	case !strings.HasSuffix(line, "]"):
		p.fail("group without ] at the end of the line")
	case len(line) <= 2:
		p.fail("group without a name")
	default:
		p.group = line[1 : len(line)-1]
	}
}

func (p *parser) parseAssignment(line string) {
	i := strings.IndexAny(line, "=:")
	if i < 0 {
		p.fail("neither [group] nor option = value")
		return
	}
	name := strings.TrimSpace(line[:i])
	if name == "" {
		p.fail("value without an option's name before it")
		return
	}
	p.open = entry{group: p.group, name: name, line: p.line}
	p.isOpen = true
	p.values = append(p.values[:0], unquote(strings.TrimSpace(line[i+1:])))
}

// unquote removes quotes as oslo.config does: if the first and the last byte
// are the same quote, be it the very same byte.
func unquote(s string) string {
	if s == "" || s[0] != s[len(s)-1] || (s[0] != '"' && s[0] != '\'') {
		return s
	}
	if len(s) == 1 {
		return ""
	}
	return s[1 : len(s)-1]
}

// flush ends the open assignment.
func (p *parser) flush() {
	p.skip = false
	if !p.isOpen {
		return
	}
	p.isOpen = false
	if p.group != "" {
		p.open.value = strings.Join(p.values, "\n")
		p.entries = append(p.entries, p.open)
	}
}

func (p *parser) fail(reason string) {
	p.errs = append(p.errs, syntaxError{p.line, reason})
	p.skip = true
}
