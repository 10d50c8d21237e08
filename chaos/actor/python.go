package actor

import _ "embed"

// PythonWorker is a program that does what RunWorker does, as Dragonflow's
// workers are: PUSH of libzmq, and bodies in msgpack.
//
//go:embed worker.py
var PythonWorker []byte

// PythonNode is a program that does what RunNode does, as unmodified nodes are: SUB
// of libzmq, that knows of no numbers and never hears of its own reconnects. It has
// one session, and does not churn.
//
//go:embed node.py
var PythonNode []byte
