/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "options.h"
#include "policy.h"

static int run_detach(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_detach = {
	.name = "detach",
	.args = "IFACE… | --all [-w [SECONDS]]",
	.help = "Detach from interfaces; --all: from every one, and forget policy and counters",
	.details =
		"  --all               every interface; policy and counters are gone then\n"
		PG_HELP_WAIT,
	.run = run_detach,
};

/* All names are looked up first: a wrong one changes nothing. */
static int detach_named(struct pg_dp *dp, char **name, size_t n, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *policy = NULL;
	struct pg_err left = { 0 };
	int r;

	for (size_t i = 0; i < n; i++)
		if (!pg_dp_is_attached(dp, name[i]))
			return pg_fail(err, -ENODEV, "not attached to '%s'", name[i]);

	for (size_t i = 0; i < n; i++) {
		char shown[64];

		r = pg_dp_detach(dp, name[i], err);
		if (r < 0)
			return r;
		printf("%s: detached\n", pg_printable(name[i], shown, sizeof(shown)));
	}

	/*
	 * The slot is free for another interface, for which this one's rules must not hold until
	 * its own policy is committed.
	 */
	if (pg_policy_read(dp, &policy, &left) || pg_policy_renew(dp, policy, &left))
		fprintf(stderr, "portguard: %s; the next change of the policy does the rest\n", left.text);
	return 0;
}

static int parse_options(int argc, char **argv, bool *all, int *wait_s, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_detach, argc, argv, ":w::", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c == 'a')
			*all = true;
		else if (c != 'w' ||
			 pg_wait_parse(pg_optional_number(argc, argv), wait_s, err) < 0)
			return -EINVAL;
	}
	if (*all == (optind < argc))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "detach needs the name of an interface, or --all");
	return 0;
}

static int run_detach(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.verbose = ctx->verbose,
	};
	bool all = false;
	int r = parse_options(argc, argv, &all, &opts.wait_s, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	opts.remove = all;
	opts.pending = all; /* with everything gone there is nothing to go back to */
	r = pg_dp_open(&opts, &dp, err);
	if (r == -ENOENT && all)
		return pg_fail(err, r, "nothing is attached: there is no instance in '%s'",
			       pg_state_dir(ctx));
	if (r == -ENOENT)
		return pg_fail(err, r, "not attached to '%s'", argv[optind]);
	if (r < 0)
		return r;
	if (all)
		return pg_dp_destroy(dp, err);
	return detach_named(dp, argv + optind, pg_names_once(argv + optind, (size_t)(argc - optind)), err);
}
