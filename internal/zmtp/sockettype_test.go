package zmtp

import (
	"slices"
	"testing"
)

// The table of RFC 37, one line per row, written independently of the code.
func TestCompatible(t *testing.T) {
	table := map[SocketType][]SocketType{
		"REQ": {"REP", "ROUTER"}, "REP": {"REQ", "DEALER"}, "DEALER": {"REP", "DEALER", "ROUTER"},
		"ROUTER": {"REQ", "DEALER", "ROUTER"}, "PUB": {"SUB", "XSUB"}, "XPUB": {"SUB", "XSUB"},
		"SUB": {"PUB", "XPUB"}, "XSUB": {"PUB", "XPUB"}, "PUSH": {"PULL"}, "PULL": {"PUSH"}, "PAIR": {"PAIR"},
		"CLIENT": {"SERVER"}, "SERVER": {"CLIENT"}, "RADIO": {"DISH"}, "DISH": {"RADIO"}, "SCATTER": {"GATHER"},
		"GATHER": {"SCATTER"}, "PEER": {"PEER"}, "CHANNEL": {"CHANNEL"}, "": nil, "pub": nil, "STREAM": nil,
	}
	for a, partners := range table {
		if got, want := a.Known(), partners != nil; got != want {
			t.Errorf("%q known: got %v, want %v", a, got, want)
		}
		for b := range table {
			if got, want := a.Compatible(b), slices.Contains(partners, b); got != want {
				t.Errorf("%q with %q: got %v, want %v", a, b, got, want)
			}
		}
	}
	all := []SocketType{Pub, Sub, XPub, XSub, Push, Pull, Req, Rep, Dealer, Router, Pair, Client, Server, Radio, Dish,
		Scatter, Gather, Node, Channel}
	for _, s := range all {
		if !s.Known() {
			t.Errorf("constant %q is not known", s)
		}
	}
}
