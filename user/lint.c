/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lint.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#include "chains.h"
#include "compile.h"
#include "cover.h"
#include "lex.h"
#include "match.h"
#include "print.h"
#include "rulefile.h"

#define PG_NAME_LINT(sym, name, error) [PG_LINT_##sym] = name,
#define PG_ERROR_LINT(sym, name, error) [PG_LINT_##sym] = error,
static const char *const names[_PG_LINT_MAX] = { PG_LINTS(PG_NAME_LINT) };
static const bool errors[_PG_LINT_MAX] = { PG_LINTS(PG_ERROR_LINT) };

/* A rule in its place. */
struct place {
	struct pg_cover cover;
	uint32_t chain;
	bool never;    /* it matches nothing, and that was said */
	bool shadowed; /* likewise: it gets nothing */
	uint32_t next[2]; /* with the same hash: of what it may cover, of the whole rule */
};
#define NO_PLACE UINT32_MAX

enum { BY_COVER, BY_RULE };
struct index {
	uint32_t *head, *tail; /* by hash */
	uint32_t mask;
};

struct linter {
	struct pg_lint *lint;
	struct pg_ruleset *set;
	struct place *place; /* all rules, chain by chain */
	size_t n;
	struct index index[2];
	unsigned *reach; /* as pg_chains_reach() has it; NULL: there is a loop */
	unsigned families;
};

/* Reporting ------------------------------------------------------------------------------------ */

static void report(struct pg_lint *lint, enum pg_lint_code code, struct pg_pos pos, const char *fmt,
		   ...) _printf_(4, 5);
static void report(struct pg_lint *lint, enum pg_lint_code code, struct pg_pos pos, const char *fmt,
		   ...)
{
	struct pg_lint_problem *more;
	char text[1024], *shown = malloc(sizeof(text));
	va_list ap;

	/* Room for twice as many whenever their number is a power of two. */
	if (!(lint->n & (lint->n - 1))) {
		more = reallocarray(lint->problem, lint->n ? lint->n * 2 : 1, sizeof(*more));
		if (more)
			lint->problem = more;
		lint->oom |= !more;
	}
	lint->oom |= !shown;
	if (lint->oom) {
		free(shown);
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	lint->problem[lint->n++] = (struct pg_lint_problem){
		.pos = pos,
		.code = code,
		.text = pg_printable(text, shown, sizeof(text)),
	};
}

static void report_rule(struct linter *l, enum pg_lint_code code, const struct place *p,
			const struct pg_match *m, const char *text)
{
	report(l->lint, code, m && m->pos.line ? m->pos : p->cover.rule->pos, "%s", text);
}

/* What the reader finds ------------------------------------------------------------------------ */

/* The protocol that an option's match needs; NULL: no match that -p loads has it. */
static const char *needed_proto(const char *option)
{
	for (int k = 0; k < _PG_MATCH_MAX; k++) {
		const struct pg_match_row *row = &pg_match_rows[k];

		for (const struct pg_match_option *o = row->option; row->implied && o && o->name; o++)
			if (!strcmp(o->name, option))
				return pg_proto_name(row->protos[0]);
	}
	return NULL;
}

/* The line says -p, and so an option of another protocol's contradicts it. */
static bool names_proto(const char *line, size_t n)
{
	struct pg_args args = {};
	struct pg_diag diag;
	bool found = false;

	if (!pg_lex(line, n, (struct pg_pos){ 1, 1 }, &args, &diag))
		for (size_t i = 0; i < args.n; i++)
			found |= !strcmp(args.arg[i].text, "-p") ||
				 !strncmp(args.arg[i].text, "--proto", 7);
	pg_args_free(&args);
	return found;
}

/*
 * iptables notices some contradictions while it reads, each in words of its own; here they get the
 * code that they have where they are found later.
 */
static enum pg_lint_code code_of(const char *text, const char *line, size_t n,
				 const char **ret_proto)
{
	static const struct {
		const char *part;
		enum pg_lint_code code;
	} known[] = {
		{ "needs `-p", PG_LINT_CONTRADICTION },
		{ "can never match", PG_LINT_CONTRADICTION },
		{ "Can't use -", PG_LINT_CONTRADICTION },
		{ "min > max", PG_LINT_CONTRADICTION },
	};
	char option[64];

	if (sscanf(text, "unknown option \"--%63[^\"]\"", option) == 1 && names_proto(line, n)) {
		*ret_proto = needed_proto(option);
		if (*ret_proto)
			return PG_LINT_CONTRADICTION;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(text, known[i].part))
			return known[i].code;
	return PG_LINT_SYNTAX;
}

static void take_problem(void *arg, enum pg_problem what, struct pg_pos pos, const char *text,
			 const char *line, size_t n)
{
	struct pg_lint *lint = arg;
	const char *proto = NULL;
	enum pg_lint_code code = PG_LINT_UNSUPPORTED;

	if (what == PG_PROBLEM_SYNTAX)
		code = code_of(text, line, n, &proto);
	else if (what == PG_PROBLEM_WARNING)
		code = PG_LINT_NOT_ENFORCED;
	if (proto)
		report(lint, code, pos, "%s: it needs `-p %s'", text, proto);
	else
		report(lint, code, pos, "%s", text);
}

/* Conditions ----------------------------------------------------------------------------------- */

/* The last match of a rule that `is` holds for, where a problem with several of them shows. */
static const struct pg_match *last_match(const struct pg_rule *rule,
					 bool (*is)(const struct pg_match *m))
{
	for (size_t i = rule->n_match; i--;)
		if (is(&rule->match[i]))
			return &rule->match[i];
	return NULL;
}

static bool is_ports(const struct pg_match *m)
{
	return pg_match_has_ports(m) || m->kind == PG_MATCH_MULTIPORT;
}

static bool is_icmp(const struct pg_match *m)
{
	return m->kind == PG_MATCH_ICMP || m->kind == PG_MATCH_ICMP6;
}

static bool is_state(const struct pg_match *m)
{
	return m->kind == PG_MATCH_STATE || m->kind == PG_MATCH_CONNTRACK;
}

/* SNAT, DNAT, or `!` and all states. */
static bool is_never_state(const struct pg_match *m)
{
	return !pg_match_states(m);
}

/* Conditions of several matches. True: they exclude each other, and it was said. */
static bool check_together(struct linter *l, const struct place *p)
{
	const struct pg_cover *c = &p->cover;
	bool no_icmp = !c->complex && (!c->icmp[PG_FAMILY_V4].n || !c->icmp[PG_FAMILY_V6].n);

	if (c->no_ports)
		report_rule(l, PG_LINT_CONTRADICTION, p, last_match(c->rule, is_ports),
			    "conditions on ports exclude each other");
	if (no_icmp)
		report_rule(l, PG_LINT_CONTRADICTION, p, last_match(c->rule, is_icmp),
			    "conditions on ICMP types exclude each other");
	if (!c->states && last_match(c->rule, is_never_state))
		report_rule(l, PG_LINT_NEVER_MATCHES, p, last_match(c->rule, is_never_state),
			    "portguard does no NAT: no packet has such a state");
	else if (!c->states)
		report_rule(l, PG_LINT_CONTRADICTION, p, last_match(c->rule, is_state),
			    "conditions on states exclude each other");
	return c->no_ports || no_icmp || !c->states;
}

static bool is_reversed(const struct pg_u32_range *range)
{
	return range->set && !range->invert && range->lo > range->hi;
}

static bool is_reversed_ip(const struct pg_match *m)
{
	return (m->iprange.src_set && !m->iprange.src_invert &&
		memcmp(m->iprange.src_lo, m->iprange.src_hi, 16) > 0) ||
	       (m->iprange.dst_set && !m->iprange.dst_invert &&
		memcmp(m->iprange.dst_lo, m->iprange.dst_hi, 16) > 0);
}

/* Why one match holds for no packet; NULL: it may. */
static const char *never_holds(const struct pg_match *m)
{
	static const char reversed[] = "the range is reversed: nothing is in it";

	switch (m->kind) {
	case PG_MATCH_LENGTH:
	case PG_MATCH_TCPMSS:
	case PG_MATCH_ESP:
		return is_reversed(&m->range) ? reversed : NULL;
	case PG_MATCH_AH:
		return is_reversed(&m->ah.spi) || is_reversed(&m->ah.len) ? reversed : NULL;
	case PG_MATCH_FRAG:
		return is_reversed(&m->frag.id) || is_reversed(&m->frag.len) ? reversed : NULL;
	case PG_MATCH_RT:
		return is_reversed(&m->rt.type) || is_reversed(&m->rt.segsleft) ||
				       is_reversed(&m->rt.len) ?
			       reversed :
			       NULL;
	case PG_MATCH_IPRANGE:
		return is_reversed_ip(m) ? reversed : NULL;
	case PG_MATCH_TTL:
	case PG_MATCH_HL:
		return (m->ttl.op == PG_TTL_LT && !m->ttl.value) ||
				       (m->ttl.op == PG_TTL_GT && m->ttl.value == 255) ?
			       "no packet has such a TTL" :
			       NULL;
	default:
		return NULL;
	}
}

static bool check_alone(struct linter *l, const struct place *p)
{
	const struct pg_rule *rule = p->cover.rule;
	bool never = false;

	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match *m = &rule->match[i];
		const char *why = never_holds(m);

		if (m->kind == PG_MATCH_TCP && m->ports.flags_set && !m->ports.flags_invert &&
		    m->ports.flags_comp & ~m->ports.flags_mask) {
			report_rule(l, PG_LINT_CONTRADICTION, p, m,
				    "--tcp-flags wants flags set that are not among those it looks at");
			never = true;
		} else if (why) {
			report_rule(l, PG_LINT_NEVER_MATCHES, p, m, why);
			never = true;
		}
	}
	return never;
}

/* `! -s 0.0.0.0/0` */
static bool is_nobody(const struct pg_addr *addr)
{
	static const uint8_t zero[16];

	return addr->set && addr->invert &&
	       !memcmp(addr->mask, zero, addr->family == PG_V4 ? 4 : 16);
}

static bool check_head(struct linter *l, const struct place *p)
{
	const unsigned from_outside = 1U << PG_CHAIN_INPUT | 1U << PG_CHAIN_RAW_PREROUTING;
	const unsigned from_inside = 1U << PG_CHAIN_OUTPUT | 1U << PG_CHAIN_RAW_OUTPUT;
	const struct pg_rule *rule = p->cover.rule;
	unsigned reach = l->reach ? l->reach[p->chain] : 0;
	const char *why = NULL;

	if (is_nobody(&rule->src) || is_nobody(&rule->dst))
		why = "every address is excluded";
	else if (rule->in.set && !rule->in.invert && reach && !(reach & ~from_inside))
		why = "what OUTPUT sees has come in by no interface";
	else if (rule->out.set && !rule->out.invert && reach && !(reach & ~from_outside))
		why = "what INPUT sees goes out by no interface";
	else if ((rule->in.set && rule->in.invert && !strcmp(rule->in.name, "+")) ||
		 (rule->out.set && rule->out.invert && !strcmp(rule->out.name, "+")))
		why = "every interface is excluded";
	if (why)
		report_rule(l, PG_LINT_NEVER_MATCHES, p, NULL, why);
	return why;
}

static void check_conditions(struct linter *l, struct place *p)
{
	p->never = check_together(l, p);
	p->never |= check_alone(l, p);
	p->never |= check_head(l, p);
}

/* Earlier rules -------------------------------------------------------------------------------- */

static uint32_t hash(uint32_t h, const void *data, size_t n)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 16777619;
	return h;
}

static bool is_one_address(const struct pg_addr *addr)
{
	static const uint8_t ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
					  255, 255, 255, 255, 255, 255, 255, 255 };

	return addr->set && !addr->invert &&
	       !memcmp(addr->mask, ones, addr->family == PG_V4 ? 4 : 16);
}

/*
 * A rule for one port or one address can cover only rules for the same one. So the earlier rules
 * that may cover a rule are in four lists: by its port, by its addresses, and the others.
 */
enum { BY_DPORT, BY_SADDR, BY_DADDR, BY_NOTHING, _BY_MAX };
static bool key_of(const struct place *p, int by, uint32_t *ret)
{
	const struct pg_cover *c = &p->cover;
	const struct pg_addr *addr = by == BY_SADDR ? &c->rule->src : &c->rule->dst;
	uint32_t h = hash(2166136261U, &p->chain, sizeof(p->chain));

	h = hash(h, &by, sizeof(by));
	if (by == BY_DPORT) {
		if (c->complex || c->dport.n != 1 || c->dport.r[0].lo != c->dport.r[0].hi)
			return false;
		h = hash(h, &c->dport.r[0].lo, sizeof(c->dport.r[0].lo));
	} else if (by != BY_NOTHING) {
		if (!is_one_address(addr))
			return false;
		h = hash(h, addr->addr, addr->family == PG_V4 ? 4 : 16);
	}
	*ret = h;
	return true;
}

static void index_add(struct linter *l, int which, uint32_t key, uint32_t at)
{
	struct index *index = &l->index[which];
	uint32_t slot = key & index->mask;

	l->place[at].next[which] = NO_PLACE;
	if (index->head[slot] == NO_PLACE)
		index->head[slot] = at;
	else
		l->place[index->tail[slot]].next[which] = at;
	index->tail[slot] = at;
}

static int index_make(struct index *index, size_t n)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	index->mask = size - 1;
	index->head = malloc(size * sizeof(*index->head));
	index->tail = malloc(size * sizeof(*index->tail));
	if (!index->head || !index->tail)
		return -ENOMEM;
	memset(index->head, 0xff, size * sizeof(*index->head));
	return 0;
}

/* The first earlier rule that decides for all that `p` matches; NO_PLACE: none. */
static uint32_t find_cover(const struct linter *l, const struct place *p)
{
	const struct index *index = &l->index[BY_COVER];
	uint32_t first = NO_PLACE, key;

	for (int by = 0; by < _BY_MAX; by++) {
		if (!key_of(p, by, &key))
			continue;
		for (uint32_t i = index->head[key & index->mask]; i < first;
		     i = l->place[i].next[BY_COVER])
			if (l->place[i].chain == p->chain &&
			    pg_covers(&l->place[i].cover, &p->cover))
				first = i;
	}
	return first;
}

static uint32_t rule_key(const struct place *p, struct pg_text *t)
{
	t->len = 0;
	pg_rule_print(t, p->cover.rule, 0);
	return hash(hash(2166136261U, &p->chain, sizeof(p->chain)), t->buf, t->len);
}

static uint32_t find_same(const struct linter *l, const struct place *p, uint32_t key)
{
	const struct index *index = &l->index[BY_RULE];
	uint32_t i = index->head[key & index->mask];

	while (i != NO_PLACE && (l->place[i].chain != p->chain ||
				 !pg_rule_equal(l->place[i].cover.rule, p->cover.rule)))
		i = l->place[i].next[BY_RULE];
	return i;
}

static bool same_target(const struct pg_rule *a, const struct pg_rule *b)
{
	return a->target == b->target && a->is_goto == b->is_goto && !strcmp(a->chain, b->chain) &&
	       (a->target != PG_TARGET_REJECT || a->args.reject == b->args.reject);
}

static void report_cover(struct linter *l, struct place *p, const struct place *by)
{
	const struct pg_rule *rule = by->cover.rule;
	_cleanup_(pg_text_free) struct pg_text t = {};

	p->shadowed = true;
	if (same_target(rule, p->cover.rule) && pg_covers(&p->cover, &by->cover)) {
		report(l->lint, PG_LINT_DUPLICATE, p->cover.rule->pos, "the same as line %u",
		       rule->pos.line);
		return;
	}
	pg_rule_print(&t, rule, 0);
	l->lint->oom |= t.oom;
	if (pg_rule_takes_all(rule))
		report(l->lint, PG_LINT_SHADOWED, p->cover.rule->pos,
		       "no packet gets here: line %u takes all of them (%s)", rule->pos.line,
		       t.buf ? t.buf : "");
	else
		report(l->lint, PG_LINT_SHADOWED, p->cover.rule->pos,
		       "line %u takes all its packets before (%s)", rule->pos.line,
		       t.buf ? t.buf : "");
}

static void check_earlier(struct linter *l)
{
	_cleanup_(pg_text_free) struct pg_text t = {};

	for (uint32_t i = 0; i < l->n && !l->lint->oom; i++) {
		struct place *p = &l->place[i];
		uint32_t key = rule_key(p, &t), cover_key, same, cover;
		int by = 0;

		if (p->never)
			continue;
		same = p->cover.pure ? find_same(l, p, key) : NO_PLACE;
		cover = same == NO_PLACE ? find_cover(l, p) : NO_PLACE;
		if (same != NO_PLACE) {
			p->shadowed = true;
			report(l->lint, PG_LINT_DUPLICATE, p->cover.rule->pos,
			       "the same as line %u", l->place[same].cover.rule->pos.line);
			continue;
		}
		index_add(l, BY_RULE, key, i);
		if (cover != NO_PLACE) {
			report_cover(l, p, &l->place[cover]);
			continue;
		}
		while (!key_of(p, by, &cover_key))
			by++;
		if (p->cover.decides)
			index_add(l, BY_COVER, cover_key, i);
	}
	l->lint->oom |= t.oom;
}

/* Chains --------------------------------------------------------------------------------------- */

static void check_chains(struct linter *l)
{
	for (size_t i = PG_CHAINS_BUILTIN; i < l->set->n_chains; i++) {
		const struct pg_chain *chain = &l->set->chain[i];

		if (!pg_chain_references(l->set, chain))
			report(l->lint, PG_LINT_UNUSED, chain->pos, "no rule leads to chain `%s'",
			       chain->name);
		else if (l->reach && !l->reach[i])
			report(l->lint, PG_LINT_UNREACHABLE, chain->pos,
			       "no built-in chain leads to chain `%s'", chain->name);
	}
}

/* Being locked out ----------------------------------------------------------------------------- */

/* A rule that accepts something that comes from outside. */
static bool lets_in(const struct linter *l, const struct place *p, unsigned family)
{
	const struct pg_rule *rule = p->cover.rule;

	return rule->target == PG_TARGET_ACCEPT && !p->never && !p->shadowed &&
	       p->cover.families & family && l->reach[p->chain] & 1U << PG_CHAIN_INPUT &&
	       !(rule->in.set && !rule->in.invert && !strcmp(rule->in.name, "lo"));
}

static bool has_proto(const struct pg_rule *rule, uint8_t proto)
{
	return !rule->proto || (rule->proto == proto) != rule->proto_invert;
}

/* SSH's port, or what is established already. 49152 stands for the ports that clients have. */
static bool lets_ssh_in(const struct linter *l, const struct place *p, unsigned family)
{
	const struct pg_cover *c = &p->cover;

	return lets_in(l, p, family) && has_proto(c->rule, IPPROTO_TCP) &&
	       c->states & (PG_CT_NEW | PG_CT_ESTABLISHED) &&
	       (c->complex || (pg_ranges_have(&c->sport, 49152) && pg_ranges_have(&c->dport, 22)));
}

/* Connection tracking does not know these: for rules they are UNTRACKED. */
static bool lets_neighbour_in(const struct linter *l, const struct place *p, uint8_t type)
{
	const struct pg_cover *c = &p->cover;

	return lets_in(l, p, PG_V6) && has_proto(c->rule, IPPROTO_ICMPV6) &&
	       c->states & PG_CT_UNTRACKED &&
	       (c->complex || pg_ranges_have(&c->icmp[PG_FAMILY_V6], (uint16_t)(type << 8)));
}

/* Where what no rule accepts is dropped: INPUT's policy, or its rule that takes the rest. */
static bool find_end(const struct linter *l, struct pg_pos *ret)
{
	const struct pg_chain *input = &l->set->chain[PG_CHAIN_INPUT];

	for (size_t i = 0; i < input->n_rules; i++) {
		const struct pg_rule *rule = &input->rule[i];

		if (!pg_rule_takes_all(rule))
			continue;
		*ret = rule->pos;
		if (rule->target == PG_TARGET_DROP || rule->target == PG_TARGET_REJECT)
			return true;
		if (rule->target == PG_TARGET_ACCEPT)
			return false;
	}
	*ret = input->pos;
	return input->policy == PG_TARGET_DROP;
}

static void check_lockout(struct linter *l)
{
	unsigned family = l->families & PG_V4 ? PG_V4 : PG_V6;
	bool ssh = false, solicit = false, advert = false, any6 = false;
	struct pg_pos end;

	if (!l->reach || !find_end(l, &end))
		return;
	for (size_t i = 0; i < l->n; i++) {
		const struct place *p = &l->place[i];

		ssh |= lets_ssh_in(l, p, family);
		any6 |= lets_in(l, p, PG_V6);
		solicit |= lets_neighbour_in(l, p, 135);
		advert |= lets_neighbour_in(l, p, 136);
	}
	if (!ssh)
		report(l->lint, PG_LINT_LOCKOUT, end,
		       "INPUT drops what no rule accepts, and none accepts TCP port 22 or what is "
		       "ESTABLISHED: you may lock yourself out");
	if (l->families & PG_V6 && any6 && !(solicit && advert))
		report(l->lint, PG_LINT_NO_NEIGHBOURS, end,
		       "INPUT drops what no rule accepts, and none accepts ICMPv6 types 135 and 136: "
		       "without neighbour discovery nobody reaches this host by IPv6");
}

/* All of it ------------------------------------------------------------------------------------ */

static int make_places(struct linter *l)
{
	size_t n = 0;
	int r = 0;

	for (size_t c = 0; c < l->set->n_chains; c++)
		n += l->set->chain[c].n_rules;
	l->place = calloc(n + 1, sizeof(*l->place));
	if (!l->place)
		return -ENOMEM;
	for (size_t c = 0; c < l->set->n_chains; c++) {
		for (size_t k = 0; !r && k < l->set->chain[c].n_rules; k++) {
			struct place *p = &l->place[l->n++];

			p->chain = c;
			r = pg_cover_make(&l->set->chain[c].rule[k], &p->cover);
		}
	}
	return r ?: index_make(&l->index[BY_COVER], n) ?: index_make(&l->index[BY_RULE], n);
}

static int find_reach(struct linter *l)
{
	size_t loop;
	int r;

	l->reach = calloc(l->set->n_chains, sizeof(*l->reach));
	r = l->reach ? pg_chains_reach(l->set, l->reach, &loop) : -ENOMEM;
	if (r > 0) { /* which the reader has reported */
		free(l->reach);
		l->reach = NULL;
	}
	return r < 0 ? r : 0;
}

/* What reads well may still have no room. Where something is wrong already, a part of the policy is missing. */
static void check_size(struct linter *l)
{
	struct pg_pos where = { 1, 1 };
	struct pg_err err = { 0 };
	int r;

	if (pg_lint_has_errors(l->lint))
		return;
	r = pg_compile_test(l->set, &where, &err);
	if (r == -ENOMEM)
		l->lint->oom = true;
	else if (r)
		report(l->lint, r == -E2BIG ? PG_LINT_TOO_LARGE : PG_LINT_UNSUPPORTED, where, "%s", err.text);
}

static int check(struct linter *l)
{
	int r = make_places(l) ?: find_reach(l);

	if (r)
		return r;
	for (size_t i = 0; i < l->n; i++)
		check_conditions(l, &l->place[i]);
	check_earlier(l);
	check_chains(l);
	check_lockout(l);
	check_size(l);
	return l->lint->oom ? -ENOMEM : 0;
}

static void linter_clear(struct linter *l)
{
	for (size_t i = 0; i < l->n; i++)
		pg_cover_clear(&l->place[i].cover);
	for (size_t i = 0; i < ARRAY_SIZE(l->index); i++) {
		free(l->index[i].head);
		free(l->index[i].tail);
	}
	free(l->place);
	free(l->reach);
	pg_ruleset_free(l->set);
}

static int by_place(const void *a, const void *b)
{
	const struct pg_lint_problem *x = a, *y = b;

	if (x->pos.line != y->pos.line)
		return x->pos.line < y->pos.line ? -1 : 1;
	if (x->pos.column != y->pos.column)
		return x->pos.column < y->pos.column ? -1 : 1;
	return (x->code > y->code) - (x->code < y->code);
}

/* A line with a list of addresses is several rules, which have the same problem. */
static void sort(struct pg_lint *lint)
{
	size_t kept = 0;

	if (lint->n)
		qsort(lint->problem, lint->n, sizeof(*lint->problem), by_place);
	for (size_t i = 0; i < lint->n; i++) {
		if (kept && !by_place(&lint->problem[kept - 1], &lint->problem[i]))
			free(lint->problem[i].text);
		else
			lint->problem[kept++] = lint->problem[i];
	}
	lint->n = kept;
}

int pg_lint_file(const char *text, size_t n, unsigned family, struct pg_lint *ret,
		 struct pg_err *err)
{
	const struct pg_problems problems = { .found = take_problem, .arg = ret };
	const struct pg_rulefile_opts opts = { .problems = &problems, .family = family };
	_cleanup_(linter_clear) struct linter l = {
		.lint = ret,
		.families = family ? family : PG_V46,
	};
	struct pg_notes notes = {};
	int r = pg_rulefile_parse(text, n, &opts, &l.set, &notes, err);

	pg_notes_free(&notes);
	if (r < 0)
		return r;
	r = check(&l);
	sort(ret);
	return r ? pg_fail(err, r, "out of memory") : 0;
}

const char *pg_lint_name(enum pg_lint_code code)
{
	return names[code];
}

bool pg_lint_is_error(enum pg_lint_code code)
{
	return errors[code];
}

bool pg_lint_has_errors(const struct pg_lint *lint)
{
	for (size_t i = 0; i < lint->n; i++)
		if (errors[lint->problem[i].code])
			return true;
	return false;
}

void pg_lint_free(struct pg_lint *lint)
{
	for (size_t i = 0; i < lint->n; i++)
		free(lint->problem[i].text);
	free(lint->problem);
	*lint = (struct pg_lint){};
}

void pg_lint_print(struct pg_text *t, const struct pg_lint *lint, const char *name)
{
	for (size_t i = 0; i < lint->n; i++) {
		const struct pg_lint_problem *p = &lint->problem[i];

		pg_text_add(t, "%s:%u:%u: %s: %s [%s]\n", name, p->pos.line, p->pos.column,
			    errors[p->code] ? "error" : "warning", p->text, names[p->code]);
	}
}
