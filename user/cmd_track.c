/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "edit.h"
#include "options.h"

static int run_track(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_track = {
	.name = "track",
	.args = "[on | auto | off] [loose | strict] [exact | liberal] [-w [SECONDS]] [--json]",
	.help = "Say when connections are tracked and how strictly, or change that",
	.details =
		"  on                  always, so that flows and states are there to be looked at\n"
		"  auto                when a rule asks for a connection's state (at the start)\n"
		"  off                 as auto, but refused if a rule asks\n"
		"  loose               connections from before are picked up in mid-stream (at the start)\n"
		"  strict              only SYNs begin connections (nf_conntrack_tcp_loose=0)\n"
		"  exact               segments out of window are INVALID (at the start)\n"
		"  liberal             only RSTs out of window are (nf_conntrack_tcp_be_liberal=1)\n"
		PG_HELP_WAIT,
	.run = run_track,
};

/* Each word sets some options and clears others. */
static const struct {
	const char *name;
	__u32 set, clear;
} words[] = {
	{ "on", PG_FLOW_OPT_TRACK, 0 },	     { "auto", 0, PG_FLOW_OPT_TRACK },
	{ "off", 0, PG_FLOW_OPT_TRACK },     { "strict", PG_FLOW_OPT_STRICT, 0 },
	{ "loose", 0, PG_FLOW_OPT_STRICT },  { "liberal", PG_FLOW_OPT_LIBERAL, 0 },
	{ "exact", 0, PG_FLOW_OPT_LIBERAL },
};

struct change {
	__u32 set, clear;
	bool off;
};

static int take_word(const char *text, struct change *change, struct pg_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i].name))
			continue;
		if ((change->set | change->clear) & (words[i].set | words[i].clear))
			return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
					    "'%s' and another word exclude each other", text);
		change->set |= words[i].set;
		change->clear |= words[i].clear;
		change->off |= !strcmp(text, "off");
		return 0;
	}
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
			    "track takes on, auto, off, loose, strict, exact and liberal, not '%s'",
			    text);
}

static int parse_options(int argc, char **argv, struct change *change, int *wait_s,
			 struct pg_err *err)
{
	static const struct option longs[] = { { "wait", optional_argument, NULL, 'w' }, { 0 } };
	int c, r = 0;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_track, argc, argv, ":w::", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c != 'w' || pg_wait_parse(pg_optional_number(argc, argv), wait_s, err) < 0)
			return -EINVAL;
	}
	for (; !r && optind < argc; optind++)
		r = take_word(argv[optind], change, err);
	return r;
}

static void show(const struct pg_ctx *ctx, struct pg_dp *dp)
{
	__u32 options = dp ? pg_dp_flow_options(dp) : 0;
	const char *when = options & PG_FLOW_OPT_TRACK ? "on" : "auto";
	struct pg_dp_flow_info info = { 0 };

	if (dp)
		pg_dp_flow_info(dp, &info);
	if (ctx->json)
		printf("{\"track\":\"%s\",\"tracking\":%s,\"strict\":%s,\"liberal\":%s}\n", when,
		       info.tracking ? "true" : "false",
		       options & PG_FLOW_OPT_STRICT ? "true" : "false",
		       options & PG_FLOW_OPT_LIBERAL ? "true" : "false");
	else
		printf("%s %s %s%s\n", when, options & PG_FLOW_OPT_STRICT ? "strict" : "loose",
		       options & PG_FLOW_OPT_LIBERAL ? "liberal" : "exact",
		       info.tracking ? "" : " (not tracking: no rule asks for a connection's state)");
}

static int set(struct pg_dp *dp, const struct change *change, struct pg_err *err)
{
	__u32 old = pg_dp_flow_options(dp), options = (old & ~change->clear) | change->set;
	int r = pg_dp_flow_options_set(dp, options, err);

	if (r < 0 || !change->off || !pg_dp_policy_tracks(dp))
		return r;
	/* It is still on, so rules want it. */
	r = pg_dp_flow_options_set(dp, old, err);
	return r < 0 ? r :
		       pg_fail(err, -EBUSY,
			       "the policy has rules that ask for connections' states: with tracking "
			       "off all would be INVALID. Remove those rules first");
}

static int run_track(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
		.pending = true,
	};
	struct change change = { 0 };
	bool changes;
	int r = parse_options(argc, argv, &change, &opts.wait_s, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	changes = change.set | change.clear;
	if (changes)
		opts.mode = PG_DP_CREATE;
	r = pg_dp_open(&opts, &dp, err);
	if (r < 0 && (changes || r != -ENOENT))
		return r;
	if (changes) {
		bool tracked = pg_dp_policy_tracks(dp);

		r = set(dp, &change, err);
		if (r >= 0)
			pg_edit_warn(dp, !tracked);
		return r;
	}
	show(ctx, dp);
	return 0;
}
