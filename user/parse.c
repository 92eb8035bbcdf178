/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "opt.h"
#include "parse.h"
#include "print.h"

/* Options that may be given once and that not every verb takes, in iptables' order of reporting. */
static const char restricted[] = "nsdpjvxio0cf";
/* Those that take a `!`. */
static const char invertible[] = "sdpiof";

/* What a rule needs besides pg_match while it is being read. */
struct loaded {
	uint32_t seen; /* options given */
	struct pg_arg at;
};

/* An address option: text of a list. */
struct hosts {
	struct pg_arg at;
	bool set, invert;
};

struct parser {
	const struct pg_parse_from *from;
	struct pg_opt_scan scan;
	struct pg_opt opt; /* the option at hand */
	bool invert;	   /* a ! stands before it */
	struct pg_arg invert_at;
	uint32_t given; /* bit per letter of restricted[] */
	struct pg_arg given_at[sizeof(restricted)];
	const char *table;
	struct pg_arg table_at, family_at;
	struct hosts src, dst;
	struct pg_arg proto_at;
	bool proto_used; /* its match is loaded */
	struct pg_rule rule;
	struct loaded *loaded; /* beside rule.match */
	struct pg_command cmd;
	struct pg_diag *diag;
};

#define FAIL(p, at, ...) pg_diag((p)->diag, PG_DIAG_PARAM, at, __VA_ARGS__)

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

static char verb_letter(enum pg_verb verb)
{
	static const char letters[_PG_VERB_MAX] = {
		[PG_VERB_APPEND] = 'A',	 [PG_VERB_INSERT] = 'I',     [PG_VERB_DELETE] = 'D',
		[PG_VERB_REPLACE] = 'R', [PG_VERB_DELETE_NUM] = 'D', [PG_VERB_CHECK] = 'C',
		[PG_VERB_LIST] = 'L',	 [PG_VERB_LIST_RULES] = 'S', [PG_VERB_FLUSH] = 'F',
		[PG_VERB_ZERO] = 'Z',	 [PG_VERB_ZERO_NUM] = 'Z',   [PG_VERB_POLICY] = 'P',
		[PG_VERB_DELETE_CHAINS] = 'X',
	};

	return letters[verb];
}

static bool takes_rule(enum pg_verb verb)
{
	return verb == PG_VERB_APPEND || verb == PG_VERB_INSERT || verb == PG_VERB_DELETE ||
	       verb == PG_VERB_REPLACE || verb == PG_VERB_CHECK;
}

/* Verbs ---------------------------------------------------------------------------------------- */

/* -L and -S may stand with -Z, in either order. */
static int set_verb(struct parser *p, enum pg_verb verb)
{
	struct pg_command *cmd = &p->cmd;

	if (p->invert)
		return FAIL(p, &p->invert_at, "unexpected '!' flag");
	if ((cmd->verb == PG_VERB_LIST || cmd->verb == PG_VERB_LIST_RULES) &&
	    (verb == PG_VERB_ZERO || verb == PG_VERB_ZERO_NUM)) {
		cmd->zero = true;
		return 0;
	}
	if ((verb == PG_VERB_LIST || verb == PG_VERB_LIST_RULES) &&
	    (cmd->verb == PG_VERB_ZERO || cmd->verb == PG_VERB_ZERO_NUM)) {
		cmd->zero = true;
		cmd->verb = verb;
		return 0;
	}
	if (cmd->verb)
		return FAIL(p, &p->opt.name, "Cannot use -%c with -%c", verb_letter(verb),
			    verb_letter(cmd->verb));
	cmd->verb = verb;
	return 0;
}

static void set_chain(struct parser *p, const struct pg_arg *arg)
{
	p->cmd.chain = arg->text;
	p->cmd.chain_at = *arg;
}

static int rule_number(struct parser *p, const struct pg_arg *arg, unsigned *ret)
{
	uint32_t v;

	if (pg_number_parse(arg->text, INT32_MAX, &v) < 0 || !v)
		return FAIL(p, arg, "Invalid rule number `%s'", arg->text);
	*ret = v;
	return 0;
}

/* The chain of a verb that can do without one: attached, or the next word. */
static void optional_chain(struct parser *p)
{
	const struct pg_arg *arg = p->opt.value ? &p->opt.at : pg_opt_operand(&p->scan);

	if (!arg)
		return;
	set_chain(p, arg);
	if (p->opt.value)
		p->cmd.chain = p->opt.value;
}

static int parse_listing(struct parser *p, enum pg_verb verb)
{
	const struct pg_arg *arg;
	int r = set_verb(p, verb);

	if (r < 0)
		return r;
	optional_chain(p);
	if (!p->cmd.chain)
		return 0;
	arg = pg_opt_operand(&p->scan);
	if (!arg)
		return 0;
	if (verb != PG_VERB_ZERO)
		return rule_number(p, arg, &p->cmd.num);
	if (p->cmd.verb == PG_VERB_ZERO)
		p->cmd.verb = PG_VERB_ZERO_NUM;
	return rule_number(p, arg, &p->cmd.zero_num);
}

static int parse_policy(struct parser *p)
{
	const struct pg_arg *arg;
	int r = set_verb(p, PG_VERB_POLICY);

	if (r < 0)
		return r;
	set_chain(p, &p->opt.at);
	arg = pg_opt_operand(&p->scan);
	if (!arg)
		return FAIL(p, &p->opt.at, "-P requires a chain and a policy");
	p->cmd.policy = arg->text;
	return 0;
}

/* -A, -C, -D, -I, -R: a chain, and a rule number where the verb has one. */
static int parse_rule_verb(struct parser *p, enum pg_verb verb)
{
	const struct pg_arg *arg = NULL;
	int r = set_verb(p, verb);

	if (r < 0)
		return r;
	set_chain(p, &p->opt.at);
	p->cmd.chain = p->opt.value;
	if (verb == PG_VERB_INSERT || verb == PG_VERB_DELETE || verb == PG_VERB_REPLACE)
		arg = pg_opt_operand(&p->scan);
	if (!arg) {
		if (verb == PG_VERB_REPLACE)
			return FAIL(p, &p->opt.at, "-R requires a rule number");
		return 0;
	}
	if (verb == PG_VERB_DELETE)
		p->cmd.verb = PG_VERB_DELETE_NUM;
	return rule_number(p, arg, &p->cmd.num);
}

static int parse_chain_verb(struct parser *p)
{
	/* Without a name -X deletes every user chain: there are none. */
	if (p->opt.letter == 'X' && !p->opt.value) {
		const struct pg_arg *arg = pg_opt_operand(&p->scan);

		if (!arg)
			return set_verb(p, PG_VERB_DELETE_CHAINS);
	}
	return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.name,
		       "-%c: user-defined chains are not supported yet", p->opt.letter);
}

/* 1: the option is a verb and was taken. */
static int parse_verb(struct parser *p)
{
	int r;

	switch (p->opt.letter) {
	case 'A':
		r = parse_rule_verb(p, PG_VERB_APPEND);
		break;
	case 'C':
		r = parse_rule_verb(p, PG_VERB_CHECK);
		break;
	case 'D':
		r = parse_rule_verb(p, PG_VERB_DELETE);
		break;
	case 'I':
		r = parse_rule_verb(p, PG_VERB_INSERT);
		break;
	case 'R':
		r = parse_rule_verb(p, PG_VERB_REPLACE);
		break;
	case 'L':
		r = parse_listing(p, PG_VERB_LIST);
		break;
	case 'S':
		r = parse_listing(p, PG_VERB_LIST_RULES);
		break;
	case 'Z':
		r = parse_listing(p, PG_VERB_ZERO);
		break;
	case 'F':
		r = set_verb(p, PG_VERB_FLUSH);
		if (!r)
			optional_chain(p);
		break;
	case 'N':
	case 'X':
	case 'E':
		r = parse_chain_verb(p);
		break;
	case 'P':
		r = parse_policy(p);
		break;
	default:
		return 0;
	}
	return r < 0 ? r : 1;
}

/* Conditions ----------------------------------------------------------------------------------- */

static int set_given(struct parser *p)
{
	char letter = p->opt.letter;
	const char *found = strchr(restricted, letter);
	size_t i;

	if (!found)
		return 0;
	i = (size_t)(found - restricted);
	if (p->given & 1U << i && letter != 'v')
		return FAIL(p, &p->opt.name, "multiple -%c flags not allowed", letter);
	p->given |= 1U << i;
	p->given_at[i] = p->opt.name;
	if (p->invert && !strchr(invertible, letter))
		return FAIL(p, &p->invert_at, "cannot have ! before -%c", letter);
	return 0;
}

static bool is_given(const struct parser *p, char letter)
{
	return p->given & 1U << (strchr(restricted, letter) - restricted);
}

static int parse_proto(struct parser *p)
{
	p->proto_at = p->opt.at;
	p->rule.proto_invert = p->invert;
	if (pg_proto_parse(p->opt.value, &p->rule.proto) < 0)
		return FAIL(p, &p->opt.at, "unknown protocol \"%s\" specified", p->opt.value);
	if (!p->rule.proto && p->invert)
		return FAIL(p, &p->opt.at, "rule would never match protocol");
	return 0;
}

static int parse_ifname(struct parser *p, struct pg_ifname *ret)
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

static int load_match(struct parser *p, enum pg_match_kind kind, const struct pg_arg *at)
{
	const struct pg_match_row *row = &pg_match_rows[kind];
	struct pg_match *match = reallocarray(p->rule.match, p->rule.n_match + 1, sizeof(*match));
	struct loaded *loaded;

	if (match)
		p->rule.match = match;
	loaded = reallocarray(p->loaded, p->rule.n_match + 1, sizeof(*loaded));
	if (loaded)
		p->loaded = loaded;
	if (!match || !loaded)
		return pg_diag(p->diag, PG_DIAG_FAILED, NULL, "out of memory");
	match += p->rule.n_match;
	*match = (struct pg_match){ .kind = kind, .pos = at->pos };
	if (row->init)
		row->init(match);
	loaded[p->rule.n_match] = (struct loaded){ .at = *at };
	p->rule.n_match++;
	pg_opt_load(&p->scan, kind);
	if (row->protos && row->protos[0] == p->rule.proto)
		p->proto_used = true;
	return 0;
}

static bool family_has(const struct parser *p, const struct pg_match_row *row)
{
	unsigned family = p->from->family ? p->from->family : PG_V46;

	if (p->cmd.families)
		family &= p->cmd.families;
	return row->families & family;
}

static int parse_match(struct parser *p)
{
	int kind = pg_match_find(p->opt.value);

	if (p->invert)
		return FAIL(p, &p->invert_at, "unexpected ! flag before --match");
	if (kind >= 0 && family_has(p, &pg_match_rows[kind]))
		return load_match(p, (enum pg_match_kind)kind, &p->opt.at);
	if (kind < 0 && pg_match_known(p->opt.value))
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.at,
			       "match `%s' is not supported yet", p->opt.value);
	return FAIL(p, &p->opt.at, "Couldn't load match `%s':No such file or directory",
		    p->opt.value);
}

static int parse_target(struct parser *p)
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
	for (enum pg_target target = PG_TARGET_ACCEPT; target < _PG_TARGET_MAX; target++) {
		if (!strcmp(name, pg_target_name(target))) {
			p->rule.target = target;
			return 0;
		}
	}
	if (pg_target_known(name))
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, at,
			       "target `%s' is not supported yet", name);
	if (p->from->is_chain && p->from->is_chain(p->from->arg, name))
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, at,
			       "user-defined chains (`%s') are not supported yet", name);
	if (!strcmp(name, "INPUT") || !strcmp(name, "FORWARD") || !strcmp(name, "OUTPUT"))
		return pg_diag(p->diag, PG_DIAG_FAILED, at, "cannot jump to built-in chain `%s'",
			       name);
	return FAIL(p, at, "Couldn't load target `%s':No such file or directory", name);
}

/* "-c PACKETS BYTES" or "-c PACKETS,BYTES" */
static int parse_counters(struct parser *p)
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

static int parse_wait(struct parser *p)
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
	if (!interval)
		p->cmd.wait_s = text ? (int)v : -1;
	return 0;
}

static int parse_family(struct parser *p)
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

static int parse_table(struct parser *p)
{
	if (p->invert)
		return FAIL(p, &p->invert_at, "unexpected ! flag before --table");
	if (p->from->file)
		return FAIL(p, &p->opt.name, "The -t option cannot be used in a rule file.");
	p->table = p->opt.value;
	p->table_at = p->opt.at;
	return 0;
}

static int parse_hosts(struct parser *p, struct hosts *ret)
{
	*ret = (struct hosts){ .at = p->opt.at, .set = true, .invert = p->invert };
	ret->at.text = p->opt.value;
	return 0;
}

static int parse_condition(struct parser *p)
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
		return parse_target(p);
	case 'g':
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.name,
			       "-g: user-defined chains (`%s') are not supported yet",
			       p->opt.value);
	}
	return 0;
}

static int parse_global(struct parser *p)
{
	int r = parse_verb(p);

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

static int parse_match_option(struct parser *p)
{
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
	};
	int r;

	/* Of several -m of the same kind, the last one is being written. */
	do {
		i--;
	} while (p->rule.match[i].kind != p->opt.match);
	if (option->unsupported)
		return pg_diag(p->diag, PG_DIAG_UNSUPPORTED, &p->opt.name,
			       "option `--%s' is not supported yet", option->name);
	use.seen = p->loaded[i].seen;
	r = pg_match_rows[p->opt.match].parse(&p->rule.match[i], &use, p->diag);
	if (r < 0)
		return r;
	p->loaded[i].seen |= 1U << option->id;
	p->scan.next += taken;
	return 0;
}

/* Options that only an implicitly loaded match has that portguard lacks. */
static bool unsupported_option(const char *name)
{
	static const char *const known[] = { "--ahlen",	 "--ahres",	"--ahspi", "--compres",
					     "--espspi", "--ipcompspi", "--mh-type" };
	size_t len = strcspn(name, "=");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == len && !strncmp(known[i], name, len))
			return true;
	return false;
}

/* An unknown option may be one of the match that -p names: load it, once. */
static int parse_unknown(struct parser *p)
{
	const struct pg_arg *at = &p->opt.name;

	for (int i = 0; i < _PG_MATCH_MAX && p->rule.proto && !p->proto_used; i++) {
		const struct pg_match_row *row = &pg_match_rows[i];

		if (!row->protos || row->protos[0] != p->rule.proto || !family_has(p, row))
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
static int parse_option(struct parser *p)
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

/* When everything is read ---------------------------------------------------------------------- */

static unsigned families(const struct parser *p)
{
	unsigned f = p->from->family ? p->from->family : PG_V46;

	return p->cmd.families ? f & p->cmd.families : f;
}

/* The addresses of a comma list; without the option one that is not set. */
static int read_hosts(struct parser *p, const struct hosts *hosts, struct pg_addr **ret, size_t *ret_n)
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
		r = pg_addr_parse(one, families(p), &at, &addr[n], p->diag);
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

/* Say the family with -4 or -6 only where nothing else in the rule says it. */
static int settle_families(struct parser *p, struct pg_rule *rule)
{
	unsigned holds = pg_rule_families(rule);
	uint8_t narrowed = rule->narrowed;

	if (!holds || !narrowed)
		return FAIL(p, p->dst.set ? &p->dst.at : p->src.set ? &p->src.at : &p->cmd.chain_at,
			    "rule asks for IPv4 and IPv6 at once and can never match");
	rule->narrowed = PG_V46;
	if (pg_rule_families(rule) != holds)
		rule->narrowed = narrowed;
	return 0;
}

static int expand(struct parser *p, const struct pg_addr *src, size_t n_src,
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
		r = settle_families(p, rule);
		if (r < 0)
			return r;
	}
	return 0;
}

static int expand_hosts(struct parser *p)
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
static int check_options(struct parser *p)
{
	const char *allowed = verb_options(p->cmd.verb);

	for (size_t i = 0; restricted[i]; i++)
		if (p->given & 1U << i && !strchr(allowed, restricted[i]))
			return FAIL(p, &p->given_at[i], "Illegal option `-%c' with this command",
				    restricted[i]);
	if (p->cmd.families && !takes_rule(p->cmd.verb) && p->cmd.verb != PG_VERB_LIST &&
	    p->cmd.verb != PG_VERB_LIST_RULES)
		return FAIL(p, &p->family_at,
			    "-%c cannot narrow -%c, which holds for IPv4 and IPv6 together",
			    p->cmd.families == PG_V4 ? '4' : '6', verb_letter(p->cmd.verb));
	return 0;
}

static int check_chain(struct parser *p)
{
	const char *chain = p->cmd.chain;

	if (chain && strlen(chain) > PG_CHAIN_NAME_MAX)
		return FAIL(p, &p->cmd.chain_at,
			    "chain name `%s' too long (must be under %d chars)", chain,
			    PG_CHAIN_NAME_MAX + 1);
	if (!takes_rule(p->cmd.verb))
		return 0;
	if (!strcmp(chain, "INPUT") && is_given(p, 'o'))
		return FAIL(p, &p->given_at[strchr(restricted, 'o') - restricted],
			    "Can't use -o with INPUT");
	if (!strcmp(chain, "OUTPUT") && is_given(p, 'i'))
		return FAIL(p, &p->given_at[strchr(restricted, 'i') - restricted],
			    "Can't use -i with OUTPUT");
	return 0;
}

static int check_table(struct parser *p)
{
	static const char *const known[] = { "nat", "mangle", "raw", "security" };

	if (!p->table || !strcmp(p->table, "filter"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(p->table, known[i]))
			return pg_diag(p->diag, PG_DIAG_TABLE, &p->table_at,
				       "table `%s' is not supported yet", p->table);
	return pg_diag(p->diag, PG_DIAG_NO_TABLE, &p->table_at,
		       "can't initialize iptables table `%s': Table does not exist (do you need to "
		       "insmod?)",
		       p->table);
}

/* What the kernel refuses: a match without the -p that it needs. */
static int check_protos(struct parser *p)
{
	for (size_t i = 0; i < p->rule.n_match; i++) {
		const struct pg_match_row *row = &pg_match_rows[p->rule.match[i].kind];

		if (row->protos && (p->rule.proto != row->protos[0] || p->rule.proto_invert))
			return pg_diag(p->diag, PG_DIAG_FAILED, &p->loaded[i].at,
				       "match `%s' needs `-p %s'", row->name,
				       pg_proto_name(row->protos[0]));
	}
	if (p->rule.fragment_set && !(families(p) & PG_V4))
		return FAIL(p, &p->given_at[strchr(restricted, 'f') - restricted],
			    "`-f' is not supported in IPv6, use -m frag instead");
	return 0;
}

static int check_matches(struct parser *p)
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
static int finish(struct parser *p)
{
	int r = check_matches(p);

	if (r < 0)
		return r;
	if (p->scan.next < p->scan.n)
		return FAIL(p, &p->scan.arg[p->scan.next], "unknown arguments found on commandline");
	if (!p->cmd.verb)
		return FAIL(p, NULL, "no command specified");
	if (p->invert)
		return FAIL(p, &p->invert_at, "nothing appropriate following !");
	p->rule.narrowed = (uint8_t)families(p);
	p->rule.packets = p->cmd.packets;
	p->rule.bytes = p->cmd.bytes;
	if (takes_rule(p->cmd.verb)) {
		r = check_protos(p);
		if (!r)
			r = expand_hosts(p);
	}
	if (!r)
		r = check_options(p);
	if (!r)
		r = check_chain(p);
	if (!r)
		r = check_table(p);
	return r;
}

int pg_command_parse(const struct pg_arg *arg, size_t n, const struct pg_parse_from *from,
		     struct pg_command *ret, struct pg_diag *diag)
{
	struct parser p = { .from = from, .scan = { .arg = arg, .n = n }, .diag = diag };
	int r = 0;

	pg_rule_clear(&p.rule);
	if (n)
		p.rule.pos = arg[0].pos;
	while (!r)
		r = parse_option(&p);
	if (r > 0)
		r = p.cmd.verb >= PG_VERB_HELP ? 0 : finish(&p);
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
	*cmd = (struct pg_command){};
}
