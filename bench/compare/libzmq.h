/* The hot loops of the rival, in C so that it never pays for a cgo call. */
#ifndef COMPARE_LIBZMQ_H
#define COMPARE_LIBZMQ_H

#include "loop.h"

/* All return 0, or an errno, when the phase is stop. */
int libzmq_send_loop(void *socket, struct source *s);                 /* XPUB, PUSH */
int libzmq_forward_loop(void *from, void *to, struct tally *t);       /* the service */
int libzmq_receive_loop(void *socket, struct tally *t, int value_at); /* PULL, SUB */

#endif
