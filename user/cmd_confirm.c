/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kill.h"
#include "options.h"
#include "policy.h"

static int run_confirm(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_confirm = {
	.name = "confirm",
	.args = "[-w [SECONDS]]",
	.help = "Keep the policy that 'apply --confirm' has put in force",
	.details = PG_HELP_WAIT,
	.run = run_confirm,
};

/* What cannot be taken back has waited for this: connections that -j DROP --kill forbids. */
static int end_forbidden(struct pg_dp *dp, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	int r = pg_policy_read(dp, &set, err);

	if (r < 0 || !pg_kill_wanted(set, false))
		return r;
	return pg_kill_forbidden(dp, set, false, false, err);
}

static int run_confirm(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = pg_open_pending(&pg_cmd_confirm, ctx, argc, argv,
				"no policy is waiting for confirmation", &dp, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_confirm(dp, err);
	return r < 0 ? r : end_forbidden(dp, err);
}
