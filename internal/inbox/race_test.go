//go:build race

package inbox

func init() { raceEnabled = true }
