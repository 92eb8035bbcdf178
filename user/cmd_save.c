/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "options.h"
#include "policy.h"
#include "rulefile.h"

static int run_save(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_save = {
	.name = "save",
	.args = "[-c] [-4|-6]",
	.help = "Print the policy in iptables-save's format",
	.details =
		"  -c, --counters      with packets and bytes\n"
		"  -4, -6              only this family's rules, for iptables-restore or ip6tables-restore;\n"
		"                      without either, one file for both, which only portguard reads\n",
	.run = run_save,
};

struct options {
	unsigned family, flags;
};

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "counters", no_argument, NULL, 'c' },
		{ "ipv4", no_argument, NULL, '4' },
		{ "ipv6", no_argument, NULL, '6' },
		{ "table", required_argument, NULL, 't' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_save, argc, argv, ":c46t:", longs, err)) != -1) {
		switch (c) {
		case 'c':
			o->flags |= PG_RULEFILE_COUNTERS;
			break;
		case '4':
		case '6':
			if (o->family && o->family != (c == '4' ? PG_V4 : PG_V6))
				return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
						    "Cannot use -4 with -6");
			o->family = c == '4' ? PG_V4 : PG_V6;
			break;
		case 't':
			if (strcmp(optarg, "filter"))
				return pg_fail_exit(err, PG_EXIT_VERSION, -EINVAL,
						    "table `%s' is not supported yet", optarg);
			break;
		case PG_OPT_HELP:
			return c;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "save takes no '%s'; it prints to standard output",
				    argv[optind]);
	return 0;
}

static int run_save(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_text_free) struct pg_text t = {};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct options o = { .flags = PG_RULEFILE_DATES };
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_open(&opts, &dp, err);
	if (r < 0 && r != -ENOENT)
		return r;
	r = pg_policy_read(dp, &set, err);
	if (r < 0)
		return r;
	pg_rulefile_write(&t, set, o.family, o.flags);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	return 0;
}
