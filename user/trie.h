/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Builds what pg_abi.h describes: rows (sets of terms) and tries of 256-entry nodes whose leaves
 * are rows. Equal rows and equal nodes are stored once, and a node whose entries are all the same
 * leaf is that leaf. Up to PG_TINY_TERMS terms there are no rows: leaves are the sets themselves.
 *
 * Errors are sticky: after the first, every call returns 0 and pg_trie_error() says why, so
 * callers check once, at the end.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_trie;

/* At most max_nodes nodes and max_row_words words. NULL: no memory. */
struct pg_trie *pg_trie_new(size_t n_terms, size_t max_nodes, size_t max_row_words);
void pg_trie_free(struct pg_trie *t);
static inline void pg_trie_freep(struct pg_trie **t)
{
	pg_trie_free(*t);
}

/* 0; -ENOMEM; -ENOSPC when the limits do not suffice. */
int pg_trie_error(const struct pg_trie *t);

/* A set of terms. Words are pg_trie_words() long. */
size_t pg_trie_words(const struct pg_trie *t);
static inline void pg_set_add(uint64_t *set, size_t term)
{
	set[term / 64] |= 1ULL << term % 64;
}
static inline int pg_set_has(const uint64_t *set, size_t term)
{
	return set[term / 64] >> term % 64 & 1;
}

/* The leaf of all terms; where there are rows, of the first row. */
__u32 pg_trie_all(const struct pg_trie *t);

/* The leaf entry of a set. */
__u32 pg_trie_leaf(struct pg_trie *t, const uint64_t *set);

/* The entry of a node of 256 entries. */
__u32 pg_trie_node(struct pg_trie *t, const __u32 *entries);

/* Terms by numbers from 0 to 65535: a term holds in lo..hi; it may have several ranges. */
struct pg_trie_range {
	uint32_t term;
	uint16_t lo, hi;
};
/* One wide node, or two bytes deep. `always`: terms that hold everywhere, whatever their ranges. */
__u32 pg_trie_ranges(struct pg_trie *t, bool wide, const struct pg_trie_range *range, size_t n,
		     const uint64_t *always);

/* Terms by addresses of `bytes` bytes: a term holds where (address & mask) == value. */
struct pg_trie_pattern {
	uint32_t term;
	uint8_t invert; /* holds everywhere else instead */
	uint8_t value[16], mask[16];
};
/* IPv4's trie begins with a wide node. */
__u32 pg_trie_patterns(struct pg_trie *t, unsigned bytes, const struct pg_trie_pattern *pattern,
		       size_t n, const uint64_t *always);

/* What was built. Owned by the trie until taken; n_classes may be NULL. */
__u32 *pg_trie_take_nodes(struct pg_trie *t, size_t *ret_n_nodes);
__u64 *pg_trie_take_rows(struct pg_trie *t, size_t *ret_n_words, size_t *ret_n_classes);
