// Package actor has the workers and nodes of campaigns, as users would write
// them on package wyvern. Each is the whole of a process; it tells what it does
// and sees as lines of JSON, see [validator.Record], on standard output, and
// takes orders as lines of JSON on standard input, with whose end it ends.
//
// # Usage
//
//	err := actor.RunWorker(ctx, config, os.Stdin, os.Stdout)
//	err := actor.RunNode(ctx, config, os.Stdin, os.Stdout)
//
// [PythonWorker] is the same as RunWorker, on libzmq.
//
// A line is written before whatever comes next, with one system call, so that who
// is killed has told what it did.
//
// # Clock
//
// Times are those of CLOCK_MONOTONIC, which all processes of a machine share and
// nobody sets. Linux only.
package actor
