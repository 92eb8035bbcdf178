/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "chains.h"
#include "checks.h"
#include "packet.h"
#include "policy.h"

/* The packet's flow -------------------------------------------------------------------------------- */

/* Where the IP packet begins in a frame that the program has read. */
static size_t l3_of(const struct pg_trace *trace)
{
	return ETH_HLEN + 4U * trace->vlans;
}

/* The identifier of an ICMP query without extension headers before it. False: there is none. */
static bool query_id(const struct pg_trace *trace, const uint8_t *frame, size_t len, __u16 *ret)
{
	size_t at = l3_of(trace);

	if (len <= at + 6)
		return false;
	if (trace->l3_type == ETHERTYPE_IP)
		at += (frame[at] & 15U) * 4;
	else if (frame[at + 6] == IPPROTO_ICMPV6)
		at += 40;
	else
		return false;
	if (len < at + 8)
		return false;
	*ret = (__u16)(frame[at + 4] << 8 | frame[at + 5]);
	return true;
}

static bool is_icmp(const struct pg_trace *trace)
{
	return trace->proto == IPPROTO_ICMP || trace->proto == IPPROTO_ICMPV6;
}

/* DCCP's ports are no part of a flow here, nor those of what has none. */
static void take_ports(const struct pg_trace *trace, struct pg_flow_packet *p)
{
	if (!trace->has_ports || trace->proto == IPPROTO_DCCP)
		return;
	p->port[0] = trace->sport;
	p->port[1] = trace->dport;
}

/* The flow that an ICMP error quotes: of the frames that packet.c builds. */
static void quoted_flow(const struct pg_trace *trace, struct pg_flow_packet *ret)
{
	*ret = (struct pg_flow_packet){
		.family = trace->l3_type == ETHERTYPE_IPV6 ? PG_FAMILY_V6 : PG_FAMILY_V4,
		.proto = IPPROTO_TCP,
		.addr = { trace->daddr, trace->saddr },
		.port = { PG_QUOTED_SPORT, PG_QUOTED_DPORT },
	};
}

/* False: a packet that has no flow. */
static bool own_flow(const struct pg_trace *trace, const uint8_t *frame, size_t len,
		     struct pg_flow_packet *ret)
{
	int request;

	*ret = (struct pg_flow_packet){
		.family = trace->l3_type == ETHERTYPE_IPV6 ? PG_FAMILY_V6 : PG_FAMILY_V4,
		.proto = trace->proto,
		.addr = { trace->saddr, trace->daddr },
	};
	if (!trace->has_l3 || !trace->has_proto)
		return false;
	if (!is_icmp(trace)) {
		take_ports(trace, ret);
		return true;
	}
	request = pg_icmp_request(ret->family, (uint8_t)trace->sport);
	if (!trace->has_ports || request < 0 || !query_id(trace, frame, len, &ret->port[0]))
		return false;
	ret->port[1] = (__u16)(request << 8 | trace->dport);
	ret->query = true;
	ret->answer = trace->sport != request;
	return true;
}

/*
 * A flow in which a packet with these flags is the next: who answers a SYN has not opened it. State
 * NONE is one in which no segment can be, so that each is INVALID.
 */
static struct pg_dp_flow flow_for(const struct pg_trace *trace, const struct pg_flow_packet *p,
				  const struct pg_flow_key *key, __u8 from, unsigned ct_state)
{
	const __u8 syn_ack = 1 << PG_FLAG_SYN | 1 << PG_FLAG_ACK;
	bool answers = p->query ? p->answer :
				  trace->has_flags && (trace->tcp_flags & syn_ack) == syn_ack;
	struct pg_dp_flow flow;

	if (p->proto == IPPROTO_SCTP && ct_state == PG_CT_INVALID)
		answers = true; /* an INIT is none to a HEARTBEAT */
	pg_dp_flow_new(key, answers ? !from : from, &flow);
	if (p->proto == IPPROTO_SCTP)
		flow.sctp_state = ct_state == PG_CT_INVALID ? PG_SCTP_HEARTBEAT_SENT :
							      PG_SCTP_ESTABLISHED;
	if (ct_state != PG_CT_INVALID) {
		flow.seen_reply = flow.assured = true;
		if (p->proto == IPPROTO_TCP)
			flow.tcp_state = PG_TCP_ESTABLISHED;
	}
	return flow;
}

static int put(struct pg_dp *dp, const struct pg_dp_flow *flow, struct pg_err *err)
{
	int r = pg_dp_flow_put(dp, flow);

	return r ? pg_fail(err, r, "cannot make the packet's flow: %s", strerror(-r)) : 0;
}

/* As the live instance has it, if it has. */
static int take_over(struct pg_probe *probe, const struct pg_flow_packet *packet, struct pg_err *err)
{
	struct pg_flow_key key;
	struct pg_dp_flow flow;

	if (!probe->opts->live || !pg_dp_policy_tracks(probe->opts->live))
		return 0;
	pg_dp_flow_key(probe->opts->live, packet, &key);
	if (!pg_dp_flow_get(probe->opts->live, &key, &flow))
		return 0;
	pg_dp_flow_key(probe->dp, packet, &flow.key); /* the namespace's number is another one */
	return put(probe->dp, &flow, err);
}

/*
 * The flows that make the packet's state what it is to be: none for NEW; where no state is asked
 * for, its own, as it is now.
 */
static int put_flow(struct pg_probe *probe, const struct pg_trace *trace, const uint8_t *frame,
		    size_t len, struct pg_err *err)
{
	unsigned want = probe->opts->ct_state;
	struct pg_flow_packet packet;
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	bool has_flow;
	__u8 from;

	has_flow = own_flow(trace, frame, len, &packet);
	if (want == PG_CT_RELATED) {
		quoted_flow(trace, &packet);
		has_flow = trace->has_l3;
	}
	if (!has_flow)
		return 0;
	from = pg_dp_flow_key(probe->dp, &packet, &key);
	if (want & (PG_CT_NEW | PG_CT_UNTRACKED)) {
		pg_dp_flow_kill(probe->dp, &key); /* connlimit may know it */
		return 0;
	}
	if (!want)
		return take_over(probe, &packet, err);
	if (want == PG_CT_INVALID && packet.proto != IPPROTO_TCP && packet.proto != IPPROTO_SCTP)
		return 0; /* no flow makes others INVALID */
	flow = flow_for(want == PG_CT_RELATED ? &(struct pg_trace){ 0 } : trace, &packet, &key, from,
			want);
	return put(probe->dp, &flow, err);
}

/* The program and its policy ----------------------------------------------------------------------- */

static int put_notrack(struct pg_ruleset *set, struct pg_err *err)
{
	const struct pg_rule rule = {
		.narrowed = PG_V46,
		.target = PG_TARGET_CT,
		.args.ct.notrack = true,
		.slot = PG_NO_SLOT,
		.state = PG_NO_SLOT,
	};

	if (pg_chain_insert(&set->chain[PG_CHAIN_RAW_PREROUTING], 0, &rule) < 0 ||
	    pg_chain_insert(&set->chain[PG_CHAIN_RAW_OUTPUT], 0, &rule) < 0)
		return pg_fail(err, -ENOMEM, "out of memory");
	return 0;
}

static int load(struct pg_probe *probe, struct pg_err *err)
{
	int r;

	if (probe->opts->live)
		pg_dp_flow_settings_copy(probe->dp, probe->opts->live);
	r = probe->opts->ct_state == PG_CT_UNTRACKED ? put_notrack(probe->set, err) : 0;
	if (!r)
		r = pg_policy_commit_copy(probe->dp, probe->set, probe->opts->live,
					  probe->opts->ct_state, err);
	return r ? r : pg_policy_compile(probe->dp, probe->set, &probe->tables, err);
}

static int check_state(const struct pg_probe *probe, const struct pg_trace *trace, struct pg_err *err)
{
	unsigned want = probe->opts->ct_state;

	if (!want || !trace->ct_state || trace->ct_state == want)
		return 0;
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
			    "such a packet is never %s: it would be %s", pg_ct_state_name(want),
			    pg_ct_state_name(trace->ct_state));
}

/* Longer frames than the kernel takes are given by their beginning, where all headers are. */
static int run(struct pg_probe *probe, const uint8_t *frame, size_t len, struct pg_trace *ret,
	       struct pg_err *err)
{
	size_t max = pg_dp_run_max(probe->dp);

	return pg_dp_run(probe->dp, probe->opts->dir, frame, len < max ? len : max, len, ret, err);
}

/* Explaining --------------------------------------------------------------------------------------- */

/* So many questions are one policy: as many as a second of compiling answers. */
#define QUESTIONS 8192

/* What the packet's flow and the rules' limits are before it comes. */
static int look_before(struct pg_probe *probe, const struct pg_trace *trace, const uint8_t *frame,
		       size_t len, struct pg_err *err)
{
	struct pg_flow_packet packet;
	struct pg_flow_key key;

	probe->now_ns = pg_clock_ns(CLOCK_MONOTONIC);
	probe->remembered = calloc(PG_STATES, sizeof(*probe->remembered));
	if (!probe->remembered)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (__u32 i = 0; i < PG_STATES; i++)
		pg_dp_state_get(probe->dp, i, &probe->remembered[i]);
	if (own_flow(trace, frame, len, &packet)) {
		pg_dp_flow_key(probe->dp, &packet, &key);
		probe->has_flow = pg_dp_flow_get(probe->dp, &key, &probe->flow) &&
				  probe->flow.expires_ns > probe->now_ns;
	}
	return 0;
}

static int note_left(struct pg_probe *probe, const struct pg_match *m, const struct pg_trace *trace)
{
	struct pg_text t = { 0 };
	struct pg_left *more;
	int r = -ENOMEM;

	if (!pg_left_print(&t, probe->dp, m, trace, probe->now_ns))
		return 0;
	more = reallocarray(probe->left, probe->n_left + 1, sizeof(*more));
	if (more)
		probe->left = more;
	if (more && !t.oom) {
		more[probe->n_left].match = m;
		snprintf(more[probe->n_left++].text, sizeof(more->text), "%s", t.buf);
		r = 0;
	}
	pg_text_free(&t);
	return r;
}

static int note_lists(struct pg_probe *probe, const struct pg_trace *trace, struct pg_err *err)
{
	int r = 0;

	for (size_t c = 0; c < probe->set->n_chains; c++) {
		for (size_t i = 0; i < probe->set->chain[c].n_rules; i++) {
			const struct pg_rule *rule = &probe->set->chain[c].rule[i];

			for (size_t k = 0; !r && k < rule->n_match; k++)
				r = note_left(probe, &rule->match[k], trace);
		}
	}
	return r ? pg_fail(err, r, "out of memory") : 0;
}

/* Only who asks a list sees who has gone: its length is told as it was found. */
static void note_connlimits(struct pg_probe *probe, const struct pg_trace *trace)
{
	enum pg_family family = trace->l3_type == ETHERTYPE_IPV6 ? PG_FAMILY_V6 : PG_FAMILY_V4;

	for (size_t c = 0; c < probe->set->n_chains; c++) {
		for (size_t i = 0; i < probe->set->chain[c].n_rules; i++) {
			const struct pg_rule *rule = &probe->set->chain[c].rule[i];
			uint32_t state = rule->state;

			for (size_t k = 0; k < rule->n_match && state < PG_STATES; k++) {
				const struct pg_match *m = &rule->match[k];
				const struct pg_rule alone = { .match = rule->match + k, .n_match = 1 };

				if (m->kind == PG_MATCH_CONNLIMIT)
					probe->remembered[state].value = pg_dp_connlimit_read(
						probe->dp, state, family,
						m->connlimit.dest ? trace->daddr : trace->saddr,
						m->connlimit.mask);
				state += (uint32_t)pg_rule_states(&alone);
			}
		}
	}
}

struct questions {
	struct pg_dp *dp;
	struct pg_ruleset *set;
	bool untracked; /* NOTRACK stands before them in raw's chains */
};

static bool has_counted(void *arg, enum pg_stage stage, size_t i)
{
	const struct questions *q = arg;
	const struct pg_chain *chain = &q->set->chain[pg_stage_chain(stage)];
	struct pg_count count = { 0 };

	i += q->untracked && chain->table == PG_TABLE_RAW;
	if (i < chain->n_rules)
		pg_dp_slot_read(q->dp, chain->rule[i].slot, &count);
	return count.packets;
}

static bool is_empty(const struct pg_ruleset *set)
{
	for (size_t i = 0; i < set->n_chains; i++)
		if (set->chain[i].n_rules)
			return false;
	return true;
}

/* The same packet, once more, under a policy of questions. */
static int ask(struct pg_probe *probe, struct questions *q, const struct pg_trace *first,
	       const uint8_t *frame, size_t len, struct pg_err *err)
{
	struct pg_trace trace;
	int r = 0;

	if (is_empty(q->set))
		return 0;
	if (q->untracked)
		r = put_notrack(q->set, err);
	if (!r)
		r = pg_dp_flow_forget(probe->dp, err); /* what the packet has begun */
	if (!r)
		r = pg_policy_commit(probe->dp, q->set, err);
	if (!r && probe->opts->ct_state)
		r = pg_dp_flow_forget(probe->dp, err); /* what the commit has adopted */
	if (!r)
		r = put_flow(probe, first, frame, len, err);
	return r ? r : run(probe, frame, len, &trace, err);
}

static int explain(struct pg_probe *probe, const struct pg_term_map *map,
		   const struct pg_trace *trace, const uint8_t *frame, size_t len,
		   struct pg_err *err)
{
	const struct pg_step *step;
	size_t n = pg_dp_run_steps(probe->dp, &step), next = 0;
	int r = pg_explain_make(map, step, n, &probe->explain);

	if (r)
		return pg_fail(err, r, "cannot follow the packet: %s", strerror(-r));
	for (size_t at = 0; !r && at < probe->explain.n; at = next) {
		_cleanup_(pg_ruleset_freep) struct pg_ruleset *set =
			pg_explain_probe(&probe->explain, at, QUESTIONS, &next);
		struct questions questions = { probe->dp, set, trace->ct_state == PG_CT_UNTRACKED };

		if (!set)
			return pg_fail(err, -ENOMEM, "out of memory");
		r = ask(probe, &questions, trace, frame, len, err);
		if (!r)
			pg_explain_settle(&probe->explain, at, next, has_counted, &questions);
	}
	return r;
}

int pg_probe_run(struct pg_probe *probe, struct pg_ruleset *set, const struct pg_probe_opts *opts,
		 const uint8_t *frame, size_t len, struct pg_err *err)
{
	/* The general path, because only there a packet's way through the rules is recorded. */
	const struct pg_private_opts private = {
		.iface = opts->iface,
		.sets = opts->live,
		.fragments = pg_dp_fragments(opts->live),
		.general_only = true,
		.progs = opts->dir == PG_DIR_IN ? PG_PROG_XDP : PG_PROG_TC_OUT,
	};
	struct pg_term_map map = { .set = set };
	struct pg_trace trace;
	int r;

	*probe = (struct pg_probe){ .opts = opts, .set = set };
	r = pg_dp_open_private(&private, &probe->dp, err);
	if (!r)
		r = run(probe, frame, len, &trace, err); /* no policy yet: to see what it is */
	if (!r)
		r = load(probe, err);
	if (!r)
		r = put_flow(probe, &trace, frame, len, err);
	if (!r && opts->explain)
		r = look_before(probe, &trace, frame, len, err) ?: note_lists(probe, &trace, err);
	if (!r)
		r = run(probe, frame, len, &trace, err);
	if (!r)
		r = check_state(probe, &trace, err);
	if (r)
		return r;
	if (opts->explain)
		note_connlimits(probe, &trace);
	map.tables = probe->tables;
	map.notrack_first = opts->ct_state == PG_CT_UNTRACKED;
	pg_answer_make(&map, opts->dir, &trace, &probe->answer);
	return opts->explain ? explain(probe, &map, &trace, frame, len, err) : 0;
}

void pg_probe_clear(struct pg_probe *probe)
{
	pg_explain_clear(&probe->explain);
	free(probe->remembered);
	free(probe->left);
	pg_tables_free(probe->tables);
	pg_dp_close(probe->dp);
	*probe = (struct pg_probe){ 0 };
}
