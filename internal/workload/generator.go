package workload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// Everyone is the topic that every node holds.
const Everyone = "D"

// Options shape the stream. The zero value works.
type Options struct {
	// Workers is how many processes make the changes; default 8.
	Workers int
	// Tenants is how many projects there are, each with its topic; default 24.
	Tenants int
	// Chassis is how many compute nodes are registered; default 40.
	Chassis int
}

func (o Options) withDefaults() Options {
	def := func(p *int, n int) {
		if *p <= 0 {
			*p = n
		}
	}
	def(&o.Workers, 8)
	def(&o.Tenants, 24)
	def(&o.Chassis, 40)
	return o
}

// The actions.
const (
	Create = "create"
	Set    = "set"
	Delete = "delete"
)

// Change is one change of one object.
type Change struct {
	Table, Key, Action string
	// Value is the object as JSON text; "" when it was deleted.
	Value   string
	Topic   string
	Version uint64
}

// Generator makes the stream.
type Generator struct {
	opts    Options
	rng     *rand.Rand
	unique  map[string]int // the database's counters, by table
	chassis []*chassis
	created int // chassis announced so far
	tenants []*tenant
}

// oneInChassis is how rarely, once all are there, a change is of a chassis.
const oneInChassis = 50

// New returns the generator of a seed.
func New(seed uint64, opts Options) *Generator {
	opts = opts.withDefaults()
	g := &Generator{
		opts:   opts,
		rng:    rand.New(rand.NewPCG(seed, 0x77797665726e)), // any constant
		unique: map[string]int{},
	}
	for n := range opts.Chassis {
		g.chassis = append(g.chassis, newChassis(n))
	}
	for n := range opts.Tenants {
		topic := fmt.Sprintf("%016x%016x", g.rng.Uint64(), g.rng.Uint64())
		g.tenants = append(g.tenants, &tenant{g: g, number: n, topic: topic})
	}
	return g
}

// Topics returns the topics of the tenants, without [Everyone].
func (g *Generator) Topics() []string {
	topics := make([]string, len(g.tenants))
	for i, t := range g.tenants {
		topics[i] = t.topic
	}
	return topics
}

// Next returns the next change and which worker, from 0, makes it.
func (g *Generator) Next() (worker int, c Change) {
	worker = g.rng.IntN(g.opts.Workers)
	switch {
	case g.created < len(g.chassis):
		g.created++
		return worker, change(g.chassis[g.created-1], Create)
	case g.rng.IntN(oneInChassis) == 0:
		o := g.pickChassis()
		o.alter(g.rng)
		return worker, change(o, Set)
	}
	o, action := g.tenants[g.rng.IntN(len(g.tenants))].next()
	return worker, change(o, action)
}

func (g *Generator) pickChassis() *chassis { return g.chassis[g.rng.IntN(len(g.chassis))] }

// change counts a change of o and returns it.
func change(o object, action string) Change {
	h := o.head()
	h.Version++
	c := Change{Table: o.table(), Key: h.ID, Action: action, Topic: h.Topic, Version: h.Version}
	if c.Topic == "" {
		c.Topic = Everyone
	}
	if action != Delete {
		text, err := json.Marshal(o)
		if err != nil {
			panic("workload: " + err.Error()) // plain structs: can't
		}
		c.Value = string(text)
	}
	return c
}

// nextUnique returns the next value of a table's counter.
func (g *Generator) nextUnique(table string) int {
	g.unique[table]++
	return g.unique[table]
}

// newID returns a random UUID, version 4.
func (g *Generator) newID() string {
	a, b := g.rng.Uint64(), g.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x",
		a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func (g *Generator) newMAC() string {
	r := g.rng.Uint32()
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", r>>16&0xff, r>>8&0xff, r&0xff)
}

// between returns a number from low to high, both included.
func (g *Generator) between(low, high int) int { return low + g.rng.IntN(high-low+1) }

// some returns n different elements of from, in random order.
func some[T any](rng *rand.Rand, from []T, n int) []T {
	picked := make([]T, 0, n)
	for _, i := range rng.Perm(len(from))[:n] {
		picked = append(picked, from[i])
	}
	return picked
}
