/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <string.h>

#include "chains.h"
#include "list.h"
#include "print.h"
#include "target.h"

/* How wide a counter is printed; iptables gives bytes and packets the same width in the rows. */
#define WIDTH_SCALED 5
#define WIDTH_EXACT 8

static bool wanted(const struct pg_list_opts *opts, const struct pg_chain *chain)
{
	return chain->table == opts->table && (!opts->chain || !strcmp(opts->chain, chain->name));
}

static bool shows_rule(const struct pg_list_opts *opts, const struct pg_chain *chain, size_t i)
{
	if (opts->num && opts->num != i + 1)
		return false;
	return !opts->family || pg_rule_families(&chain->rule[i]) & opts->family;
}

/* 99999, 100K, 9999M: at most five places, rounded; the unit changes above 9999. */
static void print_count(struct pg_text *t, uint64_t n, const struct pg_list_opts *opts, bool padded)
{
	static const char unit[] = "KMGT";
	size_t i = 0;

	if (opts->exact || n <= 99999) {
		pg_text_add(t, "%*" PRIu64, !padded ? 0 : opts->exact ? WIDTH_EXACT : WIDTH_SCALED,
			    n);
		return;
	}
	for (n = n / 1000 + (n % 1000 >= 500); n > 9999 && i < 3; i++)
		n = n / 1000 + (n % 1000 >= 500);
	pg_text_add(t, "%*" PRIu64 "%c", padded ? WIDTH_SCALED - 1 : 0, n, unit[i]);
}

void pg_list_heading(struct pg_text *t, const struct pg_ruleset *set, const struct pg_chain *chain)
{
	if (pg_chain_is_builtin(set, chain))
		pg_text_add(t, "Chain %s (policy %s", chain->name, pg_target_name(chain->policy));
	else
		pg_text_add(t, "Chain %s (%zu references", chain->name,
			    pg_chain_references(set, chain));
}

static void print_headings(struct pg_text *t, const struct pg_ruleset *set,
			   const struct pg_chain *chain, const struct pg_list_opts *opts)
{
	pg_list_heading(t, set, chain);
	if (opts->verbose && pg_chain_is_builtin(set, chain)) {
		pg_text_add(t, " ");
		print_count(t, chain->packets, opts, false);
		pg_text_add(t, " packets, ");
		print_count(t, chain->bytes, opts, false);
		pg_text_add(t, " bytes");
	}
	pg_text_add(t, ")\n");
	if (opts->line_numbers)
		pg_text_add(t, "%-4s ", "num");
	if (opts->verbose)
		pg_text_add(t, opts->exact ? "%8s %10s " : "%5s %5s ", "pkts", "bytes");
	pg_text_add(t, "%-9s  %-4s opt ", "target", "prot");
	if (opts->verbose)
		pg_text_add(t, "%-6s %-6s  ", "in", "out");
	/* The last heading is padded, too. */
	pg_text_add(t, "%-20s %-20s\n", "source", "destination");
}

static void print_proto(struct pg_text *t, const struct pg_rule *rule, bool numeric)
{
	const char *name = rule->proto ? pg_proto_name(rule->proto) : "all";

	pg_text_add(t, "%c", rule->proto_invert ? '!' : ' ');
	if (name && !numeric)
		pg_text_add(t, "%-4s ", name);
	else
		pg_text_add(t, "%-4u ", rule->proto);
}

/* "10.0.0.0/8"; a single address without its mask. */
static void addr_text(const struct pg_rule *rule, const struct pg_addr *addr, bool numeric,
		      struct pg_text *ret)
{
	char *slash;

	if (!addr->set) {
		bool v6 = pg_rule_families(rule) == PG_V6;

		pg_text_add(ret, "%s", !numeric ? "anywhere" : v6 ? "::/0" : "0.0.0.0/0");
		return;
	}
	pg_addr_print(ret, addr);
	slash = ret->oom ? NULL : strchr(ret->buf, '/');
	if (slash && !strcmp(slash, addr->family == PG_V4 ? "/32" : "/128"))
		*slash = '\0';
}

static void print_addr(struct pg_text *t, const struct pg_rule *rule, const struct pg_addr *addr,
		       bool numeric)
{
	_cleanup_(pg_text_free) struct pg_text text = {};

	addr_text(rule, addr, numeric, &text);
	if (text.oom)
		t->oom = true;
	else
		pg_text_add(t, "%c%-19s ", addr->set && addr->invert ? '!' : ' ', text.buf);
}

static void print_ifname(struct pg_text *t, const struct pg_ifname *ifname, bool numeric)
{
	char name[IFNAMSIZ + 1], shown[IFNAMSIZ + 1];

	if (ifname->set)
		snprintf(name, sizeof(name), "%s%s", ifname->invert ? "!" : "", ifname->name);
	else
		snprintf(name, sizeof(name), "%s", numeric ? "*" : "any");
	pg_text_add(t, "%-6s ", pg_printable(name, shown, sizeof(shown)));
}

/* What stands behind the addresses. */
static void print_details(struct pg_text *t, const struct pg_rule *rule, unsigned family,
			  bool numeric)
{
	const struct pg_target_row *target = &pg_target_rows[rule->target];

	if (rule->is_goto)
		pg_text_add(t, "[goto] ");
	for (size_t i = 0; i < rule->n_match; i++)
		pg_match_rows[rule->match[i].kind].list(t, &rule->match[i], rule, numeric);
	if (target->list)
		target->list(t, &rule->args, family, numeric);
	/* iptables has one table per family; here a rule may say its own. */
	if (!family && rule->narrowed != PG_V46)
		pg_text_add(t, " %s only", rule->narrowed == PG_V4 ? "IPv4" : "IPv6");
}

static const char *fragment_mark(const struct pg_rule *rule)
{
	if (!rule->fragment_set)
		return "--";
	return rule->fragment_invert ? "!f" : "-f";
}

static void print_row(struct pg_text *t, const struct pg_rule *rule, size_t num,
		      const struct pg_list_opts *opts)
{
	if (opts->line_numbers)
		pg_text_add(t, "%-4zu ", num);
	if (opts->verbose) {
		print_count(t, rule->packets, opts, true);
		pg_text_add(t, " ");
		print_count(t, rule->bytes, opts, true);
		pg_text_add(t, " ");
	}
	pg_text_add(t, "%-9s ", pg_rule_target_name(rule));
	print_proto(t, rule, opts->numeric);
	pg_text_add(t, "%s ", fragment_mark(rule));
	if (opts->verbose) {
		pg_text_add(t, " ");
		print_ifname(t, &rule->in, opts->numeric);
		print_ifname(t, &rule->out, opts->numeric);
	}
	print_addr(t, rule, &rule->src, opts->numeric);
	print_addr(t, rule, &rule->dst, opts->numeric);
	print_details(t, rule, opts->family, opts->numeric);
	pg_text_add(t, "\n");
}

void pg_list_print(struct pg_text *t, const struct pg_ruleset *set,
		   const struct pg_list_opts *opts)
{
	bool any = false;

	for (size_t c = 0; c < set->n_chains; c++) {
		const struct pg_chain *chain = &set->chain[c];

		if (!wanted(opts, chain))
			continue;
		if (any)
			pg_text_add(t, "\n");
		any = true;
		if (!opts->num)
			print_headings(t, set, chain, opts);
		for (size_t i = 0; i < chain->n_rules; i++)
			if (shows_rule(opts, chain, i))
				print_row(t, &chain->rule[i], i + 1, opts);
	}
}

void pg_list_rules_print(struct pg_text *t, const struct pg_ruleset *set,
			 const struct pg_list_opts *opts)
{
	for (size_t c = 0; c < set->n_chains && !opts->num; c++) {
		const struct pg_chain *chain = &set->chain[c];

		if (!wanted(opts, chain))
			continue;
		if (!pg_chain_is_builtin(set, chain)) {
			pg_text_add(t, "-N %s\n", chain->name);
			continue;
		}
		pg_text_add(t, "-P %s %s", chain->name, pg_target_name(chain->policy));
		if (opts->verbose)
			pg_text_add(t, " -c %" PRIu64 " %" PRIu64, chain->packets, chain->bytes);
		pg_text_add(t, "\n");
	}
	for (size_t c = 0; c < set->n_chains; c++) {
		const struct pg_chain *chain = &set->chain[c];

		for (size_t i = 0; wanted(opts, chain) && i < chain->n_rules; i++) {
			_cleanup_(pg_text_free) struct pg_text spec = {};

			if (!shows_rule(opts, chain, i))
				continue;
			pg_rule_print_parts(&spec, &chain->rule[i], opts->family,
					    opts->verbose);
			t->oom |= spec.oom;
			pg_text_add(t, "-A %s%s%s\n", chain->name, spec.len ? " " : "",
				    spec.len ? spec.buf : "");
		}
	}
}

void pg_list_one(struct pg_text *t, const struct pg_rule *rule)
{
	_cleanup_(pg_text_free) struct pg_text src = {}, dst = {};
	const char *proto = rule->proto ? pg_proto_name(rule->proto) : "all";

	addr_text(rule, &rule->src, true, &src);
	addr_text(rule, &rule->dst, true, &dst);
	if (src.oom || dst.oom) {
		t->oom = true;
		return;
	}
	pg_text_add(t, "%s ", pg_rule_target_name(rule));
	pg_text_add(t, "%c", rule->proto_invert ? '!' : ' ');
	if (proto)
		pg_text_add(t, "%s", proto);
	else
		pg_text_add(t, "%u", rule->proto);
	pg_text_add(t, " opt %s in %s%s out %s%s %c%s %c-> %s  ", fragment_mark(rule),
		    rule->in.invert ? "!" : "", rule->in.set ? rule->in.name : "*",
		    rule->out.invert ? "!" : "", rule->out.set ? rule->out.name : "*",
		    rule->src.set && rule->src.invert ? '!' : ' ', src.buf,
		    rule->dst.set && rule->dst.invert ? '!' : ' ', dst.buf);
	print_details(t, rule, 0, true);
	pg_text_add(t, "\n");
}
