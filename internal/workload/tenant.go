package workload

import "fmt"

// Bounds of a tenant's round.
const (
	maxGroups, maxNetworks = 3, 3
	minPorts, maxPorts     = 3, 25
	minChanges, maxChanges = 5, 60
)

// tenant lives round after round: it builds, changes, and sometimes deletes
// everything and begins anew.
type tenant struct {
	g      *Generator
	number int
	topic  string

	steps   []step // planned
	changes int    // left in this round, after the steps
	mortal  bool   // everything goes at the end of the round

	objects  []object // that exist or are planned, in dependency order
	groups   []*secgroup
	networks []network
	ports    []*lport
}

type step struct {
	object object
	action string
}

type network struct {
	lswitch *lswitch
	subnet  *lsubnet
	prefix  string // "10.3.0"
}

// next returns the tenant's next change, already made to the object.
func (t *tenant) next() (object, string) {
	if len(t.steps) == 0 {
		t.plan()
	}
	if len(t.steps) > 0 {
		s := t.steps[0]
		t.steps = t.steps[1:]
		if p, ok := s.object.(*lport); ok && s.action == Set {
			t.bind(p)
		}
		return s.object, s.action
	}
	t.changes--
	p := t.ports[t.g.rng.IntN(len(t.ports))]
	switch n := t.g.rng.IntN(10); {
	case n < 5:
		t.bind(p)
	case n < 8:
		p.Enabled = !p.Enabled
	default:
		p.Name = fmt.Sprintf("vm-%d", t.g.rng.IntN(10000))
	}
	return p, Set
}

// plan is called between two phases of a round. Afterwards there are steps or
// changes.
func (t *tenant) plan() {
	switch {
	case t.changes > 0:
	case len(t.objects) == 0:
		t.build()
		t.begin()
	case t.mortal:
		t.demolish()
	default:
		t.addPort()
		t.begin()
	}
}

// begin decides on the round that follows.
func (t *tenant) begin() {
	t.changes = t.g.between(minChanges, maxChanges)
	t.mortal = t.g.rng.IntN(10) < 6 || len(t.ports) >= 2*maxPorts
}

func (t *tenant) create(o object) {
	t.objects = append(t.objects, o)
	t.steps = append(t.steps, step{o, Create})
}

func (t *tenant) header(name string) header {
	return header{ID: t.g.newID(), Topic: t.topic, Name: name}
}

func (t *tenant) build() {
	for range t.g.between(1, maxGroups) {
		t.addGroup()
	}
	for n := range t.g.between(1, maxNetworks) {
		t.addNetwork(n)
	}
	r := &lrouter{header: t.header("router"), UniqueKey: t.g.nextUnique("lrouter"), Routes: []string{}}
	for _, n := range t.networks {
		r.Ports = append(r.Ports, routerPort{
			header:    header{ID: t.g.newID(), Topic: t.topic, Version: 1},
			UniqueKey: t.g.nextUnique("lrp"),
			Switch:    n.lswitch.ID,
			MAC:       t.g.newMAC(),
			Network:   n.prefix + ".1/24",
		})
	}
	t.create(r)
	for range t.g.between(minPorts, maxPorts) {
		t.addPort()
	}
}

// services are the ports that security groups usually open.
var services = [...]int{22, 53, 80, 123, 443, 3306, 5432, 6379, 8080, 9090}

func (t *tenant) addGroup() {
	g := &secgroup{header: t.header(fmt.Sprintf("sg-%d", t.g.rng.IntN(1000))), UniqueKey: t.g.nextUnique("secgroup")}
	directions, protocols := [...]string{"ingress", "egress"}, [...]string{"tcp", "udp", "icmp"}
	for _, port := range some(t.g.rng, services[:], t.g.between(2, 6)) {
		g.Rules = append(g.Rules, rule{
			header:         header{ID: t.g.newID(), Topic: t.topic, Version: 1},
			SecurityGroup:  g.ID,
			Direction:      directions[t.g.rng.IntN(len(directions))],
			EtherType:      "IPv4",
			Protocol:       protocols[t.g.rng.IntN(len(protocols))],
			PortMin:        port,
			PortMax:        port,
			RemoteIPPrefix: "0.0.0.0/0",
		})
	}
	t.groups = append(t.groups, g)
	t.create(g)
}

func (t *tenant) addNetwork(n int) {
	prefix := fmt.Sprintf("10.%d.%d", t.number%250, n)
	s := &lswitch{
		header:         t.header(fmt.Sprintf("net-%d", n)),
		UniqueKey:      t.g.nextUnique("lswitch"),
		SegmentationID: t.g.nextUnique("segment"),
		NetworkType:    "geneve",
		MTU:            1450,
	}
	t.create(s)
	sub := &lsubnet{
		header:     t.header(fmt.Sprintf("sub-%d", n)),
		Switch:     s.ID,
		CIDR:       prefix + ".0/24",
		Gateway:    prefix + ".1",
		EnableDHCP: true,
		DHCP:       prefix + ".2",
		DNS:        []string{"8.8.8.8"},
		Routes:     []string{},
	}
	t.create(sub)
	t.networks = append(t.networks, network{s, sub, prefix})
}

// addPort plans a port, which is bound to a chassis when its machine starts.
func (t *tenant) addPort() {
	n := t.networks[t.g.rng.IntN(len(t.networks))]
	p := &lport{
		header:       t.header(fmt.Sprintf("vm-%d", len(t.ports))),
		UniqueKey:    t.g.nextUnique("lport"),
		Enabled:      true,
		IPs:          []string{fmt.Sprintf("%s.%d", n.prefix, 3+len(t.ports))},
		MACs:         []string{t.g.newMAC()},
		Switch:       n.lswitch.ID,
		Subnets:      []string{n.subnet.ID},
		DeviceOwner:  "compute:nova",
		DeviceID:     t.g.newID(),
		PortSecurity: true,
		AddressPairs: []string{},
		VNIC:         "normal",
		DHCP:         dhcp{Server: n.prefix + ".2", Options: map[string]string{"3": n.prefix + ".1"}},
	}
	for _, g := range some(t.g.rng, t.groups, t.g.between(1, len(t.groups))) {
		p.SecurityGroups = append(p.SecurityGroups, g.ID)
	}
	t.ports = append(t.ports, p)
	t.create(p)
	t.steps = append(t.steps, step{p, Set})
}

func (t *tenant) bind(p *lport) { p.Binding = &binding{"chassis", t.g.pickChassis().ID} }

// demolish plans the end of everything, in reverse.
func (t *tenant) demolish() {
	for i := len(t.objects) - 1; i >= 0; i-- {
		t.steps = append(t.steps, step{t.objects[i], Delete})
	}
	t.objects, t.groups, t.networks, t.ports = nil, nil, nil, nil
}
