// Command herd is many nodes of ours in one process, each a subscriber of one
// topic.
//
//	herd URI,... COUNT SPREAD TOPIC
//
// It prints a line when all are subscribed, and for every line of its input, in
// JSON, when each resync was told, in milliseconds of the wall clock.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wyvern-pubsub/wyvern"
	_ "github.com/wyvern-pubsub/wyvern/drivers/all"
)

// status is what is printed.
type status struct {
	Nodes     int            `json:"nodes"`
	Connected int            `json:"connected"`
	Events    int            `json:"events"`  // of all nodes
	Told      []int64        `json:"told"`    // when
	Most      int            `json:"most"`    // resyncs of one node
	Reasons   map[string]int `json:"reasons"` // how often each
}

func main() {
	if len(os.Args) != 5 {
		fail(fmt.Errorf("want four arguments"))
	}
	count, err := strconv.Atoi(os.Args[2])
	fail(err)
	spread, err := time.ParseDuration(os.Args[3])
	fail(err)
	var mu sync.Mutex
	st := status{Nodes: count, Told: []int64{}, Reasons: map[string]int{}}
	told := make([]int, count)
	nodes := make([]*wyvern.Subscriber, count)
	var waiting sync.WaitGroup
	for i := range nodes {
		o := wyvern.SubscriberOptions{
			Alias: "zmq_pubsub_driver", Topics: []string{os.Args[4]}, Connect: strings.Split(os.Args[1], ","),
			Handler: func(_ context.Context, e wyvern.Event) error {
				mu.Lock()
				defer mu.Unlock()
				if e.Reason == "" {
					st.Events++
					return nil
				}
				st.Told = append(st.Told, time.Now().UnixMilli())
				st.Reasons[string(e.Reason)]++
				told[i]++
				st.Most = max(st.Most, told[i])
				return nil
			},
		}
		o.Config.ResyncSpread = spread
		o.Config.ReconnectMin, o.Config.ReconnectMax = 50*time.Millisecond, 200*time.Millisecond
		// A machine that is busy is not a publisher that is gone.
		o.Config.HeartbeatTimeout, o.Config.LostAfter = time.Minute, time.Minute
		nodes[i], err = wyvern.OpenSubscriber(context.Background(), o)
		fail(err)
		// At once: who does not wait is told, a second after.
		waiting.Go(func() { fail(nodes[i].Await(context.Background())) })
	}
	waiting.Wait()
	fmt.Println(`{"connected": true}`)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		connected := 0
		for _, n := range nodes {
			connected += n.Status().Peers
		}
		mu.Lock()
		st.Connected = connected
		fail(json.NewEncoder(os.Stdout).Encode(st))
		mu.Unlock()
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "herd:", err)
		os.Exit(1)
	}
}
