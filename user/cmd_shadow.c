/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* shadow, promote: a policy that is tried on live packets; apply --shadow begins. */
#include <errno.h>
#include <string.h>

#include "edit.h"
#include "export_json.h"
#include "options.h"
#include "shadow.h"
#include "ssh_guard.h"

static int run_shadow(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);
static int run_promote(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_shadow = {
	.name = "shadow",
	.args = "[--all | --stop] [-w [SECONDS]] [--json]",
	.help = "What the policy that `apply --shadow' tries would do otherwise, so far",
	.details =
		"  --all               every line, not only the first 50\n"
		"  --stop              end it; the data path is again what it was before\n"
		"It is compared with the policy that was in force when it began: once that was changed, nothing\n"
		"more is, and the exit code is 1.\n"
		PG_HELP_WAIT,
	.run = run_shadow,
};

const struct pg_cmd pg_cmd_promote = {
	.name = "promote",
	.args = "[--confirm SECONDS] [--force] [-w [SECONDS]]",
	.help = "Make the policy that is tried the one in force, and end the trial",
	.details =
		"  --confirm SECONDS   without 'portguard confirm' in that time the old policy comes back\n"
		"  --force             even if it drops the SSH connection that you are on, or the policy in force was\n"
		"                      changed since the trial began: those changes are lost\n"
		PG_HELP_WAIT,
	.run = run_promote,
};

#define LINES 50
#define CONFIRM_MAX_S 86400 /* a day, as for apply */

struct options {
	bool all, stop, force;
	uint32_t confirm_s;
	int wait_s;
};

enum { OPT_ALL = 0x200, OPT_STOP, OPT_CONFIRM, OPT_FORCE };

static int take_option(int c, int argc, char **argv, struct options *o, struct pg_err *err)
{
	switch (c) {
	case OPT_ALL:
		o->all = true;
		return 0;
	case OPT_STOP:
		o->stop = true;
		return 0;
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_CONFIRM:
		if (pg_parse_u32(optarg, 1, CONFIRM_MAX_S, &o->confirm_s) < 0)
			return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
					    "--confirm takes 1 to %u seconds, not '%s'",
					    CONFIRM_MAX_S, optarg);
		return 0;
	case 'w':
		return pg_wait_parse(optarg ? optarg : pg_optional_number(argc, argv), &o->wait_s, err);
	}
	return c == PG_OPT_HELP ? c : -EINVAL;
}

static int parse_options(const struct pg_cmd *cmd, const struct option *longs, int argc, char **argv,
			 struct options *o, struct pg_err *err)
{
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(cmd, argc, argv, ":w::", longs, err)) != -1)
		r = take_option(c, argc, argv, o, err);
	if (!r && optind < argc)
		r = pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "%s takes no '%s'", cmd->name,
				 argv[optind]);
	return r;
}

static int show(const struct pg_ctx *ctx, const struct options *o, struct pg_dp *dp,
		struct pg_err *err)
{
	_cleanup_(pg_shadow_clear) struct pg_shadow shadow = { 0 };
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	int r = pg_shadow_read(dp, &shadow, err);

	if (r)
		return r;
	if (ctx->json) {
		r = pg_json_shadow(stdout, &shadow, err);
	} else {
		pg_view_shadow(&t, &shadow, o->all ? 0 : LINES);
		r = t.oom ? pg_fail(err, -ENOMEM, "out of memory") : 0;
		if (!r)
			fwrite(t.buf, 1, t.len, stdout);
	}
	return !r && pg_shadow_stopped(&shadow) ? PG_EXIT_FAILED : r;
}

static int none_is_tried(struct pg_err *err)
{
	return pg_fail(err, -ENOENT, "no policy is being tried");
}

static int run_shadow(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, OPT_ALL },
		{ "stop", no_argument, NULL, OPT_STOP },
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct options o = { 0 };
	int r = parse_options(&pg_cmd_shadow, longs, argc, argv, &o, err);
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = o.stop ? PG_DP_WRITE : PG_DP_READ,
		.wait_s = o.wait_s,
		.verbose = ctx->verbose,
		.pending = true,
	};

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_open(&opts, &dp, err);
	if (r && r != -ENOENT)
		return r;
	if (!o.stop)
		return show(ctx, &o, dp, err);
	r = dp ? pg_dp_shadow_stop(dp, err) : -ENOENT;
	return r == -ENOENT ? none_is_tried(err) : r;
}

static int guard(struct pg_dp *dp, const struct pg_ruleset *set, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text warning = { 0 };
	int r = pg_ssh_guard(dp, set, &warning, err);

	if (warning.len)
		fprintf(stderr, "portguard: %s\n", warning.buf);
	return r;
}

/* What rules have counted in the trial is not what they have done. */
static void begin_counting(struct pg_ruleset *set)
{
	pg_policy_disown(set);
	for (size_t i = 0; i < set->n_chains; i++) {
		set->chain[i].packets = set->chain[i].bytes = 0;
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			set->chain[i].rule[k].packets = set->chain[i].rule[k].bytes = 0;
	}
}

/* What was changed meanwhile is not in the policy that is tried, and was not held against it before. */
static int refuse_changed(struct pg_dp *dp, struct pg_err *err)
{
	__u32 then = pg_dp_shadow_generation(dp), now[2];

	pg_dp_policy_numbers(dp, now);
	if (then == now[0])
		return 0;
	return pg_fail(err, -ESTALE,
		       "the policy in force was changed since the trial began (generation %u, now %u); try it "
		       "again with 'portguard apply FILE --shadow', or lose the changes with --force", then, now[0]);
}

/* As `apply` of the same policy would. */
static int promote(struct pg_edit *edit, const struct options *o, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = NULL;
	int r = edit->dp ? pg_dp_shadow_open(edit->dp, &shadow, err) : -ENOENT;

	if (r == -ENOENT)
		return none_is_tried(err);
	if (!r)
		r = pg_policy_read(shadow, &set, err);
	if (!r && !o->force)
		r = refuse_changed(edit->dp, err) ?: guard(edit->dp, set, err);
	if (r < 0)
		return r;
	begin_counting(set);
	pg_policy_inherit(set, edit->set);
	edit->kill_ssh = o->force;
	r = pg_edit_commit_for(edit, set, o->confirm_s, err);
	if (r >= 0 && o->confirm_s)
		pg_edit_say_waiting(set, o->confirm_s);
	return r < 0 ? r : pg_dp_shadow_stop(edit->dp, err);
}

static int run_promote(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "confirm", required_argument, NULL, OPT_CONFIRM },
		{ "force", no_argument, NULL, OPT_FORCE },
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	_cleanup_(pg_edit_close) struct pg_edit edit = { 0 };
	struct options o = { 0 };
	int r = parse_options(&pg_cmd_promote, longs, argc, argv, &o, err);

	if (!r)
		r = pg_edit_open(ctx, true, o.wait_s, &edit, err);
	if (!r)
		r = promote(&edit, &o, err);
	return r == PG_OPT_HELP ? 0 : r;
}
