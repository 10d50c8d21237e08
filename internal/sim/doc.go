// Package sim simulates the protocol: publishers that number, beacon, forget
// topics and restart; drivers and networks that lose, repeat, swap, delay and
// cut; subscribers that come and go, sleep, and have handlers that fail. The
// state machines in it are those of the product, internal/tracker and
// internal/numbering; drivers, networks and time are models.
//
// # Usage
//
// One seed is one run: everything in it follows from the seed. Run returns what
// was violated, and how to run it again.
//
// # The checker
//
// It knows what publishers accepted and what handlers got, when, and nothing of
// how. It imports no code of the product, and judges properties I1 to I7 of
// docs/delivery.md: while faults strike, those that must hold always; when all has been
// well for long enough, also that everything arrived or was told, and that nothing
// is told without a cause.
//
// # Concurrency
//
// A run belongs to one goroutine; runs are independent.
package sim
