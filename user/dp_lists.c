// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lists that rules of one name share: addresses of -m recent, buckets of -m hashlimit. The kernel
 * makes one with the first rule that names it and forgets it with the last (net/netfilter/xt_recent.c,
 * xt_hashlimit.c); here what was left behind is forgotten when the name comes again.
 */
#include <errno.h>
#include <stdlib.h>

#include "dp_impl.h"

/* Both kinds of keys begin with the name. */
union list_key {
	__u64 name;
	struct pg_recent_key recent;
	struct pg_hashlimit_key hashlimit;
};

struct names {
	__u64 *name; /* sorted; owned */
	size_t n;
};

static void names_free(struct names *names)
{
	free(names->name);
}

static int compare(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool has(const struct names *names, __u64 name)
{
	return bsearch(&name, names->name, names->n, sizeof(name), compare);
}

/* 0: the condition needs no list. */
static __u64 list_of(const struct pg_check *c)
{
	return c->kind == PG_CHECK_RECENT ? c->u64[0] : c->kind == PG_CHECK_HASHLIMIT ? c->u64[2] : 0;
}

/* The names in a generation's rules, each as often as it occurs. */
static int read_names(const struct pg_tables_map *map, __u32 g, struct names *ret)
{
	for (__u32 i = 0; i < map->ctl.gen[g].terms; i++) {
		const struct pg_term_record *rec = &map->term[g][i];

		for (__u32 k = 0; k < rec->checks; k++) {
			__u64 name = list_of(&map->check[g][rec->check + k]), *bigger;

			if (!name || (ret->n && ret->name[ret->n - 1] == name))
				continue;
			bigger = reallocarray(ret->name, ret->n + 1, sizeof(*bigger));
			if (!bigger)
				return -ENOMEM;
			ret->name = bigger;
			bigger[ret->n++] = name;
		}
	}
	if (ret->n)
		qsort(ret->name, ret->n, sizeof(*ret->name), compare);
	return 0;
}

/* Of `names`. Packets go on meanwhile, but none that adds to these. */
static void forget(const struct pg_map *map, const struct names *names)
{
	union list_key key, next;
	bool more = !bpf_map_get_next_key(map->fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(map->fd, &key, &next);
		if (has(names, key.name))
			bpf_map_delete_elem(map->fd, &key);
	}
}

int pg_dp_lists_renew(struct pg_dp *dp, __u32 from, __u32 to)
{
	const struct pg_tables_map *map = dp->map[PG_MAP_TABLES].mem;
	_cleanup_(names_free) struct names old = { 0 }, names = { 0 };
	size_t n = 0;
	int r = read_names(map, from, &old) ?: read_names(map, to, &names);

	if (r)
		return r;
	for (size_t i = 0; i < names.n; i++)
		if (!has(&old, names.name[i]))
			names.name[n++] = names.name[i];
	names.n = n;
	if (n) {
		forget(&dp->map[PG_MAP_RECENTS], &names);
		forget(&dp->map[PG_MAP_HASHLIMITS], &names);
	}
	return 0;
}
