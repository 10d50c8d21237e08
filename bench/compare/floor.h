/* The floor: the same bytes written to every socket, and nothing else. */
#ifndef COMPARE_FLOOR_H
#define COMPARE_FLOOR_H

#include "loop.h"

/* Returns 0, or an errno, when the phase is stop. The sockets block. */
int floor_write_loop(const int *fds, int n, struct source *s);

#endif
