package config

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryFieldHasOneOption: no field of the three groups is without a row of
// the table, none has two, and it has the name that follows from the option's.
func TestEveryFieldHasOneOption(t *testing.T) {
	c := &Config{}
	fields := map[any]string{} // pointer -> Group.Field
	for _, group := range []any{&c.DF, &c.DFZMQ, &c.Wyvern} {
		v := reflect.ValueOf(group).Elem()
		for i := range v.NumField() {
			fields[v.Field(i).Addr().Interface()] = v.Type().Name() + "." + v.Type().Field(i).Name
		}
	}
	for _, o := range options() {
		want := strings.ReplaceAll(o.group+"."+o.name, "_", "")
		name, ok := fields[o.field(c)]
		if !ok {
			t.Errorf("[%s] %s: its field is another's too, or of no group", o.group, o.name)
			continue
		}
		delete(fields, o.field(c))
		if strings.ToLower(name) != want {
			t.Errorf("[%s] %s fills %s", o.group, o.name, name)
		}
	}
	for _, name := range fields {
		t.Errorf("%s has no option", name)
	}
}

func TestTableIsWellFormed(t *testing.T) {
	seen := map[key]bool{}
	groups := map[string]bool{}
	for _, s := range sections() {
		groups[s.group] = true
	}
	for _, o := range options() {
		if seen[o.key()] {
			t.Errorf("[%s] %s: defined twice", o.group, o.name)
		}
		seen[o.key()] = true
		if !groups[o.group] || len(o.name) > maxName || !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(o.name) {
			t.Errorf("[%s] %s: group or name", o.group, o.name)
		}
		if !strings.HasSuffix(o.help, ".") || o.typeName == "" || o.valid == "" {
			t.Errorf("[%s] %s: help %q, type %q, valid %q", o.group, o.name, o.help, o.typeName, o.valid)
		}
		c := &Config{}
		if !strings.Contains(o.byDefault, "$") {
			if err := o.set(c, o.byDefault); err != nil {
				t.Errorf("[%s] %s: default %q: %v", o.group, o.name, o.byDefault, err)
			} else if got := o.get(c); got != o.byDefault {
				t.Errorf("[%s] %s: default %q is printed as %q", o.group, o.name, o.byDefault, got)
			}
		}
	}
}

// TestFieldCommentsSayTheDefault keeps the comments of the structs true.
func TestFieldCommentsSayTheDefault(t *testing.T) {
	file, err := goparser.ParseFile(token.NewFileSet(), "config.go", nil, goparser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					comments[strings.ToLower(spec.Name.Name+"."+name.Name)] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
		return true
	})
	for _, o := range options() {
		comment := comments[strings.ReplaceAll(o.group+"."+o.name, "_", "")]
		value := o.byDefault
		if value == "" {
			value = "empty"
		}
		if o.group == "df" && o.unit == "seconds" {
			value += " s"
		}
		if !strings.Contains(comment, "(default "+value+")") && !strings.Contains(comment, "(default "+value+":") {
			t.Errorf("[%s] %s: the comment %q does not say (default %s)", o.group, o.name, comment, value)
		}
		if (o.generation == firstGeneration) != strings.Contains(comment, "First generation") {
			t.Errorf("[%s] %s: the comment %q and generation %v", o.group, o.name, comment, o.generation)
		}
	}
}

// testTable has what no option of ours has yet: deprecated names and secrets.
func testTable() ([]option, []section) {
	return []option{
		define(option{group: "df", name: "db", byDefault: "x", help: "Database.", aliases: []key{{"df", "old_db"}, {"database", "older"}}},
			aliasType(), func(c *Config) *string { return &c.DF.NBDBClass }),
		define(option{group: "df", name: "password", byDefault: "", help: "Password.", secret: true},
			identityType(), func(c *Config) *string { return &c.Wyvern.PublisherID }),
		define(option{group: "df", name: "hosts", byDefault: "", help: "Hosts."},
			listType("hosts", hostItem), func(c *Config) *[]string { return &c.DF.PublishersIPs }),
		define(option{group: "df", name: "secret_port", byDefault: "1", help: "Port.", secret: true},
			portType(), func(c *Config) *int { return &c.DF.PublisherPort }),
	}, []section{{"df", "Test.", false}}
}

func loadTestTable(t *testing.T, text string, sets ...string) (*Config, error) {
	t.Helper()
	inTempDir(t)
	l := newLoader(testTable())
	l.readSources(Sources{Files: []string{write(t, "x.ini", text)}, Sets: sets})
	return l.finish()
}

func TestDeprecatedNames(t *testing.T) {
	const warning = "x.ini:2: [df] old_db is deprecated; use [df] db"
	tests := []struct {
		name, text string
		sets       []string
		want       string
		warning    string
	}{
		{"in a file", "[df]\nold_db = a\n", nil, "a", warning},
		{"in a file, before the current name", "[df]\nold_db = a\ndb = b\n", nil, "b", ""},
		{"in a file, after the current name", "[df]\ndb = b\nold_db = a\n", nil, "b", ""},
		{"twice", "[df]\ndb = b\ndb = c\n", nil, "c", ""},
		{"in a later source", "[df]\ndb = b\n", []string{"df.old_db=c"}, "c", "--set: [df] old_db is deprecated; use [df] db"},
		{"replaced by a later source", "[df]\nold_db = a\n", []string{"df.db=c"}, "c", ""},
		{"in another group", "[Database]\nolder = a\n", nil, "a", "x.ini:2: [database] older is deprecated; use [df] db"},
		{"referred to", "[df]\nold_db = a\npassword = $old_db\n", nil, "a", warning},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := loadTestTable(t, tt.text, tt.sets...)
			if err != nil {
				t.Fatal(err)
			}
			if c.DF.NBDBClass != tt.want || strings.Join(c.Warnings, "\n") != tt.warning {
				t.Errorf("got %q, warnings %q; want %q, %q", c.DF.NBDBClass, c.Warnings, tt.want, tt.warning)
			}
		})
	}
	t.Run("errors name what was written", func(t *testing.T) {
		_, err := loadTestTable(t, "[df]\nold_db = a b\n")
		wantErrors(t, err, `x.ini:2: [df] old_db = "a b": not a name without white space`)
	})
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Run("in errors", func(t *testing.T) {
		_, err := loadTestTable(t, "[df]\npassword = pass word\nhosts = ${password},?\nsecret_port = hunter2\n")
		wantErrors(t, err,
			"x.ini:2: [df] password = ***: not an identity (at most 255 bytes, no white space)",
			"x.ini:3: [df] hosts = ***: not a comma-separated list of hosts",
			"x.ini:4: [df] secret_port = ***: not a port (0..65535)")
	})
	t.Run("in settings", func(t *testing.T) {
		c, err := loadTestTable(t, "[df]\npassword = hunter2\n")
		if err != nil {
			t.Fatal(err)
		}
		table, _ := testTable()
		got := map[string]string{}
		for _, s := range c.settings(table) {
			got[s.Name] = s.Value
		}
		want := map[string]string{"db": "x", "password": "***", "hosts": "", "secret_port": "***"}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if c.Wyvern.PublisherID != "hunter2" {
			t.Errorf("the option itself: got %q", c.Wyvern.PublisherID)
		}
	})
}

func TestSettings(t *testing.T) {
	inTempDir(t)
	c := mustLoad(t, Sources{
		Files: []string{write(t, "x.ini", "[df]\nlocal_ip = 192.0.2.1\n")},
		Env:   []string{"WYVERN_DF_ZMQ__IPC_SOCKET=/run/x"},
		Sets:  []string{"wyvern.retention=2048KiB"},
	})
	var order []string
	for _, o := range options() {
		order = append(order, o.group+"."+o.name)
	}
	var got []string
	for _, s := range c.Settings() {
		got = append(got, s.Group+"."+s.Name)
		if s.Help == "" {
			t.Errorf("%s.%s: no help", s.Group, s.Name)
		}
	}
	if !slices.Equal(got, order) {
		t.Errorf("order: got %v, want %v", got, order)
	}
	for _, want := range []Setting{
		{"df", "local_ip", "192.0.2.1", "127.0.0.1", "x.ini:2", ""},
		{"df", "publishers_ips", "192.0.2.1", "$local_ip", "default", ""},
		{"df", "publisher_timeout", "300", "300", "default", ""},
		{"df_zmq", "ipc_socket", "/run/x", defaultSocket, "environment WYVERN_DF_ZMQ__IPC_SOCKET", ""},
		{"wyvern", "retention", "2MiB", "64MiB", "--set", ""},
		{"wyvern", "publisher_id", "", "", "default", ""},
	} {
		s := setting(t, c, want.Group, want.Name)
		s.Help = ""
		if s != want {
			t.Errorf("got %+v, want %+v", s, want)
		}
	}
}
