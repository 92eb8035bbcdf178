// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sets.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define SECOND_NS 1000000000ULL
#define LAYER_SLOTS_MIN 64

static int no_memory(struct pg_err *err)
{
	return pg_fail(err, -ENOMEM, "out of memory");
}

static int no_such_set(struct pg_err *err)
{
	return pg_fail(err, -ENOENT, "The set with the given name does not exist");
}

/* The layer ------------------------------------------------------------------------------------ */

static uint64_t hash_entry(const struct pg_set_entry *e)
{
	const struct pg_set_key *k = &e->key;
	const uint64_t words[] = {
		(uint64_t)k->addr[0] << 32 | k->addr[1],
		(uint64_t)k->addr[2] << 32 | k->addr[3],
		(uint64_t)k->port << 16 | (uint64_t)k->proto << 8 | e->prefix,
	};
	uint64_t h = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

static bool same_key(const struct pg_set_entry *a, const struct pg_set_entry *b)
{
	return a->prefix == b->prefix && !memcmp(&a->key, &b->key, sizeof(a->key));
}

/* The slot that has the entry, or the free one that it would go to. */
static size_t find_slot(const struct pg_set *set, const struct pg_set_entry *e)
{
	size_t i = hash_entry(e) & (set->slots - 1);

	while (set->slot[i] && !same_key(&set->entry[set->slot[i] - 1], e))
		i = (i + 1) & (set->slots - 1);
	return i;
}

static struct pg_set_entry *layer_find(const struct pg_set *set, const struct pg_set_entry *e)
{
	size_t i;

	if (!set->slots)
		return NULL;
	i = find_slot(set, e);
	return set->slot[i] ? &set->entry[set->slot[i] - 1] : NULL;
}

/* Room for one entry more, with the slots never more than half full. */
static int layer_reserve(struct pg_set *set)
{
	size_t slots = set->slots ? set->slots * 2 : LAYER_SLOTS_MIN;
	struct pg_set_entry *entry;
	uint32_t *slot;

	if (set->n < set->cap)
		return 0;
	if (slots / 2 > UINT32_MAX / 2)
		return -ENOMEM;
	entry = realloc(set->entry, slots / 2 * sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	set->entry = entry;
	slot = calloc(slots, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	free(set->slot);
	set->slot = slot;
	set->slots = slots;
	set->cap = slots / 2;
	for (size_t i = 0; i < set->n; i++)
		set->slot[find_slot(set, &set->entry[i])] = (uint32_t)i + 1;
	return 0;
}

static int layer_put(struct pg_set *set, const struct pg_set_entry *e, enum pg_set_change change)
{
	struct pg_set_entry *there = layer_find(set, e);

	if (!there) {
		if (layer_reserve(set) < 0)
			return -ENOMEM;
		there = &set->entry[set->n++];
		*there = *e;
		set->slot[find_slot(set, e)] = (uint32_t)set->n;
	}
	*there = *e;
	there->change = (uint8_t)change;
	set->dirty = true;
	return 0;
}

static void layer_free(struct pg_set *set)
{
	free(set->entry);
	free(set->slot);
	set->entry = NULL;
	set->slot = NULL;
	set->n = set->cap = set->slots = 0;
}

/* An entry as it is, expired or not. 0, -ENOENT, or another error from below. */
static int find_raw(const struct pg_sets *sets, const struct pg_set *set, struct pg_set_entry *e)
{
	const struct pg_set_entry *there = layer_find(set, e);

	if (there) {
		*e = *there;
		return there->change == PG_SET_DELETE ? -ENOENT : 0;
	}
	if (set->origin < 0)
		return -ENOENT;
	return sets->base.lookup(sets->base.arg, (uint32_t)set->origin, e);
}

/* Sets ----------------------------------------------------------------------------------------- */

struct pg_sets *pg_sets_new(const struct pg_set_info *infos, const struct pg_sets_base *base,
			    uint64_t now_ns)
{
	struct pg_sets *sets = calloc(1, sizeof(*sets));

	if (!sets)
		return NULL;
	if (base)
		sets->base = *base;
	sets->now_ns = now_ns;
	for (uint32_t i = 0; i < PG_SETS; i++) {
		sets->set[i].origin = -1;
		if (!infos || !infos[i].type)
			continue;
		sets->set[i].info = infos[i];
		sets->set[i].origin = (int)i;
	}
	return sets;
}

void pg_sets_free(struct pg_sets *sets)
{
	if (!sets)
		return;
	for (size_t i = 0; i < PG_SETS; i++)
		layer_free(&sets->set[i]);
	free(sets);
}

struct pg_set *pg_sets_find(struct pg_sets *sets, const char *name)
{
	for (size_t i = 0; i < PG_SETS; i++)
		if (sets->set[i].info.type && !strcmp(sets->set[i].info.name, name))
			return &sets->set[i];
	return NULL;
}

/* What `create -exist` compares; the hash's size is not among it, as under ipset. */
static bool same_kind(const struct pg_set_info *a, const struct pg_set_info *b)
{
	return a->type == b->type && a->family == b->family && a->netmask == b->netmask &&
	       a->maxelem == b->maxelem && a->has_timeout == b->has_timeout &&
	       a->timeout == b->timeout;
}

int pg_sets_create(struct pg_sets *sets, const struct pg_set_info *info, bool exist,
		   struct pg_err *err)
{
	struct pg_set *set = pg_sets_find(sets, info->name);

	if (set) {
		if (exist && same_kind(&set->info, info))
			return 0;
		return pg_fail(err, -EEXIST,
			       "Set cannot be created: set with the same name already exists");
	}
	for (size_t i = 0; i < PG_SETS && !set; i++)
		if (!sets->set[i].info.type)
			set = &sets->set[i];
	if (!set)
		return pg_fail(err, -ENOSPC,
			       "Kernel error received: maximal number of sets reached, cannot "
			       "create more.");
	set->info = *info;
	set->info.count = 0;
	set->info.earliest_ns = set->info.collected_ns = 0;
	set->origin = -1;
	set->dirty = true;
	return 0;
}

static void destroy(struct pg_set *set)
{
	layer_free(set);
	*set = (struct pg_set){ .origin = -1, .dirty = true };
}

int pg_sets_destroy(struct pg_sets *sets, const char *name, struct pg_err *err)
{
	static const char in_use[] = "Set cannot be destroyed: it is in use by a kernel component";
	struct pg_set *set;

	if (name) {
		set = pg_sets_find(sets, name);
		if (!set)
			return no_such_set(err);
		if (set->references)
			return pg_fail(err, -EBUSY, "%s", in_use);
		destroy(set);
		return 0;
	}
	for (set = sets->set; set < sets->set + PG_SETS; set++)
		if (set->references)
			return pg_fail(err, -EBUSY, "%s", in_use);
	for (set = sets->set; set < sets->set + PG_SETS; set++)
		if (set->info.type)
			destroy(set);
	return 0;
}

static void flush(struct pg_set *set)
{
	layer_free(set);
	set->origin = -1;
	set->info.count = 0;
	set->info.earliest_ns = set->info.collected_ns = 0;
	set->dirty = true;
}

int pg_sets_flush(struct pg_sets *sets, const char *name, struct pg_err *err)
{
	struct pg_set *set = name ? pg_sets_find(sets, name) : NULL;

	if (name && !set)
		return no_such_set(err);
	if (set) {
		flush(set);
		return 0;
	}
	for (set = sets->set; set < sets->set + PG_SETS; set++)
		if (set->info.type)
			flush(set);
	return 0;
}

int pg_sets_rename(struct pg_sets *sets, const char *from, const char *to, struct pg_err *err)
{
	struct pg_set *set = pg_sets_find(sets, from);

	if (!set)
		return no_such_set(err);
	/* Rules know it by its name. */
	if (set->references)
		return pg_fail(err, -EBUSY,
			       "Set cannot be renamed: it is in use by another system");
	if (pg_sets_find(sets, to))
		return pg_fail(err, -EEXIST,
			       "Set cannot be renamed: a set with the new name already exists");
	snprintf(set->info.name, sizeof(set->info.name), "%s", to);
	set->dirty = true;
	return 0;
}

/*
 * The contents change places and the names stay, and so do the numbers that rules know. Beyond
 * ipset's conditions, entries must be kept in the same kind of map, which rules know, too.
 */
int pg_sets_swap(struct pg_sets *sets, const char *a, const char *b, struct pg_err *err)
{
	struct pg_set *first = pg_sets_find(sets, a), *second = pg_sets_find(sets, b), tmp;
	char name[sizeof(first->info.name)];

	if (!first)
		return no_such_set(err);
	if (!second)
		return pg_fail(err, -ENOENT,
			       "Sets cannot be swapped: the second set does not exist");
	if (first->info.type != second->info.type || first->info.family != second->info.family ||
	    first->info.net != second->info.net)
		return pg_fail(err, -EINVAL,
			       "The sets cannot be swapped: their type does not match");
	tmp = *first;
	*first = *second;
	*second = tmp;
	memcpy(name, first->info.name, sizeof(name));
	memcpy(first->info.name, second->info.name, sizeof(name));
	memcpy(second->info.name, name, sizeof(name));
	second->references = first->references;
	first->references = tmp.references;
	first->dirty = second->dirty = true;
	return 0;
}

/* Entries -------------------------------------------------------------------------------------- */

static int lookup_failed(int r, struct pg_err *err)
{
	return pg_fail(err, r, "cannot read a set: %s", strerror(-r));
}

int pg_set_add(struct pg_sets *sets, struct pg_set *set, const struct pg_set_entry *entry,
	       bool exist, struct pg_err *err)
{
	struct pg_set_entry there = *entry;
	int r = find_raw(sets, set, &there);

	if (r < 0 && r != -ENOENT)
		return lookup_failed(r, err);
	if (!r && !exist && !pg_set_expired(&there, sets->now_ns))
		return pg_fail(err, -EEXIST,
			       "Element cannot be added to the set: it's already added");
	if (r && set->info.count >= set->info.maxelem)
		return pg_fail(err, -ENOSPC, "Hash is full, cannot add more elements");
	if (r)
		set->info.count++;
	if (layer_put(set, entry, PG_SET_PUT) < 0)
		return no_memory(err);
	if (entry->expires_ns &&
	    (!set->info.earliest_ns || entry->expires_ns < set->info.earliest_ns))
		set->info.earliest_ns = entry->expires_ns;
	return 0;
}

int pg_set_del(struct pg_sets *sets, struct pg_set *set, const struct pg_set_entry *entry,
	       bool exist, struct pg_err *err)
{
	struct pg_set_entry there = *entry;
	int r = find_raw(sets, set, &there);

	if (r < 0 && r != -ENOENT)
		return lookup_failed(r, err);
	if ((r || pg_set_expired(&there, sets->now_ns)) && !exist)
		return pg_fail(err, -ENOENT,
			       "Element cannot be deleted from the set: it's not added");
	if (r)
		return 0;
	if (layer_put(set, entry, PG_SET_DELETE) < 0)
		return no_memory(err);
	if (set->info.count)
		set->info.count--;
	return 0;
}

int pg_set_test(struct pg_sets *sets, struct pg_set *set, const struct pg_set_entry *entry,
		bool *ret_in, struct pg_err *err)
{
	unsigned whole = set->info.family == PG_FAMILY_V4 ? 32 : 128, bits = entry->prefix;
	bool walk = set->info.type == PG_SET_HASH_NET && bits == whole;
	struct pg_set_entry there;
	int r;

	do {
		there = *entry;
		there.prefix = (uint8_t)bits;
		if (walk)
			pg_set_cut(there.key.addr, bits);
		r = find_raw(sets, set, &there);
		if (r < 0 && r != -ENOENT)
			return lookup_failed(r, err);
		if (!r && !pg_set_expired(&there, sets->now_ns)) {
			*ret_in = there.nomatch == entry->nomatch;
			return 0;
		}
	} while (walk && --bits);
	*ret_in = false;
	return 0;
}

void pg_set_cut(__be32 *addr, unsigned bits)
{
	uint8_t *byte = (uint8_t *)addr;

	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			byte[i] &= (uint8_t)(0xff00U >> keep);
	}
}

bool pg_set_changes(const struct pg_set *set, const struct pg_set_entry *entry)
{
	return layer_find(set, entry);
}

uint32_t pg_set_seconds_left(const struct pg_set_entry *entry, uint64_t now_ns)
{
	uint64_t left;

	if (!entry->expires_ns)
		return 0;
	left = entry->expires_ns > now_ns ? (entry->expires_ns - now_ns) / SECOND_NS : 0;
	return left ? (uint32_t)left : 1; /* 0 would read as one that stays */
}

const char *pg_set_type_name(enum pg_set_type type)
{
	static const char *const names[_PG_SET_TYPE_MAX] = {
		[PG_SET_NONE] = "none",
		[PG_SET_HASH_IP] = "hash:ip",
		[PG_SET_HASH_NET] = "hash:net",
		[PG_SET_HASH_IP_PORT] = "hash:ip,port",
	};

	return (size_t)type < ARRAY_SIZE(names) ? names[type] : "?";
}
