package drivertest

import (
	"strings"
	"testing"
	"time"
)

// A case answers for what it started, also by way of others, and for nobody
// else's goroutines, however many come and go.
func TestOwnLeaks(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	hang := func(started chan<- struct{}) {
		close(started)
		<-end
	}
	for _, c := range []struct {
		name  string
		start func(started chan<- struct{})
		want  int
	}{
		{"own", func(started chan<- struct{}) { go hang(started) }, 1},
		{"by another", func(started chan<- struct{}) { go func() { go hang(started) }() }, 1},
		{"another case's", func(started chan<- struct{}) {
			go func() {
				setLabel("another")
				go hang(started)
			}()
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := make(chan struct{})
			go func() { // not this goroutine, which counts as long as it runs
				setLabel(t.Name())
				c.start(started)
			}()
			<-started
			left := last(time.Second, func() []string { return labelled(t.Name()) })
			if len(left) != c.want || c.want > 0 && !strings.Contains(left[0], "TestOwnLeaks") {
				t.Errorf("%d are left, want %d:\n%s", len(left), c.want, strings.Join(left, "\n\n"))
			}
		})
	}
}
