// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "homes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "util.h"

/* Below that many terms, looking at some words in vain costs no more than looking at names. */
#define HOMES_FROM 1024

struct home {
	const struct pg_addr *addr; /* a prefix */
	int len;
	uint32_t term;
};

/* Of a prefix that holds much of the world, and not little of it. */
static bool is_short(int len, unsigned bytes)
{
	return len <= (bytes == 4 ? 8 : 32);
}

/* 0: any address; -1: as pg_prefix_len(). */
static int addr_len(const struct pg_addr *a, unsigned bytes)
{
	return a->set ? pg_prefix_len(a->mask, bytes) : 0;
}

static unsigned addr_bytes(const struct pg_term *t)
{
	return t->families == PG_V6 ? 16 : 4;
}

/* Are rows dense? A word of 64 terms has several that a short prefix leads to, for either address. */
static bool are_dense(const struct pg_term *term, size_t n)
{
	size_t sources = 0, destinations = 0;

	for (size_t i = 0; i < n; i++) {
		const struct pg_rule *rule = term[i].rule;
		unsigned bytes = addr_bytes(&term[i]);

		sources += is_short(addr_len(&rule->src, bytes), bytes);
		destinations += is_short(addr_len(&rule->dst, bytes), bytes);
	}
	return sources > n / 16 && destinations > n / 16;
}

/* A long prefix here, and nothing like it on the other side. */
static bool may_live(const struct pg_term *t, const struct pg_term_record *rec, bool source)
{
	const struct pg_addr *here = source ? &t->rule->src : &t->rule->dst;
	const struct pg_addr *there = source ? &t->rule->dst : &t->rule->src;
	unsigned bytes = addr_bytes(t);
	int len = addr_len(here, bytes), other = addr_len(there, bytes);

	return len > 0 && !is_short(len, bytes) && !here->invert &&
	       (is_short(other, bytes) || there->invert) &&
	       !(rec->rows & (PG_DIM_SADDR | PG_DIM_DADDR));
}

/* A prefix before those in it. */
static int home_cmp(const void *a, const void *b)
{
	const struct home *x = a, *y = b;

	return memcmp(x->addr->addr, y->addr->addr, sizeof(x->addr->addr)) ?: x->len - y->len;
}

/* Those of one prefix live together, if with all those around it they are no more than PG_FEW. */
static void settle(const struct home *list, size_t n, __u32 dim, __u8 *home)
{
	const struct home *around[PG_FEW];
	size_t depth = 0, end;

	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && !home_cmp(&list[i], &list[end]); end++)
			;
		while (depth && !pg_prefix_covers(around[depth - 1]->addr, list[i].addr))
			depth--;
		if (depth + end - i > PG_FEW)
			continue;
		for (size_t k = i; k < end; k++) {
			around[depth++] = &list[k];
			home[list[k].term] = dim;
		}
	}
}

int pg_find_homes(const struct pg_term *term, const struct pg_term_record *record, size_t n,
		  __u8 *home)
{
	_free_ struct home *list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	if (n < HOMES_FROM || !are_dense(term, n))
		return 0;
	for (unsigned way = 0; way < 4; way++) {
		bool source = way & 1;
		unsigned family = way & 2 ? PG_V6 : PG_V4;
		size_t found = 0;

		for (size_t i = 0; i < n; i++) {
			const struct pg_addr *a = source ? &term[i].rule->src : &term[i].rule->dst;

			if (term[i].families == family && may_live(&term[i], &record[i], source))
				list[found++] = (struct home){ a, addr_len(a, addr_bytes(&term[i])), i };
		}
		qsort(list, found, sizeof(*list), home_cmp);
		settle(list, found, source ? PG_DIM_SADDR : PG_DIM_DADDR, home);
	}
	return 0;
}
