// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Lists of `recent` and connlimit, buckets of hashlimit: forgotten, copied to another instance, read. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "dp_impl.h"

/* Keys and values are of different sizes; these are the largest. */
union list_key {
	__u64 name; /* what those of `recent` and hashlimit begin with */
	struct pg_recent_key recent;
	struct pg_hashlimit_key hashlimit;
	struct pg_connlimit_key connlimit;
};

union list_value {
	struct pg_recent_entry recent;
	struct pg_bucket hashlimit;
	struct pg_connlimit connlimit;
};

static int forget_list(int fd)
{
	union list_key key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		if (bpf_map_delete_elem(fd, &key) && errno != ENOENT)
			return -errno;
	return errno == ENOENT ? 0 : -errno;
}

int pg_dp_lists_forget(struct pg_dp *dp, struct pg_err *err)
{
	int r = forget_list(dp->map[PG_MAP_RECENTS].fd) ?:
		forget_list(dp->map[PG_MAP_HASHLIMITS].fd) ?:
		forget_list(dp->map[PG_MAP_CONNLIMITS].fd);

	return r ? pg_dp_fail(err, r, "cannot forget what packets have left behind") : 0;
}

/*
 * Lists by name -------------------------------------------------------------------------------------
 *
 * The kernel makes a list of `recent` or hashlimit with the first rule that names it and forgets it with
 * the last (net/netfilter/xt_recent.c, xt_hashlimit.c); here what was left behind is forgotten when the
 * name comes again.
 */

void pg_list_names_free(struct pg_list_names *names)
{
	free(names->name);
}

static int compare(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool has(const struct pg_list_names *names, __u64 name)
{
	return bsearch(&name, names->name, names->n, sizeof(name), compare);
}

/* 0: the condition needs no list. */
static __u64 list_of(const struct pg_check *c)
{
	return c->kind == PG_CHECK_RECENT ? c->u64[0] : c->kind == PG_CHECK_HASHLIMIT ? c->u64[2] : 0;
}

/* The names in `n` terms' conditions, each as often as it occurs. */
static int read_names(const struct pg_term_record *term, size_t n, const struct pg_check *check,
		      struct pg_list_names *ret)
{
	for (size_t i = 0; i < n; i++) {
		for (__u32 k = 0; k < term[i].checks; k++) {
			__u64 name = list_of(&check[term[i].check + k]), *bigger;

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
static void forget(const struct pg_map *map, const struct pg_list_names *names)
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

int pg_dp_lists_new(struct pg_dp *dp, __u32 from, const struct pg_tables *tables,
		    struct pg_list_names *ret)
{
	const struct pg_tables_map *map = dp->map[PG_MAP_TABLES].mem;
	_cleanup_(pg_list_names_free) struct pg_list_names old = { 0 }, names = { 0 };
	size_t n = 0;
	int r = read_names(map->term[from], map->ctl.gen[from].terms, map->check[from], &old) ?:
		read_names(tables->records, tables->gen.terms, tables->checks, &names);

	if (r)
		return r;
	for (size_t i = 0; i < names.n; i++)
		if (!has(&old, names.name[i]))
			names.name[n++] = names.name[i];
	*ret = (struct pg_list_names){ TAKE_PTR(names.name), n };
	return 0;
}

void pg_dp_lists_empty(struct pg_dp *dp, const struct pg_list_names *names)
{
	if (!names->n)
		return;
	forget(&dp->map[PG_MAP_RECENTS], names);
	forget(&dp->map[PG_MAP_HASHLIMITS], names);
}

/* Copying -------------------------------------------------------------------------------------- */

struct copy {
	struct pg_dp *to, *from;
	const __u32 *state; /* by the number there: the number here */
};

/* Makes an entry of there one of here. 1: it is none. */
typedef int change_fn(const struct copy *copy, union list_key *key, union list_value *value);

/* What is forgotten meanwhile is no loss. */
static int copy_list(const struct copy *copy, enum pg_map_id map, change_fn *change)
{
	int to = copy->to->map[map].fd, from = copy->from->map[map].fd;
	union list_key key, next;
	union list_value value;
	bool more = !bpf_map_get_next_key(from, NULL, &next);
	int r;

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(from, &key, &next);
		if (bpf_map_lookup_elem(from, &key, &value))
			continue;
		r = change ? change(copy, &key, &value) : 0;
		if (r < 0)
			return r;
		if (!r && bpf_map_update_elem(to, &key, &value, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* The same network namespace may have another number there; which that had here is that one's then. */
static void change_space(const struct copy *copy, struct pg_flow_key *key)
{
	__u32 there = pg_dp_flow_space(copy->from), here = pg_dp_flow_space(copy->to);
	__u32 space = key->space & ~PG_FLOW_V6;

	if (space == there)
		space = here;
	else if (space == here)
		space = there;
	key->space = (__u8)(space | (key->space & PG_FLOW_V6));
}

/* An element of a list counts as long as its flow is there, so that goes with it. */
static int copy_flow(const struct copy *copy, struct pg_flow_key *key)
{
	struct pg_dp_flow flow, own;
	bool there = pg_dp_flow_get(copy->from, key, &flow);
	int r;

	change_space(copy, key);
	if (!there || pg_dp_flow_get(copy->to, key, &own))
		return 0;
	flow.key = *key;
	r = pg_dp_flow_put(copy->to, &flow);
	return r == -ENOSPC ? 0 : r;
}

/* A list is its rule's, by the number of the rule's state and by since when it has that. */
static int change_connlimit(const struct copy *copy, union list_key *key, union list_value *value)
{
	struct pg_connlimit_key *list = &key->connlimit;
	struct pg_state state;

	if (list->state >= PG_STATES || copy->state[list->state] >= PG_STATES)
		return 1;
	pg_dp_state_get(copy->from, list->state, &state);
	if (state.value != list->since)
		return 1;
	list->state = copy->state[list->state];
	if (list->place == PG_CONNLIMIT_HEAD) {
		value->connlimit.time_ns = 0; /* no CPU is at it here */
		return 0;
	}
	return copy_flow(copy, &value->connlimit.flow);
}

int pg_dp_lists_copy(struct pg_dp *dp, struct pg_dp *from, const __u32 *state, struct pg_err *err)
{
	const struct copy copy = { dp, from, state };
	int r = copy_list(&copy, PG_MAP_RECENTS, NULL) ?: copy_list(&copy, PG_MAP_HASHLIMITS, NULL) ?:
		copy_list(&copy, PG_MAP_CONNLIMITS, change_connlimit);

	return r ? pg_dp_fail(err, r, "cannot copy what packets have left behind") : 0;
}

/* Reading -------------------------------------------------------------------------------------- */

__u32 pg_dp_connlimit_read(struct pg_dp *dp, __u32 state, enum pg_family family,
			   const __be32 addr[4], unsigned bits)
{
	struct pg_connlimit_key key = {
		.state = state,
		.place = PG_CONNLIMIT_HEAD,
		.family = family,
	};
	struct pg_connlimit head;
	struct pg_state s;

	pg_dp_state_get(dp, state, &s);
	key.since = s.value;
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = bits > 32 * i ? bits - 32 * i : 0;

		key.addr[i] = n >= 32 ? addr[i] : n ? addr[i] & htonl(~0U << (32 - n)) : 0;
	}
	return bpf_map_lookup_elem(dp->map[PG_MAP_CONNLIMITS].fd, &key, &head) ? 0 : head.count;
}

bool pg_dp_hashlimit_read(struct pg_dp *dp, const struct pg_hashlimit_key *key, struct pg_bucket *ret)
{
	return !bpf_map_lookup_elem(dp->map[PG_MAP_HASHLIMITS].fd, key, ret);
}

bool pg_dp_recent_read(struct pg_dp *dp, const struct pg_recent_key *key, struct pg_recent_entry *ret)
{
	return !bpf_map_lookup_elem(dp->map[PG_MAP_RECENTS].fd, key, ret);
}
