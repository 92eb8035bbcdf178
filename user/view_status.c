/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <time.h>

#include "ifaces.h"
#include "kernel_words.h"
#include "names.h"
#include "print.h"
#include "view.h"
#include "view_table.h"

static void add_prog(struct pg_table *table, __u32 id)
{
	if (id)
		pg_table_cell(table, "%u", id);
	else
		pg_table_cell(table, "-");
}

/* Why the mode is what it is, and what is wrong with the interface: text from the kernel's side. */
static void add_notes(struct pg_table *table, const struct pg_dp_iface *iface, bool tracking)
{
	char reason[sizeof(iface->abi.mode_reason)];

	pg_table_note(table, pg_printable(iface->abi.mode_reason, reason, sizeof(reason)));
	if (iface->gone)
		pg_table_note(table, "GONE: the interface or its program was removed from outside; "
				     "attach it again, or detach it");
	if (iface->moved)
		pg_table_note(table, "MOVED to another network namespace: it filters there, but not "
				     "for that one's flows and names; attach it there, or detach it");
	if (iface->outdated)
		pg_table_note(table, "its programs are another version's: 'portguard upgrade' "
				     "replaces them");
	if (tracking && pg_dp_iface_is_deaf(iface))
		pg_table_note(table, "WARNING: " PG_WORDS_NO_EGRESS);
	if (!iface->here)
		pg_table_note(table, "in another network namespace");
}

static void add_ifaces(struct pg_text *t, const struct pg_snapshot *snap, unsigned width)
{
	static const struct pg_column columns[] = {
		{ "INTERFACE", false, false }, { "MODE", false, false },
		{ "PROG", true, false },       { "IN-PKTS", true, false },
		{ "IN-BYTES", true, false },   { "DROPPED", true, false },
		{ "EGRESS", true, false },     { "OUT-PKTS", true, false },
		{ "OUT-BYTES", true, false },
	};
	_cleanup_(pg_table_freep) struct pg_table *table =
		pg_table_new(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < snap->n_iface; i++) {
		const struct pg_iface_row *row = &snap->iface[i];
		char name[sizeof(row->iface.abi.name)];

		pg_table_cell(table, "%s", pg_printable(row->iface.abi.name, name, sizeof(name)));
		pg_table_cell(table, "%s", pg_mode_name((enum pg_mode)row->iface.abi.mode));
		add_prog(table, row->iface.ingress_prog_id);
		pg_table_number(table, row->count[PG_DIR_IN].packets);
		pg_table_number(table, row->count[PG_DIR_IN].bytes);
		pg_table_number(table, row->dropped[PG_DIR_IN]);
		add_prog(table, row->iface.egress_prog_id);
		pg_table_number(table, row->count[PG_DIR_OUT].packets);
		pg_table_number(table, row->count[PG_DIR_OUT].bytes);
		add_notes(table, &row->iface, snap->flow.tracking);
	}
	pg_table_print(t, table, width);
}

static void add_verdicts(struct pg_text *t, const struct pg_snapshot *snap)
{
	static const char *const dirs[] = { [PG_DIR_IN] = "Arrived", [PG_DIR_OUT] = "Departed" };

	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		const struct pg_count *accept = &snap->verdict[d][PG_VERDICT_ACCEPT];
		const struct pg_count *drop = &snap->verdict[d][PG_VERDICT_DROP];

		pg_text_add(t, "%-10s  %" PRIu64 " packets, %" PRIu64 " bytes; dropped %" PRIu64
			       " packets, %" PRIu64 " bytes\n",
			    dirs[d], (uint64_t)(accept->packets + drop->packets),
			    (uint64_t)(accept->bytes + drop->bytes), (uint64_t)drop->packets,
			    (uint64_t)drop->bytes);
	}
}

static void add_shadow(struct pg_text *t, const struct pg_dp_policy_info *info)
{
	time_t since = (time_t)info->shadow_since;
	char date[32] = "?";
	struct tm tm;

	if (info->shadow == PG_SHADOW_UNFINISHED)
		pg_text_add(t, "%-10s  'apply --shadow' has not come to its end; 'portguard shadow --stop' "
			       "removes what it left\n",
			    "Shadow");
	if (info->shadow != PG_SHADOW_ON)
		return;
	if (localtime_r(&since, &tm))
		strftime(date, sizeof(date), "%F %T", &tm);
	pg_text_add(t, "%-10s  another policy is tried since %s: %s\n", "Shadow", date,
		    info->shadow_stopped ? "beside an older one than this, so nothing more is compared" :
					   "'portguard shadow' tells what it would do otherwise");
}

static void add_policy(struct pg_text *t, const struct pg_snapshot *snap)
{
	const struct pg_dp_policy_info *info = &snap->policy;
	const struct pg_chain *input = &snap->rules->chain[PG_CHAIN_INPUT];

	pg_text_add(t, "%-10s  generation %u, %zu rule%s, INPUT policy %s\n", "Policy",
		    info->generation, snap->n_rules, snap->n_rules == 1 ? "" : "s",
		    pg_target_name(input->policy));
	if (info->confirm_s)
		pg_text_add(t, "%-10s  %u s left for 'portguard confirm'; without it generation %u "
			       "comes back\n",
			    "Waiting", info->confirm_s, info->other);
	else if (info->other)
		pg_text_add(t, "%-10s  generation %u was %s; this one is back\n", "", info->other,
			    info->expired ? "not confirmed in time" : "taken back");
	add_shadow(t, info);
	pg_text_add(t, "%-10s  %s: %u terms, %u classes, %u nodes, %" PRIu64 " bytes\n",
		    "Classifier", pg_form_name(info->form, info->verify), info->terms, info->rows, info->nodes,
		    (uint64_t)info->memory_bytes);
}

/* Nearly: a table whose buckets are this full begins to turn flows away. */
#define NEARLY_FULL(n, capacity) ((uint64_t)(n) * 10 >= (uint64_t)(capacity) * 9)

static void add_flow_warnings(struct pg_text *t, const struct pg_dp_flow_info *info)
{
	static const char *const names[] = { [PG_FLOW_TABLE] = "flows",
					     [PG_HALF_OPEN_TABLE] = "half-open connections" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (info->capacity[i] && NEARLY_FULL(info->count[i], info->capacity[i]))
			pg_text_add(t, "%-10s  the table of %s is %s: %u of %u\n", "WARNING", names[i],
				    info->count[i] >= info->capacity[i] ? "full" : "nearly full",
				    info->count[i], info->capacity[i]);
		if (info->stats.refused[i])
			pg_text_add(t, "%-10s  %" PRIu64 " %s found no room in their table; "
				       "their packets were decided all the same\n",
				    "WARNING", (uint64_t)info->stats.refused[i], names[i]);
	}
	/*
	 * Half-open ones make room for each other, as they are meant to: that is worth a word while it
	 * goes on, which is while buckets are full. Others should not have to.
	 */
	if (info->stats.evicted[PG_HALF_OPEN_TABLE] &&
	    info->count[PG_HALF_OPEN_TABLE] >= info->capacity[PG_HALF_OPEN_TABLE] / 2)
		pg_text_add(t, "%-10s  half-open connections make room for each other: %" PRIu64
			       " were forgotten early, as under a flood of SYNs\n",
			    "WARNING", (uint64_t)info->stats.evicted[PG_HALF_OPEN_TABLE]);
	if (info->stats.evicted[PG_FLOW_TABLE])
		pg_text_add(t, "%-10s  %" PRIu64 " flows were forgotten early to make room for others\n",
			    "WARNING", (uint64_t)info->stats.evicted[PG_FLOW_TABLE]);
}

static void add_flows(struct pg_text *t, const struct pg_snapshot *snap)
{
	const struct pg_dp_flow_info *info = &snap->flow;

	if (!info->tracking) {
		pg_text_add(t, "%-10s  not tracked: no rule asks for a connection's state\n", "Flows");
		return;
	}
	pg_text_add(t, "%-10s  %u of %u, half-open %u of %u; picked up %" PRIu64 ", evicted %" PRIu64
		       ", refused %" PRIu64 "%s%s%s\n",
		    "Flows", info->count[PG_FLOW_TABLE], info->capacity[PG_FLOW_TABLE],
		    info->count[PG_HALF_OPEN_TABLE], info->capacity[PG_HALF_OPEN_TABLE],
		    (uint64_t)info->stats.picked_up,
		    (uint64_t)(info->stats.evicted[PG_FLOW_TABLE] +
			       info->stats.evicted[PG_HALF_OPEN_TABLE]),
		    (uint64_t)(info->stats.refused[PG_FLOW_TABLE] +
			       info->stats.refused[PG_HALF_OPEN_TABLE]),
		    snap->flow_options & PG_FLOW_OPT_TRACK ? "; always" : "",
		    snap->flow_options & PG_FLOW_OPT_STRICT ? "; strict" : "",
		    snap->flow_options & PG_FLOW_OPT_LIBERAL ? "; liberal" : "");
	add_flow_warnings(t, info);
}

static void add_kernel(struct pg_text *t, const struct pg_snapshot *snap)
{
	const char *first = "Kernel";

	if (!snap->knows_kernel)
		return;
	if (!snap->has.tcx) {
		pg_text_add(t, "%-10s  " PG_WORDS_NO_TCX "\n", first);
		first = "";
	}
	if (!snap->has.frags) {
		pg_text_add(t, "%-10s  " PG_WORDS_NO_FRAGS "\n", first);
		first = "";
	}
	if (!snap->has.jit)
		pg_text_add(t, "%-10s  " PG_WORDS_NO_JIT "\n", first);
}

void pg_view_status(struct pg_text *t, const struct pg_snapshot *snap, unsigned width)
{
	char dir[sizeof(snap->state_dir)];

	pg_text_add(t, "portguard " PG_VERSION " on Linux %s, state in %s\n", snap->kernel,
		    pg_printable(snap->state_dir, dir, sizeof(dir)));
	if (!snap->exists) {
		pg_text_add(t, "Nothing is attached: "
			       "there is no instance in this state directory.\n");
		return;
	}
	pg_text_addn(t, "\n", 1);
	if (snap->n_iface)
		add_ifaces(t, snap, width);
	else
		pg_text_add(t, "No interface is attached.\n");
	pg_text_addn(t, "\n", 1);
	add_verdicts(t, snap);
	add_policy(t, snap);
	add_flows(t, snap);
	pg_text_add(t, "%-10s  %" PRIu64 " bytes in all maps\n", "Memory", snap->memory_bytes);
	add_kernel(t, snap);
	if (snap->events_lost)
		pg_text_add(t, "%-10s  %" PRIu64 " packets that LOG and NFLOG reported to nobody\n",
			    "Log", snap->events_lost);
}
