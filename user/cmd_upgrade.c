/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "options.h"
#include "policy.h"

static int run_upgrade(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_upgrade = {
	.name = "upgrade",
	.args = "[--force] [-w [SECONDS]]",
	.help = "Give attached interfaces this version's programs; policy, flows and counters stay",
	.details =
		"  --force             also interfaces that have them already\n"
		PG_HELP_WAIT,
	.run = run_upgrade,
};

static int parse_options(int argc, char **argv, bool *force, int *wait_s, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_upgrade, argc, argv, ":w::", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c == 'f')
			*force = true;
		else if (c != 'w' ||
			 pg_wait_parse(pg_optional_number(argc, argv), wait_s, err) < 0)
			return -EINVAL;
	}
	if (optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "upgrade takes no '%s': it is for all interfaces", argv[optind]);
	return 0;
}

static void report(const char *ifname, bool replaced)
{
	char shown[64];

	printf("%s: %s\n", pg_printable(ifname, shown, sizeof(shown)),
	       replaced ? "programs replaced" : "has this version's programs already");
}

static int run_upgrade(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *policy = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.verbose = ctx->verbose,
	};
	bool force = false;
	int r = parse_options(argc, argv, &force, &opts.wait_s, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_open(&opts, &dp, err);
	if (r == -ENOENT)
		return pg_fail(err, r, "nothing is attached: there is no instance in '%s'",
			       pg_state_dir(ctx));
	if (r < 0)
		return r;
	r = pg_dp_upgrade(dp, force, report, err);
	if (r < 0)
		return r;
	/* Tables as this version compiles them. */
	r = pg_policy_read(dp, &policy, err);
	return r < 0 ? r : pg_policy_renew(dp, policy, err);
}
