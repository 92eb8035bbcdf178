/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "print.h"
#include "short.h"

/* What the words say. */
struct words {
	const char *ports, *proto, *from, *iface;
	char buf[256]; /* ports and proto */
};

static int split_ports(const char *text, struct words *w, struct pg_diag *diag)
{
	char *slash;

	if (strlen(text) >= sizeof(w->buf))
		return pg_diag(diag, PG_DIAG_PARAM, NULL, "invalid port/service `%s' specified",
			       text);
	snprintf(w->buf, sizeof(w->buf), "%s", text);
	w->ports = w->buf;
	slash = strchr(w->buf, '/');
	if (slash) {
		*slash = '\0';
		w->proto = slash + 1;
	}
	return 0;
}

static int read_words(char *const *word, size_t n, struct words *w, struct pg_diag *diag)
{
	if (!n)
		return pg_diag(diag, PG_DIAG_PARAM, NULL, "a port is missing");
	for (size_t i = 1; i < n; i += 2) {
		const char **field = !strcmp(word[i], "from") ? &w->from
				     : !strcmp(word[i], "on") ? &w->iface
							      : NULL;

		if (!field)
			return pg_diag(diag, PG_DIAG_BARE, NULL, "Bad argument `%s'", word[i]);
		if (*field)
			return pg_diag(diag, PG_DIAG_PARAM, NULL, "multiple `%s' not allowed",
				       word[i]);
		if (i + 1 == n)
			return pg_diag(diag, PG_DIAG_PARAM, NULL, "`%s' requires an argument",
				       word[i]);
		*field = word[i + 1];
	}
	return split_ports(word[0], w, diag);
}

/* The rule in iptables' words, through iptables' parser: there is only one. */
static int make(const struct words *w, const char *proto, enum pg_target target,
		struct pg_command *ret, struct pg_diag *diag)
{
	const struct pg_parse_from from = { .file = false };
	struct pg_arg arg[16] = {};
	size_t n = 0;

	arg[n++].text = "-A";
	arg[n++].text = "INPUT";
	if (w->from) {
		arg[n++].text = "-s";
		arg[n++].text = w->from;
	}
	if (w->iface) {
		arg[n++].text = "-i";
		arg[n++].text = w->iface;
	}
	arg[n++].text = "-p";
	arg[n++].text = proto;
	if (strchr(w->ports, ',')) {
		arg[n++].text = "-m";
		arg[n++].text = "multiport";
		arg[n++].text = "--dports";
	} else {
		arg[n++].text = "--dport";
	}
	arg[n++].text = w->ports;
	arg[n++].text = "-j";
	arg[n++].text = pg_target_name(target);
	return pg_command_parse(arg, n, &from, ret, diag);
}

int pg_short_parse(char *const *word, size_t n, enum pg_target target, struct pg_short *ret,
		   struct pg_diag *diag)
{
	static const char *const protos[PG_SHORT_MAX] = { "tcp", "udp" };
	struct pg_short s = {};
	struct words w = {};
	int r = read_words(word, n, &w, diag), last = 0;

	if (r < 0)
		return r;
	if (w.proto) {
		r = make(&w, w.proto, target, &s.cmd[0], diag);
		if (!r)
			s.n = 1;
	}
	for (size_t i = 0; !w.proto && i < PG_SHORT_MAX; i++) {
		last = make(&w, protos[i], target, &s.cmd[s.n], diag);
		if (!last)
			s.n++;
	}
	if (!s.n)
		return r < 0 ? r : last;
	*ret = s;
	return 0;
}

void pg_short_free(struct pg_short *s)
{
	for (size_t i = 0; i < s->n; i++)
		pg_command_free(&s->cmd[i]);
	s->n = 0;
}

/* Does `a` hold for every address that `b` holds for? */
static bool addr_covers(const struct pg_addr *a, const struct pg_addr *b)
{
	size_t n = a->family == PG_V4 ? 4 : 16;

	if (!a->set)
		return true;
	if (a->invert || !b->set || b->invert || a->family != b->family)
		return false;
	for (size_t i = 0; i < n; i++)
		if (a->mask[i] & ~b->mask[i] || (b->addr[i] & a->mask[i]) != a->addr[i])
			return false;
	return true;
}

/* The destination ports that a match lists; 0: it is not such a list. */
static unsigned ports_of(const struct pg_match *m, const struct pg_port_range **ret)
{
	const struct pg_port_range *sport = &m->ports.sport;

	if (m->kind == PG_MATCH_MULTIPORT) {
		*ret = m->multiport.range;
		return m->multiport.side != PG_MULTIPORT_SRC && !m->multiport.invert
			       ? m->multiport.n
			       : 0;
	}
	if (m->kind > PG_MATCH_DCCP || m->ports.flags_set || m->ports.dport.invert ||
	    sport->invert || sport->lo || sport->hi != 65535)
		return 0;
	*ret = &m->ports.dport;
	return 1;
}

/* Does match `a` hold for every packet to the ports of `b`, which is one of a short form? */
static bool match_covers(const struct pg_match *a, const struct pg_match *b)
{
	const struct pg_port_range *outer = NULL, *inner = NULL;
	unsigned n_outer, n_inner;

	if (a->kind == PG_MATCH_COMMENT)
		return true;
	n_outer = ports_of(a, &outer);
	n_inner = ports_of(b, &inner);
	for (unsigned i = 0; i < n_inner; i++) {
		unsigned o = 0;

		while (o < n_outer && (inner[i].lo < outer[o].lo || inner[i].hi > outer[o].hi))
			o++;
		if (o == n_outer)
			return false;
	}
	return n_outer && n_inner;
}

/* Does a packet end with this rule of INPUT? In a chain it may end or not. */
static bool decides(const struct pg_rule *rule)
{
	return rule->target == PG_TARGET_ACCEPT || rule->target == PG_TARGET_DROP ||
	       rule->target == PG_TARGET_REJECT || rule->target == PG_TARGET_RETURN;
}

/* Would `a`, standing first, decide about every packet that `b` is for? */
static bool covers(const struct pg_rule *a, const struct pg_rule *b)
{
	if (!decides(a) || pg_rule_families(b) & ~pg_rule_families(a))
		return false;
	if (a->proto && (a->proto_invert || a->proto != b->proto))
		return false;
	if (a->fragment_set || a->out.set)
		return false;
	if (a->in.set && (a->in.invert || !b->in.set || strcmp(a->in.name, b->in.name)))
		return false;
	if (!addr_covers(&a->src, &b->src) || !addr_covers(&a->dst, &b->dst))
		return false;
	for (size_t i = 0; i < a->n_match; i++)
		if (!match_covers(&a->match[i], &b->match[0]))
			return false;
	return true;
}

static void log_rule(struct pg_text *log, const char *verb, size_t num, const struct pg_rule *rule)
{
	pg_text_add(log, "%s INPUT ", verb);
	if (num)
		pg_text_add(log, "%zu ", num);
	pg_rule_print(log, rule, 0);
	pg_text_add(log, "\n");
}

static bool same_but_target(const struct pg_rule *a, const struct pg_rule *b)
{
	struct pg_rule other = *b; /* shares what b owns, and is not freed */

	other.target = a->target;
	other.args = a->args;
	return pg_rule_equal(a, &other);
}

static int add(struct pg_chain *chain, const struct pg_rule *rule, struct pg_text *log,
	       bool *changed)
{
	size_t at = 0;

	while (at < chain->n_rules && !covers(&chain->rule[at], rule))
		at++;
	if (at < chain->n_rules && pg_rule_equal(&chain->rule[at], rule)) {
		log_rule(log, "# already there: -A", 0, rule);
		return 0;
	}
	*changed = true;
	if (at == chain->n_rules) {
		log_rule(log, "-A", 0, rule);
	} else if (same_but_target(&chain->rule[at], rule)) {
		log_rule(log, "-R", at + 1, rule);
		pg_chain_remove(chain, at);
	} else {
		log_rule(log, "-I", at + 1, rule);
	}
	return pg_chain_insert(chain, at, rule);
}

int pg_short_add(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		 bool *ret_changed, struct pg_diag *diag)
{
	bool changed = false;

	for (size_t c = 0; c < s->n; c++)
		for (size_t i = 0; i < s->cmd[c].n_rules; i++)
			if (add(&set->chain[PG_CHAIN_INPUT], &s->cmd[c].rule[i], log, &changed) < 0)
				return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	*ret_changed = changed;
	return 0;
}

int pg_short_remove(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		    struct pg_diag *diag)
{
	struct pg_chain *chain = &set->chain[PG_CHAIN_INPUT];
	size_t removed = 0;

	for (size_t c = 0; c < s->n; c++) {
		for (size_t i = 0; i < s->cmd[c].n_rules; i++) {
			const struct pg_rule *rule = &s->cmd[c].rule[i];
			size_t at = 0;

			while (at < chain->n_rules && !pg_rule_equal(&chain->rule[at], rule))
				at++;
			if (at == chain->n_rules)
				continue;
			log_rule(log, "-D", 0, rule);
			pg_chain_remove(chain, at);
			removed++;
		}
	}
	if (!removed)
		return pg_diag(diag, PG_DIAG_FAILED, NULL,
			       "Bad rule (does a matching rule exist in that chain?).");
	return 0;
}
