/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "learn_show.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "json_put.h"
#include "policy.h"

#define RANGES 20 /* of ports, that are listed */

void pg_proposal_clear(struct pg_proposal *p)
{
	pg_services_free(p->services);
	pg_text_free(&p->text);
	pg_ruleset_free(p->set);
	pg_learn_clear(&p->dropped);
	pg_snapshot_free(p->ports);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* "#   21/tcp ftp: 2 connections, 1 address" */
static void add_list(struct pg_text *t, const char *begin, const struct pg_learn *list,
		     const struct pg_services *services)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct pg_learnt *l = &list->one[i];

		pg_text_add(t, "%s%-8s", begin, pg_way_name(l->offer.way));
		pg_offer_print(t, &l->offer, services);
		pg_text_add(t, ": %" PRIu64 " connection%s, %zu address%s\n", l->flows, plural(l->flows),
			    l->n_peers, l->n_peers == 1 ? "" : "es");
	}
}

/* Ports ---------------------------------------------------------------------------------------------------- */

/* Neighbouring ports, and all packets to them. */
struct range {
	enum pg_port_proto proto;
	uint16_t lo, hi;
	uint64_t packets;
};

/* A scan counts in thousands of them. */
struct ranges {
	struct range *one;
	size_t n;
};

static void ranges_clear(struct ranges *ranges)
{
	free(ranges->one);
}

/* Rows come sorted. */
static void add_port(struct ranges *ranges, const struct pg_port_row *row, uint64_t packets, bool *oom)
{
	struct range *last = ranges->n ? &ranges->one[ranges->n - 1] : NULL, *all;

	if (last && last->proto == row->proto && last->hi + 1 == row->port) {
		last->hi = row->port;
		last->packets += packets;
		return;
	}
	if (!(ranges->n & (ranges->n - 1))) { /* room for the next power of two was made before */
		all = reallocarray(ranges->one, ranges->n ? 2 * ranges->n : 1, sizeof(*all));
		*oom |= !all;
		if (!all)
			return;
		ranges->one = all;
	}
	ranges->one[ranges->n++] = (struct range){ row->proto, row->port, row->port, packets };
}

static int compare_packets(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->packets != y->packets)
		return x->packets > y->packets ? -1 : 1;
	return x->proto != y->proto ? (int)x->proto - (int)y->proto : (int)x->lo - (int)y->lo;
}

static void add_ranges(struct pg_text *t, struct ranges *ranges)
{
	uint64_t ports = 0, packets = 0;

	if (ranges->n > RANGES)
		qsort(ranges->one, ranges->n, sizeof(*ranges->one), compare_packets);
	for (size_t i = 0; i < ranges->n; i++) {
		const struct range *r = &ranges->one[i];
		char range[16];

		if (i >= RANGES) {
			ports += (uint64_t)r->hi - r->lo + 1;
			packets += r->packets;
			continue;
		}
		snprintf(range, sizeof(range), r->lo == r->hi ? "%u" : "%u-%u", r->lo, r->hi);
		pg_text_add(t, "#   in      %s/%s: %" PRIu64 "\n", range, pg_port_proto_name(r->proto),
			    r->packets);
	}
	if (ports)
		pg_text_add(t, "#   in      %" PRIu64 " more port%s: %" PRIu64 "\n", ports, plural(ports),
			    packets);
}

/* Frames of captures that the proposal drops. */
static void add_frames(struct pg_text *t, const struct pg_snapshot *snap)
{
	_cleanup_(ranges_clear) struct ranges ranges = { 0 };
	uint64_t n = 0, dropped = 0;

	for (int d = 0; d < _PG_DIR_MAX; d++)
		for (int v = 0; v < _PG_VERDICT_MAX; v++)
			n += snap->verdict[d][v].packets;
	for (int d = 0; d < _PG_DIR_MAX; d++)
		dropped += snap->verdict[d][PG_VERDICT_DROP].packets;
	pg_text_add(t, "# Of %" PRIu64 " frames: %" PRIu64 "\n", n, dropped);
	for (size_t i = 0; i < snap->n_port; i++)
		if (snap->port[i].in_dropped)
			add_port(&ranges, &snap->port[i], snap->port[i].in_dropped, &t->oom);
	add_ranges(t, &ranges);
}

static bool is_offered(const struct pg_study *study, const struct pg_port_row *row)
{
	uint8_t proto = row->proto == PG_PORT_TCP ? IPPROTO_TCP : IPPROTO_UDP;

	for (size_t i = 0; i < study->learn.n; i++) {
		const struct pg_learnt *l = &study->learn.one[i];

		if (l->offer.way == PG_WAY_IN && l->offer.proto == proto && l->offer.port == row->port &&
		    l->proof == PG_PROOF_TALK)
			return true;
	}
	return false;
}

/*
 * A connection that is refused is forgotten at once: of these only the ports' counters tell. Ports
 * where this host's own connections begin are left out.
 */
static void add_unopened(struct pg_text *t, const struct pg_study *study, const struct pg_snapshot *snap)
{
	_cleanup_(ranges_clear) struct ranges ranges = { 0 };

	for (size_t i = 0; i < snap->n_port; i++) {
		const struct pg_port_row *row = &snap->port[i];

		if (row->in.packets && row->port < PG_OWN_PORTS && !is_offered(study, row))
			add_port(&ranges, row, row->in.packets, &t->oom);
	}
	if (ranges.n)
		pg_text_add(t, "# Packets that came to ports which it does not open, since portguard was "
			       "attached:\n");
	add_ranges(t, &ranges);
}

void pg_view_dropped(struct pg_text *t, const struct pg_study *study, const struct pg_proposal *p,
		     bool captures)
{
	pg_text_add(t, "# Would have been dropped, of %" PRIu64 " connection%s: %" PRIu64 "%s\n",
		    study->learn.flows, plural(study->learn.flows), p->dropped.flows,
		    study->cut ? " (only the first 200000 were tried)" : "");
	add_list(t, "#   ", &p->dropped, p->services);
	if (p->ports && captures)
		add_frames(t, p->ports);
	else if (p->ports)
		add_unopened(t, study, p->ports);
}

/* Differences ------------------------------------------------------------------------------------------------ */

int pg_learn_diff_read(struct pg_learn_diff *ret, struct pg_dp *dp, const char *iface,
		       const struct pg_study *study, struct pg_err *err)
{
	uint64_t proven;
	int r = pg_policy_read(dp, &ret->now, err);

	return r ? r : pg_study_dropped(study, dp, ret->now, iface, &ret->dropped, &proven, err);
}

void pg_learn_diff_clear(struct pg_learn_diff *diff)
{
	pg_ruleset_free(diff->now);
	pg_learn_clear(&diff->dropped);
}

static bool has_rule(const struct pg_ruleset *set, const struct pg_chain *chain,
		     const struct pg_rule *rule)
{
	const struct pg_chain *other = pg_ruleset_chain(set, chain->table, chain->name);

	for (size_t i = 0; other && i < other->n_rules; i++)
		if (pg_rule_equal(&other->rule[i], rule))
			return true;
	return false;
}

/* Policies and rules of `set` that `other` has not, one a line. */
static void add_rules_of_one(struct pg_text *t, const char *sign, const struct pg_ruleset *set,
			     const struct pg_ruleset *other)
{
	for (size_t i = 0; i < set->n_chains; i++) {
		const struct pg_chain *c = &set->chain[i];
		const struct pg_chain *o = pg_ruleset_chain(other, c->table, c->name);

		if (c->policy != PG_TARGET_NONE && (!o || o->policy != c->policy))
			pg_text_add(t, "%s-P %s %s\n", sign, c->name, pg_target_name(c->policy));
		for (size_t k = 0; k < c->n_rules; k++) {
			if (has_rule(other, c, &c->rule[k]))
				continue;
			pg_text_add(t, "%s-A %s ", sign, c->name);
			pg_rule_print(t, &c->rule[k], 0);
			pg_text_add(t, "\n");
		}
	}
}

static size_t count_unproven(const struct pg_learn *learn)
{
	size_t n = 0;

	for (size_t i = 0; i < learn->n; i++)
		n += learn->one[i].proof == PG_PROOF_EMPTY && learn->one[i].offer.way == PG_WAY_IN;
	return n;
}

void pg_view_learn_diff(struct pg_text *t, const struct pg_study *study, const struct pg_proposal *p,
			const struct pg_learn_diff *diff)
{
	size_t unproven = count_unproven(&study->learn);

	pg_text_add(t, "--- in force\n+++ learnt\n");
	add_rules_of_one(t, "-", diff->now, p->set);
	add_rules_of_one(t, "+", p->set, diff->now);
	if (unproven)
		pg_text_add(t, "Not proven, and closed by the proposal: %zu service%s; `learn' names %s as "
			       "comments\n",
			    unproven, plural(unproven), unproven == 1 ? "it" : "them");
	if (!study->learn.flows) {
		pg_text_add(t, "No connection was seen: what either of them would drop cannot be said\n");
		return;
	}
	pg_text_add(t, "Of what was seen, the policy in force would drop: %" PRIu64 " of %" PRIu64 "\n",
		    diff->dropped.flows, study->learn.flows);
	add_list(t, "  ", &diff->dropped, p->services);
	pg_text_add(t, "the proposal: %" PRIu64 "\n", p->dropped.flows);
	add_list(t, "  ", &p->dropped, p->services);
}

/* JSON ------------------------------------------------------------------------------------------------------- */

static const char *proof_name(const struct pg_learnt *l)
{
	static const char *const names[] = { "none", "connected", "talk" };

	return l->proof == PG_PROOF_EMPTY && l->offer.proto != IPPROTO_TCP ? "unanswered" : names[l->proof];
}

static struct json_object *offers(const struct pg_learn *list, const struct pg_services *services,
				  bool *oom)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->n && !*oom; i++) {
		const struct pg_learnt *l = &list->one[i];
		_cleanup_(pg_text_free) struct pg_text what = { 0 };
		struct json_object *o = json_object_new_object();

		pg_offer_print(&what, &l->offer, services);
		pg_json_text(o, "way", pg_way_name(l->offer.way), oom);
		pg_json_text(o, "offer", what.buf ? what.buf : "", oom);
		pg_json_number(o, "proto", l->offer.proto, oom);
		pg_json_number(o, "port", l->offer.port, oom);
		pg_json_text(o, "proof", l->any_peer ? "counted" : proof_name(l), oom);
		pg_json_number(o, "connections", l->flows, oom);
		pg_json_number(o, "addresses", l->n_peers, oom);
		json_object_array_add(array, o);
	}
	return array;
}

/* Takes the text to pieces. */
static struct json_object *lines_of(struct pg_text *t)
{
	struct json_object *lines = json_object_new_array();
	char *rest = t->buf, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			json_object_array_add(lines, json_object_new_string(line));
	return lines;
}

static struct json_object *rules_of_one(const struct pg_ruleset *set, const struct pg_ruleset *other,
					bool *oom)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };

	add_rules_of_one(&t, "", set, other);
	*oom |= t.oom;
	return lines_of(&t);
}

static struct json_object *difference(const struct pg_proposal *p, const struct pg_learn_diff *diff,
				      bool *oom)
{
	struct json_object *o = json_object_new_object();

	pg_json_put(o, "in_force_only", rules_of_one(diff->now, p->set, oom), oom);
	pg_json_put(o, "learnt_only", rules_of_one(p->set, diff->now, oom), oom);
	pg_json_put(o, "in_force_would_drop", offers(&diff->dropped, p->services, oom), oom);
	return o;
}

int pg_json_learn(FILE *f, const struct pg_study *study, struct pg_proposal *p,
		  const struct pg_learn_diff *diff, struct pg_err *err)
{
	struct json_object *doc = json_object_new_object();
	bool oom = p->text.oom;

	pg_json_number(doc, "connections", study->learn.flows, &oom);
	pg_json_number(doc, "watched_s", study->watched_s, &oom);
	pg_json_put(doc, "seen", offers(&study->learn, p->services, &oom), &oom);
	pg_json_put(doc, "would_drop", offers(&p->dropped, p->services, &oom), &oom);
	if (diff)
		pg_json_put(doc, "diff", difference(p, diff, &oom), &oom);
	pg_json_put(doc, "policy", lines_of(&p->text), &oom);
	return pg_json_end(f, doc, oom, err);
}
