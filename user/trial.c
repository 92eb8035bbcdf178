/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "trial.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "answer.h"
#include "checks.h"
#include "packet.h"
#include "policy.h"

/* Flows after which the private instance's table is emptied: it is not to get full. */
#define FORGET_EVERY 16384

struct pg_trial_state {
	uint32_t at;
	struct pg_state start;
};

static int no_memory(struct pg_err *err)
{
	return pg_fail(err, -ENOMEM, "out of memory");
}

/* What rules remember ---------------------------------------------------------------------------- */

/*
 * A limit that a thousand described packets have used up would condemn the rest: each flow is judged
 * by limits, quotas, lists and buckets that have seen nothing.
 */
static int note_states(struct pg_trial *trial, struct pg_err *err)
{
	size_t n = 0;

	trial->state = calloc(PG_STATES, sizeof(*trial->state));
	if (!trial->state)
		return no_memory(err);
	for (size_t i = 0; i < trial->set->n_chains; i++) {
		for (size_t k = 0; k < trial->set->chain[i].n_rules; k++) {
			const struct pg_rule *rule = &trial->set->chain[i].rule[k];

			for (size_t m = 0; m < rule->n_match; m++)
				trial->remembers |= pg_match_remembers(&rule->match[m]);
			for (size_t s = 0; s < pg_rule_states(rule) && n < PG_STATES; s++) {
				trial->state[n].at = rule->state + (uint32_t)s;
				pg_rule_state_start(rule, s, &trial->state[n++].start);
			}
		}
	}
	trial->n_states = n;
	return 0;
}

static int begin_anew(struct pg_trial *trial, struct pg_err *err)
{
	int r = 0;

	for (size_t i = 0; i < trial->n_states; i++)
		pg_dp_state_set(trial->dp, trial->state[i].at, &trial->state[i].start);
	/* At first also what the commit has adopted, which would not be new. */
	if (trial->runs++ % FORGET_EVERY == 0)
		r = pg_dp_flow_forget(trial->dp, err);
	if (!r && trial->remembers)
		r = pg_dp_lists_forget(trial->dp, err);
	return r;
}

int pg_trial_open(struct pg_trial *trial, struct pg_dp *live, const struct pg_ruleset *set,
		  const char *iface, struct pg_err *err)
{
	const struct pg_private_opts opts = {
		.iface = iface[0] ? iface : NULL,
		.sets = live,
		.general_only = true,
		.progs = PG_PROG_XDP | PG_PROG_TC_OUT,
	};
	int r;

	*trial = (struct pg_trial){ .set = pg_ruleset_dup(set), .frame = malloc(PG_PACKET_MAX) };
	if (!trial->set || !trial->frame)
		return no_memory(err);
	pg_policy_disown(trial->set);
	if (getifaddrs(&trial->own))
		return pg_fail(err, -errno, "cannot read this host's addresses: %s", strerror(errno));
	r = pg_dp_open_private(&opts, &trial->dp, err);
	if (!r)
		r = pg_policy_commit(trial->dp, trial->set, err);
	if (!r)
		r = pg_policy_compile(trial->dp, trial->set, &trial->tables, err);
	return r ? r : note_states(trial, err);
}

void pg_trial_clear(struct pg_trial *trial)
{
	if (trial->own)
		freeifaddrs(trial->own);
	pg_tables_free(trial->tables);
	pg_ruleset_free(trial->set);
	pg_dp_close(trial->dp);
	free(trial->state);
	free(trial->frame);
	*trial = (struct pg_trial){ 0 };
}

/* The packets ------------------------------------------------------------------------------------ */

bool pg_trial_is_own(const struct pg_trial *trial, enum pg_family family, const void *addr)
{
	bool v4 = family == PG_FAMILY_V4;

	if (trial->locals)
		return pg_locals_has(trial->locals, addr, v4 ? 4 : 16);
	for (const struct ifaddrs *a = trial->own; a; a = a->ifa_next) {
		const struct sockaddr_in *sin = (const void *)a->ifa_addr;
		const struct sockaddr_in6 *sin6 = (const void *)a->ifa_addr;

		if (!a->ifa_addr || a->ifa_addr->sa_family != (v4 ? AF_INET : AF_INET6))
			continue;
		if (!memcmp(v4 ? (const void *)&sin->sin_addr : (const void *)&sin6->sin6_addr, addr,
			    v4 ? 4 : 16))
			return true;
	}
	return false;
}

/* The answer to an ICMP query: the type that asks for this one as its request. */
static uint8_t answer_type(const struct pg_flow_row *row)
{
	for (unsigned type = 0; type < 256; type++)
		if (type != row->port[0] &&
		    pg_icmp_request((enum pg_family)row->family, (uint8_t)type) == row->port[0])
			return (uint8_t)type;
	return (uint8_t)row->port[0];
}

/* The first packet of the end that opened the flow, or of the one that answers. */
static void describe(const struct pg_flow_row *row, int end, struct pg_packet *ret)
{
	*ret = (struct pg_packet){
		.family = (enum pg_family)row->family,
		.proto = row->proto,
		.sport = row->port[end],
		.dport = row->port[!end],
		.flags = 1U << PG_FLAG_SYN | (end ? 1U << PG_FLAG_ACK : 0),
		.type = (uint8_t)row->port[0],
		.code = (uint8_t)row->port[1],
	};
	if (row->proto == IPPROTO_ICMP || row->proto == IPPROTO_ICMPV6) {
		ret->sport = ret->dport = 0;
		if (end)
			ret->type = answer_type(row);
	}
	memcpy(ret->src, row->addr[end], sizeof(ret->src));
	memcpy(ret->dst, row->addr[!end], sizeof(ret->dst));
}

static int run_packet(struct pg_trial *trial, enum pg_dir dir, const struct pg_packet *packet,
		      bool *ret_drops, struct pg_place *ret_place, struct pg_err *err)
{
	const struct pg_term_map map = { .set = trial->set, .tables = trial->tables };
	size_t len = pg_packet_build(packet, trial->frame);
	struct pg_trace trace;
	int r = pg_dp_run(trial->dp, dir, trial->frame, len, len, &trace, err);

	if (r)
		return r;
	*ret_drops = trace.verdict != PG_VERDICT_ACCEPT;
	pg_answer_place(&map, &trace, ret_place);
	return 0;
}

static int run(struct pg_trial *trial, const struct pg_flow_row *row, int end, bool *ret_drops,
	       const struct pg_rule **ret_by, struct pg_err *err)
{
	enum pg_family family = (enum pg_family)row->family;
	enum pg_dir dir = pg_trial_is_own(trial, family, row->addr[end]) ? PG_DIR_OUT : PG_DIR_IN;
	struct pg_packet packet;
	struct pg_place place;
	int r;

	describe(row, end, &packet);
	r = run_packet(trial, dir, &packet, ret_drops, &place, err);
	if (!r && *ret_drops)
		*ret_by = place.rule;
	return r;
}

int pg_trial_packet(struct pg_trial *trial, enum pg_dir dir, const struct pg_packet *packet,
		    bool *ret_drops, struct pg_place *ret_place, struct pg_err *err)
{
	int r = begin_anew(trial, err);

	return r ? r : run_packet(trial, dir, packet, ret_drops, ret_place, err);
}

/* What packet.c does not describe: IPv6 extension headers are no flow's protocol, but may be given. */
static bool can_describe(const struct pg_flow_row *row)
{
	return row->proto != IPPROTO_HOPOPTS && row->proto != IPPROTO_ROUTING &&
	       row->proto != IPPROTO_FRAGMENT && row->proto != IPPROTO_DSTOPTS;
}

int pg_trial_flow(struct pg_trial *trial, const struct pg_flow_row *row, bool *ret_drops,
		  const struct pg_rule **ret_by, struct pg_err *err)
{
	int r = begin_anew(trial, err);

	*ret_drops = false;
	*ret_by = NULL;
	if (r || !can_describe(row))
		return r;
	r = run(trial, row, 0, ret_drops, ret_by, err);
	/* The first was accepted, so that the answer is ESTABLISHED. */
	if (!r && !*ret_drops)
		r = run(trial, row, 1, ret_drops, ret_by, err);
	return r;
}
