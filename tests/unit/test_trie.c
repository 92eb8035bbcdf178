// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tables against what they were made from: random sets, every value or random ones, walked. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pg_abi.h"
#include "trie.h"
#include "util.h"

enum { ROUNDS = 60, NODES = 4096, WORDS = 1 << 19 };

/* Sizes in each of the forms, and at their bounds. */
static const size_t sizes[] = { 1, 31, 32, 63, 64, 65, 1000, 4095, 4096, 4097, 8192, 8193, 9000,
				PG_MAX_TERMS - 1 };

static uint64_t state = 1;

static uint32_t pick(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

static struct pg_few few_entries[PG_MAX_TERMS];

static int name_terms(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PG_MAX_TERMS; i++)
		few_entries[i] = (struct pg_few){ .term = i, .slot = i };
	return 0;
}

struct built {
	__u32 *nodes, *block_rows, *own_rows;
	__u64 *rows;
	size_t n_nodes, n_words, n_block_rows, n_own_rows, n_terms;
	enum pg_form form;
	const uint64_t *base; /* terms that ask nothing, for leaves that name few */
	unsigned few, bitmaps, owns; /* leaves seen */
};

static struct built take(struct pg_trie *t, size_t n_terms, const uint64_t *base)
{
	struct built b = { .n_terms = n_terms, .base = base, .form = pg_form_of(n_terms) };

	assert_int_equal(pg_trie_error(t), 0);
	b.nodes = pg_trie_take_nodes(t, &b.n_nodes);
	b.block_rows = pg_trie_take_block_rows(t, &b.n_block_rows);
	b.own_rows = pg_trie_take_own_rows(t, &b.n_own_rows);
	b.rows = pg_trie_take_rows(t, &b.n_words, NULL);
	return b;
}

static void drop(struct built *b)
{
	free(b->nodes);
	free(b->block_rows);
	free(b->own_rows);
	free(b->rows);
}

static __u32 step(const struct built *b, __u32 entry, unsigned index)
{
	if (entry & PG_LEAF)
		return entry;
	entry &= ~PG_WIDE;
	assert_true(entry / 4 + index < b->n_nodes * 256);
	return b->nodes[entry / 4 + index];
}

/* A block's term; its summary, of which a bit stands for 1 << shift words, must agree. */
static bool in_block(const struct built *b, size_t at, size_t term, unsigned shift)
{
	size_t word = term / 64;
	bool in;

	assert_true(at + 1 + (word | shift) < b->n_words);
	in = b->rows[at + 1 + word] >> term % 64 & 1;
	assert_int_equal(b->rows[at] >> (word >> shift) & 1,
			 b->rows[at + 1 + word] || b->rows[at + 1 + (word ^ shift)]);
	return in;
}

static bool in_huge(const struct built *b, size_t at, size_t term)
{
	size_t block = term / PG_BLOCK_TERMS;
	const __u32 *offset = (const __u32 *)(b->rows + at + 1);
	bool in, listed = false;

	for (size_t i = 0; i < b->n_block_rows; i++)
		listed |= b->block_rows[i] == at;
	assert_true(listed); /* or its offsets would not be moved with the rows */
	in = in_block(b, offset[block] / 8, term % PG_BLOCK_TERMS, 0);
	if (in)
		assert_true(b->rows[at] >> block & 1);
	return in;
}

/* Is the term in the leaf's bitmap? */
static bool in_bitmap(const struct built *b, __u32 leaf, size_t term)
{
	size_t at = (leaf & ~PG_LEAF) / 8;

	assert_true(leaf & PG_LEAF);
	if (b->form == PG_FORM_TINY)
		return leaf >> term & 1;
	assert_true(!(leaf & PG_FEW_LEAF) && at < b->n_words);
	if (b->form == PG_FORM_WORD)
		return b->rows[at] >> term & 1;
	return b->form == PG_FORM_TREE ? in_block(b, at, term, pg_tree_pairs(b->n_terms)) : in_huge(b, at, term);
}

/* Does the leaf name the term? Names of a row are ascending. */
static bool is_named(const struct built *b, __u32 leaf, size_t term)
{
	size_t at = (leaf & ~(PG_LEAF | PG_FEW_LEAF | PG_FEW_OWN)) / 8, head = leaf & PG_FEW_OWN ? 2 : 0;
	const struct pg_few *entry = (const struct pg_few *)(b->rows + at);
	bool found = false;
	size_t n = 0;

	do {
		__u32 named = entry[n].term & PG_FEW_TERM;

		assert_true(at + 2 * (n + 1) <= b->n_words);
		assert_true(n < PG_FEW && named < b->n_terms && entry[n].slot == named);
		assert_true(!n || named > (entry[n - 1].term & PG_FEW_TERM));
		found |= named == term;
	} while (!(entry[n++].term & PG_FEW_LAST));
	/* In no more cache lines than it needs. */
	assert_int_equal((at - head) / 8 + (n + head / 2 + 3) / 4, (at + 2 * n - 1) / 8 + 1);
	return found;
}

static bool is_few(const struct built *b, __u32 leaf)
{
	return (b->form == PG_FORM_TREE || b->form == PG_FORM_HUGE) && leaf & PG_FEW_LEAF;
}

static void see(struct built *b, __u32 leaf)
{
	if (is_few(b, leaf))
		b->few++, b->owns += !!(leaf & PG_FEW_OWN);
	else
		b->bitmaps++;
}

/* The bitmap that a row of few has of its own. */
static __u32 own_bitmap(const struct built *b, __u32 leaf)
{
	size_t at = (leaf & ~(PG_LEAF | PG_FEW_LEAF | PG_FEW_OWN)) / 8 - 2;
	bool listed = false;

	for (size_t i = 0; i < b->n_own_rows; i++)
		listed |= b->own_rows[i] == at;
	assert_true(listed); /* or its leaf would not be moved with the rows */
	return ((const struct pg_few *)(b->rows + at))->slot;
}

/* Is the term one that is not verified: in the leaf's bitmap, or that of its row of few? */
static bool in_any_bitmap(const struct built *b, __u32 leaf, size_t term)
{
	if (!is_few(b, leaf))
		return in_bitmap(b, leaf, term);
	return leaf & PG_FEW_OWN ? in_bitmap(b, own_bitmap(b, leaf), term) : pg_set_has(b->base, term);
}

/* As the programs have it: a bitmap, and the few. */
static bool holds(const struct built *b, __u32 leaf, size_t term)
{
	return in_any_bitmap(b, leaf, term) || (is_few(b, leaf) && is_named(b, leaf, term));
}

static void rows_of_all_and_of_none(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pg_trie *t = pg_trie_new(sizes[i], pg_form_of(sizes[i]), few_entries, NODES, WORDS);
		struct built b;
		__u32 all, none;

		assert_non_null(t);
		all = pg_trie_all(t);
		none = pg_trie_none(t);
		b = take(t, sizes[i], NULL);
		for (size_t k = 0; k < sizes[i]; k++) {
			assert_true(in_bitmap(&b, all, k));
			assert_false(in_bitmap(&b, none, k));
		}
		drop(&b);
		pg_trie_free(t);
	}
}

/* Any set at all, in every form. */
static void a_row_is_its_set(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pg_trie *t = pg_trie_new(sizes[i], pg_form_of(sizes[i]), few_entries, NODES, WORDS);
		_free_ uint64_t *set = calloc(8 * (sizes[i] / 64 + 1), 8);
		size_t words = pg_trie_words(t);
		__u32 leaf[8];
		struct built b;

		for (size_t k = 0; k < 8; k++) {
			for (size_t n = 0; n < 40; n++)
				pg_set_add(set + k * words, pick(sizes[i]));
			leaf[k] = pg_trie_leaf(t, set + k * words);
			assert_int_equal(pg_trie_leaf(t, set + k * words), leaf[k]);
		}
		b = take(t, sizes[i], NULL);
		for (size_t k = 0; k < 8; k++)
			for (size_t n = 0; n < sizes[i]; n += 1 + n % 3)
				assert_int_equal(in_bitmap(&b, leaf[k], n),
						 pg_set_has(set + k * words, n));
		drop(&b);
		pg_trie_free(t);
	}
}

static void huge_rows_share_equal_blocks(void **unused)
{
	struct pg_trie *t = pg_trie_new(3 * PG_BLOCK_TERMS, PG_FORM_HUGE, few_entries, NODES, WORDS);
	_free_ uint64_t *set = calloc(pg_trie_words(t), 8);
	const __u32 *x, *y;
	struct built b;
	__u32 one, two;

	(void)unused;
	pg_set_add(set, 7);
	pg_set_add(set, 2 * PG_BLOCK_TERMS + 7);
	one = pg_trie_leaf(t, set);
	pg_set_add(set, PG_BLOCK_TERMS);
	two = pg_trie_leaf(t, set);
	b = take(t, 3 * PG_BLOCK_TERMS, NULL);
	x = (__u32 *)(b.rows + (one & ~PG_LEAF) / 8 + 1);
	y = (__u32 *)(b.rows + (two & ~PG_LEAF) / 8 + 1);
	assert_int_equal(b.rows[(one & ~PG_LEAF) / 8], 5);
	assert_int_equal(b.rows[(two & ~PG_LEAF) / 8], 7);
	assert_int_equal(x[0], x[2]);
	assert_int_equal(x[0], y[0]);
	assert_int_not_equal(x[1], y[1]);
	drop(&b);
	pg_trie_free(t);
}

/* Ranges --------------------------------------------------------------------------------------- */

/* How many terms a round has: each form in its turn. */
static size_t round_terms(int round)
{
	switch (round % 4) {
	case 0:
		return 1 + pick(PG_TINY_TERMS);
	case 1:
		return PG_TINY_TERMS + 1 + pick(64 - PG_TINY_TERMS);
	case 2:
		return 65 + pick(PG_BLOCK_TERMS - 64);
	default:
		return PG_TREE_TERMS + 1 + pick(2 * PG_BLOCK_TERMS);
	}
}

static bool in_range(const struct pg_trie_range *range, size_t n, size_t term, unsigned v)
{
	for (size_t k = 0; k < n; k++)
		if (range[k].term == term && range[k].lo <= v && v <= range[k].hi)
			return true;
	return false;
}

static __u32 walk_number(const struct built *b, __u32 root, unsigned v)
{
	return root & PG_WIDE ? step(b, root, v) : step(b, step(b, root, v >> 8), v & 255);
}

static void check_ranges(struct built *b, bool wide, __u32 root,
			 const struct pg_trie_range *range, size_t n)
{
	if (wide && b->n_terms <= 64) /* then the programs do not look */
		assert_true(root & (PG_WIDE | PG_LEAF));
	for (unsigned v = 0; v < 65536; v += 1 + pick(397)) {
		__u32 leaf = walk_number(b, root, v);

		see(b, leaf);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(holds(b, leaf, range[k].term),
					 in_range(range, n, range[k].term, v));
		for (int k = 0; k < 20; k++) {
			size_t term = pick(b->n_terms);

			assert_int_equal(holds(b, leaf, term),
					 pg_set_has(b->base, term) ||
						 in_range(range, n, term, v));
		}
	}
}

/* Half of the terms that have no range ask nothing. */
static void random_base(uint64_t *base, size_t terms, const struct pg_trie_range *range, size_t n)
{
	for (size_t i = 0; i < terms; i++)
		if (pick(2))
			pg_set_add(base, i);
	for (size_t i = 0; i < n; i++)
		base[range[i].term / 64] &= ~(1ULL << range[i].term % 64);
}

static void a_number_leads_to_the_terms_whose_ranges_hold_it(void **unused)
{
	struct pg_trie_range range[60];
	unsigned few = 0, bitmaps = 0;

	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		size_t terms = round_terms(round), n = pick(ARRAY_SIZE(range));
		struct pg_trie *t = pg_trie_new(terms, pg_form_of(terms), few_entries, NODES, WORDS);
		_free_ uint64_t *base = calloc(pg_trie_words(t), 8);
		bool wide = round / 4 % 2, narrow = round / 8 % 2;
		struct built b;
		__u32 root;

		for (size_t i = 0; i < n; i++) {
			uint16_t x = pick(65536), y = pick(narrow ? 40 : 3) ? x : pick(65536);

			range[i] = (struct pg_trie_range){ pick(terms), x < y ? x : y, x < y ? y : x };
		}
		random_base(base, terms, range, n);
		root = pg_trie_ranges(t, wide, range, n, base);
		b = take(t, terms, base);
		check_ranges(&b, wide, root, range, n);
		if (b.form == PG_FORM_TREE || b.form == PG_FORM_HUGE) {
			few += b.few;
			bitmaps += b.bitmaps;
		}
		drop(&b);
		pg_trie_free(t);
	}
	assert_true(few > 100 && bitmaps > 100);
}

/* None is the base row itself; PG_FEW, or PG_FEW_TREE where they may be, are named; one more is a bitmap. */
static void few_terms_are_named_and_more_are_a_bitmap(void **unused)
{
	static const size_t counts[] = { 0, 1, 2, 3, PG_FEW, PG_FEW + 1 };

	(void)unused;
	for (int round = 0; round < 18; round++) {
		size_t terms = round % 3 ? 200 : 9000, n = counts[round / 3];
		size_t max = round % 3 == 0 ? PG_FEW : round % 3 == 1 ? PG_FEW_TREE : 0;
		struct pg_trie *t = pg_trie_new(terms, pg_form_of(terms), few_entries, NODES, WORDS);
		_free_ uint64_t *base = calloc(pg_trie_words(t), 8);
		struct pg_trie_range range[PG_FEW + 2];
		struct built b;
		__u32 root, leaf;

		for (size_t i = 0; i < n; i++)
			range[i] = (struct pg_trie_range){ 3 * i, 1000, 2000 };
		range[n] = (struct pg_trie_range){ 199, 7, 7 }; /* so that there is a node */
		pg_set_add(base, 100);
		pg_trie_name_few(t, max);
		root = pg_trie_ranges(t, true, range, n + 1, base);
		leaf = pg_trie_leaf(t, base);
		b = take(t, terms, base);
		assert_int_equal(walk_number(&b, root, 999), leaf);
		assert_int_equal(is_few(&b, walk_number(&b, root, 1000)), n && n <= max);
		assert_int_equal(is_few(&b, walk_number(&b, root, 7)), max > 0);
		for (size_t i = 0; i < terms; i++)
			assert_int_equal(holds(&b, walk_number(&b, root, 2000), i),
					 i == 100 || (i % 3 == 0 && i / 3 < n));
		drop(&b);
		pg_trie_free(t);
	}
}

/* Patterns ------------------------------------------------------------------------------------- */

static __u32 walk_addr(const struct built *b, __u32 root, unsigned bytes, const uint8_t *addr)
{
	unsigned at = 0;

	if (root & PG_WIDE && !(root & PG_LEAF)) {
		root = step(b, root, addr[0] << 8 | addr[1]);
		at = 2;
	}
	for (; at < bytes; at++)
		root = step(b, root, addr[at]);
	return root;
}

static bool pattern_holds(const struct pg_trie_pattern *p, unsigned bytes, const uint8_t *addr)
{
	bool same = true;

	for (unsigned i = 0; i < bytes; i++)
		same &= (addr[i] & p->mask[i]) == p->value[i];
	return same != p->invert;
}

/* Prefixes mostly, as people write them, and some masks with gaps. */
static void random_pattern(struct pg_trie_pattern *p, unsigned bytes, uint32_t term)
{
	unsigned len = pick(8 * bytes + 1);
	bool gaps = !pick(6);

	*p = (struct pg_trie_pattern){ .term = term };
	for (unsigned i = 0; i < bytes; i++) {
		unsigned bits = len > 8 * i ? len - 8 * i : 0;

		p->mask[i] = bits >= 8 ? 255 : 0xff00 >> bits & 255;
		if (gaps && pick(2))
			p->mask[i] = pick(256);
		p->value[i] = pick(4) * 85 & p->mask[i];
	}
}

/*
 * Where the trie ended early, a term whose record tells as well may be named though it does not
 * hold; never the other way round, and never one whose record does not tell.
 */
static void check_pattern(const struct built *b, __u32 leaf, const struct pg_trie_pattern *p,
			  unsigned bytes, const uint8_t *addr)
{
	bool wanted = pattern_holds(p, bytes, addr), named = holds(b, leaf, p->term);

	if (p->home && b->n_terms > 64)
		assert_false(in_any_bitmap(b, leaf, p->term));
	if (is_few(b, leaf) && p->verified)
		assert_true(named || !wanted);
	else
		assert_int_equal(named, wanted);
}

static void check_addrs(struct built *b, __u32 root, unsigned bytes,
			const struct pg_trie_pattern *pattern, size_t n)
{
	for (int k = 0; k < 300; k++) {
		const struct pg_trie_pattern *near = &pattern[pick(n)];
		uint8_t addr[16];
		__u32 leaf;

		for (unsigned i = 0; i < bytes; i++) {
			addr[i] = pick(8) ? pick(4) * 85 : pick(256);
			if (k % 2) /* within a pattern, or nearly */
				addr[i] = (addr[i] & ~near->mask[i]) | near->value[i];
			if (k % 4 == 3 && !pick(bytes))
				addr[i] ^= 1 << pick(8);
		}
		leaf = walk_addr(b, root, bytes, addr);
		see(b, leaf);
		for (size_t i = 0; i < n; i++)
			check_pattern(b, leaf, &pattern[i], bytes, addr);
		for (int i = 0; i < 10; i++) {
			size_t term = 2 * pick(b->n_terms / 2 + 1);

			if (term < b->n_terms)
				assert_int_equal(holds(b, leaf, term), pg_set_has(b->base, term));
		}
	}
}

/* Patterns have the odd terms; of the even ones every second asks nothing. */
static void an_address_leads_to_the_terms_whose_patterns_it_fits(void **unused)
{
	struct pg_trie_pattern pattern[40];
	unsigned few = 0, bitmaps = 0, owns = 0;

	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		size_t terms = round_terms(round) + 1, n = 0, max = 1 + pick(ARRAY_SIZE(pattern));
		unsigned bytes = round / 4 % 2 ? 16 : 4, verified = round / 8 % 3, homes = 0;
		struct pg_trie *t = pg_trie_new(terms, pg_form_of(terms), few_entries, 1 << 16, 1 << 22);
		_free_ uint64_t *base = calloc(pg_trie_words(t), 8);
		struct built b;
		__u32 root;

		for (size_t i = 1; i < terms && n < max; i += 2 + 2 * pick(terms / 80 + 1)) {
			random_pattern(&pattern[n], bytes, i);
			pattern[n].invert = !pick(round % 3 ? 4 : 40);
			pattern[n].verified = verified == 1 || (verified == 2 && pick(4));
			pattern[n].home = homes < PG_FEW && terms > 64 && !pattern[n].invert &&
					  pattern[n].verified && !pick(3);
			homes += pattern[n].home;
			n++;
		}
		for (size_t i = 0; i < terms; i += 4)
			pg_set_add(base, i);
		pg_trie_name_few(t, pick(2));
		root = pg_trie_patterns(t, bytes, pattern, n, base);
		b = take(t, terms, base);
		check_addrs(&b, root, bytes, pattern, n);
		if (b.form == PG_FORM_TREE || b.form == PG_FORM_HUGE) {
			few += b.few;
			bitmaps += b.bitmaps;
			owns += b.owns;
		}
		drop(&b);
		pg_trie_free(t);
	}
	assert_true(few > 100 && bitmaps > 100 && owns > 100);
}

/* One host: its trie has as many nodes as an address needs, or none if its record tells as well. */
static void a_trie_of_verified_patterns_ends_early(void **unused)
{
	(void)unused;
	for (int verified = 0; verified < 2; verified++) {
		struct pg_trie_pattern host = { .term = 5, .verified = verified };
		struct pg_trie *t = pg_trie_new(100, pg_form_of(100), few_entries, NODES, WORDS);
		uint64_t base[2] = { 0 };
		const uint8_t other[16] = { 1 };
		struct built b;
		__u32 root;

		memset(host.mask, 255, sizeof(host.mask));
		pg_trie_name_few(t, true);
		root = pg_trie_patterns(t, 16, &host, 1, base);
		b = take(t, 100, base);
		assert_int_equal(b.n_nodes, verified ? 0 : 16);
		assert_true(holds(&b, walk_addr(&b, root, 16, host.value), 5));
		assert_int_equal(holds(&b, walk_addr(&b, root, 16, other), 5), verified);
		drop(&b);
		pg_trie_free(t);
	}
}

static void equal_rows_and_nodes_are_stored_once(void **unused)
{
	struct pg_trie *t = pg_trie_new(2, pg_form_of(2), few_entries, NODES, WORDS);
	uint64_t one[PG_MAX_TERMS / 64] = { 1 }, two[PG_MAX_TERMS / 64] = { 2 };
	__u32 entries[256], leaf;

	(void)unused;
	leaf = pg_trie_leaf(t, one);
	assert_int_equal(pg_trie_leaf(t, one), leaf);
	assert_int_not_equal(pg_trie_leaf(t, two), leaf);
	for (int i = 0; i < 256; i++)
		entries[i] = leaf;
	assert_int_equal(pg_trie_node(t, entries), leaf);
	entries[7] = pg_trie_leaf(t, two);
	assert_int_equal(pg_trie_node(t, entries), pg_trie_node(t, entries));
	pg_trie_free(t);
}

/* Masks with gaps could make more states than there is memory: the limits hold. */
static void what_does_not_fit_is_refused(void **unused)
{
	struct pg_trie_pattern pattern[64];
	uint64_t never[PG_MAX_TERMS / 64] = { 0 };
	struct pg_trie *t = pg_trie_new(ARRAY_SIZE(pattern), PG_FORM_TREE, few_entries, 300, WORDS);

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(pattern); i++) {
		pattern[i] = (struct pg_trie_pattern){ .term = i };
		for (int k = 0; k < 4; k++) {
			pattern[i].mask[k] = 1 << pick(8) | 1 << pick(8);
			pattern[i].value[k] = pick(256) & pattern[i].mask[k];
		}
	}
	pg_trie_patterns(t, 4, pattern, ARRAY_SIZE(pattern), never);
	assert_int_equal(pg_trie_error(t), -ENOSPC);
	pg_trie_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_all_and_of_none),
		cmocka_unit_test(a_row_is_its_set),
		cmocka_unit_test(huge_rows_share_equal_blocks),
		cmocka_unit_test(a_number_leads_to_the_terms_whose_ranges_hold_it),
		cmocka_unit_test(few_terms_are_named_and_more_are_a_bitmap),
		cmocka_unit_test(an_address_leads_to_the_terms_whose_patterns_it_fits),
		cmocka_unit_test(a_trie_of_verified_patterns_ends_early),
		cmocka_unit_test(equal_rows_and_nodes_are_stored_once),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, name_terms, NULL);
}
