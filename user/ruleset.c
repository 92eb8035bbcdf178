/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "target.h"

static bool addr_equal(const struct pg_addr *a, const struct pg_addr *b)
{
	size_t n;

	if (!a->set || !b->set)
		return a->set == b->set;
	n = a->family == PG_V4 ? 4 : 16;
	return a->invert == b->invert && a->family == b->family && !memcmp(a->addr, b->addr, n) &&
	       !memcmp(a->mask, b->mask, n);
}

static bool ifname_equal(const struct pg_ifname *a, const struct pg_ifname *b)
{
	if (!a->set || !b->set)
		return a->set == b->set;
	return a->invert == b->invert && !strcmp(a->name, b->name);
}

bool pg_match_equal(const struct pg_match *a, const struct pg_match *b)
{
	/* The members of the union all start where the first one does. */
	const size_t start = offsetof(struct pg_match, ports);

	if (a->kind != b->kind)
		return false;
	if (pg_match_rows[a->kind].equal)
		return pg_match_rows[a->kind].equal(a, b);
	return !memcmp((const char *)a + start, (const char *)b + start, sizeof(*a) - start);
}

static void chain_clear(struct pg_chain *chain)
{
	for (size_t i = 0; i < chain->n_rules; i++)
		pg_rule_clear(&chain->rule[i]);
	free(chain->rule);
	*chain = (struct pg_chain){};
}

static int chain_copy(struct pg_chain *ret, const struct pg_chain *chain)
{
	*ret = *chain;
	ret->rule = NULL;
	ret->n_rules = ret->cap = 0;
	if (!chain->n_rules)
		return 0;
	ret->rule = calloc(chain->n_rules, sizeof(*ret->rule));
	if (!ret->rule)
		return -ENOMEM;
	ret->cap = chain->n_rules;
	for (size_t i = 0; i < chain->n_rules; i++) {
		if (pg_rule_copy(&ret->rule[i], &chain->rule[i]) < 0)
			return -ENOMEM;
		ret->n_rules++;
	}
	return 0;
}

struct pg_ruleset *pg_ruleset_new(void)
{
	static const struct {
		enum pg_table_id table;
		const char *name;
	} builtin[PG_CHAINS_BUILTIN] = {
		[PG_CHAIN_INPUT] = { PG_TABLE_FILTER, "INPUT" },
		[PG_CHAIN_FORWARD] = { PG_TABLE_FILTER, "FORWARD" },
		[PG_CHAIN_OUTPUT] = { PG_TABLE_FILTER, "OUTPUT" },
		[PG_CHAIN_RAW_PREROUTING] = { PG_TABLE_RAW, "PREROUTING" },
		[PG_CHAIN_RAW_OUTPUT] = { PG_TABLE_RAW, "OUTPUT" },
	};
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->chain = calloc(PG_CHAINS_BUILTIN, sizeof(*set->chain));
	if (!set->chain)
		return NULL;
	set->n_chains = PG_CHAINS_BUILTIN;
	for (size_t i = 0; i < PG_CHAINS_BUILTIN; i++) {
		struct pg_chain *chain = &set->chain[i];

		chain->table = builtin[i].table;
		snprintf(chain->name, sizeof(chain->name), "%s", builtin[i].name);
		chain->policy = PG_TARGET_ACCEPT;
		chain->slot = PG_NO_SLOT;
	}
	return TAKE_PTR(set);
}

void pg_ruleset_free(struct pg_ruleset *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n_chains; i++)
		chain_clear(&set->chain[i]);
	free(set->chain);
	free(set);
}

struct pg_ruleset *pg_ruleset_dup(const struct pg_ruleset *set)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *dup = calloc(1, sizeof(*dup));

	if (!dup)
		return NULL;
	dup->chain = calloc(set->n_chains, sizeof(*dup->chain));
	if (!dup->chain)
		return NULL;
	for (size_t i = 0; i < set->n_chains; i++) {
		dup->n_chains++;
		if (chain_copy(&dup->chain[i], &set->chain[i]) < 0)
			return NULL;
	}
	return TAKE_PTR(dup);
}

static int compare(const struct pg_chain *chain, enum pg_table_id table, const char *name)
{
	if (chain->table != table)
		return chain->table < table ? -1 : 1;
	return strcmp(chain->name, name);
}

size_t pg_chain_place(const struct pg_ruleset *set, enum pg_table_id table, const char *name)
{
	size_t lo = PG_CHAINS_BUILTIN, hi = set->n_chains;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (compare(&set->chain[middle], table, name) < 0)
			lo = middle + 1;
		else
			hi = middle;
	}
	return lo;
}

struct pg_chain *pg_ruleset_chain(const struct pg_ruleset *set, enum pg_table_id table,
				  const char *name)
{
	size_t at = pg_chain_place(set, table, name);

	for (size_t i = 0; i < PG_CHAINS_BUILTIN; i++)
		if (!compare(&set->chain[i], table, name))
			return &set->chain[i];
	return at < set->n_chains && !compare(&set->chain[at], table, name) ? &set->chain[at] : NULL;
}

size_t pg_chain_references(const struct pg_ruleset *set, const struct pg_chain *chain)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			const struct pg_rule *rule = &set->chain[i].rule[k];

			n += set->chain[i].table == chain->table &&
			     rule->target == PG_TARGET_CHAIN && !strcmp(rule->chain, chain->name);
		}
	return n;
}

void pg_rule_clear(struct pg_rule *rule)
{
	for (size_t i = 0; i < rule->n_match; i++)
		if (pg_match_rows[rule->match[i].kind].clear)
			pg_match_rows[rule->match[i].kind].clear(&rule->match[i]);
	free(rule->match);
	pg_target_clear(rule);
	*rule = (struct pg_rule){ .narrowed = PG_V46, .slot = PG_NO_SLOT,
				  .state = PG_NO_SLOT };
}

int pg_rule_copy(struct pg_rule *ret, const struct pg_rule *rule)
{
	struct pg_rule copy = *rule;

	copy.match = NULL;
	copy.n_match = 0;
	if (pg_target_copy(&copy, rule) < 0)
		return -ENOMEM;
	if (rule->n_match) {
		copy.match = calloc(rule->n_match, sizeof(*copy.match));
		if (!copy.match) {
			pg_target_clear(&copy);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[rule->match[i].kind];

		/* Not by assignment, which may leave the padding out: see pg_match_equal(). */
		memcpy(&copy.match[i], &rule->match[i], sizeof(*copy.match));
		if (row->copy && row->copy(&copy.match[i], &rule->match[i]) < 0) {
			pg_rule_clear(&copy);
			return -ENOMEM;
		}
		copy.n_match++;
	}
	*ret = copy;
	return 0;
}

bool pg_rule_equal(const struct pg_rule *a, const struct pg_rule *b)
{
	if (a->narrowed != b->narrowed || a->proto != b->proto ||
	    a->proto_invert != b->proto_invert || a->fragment_set != b->fragment_set ||
	    a->n_match != b->n_match || !pg_target_equal(a, b))
		return false;
	if (a->fragment_set && a->fragment_invert != b->fragment_invert)
		return false;
	if (!addr_equal(&a->src, &b->src) || !addr_equal(&a->dst, &b->dst) ||
	    !ifname_equal(&a->in, &b->in) || !ifname_equal(&a->out, &b->out))
		return false;
	for (size_t i = 0; i < a->n_match; i++)
		if (!pg_match_equal(&a->match[i], &b->match[i]))
			return false;
	return true;
}

static void mix(uint64_t *hash, const void *bytes, size_t n)
{
	const char *at = bytes;
	uint64_t word;

	for (; n; n -= word, at += word) {
		uint64_t value = 0;

		word = n < sizeof(value) ? n : sizeof(value);
		memcpy(&value, at, word);
		*hash = (*hash ^ value) * 0x9e3779b97f4a7c15;
		*hash ^= *hash >> 32;
	}
}

static void mix_addr(uint64_t *hash, const struct pg_addr *addr)
{
	size_t n = addr->family == PG_V4 ? 4 : 16;

	mix(hash, &addr->set, sizeof(addr->set));
	if (!addr->set)
		return;
	mix(hash, addr->addr, n);
	mix(hash, addr->mask, n);
}

static void mix_ifname(uint64_t *hash, const struct pg_ifname *ifname)
{
	mix(hash, ifname->name, ifname->set ? strlen(ifname->name) : 0);
}

/* By its bytes where these are compared, otherwise by its text: matches that are equal print so. */
static void mix_match(uint64_t *hash, const struct pg_match *m, struct pg_text *scratch)
{
	const size_t start = offsetof(struct pg_match, ports);

	mix(hash, &m->kind, sizeof(m->kind));
	if (!pg_match_rows[m->kind].equal) {
		mix(hash, (const char *)m + start, sizeof(*m) - start);
		return;
	}
	scratch->len = 0;
	pg_match_rows[m->kind].print(scratch, m);
	mix(hash, scratch->buf, scratch->len);
}

uint64_t pg_rule_hash(const struct pg_rule *rule, struct pg_text *scratch)
{
	uint64_t hash = 0;

	mix(&hash, &rule->proto, sizeof(rule->proto));
	mix(&hash, &rule->target, sizeof(rule->target));
	mix_addr(&hash, &rule->src);
	mix_addr(&hash, &rule->dst);
	mix_ifname(&hash, &rule->in);
	mix_ifname(&hash, &rule->out);
	if (rule->target == PG_TARGET_CHAIN)
		mix(&hash, rule->chain, strlen(rule->chain));
	for (size_t i = 0; i < rule->n_match; i++)
		mix_match(&hash, &rule->match[i], scratch);
	return hash;
}

unsigned pg_rule_families(const struct pg_rule *rule)
{
	unsigned families = rule->narrowed;

	if (rule->src.set)
		families &= rule->src.family;
	if (rule->dst.set)
		families &= rule->dst.family;
	if (rule->fragment_set)
		families &= PG_V4;
	families &= pg_target_families(rule);
	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[rule->match[i].kind];

		families &= row->families;
		if (row->holds)
			families &= row->holds(&rule->match[i]);
	}
	return families;
}

int pg_chain_take(struct pg_chain *chain, size_t at, struct pg_rule *rule)
{
	if (chain->n_rules == chain->cap) {
		size_t cap = chain->cap ? 2 * chain->cap : 16;
		struct pg_rule *more = reallocarray(chain->rule, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		chain->rule = more;
		chain->cap = cap;
	}
	memmove(&chain->rule[at + 1], &chain->rule[at],
		(chain->n_rules - at) * sizeof(*chain->rule));
	chain->rule[at] = *rule;
	chain->n_rules++;
	rule->match = NULL;
	rule->n_match = 0;
	memset(&rule->args, 0, sizeof(rule->args));
	return 0;
}

int pg_chain_insert(struct pg_chain *chain, size_t at, const struct pg_rule *rule)
{
	struct pg_rule copy;

	if (pg_rule_copy(&copy, rule) < 0)
		return -ENOMEM;
	if (pg_chain_take(chain, at, &copy) < 0) {
		pg_rule_clear(&copy);
		return -ENOMEM;
	}
	return 0;
}

void pg_chain_remove(struct pg_chain *chain, size_t at)
{
	pg_rule_clear(&chain->rule[at]);
	chain->n_rules--;
	memmove(&chain->rule[at], &chain->rule[at + 1],
		(chain->n_rules - at) * sizeof(*chain->rule));
}
