/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A command as a whole: what does not go together, and one rule for each pair of addresses. */
#include <ctype.h>
#include <string.h>

#include "addr.h"
#include "parser.h"
#include "print.h"
#include "target.h"

static const char *verb_options(enum pg_verb verb)
{
	switch (verb) {
	case PG_VERB_APPEND:
	case PG_VERB_INSERT:
	case PG_VERB_REPLACE:
		return "sdpjviocf";
	case PG_VERB_DELETE:
	case PG_VERB_CHECK:
		return "sdpjviof";
	case PG_VERB_LIST:
		return "nvx0";
	case PG_VERB_POLICY:
		return "vc";
	default:
		return "v";
	}
}

static bool takes_rule(enum pg_verb verb)
{
	return verb == PG_VERB_APPEND || verb == PG_VERB_INSERT || verb == PG_VERB_DELETE ||
	       verb == PG_VERB_REPLACE || verb == PG_VERB_CHECK;
}

static bool is_given(const struct pg_parser *p, char letter)
{
	return p->given & 1U << (strchr(PG_RESTRICTED, letter) - PG_RESTRICTED);
}

unsigned pg_parse_families(const struct pg_parser *p)
{
	unsigned f = p->from->family ? p->from->family : PG_V46;

	return p->cmd.families ? f & p->cmd.families : f;
}

/* The addresses of a comma list; without the option one that is not set. */
static int read_hosts(struct pg_parser *p, const struct pg_hosts *hosts, struct pg_addr **ret,
		      size_t *ret_n)
{
	_free_ char *copy = strdup(hosts->set ? hosts->at.text : "");
	_free_ struct pg_addr *addr = NULL;
	size_t max = 1, n = 0;

	for (const char *c = copy; c && *c; c++)
		max += *c == ',';
	if (copy)
		addr = calloc(max, sizeof(*addr));
	if (!addr)
		return pg_diag(p->diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (!hosts->set)
		n = 1;
	for (char *next = hosts->set ? copy : NULL, *one; (one = strsep(&next, ","));) {
		struct pg_arg at = hosts->at;
		int r;

		while (isspace((unsigned char)*one))
			one++;
		at.pos.column += (unsigned)(one - copy);
		r = pg_addr_parse(one, pg_parse_families(p), &at, &addr[n], p->diag);
		if (r < 0)
			return r;
		addr[n++].invert = hosts->invert;
	}
	*ret = TAKE_PTR(addr);
	*ret_n = n;
	return 0;
}

/* /0 asks only for the family, unless it is inverted and asks the impossible. */
static void set_addr(struct pg_rule *rule, struct pg_addr *field, const struct pg_addr *addr)
{
	*field = *addr;
	if (!addr->set || addr->invert || !pg_addr_is_any(addr))
		return;
	rule->narrowed &= addr->family;
	field->set = false;
}

/* A match that, as it is given, does not exist for the family that was asked for. */
static int check_holds(struct pg_parser *p)
{
	unsigned families = pg_parse_families(p);

	for (size_t i = 0; i < p->rule.n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[p->rule.match[i].kind];

		if (row->holds && !(row->holds(&p->rule.match[i]) & families))
			return pg_diag(p->diag, PG_DIAG_FAILED, &p->loaded[i].at,
				       "match `%s' cannot be used like this in IPv%c", row->name,
				       families == PG_V4 ? '4' : '6');
	}
	return 0;
}

/* What the kernel refuses: a match without the -p that it needs. */
static int check_protos(struct pg_parser *p, const struct pg_rule *rule)
{
	unsigned families = pg_rule_families(rule);

	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[rule->match[i].kind];

		if (row->protos && families & ~row->any_proto &&
		    (rule->proto != row->protos[0] || rule->proto_invert))
			return pg_diag(p->diag, PG_DIAG_FAILED, &p->loaded[i].at,
				       "match `%s' needs `-p %s'", row->name,
				       pg_proto_name(row->protos[0]));
	}
	return 0;
}

/* Say the family with -4 or -6 only where nothing else in the rule says it. */
static int settle_families(struct pg_parser *p, struct pg_rule *rule)
{
	unsigned holds = pg_rule_families(rule);
	uint8_t narrowed = rule->narrowed;
	int r = check_holds(p);

	if (r < 0)
		return r;
	if (!holds || !narrowed)
		return FAIL(p, p->dst.set ? &p->dst.at : p->src.set ? &p->src.at : &p->cmd.chain_at,
			    "rule asks for IPv4 and IPv6 at once and can never match");
	rule->narrowed = PG_V46;
	if (pg_rule_families(rule) != holds)
		rule->narrowed = narrowed;
	return 0;
}

static void settle_matches(struct pg_rule *rule)
{
	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[rule->match[i].kind];

		if (row->settle)
			row->settle(&rule->match[i], rule);
	}
}

static int expand(struct pg_parser *p, const struct pg_addr *src, size_t n_src,
		  const struct pg_addr *dst, size_t n_dst)
{
	struct pg_command *cmd = &p->cmd;

	if (n_src * n_dst > PG_MAX_TERMS)
		return FAIL(p, &p->src.at, "address lists make %zu rules (at most %d)",
			    n_src * n_dst, PG_MAX_TERMS);
	cmd->rule = calloc(n_src * n_dst, sizeof(*cmd->rule));
	if (!cmd->rule)
		return pg_diag(p->diag, PG_DIAG_FAILED, NULL, "out of memory");
	for (size_t i = 0; i < n_src * n_dst; i++) {
		struct pg_rule *rule = &cmd->rule[i];
		int r;

		if (pg_rule_copy(rule, &p->rule) < 0)
			return pg_diag(p->diag, PG_DIAG_FAILED, NULL, "out of memory");
		cmd->n_rules++;
		set_addr(rule, &rule->src, &src[i / n_dst]);
		set_addr(rule, &rule->dst, &dst[i % n_dst]);
		pg_target_settle(rule);
		settle_matches(rule);
		r = settle_families(p, rule);
		if (!r)
			r = check_protos(p, rule);
		if (r < 0)
			return r;
	}
	return 0;
}

static int expand_hosts(struct pg_parser *p)
{
	_free_ struct pg_addr *src = NULL, *dst = NULL;
	size_t n_src = 0, n_dst = 0;
	int r = read_hosts(p, &p->src, &src, &n_src);

	if (!r)
		r = read_hosts(p, &p->dst, &dst, &n_dst);
	if (r < 0)
		return r;
	if ((n_src > 1 || n_dst > 1) && (p->src.invert || p->dst.invert))
		return FAIL(p, p->src.invert ? &p->src.at : &p->dst.at,
			    "! not allowed with multiple source or destination IP addresses");
	if (p->cmd.verb == PG_VERB_REPLACE && (n_src > 1 || n_dst > 1))
		return FAIL(p, n_src > 1 ? &p->src.at : &p->dst.at,
			    "Replacement rule does not specify a unique address");
	return expand(p, src, n_src, dst, n_dst);
}

/* Options that the verb does not take. */
static int check_options(struct pg_parser *p)
{
	const char *allowed = verb_options(p->cmd.verb);

	for (size_t i = 0; PG_RESTRICTED[i]; i++)
		if (p->given & 1U << i && !strchr(allowed, PG_RESTRICTED[i]))
			return FAIL(p, &p->given_at[i], "Illegal option `-%c' with this command",
				    PG_RESTRICTED[i]);
	if (p->cmd.families && !takes_rule(p->cmd.verb) && p->cmd.verb != PG_VERB_LIST &&
	    p->cmd.verb != PG_VERB_LIST_RULES)
		return FAIL(p, &p->family_at,
			    "-%c cannot narrow -%c, which holds for IPv4 and IPv6 together",
			    p->cmd.families == PG_V4 ? '4' : '6', pg_verb_letter(p->cmd.verb));
	return 0;
}

/* What the kernel refuses: a match in a chain whose packets lack what it looks at. */
static int check_chain_matches(struct pg_parser *p)
{
	static const struct {
		const char *name;
		unsigned bits;
	} builtin[] = {
		{ "INPUT", 1U << PG_CHAIN_INPUT },
		{ "FORWARD", 1U << PG_CHAIN_FORWARD },
		{ "OUTPUT", 1U << PG_CHAIN_OUTPUT | 1U << PG_CHAIN_RAW_OUTPUT },
		{ "PREROUTING", 1U << PG_CHAIN_RAW_PREROUTING },
	};

	for (size_t i = 0; i < p->rule.n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[p->rule.match[i].kind];
		unsigned chains = row->chains ? row->chains(&p->rule.match[i]) : ~0U;

		for (size_t c = 0; c < ARRAY_SIZE(builtin); c++)
			if (!strcmp(p->cmd.chain, builtin[c].name) && !(chains & builtin[c].bits))
				return pg_diag(p->diag, PG_DIAG_FAILED, &p->loaded[i].at,
					       "match `%s' cannot be used like this in chain `%s'",
					       row->name, p->cmd.chain);
	}
	return 0;
}

static int check_chain(struct pg_parser *p)
{
	const char *chain = p->cmd.chain;

	if (chain && strlen(chain) > PG_CHAIN_NAME_MAX)
		return FAIL(p, &p->cmd.chain_at,
			    "chain name `%s' too long (must be under %d chars)", chain,
			    PG_CHAIN_NAME_MAX + 1);
	if (!takes_rule(p->cmd.verb))
		return 0;
	/* By name alone, as iptables: also where another table has a chain of the user's so. */
	if ((!strcmp(chain, "INPUT") || !strcmp(chain, "PREROUTING")) && is_given(p, 'o'))
		return FAIL(p, &p->given_at[strchr(PG_RESTRICTED, 'o') - PG_RESTRICTED],
			    "Can't use -o with %s", chain);
	if ((!strcmp(chain, "OUTPUT") || !strcmp(chain, "POSTROUTING")) && is_given(p, 'i'))
		return FAIL(p, &p->given_at[strchr(PG_RESTRICTED, 'i') - PG_RESTRICTED],
			    "Can't use -i with %s", chain);
	return check_chain_matches(p);
}

static int find_table(struct pg_parser *p)
{
	static const char *const known[] = { "nat", "mangle", "security" };

	p->cmd.table = p->from->table;
	if (!p->table)
		return 0;
	for (enum pg_table_id table = 0; table < _PG_TABLE_MAX; table++) {
		p->cmd.table = table;
		if (!strcmp(p->table, pg_table_name(table)))
			return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(p->table, known[i]))
			return pg_diag(p->diag, PG_DIAG_TABLE, &p->table_at,
				       "table `%s' is not supported yet", p->table);
	return pg_diag(p->diag, PG_DIAG_NO_TABLE, &p->table_at,
		       "can't initialize iptables table `%s': Table does not exist (do you need to "
		       "insmod?)",
		       p->table);
}

static int check_fragment(struct pg_parser *p)
{
	if (p->rule.fragment_set && !(pg_parse_families(p) & PG_V4))
		return FAIL(p, &p->given_at[strchr(PG_RESTRICTED, 'f') - PG_RESTRICTED],
			    "`-f' is not supported in IPv6, use -m frag instead");
	return 0;
}

static int check_target(struct pg_parser *p)
{
	const struct pg_target_row *row = &pg_target_rows[p->rule.target];

	return row->check ? row->check(p->target_seen, &p->cmd.target_at, p->diag) : 0;
}

static int check_matches(struct pg_parser *p)
{
	for (size_t i = 0; i < p->rule.n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[p->rule.match[i].kind];
		int r = row->check ? row->check(&p->rule.match[i], &p->rule, p->loaded[i].seen,
						&p->loaded[i].at, p->diag)
				   : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* In iptables' order, so that of several mistakes the same one is reported. */
int pg_parse_settle(struct pg_parser *p)
{
	int r = check_matches(p);

	if (!r)
		r = check_target(p);
	if (r < 0)
		return r;
	if (p->scan.next < p->scan.n)
		return FAIL(p, &p->scan.arg[p->scan.next], "unknown arguments found on commandline");
	if (!p->cmd.verb)
		return FAIL(p, NULL, "no command specified");
	if (p->invert)
		return FAIL(p, &p->invert_at, "nothing appropriate following !");
	if (p->interval && !p->cmd.wait_s)
		return FAIL(p, &p->interval_at, "--wait-interval only makes sense with --wait");
	p->rule.narrowed = (uint8_t)pg_parse_families(p);
	p->rule.has_counters = p->cmd.has_counters;
	p->rule.packets = p->cmd.packets;
	p->rule.bytes = p->cmd.bytes;
	if (takes_rule(p->cmd.verb)) {
		r = check_fragment(p);
		if (!r)
			r = expand_hosts(p);
	}
	if (!r)
		r = check_options(p);
	if (!r)
		r = check_chain(p);
	if (!r)
		r = find_table(p);
	return r;
}
