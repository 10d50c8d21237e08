package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestSubstitution(t *testing.T) {
	const prefix = "[DEFAULT]\nmy_ip = 192.0.2.1\nhost = ctl1\n[other]\nPath = /srv\n[df]\nintegration_bridge = br-int\n"
	tests := []struct {
		name, group, option, text, want string
	}{
		{"of the same group", "df", "nb_db_class", "$pub_sub_driver", "zmq_pubsub_driver"},
		{"of the same group, not ours", "df", "nb_db_class", "$integration_bridge", "br-int"},
		{"in braces", "df", "nb_db_class", "x${publisher_port}y", "x8866y"},
		{"of DEFAULT", "df", "local_ip", "$my_ip", "192.0.2.1"},
		{"of a named group", "wyvern", "run_directory", "${df_zmq.ipc_socket}", defaultSocket},
		{"of a named group, no braces", "wyvern", "run_directory", "$df.integration_bridge/x", "br-int/x"},
		{"of DEFAULT, by name", "wyvern", "publisher_id", "${DEFAULT.host}", "ctl1"},
		{"of another program", "wyvern", "run_directory", "$other.Path/run", "/srv/run"},
		{"the group in any case", "wyvern", "run_directory", "$OTHER.Path", "/srv"},
		{"several", "wyvern", "publisher_id", "$host-$df.publisher_port", "ctl1-8866"},
		{"of one that refers on", "wyvern", "publisher_id", "${df.remote_db_hosts}", "127.0.0.1:4001"},
		{"dollar", "wyvern", "publisher_id", "a$$host", "a$host"},
		{"dollar in braces", "wyvern", "publisher_id", "$${host}", "${host}"},
		{"dollar by backslash", "wyvern", "publisher_id", `a\$host`, "a$host"},
		{"dollar of nothing", "wyvern", "publisher_id", "a$1$-$", "a$1$-$"},
		{"braces of nothing", "wyvern", "publisher_id", "${host-x}${}", "${host-x}${}"},
		{"an odd dollar after a pair", "wyvern", "publisher_id", "$$$host", "$ctl1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := loadText(t, fmt.Sprintf("%s[%s]\n%s = %s\n", prefix, tt.group, tt.option, tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := setting(t, c, tt.group, tt.option).Value; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSubstitutionErrors(t *testing.T) {
	chain := "[df]\nlocal_ip = $x0\n"
	for i := range 100 {
		chain += fmt.Sprintf("x%d = $x%d\n", i, i+1)
	}
	bomb := "[wyvern]\nrun_directory = $df.x0\n[df]\n"
	for i := range 30 {
		bomb += fmt.Sprintf("x%d = $x%d$x%d\n", i, i+1, i+1)
	}
	bomb += "x30 = 123456789\n"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown option", "[df]\nlocal_ip = $my_ip\n",
			[]string{`x.ini:2: [df] local_ip = "$my_ip": $my_ip is not set anywhere (a dollar is written $$)`}},
		{"unknown option of a group", "[df]\nlocal_ip = ${nova.my_ip}\n",
			[]string{`x.ini:2: [df] local_ip = "${nova.my_ip}": $nova.my_ip is not set anywhere (a dollar is written $$)`}},
		{"names are told apart by case", "[df]\nlocal_ip = $Management_ip\n",
			[]string{`x.ini:2: [df] local_ip = "$Management_ip": $Management_ip is not set anywhere (a dollar is written $$)`}},
		{"itself", "[df]\nlocal_ip = $local_ip\n",
			[]string{`x.ini:2: [df] local_ip = "$local_ip": refers to itself: df.local_ip -> df.local_ip`}},
		{"a cycle is reported once", "[df]\nlocal_ip = $management_ip\nmanagement_ip = $x\nx = ${df.local_ip}\npublishers_ips = $x\n",
			[]string{`x.ini:3: [df] management_ip = "$x": refers to itself: df.x -> df.local_ip -> df.management_ip -> df.x`}},
		{"what another program's option refers to", "[DEFAULT]\nmy_ip = $nope\n[df]\nlocal_ip = $my_ip\n",
			[]string{`x.ini:2: [DEFAULT] my_ip = "$nope": $nope is not set anywhere (a dollar is written $$)`}},
		{"the value before and after", "[DEFAULT]\nport = http\n[df]\npublisher_port = $port\n",
			[]string{`x.ini:4: [df] publisher_port = "$port" (that is "http"): not a port (0..65535)`}},
		{"defaults that refer to a bad option are not blamed", "[df]\nlocal_ip = 10.0.0.300\nenable_df_pub_sub = maybe\n",
			[]string{`x.ini:3: [df] enable_df_pub_sub = "maybe": not a boolean (true, 1, yes, on, or false, 0, no, off)`,
				`x.ini:2: [df] local_ip = "10.0.0.300": not an IP address`}},
		{"too many in a row", chain,
			[]string{`x.ini:65: [df] x62 = "$x63": more than 64 options refer to one another in a row`}},
		{"too long", bomb, []string{`x.ini:21: [df] x17 = "$x18$x18": longer than 64KiB after substitution`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loadText(t, tt.text)
			wantErrors(t, err, tt.want...)
		})
	}
}

// What nobody refers to is nobody's business.
func TestOtherProgramsValuesAreNotSubstituted(t *testing.T) {
	if _, err := loadText(t, "[DEFAULT]\na = $nope\nb = $b\n[nova]\nc = 100%$\n"); err != nil {
		t.Error(err)
	}
}

func TestSubstitutionInEnvironmentAndFlags(t *testing.T) {
	c := mustLoad(t, Sources{
		Env:  []string{"WYVERN_DEFAULT__MY_IP=192.0.2.7", "WYVERN_DF__LOCAL_IP=$my_ip"},
		Sets: []string{"DEFAULT.name=ctl7", "wyvern.publisher_id=$name"},
	})
	if c.DF.LocalIP != "192.0.2.7" || c.Wyvern.PublisherID != "ctl7" {
		t.Errorf("got %q and %q", c.DF.LocalIP, c.Wyvern.PublisherID)
	}
	if got := strings.Join(c.DF.PublishersIPs, " "); got != "192.0.2.7" {
		t.Errorf("publishers_ips: got %q", got)
	}
}
