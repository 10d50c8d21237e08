#include "libzmq.h"

#include <errno.h>
#include <zmq.h>

/* Sockets have a timeout of 100 ms, only so that a loop sees the stop. */

static int send_frame(void *socket, const void *data, size_t len, int flags)
{
	while (zmq_send(socket, data, len, flags) < 0)
		if (errno != EAGAIN && errno != EINTR)
			return errno;
	return 0;
}

int libzmq_send_loop(void *socket, struct source *s)
{
	int err;
	while (source_next(s)) {
		if ((err = send_frame(socket, "D", 1, ZMQ_SNDMORE)))
			return err;
		if ((err = send_frame(socket, s->event, s->len, 0)))
			return err;
		source_sent(s);
	}
	return 0;
}

/* Messages go through without a copy: what was received is what is sent. */
int libzmq_forward_loop(void *from, void *to, struct tally *t)
{
	zmq_msg_t m;
	zmq_msg_init(&m);
	for (;;) {
		if (zmq_msg_recv(&m, from, 0) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return errno;
			if (LOAD(&t->phase) == PHASE_STOP)
				return 0;
			continue;
		}
		int more = zmq_msg_more(&m);
		while (zmq_msg_send(&m, to, more ? ZMQ_SNDMORE : 0) < 0)
			if (errno != EAGAIN && errno != EINTR)
				return errno;
		if (!more)
			STORE(&t->count, t->count + 1);
	}
}

/* The same checks as tally.see. */
static void see(struct tally *t, const unsigned char *body, size_t len, size_t at)
{
	/* {"w":"0","n":"0000000000000001" */
	if (len < at + 14 + DIGITS || memcmp(body + at, "{\"w\":\"", 6) || body[at + 6] - '0' >= MAX_WORKERS) {
		STORE(&t->other, t->other + 1);
		return;
	}
	int worker = body[at + 6] - '0';
	uint64_t last = t->last[worker], seq = get_digits(body + at + 14);
	if (last && seq <= last) {
		STORE(&t->disorder, t->disorder + 1);
		return;
	}
	if (last && seq != last + 1)
		STORE(&t->lost, t->lost + seq - last - 1);
	STORE(&t->last[worker], seq);
	STORE(&t->count, t->count + 1);
}

static int reached(struct tally *t)
{
	for (uint32_t w = 0; w < t->workers; w++)
		if (t->last[w] < LOAD(&t->target[w]))
			return 0;
	return 1;
}

int libzmq_receive_loop(void *socket, struct tally *t, int value_at)
{
	zmq_msg_t m;
	int idle = 0;
	zmq_msg_init(&m);
	for (;;) {
		if (LOAD(&t->phase) == PHASE_STOP && (reached(t) || idle > 15))
			return 0;
		if (zmq_msg_recv(&m, socket, 0) < 0) {
			if (errno != EAGAIN && errno != EINTR)
				return errno;
			idle++;
			continue;
		}
		idle = 0;
		if (!zmq_msg_more(&m))
			see(t, zmq_msg_data(&m), zmq_msg_size(&m), value_at);
	}
}
