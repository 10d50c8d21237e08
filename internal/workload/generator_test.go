package workload

import (
	"encoding/json"
	"slices"
	"testing"
)

func take(g *Generator, n int) (workers []int, changes []Change) {
	for range n {
		w, c := g.Next()
		workers, changes = append(workers, w), append(changes, c)
	}
	return workers, changes
}

func TestSameSeedSameStream(t *testing.T) {
	w1, c1 := take(New(7, Options{}), 2500)
	w2, c2 := take(New(7, Options{}), 2500)
	if !slices.Equal(w1, w2) || !slices.Equal(c1, c2) {
		t.Error("two generators of one seed differ")
	}
	if _, c3 := take(New(8, Options{}), 2500); slices.Equal(c1, c3) {
		t.Error("two seeds give the same stream")
	}
}

// An object is created at version 1, rises by one per change, and is not heard
// of after its deletion.
func TestVersions(t *testing.T) {
	type id struct{ table, key string }
	version, dead := map[id]uint64{}, map[id]bool{}
	actions := map[string]int{}
	_, changes := take(New(1, Options{}), 6000)
	for i, c := range changes {
		k := id{c.Table, c.Key}
		if dead[k] {
			t.Fatalf("change %d: %s %v, which was deleted", i, c.Action, k)
		}
		if (c.Action == Create) != (c.Version == 1) {
			t.Fatalf("change %d: %s at version %d", i, c.Action, c.Version)
		}
		if c.Version != version[k]+1 {
			t.Fatalf("change %d of %v: version %d after %d", i, k, c.Version, version[k])
		}
		version[k] = c.Version
		dead[k] = c.Action == Delete
		actions[c.Action]++
	}
	for _, a := range []string{Create, Set, Delete} {
		if actions[a] < len(changes)/20 {
			t.Errorf("only %d of %d changes are %s", actions[a], len(changes), a)
		}
	}
}

// What an object refers to exists when it is created, and until it is deleted.
func TestDependencies(t *testing.T) {
	exists, users := map[string]bool{}, map[string]int{}
	refs := map[string][]string{}
	_, changes := take(New(3, Options{}), 6000)
	for i, c := range changes {
		if c.Action == Delete {
			if users[c.Key] > 0 {
				t.Fatalf("change %d deletes %s %s, in use %d times", i, c.Table, c.Key, users[c.Key])
			}
			for _, r := range refs[c.Key] {
				users[r]--
			}
			exists[c.Key] = false
			continue
		}
		var v struct {
			Switch  string   `json:"lswitch"`
			Subnets []string `json:"subnets"`
			Groups  []string `json:"security_groups"`
			Ports   []struct {
				Switch string `json:"lswitch"`
			} `json:"ports"`
			Binding struct{ Chassis string }
		}
		if err := json.Unmarshal([]byte(c.Value), &v); err != nil {
			t.Fatalf("change %d: value: %v", i, err)
		}
		now := slices.Concat(v.Subnets, v.Groups)
		for _, p := range v.Ports {
			now = append(now, p.Switch)
		}
		if v.Switch != "" {
			now = append(now, v.Switch)
		}
		if v.Binding.Chassis != "" {
			now = append(now, v.Binding.Chassis)
		}
		for _, r := range now {
			if !exists[r] {
				t.Fatalf("change %d: %s %s refers to %s, which does not exist", i, c.Table, c.Key, r)
			}
			users[r]++
		}
		for _, r := range refs[c.Key] {
			users[r]--
		}
		refs[c.Key], exists[c.Key] = now, true
	}
}

func TestShape(t *testing.T) {
	g := New(1, Options{Workers: 3, Tenants: 5, Chassis: 7})
	topics := append(g.Topics(), Everyone)
	if len(topics) != 6 {
		t.Fatalf("%d topics", len(topics))
	}
	workers, changes := take(g, 10000)
	byWorker, byTopic, byTable := map[int]int{}, map[string]int{}, map[string]int{}
	bytes, values := 0, 0
	for i, c := range changes {
		byWorker[workers[i]]++
		byTopic[c.Topic]++
		byTable[c.Table]++
		if c.Value != "" {
			bytes, values = bytes+len(c.Value), values+1
		}
	}
	if len(byWorker) != 3 {
		t.Errorf("workers: %v", byWorker)
	}
	for _, topic := range topics {
		if byTopic[topic] < 100 {
			t.Errorf("topic %s has %d changes", topic, byTopic[topic])
		}
	}
	if len(byTopic) != len(topics) {
		t.Errorf("%d topics used, want %d", len(byTopic), len(topics))
	}
	for _, table := range []string{"chassis", "secgroup", "lswitch", "lsubnet", "lrouter", "lport"} {
		if byTable[table] == 0 {
			t.Errorf("no change of table %s", table)
		}
	}
	if mean := bytes / values; mean < 300 || mean > 1500 {
		t.Errorf("mean size of a value: %d bytes", mean)
	}
}

// The stream is endless: what the generator holds does not grow with it.
func TestBounded(t *testing.T) {
	g := New(5, Options{Tenants: 4})
	take(g, 20000)
	for _, n := range g.tenants {
		if len(n.objects) > 200 || len(n.steps) > 200 || cap(n.steps) > 1000 {
			t.Errorf("tenant holds %d objects, %d steps of %d", len(n.objects), len(n.steps), cap(n.steps))
		}
	}
}

func BenchmarkNext(b *testing.B) {
	g := New(1, Options{})
	b.ReportAllocs()
	for b.Loop() {
		g.Next()
	}
}
