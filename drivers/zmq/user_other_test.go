//go:build !linux

package zmq

import "testing"

// asUser does something as this process's own user: only Linux lets a single
// thread become another.
func asUser[T any](_ testing.TB, _ int, do func() T) T { return do() }

func becomesAnother() bool { return false }
