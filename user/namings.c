// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "namings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const struct pg_match *m)
{
	switch (m->kind) {
	case PG_MATCH_HASHLIMIT:
		return m->hashlimit->name;
	case PG_MATCH_RECENT:
		return m->recent->name;
	default:
		return NULL;
	}
}

static int by_name(const struct pg_match *a, const struct pg_match *b)
{
	return a->kind != b->kind ? (a->kind > b->kind) - (a->kind < b->kind) : strcmp(name_of(a), name_of(b));
}

static int by_place(const void *a, const void *b)
{
	const struct pg_naming *x = a, *y = b;

	return by_name(x->match, y->match) ?: (x->order > y->order) - (x->order < y->order);
}

static size_t collect(const struct pg_ruleset *set, struct pg_naming *to)
{
	size_t n = 0;

	for (size_t c = 0; c < set->n_chains; c++)
		for (size_t r = 0; r < set->chain[c].n_rules; r++) {
			const struct pg_rule *rule = &set->chain[c].rule[r];

			for (size_t i = 0; i < rule->n_match; i++) {
				if (!name_of(&rule->match[i]))
					continue;
				if (to)
					to[n] = (struct pg_naming){ &rule->match[i], pg_rule_families(rule), n };
				n++;
			}
		}
	return n;
}

int pg_namings_make(struct pg_namings *ret, const struct pg_ruleset *set)
{
	ret->n = collect(set, NULL);
	ret->naming = ret->n ? calloc(ret->n, sizeof(*ret->naming)) : NULL;
	if (ret->n && !ret->naming)
		return -ENOMEM;
	if (ret->n) {
		collect(set, ret->naming);
		qsort(ret->naming, ret->n, sizeof(*ret->naming), by_place);
	}
	return 0;
}

void pg_namings_free(struct pg_namings *namings)
{
	free(namings->naming);
	*namings = (struct pg_namings){};
}

static const struct pg_match *first(const struct pg_namings *namings, unsigned families, const struct pg_match *m)
{
	size_t lo = 0, hi = namings->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_name(namings->naming[mid].match, m) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < namings->n && !by_name(namings->naming[lo].match, m); lo++)
		if (!(families & ~namings->naming[lo].families))
			return namings->naming[lo].match;
	return m;
}

const struct pg_match *pg_namings_settle(const struct pg_namings *namings, unsigned families,
					 const struct pg_match *m, struct pg_named_match *room)
{
	const struct pg_match *f = name_of(m) ? first(namings, families, m) : m;

	if (f == m)
		return m;
	room->match = *m;
	if (m->kind == PG_MATCH_HASHLIMIT) {
		room->hashlimit = *f->hashlimit;
		room->hashlimit.above = m->hashlimit->above;
		room->match.hashlimit = &room->hashlimit;
	} else {
		room->recent = *m->recent;
		memcpy(room->recent.mask, f->recent->mask, sizeof(room->recent.mask));
		room->match.recent = &room->recent;
	}
	return &room->match;
}
