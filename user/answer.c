/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "answer.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "chains.h"
#include "names.h"
#include "print.h"

static bool place_of_term(const struct pg_term_map *map, __u32 term, struct pg_place *ret)
{
	const struct pg_chain *chain;
	uint32_t num;

	if (term >= map->tables->gen.terms) /* also PG_TRACE_NO_TERM */
		return false;
	chain = &map->set->chain[map->tables->terms[term].chain];
	num = map->tables->terms[term].rule;
	*ret = (struct pg_place){ .chain = chain, .num = num };
	if (num && num <= chain->n_rules)
		ret->rule = &chain->rule[num - 1];
	if (map->notrack_first && (chain == &map->set->chain[PG_CHAIN_RAW_PREROUTING] ||
				   chain == &map->set->chain[PG_CHAIN_RAW_OUTPUT]))
		ret->num--;
	return true;
}

void pg_answer_place(const struct pg_term_map *map, const struct pg_trace *trace,
		     struct pg_place *ret)
{
	if (place_of_term(map, trace->term, ret))
		return;
	*ret = (struct pg_place){ 0 };
	if (trace->reason == PG_REASON_POLICY)
		ret->chain = &map->set->chain[pg_stage_chain(trace->stage)];
}

void pg_answer_make(const struct pg_term_map *map, enum pg_dir dir, const struct pg_trace *trace,
		    struct pg_answer *ret)
{
	size_t n = trace->n_path < PG_TRACE_PATH ? trace->n_path : PG_TRACE_PATH;
	struct pg_place place;

	*ret = (struct pg_answer){ .trace = *trace, .dir = dir };
	pg_answer_place(map, trace, &ret->decided);
	for (size_t i = 0; i < n; i++)
		if (place_of_term(map, trace->path[i], &place) && place.num)
			ret->path[ret->n_path++] = place;
	/* The trace does not say so; a way of exactly that many rules may be called cut, too. */
	ret->path_cut = n == PG_TRACE_PATH;
}

void pg_place_print(struct pg_text *t, const struct pg_place *place)
{
	if (place->rule)
		pg_rule_print(t, place->rule, 0);
	else if (place->chain)
		pg_text_add(t, "-P %s %s", place->chain->name,
			    pg_target_name(place->chain->policy));
}

const char *pg_answer_verdict(const struct pg_answer *answer)
{
	static const char *const names[_PG_VERDICT_MAX] = {
		[PG_VERDICT_ACCEPT] = "ACCEPT",
		[PG_VERDICT_DROP] = "DROP",
		[PG_VERDICT_REJECT] = "REJECT",
	};

	return answer->trace.verdict < _PG_VERDICT_MAX ? names[answer->trace.verdict] : "?";
}

const char *pg_ct_state_name(unsigned state)
{
	switch (state) {
	case PG_CT_NEW:
		return "NEW";
	case PG_CT_ESTABLISHED:
		return "ESTABLISHED";
	case PG_CT_RELATED:
		return "RELATED";
	case PG_CT_INVALID:
		return "INVALID";
	case PG_CT_UNTRACKED:
		return "UNTRACKED";
	}
	return "-";
}

/* Text -------------------------------------------------------------------------------------------- */

void pg_place_add(struct pg_text *t, const struct pg_place *place)
{
	_free_ char *shown = NULL;
	struct pg_text spec = { 0 };

	pg_place_print(&spec, place);
	shown = malloc(spec.len + 1);
	if (shown && !spec.oom)
		pg_text_add(t, "%s", pg_printable(spec.buf ? spec.buf : "", shown, spec.len + 1));
	else
		t->oom = true;
	pg_text_free(&spec);
}

static void add_chain(struct pg_text *t, const struct pg_chain *chain)
{
	char name[sizeof(chain->name)];

	pg_text_add(t, "%s%s", chain->table == PG_TABLE_RAW ? "raw " : "",
		    pg_printable(chain->name, name, sizeof(name)));
}

static void add_verdict(struct pg_text *t, const struct pg_answer *answer)
{
	const struct pg_place *by = &answer->decided;

	pg_text_add(t, "%s by ", pg_answer_verdict(answer));
	if (by->rule)
		pg_text_add(t, "rule %u of ", by->num);
	else if (by->chain)
		pg_text_add(t, "the policy of ");
	else
		pg_text_add(t, "no rule");
	if (by->chain)
		add_chain(t, by->chain);
	if (answer->trace.reason != PG_REASON_RULE && answer->trace.reason != PG_REASON_POLICY)
		pg_text_add(t, ": %s, %s", pg_reason_name((enum pg_reason)answer->trace.reason),
			    pg_reason_help((enum pg_reason)answer->trace.reason));
	if (by->rule) {
		pg_text_add(t, ": ");
		pg_place_add(t, by);
	}
	pg_text_add(t, "\n");
}

static void add_step(struct pg_text *t, const struct pg_place *step)
{
	char name[64], shown[sizeof(step->chain->name)];

	snprintf(name, sizeof(name), "%s%s %u", step->chain->table == PG_TABLE_RAW ? "raw " : "",
		 pg_printable(step->chain->name, shown, sizeof(shown)), step->num);
	pg_text_add(t, "  %-12s  ", name);
	pg_place_add(t, step);
	pg_text_add(t, "\n");
}

static void add_end(struct pg_text *t, const struct pg_trace *trace, const __be32 *addr, __u16 port,
		    bool has_port)
{
	bool v6 = trace->l3_type == ETHERTYPE_IPV6;
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(v6 ? AF_INET6 : AF_INET, addr, text, sizeof(text));
	pg_text_add(t, v6 && has_port ? "[%s]" : "%s", text);
	if (has_port)
		pg_text_add(t, ":%u", port);
}

static void add_flags(struct pg_text *t, __u8 flags)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR" };
	const char *before = " flags ";

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(flags >> i & 1))
			continue;
		pg_text_add(t, "%s%s", before, names[i]);
		before = ",";
	}
	if (!flags)
		pg_text_add(t, " flags NONE");
}

static void add_packet(struct pg_text *t, const struct pg_answer *answer, const char *iface)
{
	const struct pg_trace *trace = &answer->trace;
	const char *proto = trace->has_proto ? pg_proto_name(trace->proto) : NULL;
	bool icmp = trace->has_proto &&
		    (trace->proto == IPPROTO_ICMP || trace->proto == IPPROTO_ICMPV6);
	bool ports = trace->has_ports && !icmp;
	char shown[IFNAMSIZ];

	pg_text_add(t, "packet: ");
	if (proto)
		pg_text_add(t, "%s ", proto);
	else if (trace->has_proto)
		pg_text_add(t, "protocol %u ", trace->proto);
	if (trace->has_l3) {
		add_end(t, trace, trace->saddr, trace->sport, ports);
		pg_text_add(t, " > ");
		add_end(t, trace, trace->daddr, trace->dport, ports);
	} else {
		pg_text_add(t, "EtherType 0x%04x", trace->ethertype);
	}
	if (icmp && trace->has_ports)
		pg_text_add(t, " type %u code %u", trace->sport, trace->dport);
	if (trace->has_flags)
		add_flags(t, trace->tcp_flags);
	pg_text_add(t, ", %u bytes", trace->ip_len);
	if (trace->ct_state)
		pg_text_add(t, ", %s", pg_ct_state_name(trace->ct_state));
	if (iface)
		pg_text_add(t, ", %s %s", answer->dir == PG_DIR_IN ? "on" : "out of",
			    pg_printable(iface, shown, sizeof(shown)));
	pg_text_add(t, "\n");
}

void pg_view_answer(struct pg_text *t, const struct pg_answer *answer, const char *iface)
{
	add_verdict(t, answer);
	for (size_t i = 0; i < answer->n_path; i++)
		add_step(t, &answer->path[i]);
	if (answer->path_cut)
		pg_text_add(t, "  …\n");
	add_packet(t, answer, iface);
}
