package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	d := func(name, value string, line int) entry { return entry{"DEFAULT", name, value, line} }
	df := func(name, value string, line int) entry { return entry{"df", name, value, line} }
	tests := []struct {
		name, text string
		want       []entry
		errs       []syntaxError
	}{
		{"empty file", "", nil, nil},
		{"equals sign", "[df]\na = b", []entry{df("a", "b", 2)}, nil},
		{"colon", "[df]\na: b", []entry{df("a", "b", 2)}, nil},
		{"the first of both divides", "a = b:c\nd: e=f", []entry{d("a", "b:c", 1), d("d", "e=f", 2)}, nil},
		{"no white space", "a=b", []entry{d("a", "b", 1)}, nil},
		{"empty value", "a =\nb:", []entry{d("a", "", 1), d("b", "", 2)}, nil},
		{"white space in a name", "a b = c", []entry{d("a b", "c", 1)}, nil},
		{"options before any group are of DEFAULT", "a = b\n[df]\nc = d", []entry{d("a", "b", 1), df("c", "d", 3)}, nil},
		{"comments at the start of a line", "# a = b\n; c = d\n#e\n;", nil, nil},
		{"no comments after a value", "a = b # c\nd = e ; f", []entry{d("a", "b # c", 1), d("d", "e ; f", 2)}, nil},
		{"repeated names are kept in order", "a = b\na = c", []entry{d("a", "b", 1), d("a", "c", 2)}, nil},
		{"repeated groups", "[df]\na = b\n[x]\n[df]\nc = d", []entry{df("a", "b", 2), df("c", "d", 5)}, nil},
		{"group kept as written", "[ DF ]\na = b", []entry{{" DF ", "a", "b", 2}}, nil},
		{"group with white space after it", "[df] \t\na = b", []entry{df("a", "b", 2)}, nil},

		{"continuation", "a = b\n  c\n\td  \ne = f", []entry{d("a", "b\nc\nd", 1), d("e", "f", 4)}, nil},
		{"continuation of an empty value", "a =\n b", []entry{d("a", "\nb", 1)}, nil},
		{"continuation may look like anything", "a = b\n # c\n [d]\n e = f", []entry{d("a", "b\n# c\n[d]\ne = f", 1)}, nil},
		{"continuation at the end of the file", "a = b\n c", []entry{d("a", "b\nc", 1)}, nil},
		{"white space alone is a blank line", "a = b\n  \nc = d", []entry{d("a", "b", 1), d("c", "d", 3)}, nil},

		{"double quotes", `a = " b "`, []entry{d("a", " b ", 1)}, nil},
		{"single quotes", `a = ' b '`, []entry{d("a", " b ", 1)}, nil},
		{"quotes that differ stay", `a = "b'`, []entry{d("a", `"b'`, 1)}, nil},
		{"quotes inside stay", `a = b "c"`, []entry{d("a", `b "c"`, 1)}, nil},
		{"one pair of quotes is removed", `a = ""b""`, []entry{d("a", `"b"`, 1)}, nil},
		{"a quote alone is removed", `a = "`, []entry{d("a", "", 1)}, nil},
		{"empty quotes", `a = ""`, []entry{d("a", "", 1)}, nil},

		{"line ends of three kinds", "a = b\r\nc = d\re = f\n", []entry{d("a", "b", 1), d("c", "d", 2), d("e", "f", 3)}, nil},
		{"byte order mark", "\ufeff[df]\na = b", []entry{df("a", "b", 2)}, nil},

		{"no equals sign", "[df]\nfoo\na = b", []entry{df("a", "b", 3)},
			[]syntaxError{{2, "neither [group] nor option = value"}}},
		{"no name", "= b", nil, []syntaxError{{1, "value without an option's name before it"}}},
		{"unterminated group hides what follows", "a = b\n[df\nc = d\n[x]\ne = f",
			[]entry{d("a", "b", 1), {"x", "e", "f", 5}}, []syntaxError{{2, "group without ] at the end of the line"}}},
		{"comment after a group", "[df] # x", nil, []syntaxError{{1, "group without ] at the end of the line"}}},
		{"group without a name", "[]\na = b", nil, []syntaxError{{1, "group without a name"}}},
		{"continuation of nothing, once for many lines", " a = b\n c\n\n d", nil, []syntaxError{
			{1, "white space at the start of the line, but no option above it to continue"},
			{4, "white space at the start of the line, but no option above it to continue"}}},
		{"a group ends a value", "a = b\n[df]\n c", []entry{d("a", "b", 1)},
			[]syntaxError{{3, "white space at the start of the line, but no option above it to continue"}}},
		{"a comment ends a value", "a = b\n# x\n c", []entry{d("a", "b", 1)},
			[]syntaxError{{3, "white space at the start of the line, but no option above it to continue"}}},
		{"a blank line ends a value", "a = b\n\n c", []entry{d("a", "b", 1)},
			[]syntaxError{{3, "white space at the start of the line, but no option above it to continue"}}},
		{"continuation of a bad line is part of it", "foo\n bar\na = b", []entry{d("a", "b", 3)},
			[]syntaxError{{1, "neither [group] nor option = value"}}},
		{"not UTF-8", "a = b\nc = \xff\nd = e", []entry{d("a", "b", 1)}, []syntaxError{{2, "not UTF-8 text"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, errs := parse([]byte(tt.text))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("entries: got %+v, want %+v", got, tt.want)
			}
			if !reflect.DeepEqual(errs, tt.errs) {
				t.Errorf("errors: got %v, want %v", errs, tt.errs)
			}
		})
	}
}

func TestParseStopsAfterManyErrors(t *testing.T) {
	_, errs := parse([]byte(strings.Repeat("foo\n", 1000)))
	if len(errs) != maxSyntaxErrors {
		t.Errorf("got %d errors, want %d", len(errs), maxSyntaxErrors)
	}
}

// FuzzParse: no input makes the parser panic or name a line that is not there.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "[df]\na = b\n c\n", "a: 'b'\r\n# c\r[x", "\ufeff[a]\n=\n b", "[]\n\xff", "a = \"\n\n\t\n ;", sample(options(), sections()),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, errs := parse(data)
		lines := 1 + strings.Count(string(data), "\n") + strings.Count(string(data), "\r")
		last := 0
		for _, e := range entries {
			if e.line <= last || e.line > lines {
				t.Errorf("entry %q at line %d after %d, of %d", e.name, e.line, last, lines)
			}
			if e.name == "" || e.group == "" || strings.TrimSpace(e.name) != e.name {
				t.Errorf("entry %q in group %q", e.name, e.group)
			}
			last = e.line
		}
		last = 0
		for _, e := range errs {
			if e.line <= last || e.line > lines || e.reason == "" {
				t.Errorf("error %q at line %d after %d, of %d", e.reason, e.line, last, lines)
			}
			last = e.line
		}
		if len(errs) > maxSyntaxErrors {
			t.Errorf("%d errors", len(errs))
		}
	})
}
