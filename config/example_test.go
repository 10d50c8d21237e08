package config_test

import (
	"fmt"

	"github.com/wyvern-pubsub/wyvern/config"
)

func ExampleLoad() {
	c, err := config.Load(config.Sources{
		Files: []string{"testdata/dragonflow-second.ini"},
		Env:   []string{"WYVERN_DF__PUBLISHER_PORT=9000"},
		Sets:  []string{"wyvern.log_format=json"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.PublisherURIs())
	for _, s := range c.Settings() {
		if s.Source != "default" && s.Group != "df" || s.Name == "publisher_port" {
			fmt.Printf("[%s] %s = %s (%s)\n", s.Group, s.Name, s.Value, s.Source)
		}
	}
	// Output:
	// [tcp://[2001:db8::11]:9000 tcp://ctl2.example.org:9000]
	// [df] publisher_port = 9000 (environment WYVERN_DF__PUBLISHER_PORT)
	// [df_zmq] ipc_socket = /run/zmq_pubsub/publisher (testdata/dragonflow-second.ini:27)
	// [wyvern] retention = 256MiB (testdata/dragonflow-second.ini:33)
	// [wyvern] heartbeat_timeout = 4.5s (testdata/dragonflow-second.ini:34)
	// [wyvern] log_format = json (--set)
}

// A mistake is named with where it is and what would be right.
func ExampleLoad_error() {
	_, err := config.Load(config.Sources{Sets: []string{"df.publisher_port=http", "df.publisher_prt=1"}})
	fmt.Println(err)
	// Output:
	// --set: [df] has no option publisher_prt; did you mean publisher_port?
	// --set: [df] publisher_port = "http": not a port (0..65535)
}
