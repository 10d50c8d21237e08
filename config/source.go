package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFileSize bounds a file, in bytes. Real ones have some tens of kilobytes.
const maxFileSize = 4 << 20

// SourceDefault is the Setting.Source of an option that nobody set.
const SourceDefault = "default"

const (
	envPrefix     = "WYVERN_"
	sourceDefault = SourceDefault
	sourceFlag    = "--set"
)

// Sources says where Load reads; the zero value gives the defaults. A later
// field wins over an earlier one, and in a field a later element.
type Sources struct {
	Files []string // oslo.config files (--config-file)
	Dirs  []string // directories of which *.conf is read, sorted (--config-dir)
	Env   []string // NAME=value, as of os.Environ; nil: none
	Sets  []string // group.option=value (--set)
}

func (l *loader) readSources(s Sources) {
	for _, file := range s.Files {
		l.readFile(file)
	}
	for _, dir := range s.Dirs {
		l.readDir(dir)
	}
	for _, v := range s.Env {
		l.readEnv(v)
	}
	for _, set := range s.Sets {
		l.readSet(set)
	}
}

func (l *loader) readFile(path string) {
	l.layer++
	data, err := readBounded(path)
	if err != nil {
		l.fail(path, err)
		return
	}
	entries, bad := parse(data)
	for _, e := range bad {
		l.fail(fmt.Sprintf("%s:%d", path, e.line), errors.New(e.reason))
	}
	if len(bad) == maxSyntaxErrors {
		l.fail(path, errors.New("too many errors, the rest was not read"))
	}
	for _, e := range entries {
		k := key{normalizeGroup(e.group), e.name}
		source := fmt.Sprintf("%s:%d", path, e.line)
		if l.exclusive[k.group] && !l.known(k) {
			l.fail(source, fmt.Errorf("[%s] has no option %s; its options are %s%s",
				k.group, abbreviate(k.name), strings.Join(l.names(k.group), ", "), suggest(k.name, l.names(k.group))))
			continue
		}
		if strings.HasPrefix(k.group, driverPrefix) && len(l.names(k.group)) == 0 {
			l.strange(source, k.group)
			continue
		}
		l.put(k, e.value, source)
	}
}

// strange notes that a file has a section for a driver that this program does not
// have: misspelt, or left out of it. That is no error, because a file may be read
// by several programs.
func (l *loader) strange(source, group string) {
	if !l.seen[group] {
		l.seen[group] = true
		l.warnings = append(l.warnings, fmt.Sprintf("%s: no group [%s] in this program (there are %s)%s", source, abbreviate(group),
			strings.Join(l.groups, ", "), suggest(group, l.groups)))
	}
}

// readBounded reads a file, which may be a pipe, up to maxFileSize. Its errors
// don't name the file.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if info.IsDir() {
		return nil, errors.New("a directory, not a file (directories are given with --config-dir)")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("larger than %s", formatSize(maxFileSize))
	}
	return data, nil
}

func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// readDir reads the files that oslo.config's glob of *.conf finds.
func (l *loader) readDir(dir string) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("a file, not a directory (files are given with --config-file)")
	}
	var files []os.DirEntry
	if err == nil {
		files, err = os.ReadDir(dir) // sorted
	}
	if err != nil {
		l.fail(dir, withoutPath(err))
		return
	}
	for _, f := range files {
		if name := f.Name(); strings.HasSuffix(name, ".conf") && name[0] != '.' {
			l.readFile(filepath.Join(dir, name))
		}
	}
}

// readEnv takes a variable if its name has our form; WYVERN_X without a group
// may be anybody's.
func (l *loader) readEnv(variable string) {
	name, value, _ := strings.Cut(variable, "=")
	rest, ours := strings.CutPrefix(name, envPrefix)
	group, option, hasGroup := strings.Cut(rest, "__")
	if !ours || !hasGroup {
		return
	}
	if group != "DEFAULT" {
		group = strings.ToLower(group)
	}
	l.layer++
	l.putOurs(key{group, strings.ToLower(option)}, value, "environment "+name)
}

func (l *loader) readSet(set string) {
	name, value, assigned := strings.Cut(set, "=")
	group, option, dotted := strings.Cut(strings.TrimSpace(name), ".")
	switch {
	case !assigned:
		l.fail(sourceFlag, fmt.Errorf("%s: not group.option=value", quote(set)))
	case !dotted:
		l.fail(sourceFlag, fmt.Errorf("%s: not group.option=value%s", quote(name), didYouMean(l.qualified(group))))
	default:
		l.layer++
		l.putOurs(key{normalizeGroup(group), option}, value, sourceFlag)
	}
}

// putOurs is put for sources that only we read, where what is unknown is
// misspelt.
func (l *loader) putOurs(k key, value, source string) {
	switch {
	case k.name == "":
		l.fail(source, errors.New("no option's name"))
	case k.group == "DEFAULT", l.known(k):
		l.put(k, value, source)
	case len(l.names(k.group)) == 0:
		groups := append([]string{"DEFAULT"}, l.groups...)
		l.fail(source, fmt.Errorf("no group [%s] (there are %s)%s", abbreviate(k.group),
			strings.Join(groups, ", "), suggest(k.group, l.groups)))
	default:
		hint := suggest(k.name, l.names(k.group))
		if hint == "" {
			hint = didYouMean(l.qualified(k.name))
		}
		l.fail(source, fmt.Errorf("[%s] has no option %s%s", k.group, abbreviate(k.name), hint))
	}
}
