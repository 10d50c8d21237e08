// Package plant puts known bugs back, to prove that the simulation and the
// campaigns find them.
//
// # Usage
//
// Where a bug that others really had would apply, the code says
//
//	if plant.On(plant.GapsAboveTwo) { ... }
//
// Without the build tag `plant` On is a constant false and the compiler removes
// what it guards: no build that anybody runs has a bug in it. With the tag the
// bug is chosen by WYVERN_PLANT, or by a test with Set; one at a time.
//
// # Concurrency
//
// All functions may be called by any goroutine.
package plant
