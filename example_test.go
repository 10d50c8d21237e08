package wyvern_test

import (
	"context"
	"fmt"
	"log"

	"github.com/wyvern-pubsub/wyvern"
	"github.com/wyvern-pubsub/wyvern/driver"
	_ "github.com/wyvern-pubsub/wyvern/drivers/mem"
)

func Example() {
	ctx := context.Background()
	pub, err := wyvern.OpenPublisher(ctx, wyvern.PublisherOptions{
		Alias: "mem", Config: driver.Config{Socket: "server-1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	seen := make(chan struct{})
	sub, err := wyvern.OpenSubscriber(ctx, wyvern.SubscriberOptions{
		Alias: "mem", Connect: []string{"mem://server-1"}, Topics: []string{"project-1", wyvern.TopicAll},
		Handler: func(_ context.Context, e wyvern.Event) error {
			fmt.Println(e.Seq, e.Action, e.Table, e.Key)
			close(seen)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := sub.Await(ctx); err != nil {
		log.Fatal(err)
	}
	err = pub.Publish(ctx, wyvern.Event{Table: "lport", Key: "port-1", Action: wyvern.ActionSet, Topic: "project-1"})
	if err != nil {
		log.Fatal(err)
	}
	<-seen
	sub.Shutdown(ctx)
	pub.Shutdown(ctx)
	// Output: 1 set lport port-1
}
