// Compare measures Wyvern's ZeroMQ drivers against the same system made of
// libzmq, on one machine, in one session, with the rivals interleaved.
//
// # Usage
//
//	go build && ./compare -scenario fanout,paced -rounds 5 -json result.json
//
// # Processes
//
// The binary runs itself once for every role, so that publisher, service,
// workers and readers are processes of their own and getrusage bills each one
// alone. The parent and its children speak JSON lines over stdin and stdout:
//
//	parent                      child
//	  job          ------->                  what to be
//	               <-------     ready        bound or connected
//	  trickle      ------->     senders      one event per millisecond
//	               <-------     flowing      receivers: every stream has begun
//	  full         ------->     senders      as fast as they can, or paced
//	  mark         <------>     mark         a snapshot, twice: the window
//	  look         <------>     look         a snapshot, within the window
//	  stop         ------->     senders, then receivers with the counts sent
//	               <-------     done         figures and losses
//	  exit         ------->
//
// No step waits for a time to pass except the warm-up and the window itself, which
// lasts longer where something must happen in it (trial.effect). A
// child whose standard input ends exits at once, and the kernel kills it when
// its parent dies.
//
// # Files
//
// A scenario is a short script: scenario_fanout.go, scenario_paced.go,
// scenario_chain.go, scenario_ipc.go, scenario_subscriber.go,
// scenario_isolation.go. The roles they start are in ours.go, libzmq.go, floor.go,
// reader.go, crowd.go and crowd_hostile.go. What a role may use is in station.go;
// how the parent drives it is in process.go and trial.go.
package main
