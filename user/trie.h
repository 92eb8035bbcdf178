/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Builds what pg_abi.h describes: rows (sets of terms) and tries of 256-entry nodes whose leaves
 * are rows. Equal rows, blocks and nodes are stored once, and a node whose entries are all the same
 * leaf is that leaf. Up to PG_TINY_TERMS terms there are no rows: leaves are the sets themselves.
 * From more than 64 terms on a leaf may be a row that names few terms.
 *
 * Errors are sticky: after the first, every call returns 0 and pg_trie_error() says why, so
 * callers check once, at the end.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg_abi.h"

struct pg_trie;

/* The form of tables of so many terms. */
static inline enum pg_form pg_form_of(size_t n_terms)
{
	return !n_terms			  ? PG_FORM_EMPTY :
	       n_terms <= PG_TINY_TERMS	  ? PG_FORM_TINY :
	       n_terms <= 64		  ? PG_FORM_WORD :
	       n_terms <= PG_TREE_TERMS	  ? PG_FORM_TREE :
					    PG_FORM_HUGE;
}

/* Does a summary bit of the TREE form stand for two words? */
static inline bool pg_tree_pairs(size_t n_terms)
{
	return n_terms > 64 * 64;
}

/*
 * `form`: pg_form_of() of these terms, or HUGE, which shares more. At most max_nodes nodes and max_row_words words; n_terms below PG_MAX_TERMS. `few`: each term as
 * rows that name few have it, without PG_FEW_LAST; it must stay. NULL: no memory.
 */
struct pg_trie *pg_trie_new(size_t n_terms, enum pg_form form, const struct pg_few *few,
			    size_t max_nodes, size_t max_row_words);
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

/* The leaves of all terms and of none, and in TREE and HUGE that of a row of few that names none. */
__u32 pg_trie_all(struct pg_trie *t);
__u32 pg_trie_none(struct pg_trie *t);
__u32 pg_trie_few_none(struct pg_trie *t);

/*
 * May leaves of the TREE form be rows of few from now on? At first only in dimensions of more than
 * PG_TREE_BITMAPS values: in others a bitmap costs less than a verified term. Those of HUGE always may.
 */
void pg_trie_name_few(struct pg_trie *t, bool name);

/* The leaf entry of a set: always a bitmap. */
__u32 pg_trie_leaf(struct pg_trie *t, const uint64_t *set);

/* The entry of a node of 256 entries. */
__u32 pg_trie_node(struct pg_trie *t, const __u32 *entries);

/* Terms by numbers from 0 to 65535: a term holds in lo..hi; it may have several ranges. */
struct pg_trie_range {
	uint32_t term;
	uint16_t lo, hi;
};
/*
 * One wide node, or two bytes deep. `base`: terms that ask nothing here and hold everywhere; none of
 * them has a range.
 */
__u32 pg_trie_ranges(struct pg_trie *t, bool wide, const struct pg_trie_range *range, size_t n,
		     const uint64_t *base);

/*
 * Terms by addresses of `bytes` bytes: a term holds where (address & mask) == value. In ascending
 * order of terms, one pattern each.
 */
struct pg_trie_pattern {
	uint32_t term;
	bool invert;   /* holds everywhere else instead */
	bool verified; /* the term's record tells as well: the trie may end before it is sure */
	bool home;     /* named where it holds, never in a bitmap; nowhere more than PG_FEW are */
	uint8_t value[16], mask[16];
};
/* IPv4's trie begins with a wide node. `base` as above. */
__u32 pg_trie_patterns(struct pg_trie *t, unsigned bytes, const struct pg_trie_pattern *pattern,
		       size_t n, const uint64_t *base);

/* What was built. Owned by the trie until taken; n_classes may be NULL. */
__u32 *pg_trie_take_nodes(struct pg_trie *t, size_t *ret_n_nodes);
/* Words at which rows of the HUGE form begin, which hold offsets of blocks. */
__u32 *pg_trie_take_block_rows(struct pg_trie *t, size_t *ret_n);
/* Words at which rows of few have the leaf of a bitmap of their own (PG_FEW_OWN). */
__u32 *pg_trie_take_own_rows(struct pg_trie *t, size_t *ret_n);
__u64 *pg_trie_take_rows(struct pg_trie *t, size_t *ret_n_words, size_t *ret_n_classes);
