// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "namings.h"

#include <stdlib.h>
#include <string.h>

struct naming {
	const char *name;
	const struct pg_match *match;
	unsigned families;
	size_t order;
};

struct pg_namings {
	size_t n;
	struct naming naming[]; /* by kind, name and order */
};

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

static int by_name(const struct naming *a, const struct naming *b)
{
	if (a->match->kind != b->match->kind)
		return a->match->kind < b->match->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int by_place(const void *a, const void *b)
{
	const struct naming *x = a, *y = b;

	return by_name(x, y) ?: (x->order > y->order) - (x->order < y->order);
}

static size_t collect(const struct pg_ruleset *set, struct naming *to)
{
	size_t n = 0;

	for (size_t c = 0; c < set->n_chains; c++)
		for (size_t r = 0; r < set->chain[c].n_rules; r++) {
			const struct pg_rule *rule = &set->chain[c].rule[r];

			for (size_t i = 0; i < rule->n_match; i++) {
				const char *name = name_of(&rule->match[i]);

				if (!name)
					continue;
				if (to)
					to[n] = (struct naming){ name, &rule->match[i],
								    pg_rule_families(rule), n };
				n++;
			}
		}
	return n;
}

struct pg_namings *pg_namings_new(const struct pg_ruleset *set)
{
	size_t n = collect(set, NULL);
	struct pg_namings *namings = calloc(1, sizeof(*namings) + n * sizeof(namings->naming[0]));

	if (!namings)
		return NULL;
	namings->n = collect(set, namings->naming);
	qsort(namings->naming, n, sizeof(namings->naming[0]), by_place);
	return namings;
}

void pg_namings_free(struct pg_namings *namings)
{
	free(namings);
}

static const struct pg_match *first(const struct pg_namings *namings, unsigned families, const struct pg_match *m)
{
	const struct naming asked = { .name = name_of(m), .match = m };
	size_t lo = 0, hi = namings->n;

	if (!asked.name)
		return m;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (by_name(&namings->naming[mid], &asked) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < namings->n && !by_name(&namings->naming[lo], &asked); lo++)
		if (!(families & ~namings->naming[lo].families))
			return namings->naming[lo].match;
	return m;
}

const struct pg_match *pg_namings_settle(const struct pg_namings *namings, unsigned families,
					 const struct pg_match *m, struct pg_named_match *room)
{
	const struct pg_match *f = first(namings, families, m);

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
