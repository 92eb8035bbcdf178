/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "shadow.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "policy.h"

static int begin(struct pg_dp *dp, struct pg_dp *shadow, struct pg_ruleset *set,
		 const struct pg_ruleset *live, struct pg_err *err)
{
	int r;

	pg_policy_inherit(set, live);
	r = pg_policy_commit_copy(shadow, set, dp, false, err);
	return r ? r : pg_dp_shadow_start(dp, shadow, err);
}

int pg_shadow_begin(struct pg_dp *dp, struct pg_ruleset *set, const struct pg_ruleset *live,
		    struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = NULL;
	int r = pg_dp_shadow_create(dp, &shadow, err);

	if (!r)
		r = begin(dp, shadow, set, live, err);
	if (r < 0)
		pg_dp_shadow_stop(dp, NULL);
	return r;
}

/* Reading --------------------------------------------------------------------------------------- */

struct reading {
	struct pg_place *was, *now; /* by slot */
	const struct pg_dp_iface *iface;
	struct pg_diff *diff;
};

/* Who has counted in each slot. NULL: no memory. */
static struct pg_place *places_of(const struct pg_ruleset *set)
{
	struct pg_place *place = calloc(PG_COUNTER_SLOTS, sizeof(*place));

	for (size_t c = 0; place && c < set->n_chains; c++) {
		const struct pg_chain *chain = &set->chain[c];

		if (chain->slot < PG_COUNTER_SLOTS)
			place[chain->slot] = (struct pg_place){ .chain = chain };
		for (size_t i = 0; i < chain->n_rules; i++)
			if (chain->rule[i].slot < PG_COUNTER_SLOTS)
				place[chain->rule[i].slot] =
					(struct pg_place){ chain, (uint32_t)i + 1, &chain->rule[i] };
	}
	return place;
}

static struct pg_diff_side side_of(const struct pg_place *place, __u32 slot, __u8 verdict, __u8 reason)
{
	struct pg_diff_side side = { .verdict = verdict, .reason = reason };

	if ((reason == PG_REASON_RULE || reason == PG_REASON_POLICY) && slot < PG_COUNTER_SLOTS)
		side.place = place[slot];
	return side;
}

static int take(void *arg, const struct pg_difference *d, const struct pg_count *count)
{
	const struct reading *r = arg;
	struct pg_diff_row row = {
		.dir = d->dir ? PG_DIR_OUT : PG_DIR_IN,
		.has_proto = d->has_proto,
		.has_port = d->has_port,
		.has_source = true,
		.v6 = d->v6,
		.proto = d->proto,
		.port = d->port,
		.was = side_of(r->was, d->was_slot, d->was_verdict, d->was_reason),
		.now = side_of(r->now, d->now_slot, d->now_verdict, d->now_reason),
		.count = *count,
	};

	memcpy(row.source, d->source, sizeof(row.source));
	snprintf(row.iface, sizeof(row.iface), "%s", r->iface[d->iface % PG_MAX_IFACES].abi.name);
	return pg_diff_add(r->diff, &row);
}

static void note_left_out(const struct pg_dp *tried, const struct pg_dp_iface *iface,
			  struct pg_shadow *ret)
{
	for (__u32 slot = 0; slot < PG_MAX_IFACES; slot++)
		if (iface[slot].abi.netns && !pg_dp_shadow_watches(tried, slot))
			snprintf(ret->left_out[ret->n_left_out++], IFNAMSIZ, "%s", iface[slot].abi.name);
}

static int read_rows(struct pg_dp *dp, struct pg_dp *tried, struct pg_shadow *ret,
		     struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	_free_ struct pg_place *was = places_of(ret->was), *now = places_of(ret->now);
	struct reading reading = { was, now, iface, &ret->diff };
	int r;

	if (!iface || !was || !now)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_ifaces(dp, iface, err);
	if (!r)
		note_left_out(tried, iface, ret);
	if (!r)
		r = pg_dp_shadow_read(tried, &ret->sums, take, &reading, err);
	pg_diff_sort(&ret->diff);
	return r == -ENOMEM ? pg_fail(err, r, "out of memory") : r;
}

int pg_shadow_read(struct pg_dp *dp, struct pg_shadow *ret, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *tried = NULL;
	int r = dp ? pg_dp_shadow_open(dp, &tried, err) : -ENOENT;
	__u32 numbers[2];

	*ret = (struct pg_shadow){ 0 };
	if (r == -ENOENT)
		return pg_fail(err, r, "no policy is being tried: 'portguard apply FILE --shadow' begins");
	if (!r)
		r = pg_policy_read_beside(dp, tried, &ret->was, err);
	if (!r)
		r = pg_policy_read(tried, &ret->now, err);
	if (r)
		return r;
	pg_dp_policy_numbers(dp, numbers);
	ret->generation = pg_dp_shadow_generation(dp);
	ret->in_force = numbers[0];
	return read_rows(dp, tried, ret, err);
}

void pg_shadow_clear(struct pg_shadow *shadow)
{
	pg_diff_clear(&shadow->diff);
	pg_ruleset_free(shadow->was);
	pg_ruleset_free(shadow->now);
	*shadow = (struct pg_shadow){ 0 };
}

static void add_left_out(struct pg_text *t, const struct pg_shadow *shadow)
{
	char name[4 * IFNAMSIZ + 1];

	for (size_t i = 0; i < shadow->n_left_out; i++)
		pg_text_add(t, "%s%s", i ? ", " : "Left out     ",
			    pg_printable(shadow->left_out[i], name, sizeof(name)));
	if (shadow->n_left_out)
		pg_text_add(t, ": in another network namespace, or gone, when it began\n");
}

void pg_view_shadow(struct pg_text *t, const struct pg_shadow *shadow, size_t limit)
{
	pg_text_add(t, "Compared     %llu packets\nDifferences  %llu\n",
		    shadow->sums.compared.packets, shadow->sums.differ.packets);
	if (shadow->sums.lost.packets)
		pg_text_add(t, "Not listed   %llu of them: the table is full\n",
			    shadow->sums.lost.packets);
	if (pg_shadow_stopped(shadow))
		pg_text_add(t, "Stopped      the policy in force was changed since it began (generation %u, now %u): "
			       "nothing more is compared\n",
			    shadow->generation, shadow->in_force);
	add_left_out(t, shadow);
	if (shadow->diff.n)
		pg_text_addn(t, "\n", 1);
	pg_view_diff(t, &shadow->diff, limit);
}
