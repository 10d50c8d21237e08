// Command link passes connections on, late.
//
//	link ADDRESS DELAY
//
// It prints where it listens, and passes what comes there to ADDRESS, and back,
// DELAY late each way, until its input ends.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wyvern-pubsub/wyvern/chaos/proxy"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("want two arguments"))
	}
	delay, err := time.ParseDuration(os.Args[2])
	fail(err)
	p, err := proxy.Listen(proxy.Endpoint{Network: "tcp", Address: "127.0.0.1:0"},
		proxy.Endpoint{Network: "tcp", Address: os.Args[1]}, proxy.Options{})
	fail(err)
	p.Apply(proxy.Both, proxy.Rule{Delay: delay})
	fmt.Printf("link tcp://%s\n", p.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	fail(p.Close())
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "link:", err)
		os.Exit(1)
	}
}
