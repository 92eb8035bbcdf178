// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trie.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pg_abi.h"
#include "util.h"

#define NODE_ENTRIES 256

/* An open-addressing index of things that are stored elsewhere, by their hash. */
struct index {
	uint32_t *slot; /* number + 1; 0: empty */
	size_t size, used;
};

/* A state of the address walk that was built already: what is in the key gives the entry. */
struct memo {
	uint64_t hash;
	uint32_t *key;
	size_t key_words;
	__u32 entry;
};

struct pg_trie {
	int err;
	size_t n_terms, words, stride;
	__u32 all; /* leaf of all terms */
	size_t max_nodes, max_row_words;
	__u32 *nodes;
	size_t n_nodes, cap_nodes;
	__u64 *rows;
	size_t n_rows, cap_rows;
	struct index node_index, row_index, memo_index;
	struct memo *memo;
	size_t n_memo, cap_memo;
};

/* Growing things ------------------------------------------------------------------------------- */

static bool fail(struct pg_trie *t, int err)
{
	if (!t->err)
		t->err = err;
	return false;
}

static bool grow(struct pg_trie *t, void *array, size_t *cap, size_t need, size_t size)
{
	void **p = array, *bigger;
	size_t n = *cap ? *cap : 64;

	if (need <= *cap)
		return true;
	while (n < need)
		n *= 2;
	bigger = reallocarray(*p, n, size);
	if (!bigger)
		return fail(t, -ENOMEM);
	*p = bigger;
	*cap = n;
	return true;
}

/* FNV-1a over words, with a final mix so that low bits depend on all of them. */
static uint64_t hash_bytes(const void *data, size_t n)
{
	const uint32_t *w = data;
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n / 4; i++)
		h = (h ^ w[i]) * 0x100000001b3ULL;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

/* Doubles the index when half full; `hash_of(t, number)` gives each member's hash again. */
static bool index_reserve(struct pg_trie *t, struct index *x,
			  uint64_t (*hash_of)(const struct pg_trie *, size_t))
{
	size_t size = x->size ? x->size * 2 : 256;
	uint32_t *slot;

	if (2 * (x->used + 1) <= x->size)
		return true;
	slot = calloc(size, sizeof(*slot));
	if (!slot)
		return fail(t, -ENOMEM);
	for (size_t i = 0; i < x->size; i++) {
		size_t at = x->slot[i] ? hash_of(t, x->slot[i] - 1) & (size - 1) : 0;

		if (!x->slot[i])
			continue;
		while (slot[at])
			at = (at + 1) & (size - 1);
		slot[at] = x->slot[i];
	}
	free(x->slot);
	x->slot = slot;
	x->size = size;
	return true;
}

/*
 * The number of the member that is `same` as key, or `next` if there is none: then *ret_new is set
 * and the caller stores it under that number.
 */
static size_t index_find(const struct pg_trie *t, struct index *x, uint64_t hash, const void *key,
			 bool (*same)(const struct pg_trie *, size_t, const void *), size_t next,
			 bool *ret_new)
{
	size_t at = hash & (x->size - 1);

	for (; x->slot[at]; at = (at + 1) & (x->size - 1)) {
		if (same(t, x->slot[at] - 1, key)) {
			*ret_new = false;
			return x->slot[at] - 1;
		}
	}
	x->slot[at] = next + 1;
	x->used++;
	*ret_new = true;
	return next;
}

/* Rows ----------------------------------------------------------------------------------------- */

static uint64_t hash_row(const struct pg_trie *t, size_t i)
{
	return hash_bytes(t->rows + i * t->stride, t->stride * 8);
}

static bool same_row(const struct pg_trie *t, size_t i, const void *key)
{
	return !memcmp(t->rows + i * t->stride, key, t->stride * 8);
}

__u32 pg_trie_leaf(struct pg_trie *t, const uint64_t *set)
{
	uint64_t row[1 + PG_MAX_TERMS / 64] = { 0 };
	bool is_new;
	size_t i;

	if (t->err)
		return 0;
	if (t->stride == 1) {
		row[0] = set[0];
	} else {
		for (i = 0; i < t->words; i++) {
			row[0] |= (uint64_t)!!set[i] << i;
			row[1 + i] = set[i];
		}
	}
	if (!index_reserve(t, &t->row_index, hash_row))
		return 0;
	i = index_find(t, &t->row_index, hash_bytes(row, t->stride * 8), row, same_row,
		       t->n_rows, &is_new);
	if (is_new) {
		if ((i + 1) * t->stride > t->max_row_words) {
			fail(t, -ENOSPC);
			return 0;
		}
		if (!grow(t, &t->rows, &t->cap_rows, (i + 1) * t->stride, sizeof(*t->rows)))
			return 0;
		memcpy(t->rows + i * t->stride, row, t->stride * 8);
		t->n_rows = i + 1;
	}
	/* In the TINY form rows are kept only to be counted. */
	return PG_LEAF | (__u32)(t->n_terms <= PG_TINY_TERMS ? set[0] : i * t->stride * 8);
}

/* Nodes ---------------------------------------------------------------------------------------- */

static uint64_t hash_node(const struct pg_trie *t, size_t i)
{
	return hash_bytes(t->nodes + i * NODE_ENTRIES, NODE_ENTRIES * 4);
}

static bool same_node(const struct pg_trie *t, size_t i, const void *key)
{
	return !memcmp(t->nodes + i * NODE_ENTRIES, key, NODE_ENTRIES * 4);
}

__u32 pg_trie_node(struct pg_trie *t, const __u32 *entries)
{
	bool is_new;
	size_t i;

	if (t->err)
		return 0;
	for (i = 1; i < NODE_ENTRIES && entries[i] == entries[0]; i++)
		;
	if (i == NODE_ENTRIES && entries[0] & PG_LEAF)
		return entries[0];
	if (!index_reserve(t, &t->node_index, hash_node))
		return 0;
	i = index_find(t, &t->node_index, hash_bytes(entries, NODE_ENTRIES * 4), entries,
		       same_node, t->n_nodes, &is_new);
	if (is_new) {
		if (i >= t->max_nodes) {
			fail(t, -ENOSPC);
			return 0;
		}
		if (!grow(t, &t->nodes, &t->cap_nodes, i + 1, NODE_ENTRIES * 4))
			return 0;
		memcpy(t->nodes + i * NODE_ENTRIES, entries, NODE_ENTRIES * 4);
		t->n_nodes = i + 1;
	}
	return i * NODE_ENTRIES * 4;
}

/* A wide node of 65 536 entries, unless they are all the same leaf. */
static __u32 wide_node(struct pg_trie *t, const __u32 *entries)
{
	size_t i, n = t->n_nodes;

	if (t->err)
		return 0;
	for (i = 1; i < 65536 && entries[i] == entries[0]; i++)
		;
	if (i == 65536 && entries[0] & PG_LEAF)
		return entries[0];
	if (n + 256 > t->max_nodes) {
		fail(t, -ENOSPC);
		return 0;
	}
	if (!grow(t, &t->nodes, &t->cap_nodes, n + 256, NODE_ENTRIES * 4))
		return 0;
	memcpy(t->nodes + n * NODE_ENTRIES, entries, 65536 * 4);
	t->n_nodes = n + 256;
	return n * NODE_ENTRIES * 4;
}

/* Ranges --------------------------------------------------------------------------------------- */

/* A term begins or ends to hold at a number; 65536 is behind the last. */
struct edge {
	uint32_t at, term;
	int step;
};

static int edge_cmp(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

__u32 pg_trie_ranges(struct pg_trie *t, bool wide, const struct pg_trie_range *range, size_t n,
		     const uint64_t *always)
{
	_free_ struct edge *edge = calloc(2 * n + 1, sizeof(*edge));
	_free_ __u32 *leaf = calloc(65536, sizeof(*leaf));
	_free_ uint64_t *set = calloc(t->words, 8);
	_free_ int *depth = calloc(t->n_terms, sizeof(*depth));
	__u32 root[NODE_ENTRIES], entry;
	size_t i, at = 0;

	if (!edge || !leaf || !set || !depth) {
		fail(t, -ENOMEM);
		return 0;
	}
	for (i = 0; i < n; i++) {
		edge[2 * i] = (struct edge){ range[i].lo, range[i].term, 1 };
		edge[2 * i + 1] = (struct edge){ range[i].hi + 1U, range[i].term, -1 };
	}
	edge[2 * n].at = 65536;
	qsort(edge, 2 * n, sizeof(*edge), edge_cmp);
	memcpy(set, always, t->words * 8);
	for (i = 0; i <= 2 * n; i++) {
		struct edge *e = &edge[i];

		if (e->at > at) {
			entry = pg_trie_leaf(t, set);
			while (at < e->at)
				leaf[at++] = entry;
		}
		depth[e->term] += e->step;
		if (pg_set_has(always, e->term))
			continue;
		if (depth[e->term] > 0)
			pg_set_add(set, e->term);
		else
			set[e->term / 64] &= ~(1ULL << e->term % 64);
	}
	if (wide)
		return wide_node(t, leaf);
	for (i = 0; i < NODE_ENTRIES; i++)
		root[i] = pg_trie_node(t, leaf + i * NODE_ENTRIES);
	return pg_trie_node(t, root);
}

/* Address patterns ----------------------------------------------------------------------------- */

/*
 * The trie is a deterministic automaton made from the patterns byte by byte. A state is how deep
 * we are, which terms' masks have been satisfied to their end (`matched`), and which are still in
 * the running (`alive`). Equal states share a node, so masks with gaps do not multiply.
 */
struct walk {
	struct pg_trie *t;
	unsigned bytes;
	const struct pg_trie_pattern *pattern;
	const uint64_t *always;
	uint8_t *last; /* per pattern: number of bytes up to its last mask bit */
	uint64_t *inverted;
};

static __u32 walk_leaf(struct walk *w, const uint64_t *matched)
{
	uint64_t set[PG_MAX_TERMS / 64];

	for (size_t i = 0; i < w->t->words; i++)
		set[i] = (matched[i] ^ w->inverted[i]) | w->always[i];
	return pg_trie_leaf(w->t, set);
}

static uint64_t hash_memo(const struct pg_trie *t, size_t i)
{
	return t->memo[i].hash;
}

static bool same_memo(const struct pg_trie *t, size_t i, const void *key)
{
	const struct memo *a = &t->memo[i], *b = key;

	return a->hash == b->hash && a->key_words == b->key_words &&
	       !memcmp(a->key, b->key, a->key_words * 4);
}

static struct memo memo_key(const struct walk *w, unsigned level, const uint64_t *matched,
			    const uint32_t *alive, size_t n_alive)
{
	size_t words = w->t->words, n = 1 + 2 * words + n_alive;
	struct memo m = { .key = malloc(n * 4), .key_words = n };

	if (!m.key)
		return m;
	m.key[0] = level;
	memcpy(m.key + 1, matched, words * 8);
	memcpy(m.key + 1 + 2 * words, alive, n_alive * 4);
	m.hash = hash_bytes(m.key, n * 4);
	return m;
}

static __u32 walk_state(struct walk *w, unsigned level, const uint64_t *matched,
			const uint32_t *alive, size_t n_alive);

/* For each byte value, the alive patterns that it satisfies: list[start[b] .. start[b + 1]). */
static uint32_t *by_byte(struct walk *w, unsigned level, const uint32_t *alive, size_t n_alive,
			 uint32_t *start)
{
	uint32_t fill[NODE_ENTRIES], *list;

	memset(start, 0, (NODE_ENTRIES + 1) * sizeof(*start));
	for (size_t i = 0; i < n_alive; i++) {
		const struct pg_trie_pattern *p = &w->pattern[alive[i]];

		for (unsigned b = 0; b < NODE_ENTRIES; b++)
			start[b + 1] += (b & p->mask[level]) == p->value[level];
	}
	for (unsigned b = 0; b < NODE_ENTRIES; b++) {
		start[b + 1] += start[b];
		fill[b] = start[b];
	}
	list = malloc((start[NODE_ENTRIES] + 1) * sizeof(*list));
	if (!list)
		return NULL;
	for (size_t i = 0; i < n_alive; i++) {
		const struct pg_trie_pattern *p = &w->pattern[alive[i]];

		for (unsigned b = 0; b < NODE_ENTRIES; b++)
			if ((b & p->mask[level]) == p->value[level])
				list[fill[b]++] = alive[i];
	}
	return list;
}

/* The node of a state that is not in the memo. */
static __u32 walk_node(struct walk *w, unsigned level, const uint64_t *matched,
		       const uint32_t *alive, size_t n_alive)
{
	uint32_t start[NODE_ENTRIES + 1], *next = NULL;
	uint64_t now[PG_MAX_TERMS / 64];
	__u32 entries[NODE_ENTRIES], others = walk_leaf(w, matched);
	_free_ uint32_t *list = by_byte(w, level, alive, n_alive, start);

	if (!list) {
		fail(w->t, -ENOMEM);
		return 0;
	}
	for (unsigned b = 0; b < NODE_ENTRIES; b++) {
		size_t n_next = 0;

		entries[b] = others;
		if (start[b] == start[b + 1])
			continue;
		memcpy(now, matched, w->t->words * 8);
		next = list + start[b]; /* compacted in place */
		for (uint32_t i = start[b]; i < start[b + 1]; i++) {
			if (w->last[list[i]] == level + 1)
				pg_set_add(now, w->pattern[list[i]].term);
			else
				next[n_next++] = list[i];
		}
		entries[b] = walk_state(w, level + 1, now, next, n_next);
		if (w->t->err)
			return 0;
	}
	return pg_trie_node(w->t, entries);
}

static __u32 walk_state(struct walk *w, unsigned level, const uint64_t *matched,
			const uint32_t *alive, size_t n_alive)
{
	struct pg_trie *t = w->t;
	struct memo m;
	bool is_new;
	size_t i;

	if (!n_alive || t->err)
		return walk_leaf(w, matched);
	m = memo_key(w, level, matched, alive, n_alive);
	if (!m.key || !index_reserve(t, &t->memo_index, hash_memo) ||
	    !grow(t, &t->memo, &t->cap_memo, t->n_memo + 1, sizeof(*t->memo))) {
		free(m.key);
		fail(t, -ENOMEM);
		return 0;
	}
	/* A bound on work too, which the bound on nodes is not: many states can give few nodes. */
	if (t->n_memo > 4 * t->max_nodes) {
		free(m.key);
		fail(t, -ENOSPC);
		return 0;
	}
	i = index_find(t, &t->memo_index, m.hash, &m, same_memo, t->n_memo, &is_new);
	if (!is_new) {
		free(m.key);
		return t->memo[i].entry;
	}
	t->memo[i] = m;
	t->n_memo = i + 1;
	m.entry = walk_node(w, level, matched, alive, n_alive);
	t->memo[i].entry = m.entry;
	return m.entry;
}

static void forget_memo(struct pg_trie *t)
{
	for (size_t i = 0; i < t->n_memo; i++)
		free(t->memo[i].key);
	free(t->memo);
	free(t->memo_index.slot);
	t->memo = NULL;
	t->n_memo = t->cap_memo = 0;
	t->memo_index = (struct index){ 0 };
}

/* The first two levels below `root` as one wide node. */
static __u32 widen(struct pg_trie *t, __u32 root)
{
	_free_ __u32 *flat = calloc(65536, sizeof(*flat));

	if (!flat || t->err) {
		fail(t, -ENOMEM);
		return 0;
	}
	for (size_t i = 0; i < 65536; i++) {
		flat[i] = root;
		if (!(flat[i] & PG_LEAF))
			flat[i] = t->nodes[flat[i] / 4 + i / 256];
		if (!(flat[i] & PG_LEAF))
			flat[i] = t->nodes[flat[i] / 4 + i % 256];
	}
	return wide_node(t, flat);
}

__u32 pg_trie_patterns(struct pg_trie *t, unsigned bytes, const struct pg_trie_pattern *pattern,
		       size_t n, const uint64_t *always)
{
	uint64_t matched[PG_MAX_TERMS / 64] = { 0 }, inverted[PG_MAX_TERMS / 64] = { 0 };
	_free_ uint32_t *alive = calloc(n + 1, sizeof(*alive));
	_free_ uint8_t *last = calloc(n + 1, 1);
	struct walk w = { t, bytes, pattern, always, last, inverted };
	size_t n_alive = 0;
	__u32 entry;

	if (!alive || !last) {
		fail(t, -ENOMEM);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		for (unsigned b = 0; b < bytes; b++)
			if (pattern[i].mask[b])
				last[i] = b + 1;
		if (pattern[i].invert)
			pg_set_add(inverted, pattern[i].term);
		if (last[i])
			alive[n_alive++] = i;
		else
			pg_set_add(matched, pattern[i].term); /* a mask of no bits */
	}
	entry = walk_state(&w, 0, matched, alive, n_alive);
	forget_memo(t);
	return bytes == 4 ? widen(t, entry) : entry;
}

/* The whole ------------------------------------------------------------------------------------ */

struct pg_trie *pg_trie_new(size_t n_terms, size_t max_nodes, size_t max_row_words)
{
	_cleanup_(pg_trie_freep) struct pg_trie *t = calloc(1, sizeof(*t));
	uint64_t all[PG_MAX_TERMS / 64] = { 0 };

	if (!t || n_terms > PG_MAX_TERMS)
		return NULL;
	t->n_terms = n_terms;
	t->words = (n_terms + 63) / 64;
	t->stride = t->words > 1 ? 1 + t->words : 1;
	t->max_nodes = max_nodes;
	t->max_row_words = max_row_words;
	for (size_t i = 0; i < n_terms; i++)
		pg_set_add(all, i);
	t->all = pg_trie_leaf(t, all); /* row 0, by contract */
	return t->err ? NULL : TAKE_PTR(t);
}

void pg_trie_free(struct pg_trie *t)
{
	if (!t)
		return;
	forget_memo(t);
	free(t->nodes);
	free(t->rows);
	free(t->node_index.slot);
	free(t->row_index.slot);
	free(t);
}

int pg_trie_error(const struct pg_trie *t)
{
	return t->err;
}

__u32 pg_trie_all(const struct pg_trie *t)
{
	return t->all;
}

size_t pg_trie_words(const struct pg_trie *t)
{
	return t->words;
}

__u32 *pg_trie_take_nodes(struct pg_trie *t, size_t *ret_n_nodes)
{
	*ret_n_nodes = t->n_nodes;
	return TAKE_PTR(t->nodes);
}

__u64 *pg_trie_take_rows(struct pg_trie *t, size_t *ret_n_words, size_t *ret_n_classes)
{
	*ret_n_words = t->n_rows * t->stride;
	if (ret_n_classes)
		*ret_n_classes = t->n_rows;
	return TAKE_PTR(t->rows);
}
