package main

/*
#include "loop.h"
*/
import "C"

import (
	"time"
	"unsafe"
)

// Does not compile unless struct tally of loop.h is as large as tally.
var _ [C.sizeof_struct_tally]byte = [unsafe.Sizeof(tally{})]byte{}

// cTally is the tally as the loops in C know it.
func (st *station) cTally() *C.struct_tally {
	return (*C.struct_tally)(unsafe.Pointer(st.tally))
}

// newCSource is newSource for the loops in C. event is a body, or a message as it
// is on the wire, in which the body begins at bodyAt.
func newCSource(st *station, event []byte, bodyAt int) *C.struct_source {
	src := &C.struct_source{
		len:     C.uint32_t(len(event)),
		seq_at:  C.uint32_t(bodyAt + seqAt),
		time_at: C.uint32_t(bodyAt + timeAt),
		window:  C.uint64_t(st.job.Window),
		gap:     C.int64_t(st.job.Gap / time.Nanosecond),
		slowest: (*C.uint64_t)(unsafe.Pointer(&st.progress[st.job.Worker])),
		tally:   st.cTally(),
	}
	for i, b := range event {
		src.event[i] = C.uchar(b)
	}
	if st.job.Stamped {
		src.stamp_at = C.uint32_t(len(event) - 8)
	}
	return src
}
