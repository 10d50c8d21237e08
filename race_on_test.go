//go:build race

package wyvern

const raceEnabled = true
