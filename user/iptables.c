/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "chains.h"
#include "iptables.h"
#include "print.h"
#include "target.h"

#define NO_CHAIN "No chain/target/match by that name."
#define BAD_RULE "Bad rule (does a matching rule exist in that chain?)."

static int no_memory(struct pg_diag *diag)
{
	return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
}

static int fail(struct pg_diag *diag, const struct pg_command *cmd, const char *text)
{
	return pg_diag(diag, PG_DIAG_FAILED, &cmd->chain_at, "%s", text);
}

/* -j and -g of a chain: all rules of a command have the same. */
static int check_jump(const struct pg_command *cmd, const struct pg_ruleset *set,
		      struct pg_diag *diag)
{
	const struct pg_rule *rule = cmd->n_rules ? &cmd->rule[0] : NULL;

	if (!rule || rule->target != PG_TARGET_CHAIN ||
	    pg_ruleset_chain(set, cmd->table, rule->chain))
		return 0;
	if (rule->is_goto)
		return pg_diag(diag, PG_DIAG_PARAM, &cmd->target_at, "goto '%s' is not a chain",
			       rule->chain);
	return pg_diag(diag, PG_DIAG_PARAM, &cmd->target_at,
		       "Couldn't load target `%s':No such file or directory", rule->chain);
}

/* What the kernel refuses of a new rule. */
static int check_place(const struct pg_command *cmd, const struct pg_ruleset *set,
		       struct pg_diag *diag)
{
	const struct pg_rule *rule = &cmd->rule[0];
	const struct pg_chain *to;

	if (rule->target != PG_TARGET_CHAIN)
		return pg_target_check_place(rule, cmd->table, &cmd->target_at, diag);
	to = pg_ruleset_chain(set, cmd->table, rule->chain);
	if (to && pg_chain_is_builtin(set, to))
		return pg_diag(diag, PG_DIAG_FAILED, &cmd->target_at,
			       "cannot jump to built-in chain `%s'", rule->chain);
	return 0;
}

static size_t find_rule(const struct pg_chain *chain, const struct pg_rule *rule)
{
	size_t i;

	for (i = 0; i < chain->n_rules; i++)
		if (pg_rule_equal(&chain->rule[i], rule))
			break;
	return i;
}

static int add_rules(const struct pg_command *cmd, struct pg_chain *chain, size_t at, bool forward,
		     struct pg_diag *diag)
{
	/* -I puts every rule of a list at the same place, so that they end up in reverse. */
	for (size_t i = 0; i < cmd->n_rules; i++)
		if (pg_chain_take(chain, forward ? at + i : at, &cmd->rule[i]) < 0)
			return no_memory(diag);
	return 0;
}

static int insert(const struct pg_command *cmd, struct pg_chain *chain, struct pg_diag *diag)
{
	size_t num = cmd->num ? cmd->num : 1;

	if (num > chain->n_rules + 1)
		return fail(diag, cmd, "Index of insertion too big.");
	return add_rules(cmd, chain, num - 1, false, diag);
}

static int replace(const struct pg_command *cmd, struct pg_chain *chain, struct pg_diag *diag)
{
	if (cmd->num > chain->n_rules)
		return fail(diag, cmd, "Index of replacement too big.");
	pg_chain_remove(chain, cmd->num - 1);
	return add_rules(cmd, chain, cmd->num - 1, true, diag);
}

/* Where a target or a chain had to be looked up, iptables says that of a missing rule, too. */
static bool names_target(const struct pg_rule *rule)
{
	return rule->target > PG_TARGET_RETURN;
}

static int delete_or_check(const struct pg_command *cmd, struct pg_chain *chain,
			   struct pg_diag *diag)
{
	for (size_t i = 0; i < cmd->n_rules; i++) {
		size_t at = find_rule(chain, &cmd->rule[i]);

		if (at == chain->n_rules)
			return fail(diag, cmd, names_target(&cmd->rule[i]) ? NO_CHAIN : BAD_RULE);
		if (cmd->verb == PG_VERB_DELETE)
			pg_chain_remove(chain, at);
	}
	return 0;
}

static int delete_num(const struct pg_command *cmd, struct pg_chain *chain, struct pg_diag *diag)
{
	if (cmd->num > chain->n_rules)
		return fail(diag, cmd, "Index of deletion too big.");
	pg_chain_remove(chain, cmd->num - 1);
	return 0;
}

static int set_policy(const struct pg_command *cmd, struct pg_ruleset *set, struct pg_diag *diag)
{
	struct pg_chain *chain = pg_ruleset_chain(set, cmd->table, cmd->chain);
	bool drop = !strcmp(cmd->policy, "DROP");

	if (!chain || !pg_chain_is_builtin(set, chain))
		return fail(diag, cmd, "Bad built-in chain name.");
	if (!drop && strcmp(cmd->policy, "ACCEPT"))
		return fail(diag, cmd, "Bad policy name. Run `dmesg' for more information.");
	chain->policy = drop ? PG_TARGET_DROP : PG_TARGET_ACCEPT;
	/* As under iptables, a policy that is set counts anew. */
	chain->packets = cmd->packets;
	chain->bytes = cmd->bytes;
	chain->has_counters = cmd->has_counters;
	chain->slot = PG_NO_SLOT;
	return 0;
}

void pg_chain_zero(struct pg_chain *chain, unsigned num)
{
	for (size_t i = 0; i < chain->n_rules; i++) {
		struct pg_rule *rule = &chain->rule[i];

		if (num && num != i + 1)
			continue;
		rule->packets = rule->bytes = 0;
		rule->has_counters = true;
		rule->slot = PG_NO_SLOT;
	}
	if (num)
		return;
	chain->packets = chain->bytes = 0;
	chain->has_counters = true;
	chain->slot = PG_NO_SLOT;
}

/* -Z, alone or beside -L and -S. */
static int zero(const struct pg_command *cmd, struct pg_ruleset *set, unsigned num,
		struct pg_diag *diag)
{
	struct pg_chain *chain = cmd->chain ? pg_ruleset_chain(set, cmd->table, cmd->chain) : NULL;

	if (chain && num > chain->n_rules)
		return fail(diag, cmd, "Index of counter too big.");
	for (size_t i = 0; i < set->n_chains; i++)
		if (chain ? chain == &set->chain[i] : set->chain[i].table == cmd->table)
			pg_chain_zero(&set->chain[i], num);
	return 0;
}

static int new_chain(const struct pg_command *cmd, struct pg_ruleset *set, struct pg_diag *diag)
{
	struct pg_chain *chain;

	if (pg_ruleset_chain(set, cmd->table, cmd->chain))
		return fail(diag, cmd, "Chain already exists.");
	chain = pg_chain_add(set, cmd->table, cmd->chain);
	if (!chain)
		return no_memory(diag);
	chain->pos = cmd->chain_at.pos;
	return 0;
}

static int delete_chain(const struct pg_command *cmd, struct pg_ruleset *set,
			struct pg_chain *chain, struct pg_diag *diag)
{
	if (pg_chain_is_builtin(set, chain))
		return pg_diag(diag, PG_DIAG_FAILED, &cmd->chain_at,
			       "cannot delete built-in chain `%s'", chain->name);
	if (pg_chain_references(set, chain))
		return fail(diag, cmd, "Too many links.");
	if (chain->n_rules)
		return fail(diag, cmd, "Directory not empty.");
	pg_chain_drop(set, chain);
	return 0;
}

/* All of the table, one after the other, as iptables does: the first that is in use stops it. */
static int delete_chains(const struct pg_command *cmd, struct pg_ruleset *set,
			 struct pg_diag *diag)
{
	size_t i = PG_CHAINS_BUILTIN;
	int r = 0;

	while (!r && i < set->n_chains) {
		if (set->chain[i].table == cmd->table)
			r = delete_chain(cmd, set, &set->chain[i], diag);
		else
			i++;
	}
	return r;
}

static int rename_chain(const struct pg_command *cmd, struct pg_ruleset *set,
			struct pg_diag *diag)
{
	static const char *const taken[] = { "ACCEPT", "DROP", "QUEUE", "RETURN" };
	struct pg_chain *chain = pg_ruleset_chain(set, cmd->table, cmd->chain);
	bool exists = pg_ruleset_chain(set, cmd->table, cmd->new_name);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		exists |= !strcmp(cmd->new_name, taken[i]);
	if (exists)
		return pg_diag(diag, PG_DIAG_FAILED, &cmd->new_name_at, "File exists.");
	if (!chain || pg_chain_is_builtin(set, chain))
		return fail(diag, cmd, NO_CHAIN);
	/* iptables lets names pass here that it would not take anywhere else. */
	r = pg_chain_name_check(&cmd->new_name_at, diag);
	if (!r)
		pg_chain_rename(set, chain, cmd->new_name);
	return r;
}

static int add(const struct pg_command *cmd, struct pg_ruleset *set, struct pg_chain *chain,
	       struct pg_diag *diag)
{
	/* Asked first, because adding takes the rule away; said last, as iptables does. */
	bool jumps = cmd->rule[0].target == PG_TARGET_CHAIN;
	struct pg_diag misplaced;
	int place = check_place(cmd, set, &misplaced), r;

	if (cmd->verb == PG_VERB_APPEND)
		r = add_rules(cmd, chain, chain->n_rules, true, diag);
	else
		r = cmd->verb == PG_VERB_INSERT ? insert(cmd, chain, diag)
						: replace(cmd, chain, diag);
	if (r)
		return r;
	if (place)
		*diag = misplaced;
	else if (jumps && !cmd->file)
		place = pg_chains_check(set, &cmd->target_at, diag);
	return place;
}

static int apply_to_chain(const struct pg_command *cmd, struct pg_ruleset *set,
			  struct pg_chain *chain, struct pg_diag *diag)
{
	switch (cmd->verb) {
	case PG_VERB_APPEND:
	case PG_VERB_INSERT:
	case PG_VERB_REPLACE:
		return add(cmd, set, chain, diag);
	case PG_VERB_DELETE:
	case PG_VERB_CHECK:
		return delete_or_check(cmd, chain, diag);
	case PG_VERB_DELETE_NUM:
		return delete_num(cmd, chain, diag);
	case PG_VERB_DELETE_CHAIN:
		return delete_chain(cmd, set, chain, diag);
	default:
		return 0;
	}
}

bool pg_command_writes(const struct pg_command *cmd)
{
	switch (cmd->verb) {
	case PG_VERB_LIST:
	case PG_VERB_LIST_RULES:
		return cmd->zero;
	case PG_VERB_CHECK:
	case PG_VERB_HELP:
	case PG_VERB_VERSION:
	case PG_VERB_IGNORE:
		return false;
	default:
		return true;
	}
}

int pg_command_apply(const struct pg_command *cmd, struct pg_ruleset *set, struct pg_diag *diag)
{
	struct pg_chain *chain = cmd->chain ? pg_ruleset_chain(set, cmd->table, cmd->chain) : NULL;
	int r;

	if (cmd->verb == PG_VERB_POLICY)
		return set_policy(cmd, set, diag);
	if (cmd->verb == PG_VERB_NEW_CHAIN)
		return new_chain(cmd, set, diag);
	if (cmd->verb == PG_VERB_RENAME_CHAIN)
		return rename_chain(cmd, set, diag);
	r = check_jump(cmd, set, diag);
	if (r < 0)
		return r;
	if (cmd->chain && !chain) {
		bool by_rule = cmd->verb == PG_VERB_DELETE || cmd->verb == PG_VERB_CHECK;

		return fail(diag, cmd, by_rule ? BAD_RULE : NO_CHAIN);
	}
	switch (cmd->verb) {
	case PG_VERB_FLUSH:
		for (size_t i = 0; i < set->n_chains; i++)
			if (chain ? chain == &set->chain[i] : set->chain[i].table == cmd->table)
				pg_chain_flush(&set->chain[i]);
		return 0;
	case PG_VERB_LIST:
	case PG_VERB_LIST_RULES:
		return cmd->zero ? zero(cmd, set, cmd->zero_num, diag) : 0;
	case PG_VERB_ZERO:
	case PG_VERB_ZERO_NUM:
		return zero(cmd, set, cmd->zero_num, diag);
	case PG_VERB_DELETE_CHAINS:
		return delete_chains(cmd, set, diag);
	default:
		return apply_to_chain(cmd, set, chain, diag);
	}
}
