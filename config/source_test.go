package config

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// TestPrecedence adds one source at a time; each wins over those before.
func TestPrecedence(t *testing.T) {
	inTempDir(t)
	if err := os.MkdirAll("d1/50-dir.conf.d", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("d2", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "a.ini", "[df]\npublisher_port = 1\npublisher_port = 2\n")
	write(t, "b.ini", "[DF]\n\npublisher_port = 3\n")
	write(t, "d1/10.conf", "[df]\npublisher_port = 4\n")
	write(t, "d1/9.conf", "[df]\npublisher_port = 5\n") // sorted by name, not by number
	write(t, "d1/.hidden.conf", "no configuration at all\n")
	write(t, "d1/z.ini", "[df]\npublisher_port = 99\n")
	write(t, "d1/z.conf~", "no configuration at all\n")
	write(t, "d2/1.conf", "[df]\npublisher_port = 6\n")
	var s Sources
	steps := []struct {
		add    func()
		port   int
		source string
	}{
		{func() {}, 8866, "default"},
		{func() { s.Files = append(s.Files, "a.ini") }, 2, "a.ini:3"},
		{func() { s.Files = append(s.Files, "b.ini") }, 3, "b.ini:3"},
		{func() { s.Dirs = append(s.Dirs, "d1") }, 5, "d1/9.conf:2"},
		{func() { s.Dirs = append(s.Dirs, "d2") }, 6, "d2/1.conf:2"},
		{func() { s.Env = []string{"PATH=/bin", "WYVERN_DF__PUBLISHER_PORT=7"} }, 7, "environment WYVERN_DF__PUBLISHER_PORT"},
		{func() { s.Sets = append(s.Sets, "df.publisher_port=8") }, 8, "--set"},
		{func() { s.Sets = append(s.Sets, "DF.publisher_port=9") }, 9, "--set"},
	}
	for _, step := range steps {
		step.add()
		c := mustLoad(t, s)
		got := setting(t, c, "df", "publisher_port")
		if c.DF.PublisherPort != step.port || got.Source != step.source {
			t.Errorf("%+v: got port %d from %q, want %d from %q", s, c.DF.PublisherPort, got.Source, step.port, step.source)
		}
	}
}

func TestUnreadableFiles(t *testing.T) {
	inTempDir(t)
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "file", "")
	write(t, "latin1.ini", "[df]\n# stra\xdfe\n")
	write(t, "utf16.ini", "\xff\xfe[\x00d\x00f\x00]\x00")
	write(t, "huge.ini", strings.Repeat("#", maxFileSize+1))
	write(t, "junk.ini", strings.Repeat("junk\n", 20))
	if err := os.Mkdir("dir2", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("dir2/x.conf", 0o700); err != nil {
		t.Fatal(err)
	}
	var junk []string
	for _, n := range strings.Fields("1 2 3 4 5 6 7 8 9 10") {
		junk = append(junk, "junk.ini:"+n+": neither [group] nor option = value")
	}
	tests := []struct {
		name string
		s    Sources
		want []string
		is   error
	}{
		{"missing file", Sources{Files: []string{"no.ini"}}, []string{"no.ini: no such file or directory"}, fs.ErrNotExist},
		{"directory as a file", Sources{Files: []string{"dir"}}, []string{"dir: a directory, not a file (directories are given with --config-dir)"}, nil},
		{"missing directory", Sources{Dirs: []string{"no.d"}}, []string{"no.d: no such file or directory"}, fs.ErrNotExist},
		{"file as a directory", Sources{Dirs: []string{"file"}}, []string{"file: a file, not a directory (files are given with --config-file)"}, nil},
		{"directory in a directory", Sources{Dirs: []string{"dir2"}}, []string{"dir2/x.conf: a directory, not a file (directories are given with --config-dir)"}, nil},
		{"Latin-1", Sources{Files: []string{"latin1.ini"}}, []string{"latin1.ini:2: not UTF-8 text"}, nil},
		{"UTF-16", Sources{Files: []string{"utf16.ini"}}, []string{"utf16.ini:1: not UTF-8 text"}, nil},
		{"too large", Sources{Files: []string{"huge.ini"}}, []string{"huge.ini: larger than 4MiB"}, nil},
		{"junk", Sources{Files: []string{"junk.ini"}}, append(junk, "junk.ini: too many errors, the rest was not read"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(tt.s)
			wantErrors(t, err, tt.want...)
			if c != nil {
				t.Error("a Config besides the error")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
		})
	}
	t.Run("no permission", func(t *testing.T) {
		if os.Getuid() == 0 {
			t.Skip("root may read everything")
		}
		if err := os.Chmod("file", 0); err != nil {
			t.Fatal(err)
		}
		_, err := Load(Sources{Files: []string{"file"}})
		wantErrors(t, err, "file: permission denied")
	})
}

func TestFileOfTheLargestSize(t *testing.T) {
	text := "[df]\npublisher_port = 1\n"
	c, err := loadText(t, text+strings.Repeat("#", maxFileSize-len(text)))
	if err != nil || c.DF.PublisherPort != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestUnknownOptions(t *testing.T) {
	wyvern := strings.Join(newLoader(options(), sections()).names("wyvern"), ", ")
	tests := []struct {
		name string
		file string
		env  []string
		sets []string
		want []string
	}{
		{"other programs' in files", "[DEFAULT]\na = b\n[df]\ntunnel_types = vxlan\npublisher_prt = 1\n[df_zmq]\nc = d\n[nova]\ne = f\n", nil, nil, nil},
		{"another case is another option", "[df]\nPublisher_Port = http\n", nil, nil, nil},
		{"in our own group in a file", "[wyvern]\nretension = 1\n", nil, nil,
			[]string{"x.ini:2: [wyvern] has no option retension; its options are " + wyvern + "; did you mean retention?"}},
		{"in our own group in any case", "[Wyvern]\nx = 1\n", nil, nil,
			[]string{"x.ini:2: [wyvern] has no option x; its options are " + wyvern}},

		{"environment of others", "", []string{"HOME=/root", "WYVERN_HOME=/x", "wyvern_df__x=1", "WYVERN", "=x"}, nil, nil},
		{"environment: lower case is taken too", "", []string{"WYVERN_df__publisher_port=1"}, nil, nil},
		{"environment: unknown option", "", []string{"WYVERN_DF__PUBLISHER_PRT=1"}, nil,
			[]string{"environment WYVERN_DF__PUBLISHER_PRT: [df] has no option publisher_prt; did you mean publisher_port?"}},
		{"environment: option of another group", "", []string{"WYVERN_DF__IPC_SOCKET=/x"}, nil,
			[]string{"environment WYVERN_DF__IPC_SOCKET: [df] has no option ipc_socket; did you mean df_zmq.ipc_socket?"}},
		{"environment: unknown group", "", []string{"WYVERN_DFZMQ__IPC_SOCKET=/x"}, nil,
			[]string{"environment WYVERN_DFZMQ__IPC_SOCKET: no group [dfzmq] (there are DEFAULT, df, df_zmq, wyvern); did you mean df_zmq?"}},
		{"environment: no group", "", []string{"WYVERN___X=/x"}, nil,
			[]string{"environment WYVERN___X: no group [] (there are DEFAULT, df, df_zmq, wyvern); did you mean df?"}},

		{"flag: unknown option, several near", "", nil, []string{"df.publisher_rate_limit=1"},
			[]string{"--set: [df] has no option publisher_rate_limit; did you mean publisher_rate_limit_count or publisher_rate_limit_timeout?"}},
		{"flag: unknown option, none near", "", nil, []string{"df.x=1"}, []string{"--set: [df] has no option x"}},
		{"flag: hyphens", "", nil, []string{"df.publisher-port=1"},
			[]string{"--set: [df] has no option publisher-port; did you mean publisher_port?"}},
		{"flag: unknown group", "", nil, []string{"wivern.retention=1MiB"},
			[]string{"--set: no group [wivern] (there are DEFAULT, df, df_zmq, wyvern); did you mean wyvern?"}},
		{"flag: no group", "", nil, []string{"publisher_port=1"},
			[]string{`--set: "publisher_port": not group.option=value; did you mean df.publisher_port?`}},
		{"flag: no value", "", nil, []string{"df.publisher_port"}, []string{`--set: "df.publisher_port": not group.option=value`}},
		{"flag: nothing", "", nil, []string{""}, []string{`--set: "": not group.option=value`}},
		{"flag: no name in DEFAULT", "", nil, []string{"DEFAULT.=1"}, []string{"--set: no option's name"}},
		{"flag: long names are cut", "", nil, []string{"df." + strings.Repeat("x", 500) + "=1"},
			[]string{"--set: [df] has no option " + strings.Repeat("x", maxQuoted) + "..."}},
		{"flag: an equals sign in the value", "", nil, []string{"wyvern.run_directory=a=b.c"}, nil},
		{"flag: white space around the name", "", nil, []string{" df.publisher_port =1"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inTempDir(t)
			_, err := Load(Sources{Files: []string{write(t, "x.ini", tt.file)}, Env: tt.env, Sets: tt.sets})
			wantErrors(t, err, tt.want...)
		})
	}
}
