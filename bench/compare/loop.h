/* What the hot loops in C share: the C half of tally.go, event.go, source.go. */
#ifndef COMPARE_LOOP_H
#define COMPARE_LOOP_H

#include <stdint.h>
#include <string.h>
#include <time.h>

enum { PHASE_IDLE, PHASE_TRICKLE, PHASE_FULL, PHASE_STOP };
enum { MAX_WORKERS = 8, DIGITS = 16 };

/* The same as tally in tally.go, which a constant expression in loop.go checks. */
struct tally {
	uint64_t count, lost, disorder, other;
	uint64_t last[MAX_WORKERS], target[MAX_WORKERS];
	uint32_t workers, phase;
};

/* A sender's event and when the next one is due. */
struct source {
	unsigned char event[512]; /* a body, or one message as it is on the wire */
	uint32_t len, seq_at, time_at;
	uint32_t stamp_at; /* of a binary sequence number; 0: none */
	uint64_t seq, window;
	int64_t gap, due;
	const uint64_t *slowest; /* what the slowest subscriber has reached */
	struct tally *tally;
};

#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

static inline void sleep_ns(long ns)
{
	struct timespec t = {0, ns};
	nanosleep(&t, NULL);
}

static inline void put_digits(unsigned char *b, uint64_t n)
{
	for (int i = DIGITS - 1; i >= 0; i--, n /= 10)
		b[i] = '0' + n % 10;
}

static inline void count_up(unsigned char *b)
{
	int i = DIGITS - 1;
	while (i >= 0 && b[i] == '9')
		b[i--] = '0';
	if (i >= 0)
		b[i]++;
}

static inline uint64_t eight_digits(const unsigned char *b)
{
	uint64_t v;
	memcpy(&v, b, 8);
	v -= 0x3030303030303030;
	v = v * 10 + (v >> 8);
	return ((v & 0x000000ff000000ff) * 0x000f424000000064 + ((v >> 16) & 0x000000ff000000ff) * 0x0000271000000001) >> 32;
}

static inline uint64_t get_digits(const unsigned char *b)
{
	return eight_digits(b) * 100000000 + eight_digits(b + 8);
}

/* Keeps to the grid however late the events before were: open loop. */
static inline void await_due(struct source *s)
{
	struct timespec t;
	if (!s->due) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		s->due = (t.tv_sec * 1000000000LL + t.tv_nsec) / 1000 * 1000;
	}
	s->due += s->gap;
	t.tv_sec = s->due / 1000000000;
	t.tv_nsec = s->due % 1000000000;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
	put_digits(s->event + s->time_at, s->due / 1000);
}

/* Waits until the next event is due and makes it. 0 when the run stops. */
static inline int source_next(struct source *s)
{
	for (;;) {
		uint32_t phase = LOAD(&s->tally->phase);
		if (phase == PHASE_STOP)
			return 0;
		if (phase == PHASE_TRICKLE) {
			sleep_ns(1000000);
			break;
		}
		if (s->gap) {
			await_due(s);
			if (LOAD(&s->tally->phase) == PHASE_STOP)
				return 0;
			break;
		}
		if (!s->window || s->seq < LOAD(s->slowest) + s->window)
			break;
		sleep_ns(50000);
	}
	s->seq++;
	count_up(s->event + s->seq_at);
	if (s->stamp_at) {
		uint64_t n = __builtin_bswap64(s->seq);
		memcpy(s->event + s->stamp_at, &n, 8);
	}
	return 1;
}

static inline void source_sent(struct source *s)
{
	STORE(&s->tally->count, s->seq);
}

#endif
