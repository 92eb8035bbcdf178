/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "options.h"

static int run_confirm(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_confirm = {
	.name = "confirm",
	.args = "[-w [SECONDS]]",
	.help = "Keep the policy that 'apply --confirm' has put in force",
	.details = PG_HELP_WAIT,
	.run = run_confirm,
};

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
	return r < 0 ? r : pg_dp_confirm(dp, err);
}
