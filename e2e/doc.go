// Package e2e tests the whole: the program that `make build` makes, as real
// processes, with real peers at both ends. Some are ours; the others are
// Python processes on libzmq, as Dragonflow's workers and nodes are
// (testdata/peer.py), or bytes written by hand, as an attacker's are.
//
// # Usage
//
//	make test-go TESTFLAGS='-run TestC7 ./e2e'
//
// The tests need /usr/bin/python3 with python3-zmq and python3-msgpack of
// Debian, which `make deps` installs. They share nothing with each other or
// with the system: each has its own directory, sockets and ports.
//
// Every test says in its comment which sentence it enforces. Those that break
// something on purpose also check that it did break.
package e2e
