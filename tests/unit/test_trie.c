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

enum { ROUNDS = 60, NODES = 4096, WORDS = 1 << 17 };

static uint64_t state = 1;

static uint32_t pick(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

struct built {
	__u32 *nodes;
	__u64 *rows;
	size_t n_nodes, n_words, stride, n_terms;
};

static struct built take(struct pg_trie *t, size_t n_terms)
{
	struct built b = { .n_terms = n_terms };

	assert_int_equal(pg_trie_error(t), 0);
	b.stride = pg_trie_words(t) > 1 ? 1 + pg_trie_words(t) : 1;
	b.nodes = pg_trie_take_nodes(t, &b.n_nodes);
	b.rows = pg_trie_take_rows(t, &b.n_words, NULL);
	return b;
}

static void drop(struct built *b)
{
	free(b->nodes);
	free(b->rows);
}

static __u32 step(const struct built *b, __u32 entry, unsigned index)
{
	if (entry & PG_LEAF)
		return entry;
	assert_true(entry / 4 + index < b->n_nodes * 256);
	return b->nodes[entry / 4 + index];
}

/* Is the term in the row? In the TREE form the summary must agree. */
static bool holds(const struct built *b, __u32 leaf, size_t term)
{
	const __u64 *row = b->rows + (leaf & ~PG_LEAF) / 8;
	bool in;

	assert_true(leaf & PG_LEAF);
	if (b->n_terms <= PG_TINY_TERMS)
		return leaf >> term & 1;
	assert_true((leaf & ~PG_LEAF) / 8 + b->stride <= b->n_words);
	if (b->stride == 1)
		return row[0] >> term % 64 & 1;
	in = row[1 + term / 64] >> term % 64 & 1;
	if (in)
		assert_true(row[0] >> term / 64 & 1);
	return in;
}

static void the_first_row_has_every_term(void **unused)
{
	static const size_t sizes[] = { 1, 31, 32, 63, 64, 65, 1000, PG_MAX_TERMS };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pg_trie *t = pg_trie_new(sizes[i], NODES, WORDS);
		struct built b;
		__u32 all;

		assert_non_null(t);
		all = pg_trie_all(t);
		b = take(t, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_true(holds(&b, all, k));
		drop(&b);
		pg_trie_free(t);
	}
}

static void check_ranges(const struct built *b, bool wide, __u32 root,
			 const struct pg_trie_range *range, size_t n)
{
	for (unsigned v = 0; v < 65536; v += 1 + pick(97)) {
		__u32 leaf = wide ? step(b, root, v) : step(b, step(b, root, v >> 8), v & 255);

		for (size_t i = 0; i < b->n_terms; i++) {
			bool wanted = false;

			for (size_t k = 0; k < n; k++)
				wanted |= range[k].term == i && range[k].lo <= v && v <= range[k].hi;
			assert_int_equal(holds(b, leaf, i), wanted);
		}
	}
}

static void a_number_leads_to_the_terms_whose_ranges_hold_it(void **unused)
{
	struct pg_trie_range range[300];
	uint64_t never[PG_MAX_TERMS / 64] = { 0 };

	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		size_t terms = 1 + pick(100), n = pick(ARRAY_SIZE(range));
		struct pg_trie *t = pg_trie_new(terms, NODES, WORDS);
		bool wide = round % 2;
		struct built b;
		__u32 root;

		for (size_t i = 0; i < n; i++) {
			uint16_t x = pick(65536), y = pick(3) ? x : pick(65536);

			range[i] = (struct pg_trie_range){ pick(terms), x < y ? x : y, x < y ? y : x };
		}
		root = pg_trie_ranges(t, wide, range, n, never);
		b = take(t, terms);
		check_ranges(&b, wide, root, range, n);
		drop(&b);
		pg_trie_free(t);
	}
}

static __u32 walk_addr(const struct built *b, __u32 root, unsigned bytes, const uint8_t *addr)
{
	unsigned at = 0;

	if (bytes == 4) {
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

	*p = (struct pg_trie_pattern){ .term = term, .invert = !pick(4) };
	for (unsigned i = 0; i < bytes; i++) {
		unsigned bits = len > 8 * i ? len - 8 * i : 0;

		p->mask[i] = bits >= 8 ? 255 : 0xff00 >> bits & 255;
		if (gaps && pick(2))
			p->mask[i] = pick(256);
		p->value[i] = pick(4) * 85 & p->mask[i];
	}
}

static void an_address_leads_to_the_terms_whose_patterns_it_fits(void **unused)
{
	struct pg_trie_pattern pattern[80];

	(void)unused;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned bytes = round % 2 ? 16 : 4;
		size_t n = 1 + pick(ARRAY_SIZE(pattern));
		struct pg_trie *t = pg_trie_new(n + 1, 1 << 16, 1 << 22);
		uint64_t always[PG_MAX_TERMS / 64] = { 0 };
		struct built b;
		__u32 root;

		for (size_t i = 0; i < n; i++)
			random_pattern(&pattern[i], bytes, i);
		pg_set_add(always, n); /* the one term that does not ask */
		root = pg_trie_patterns(t, bytes, pattern, n, always);
		b = take(t, n + 1);
		for (int k = 0; k < 500; k++) {
			uint8_t addr[16];
			__u32 leaf;

			for (unsigned i = 0; i < bytes; i++)
				addr[i] = pick(8) ? pick(4) * 85 : pick(256);
			leaf = walk_addr(&b, root, bytes, addr);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(holds(&b, leaf, i),
						 pattern_holds(&pattern[i], bytes, addr));
			assert_true(holds(&b, leaf, n));
		}
		drop(&b);
		pg_trie_free(t);
	}
}

static void equal_rows_and_nodes_are_stored_once(void **unused)
{
	struct pg_trie *t = pg_trie_new(2, NODES, WORDS);
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
	struct pg_trie *t = pg_trie_new(ARRAY_SIZE(pattern), 300, WORDS);

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
		cmocka_unit_test(the_first_row_has_every_term),
		cmocka_unit_test(a_number_leads_to_the_terms_whose_ranges_hold_it),
		cmocka_unit_test(an_address_leads_to_the_terms_whose_patterns_it_fits),
		cmocka_unit_test(equal_rows_and_nodes_are_stored_once),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
