package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/wyvern-pubsub/wyvern/driver"
)

func pigeons() []driverGroup {
	options := []driver.Option{
		{Name: driver.ServersOption, Default: "$df.remote_db_hosts", Help: "Lofts.", Valid: "a list of lofts"},
		{Name: "seed", Help: "What they eat.", Valid: "text", Secret: true},
		{Name: "speed", Default: "80", Help: "How fast.", Valid: "a speed", Check: func(text string) error {
			if text != "80" && text != "90" {
				return errors.New("no pigeon flies so")
			}
			return nil
		}},
	}
	return driverGroups([]driver.Alias{
		{Name: "hawk"},
		{Name: "pigeon", Group: "pigeon", Options: options},
		{Name: "pigeon_express", Group: "pigeon", Options: options},
	})
}

func loadPigeons(t *testing.T, text string) (*Config, []option, error) {
	t.Helper()
	inTempDir(t)
	table := append(options(), driverOptions(pigeons())...)
	l := newLoader(table, append(sections(), driverSections(pigeons())...))
	l.readSources(Sources{Files: []string{write(t, "x.ini", text)}, Env: []string{"WYVERN_WYVERN_PIGEON__SPEED=90"}})
	c, err := l.finish()
	return c, table, err
}

func TestDriverOptions(t *testing.T) {
	c, table, err := loadPigeons(t, "[df]\nremote_db_hosts = a:1, b:2\n[wyvern_pigeon]\nseed = maize\n")
	if err != nil {
		t.Fatal(err)
	}
	var got driver.Config
	c.tellGroup(&got, "pigeon")
	want := driver.Config{
		Servers: []string{"a:1", "b:2"},
		Params:  map[string]string{"seed": "maize", "speed": "90"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, s := range c.settings(table) {
		if s.Group == "wyvern_pigeon" && s.Name == "seed" && s.Value != mask {
			t.Errorf("a secret is shown: %+v", s)
		}
	}
	c, table, err = loadPigeons(t, "[wyvern_pigeon]\nservers = loft://me:corn@a:1, b:2, you:corn@c:3\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.settings(table) {
		if want := "loft://***@a:1, b:2, ***@c:3"; s.Name == driver.ServersOption && strings.ReplaceAll(s.Value, ", ", ",") != strings.ReplaceAll(want, ", ", ",") {
			t.Errorf("the servers are shown as %q, want %q", s.Value, want)
		}
	}
	c.tellGroup(&got, "") // of a driver without options: nothing
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after another driver's options: got %+v, want %+v", got, want)
	}
}

func TestDriverOptionErrors(t *testing.T) {
	_, _, err := loadPigeons(t, "[wyvern_pigeon]\nfood = maize\nspeed = 70\n")
	wantErrors(t, err, "x.ini:2: [wyvern_pigeon] has no option food; its options are servers, seed, speed")
	inTempDir(t)
	l := newLoader(driverOptions(pigeons()), driverSections(pigeons()))
	l.readSources(Sources{Files: []string{write(t, "y.ini", "[df]\nremote_db_hosts=a:1\n[wyvern_pigeon]\nspeed = 70\n")}})
	_, err = l.finish()
	wantErrors(t, err, `y.ini:4: [wyvern_pigeon] speed = "70": no pigeon flies so`)
}

func TestDriverOptionsInSample(t *testing.T) {
	text := sample(driverOptions(pigeons()), driverSections(pigeons()))
	for _, want := range []string{
		"[wyvern_pigeon]\n# Options of the drivers pigeon, pigeon_express.\n",
		"# How fast. (string value)\n# Valid: a speed\n#speed = 80\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the sample lacks %q:\n%s", want, text)
		}
	}
}

// A section of a driver that this program does not have is warned of, once: it is
// misspelt, or the driver was left out. What is misspelt in a section that it has
// is an error, with what was meant.
func TestStrangeDriver(t *testing.T) {
	c, _, err := loadPigeons(t, "[wyvern_pidgeon]\nseed = maize\nspeed = 90\n[wyvern_nats]\nuser = x\n[pigeon]\nseed = x\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "x.ini:2: no group [wyvern_pidgeon]") || !strings.HasSuffix(c.Warnings[0], "did you mean wyvern_pigeon?") ||
		!strings.Contains(c.Warnings[1], "x.ini:5: no group [wyvern_nats]") {
		t.Errorf("got %q", c.Warnings)
	}
	_, _, err = loadPigeons(t, "[wyvern_pigeon]\nservrs = a:1\n")
	wantErrors(t, err, "x.ini:2: [wyvern_pigeon] has no option servrs; its options are servers, seed, speed; did you mean servers?")
}
