/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <string.h>

#include "print.h"
#include "target.h"

static void print_addr(struct pg_text *t, const char *option, const struct pg_addr *addr)
{
	if (!addr->set)
		return;
	pg_text_add(t, "%s %s ", addr->invert ? " !" : "", option);
	pg_addr_print(t, addr);
}

static void print_ifname(struct pg_text *t, const char *option, const struct pg_ifname *ifname)
{
	if (!ifname->set)
		return;
	pg_text_add(t, "%s %s ", ifname->invert ? " !" : "", option);
	/* iptables prints the name bare, and could not read a quote back. */
	if (strchr(ifname->name, '"'))
		pg_quoted_print(t, ifname->name);
	else
		pg_text_add(t, "%s", ifname->name);
}

static void print_proto(struct pg_text *t, const struct pg_rule *rule)
{
	const char *name = pg_proto_name(rule->proto);

	if (!rule->proto)
		return;
	pg_text_add(t, "%s -p ", rule->proto_invert ? " !" : "");
	if (name)
		pg_text_add(t, "%s", name);
	else
		pg_text_add(t, "%u", rule->proto);
}

const char *pg_target_name(enum pg_target target)
{
	const char *name = pg_target_rows[target].name;

	return name ? name : "-";
}

const char *pg_rule_target_name(const struct pg_rule *rule)
{
	if (rule->target == PG_TARGET_CHAIN)
		return rule->chain;
	return rule->target == PG_TARGET_NONE ? "" : pg_target_name(rule->target);
}

const char *pg_table_name(enum pg_table_id table)
{
	return table == PG_TABLE_RAW ? "raw" : "filter";
}

static void print_target(struct pg_text *t, const struct pg_rule *rule, unsigned family)
{
	const struct pg_target_row *row = &pg_target_rows[rule->target];
	bool notrack = rule->target == PG_TARGET_CT && rule->args.ct.old;

	if (rule->target == PG_TARGET_NONE)
		return;
	pg_text_add(t, " %s %s", rule->is_goto ? "-g" : "-j",
		    notrack ? "NOTRACK" : pg_rule_target_name(rule));
	if (row->print)
		row->print(t, &rule->args, family);
}

void pg_quoted_print(struct pg_text *t, const char *text)
{
	static const char bare[] = "_-0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	if (*text && !text[strspn(text, bare)]) {
		pg_text_add(t, "%s", text);
		return;
	}
	pg_text_add(t, "\"");
	for (; *text; text++) {
		if (strchr("\"\\'", *text))
			pg_text_add(t, "\\");
		pg_text_addn(t, text, 1);
	}
	pg_text_add(t, "\"");
}

void pg_rule_print_parts(struct pg_text *t, const struct pg_rule *rule, unsigned family,
			 bool counters)
{
	size_t start = t->len;

	if (!family && rule->narrowed != PG_V46)
		pg_text_add(t, rule->narrowed == PG_V4 ? " -4" : " -6");
	print_addr(t, "-s", &rule->src);
	print_addr(t, "-d", &rule->dst);
	print_ifname(t, "-i", &rule->in);
	print_ifname(t, "-o", &rule->out);
	print_proto(t, rule);
	if (rule->fragment_set)
		pg_text_add(t, "%s -f", rule->fragment_invert ? " !" : "");
	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[rule->match[i].kind];

		pg_text_add(t, " -m %s", row->name);
		row->print(t, &rule->match[i]);
	}
	if (counters)
		pg_text_add(t, " -c %" PRIu64 " %" PRIu64, rule->packets, rule->bytes);
	print_target(t, rule, family);
	/* Every part brings a blank; the first one is not wanted. */
	if (!t->oom && t->len > start) {
		memmove(t->buf + start, t->buf + start + 1, t->len - start);
		t->len--;
	}
}

void pg_rule_print(struct pg_text *t, const struct pg_rule *rule, unsigned family)
{
	pg_rule_print_parts(t, rule, family, false);
}
