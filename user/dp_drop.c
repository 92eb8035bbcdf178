// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading the black box, which the programs go on writing. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "dp_impl.h"

#define SETTLED_NS 2000000U
/* The oldest may be giving its place to the next at this moment. */
#define KEPT (PG_BOX_DROPS - 1)

struct pg_dp_drops {
	const struct pg_box *box;
	__u32 cpus;
	__u64 next[]; /* of each CPU's drops */
};

static __u64 head_of(const struct pg_box *box)
{
	return __atomic_load_n(&box->head, __ATOMIC_ACQUIRE);
}

int pg_dp_drops_open(struct pg_dp *dp, bool from_now, struct pg_dp_drops **ret_drops,
		     struct pg_err *err)
{
	const struct pg_map *map = &dp->map[PG_MAP_BOX];
	struct pg_dp_drops *drops = calloc(1, sizeof(*drops) + map->entries * sizeof(*drops->next));

	if (!drops)
		return pg_fail(err, -ENOMEM, "out of memory");
	drops->box = map->mem;
	drops->cpus = map->entries;
	for (__u32 cpu = 0; cpu < drops->cpus; cpu++) {
		__u64 head = head_of(&drops->box[cpu]);

		drops->next[cpu] = from_now ? head : head > KEPT ? head - KEPT : 0;
	}
	*ret_drops = drops;
	return 0;
}

/* One CPU's, behind those in ret[]; how many. Those that were written over meanwhile don't count. */
static size_t take_cpu(struct pg_dp_drops *drops, __u32 cpu, __u64 until_ns, struct pg_drop *ret,
		       __u64 *missed)
{
	const struct pg_box *box = &drops->box[cpu];
	__u64 head = head_of(box), *next = &drops->next[cpu];
	size_t n = 0;

	if (head - *next > KEPT) {
		*missed += head - KEPT - *next;
		*next = head - KEPT;
	}
	for (; *next < head; ++*next) {
		memcpy(&ret[n], (const void *)&box->drop[*next & (PG_BOX_DROPS - 1)], sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (head_of(box) - *next > KEPT) {
			++*missed;
			continue;
		}
		if (ret[n].time_ns > until_ns)
			break;
		n++;
	}
	return n;
}

static int by_time(const void *a, const void *b)
{
	const struct pg_drop *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

int pg_dp_drops_take(struct pg_dp_drops *drops, bool settle, struct pg_drop **ret, size_t *ret_n,
		     __u64 *ret_missed, struct pg_err *err)
{
	_free_ struct pg_drop *drop = calloc((size_t)drops->cpus * PG_BOX_DROPS, sizeof(*drop));
	__u64 until_ns = UINT64_MAX, missed = 0;
	size_t n = 0;

	if (!drop)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (settle)
		until_ns = pg_clock_ns(CLOCK_MONOTONIC) - SETTLED_NS;
	for (__u32 cpu = 0; cpu < drops->cpus; cpu++)
		n += take_cpu(drops, cpu, until_ns, drop + n, &missed);
	qsort(drop, n, sizeof(*drop), by_time);
	*ret = TAKE_PTR(drop);
	*ret_n = n;
	*ret_missed = missed;
	return 0;
}

void pg_dp_drops_close(struct pg_dp_drops *drops)
{
	free(drops);
}

__u64 pg_dp_drops_skipped(const struct pg_dp *dp)
{
	const struct pg_map *map = &dp->map[PG_MAP_BOX];
	const struct pg_box *box = map->mem;
	__u64 sum = 0;

	for (__u32 cpu = 0; cpu < map->entries; cpu++) {
		sum += __atomic_load_n(&box[cpu].skipped, __ATOMIC_RELAXED);
		for (__u32 i = 0; i < PG_BOX_BUDGETS; i++)
			sum += __atomic_load_n(&box[cpu].budget[i].skipped, __ATOMIC_RELAXED);
	}
	return sum;
}

bool pg_dp_drops_have(const struct pg_dp *dp, __u32 number)
{
	const struct pg_map *map = &dp->map[PG_MAP_BOX];
	const struct pg_box *box = map->mem;

	for (__u32 cpu = 0; cpu < map->entries; cpu++)
		for (__u64 i = 0, n = head_of(&box[cpu]); i < n && i < PG_BOX_DROPS; i++)
			if (box[cpu].drop[i].number == number)
				return true;
	return false;
}
