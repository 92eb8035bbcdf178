/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

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
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.verbose = ctx->verbose,
		.pending = true,
	};
	int r = pg_wait_option(&pg_cmd_confirm, argc, argv, &opts.wait_s, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_open(&opts, &dp, err);
	if (r == -ENOENT)
		return pg_fail(err, r, "no policy is waiting for confirmation");
	if (!r)
		r = pg_dp_confirm(dp, err);
	return r < 0 ? r : end_forbidden(dp, err);
}
