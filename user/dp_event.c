// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The ring of LOG's and NFLOG's events. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "dp_impl.h"

struct pg_dp_events {
	struct ring_buffer *ring;
	int lock_fd;
	pg_dp_event_fn *fn;
	void *arg;
};

/*
 * A ring has one place up to which it was read, so it has one reader. A name in the abstract
 * namespace is a lock that dies with its owner, and bpffs has no files to lock.
 */
static int lock_ring(int map_fd, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);
	int n;

	if (fd < 0 || bpf_obj_get_info_by_fd(map_fd, &info, &size))
		return -errno;
	n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "portguard-log-%u", info.id);
	if (bind(fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)))
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int take_event(void *ctx, void *data, size_t size)
{
	const struct pg_dp_events *events = ctx;
	struct pg_event *e = data;

	if (size < sizeof(*e) || e->captured > sizeof(e->data))
		return 0;
	return events->fn(events->arg, e);
}

int pg_dp_events_open(struct pg_dp *dp, pg_dp_event_fn *fn, void *arg,
		      struct pg_dp_events **ret_events, struct pg_err *err)
{
	_cleanup_(pg_dp_events_closep) struct pg_dp_events *events = calloc(1, sizeof(*events));
	int fd = dp->map[PG_MAP_EVENTS].fd, r;

	if (!events)
		return pg_fail(err, -ENOMEM, "out of memory");
	events->lock_fd = -1;
	events->fn = fn;
	events->arg = arg;
	r = lock_ring(fd, &events->lock_fd);
	if (r == -EADDRINUSE)
		return pg_fail_exit(err, PG_EXIT_RESOURCE, r,
				    "another `portguard log' is reading these events");
	if (r)
		return pg_dp_fail(err, r, "cannot read the events");
	events->ring = ring_buffer__new(fd, take_event, events, NULL);
	if (!events->ring)
		return pg_dp_fail(err, -errno, "cannot read the events");
	*ret_events = TAKE_PTR(events);
	return 0;
}

int pg_dp_events_read(struct pg_dp_events *events, int timeout_ms, struct pg_err *err)
{
	int r = timeout_ms ? ring_buffer__poll(events->ring, timeout_ms) :
			     ring_buffer__consume(events->ring);

	/* -ECANCELED is the reader's own wish to stop, a signal its caller's business. */
	if (r >= 0 || r == -ECANCELED || r == -EINTR)
		return r;
	return pg_dp_fail(err, r, "cannot read the events");
}

void pg_dp_events_close(struct pg_dp_events *events)
{
	if (!events)
		return;
	ring_buffer__free(events->ring);
	pg_closep(&events->lock_fd);
	free(events);
}

__u64 pg_dp_events_lost(const struct pg_dp *dp)
{
	const struct pg_state *rate = dp->map[PG_MAP_EVENT_RATE].mem;
	__u64 sum = 0;

	for (__u32 cpu = 0; cpu < dp->map[PG_MAP_EVENT_RATE].entries; cpu++)
		sum += __atomic_load_n(&rate[cpu].rate, __ATOMIC_RELAXED);
	return sum;
}
