/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "match.h"
#include "print.h"
#include "short.h"

/* From this many new connections of one address within this many seconds, as ufw has it. */
#define LIMIT_CONNECTIONS "6"
#define LIMIT_SECONDS "30"

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

/* What iptables would say of it speaks of an option that nobody has typed. */
static int refuse_portless(const struct words *w, struct pg_diag *diag)
{
	static const char *const portless[] = { "icmp", "icmpv6", "ipv6-icmp", "esp", "ah", "gre", "all" };

	for (size_t i = 0; w->proto && i < ARRAY_SIZE(portless); i++)
		if (!strcasecmp(w->proto, portless[i]))
			return pg_diag(diag, PG_DIAG_PARAM, NULL, "protocol `%s' has no ports",
				       w->proto);
	return 0;
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
	if (m->kind > PG_MATCH_DCCP || m->ports.dport.invert || sport->invert || sport->lo ||
	    sport->hi != 65535)
		return 0;
	if (m->ports.flags_set || m->ports.option.set || m->ports.dccp_types_set || m->ports.chunks)
		return 0;
	*ret = &m->ports.dport;
	return 1;
}

/* What all rules of the words begin with. */
static size_t add_words(const struct words *w, const char *proto, struct pg_arg *arg)
{
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
	return n;
}

/* The rule in iptables' words, through iptables' parser: there is only one. NULL ends `more`. */
static int make(const struct words *w, const char *proto, const char *const *more,
		struct pg_command *ret, struct pg_diag *diag)
{
	const struct pg_parse_from from = { .file = false };
	struct pg_arg arg[32] = {};
	size_t n = add_words(w, proto, arg);

	while (*more)
		arg[n++].text = *more++;
	return pg_command_parse(arg, n, &from, ret, diag);
}

/* A list of recent for these ports, whichever way they were written: "limit-tcp-80-8000_8010". */
static void list_name(struct pg_text *t, const struct pg_rule *rule)
{
	const struct pg_port_range *range;
	unsigned n = ports_of(&rule->match[0], &range);

	pg_text_add(t, "limit-%s", pg_proto_name(rule->proto));
	for (unsigned i = 0; i < n; i++) {
		pg_text_add(t, "-%u", range[i].lo);
		if (range[i].lo != range[i].hi)
			pg_text_add(t, "_%u", range[i].hi);
	}
}

static void part_free(struct pg_short_rules *part)
{
	for (size_t i = 0; i < PG_SHORT_WATCH; i++)
		pg_command_free(&part->watch[i]);
	pg_command_free(&part->decide);
}

static int make_part(const struct words *w, const char *proto, enum pg_short_kind kind,
		     struct pg_short_rules *ret, struct pg_diag *diag)
{
	_cleanup_(pg_text_free) struct pg_text name = {};
	const char *const decide[] = { "-j", kind == PG_SHORT_DENY ? "DROP" : "ACCEPT", NULL };
	struct pg_short_rules part = {};
	int r = make(w, proto, decide, &part.decide, diag);

	if (r < 0)
		return r;
	list_name(&name, &part.decide.rule[0]);
	if (name.oom) {
		r = pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	} else {
		const char *const note[] = { "-m", "conntrack", "--ctstate", "NEW", "-m", "recent",
					     "--set", "--name", name.buf, NULL };
		const char *const drop[] = { "-m", "conntrack", "--ctstate", "NEW", "-m", "recent",
					     "--update", "--seconds", LIMIT_SECONDS, "--hitcount",
					     LIMIT_CONNECTIONS, "--name", name.buf, "-j", "DROP",
					     NULL };

		r = make(w, proto, note, &part.watch[0], diag);
		if (!r)
			r = make(w, proto, drop, &part.watch[1], diag);
	}
	if (r < 0)
		part_free(&part);
	else
		*ret = part;
	return r;
}

/* `ssh' is TCP's alone, though -p udp takes the name of any service. */
static int check_services(const struct words *w, const char *proto, struct pg_diag *diag)
{
	char buf[sizeof(w->buf)], *next = buf;
	uint16_t port;
	int r = 0;

	snprintf(buf, sizeof(buf), "%s", w->ports);
	for (char *one; !r && (one = strsep(&next, ",:"));)
		if (*one)
			r = pg_port_parse(one, proto, 10, NULL, &port, diag);
	return r;
}

int pg_short_parse(char *const *word, size_t n, enum pg_short_kind kind, struct pg_short *ret,
		   struct pg_diag *diag)
{
	static const char *const protos[PG_SHORT_MAX] = { "tcp", "udp" };
	struct pg_short s = { .kind = kind };
	struct words w = {};
	int r = read_words(word, n, &w, diag), last = 0;

	if (!r)
		r = refuse_portless(&w, diag);
	if (r < 0)
		return r;
	if (w.proto) {
		r = make_part(&w, w.proto, kind, &s.part[0], diag);
		if (!r)
			s.n = 1;
	}
	for (size_t i = 0; !w.proto && i < PG_SHORT_MAX; i++) {
		last = check_services(&w, protos[i], diag) ?: make_part(&w, protos[i], kind, &s.part[s.n], diag);
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
		part_free(&s->part[i]);
	s->n = 0;
}

/* Does `a` hold for every address that `b` holds for? */
static bool addr_covers(const struct pg_addr *a, const struct pg_addr *b)
{
	if (!a->set)
		return true;
	return !a->invert && b->set && !b->invert && pg_prefix_covers(a, b);
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

/* Is match `a` for no packet to the ports of `b`, which is one of a short form, that begins a connection? */
static bool is_apart(const struct pg_match *a, const struct pg_match *b)
{
	const struct pg_port_range *mine = NULL, *its = NULL;
	unsigned n_mine = ports_of(a, &mine), n_its = ports_of(b, &its);

	if (a->kind == PG_MATCH_STATE || a->kind == PG_MATCH_CONNTRACK)
		return a->conntrack.given & 1U << PG_CT_PART_STATE &&
		       !(a->conntrack.inverted & 1U << PG_CT_PART_STATE) ==
			       !(a->conntrack.states & PG_CT_NEW);
	for (unsigned i = 0; i < n_mine; i++)
		for (unsigned k = 0; k < n_its; k++)
			if (mine[i].lo <= its[k].hi && its[k].lo <= mine[i].hi)
				return false;
	return n_mine && n_its;
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

/* Do the rules that watch stand right before rule `at`? */
static bool is_watched(const struct pg_chain *chain, size_t at, const struct pg_short_rules *part,
		       size_t i)
{
	if (at < PG_SHORT_WATCH)
		return false;
	for (size_t k = 0; k < PG_SHORT_WATCH; k++)
		if (!pg_rule_equal(&chain->rule[at - PG_SHORT_WATCH + k], &part->watch[k].rule[i]))
			return false;
	return true;
}

/* -D with a specification takes the first such rule; where that is another one, by its number. */
static void remove_rule(struct pg_chain *chain, size_t at, struct pg_text *log)
{
	size_t first = 0;

	while (!pg_rule_equal(&chain->rule[first], &chain->rule[at]))
		first++;
	if (first == at)
		log_rule(log, "-D", 0, &chain->rule[at]);
	else
		pg_text_add(log, "-D INPUT %zu\n", at + 1);
	pg_chain_remove(chain, at);
}

static int insert_rule(struct pg_chain *chain, size_t at, const struct pg_rule *rule,
		       struct pg_text *log)
{
	if (at == chain->n_rules)
		log_rule(log, "-A", 0, rule);
	else
		log_rule(log, "-I", at + 1, rule);
	return pg_chain_insert(chain, at, rule);
}

/* The rule that decides, at its place: replaced, or new. */
static int put_decision(struct pg_chain *chain, size_t at, const struct pg_rule *rule,
			struct pg_text *log)
{
	if (at == chain->n_rules || !same_but_target(&chain->rule[at], rule))
		return insert_rule(chain, at, rule, log);
	if (pg_rule_equal(&chain->rule[at], rule))
		return 0;
	log_rule(log, "-R", at + 1, rule);
	pg_chain_remove(chain, at);
	return pg_chain_insert(chain, at, rule);
}

/* Can both be for the same source address? */
static bool addr_meet(const struct pg_addr *a, const struct pg_addr *b)
{
	return !a->set || !b->set || a->invert || b->invert || !pg_prefixes_differ(a, b);
}

/* Can a packet that begins a connection, and that `deny` is for, match `a`? */
static bool meets(const struct pg_rule *a, const struct pg_rule *deny)
{
	if (!(pg_rule_families(a) & pg_rule_families(deny)) || a->out.set ||
	    (a->proto && !a->proto_invert && a->proto != deny->proto) ||
	    !addr_meet(&a->src, &deny->src))
		return false;
	if (a->in.set && !a->in.invert &&
	    (!strcmp(a->in.name, "lo") || (deny->in.set && !strchr(a->in.name, '+') &&
					   !strchr(deny->in.name, '+') && strcmp(a->in.name, deny->in.name))))
		return false;
	for (size_t i = 0; i < a->n_match; i++)
		if (is_apart(&a->match[i], &deny->match[0]))
			return false;
	return true;
}

/* Does a rule let in new connections that `deny` is for? Roughly: some. */
static bool lets_some_in(const struct pg_ruleset *set, const struct pg_rule *a, const struct pg_rule *deny,
			 unsigned depth)
{
	const struct pg_chain *chain;

	if ((a->target != PG_TARGET_ACCEPT && a->target != PG_TARGET_CHAIN) || !depth || !meets(a, deny))
		return false;
	if (a->target == PG_TARGET_ACCEPT)
		return true;
	chain = pg_ruleset_chain(set, PG_TABLE_FILTER, a->chain);
	for (size_t i = 0; chain && i < chain->n_rules; i++)
		if (lets_some_in(set, &chain->rule[i], deny, depth - 1))
			return true;
	return false;
}

/* Does this rule of INPUT? One that leads past those behind it, to the policy, may as well. */
static bool is_opening(const struct pg_ruleset *set, const struct pg_rule *a, const struct pg_rule *deny)
{
	bool ends = a->target == PG_TARGET_RETURN || (a->target == PG_TARGET_CHAIN && a->is_goto);

	return lets_some_in(set, a, deny, 16) ||
	       (ends && set->chain[PG_CHAIN_INPUT].policy == PG_TARGET_ACCEPT && meets(a, deny));
}

/* What `allow` with the same ports has made for an address: it was meant to go before the rest. */
static bool is_exception(const struct pg_rule *a, const struct pg_rule *deny)
{
	struct pg_rule wide = *a; /* shares what a owns, and is not freed */

	wide.src = deny->src;
	return a->target == PG_TARGET_ACCEPT && addr_covers(&deny->src, &a->src) &&
	       same_but_target(&wide, deny);
}

/* Where a denial has to stand, `before` at the latest, so that only exceptions are still let in. */
static size_t ahead_of_openings(const struct pg_ruleset *set, size_t before, const struct pg_rule *deny)
{
	const struct pg_rule *rule = set->chain[PG_CHAIN_INPUT].rule;
	size_t at = 0;

	while (at < before && (is_exception(&rule[at], deny) || !is_opening(set, &rule[at], deny)))
		at++;
	return at;
}

static void log_exceptions(struct pg_text *log, const struct pg_ruleset *set, size_t before,
			   const struct pg_rule *deny)
{
	const struct pg_rule *rule = set->chain[PG_CHAIN_INPUT].rule;

	for (size_t i = 0; i < before; i++) {
		size_t k = is_exception(&rule[i], deny) ? 0 : i + 1;

		while (k < i && !covers(&rule[k], &rule[i]))
			k++;
		if (k == i)
			log_rule(log, "# still lets some in:", i + 1, &rule[i]);
	}
}

/* Rule i of a part. What is there in the same words, by whatever verb, gives way. */
static int add(struct pg_ruleset *set, const struct pg_short *s, const struct pg_short_rules *part,
	       size_t i, struct pg_text *log, bool *changed)
{
	struct pg_chain *chain = &set->chain[PG_CHAIN_INPUT];
	const struct pg_rule *rule = &part->decide.rule[i];
	bool limit = s->kind == PG_SHORT_LIMIT, deny = s->kind == PG_SHORT_DENY, same, watched;
	size_t at = 0, place;
	int r = 0;

	while (at < chain->n_rules && !covers(&chain->rule[at], rule))
		at++;
	same = at < chain->n_rules && same_but_target(&chain->rule[at], rule);
	watched = same && is_watched(chain, at, part, i);
	place = deny ? ahead_of_openings(set, at, rule) : at;
	if (same && place == at && pg_rule_equal(&chain->rule[at], rule) && watched == limit) {
		log_rule(log, "# already there: -A", 0, rule);
		return 0;
	}
	*changed = true;
	if (same && place < at) /* there it is too late */
		remove_rule(chain, at, log);
	for (size_t k = 0; k < PG_SHORT_WATCH && watched && !limit; k++)
		remove_rule(chain, --at, log);
	if (place < at)
		at = place;
	for (size_t k = 0; k < PG_SHORT_WATCH && !watched && limit && !r; k++)
		r = insert_rule(chain, at++, &part->watch[k].rule[i], log);
	if (!r)
		r = put_decision(chain, at, rule, log);
	if (!r && deny)
		log_exceptions(log, set, at, rule);
	return r;
}

int pg_short_add(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		 bool *ret_changed, struct pg_diag *diag)
{
	bool changed = false;

	for (size_t p = 0; p < s->n; p++)
		for (size_t i = 0; i < s->part[p].decide.n_rules; i++)
			if (add(set, s, &s->part[p], i, log, &changed) < 0)
				return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	*ret_changed = changed;
	return 0;
}

/* The first such rule; one that is a limit's is no allow, and the other way round. */
static bool take_out(struct pg_chain *chain, const struct pg_short *s,
		     const struct pg_short_rules *part, size_t i, struct pg_text *log)
{
	bool limit = s->kind == PG_SHORT_LIMIT;

	for (size_t at = 0; at < chain->n_rules; at++) {
		if (!pg_rule_equal(&chain->rule[at], &part->decide.rule[i]) ||
		    is_watched(chain, at, part, i) != limit)
			continue;
		remove_rule(chain, at, log);
		for (size_t k = 0; k < PG_SHORT_WATCH && limit; k++)
			remove_rule(chain, --at, log);
		return true;
	}
	return false;
}

int pg_short_remove(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		    struct pg_diag *diag)
{
	size_t removed = 0;

	for (size_t p = 0; p < s->n; p++)
		for (size_t i = 0; i < s->part[p].decide.n_rules; i++)
			removed += take_out(&set->chain[PG_CHAIN_INPUT], s, &s->part[p], i, log);
	if (!removed)
		return pg_diag(diag, PG_DIAG_FAILED, NULL,
			       "Bad rule (does a matching rule exist in that chain?).");
	return 0;
}
