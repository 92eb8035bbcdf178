// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Watchers: who wants packets has a place in pg_watch and a ring of its own. A place is leased: one
 * whose owner died is free when the lease is over, and the programs stop filling its ring by then.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "dp_impl.h"

struct pg_dp_watch {
	struct pg_dp *dp;
	struct ring_buffer *ring;
	struct pg_watcher *place; /* in shared memory */
	__u32 number;
	__u64 owner;
	bool passing; /* it wants what is accepted, too */
	pg_dp_watched_fn *fn;
	void *arg;
};

static int make_ring(__u32 bytes)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "pg_watch_ring", 0, 0, bytes, NULL);

	return fd < 0 ? -errno : fd;
}

int pg_dp_watch_make(struct pg_dp *dp)
{
	_close_ int inner = make_ring(sysconf(_SC_PAGESIZE));
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (__u32)inner);
	int fd;

	if (inner < 0)
		return inner;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, pg_map_names[PG_MAP_WATCH_RINGS],
			    sizeof(__u32), sizeof(__u32), PG_WATCHERS, &opts);
	if (fd < 0)
		return -errno;
	dp->map[PG_MAP_WATCH_RINGS].fd = fd;
	return 0;
}

static struct pg_watch *shared(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_WATCH].mem;
}

_Static_assert(PG_WATCHERS == 4, "the message below names as many");

static int claim(struct pg_dp_watch *watch, struct pg_err *err)
{
	struct pg_watch *all = shared(watch->dp);
	__u64 now = pg_clock_ns(CLOCK_MONOTONIC), lease = now + PG_DP_WATCH_LEASE_S * UINT64_C(1000000000);

	for (__u32 i = 0; i < PG_WATCHERS; i++) {
		struct pg_watcher *w = &all->watcher[i];
		__u64 was = __atomic_load_n(&w->until_ns, __ATOMIC_ACQUIRE);

		if (was > now || !__atomic_compare_exchange_n(&w->until_ns, &was, lease, false,
							      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		__atomic_store_n(&w->owner, watch->owner, __ATOMIC_RELEASE);
		w->pid = getpid();
		watch->place = w;
		watch->number = i;
		return 0;
	}
	return pg_fail_exit(err, PG_EXIT_RESOURCE, -EBUSY,
			    "%u others watch packets already (processes %u, %u, %u and %u)",
			    PG_WATCHERS, all->watcher[0].pid, all->watcher[1].pid,
			    all->watcher[2].pid, all->watcher[3].pid);
}

static void fill_place(struct pg_watcher *w, const struct pg_dp_watch_opts *opts)
{
	w->ifaces = opts->ifaces ?: ~0ULL;
	w->cost_ns = opts->rate ? 1000000000ULL / opts->rate : 0;
	w->burst_ns = 1000000000;
	w->verdicts = opts->verdicts;
	w->snap = opts->snap && opts->snap < PG_WATCH_SNAP ? opts->snap : PG_WATCH_SNAP;
	w->sample = opts->sample;
}

static void clear_shares(const struct pg_dp_watch *watch)
{
	const struct pg_map *map = &watch->dp->map[PG_MAP_WATCH_CPUS];
	struct pg_watch_cpu *cpu = map->mem;

	for (__u32 i = 0; i < map->entries; i++)
		memset(&cpu[i].share[watch->number], 0, sizeof(cpu[i].share[watch->number]));
}

/* Renew the lease, and tell the programs anew: they or a commit may have forgotten. */
static int renew(struct pg_dp_watch *watch, struct pg_err *err)
{
	struct pg_watch *all = shared(watch->dp);
	struct pg_ctl *ctl = pg_dp_ctl(watch->dp);

	if (__atomic_load_n(&watch->place->owner, __ATOMIC_ACQUIRE) != watch->owner)
		return pg_fail(err, -ESTALE,
			       "stopped for more than %d seconds: process %u watches in our place now",
			       PG_DP_WATCH_LEASE_S, watch->place->pid);
	__atomic_store_n(&watch->place->until_ns,
			 pg_clock_ns(CLOCK_MONOTONIC) + PG_DP_WATCH_LEASE_S * UINT64_C(1000000000), __ATOMIC_RELEASE);
	__atomic_or_fetch(&all->on, 1U << watch->number, __ATOMIC_RELEASE);
	if (watch->passing)
		__atomic_or_fetch(&ctl->gen[pg_dp_active(watch->dp)].needs, PG_NEED_WATCH,
				  __ATOMIC_RELEASE);
	return 0;
}

static int take_packet(void *ctx, void *data, size_t size)
{
	const size_t head = sizeof(struct pg_watched) - PG_WATCH_SNAP;
	struct pg_dp_watch *watch = ctx;

	/* The ring has no more of it than `size` says. */
	return size < head ? 0 : watch->fn(watch->arg, data, size - head);
}

static int open_ring(struct pg_dp_watch *watch, struct pg_err *err)
{
	_close_ int fd = make_ring(PG_WATCH_RING);

	if (fd < 0)
		return pg_dp_fail(err, fd, "cannot make a ring for packets");
	watch->ring = ring_buffer__new(fd, take_packet, watch, NULL);
	if (!watch->ring)
		return pg_dp_fail(err, -errno, "cannot read packets");
	if (bpf_map_update_elem(watch->dp->map[PG_MAP_WATCH_RINGS].fd, &watch->number, &fd, 0))
		return pg_dp_fail(err, -errno, "cannot watch packets");
	return 0;
}

int pg_dp_watch_open(struct pg_dp *dp, const struct pg_dp_watch_opts *opts, pg_dp_watched_fn *fn,
		     void *arg, struct pg_dp_watch **ret_watch, struct pg_err *err)
{
	_cleanup_(pg_dp_watch_closep) struct pg_dp_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return pg_fail(err, -ENOMEM, "out of memory");
	watch->dp = dp;
	watch->fn = fn;
	watch->arg = arg;
	watch->passing = opts->verdicts & 1U << PG_VERDICT_ACCEPT;
	if (getrandom(&watch->owner, sizeof(watch->owner), 0) != sizeof(watch->owner))
		return pg_fail(err, -EIO, "no random numbers: %s", strerror(errno));
	r = claim(watch, err);
	if (r)
		return r;
	clear_shares(watch);
	fill_place(watch->place, opts);
	r = open_ring(watch, err);
	if (!r)
		r = renew(watch, err);
	if (r)
		return r;
	*ret_watch = TAKE_PTR(watch);
	return 0;
}

/* timeout_ms 0: what is there. */
static int read_ring(struct pg_dp_watch *watch, int timeout_ms, struct pg_err *err)
{
	int r = timeout_ms ? ring_buffer__poll(watch->ring, timeout_ms) :
			     ring_buffer__consume(watch->ring);

	if (r >= 0 || r == -ECANCELED || r == -EINTR)
		return r;
	return pg_dp_fail(err, r, "cannot read packets");
}

int pg_dp_watch_read(struct pg_dp_watch *watch, int timeout_ms, struct pg_err *err)
{
	int r = renew(watch, err);

	return r ? r : read_ring(watch, timeout_ms, err);
}

/* Take our bit out, so that the ring gets no more. */
static void stop(struct pg_dp_watch *watch)
{
	__atomic_and_fetch(&shared(watch->dp)->on, ~(1U << watch->number), __ATOMIC_RELEASE);
}

int pg_dp_watch_finish(struct pg_dp_watch *watch, struct pg_err *err)
{
	stop(watch);
	return read_ring(watch, 0, err);
}

void pg_dp_watch_sums(const struct pg_dp_watch *watch, struct pg_dp_watch_sums *ret)
{
	const struct pg_map *map = &watch->dp->map[PG_MAP_WATCH_CPUS];
	const struct pg_watch_cpu *cpu = map->mem;

	*ret = (struct pg_dp_watch_sums){ 0 };
	for (__u32 i = 0; i < map->entries; i++) {
		const struct pg_watch_share *share = &cpu[i].share[watch->number];

		ret->seen += __atomic_load_n(&share->seen, __ATOMIC_RELAXED);
		ret->limited += __atomic_load_n(&share->limited, __ATOMIC_RELAXED);
		ret->lost += __atomic_load_n(&share->lost, __ATOMIC_RELAXED);
	}
}

void pg_dp_watch_close(struct pg_dp_watch *watch)
{
	if (!watch)
		return;
	if (watch->place && __atomic_load_n(&watch->place->owner, __ATOMIC_ACQUIRE) == watch->owner) {
		stop(watch);
		bpf_map_delete_elem(watch->dp->map[PG_MAP_WATCH_RINGS].fd, &watch->number);
		__atomic_store_n(&watch->place->until_ns, 0, __ATOMIC_RELEASE);
	}
	ring_buffer__free(watch->ring);
	free(watch);
}
