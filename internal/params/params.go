// Package params reads the options that only one driver has: declares them for
// configurations, and turns driver.Config.Params into values.
//
// # Usage
//
//	var options = []driver.Option{
//		params.Text("user", "", "User to log in as."),
//		params.Duration("timeout", "5s", "How long ...", time.Millisecond, time.Hour),
//	}
//
//	v, err := params.Parse(cfg.Params, options)
//	v.Duration("timeout")
//
// # Errors
//
// Parse returns one error for everything that is wrong, each with what is
// valid. To ask Values for a name that is not declared, or for another type, is
// a programmer's error and panics.
package params

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wyvern-pubsub/wyvern/driver"
)

var errInvalid = errors.New("not valid")

// Text declares an option that may be any text.
func Text(name, byDefault, help string) driver.Option {
	return driver.Option{Name: name, Default: byDefault, Help: help, Valid: "text"}
}

// Secret declares an option that may be any text, and is never shown.
func Secret(name, help string) driver.Option {
	return driver.Option{Name: name, Help: help, Valid: "text", Secret: true}
}

// Servers declares the list of a broker's servers.
func Servers(byDefault, help string) driver.Option {
	return driver.Option{Name: driver.ServersOption, Default: byDefault, Help: help, Valid: "a list of servers, with commas"}
}

// File declares the path of a file that must be readable, or empty.
func File(name, help string) driver.Option {
	check := func(text string) error {
		if text == "" {
			return nil
		}
		f, err := os.Open(text)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	return driver.Option{Name: name, Help: help, Valid: "the path of a readable file", Check: check}
}

// Bool declares a switch.
func Bool(name string, byDefault bool, help string) driver.Option {
	check := func(text string) error { _, err := parseBool(text); return err }
	return driver.Option{Name: name, Default: strconv.FormatBool(byDefault), Help: help,
		Valid: "a boolean (true, 1, yes, on, or false, 0, no, off)", Check: check}
}

// Choice declares an option with few values. The first one is the default.
func Choice(name, help string, choices ...string) driver.Option {
	check := func(text string) error {
		if !slices.Contains(choices, text) {
			return errInvalid
		}
		return nil
	}
	return driver.Option{Name: name, Default: choices[0], Help: help, Valid: "one of " + strings.Join(choices, ", "), Check: check}
}

// Int declares a whole number between two bounds.
func Int(name string, byDefault, least, most int64, help string) driver.Option {
	check := func(text string) error {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < least || n > most {
			return errInvalid
		}
		return nil
	}
	return driver.Option{Name: name, Default: strconv.FormatInt(byDefault, 10), Help: help,
		Valid: fmt.Sprintf("a number (%d..%d)", least, most), Check: check}
}

// Duration declares a time between two bounds; 0 always stands for none.
func Duration(name, byDefault string, least, most time.Duration, help string) driver.Option {
	check := func(text string) error {
		if d, err := time.ParseDuration(text); err != nil || d != 0 && (d < least || d > most) {
			return errInvalid
		}
		return nil
	}
	return driver.Option{Name: name, Default: byDefault, Help: help,
		Valid: fmt.Sprintf("a duration with its unit (%v..%v)", least, most), Check: check}
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, errInvalid
}

// Values are the options' values, defaults included.
type Values struct{ text map[string]string }

// Parse checks what a configuration says, and adds the defaults.
func Parse(given map[string]string, options []driver.Option) (Values, error) {
	v := Values{make(map[string]string, len(options))}
	var names []string
	var errs []error
	for _, o := range options {
		if o.Name == driver.ServersOption {
			continue
		}
		names = append(names, o.Name)
		text, set := given[o.Name]
		if !set {
			text = o.Default
		}
		if o.Check != nil {
			if err := o.Check(text); err != nil {
				errs = append(errs, invalid(&o, text, err))
			}
		}
		v.text[o.Name] = text
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("unknown parameter %q", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Values{}, driver.WithHint(err, "parameters: "+strings.Join(names, ", "))
	}
	return v, nil
}

func invalid(o *driver.Option, text string, err error) error {
	if o.Secret {
		text = "***"
	}
	if errors.Is(err, errInvalid) {
		return fmt.Errorf("%s = %q: not %s", o.Name, text, o.Valid)
	}
	return fmt.Errorf("%s = %q: %w", o.Name, text, err)
}

// Text returns the value of an option, as it was written.
func (v Values) Text(name string) string {
	text, declared := v.text[name]
	if !declared {
		panic("params: not declared: " + name)
	}
	return text
}

// Bool returns the value of a Bool.
func (v Values) Bool(name string) bool { return must(parseBool(v.Text(name))) }

// Int returns the value of an Int.
func (v Values) Int(name string) int64 { return must(strconv.ParseInt(v.Text(name), 10, 64)) }

// Duration returns the value of a Duration.
func (v Values) Duration(name string) time.Duration { return must(time.ParseDuration(v.Text(name))) }

// must returns what Parse has checked.
func must[T any](v T, err error) T {
	if err != nil {
		panic("params: another type: " + err.Error())
	}
	return v
}
