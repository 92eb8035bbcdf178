/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <net/ethernet.h>
#include <stdio.h>

#include "checks.h"
#include "explain.h"
#include "names.h"
#include "print.h"

static const char *left_of(const struct pg_explained *explained, const struct pg_match *m)
{
	for (size_t i = 0; i < explained->n_left; i++)
		if (explained->left[i].match == m)
			return explained->left[i].text;
	return NULL;
}

void pg_rule_remembered_print(struct pg_text *t, const struct pg_rule *rule,
			      const struct pg_explained *explained)
{
	struct pg_text one = { 0 };
	uint32_t at = rule->state;
	const char *before = "";

	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match *m = &rule->match[i];
		const struct pg_rule alone = { .match = (struct pg_match *)m, .n_match = 1 };
		const char *left = left_of(explained, m);

		if (left) {
			pg_text_add(t, "%s%s", before, left);
			before = ", ";
		}
		if (!pg_rule_states(&alone) || at == PG_NO_SLOT)
			continue;
		if (pg_remembered_print(&one, m, &explained->remembered[at++ % PG_STATES],
					explained->now_ns)) {
			pg_text_add(t, "%s%s", before, one.buf);
			before = ", ";
		}
		t->oom |= one.oom;
		pg_text_free(&one);
	}
}

/* Comments and names come from rule files: shown without control characters. */
static void add_shown(struct pg_text *t, const struct pg_text *text)
{
	_free_ char *shown = malloc(text->len + 1);

	if (shown && !text->oom)
		pg_text_add(t, "%s", pg_printable(text->buf ? text->buf : "", shown, text->len + 1));
	else
		t->oom = true;
}

static void add_row(struct pg_text *t, const struct pg_considered *row,
		    const struct pg_explained *explained)
{
	const struct pg_chain *chain = row->place.chain;
	struct pg_text spec = { 0 }, failed = { 0 }, left = { 0 };
	char name[64], shown[sizeof(chain->name)];

	snprintf(name, sizeof(name), "%s%s %u", chain->table == PG_TABLE_RAW ? "raw " : "",
		 pg_printable(chain->name, shown, sizeof(shown)), row->place.num);
	pg_text_add(t, "  %-12s  %-7s  ", name, pg_outcome_name(row->outcome));
	pg_place_print(&spec, &row->place);
	add_shown(t, &spec);
	if (row->outcome == PG_OUTCOME_FAILED) {
		pg_condition_print(&failed, row->place.rule, &row->failed);
		pg_text_add(t, "\n  %-12s           not ", "");
		add_shown(t, &failed);
	}
	pg_rule_remembered_print(&left, row->place.rule, explained);
	if (left.len)
		pg_text_add(t, "\n  %-12s           %s", "", left.buf);
	pg_text_addn(t, "\n", 1);
	t->oom |= left.oom;
	pg_text_free(&spec);
	pg_text_free(&failed);
	pg_text_free(&left);
}

static void add_parser(struct pg_text *t, const struct pg_trace *trace)
{
	bool asked = trace->reason == PG_REASON_RULE || trace->reason == PG_REASON_POLICY;

	pg_text_add(t, "parser: %u bytes, EtherType 0x%04x", trace->frame_len, trace->ethertype);
	for (unsigned i = 0; i < trace->vlans && i < ARRAY_SIZE(trace->vlan_id); i++)
		pg_text_add(t, ", VLAN %u", trace->vlan_id[i]);
	pg_text_add(t, ", %s%s%s%s", trace->has_l3 ? "addresses" : "no addresses",
		    trace->has_proto ? ", protocol" : "", trace->has_ports ? ", ports or type" : "",
		    trace->has_flags ? ", flags" : "");
	pg_text_add(t, "; %s\n", asked ? "the rules were asked" :
				       pg_reason_help((enum pg_reason)trace->reason));
	if (trace->frag == PG_FRAG_NONE)
		pg_text_add(t, "fragment: no\n");
	else
		pg_text_add(t, "fragment: %s, at %u bytes\n", pg_frag_name((enum pg_frag)trace->frag),
			    trace->frag_offset * 8U);
}

static void add_flow(struct pg_text *t, const struct pg_answer *answer,
		     const struct pg_explained *explained)
{
	const struct pg_dp_flow *flow = explained->flow;

	pg_text_add(t, "flow: ");
	if (!flow)
		pg_text_add(t, "none yet");
	else
		pg_text_add(t, "%s%s, %llu and %llu packets, for %" PRIu64 " s more",
			    flow->tcp_state ? pg_pair_state_name(flow->tcp_state) :
			    flow->sctp_state ? pg_sctp_state_name(flow->sctp_state) :
			    flow->seen_reply ? "answered" : "not answered",
			    flow->assured ? ", assured" : "", flow->end[0].sent.packets,
			    flow->end[1].sent.packets,
			    (uint64_t)(flow->expires_ns - explained->now_ns) / 1000000000);
	pg_text_add(t, "; the packet is %s\n", answer->trace.ct_state ?
						      pg_ct_state_name(answer->trace.ct_state) :
						      "not asked about its state");
}

void pg_view_explained(struct pg_text *t, const struct pg_answer *answer,
		       const struct pg_explained *explained)
{
	const struct pg_explain *explain = explained->explain;

	add_parser(t, &answer->trace);
	add_flow(t, answer, explained);
	pg_text_add(t, "considered:%s\n", explain->n ? "" : " no rule");
	for (size_t i = 0; i < explain->n; i++)
		add_row(t, &explain->row[i], explained);
	if (explain->cut)
		pg_text_add(t, "  more steps than can be noted (%u)\n", PG_TRACE_STEPS);
}
