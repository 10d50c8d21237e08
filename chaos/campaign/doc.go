// Package campaign runs the real system on this machine, breaks it on purpose,
// and has a validator judge what became of it: [Run] for hours of every fault
// that there is, [Soak] for a healthy system that must not resync, [Notice] for
// how soon a loss is told.
//
// # Usage
//
//	summary, err := campaign.Run(ctx, campaign.Options{Seed: 1, Duration: time.Hour, Programs: programs})
//
// # What runs
//
// Publisher services are the product's binary. Workers and nodes are processes of
// package actor, nodes connected through proxies of package proxy. Each has its
// own directory, sockets and ports on the loopback; nothing else is touched, and
// only what was started is killed. It ends with its parent.
//
// # Rounds
//
// A campaign goes round by round. A round has a schedule of faults, which is a
// pure function of the seed and the round's number, then a quiet time in which
// everything has to converge, and a verdict. Every fault has to prove that it
// struck: bytes were withheld, a process has another number, the kernel says T.
// Those that can't are counted apart.
//
// # Logs
//
// Each round leaves a directory: records.jsonl, which the validator can be given
// again, and what each process wrote to standard error, with the time at which it
// came. Of rounds without a violation the last two are kept, and none in the end.
package campaign
