package archtest

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// decoders are what makes sense of bytes that somebody else wrote, and the fuzz
// target of each.
var decoders = []struct{ what, pkg, target string }{
	{"configuration files", "config", "FuzzParse"},
	{"greeting, READY and everything up to the end of a handshake", "internal/zmtp", "FuzzHandshake"},
	{"frames: headers and lengths", "internal/zmtp", "FuzzParseFrame"},
	{"commands and their properties", "internal/zmtp", "FuzzCommand"},
	{"subscriptions, as commands and as messages", "internal/zmtp", "FuzzSubscription"},
	{"bodies in msgpack", "internal/envelope", "FuzzDecode"},
	{"the same, given new numbers", "internal/envelope", "FuzzRenumber"},
	{"a worker's or a publisher's stream, cut into messages", "drivers/zmq", "FuzzStream"},
	{"what a subscriber asks", "drivers/zmq", "FuzzPeer"},
	{"what many subscribers ask, of the index and the log", "internal/fanlog", "FuzzSessions"},
	{"subjects of NATS, which others choose too", "drivers/nats", "FuzzSubject"},
	{"what JetStream says of a message", "drivers/nats", "FuzzParseReply"},
	{"events as JSON lines", ".", "FuzzEventJSON"},
}

// Every decoder has its target.
func TestX1FuzzTargets(t *testing.T) {
	missing := map[string]string{}
	for _, d := range decoders {
		missing[d.pkg+" "+d.target] = d.what
	}
	for _, p := range readTree(t).packages {
		for _, f := range p.files {
			for _, decl := range f.ast.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || !f.test || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
					continue
				}
				delete(missing, p.dir+" "+fn.Name.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("%s: no fuzz target for %s", name, missing[name])
	}
}
