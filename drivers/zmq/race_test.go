//go:build race

package zmq

func init() { raceEnabled = true }
