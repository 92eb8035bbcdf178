/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Named sets as plain data: an instance's sets with the changes that commands make to them, before
 * any of it is written. Changes stand in a layer above what the kernel has; what is not in that
 * layer is asked for through `base`. So adding one address to a set of a million reads one entry,
 * and a file that fails in its last line has changed nothing.
 *
 * Functions return 0 or a negative errno and then have filled `err` with ipset's words.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#include "pg_abi.h"
#include "util.h"

/* IPSET_MAX_TIMEOUT: UINT_MAX milliseconds, halved for comparing. */
#define PG_SET_TIMEOUT_MAX 2147483U

struct pg_set_entry {
	struct pg_set_key key;
	uint8_t prefix; /* in sets with net; otherwise 0 */
	bool nomatch;
	uint8_t change; /* enum pg_set_change, within a layer */
	uint64_t expires_ns; /* 0: never */
};

enum pg_set_change { PG_SET_UNCHANGED, PG_SET_PUT, PG_SET_DELETE };

/* What the kernel has. `number` is the set's at the time the sets were read. */
struct pg_sets_base {
	/* Fill in the rest of an entry whose key and prefix are given. -ENOENT: there is none. */
	int (*lookup)(void *arg, uint32_t number, struct pg_set_entry *entry);
	void *arg;
};

struct pg_set {
	struct pg_set_info info;
	uint32_t references; /* of rules; the caller fills them in */
	int origin; /* number of the set in the kernel that this layer lies on; -1: on nothing */
	bool dirty; /* to be written */
	/* The layer: entries in the order they were first touched, and where to find them. */
	struct pg_set_entry *entry;
	size_t n, cap;
	uint32_t *slot; /* index of an entry, plus one; 0: free */
	size_t slots;	/* a power of two, or 0 */
};

struct pg_sets {
	struct pg_set set[PG_SETS];
	struct pg_sets_base base; /* .lookup NULL: no set has an origin */
	uint64_t now_ns;
};

/* NULL: no memory. infos (PG_SETS of them) may be NULL: no sets. */
struct pg_sets *pg_sets_new(const struct pg_set_info *infos, const struct pg_sets_base *base,
			    uint64_t now_ns);
void pg_sets_free(struct pg_sets *sets);
static inline void pg_sets_freep(struct pg_sets **sets)
{
	pg_sets_free(*sets);
}

/* NULL: none of that name. */
struct pg_set *pg_sets_find(struct pg_sets *sets, const char *name);

/* `info` as parsed: name, type, family and options. With `exist` the same set may be there. */
int pg_sets_create(struct pg_sets *sets, const struct pg_set_info *info, bool exist,
		   struct pg_err *err);
/* name NULL: all of them. */
int pg_sets_destroy(struct pg_sets *sets, const char *name, struct pg_err *err);
int pg_sets_flush(struct pg_sets *sets, const char *name, struct pg_err *err);
int pg_sets_rename(struct pg_sets *sets, const char *from, const char *to, struct pg_err *err);
int pg_sets_swap(struct pg_sets *sets, const char *a, const char *b, struct pg_err *err);

/* With `exist`, an entry that is there is replaced. */
int pg_set_add(struct pg_sets *sets, struct pg_set *set, const struct pg_set_entry *entry,
	       bool exist, struct pg_err *err);
/* With `exist`, an entry that is not there is no error. */
int pg_set_del(struct pg_sets *sets, struct pg_set *set, const struct pg_set_entry *entry,
	       bool exist, struct pg_err *err);
/*
 * As `ipset test`: a host address in a set of prefixes is looked up as a packet's would be,
 * everything else must be there as it is. `entry.nomatch` asks for exceptions. Negative: err.
 */
int pg_set_test(struct pg_sets *sets, struct pg_set *set, const struct pg_set_entry *entry,
		bool *ret_in, struct pg_err *err);

/* Of an entry in force: seconds left as ipset shows them, 0 for those that stay. */
uint32_t pg_set_seconds_left(const struct pg_set_entry *entry, uint64_t now_ns);
static inline bool pg_set_expired(const struct pg_set_entry *entry, uint64_t now_ns)
{
	return entry->expires_ns && entry->expires_ns <= now_ns;
}

/* Whether the layer says anything about the entry. */
bool pg_set_changes(const struct pg_set *set, const struct pg_set_entry *entry);

/* Clear what is behind the first `bits` bits of an address, 16 bytes. */
void pg_set_cut(__be32 *addr, unsigned bits);

/* "hash:ip" */
const char *pg_set_type_name(enum pg_set_type type);
