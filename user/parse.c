/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "parser.h"
#include "print.h"
#include "target.h"

/* Those that take a `!`. */
static const char invertible[] = "sdpiof";

static int set_given(struct pg_parser *p)
{
	char letter = p->opt.letter == 'g' ? 'j' : p->opt.letter; /* they exclude each other */
	const char *found = strchr(PG_RESTRICTED, letter);
	size_t i;

	if (!found)
		return 0;
	i = (size_t)(found - PG_RESTRICTED);
	if (p->given & 1U << i && letter != 'v')
		return FAIL(p, &p->opt.name, "multiple -%c flags not allowed", letter);
	p->given |= 1U << i;
	p->given_at[i] = p->opt.name;
	if (p->invert && !strchr(invertible, letter))
		return FAIL(p, &p->invert_at, "cannot have ! before -%c", letter);
	return 0;
}

static int parse_proto(struct pg_parser *p)
{
	p->proto_at = p->opt.at;
	p->rule.proto_invert = p->invert;
	if (pg_proto_parse(p->opt.value, &p->rule.proto) < 0)
		return FAIL(p, &p->opt.at, "unknown protocol \"%s\" specified", p->opt.value);
	if (!p->rule.proto && p->invert)
		return FAIL(p, &p->opt.at, "rule would never match protocol");
	return 0;
}

static int parse_ifname(struct pg_parser *p, struct pg_ifname *ret)
{
	const char *name = p->opt.value;
	size_t len = strlen(name);
	char shown[IFNAMSIZ];

	if (!len)
		return FAIL(p, &p->opt.at, "Empty interface is likely to be undesired");
	if (len >= IFNAMSIZ)
		return FAIL(p, &p->opt.at, "interface name `%s' must be shorter than IFNAMSIZ (%d)",
			    name, IFNAMSIZ - 1);
	/* The kernel knows no names like these, and a file could not hold all of them. */
	if (strpbrk(name, "/ ") || strcmp(pg_printable(name, shown, sizeof(shown)), name))
		return FAIL(p, &p->opt.at, "invalid interface name `%s'", name);
	ret->set = strcmp(name, "+") || p->invert;
	ret->invert = p->invert;
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return 0;
}

static int load_match(struct pg_parser *p, enum pg_match_kind kind, const struct pg_arg *at)
{
	const struct pg_match_row *row = &pg_match_rows[kind];
	struct pg_match *match = reallocarray(p->rule.match, p->rule.n_match + 1, sizeof(*match));
	struct pg_loaded *loaded;

	if (match)
		p->rule.match = match;
	loaded = reallocarray(p->loaded, p->rule.n_match + 1, sizeof(*loaded));
	if (loaded)
		p->loaded = loaded;
	if (!match || !loaded)
		return pg_diag(p->diag, PG_DIAG_FAILED, NULL, "out of memory");
	match += p->rule.n_match;
	/* Every byte, because they may be compared: see struct pg_match_row. */
	memset(match, 0, sizeof(*match));
	match->kind = kind;
	match->pos = at->pos;
	if (row->init)
		row->init(match);
	loaded[p->rule.n_match] = (struct pg_loaded){ .at = *at };
	p->rule.n_match++;
	pg_opt_load(&p->scan, kind);
	if (row->implied && row->protos[0] == p->rule.proto)
		p->proto_used = true;
	return 0;
}

static bool family_has(const struct pg_parser *p, const struct pg_match_row *row)
{
	return row->families & pg_parse_families(p);
}

static int parse_match(struct pg_parser *p)
{
	int kind = pg_match_find(p->opt.value);

	if (p->invert)
		return FAIL(p, &p->invert_at, "unexpected ! flag before --match");
	if (kind >= 0 && family_has(p, &pg_match_rows[kind]))
		return load_match(p, (enum pg_match_kind)kind, &p->opt.at);
	if (kind < 0 && pg_match_known(p->opt.value))
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.at,
			       "match `%s' is not supported yet", p->opt.value);
	/* An alias is looked up by its proper name. */
	return FAIL(p, &p->opt.at, "Couldn't load match `%s':No such file or directory",
		    kind < 0 ? p->opt.value : pg_match_rows[kind].name);
}

static int check_target_name(struct pg_parser *p)
{
	const char *name = p->opt.value;
	const struct pg_arg *at = &p->opt.at;

	if (!*name)
		return FAIL(p, at, "Invalid target name (too short)");
	if (strlen(name) > PG_CHAIN_NAME_MAX)
		return FAIL(p, at, "Invalid target name `%s' (%d chars max)", name,
			    PG_CHAIN_NAME_MAX);
	for (const char *c = name; *c; c++)
		if (isspace((unsigned char)*c))
			return FAIL(p, at, "Invalid target name `%s'", name);
	return 0;
}

/* What is no target is a chain; whether there is one is seen when the command is carried out. */
static int parse_target(struct pg_parser *p)
{
	struct pg_rule *rule = &p->rule;
	const char *name = p->opt.value;
	int r = check_target_name(p);

	if (r < 0)
		return r;
	p->cmd.target_at = p->opt.at;
	rule->is_goto = p->opt.letter == 'g';
	if (!rule->is_goto)
		rule->target = pg_target_find(name, &rule->args);
	if (rule->target != PG_TARGET_NONE) {
		bool takes_options = strcmp(name, "NOTRACK") != 0;

		p->scan.target = takes_options ? pg_target_rows[rule->target].option : NULL;
		return 0;
	}
	if (!rule->is_goto && pg_target_known(name))
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.at,
			       "target `%s' is not supported yet", name);
	rule->target = PG_TARGET_CHAIN;
	snprintf(rule->chain, sizeof(rule->chain), "%s", name);
	return 0;
}

/* "-c PACKETS BYTES" or "-c PACKETS,BYTES" */
static int parse_counters(struct pg_parser *p)
{
	const char *comma = strchr(p->opt.value, ',');
	const struct pg_arg *arg = NULL;
	char packets[32];

	snprintf(packets, sizeof(packets), "%.*s",
		 (int)(comma ? comma - p->opt.value : 31), p->opt.value);
	if (!comma) {
		arg = pg_opt_operand(&p->scan);
		if (!arg)
			return FAIL(p, &p->opt.at, "-c requires packet and byte counter");
	}
	if (pg_parse_u64(packets, 0, UINT64_MAX, &p->cmd.packets) < 0)
		return FAIL(p, &p->opt.at, "-c packet counter not numeric");
	if (pg_parse_u64(arg ? arg->text : comma + 1, 0, UINT64_MAX, &p->cmd.bytes) < 0)
		return FAIL(p, arg ? arg : &p->opt.at, "-c byte counter not numeric");
	p->cmd.has_counters = true;
	return 0;
}

static int parse_wait(struct pg_parser *p)
{
	const struct pg_arg *arg = p->opt.value ? &p->opt.at : pg_opt_operand(&p->scan);
	const char *text = p->opt.value ? p->opt.value : arg ? arg->text : NULL;
	bool interval = p->opt.letter == 'W';
	uint32_t v;

	if (!text && interval)
		return FAIL(p, &p->opt.name, "wait interval value required");
	if (text && pg_parse_u32(text, 0, INT32_MAX, &v) < 0)
		return FAIL(p, arg, interval ? "wait interval not numeric"
					     : "wait seconds not numeric");
	/* iptables gave up polling for its lock, and so the interval: it is read and not used. */
	if (interval) {
		p->interval = true;
		p->interval_at = p->opt.name;
	} else {
		p->cmd.wait_s = text ? (int)v : -1;
	}
	return 0;
}

static int parse_family(struct pg_parser *p)
{
	unsigned family = p->opt.letter == '4' ? PG_V4 : PG_V6;

	if (p->invert)
		return FAIL(p, &p->invert_at, "cannot have ! before -%c", p->opt.letter);
	if (p->cmd.families && p->cmd.families != family)
		return FAIL(p, &p->opt.name, "Cannot use -4 with -6");
	if (p->from->family && p->from->family != family) {
		p->cmd.verb = PG_VERB_IGNORE;
		return 0;
	}
	p->cmd.families = family;
	p->family_at = p->opt.name;
	return 0;
}

static int parse_table(struct pg_parser *p)
{
	if (p->invert)
		return FAIL(p, &p->invert_at, "unexpected ! flag before --table");
	if (p->from->file)
		return FAIL(p, &p->opt.name, "The -t option cannot be used in a rule file.");
	p->table = p->opt.value;
	p->table_at = p->opt.at;
	return 0;
}

static int parse_hosts(struct pg_parser *p, struct pg_hosts *ret)
{
	*ret = (struct pg_hosts){ .at = p->opt.at, .set = true, .invert = p->invert };
	ret->at.text = p->opt.value;
	return 0;
}

static int parse_condition(struct pg_parser *p)
{
	switch (p->opt.letter) {
	case 's':
		return parse_hosts(p, &p->src);
	case 'd':
		return parse_hosts(p, &p->dst);
	case 'p':
		return parse_proto(p);
	case 'i':
		return parse_ifname(p, &p->rule.in);
	case 'o':
		return parse_ifname(p, &p->rule.out);
	case 'f':
		p->rule.fragment_set = true;
		p->rule.fragment_invert = p->invert;
		return 0;
	case 'm':
		return parse_match(p);
	case 'j':
	case 'g':
		return parse_target(p);
	}
	return 0;
}

static int parse_global(struct pg_parser *p)
{
	int r = pg_parse_verb(p);

	if (r)
		return r < 0 ? r : 0;
	r = set_given(p);
	if (r < 0)
		return r;
	switch (p->opt.letter) {
	case 'n':
		p->cmd.numeric = true;
		return 0;
	case 'v':
		p->cmd.verbose++;
		return 0;
	case 'x':
		p->cmd.exact = true;
		return 0;
	case '0':
		p->cmd.line_numbers = true;
		return 0;
	case 'c':
		return parse_counters(p);
	case 'w':
	case 'W':
		return parse_wait(p);
	case '4':
	case '6':
		return parse_family(p);
	case 't':
		return parse_table(p);
	}
	return parse_condition(p);
}

static int parse_match_option(struct pg_parser *p)
{
	const struct pg_match_row *row = &pg_match_rows[p->opt.match];
	const struct pg_match_option *option = p->opt.option;
	size_t i = p->rule.n_match, taken = 0;
	struct pg_match_use use = {
		.id = option->id,
		.invert = p->invert,
		.value = p->opt.value,
		.at = p->opt.at,
		.rest = p->scan.arg + p->scan.next,
		.n_rest = p->scan.n - p->scan.next,
		.ret_taken = &taken,
		.rule = &p->rule,
		.families = pg_parse_families(p),
	};
	int r;

	/* Of several -m of the same kind, the last one is being written. */
	do {
		i--;
	} while (p->rule.match[i].kind != p->opt.match);
	if (row->only6 & 1U << option->id && !(use.families & PG_V6))
		return FAIL(p, &p->opt.name, "unknown option \"%s\"", p->opt.name.text);
	if (option->unsupported)
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.name,
			       "option `--%s' is not supported yet", option->name);
	use.seen = p->loaded[i].seen;
	r = row->parse(&p->rule.match[i], &use, p->diag);
	if (r < 0)
		return r;
	p->loaded[i].seen |= 1U << option->id;
	p->scan.next += taken;
	return 0;
}

static int parse_target_option(struct pg_parser *p)
{
	const struct pg_target_row *row = &pg_target_rows[p->rule.target];
	const struct pg_match_option *option = p->opt.option;
	const struct pg_target_use use = {
		.option = option,
		.value = p->opt.value,
		.at = p->opt.at,
		.families = pg_parse_families(p),
		.warning = &p->cmd.warning,
	};
	int r;

	if (option->unsupported)
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.name,
			       "option `--%s' is not supported yet", option->name);
	if (p->target_seen & 1U << option->id)
		return FAIL(p, &p->opt.name, "%s: option \"--%s\" can only be used once.",
			    row->name, option->name);
	if (p->invert)
		return FAIL(p, &p->invert_at, "%s: option \"--%s\" cannot be inverted.",
			    row->name, option->name);
	r = row->parse(&p->rule.args, &use, p->diag);
	if (!r)
		p->target_seen |= 1U << option->id;
	return r;
}

/* Options that only an implicitly loaded match has that portguard lacks. */
static bool unsupported_option(const char *name)
{
	static const char *const known[] = { "--compres", "--ipcompspi", "--mh-type" };
	size_t len = strcspn(name, "=");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == len && !strncmp(known[i], name, len))
			return true;
	return false;
}

/* An unknown option may be one of the match that -p names: load it, once. */
static int parse_unknown(struct pg_parser *p)
{
	const struct pg_arg *at = &p->opt.name;

	for (int i = 0; i < _PG_MATCH_MAX && p->rule.proto && !p->proto_used; i++) {
		const struct pg_match_row *row = &pg_match_rows[i];

		if (!row->implied || row->protos[0] != p->rule.proto || !family_has(p, row))
			continue;
		if (p->opt.letter)
			break; /* of matches, no option has one letter */
		pg_opt_again(&p->scan);
		return load_match(p, (enum pg_match_kind)i, at);
	}
	if (p->opt.letter)
		return FAIL(p, at, "unknown option \"-%c\"", p->opt.letter);
	if (p->rule.proto && unsupported_option(at->text))
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, at, "option `%s' is not supported yet",
			       at->text);
	return FAIL(p, at, "unknown option \"%s\"", at->text);
}

/* 1: finished. A `!` stays in force while an unknown option is looked for again. */
static int parse_option(struct pg_parser *p)
{
	int r;

	pg_opt_next(&p->scan, &p->opt);
	switch (p->opt.kind) {
	case PG_OPT_END:
		return 1;
	case PG_OPT_WORD:
		if (strcmp(p->opt.value, "!"))
			return pg_diag(p->diag, PG_DIAG_BARE, &p->opt.at, "Bad argument `%s'",
				       p->opt.value);
		if (p->invert)
			return FAIL(p, &p->opt.at, "multiple consecutive ! not allowed");
		p->invert = true;
		p->invert_at = p->opt.at;
		return 0;
	case PG_OPT_NO_VALUE:
		return FAIL(p, &p->opt.name, "option \"%s\" requires an argument",
			    p->opt.name.text);
	case PG_OPT_UNKNOWN:
		return parse_unknown(p);
	case PG_OPT_MATCH:
		r = parse_match_option(p);
		break;
	case PG_OPT_TARGET:
		r = parse_target_option(p);
		break;
	case PG_OPT_GLOBAL:
		if (p->opt.letter == 'h' || p->opt.letter == 'V') {
			p->cmd.verb = p->opt.letter == 'h' ? PG_VERB_HELP : PG_VERB_VERSION;
			return 1;
		}
		r = parse_global(p);
		if (!r && p->cmd.verb == PG_VERB_IGNORE)
			return 1;
		break;
	default:
		return 0;
	}
	p->invert = false;
	return r;
}

int pg_command_parse(const struct pg_arg *arg, size_t n, const struct pg_parse_from *from,
		     struct pg_command *ret, struct pg_diag *diag)
{
	struct pg_parser p = { .from = from, .scan = { .arg = arg, .n = n }, .diag = diag };
	int r = 0;

	pg_rule_clear(&p.rule);
	if (n)
		p.rule.pos = arg[0].pos;
	p.cmd.file = from->file;
	while (!r)
		r = parse_option(&p);
	if (r > 0)
		r = p.cmd.verb >= PG_VERB_HELP ? 0 : pg_parse_settle(&p);
	pg_rule_clear(&p.rule);
	free(p.loaded);
	if (r < 0) {
		pg_command_free(&p.cmd);
		return r;
	}
	*ret = p.cmd;
	return 0;
}

void pg_command_free(struct pg_command *cmd)
{
	for (size_t i = 0; i < cmd->n_rules; i++)
		pg_rule_clear(&cmd->rule[i]);
	free(cmd->rule);
	pg_text_free(&cmd->warning);
	*cmd = (struct pg_command){};
}
