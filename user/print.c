/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <string.h>

#include "match.h"
#include "print.h"

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
	switch (target) {
	case PG_TARGET_ACCEPT:
		return "ACCEPT";
	case PG_TARGET_DROP:
		return "DROP";
	default:
		break;
	}
	return "-";
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
	if (rule->target != PG_TARGET_NONE)
		pg_text_add(t, " -j %s", pg_target_name(rule->target));
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
