/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -A and its like: what a command is to do, and to which chain and rule. */
#include "addr.h"
#include "chains.h"
#include "parser.h"

char pg_verb_letter(enum pg_verb verb)
{
	static const char letters[_PG_VERB_MAX] = {
		[PG_VERB_APPEND] = 'A',	 [PG_VERB_INSERT] = 'I',     [PG_VERB_DELETE] = 'D',
		[PG_VERB_REPLACE] = 'R', [PG_VERB_DELETE_NUM] = 'D', [PG_VERB_CHECK] = 'C',
		[PG_VERB_LIST] = 'L',	 [PG_VERB_LIST_RULES] = 'S', [PG_VERB_FLUSH] = 'F',
		[PG_VERB_ZERO] = 'Z',	 [PG_VERB_ZERO_NUM] = 'Z',   [PG_VERB_POLICY] = 'P',
		[PG_VERB_NEW_CHAIN] = 'N', [PG_VERB_DELETE_CHAIN] = 'X',
		[PG_VERB_DELETE_CHAINS] = 'X', [PG_VERB_RENAME_CHAIN] = 'E',
	};

	return letters[verb];
}

/* -L and -S may stand with -Z, in either order. */
static int set_verb(struct pg_parser *p, enum pg_verb verb)
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
		return FAIL(p, &p->opt.name, "Cannot use -%c with -%c", pg_verb_letter(verb),
			    pg_verb_letter(cmd->verb));
	cmd->verb = verb;
	return 0;
}

static void set_chain(struct pg_parser *p, const struct pg_arg *arg)
{
	p->cmd.chain = arg->text;
	p->cmd.chain_at = *arg;
}

static int rule_number(struct pg_parser *p, const struct pg_arg *arg, unsigned *ret)
{
	uint32_t v;

	if (pg_number_parse(arg->text, INT32_MAX, &v) < 0 || !v)
		return FAIL(p, arg, "Invalid rule number `%s'", arg->text);
	*ret = v;
	return 0;
}

/* The chain of a verb that can do without one: attached, or the next word. */
static void optional_chain(struct pg_parser *p)
{
	const struct pg_arg *arg = p->opt.value ? &p->opt.at : pg_opt_operand(&p->scan);

	if (!arg)
		return;
	set_chain(p, arg);
	if (p->opt.value)
		p->cmd.chain = p->opt.value;
}

static int parse_listing(struct pg_parser *p, enum pg_verb verb)
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

static int parse_policy(struct pg_parser *p)
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
static int parse_rule_verb(struct pg_parser *p, enum pg_verb verb)
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

static int parse_new_chain(struct pg_parser *p)
{
	struct pg_arg name = p->opt.at;
	int r;

	name.text = p->opt.value;
	r = pg_chain_name_check(&name, p->diag);
	if (!r)
		r = set_verb(p, PG_VERB_NEW_CHAIN);
	set_chain(p, &name);
	return r;
}

static int parse_delete_chain(struct pg_parser *p)
{
	int r = set_verb(p, PG_VERB_DELETE_CHAINS);

	if (r < 0)
		return r;
	optional_chain(p);
	if (p->cmd.chain)
		p->cmd.verb = PG_VERB_DELETE_CHAIN;
	return 0;
}

static int parse_rename_chain(struct pg_parser *p)
{
	const struct pg_arg *arg;
	int r = set_verb(p, PG_VERB_RENAME_CHAIN);

	if (r < 0)
		return r;
	set_chain(p, &p->opt.at);
	p->cmd.chain = p->opt.value;
	arg = pg_opt_operand(&p->scan);
	if (!arg)
		return FAIL(p, &p->opt.at, "-E requires old-chain-name and new-chain-name");
	p->cmd.new_name = arg->text;
	p->cmd.new_name_at = *arg;
	return 0;
}

/* 1: the option is a verb and was taken. */
int pg_parse_verb(struct pg_parser *p)
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
		r = parse_new_chain(p);
		break;
	case 'X':
		r = parse_delete_chain(p);
		break;
	case 'E':
		r = parse_rename_chain(p);
		break;
	case 'P':
		r = parse_policy(p);
		break;
	default:
		return 0;
	}
	return r < 0 ? r : 1;
}
