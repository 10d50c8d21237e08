//go:build race

package fanlog

func init() { raceEnabled = true }
