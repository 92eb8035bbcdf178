/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "iptables.h"

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

/* portguard never shows a rule that it does not enforce, so it takes none for other chains. */
static int check_enforced(const struct pg_command *cmd, const struct pg_ruleset *set,
			  const struct pg_chain *chain, struct pg_diag *diag)
{
	if (chain == &set->chain[PG_CHAIN_INPUT])
		return 0;
	return pg_diag(diag, PG_DIAG_UNENFORCED, &cmd->chain_at,
		       "chain `%s' takes no rules yet: only INPUT is enforced", chain->name);
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
		if (pg_chain_insert(chain, forward ? at + i : at, &cmd->rule[i]) < 0)
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

static int delete_or_check(const struct pg_command *cmd, struct pg_chain *chain,
			   struct pg_diag *diag)
{
	for (size_t i = 0; i < cmd->n_rules; i++) {
		size_t at = find_rule(chain, &cmd->rule[i]);

		if (at == chain->n_rules)
			return fail(diag, cmd, BAD_RULE);
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

static void flush(struct pg_chain *chain)
{
	while (chain->n_rules)
		pg_chain_remove(chain, chain->n_rules - 1);
}

static int set_policy(const struct pg_command *cmd, struct pg_ruleset *set, struct pg_diag *diag)
{
	struct pg_chain *chain = pg_ruleset_chain(set, PG_TABLE_FILTER, cmd->chain);
	bool drop = !strcmp(cmd->policy, "DROP");

	if (!chain)
		return fail(diag, cmd, "Bad built-in chain name.");
	if (!drop && strcmp(cmd->policy, "ACCEPT"))
		return fail(diag, cmd, "Bad policy name. Run `dmesg' for more information.");
	if (drop && chain != &set->chain[PG_CHAIN_INPUT])
		return pg_diag(diag, PG_DIAG_UNENFORCED, &cmd->chain_at,
			       "chain `%s' takes no policy DROP yet: only INPUT is enforced",
			       chain->name);
	chain->policy = drop ? PG_TARGET_DROP : PG_TARGET_ACCEPT;
	/* As under iptables, a policy that is set counts anew. */
	chain->packets = cmd->packets;
	chain->bytes = cmd->bytes;
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
		rule->slot = PG_NO_SLOT;
	}
	if (num)
		return;
	chain->packets = chain->bytes = 0;
	chain->slot = PG_NO_SLOT;
}

/* -Z, alone or beside -L and -S. */
static int zero(const struct pg_command *cmd, struct pg_ruleset *set, unsigned num,
		struct pg_diag *diag)
{
	struct pg_chain *chain = cmd->chain ? pg_ruleset_chain(set, PG_TABLE_FILTER, cmd->chain) : NULL;

	if (chain && num > chain->n_rules)
		return fail(diag, cmd, "Index of counter too big.");
	for (size_t i = 0; i < set->n_chains; i++)
		if (!chain || chain == &set->chain[i])
			pg_chain_zero(&set->chain[i], num);
	return 0;
}

static int apply_to_chain(const struct pg_command *cmd, struct pg_ruleset *set,
			  struct pg_chain *chain, struct pg_diag *diag)
{
	int r;

	switch (cmd->verb) {
	case PG_VERB_APPEND:
	case PG_VERB_INSERT:
	case PG_VERB_REPLACE:
		r = check_enforced(cmd, set, chain, diag);
		if (r < 0)
			return r;
		if (cmd->verb == PG_VERB_APPEND)
			return add_rules(cmd, chain, chain->n_rules, true, diag);
		return cmd->verb == PG_VERB_INSERT ? insert(cmd, chain, diag)
						   : replace(cmd, chain, diag);
	case PG_VERB_DELETE:
	case PG_VERB_CHECK:
		return delete_or_check(cmd, chain, diag);
	case PG_VERB_DELETE_NUM:
		return delete_num(cmd, chain, diag);
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
	case PG_VERB_DELETE_CHAINS:
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
	struct pg_chain *chain = cmd->chain ? pg_ruleset_chain(set, PG_TABLE_FILTER, cmd->chain) : NULL;

	if (cmd->verb == PG_VERB_POLICY)
		return set_policy(cmd, set, diag);
	if (cmd->chain && !chain) {
		bool by_rule = cmd->verb == PG_VERB_DELETE || cmd->verb == PG_VERB_CHECK;

		return fail(diag, cmd, by_rule ? BAD_RULE : NO_CHAIN);
	}
	switch (cmd->verb) {
	case PG_VERB_FLUSH:
		for (size_t i = 0; i < set->n_chains; i++)
			if (!chain || chain == &set->chain[i])
				flush(&set->chain[i]);
		return 0;
	case PG_VERB_LIST:
	case PG_VERB_LIST_RULES:
		return cmd->zero ? zero(cmd, set, cmd->zero_num, diag) : 0;
	case PG_VERB_ZERO:
	case PG_VERB_ZERO_NUM:
		return zero(cmd, set, cmd->zero_num, diag);
	default:
		return apply_to_chain(cmd, set, chain, diag);
	}
}
