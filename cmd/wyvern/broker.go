package main

import "github.com/wyvern-pubsub/wyvern/config"

// startBroker starts a server for the network driver, if that needs one, the
// configuration names none, and this binary has one. sets are what the
// processes of a demo must have set to find it.
func startBroker(c *config.Config) (sets []string, stop func(), err error) {
	return nil, func() {}, nil
}
