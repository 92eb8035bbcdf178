// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "drops.h"

#include <errno.h>
#include <string.h>

#include "chains.h"
#include "policy.h"
#include "print.h"

/* A policy and where its counters' slots are in it. */
struct known {
	struct pg_ruleset *rules; /* NULL: not read yet, or it can't be */
	uint32_t number;
	bool tried;
	uint64_t *place; /* by slot: chain << 32 | rule, and PLACE */
};
#define PLACE (1ULL << 63)

struct pg_fates {
	struct pg_dp *dp;
	struct known known[2]; /* in force, and the other one */
	struct known past;     /* one that is gone, the last that was asked for */
	bool has_names;
	struct pg_dp_iface iface[PG_MAX_IFACES];
};

static void forget(struct known *k)
{
	pg_ruleset_free(k->rules);
	free(k->place);
	*k = (struct known){ 0 };
}

/* Slots that aren't found in it belong to nobody. */
static void index_slots(struct known *k)
{
	k->place = calloc(PG_COUNTER_SLOTS, sizeof(*k->place));
	for (size_t i = 0; k->place && i < k->rules->n_chains; i++) {
		const struct pg_chain *chain = &k->rules->chain[i];

		if (chain->slot < PG_COUNTER_SLOTS)
			k->place[chain->slot] = PLACE | (uint64_t)i << 32;
		for (size_t r = 0; r < chain->n_rules; r++)
			if (chain->rule[r].slot < PG_COUNTER_SLOTS)
				k->place[chain->rule[r].slot] = PLACE | (uint64_t)i << 32 | (r + 1);
	}
}

static void know(struct pg_fates *fates, struct known *k, uint32_t number, bool is_there)
{
	struct pg_err ignored;

	if (k->tried && k->number == number)
		return;
	forget(k);
	k->number = number;
	k->tried = true;
	if (is_there && !pg_policy_read_number(fates->dp, number, &k->rules, &ignored))
		index_slots(k);
}

/* The policies may change while we look. */
static void refresh(struct pg_fates *fates)
{
	uint32_t number[2];

	pg_dp_policy_numbers(fates->dp, number);
	know(fates, &fates->known[0], number[0], true);
	know(fates, &fates->known[1], number[1], number[1]); /* 0: there was none before */
}

/* The last "-j X" or "-g X" of a rule's text; "" where that is too long to be kept. */
static const char *target_of(const char *spec, size_t most)
{
	const char *at = spec, *next, *end = spec + strlen(spec);

	while ((next = strstr(at + 1, " -j ") ?: strstr(at + 1, " -g ")))
		at = next;
	return at != spec && (size_t)(end - at) <= most ? at : end;
}

void pg_fate_spec(const char *text, struct pg_fate *ret)
{
	const size_t size = sizeof(ret->spec), dots = strlen("…");
	_free_ char *shown = malloc(strlen(text) + 1);
	const char *target;
	size_t n;

	if (!shown)
		return;
	pg_printable(text, shown, strlen(text) + 1);
	if (strlen(shown) < size) {
		memcpy(ret->spec, shown, strlen(shown) + 1);
		return;
	}
	target = target_of(shown, size / 2);
	n = size - 1 - dots - strlen(target);
	while (n && (shown[n] & 0xc0) == 0x80)
		n--; /* not within a character */
	snprintf(ret->spec, size, "%.*s…%s", (int)n, shown, target);
}

static bool find_in(const struct known *k, uint32_t slot, struct pg_fate *ret)
{
	uint64_t place = k->place ? k->place[slot] : 0;
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	size_t rule = place & 0xffffffff;
	const struct pg_chain *chain;

	if (!place)
		return false;
	chain = &k->rules->chain[place >> 32 & 0x7fffffff];
	ret->table = pg_table_name(chain->table);
	snprintf(ret->chain, sizeof(ret->chain), "%s", chain->name);
	ret->rule = (int64_t)rule;
	if (!rule)
		return true;
	pg_rule_print(&text, &chain->rule[rule - 1], 0);
	if (text.buf && !text.oom)
		pg_fate_spec(text.buf, ret);
	return true;
}

/*
 * A slot is the same rule's since it was born; in the other policy, up to its number. Of one that is
 * gone the text may have been kept.
 */
static bool find_place(struct pg_fates *fates, uint32_t slot, uint32_t number, struct pg_fate *ret)
{
	if (slot >= PG_COUNTER_SLOTS)
		return false;
	if (number >= pg_dp_slot_born(fates->dp, slot)) {
		if (find_in(&fates->known[0], slot, ret))
			return true;
		ret->past = find_in(&fates->known[1], slot, ret);
	}
	if (!ret->past && number && number != fates->known[0].number) {
		know(fates, &fates->past, number, true);
		ret->past = find_in(&fates->past, slot, ret);
	}
	return ret->past;
}

static void find_iface(struct pg_fates *fates, uint32_t slot, uint32_t ifindex, struct pg_fate *ret)
{
	const struct pg_iface *f = &fates->iface[slot % PG_MAX_IFACES].abi;
	struct pg_err ignored;

	if (!fates->has_names || f->ifindex != ifindex)
		fates->has_names = !pg_dp_ifaces(fates->dp, fates->iface, &ignored);
	if (f->ifindex == ifindex && f->name[0])
		snprintf(ret->iface, sizeof(ret->iface), "%.*s", IFNAMSIZ - 1, f->name);
	else
		snprintf(ret->iface, sizeof(ret->iface), "if%u", ifindex);
}

struct pg_fates *pg_fates_open(struct pg_dp *dp)
{
	struct pg_fates *fates = calloc(1, sizeof(*fates));

	if (fates)
		fates->dp = dp;
	return fates;
}

void pg_fates_find(struct pg_fates *fates, uint32_t slot, uint32_t number, uint16_t fate,
		   uint32_t iface, uint32_t ifindex, struct pg_fate *ret)
{
	enum pg_stage stage = fate >> PG_FATE_STAGE & (PG_STAGES - 1);
	uint32_t chain;

	*ret = (struct pg_fate){
		.verdict = fate >> PG_FATE_VERDICT & 3,
		.reason = fate & 0xff,
		.out = fate >> PG_FATE_OUT & 1,
		.rule = -1,
	};
	find_iface(fates, iface, ifindex, ret);
	refresh(fates);
	/* A departure is accepted by OUTPUT's policy without being asked about. */
	if ((ret->reason == PG_REASON_RULE || ret->reason == PG_REASON_POLICY) &&
	    find_place(fates, slot, number, ret))
		return;
	if (!(fate >> PG_FATE_ASKED & 1))
		return;
	/* At least where it was. Built-in chains are in every policy. */
	chain = pg_stage_chain(stage);
	if (fates->known[0].rules && chain < fates->known[0].rules->n_chains) {
		ret->table = pg_table_name(fates->known[0].rules->chain[chain].table);
		snprintf(ret->chain, sizeof(ret->chain), "%s",
			 fates->known[0].rules->chain[chain].name);
	}
}

void pg_fates_close(struct pg_fates *fates)
{
	if (!fates)
		return;
	forget(&fates->known[0]);
	forget(&fates->known[1]);
	forget(&fates->past);
	free(fates);
}

/* Reading -------------------------------------------------------------------------------------- */

struct pg_drops {
	struct pg_dp_drops *box;
	struct pg_fates *fates;
};

void pg_drop_list_clear(struct pg_drop_list *list)
{
	free(list->row);
	*list = (struct pg_drop_list){ 0 };
}

int pg_drops_open(struct pg_dp *dp, bool from_now, struct pg_drops **ret_drops, struct pg_err *err)
{
	_cleanup_(pg_drops_closep) struct pg_drops *drops = calloc(1, sizeof(*drops));
	int r;

	if (drops)
		drops->fates = pg_fates_open(dp);
	if (!drops || !drops->fates)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_drops_open(dp, from_now, &drops->box, err);
	if (r)
		return r;
	*ret_drops = TAKE_PTR(drops);
	return 0;
}

static void fill_row(struct pg_fates *fates, const struct pg_drop *drop, struct pg_drop_row *row)
{
	row->when = pg_wall_time(drop->time_ns);
	row->drop = *drop;
	pg_fates_find(fates, drop->slot, drop->number, drop->fate, drop->iface, drop->ifindex,
		      &row->fate);
}

int pg_drops_take(struct pg_drops *drops, size_t most, bool settle, struct pg_drop_list *ret,
		  struct pg_err *err)
{
	_free_ struct pg_drop *drop = NULL;
	struct pg_drop_list list = { 0 };
	__u64 missed;
	size_t n, skip;
	int r = pg_dp_drops_take(drops->box, settle, &drop, &n, &missed, err);

	if (r)
		return r;
	skip = most && n > most ? n - most : 0;
	list.row = calloc(n - skip + 1, sizeof(*list.row));
	if (!list.row)
		return pg_fail(err, -ENOMEM, "out of memory");
	list.missed = missed;
	for (; list.n < n - skip; list.n++)
		fill_row(drops->fates, &drop[skip + list.n], &list.row[list.n]);
	*ret = list;
	return 0;
}

void pg_drops_close(struct pg_drops *drops)
{
	if (!drops)
		return;
	pg_dp_drops_close(drops->box);
	pg_fates_close(drops->fates);
	free(drops);
}

int pg_drops_last(struct pg_dp *dp, size_t most, struct pg_drop_list *ret, struct pg_err *err)
{
	_cleanup_(pg_drops_closep) struct pg_drops *drops = NULL;
	int r = pg_drops_open(dp, false, &drops, err);

	return r ? r : pg_drops_take(drops, most, false, ret, err);
}
