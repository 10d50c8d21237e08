package actor

import _ "embed"

// PythonWorker is a program that does what RunWorker does, as Dragonflow's
// workers are: PUSH of libzmq, and bodies in msgpack.
//
//go:embed worker.py
var PythonWorker []byte
