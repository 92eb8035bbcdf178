/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "options.h"
#include "policy.h"

static int run_rollback(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_rollback = {
	.name = "rollback",
	.args = "[-w [SECONDS]]",
	.help = "Go back to the policy before the one in force, with its counters",
	.details = PG_HELP_WAIT,
	.run = run_rollback,
};

/* The one before is committed as if it were new: interfaces and sets may not be what they were. */
static int commit_previous(struct pg_dp *dp, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	int r = pg_policy_read_previous(dp, &set, err);

	return r < 0 ? r : pg_policy_commit(dp, set, err);
}

/* A second rollback goes forth again: which policy it is now should be seen. */
static int tell(struct pg_dp *dp, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	struct pg_dp_policy_info info;
	size_t rules = 0;
	int r = pg_policy_read(dp, &set, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < set->n_chains; i++)
		rules += set->chain[i].n_rules;
	pg_dp_policy_info(dp, &info);
	printf("rolled back: generation %u is in force, %zu rule%s; another rollback undoes this\n",
	       info.generation, rules, rules == 1 ? "" : "s");
	return 0;
}

static int run_rollback(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = pg_open_pending(&pg_cmd_rollback, ctx, argc, argv,
				"there is no previous policy to go back to", &dp, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_take_back(dp) ? 0 : commit_previous(dp, err);
	return r < 0 ? r : tell(dp, err);
}
