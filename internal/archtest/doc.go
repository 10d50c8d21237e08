// Package archtest holds the repository to its architecture: who may import
// whom, and a few rules that no compiler checks. It has tests only.
//
// # Usage
//
//	go test ./internal/archtest
//
// Every complaint carries the reason of the rule. A new package needs a row in
// rules_test.go, and so does a new dependency: that is where it is justified.
//
// The sources are parsed, for all systems at once, not loaded: a rule holds for
// poller_darwin.go on Linux too.
package archtest
