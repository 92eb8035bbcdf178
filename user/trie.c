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

/* A row or block that is stored: words from..from + n of the rows. */
struct blob {
	uint32_t from, n;
	uint64_t hash;
};

struct pg_trie {
	int err;
	enum pg_form form;
	size_t n_terms, words, n_classes;
	const struct pg_few *few; /* by term */
	bool name_few;
	size_t few_max; /* up to so many terms are verified one by one: of what is made at the moment */
	__u32 all, none, few_none;
	uint64_t *scratch; /* a set, for putting rows together */
	size_t max_nodes, max_row_words;
	__u32 *nodes;
	size_t n_nodes, cap_nodes;
	__u64 *rows;
	size_t n_rows, cap_rows; /* words */
	__u32 *block_row;
	size_t n_block_rows, cap_block_rows;
	__u32 *own_row;
	size_t n_own_rows, cap_own_rows;
	struct blob *blob;
	size_t n_blobs, cap_blobs;
	struct index node_index, blob_index, memo_index;
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

static uint64_t hash_blob(const struct pg_trie *t, size_t i)
{
	return t->blob[i].hash;
}

struct blob_key {
	const uint64_t *words;
	size_t n, align;
	uint64_t hash;
};

static bool same_blob(const struct pg_trie *t, size_t i, const void *key)
{
	const struct blob_key *k = key;
	const struct blob *b = &t->blob[i];

	return b->hash == k->hash && b->n == k->n && b->from % k->align == 0 &&
	       !memcmp(t->rows + b->from, k->words, k->n * 8);
}

/* Store n words once, at a multiple of `align`; returns the offset in bytes. */
static __u32 store(struct pg_trie *t, const uint64_t *words, size_t n, size_t align, bool *ret_new)
{
	struct blob_key key = { words, n, align, hash_bytes(words, n * 8) };
	size_t i, from = (t->n_rows + align - 1) / align * align;

	*ret_new = false;
	if (t->err || !index_reserve(t, &t->blob_index, hash_blob))
		return 0;
	i = index_find(t, &t->blob_index, key.hash, &key, same_blob, t->n_blobs, ret_new);
	if (!*ret_new)
		return t->blob[i].from * 8;
	if (from + n > t->max_row_words) {
		fail(t, -ENOSPC);
		return 0;
	}
	if (!grow(t, &t->rows, &t->cap_rows, from + n, sizeof(*t->rows)) ||
	    !grow(t, &t->blob, &t->cap_blobs, i + 1, sizeof(*t->blob)))
		return 0;
	memset(t->rows + t->n_rows, 0, (from - t->n_rows) * 8);
	memcpy(t->rows + from, words, n * 8);
	t->blob[i] = (struct blob){ .from = from, .n = n, .hash = key.hash };
	t->n_blobs = i + 1;
	t->n_rows = from + n;
	return from * 8;
}

/*
 * Words of a set with their summary, of which a bit stands for 1 << shift words. Those of a form are
 * of the same size: the programs look at any word.
 */
static __u32 store_block(struct pg_trie *t, const uint64_t *set, size_t words, unsigned shift,
			 bool *ret_new)
{
	uint64_t block[1 + PG_TREE_TERMS / 64] = { 0 };

	for (size_t i = 0; i < words; i++) {
		block[0] |= (uint64_t)!!set[i] << (i >> shift);
		block[1 + i] = set[i];
	}
	words = (words + (1 << shift) - 1) >> shift << shift;
	return store(t, block, t->form == PG_FORM_HUGE ? 65 : 1 + words, 1, ret_new);
}

static __u32 store_huge(struct pg_trie *t, const uint64_t *set, bool *ret_new)
{
	size_t n = (t->words + 63) / 64;
	uint64_t row[1 + PG_MAX_BLOCKS / 2] = { 0 };
	__u32 *offset = (__u32 *)(row + 1), at;
	bool is_new;

	for (size_t i = 0; i < n; i++) {
		size_t words = t->words - 64 * i < 64 ? t->words - 64 * i : 64;

		for (size_t k = 0; k < words; k++)
			row[0] |= (uint64_t)!!set[64 * i + k] << i;
		offset[i] = store_block(t, set + 64 * i, words, 0, &is_new);
	}
	at = store(t, row, 1 + (n + 1) / 2, 1, ret_new);
	if (*ret_new && grow(t, &t->block_row, &t->cap_block_rows, t->n_block_rows + 1,
			     sizeof(*t->block_row)))
		t->block_row[t->n_block_rows++] = at / 8;
	return at;
}

__u32 pg_trie_leaf(struct pg_trie *t, const uint64_t *set)
{
	bool is_new = false;
	__u32 at;

	if (t->err)
		return 0;
	if (t->form == PG_FORM_HUGE)
		at = store_huge(t, set, &is_new);
	else if (t->form == PG_FORM_TREE)
		at = store_block(t, set, t->words, pg_tree_pairs(t->n_terms), &is_new);
	else
		at = store(t, set, 1, 1, &is_new);
	t->n_classes += is_new;
	/* In the TINY form rows are kept only to be counted. */
	return PG_LEAF | (t->form == PG_FORM_TINY ? (__u32)set[0] : at);
}

/*
 * A row that names n terms, and the leaf of the bitmap that stands before it, or 0. It does not reach
 * over more cache lines than it must.
 */
static __u32 few_leaf(struct pg_trie *t, const struct pg_few *entry, size_t n, __u32 own)
{
	struct pg_few row[1 + PG_FEW] = { { .slot = own } };
	size_t head = !!own, words = (head + n) * sizeof(*row) / 8;
	bool is_new;
	__u32 at;

	memcpy(row + head, entry, n * sizeof(*row));
	row[head + n - 1].term |= PG_FEW_LAST;
	at = store(t, (const uint64_t *)row, words, words <= 2 ? 2 : words <= 4 ? 4 : 8, &is_new);
	t->n_classes += is_new;
	if (own && is_new && grow(t, &t->own_row, &t->cap_own_rows, t->n_own_rows + 1,
				  sizeof(*t->own_row)))
		t->own_row[t->n_own_rows++] = at / 8;
	return PG_LEAF | PG_FEW_LEAF | (own ? PG_FEW_OWN : 0) | (at + head * sizeof(*row));
}

static __u32 naming_leaf(struct pg_trie *t, const uint32_t *term, size_t n, __u32 own)
{
	struct pg_few entry[PG_FEW];

	for (size_t i = 0; i < n; i++)
		entry[i] = t->few[term[i]];
	return few_leaf(t, entry, n, own);
}

/* A bitmap: base and n more terms. */
static __u32 bitmap_of(struct pg_trie *t, const uint64_t *base, const uint32_t *term, size_t n)
{
	memcpy(t->scratch, base, t->words * 8);
	for (size_t i = 0; i < n; i++)
		pg_set_add(t->scratch, term[i]);
	return pg_trie_leaf(t, t->scratch);
}

/* How many terms rows may name, of a dimension that has `n` values. */
static void choose_few(struct pg_trie *t, size_t n)
{
	if (t->form == PG_FORM_HUGE)
		t->few_max = PG_FEW;
	else
		t->few_max = t->name_few || n > PG_TREE_BITMAPS ? PG_FEW_TREE : 0;
}

/* The leaf of base and n more terms, which are ascending. */
static __u32 leaf_of(struct pg_trie *t, const uint64_t *base, const uint32_t *term, size_t n)
{
	if (t->err)
		return 0;
	if (n <= t->few_max && n && t->n_terms > 64)
		return naming_leaf(t, term, n, 0);
	return bitmap_of(t, base, term, n);
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
	return PG_WIDE | n * NODE_ENTRIES * 4;
}

/*
 * Two steps are better than a wide one where most of what a wide node would hold is the same: what
 * comes from anywhere ends after the first, in a line that a cache holds.
 */
#define SPARSE_MAX 96 /* of 256 branches */

static bool is_sparse(const struct pg_trie *t, int branches)
{
	return (t->form == PG_FORM_TREE || t->form == PG_FORM_HUGE) && branches <= SPARSE_MAX;
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

/* The terms that hold at the point the sweep has reached, ascending; `depth` ranges each. */
struct active {
	uint32_t *term;
	size_t n;
	int *depth;
};

static void active_step(struct active *a, uint32_t term, int step)
{
	size_t lo = 0, hi = a->n;
	int was = a->depth[term];

	a->depth[term] += step;
	if (!was == !a->depth[term])
		return;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (a->term[mid] < term)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (was) {
		a->n--;
		memmove(a->term + lo, a->term + lo + 1, (a->n - lo) * sizeof(*a->term));
	} else {
		memmove(a->term + lo + 1, a->term + lo, (a->n - lo) * sizeof(*a->term));
		a->term[lo] = term;
		a->n++;
	}
}

/* A leaf for each number. */
static void sweep(struct pg_trie *t, struct edge *edge, size_t n, const uint64_t *base,
		  struct active *a, __u32 *leaf)
{
	size_t at = 0;

	for (size_t i = 0; i <= n; i++) {
		if (edge[i].at > at) {
			__u32 entry = leaf_of(t, base, a->term, a->n);

			while (at < edge[i].at)
				leaf[at++] = entry;
		}
		if (i < n)
			active_step(a, edge[i].term, edge[i].step);
	}
}

/* How many of 256 neighbours each are not all the same. */
static int count_branches(const __u32 *leaf)
{
	int n = 0;

	for (size_t i = 0; i < 65536; i += NODE_ENTRIES)
		n += !!memcmp(leaf + i, leaf + i + 1, (NODE_ENTRIES - 1) * sizeof(*leaf));
	return n;
}

__u32 pg_trie_ranges(struct pg_trie *t, bool wide, const struct pg_trie_range *range, size_t n,
		     const uint64_t *base)
{
	_free_ struct edge *edge = calloc(2 * n + 1, sizeof(*edge));
	_free_ __u32 *leaf = calloc(65536, sizeof(*leaf));
	_free_ int *depth = calloc(t->n_terms + 1, sizeof(*depth));
	_free_ uint32_t *term = calloc(n + 1, sizeof(*term));
	struct active a = { .term = term, .depth = depth };
	__u32 root[NODE_ENTRIES];
	size_t values = 0;

	if (!edge || !leaf || !depth || !term) {
		fail(t, -ENOMEM);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		edge[2 * i] = (struct edge){ range[i].lo, range[i].term, 1 };
		edge[2 * i + 1] = (struct edge){ range[i].hi + 1U, range[i].term, -1 };
	}
	qsort(edge, 2 * n, sizeof(*edge), edge_cmp);
	edge[2 * n].at = 65536;
	for (size_t i = 0; i < 2 * n; i++)
		values += edge[i].at != edge[i + 1].at;
	choose_few(t, values / 2);
	sweep(t, edge, 2 * n, base, &a, leaf);
	if (wide && !is_sparse(t, count_branches(leaf)))
		return wide_node(t, leaf);
	for (size_t i = 0; i < NODE_ENTRIES; i++)
		root[i] = pg_trie_node(t, leaf + i * NODE_ENTRIES);
	return pg_trie_node(t, root);
}

/* Address patterns ----------------------------------------------------------------------------- */

/*
 * The trie is a deterministic automaton made from the patterns byte by byte. A state is how deep
 * we are, which patterns' masks have been satisfied to their end (`matched`), and which are still
 * in the running (`alive`), both as ascending numbers of patterns. Equal states share a node, so
 * masks with gaps do not multiply.
 */
struct walk {
	struct pg_trie *t;
	unsigned bytes;
	const struct pg_trie_pattern *pattern;
	const uint64_t *base;
	uint8_t *last; /* per pattern: number of bytes up to its last mask bit */
	uint32_t *inverted; /* patterns */
	size_t n_inverted;
	bool all_verified; /* of the inverted ones */
	uint32_t *term; /* room for a leaf's */
};

struct list {
	const uint32_t *at;
	size_t n;
};

static int term_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool list_has(struct list l, uint32_t pattern)
{
	return l.n && bsearch(&pattern, l.at, l.n, sizeof(pattern), term_cmp);
}

/*
 * The leaf where n terms hold, the first n_named of which are at home here: those are named if the
 * others aren't few enough to be named with them.
 */
static __u32 leaf_with(struct walk *w, size_t n_named, size_t n)
{
	struct pg_trie *t = w->t;
	__u32 own;

	if (t->err)
		return 0;
	if (n <= t->few_max)
		qsort(w->term, n, sizeof(*w->term), term_cmp);
	if (!n_named || n <= t->few_max)
		return leaf_of(t, w->base, w->term, n);
	own = n > n_named ? bitmap_of(t, w->base, w->term + n_named, n - n_named) : 0;
	return t->err ? 0 : naming_leaf(t, w->term, n_named, own);
}

/* Adds to w->term the terms of `from` that are at home here, or the others; returns how many it has. */
static size_t add_terms(struct walk *w, struct list from, bool home, size_t n)
{
	for (size_t i = 0; i < from.n; i++) {
		const struct pg_trie_pattern *p = &w->pattern[from.at[i]];

		if (!p->invert && p->home == home)
			w->term[n++] = p->term;
	}
	return n;
}

static size_t add_inverted(struct walk *w, struct list matched, size_t n)
{
	for (size_t i = 0; i < w->n_inverted; i++)
		if (!list_has(matched, w->inverted[i]))
			w->term[n++] = w->pattern[w->inverted[i]].term;
	return n;
}

/* The terms that hold: those that matched, and of the inverted the others. */
static __u32 walk_leaf(struct walk *w, struct list matched)
{
	size_t named = add_terms(w, matched, true, 0), n = add_terms(w, matched, false, named);

	return leaf_with(w, named, add_inverted(w, matched, n));
}

/* All that may hold from here on, if they are few enough to be verified one by one. */
static bool prune(struct walk *w, struct list matched, struct list alive, __u32 *ret)
{
	size_t named, n;

	if (w->t->n_terms <= 64 || !w->all_verified ||
	    matched.n + alive.n + w->n_inverted > w->t->few_max)
		return false;
	for (size_t i = 0; i < alive.n; i++)
		if (!w->pattern[alive.at[i]].verified)
			return false;
	named = add_terms(w, alive, true, add_terms(w, matched, true, 0));
	n = add_terms(w, alive, false, add_terms(w, matched, false, named));
	*ret = leaf_with(w, named, add_inverted(w, (struct list){ 0 }, n));
	return true;
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

static struct memo memo_key(unsigned level, struct list matched, struct list alive)
{
	size_t n = 2 + matched.n + alive.n;
	struct memo m = { .key = malloc(n * 4), .key_words = n };

	if (!m.key)
		return m;
	m.key[0] = level;
	m.key[1] = matched.n;
	if (matched.n)
		memcpy(m.key + 2, matched.at, matched.n * 4);
	if (alive.n)
		memcpy(m.key + 2 + matched.n, alive.at, alive.n * 4);
	m.hash = hash_bytes(m.key, n * 4);
	return m;
}

static __u32 walk_state(struct walk *w, unsigned level, struct list matched, struct list alive);

/* The byte values that satisfy a pattern: the next one from `b` on, or NODE_ENTRIES. */
static unsigned next_byte(const struct pg_trie_pattern *p, unsigned level, unsigned b)
{
	uint8_t mask = p->mask[level], value = p->value[level];

	if (mask == 0xff)
		return b <= value ? value : NODE_ENTRIES;
	while (b < NODE_ENTRIES && (b & mask) != value)
		b++;
	return b;
}

/* For each byte value, the alive patterns that it satisfies: list[start[b] .. start[b + 1]). */
static uint32_t *by_byte(const struct walk *w, unsigned level, struct list alive, uint32_t *start)
{
	uint32_t fill[NODE_ENTRIES], *list;

	memset(start, 0, (NODE_ENTRIES + 1) * sizeof(*start));
	for (size_t i = 0; i < alive.n; i++) {
		const struct pg_trie_pattern *p = &w->pattern[alive.at[i]];

		for (unsigned b = next_byte(p, level, 0); b < NODE_ENTRIES;
		     b = next_byte(p, level, b + 1))
			start[b + 1]++;
	}
	for (unsigned b = 0; b < NODE_ENTRIES; b++) {
		start[b + 1] += start[b];
		fill[b] = start[b];
	}
	list = malloc((start[NODE_ENTRIES] + 1) * sizeof(*list));
	if (!list)
		return NULL;
	for (size_t i = 0; i < alive.n; i++) {
		const struct pg_trie_pattern *p = &w->pattern[alive.at[i]];

		for (unsigned b = next_byte(p, level, 0); b < NODE_ENTRIES;
		     b = next_byte(p, level, b + 1))
			list[fill[b]++] = alive.at[i];
	}
	return list;
}

/* Sorted `a` and the patterns of `from` that end at `level`; the others are compacted in place. */
static size_t split_list(const struct walk *w, unsigned level, struct list a, uint32_t *from,
			 size_t n, uint32_t *ret_matched, size_t *ret_n_matched)
{
	size_t i = 0, out = 0, left = 0;

	for (size_t k = 0; k < n; k++) {
		if (w->last[from[k]] != level + 1) {
			from[left++] = from[k];
			continue;
		}
		while (i < a.n && a.at[i] < from[k])
			ret_matched[out++] = a.at[i++];
		ret_matched[out++] = from[k];
	}
	while (i < a.n)
		ret_matched[out++] = a.at[i++];
	*ret_n_matched = out;
	return left;
}

/* The node of a state that is not in the memo. */
static __u32 walk_node(struct walk *w, unsigned level, struct list matched, struct list alive)
{
	_free_ uint32_t *now = malloc((matched.n + alive.n + 1) * sizeof(*now));
	uint32_t start[NODE_ENTRIES + 1];
	_free_ uint32_t *list = by_byte(w, level, alive, start);
	__u32 entries[NODE_ENTRIES], others = walk_leaf(w, matched);

	if (!list || !now) {
		fail(w->t, -ENOMEM);
		return 0;
	}
	for (unsigned b = 0; b < NODE_ENTRIES; b++) {
		uint32_t *next = list + start[b];
		size_t n_now, n_next;

		entries[b] = others;
		if (start[b] == start[b + 1])
			continue;
		n_next = split_list(w, level, matched, next, start[b + 1] - start[b], now, &n_now);
		entries[b] = walk_state(w, level + 1, (struct list){ now, n_now },
					(struct list){ next, n_next });
		if (w->t->err)
			return 0;
	}
	return pg_trie_node(w->t, entries);
}

static __u32 walk_state(struct walk *w, unsigned level, struct list matched, struct list alive)
{
	struct pg_trie *t = w->t;
	__u32 entry;
	struct memo m;
	bool is_new;
	size_t i;

	if (!alive.n || t->err)
		return walk_leaf(w, matched);
	if (prune(w, matched, alive, &entry))
		return entry;
	m = memo_key(level, matched, alive);
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
	m.entry = walk_node(w, level, matched, alive);
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

/* The first two levels below `root` as one wide node, if they have what to fill it with. */
static __u32 widen(struct pg_trie *t, __u32 root)
{
	_free_ __u32 *flat = calloc(65536, sizeof(*flat));
	int branches = 0;

	if (!flat || t->err) {
		fail(t, -ENOMEM);
		return 0;
	}
	for (size_t i = 0; !(root & PG_LEAF) && i < NODE_ENTRIES; i++)
		branches += !(t->nodes[root / 4 + i] & PG_LEAF);
	if (is_sparse(t, branches))
		return root;
	for (size_t i = 0; i < 65536; i++) {
		flat[i] = root;
		if (!(flat[i] & PG_LEAF))
			flat[i] = t->nodes[flat[i] / 4 + i / 256];
		if (!(flat[i] & PG_LEAF))
			flat[i] = t->nodes[flat[i] / 4 + i % 256];
	}
	return wide_node(t, flat);
}

static int value_cmp(const void *a, const void *b, void *bytes)
{
	const struct pg_trie_pattern *const *p = a, *const *q = b;
	size_t n = *(const unsigned *)bytes;

	return memcmp((*p)->mask, (*q)->mask, n) ?: memcmp((*p)->value, (*q)->value, n);
}

/* How many different prefixes the patterns are. 0 also without memory, of which others tell. */
static size_t count_values(const struct pg_trie_pattern *pattern, size_t n, unsigned bytes)
{
	_free_ const struct pg_trie_pattern **sorted = calloc(n + 1, sizeof(*sorted));
	size_t values = 0;

	if (!sorted)
		return 0;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &pattern[i];
	qsort_r(sorted, n, sizeof(*sorted), value_cmp, &bytes);
	for (size_t i = 0; i < n; i++)
		values += !i || value_cmp(&sorted[i - 1], &sorted[i], &bytes);
	return values;
}

static void prepare_walk(struct walk *w, size_t n, uint32_t *alive, size_t *ret_alive,
			 uint32_t *matched, size_t *ret_matched)
{
	size_t n_alive = 0, n_matched = 0;

	w->all_verified = true;
	for (size_t i = 0; i < n; i++) {
		for (unsigned b = 0; b < w->bytes; b++)
			if (w->pattern[i].mask[b])
				w->last[i] = b + 1;
		if (w->pattern[i].invert) {
			w->inverted[w->n_inverted++] = i;
			w->all_verified &= w->pattern[i].verified;
		}
		if (w->last[i])
			alive[n_alive++] = i;
		else
			matched[n_matched++] = i; /* a mask of no bits */
	}
	*ret_alive = n_alive;
	*ret_matched = n_matched;
}

__u32 pg_trie_patterns(struct pg_trie *t, unsigned bytes, const struct pg_trie_pattern *pattern,
		       size_t n, const uint64_t *base)
{
	_free_ uint32_t *room = calloc(4 * n + 4, sizeof(*room));
	_free_ uint8_t *last = calloc(n + 1, 1);
	struct walk w = { .t = t, .bytes = bytes, .pattern = pattern, .base = base, .last = last };
	uint32_t *alive, *matched;
	size_t n_alive, n_matched;
	__u32 entry;

	if (!room || !last) {
		fail(t, -ENOMEM);
		return 0;
	}
	alive = room;
	matched = room + n;
	w.inverted = matched + n;
	w.term = w.inverted + n;
	/* Only TREE asks how many there are. */
	choose_few(t, t->form == PG_FORM_TREE ? count_values(pattern, n, bytes) : 0);
	prepare_walk(&w, n, alive, &n_alive, matched, &n_matched);
	entry = walk_state(&w, 0, (struct list){ matched, n_matched },
			   (struct list){ alive, n_alive });
	forget_memo(t);
	return bytes == 4 ? widen(t, entry) : entry;
}

/* The whole ------------------------------------------------------------------------------------ */

struct pg_trie *pg_trie_new(size_t n_terms, enum pg_form form, const struct pg_few *few,
			    size_t max_nodes, size_t max_row_words)
{
	const struct pg_few nothing = { .term = PG_FEW_TERM, .dport_lo = 1 };
	_cleanup_(pg_trie_freep) struct pg_trie *t = calloc(1, sizeof(*t));

	if (!t || n_terms >= PG_MAX_TERMS)
		return NULL;
	t->n_terms = n_terms;
	t->few = few;
	t->form = form;
	t->words = (n_terms + 63) / 64;
	t->max_nodes = max_nodes;
	t->max_row_words = max_row_words;
	t->scratch = calloc(t->words + 1, 8);
	if (!t->scratch)
		return NULL;
	if (t->form == PG_FORM_TREE || t->form == PG_FORM_HUGE)
		t->few_none = few_leaf(t, &nothing, 1, 0);
	t->none = pg_trie_leaf(t, t->scratch);
	for (size_t i = 0; i < n_terms; i++)
		pg_set_add(t->scratch, i);
	t->all = pg_trie_leaf(t, t->scratch);
	return t->err ? NULL : TAKE_PTR(t);
}

void pg_trie_free(struct pg_trie *t)
{
	if (!t)
		return;
	forget_memo(t);
	free(t->scratch);
	free(t->nodes);
	free(t->rows);
	free(t->blob);
	free(t->block_row);
	free(t->own_row);
	free(t->node_index.slot);
	free(t->blob_index.slot);
	free(t);
}

int pg_trie_error(const struct pg_trie *t)
{
	return t->err;
}

__u32 pg_trie_all(struct pg_trie *t)
{
	return t->all;
}

__u32 pg_trie_none(struct pg_trie *t)
{
	return t->none;
}

void pg_trie_name_few(struct pg_trie *t, bool name)
{
	t->name_few = name;
}

__u32 pg_trie_few_none(struct pg_trie *t)
{
	return t->few_none;
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

__u32 *pg_trie_take_block_rows(struct pg_trie *t, size_t *ret_n)
{
	*ret_n = t->n_block_rows;
	return TAKE_PTR(t->block_row);
}

__u32 *pg_trie_take_own_rows(struct pg_trie *t, size_t *ret_n)
{
	*ret_n = t->n_own_rows;
	return TAKE_PTR(t->own_row);
}

__u64 *pg_trie_take_rows(struct pg_trie *t, size_t *ret_n_words, size_t *ret_n_classes)
{
	*ret_n_words = t->n_rows;
	if (ret_n_classes)
		*ret_n_classes = t->n_classes;
	return TAKE_PTR(t->rows);
}
