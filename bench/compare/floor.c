#include "floor.h"

#include <errno.h>
#include <unistd.h>

enum { BATCH = 64 * 1024 };

static int write_all(int fd, const unsigned char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return errno;
		}
		data += n;
		len -= n;
	}
	return 0;
}

int floor_write_loop(const int *fds, int n, struct source *s)
{
	static unsigned char batch[BATCH];
	for (;;) {
		size_t len = 0;
		/* Paced, and while the run begins: one event, one write. */
		size_t limit = s->gap || LOAD(&s->tally->phase) != PHASE_FULL ? s->len : BATCH;
		while (len + s->len <= limit) {
			if (!source_next(s))
				break;
			memcpy(batch + len, s->event, s->len);
			len += s->len;
		}
		if (!len)
			return 0;
		for (int i = 0; i < n; i++) {
			int err = write_all(fds[i], batch, len);
			if (err)
				return err;
		}
		source_sent(s);
	}
}
