/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "compile.h"
#include "config.h"
#include "edit.h"
#include "options.h"
#include "shadow.h"
#include "ssh_guard.h"

static int run_apply(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_apply = {
	.name = "apply",
	.args = "[FILE] [--confirm SECONDS] [--kill] [--test] [--shadow] [--force] [-4|-6] [--skip-tables] "
		"[--skip-unsupported] [-w [SECONDS]]",
	.help = "Make a file in iptables-save's format the policy, if you are not locked out by it",
	.details =
		"Without FILE it is the one that the configuration file names as `policy'.\n"
		"  --confirm SECONDS   without 'portguard confirm' in that time the old policy comes back\n"
		"  --kill              end the connections that the new policy would not have let begin\n"
		"  --test              change nothing; needs no privileges\n"
		"  --shadow            only count on live packets where it would differ: see 'portguard shadow'\n"
		"  --force             even if it drops the SSH connection that you are on\n"
		"  -4, -6              read the file as iptables-restore or ip6tables-restore would\n"
		PG_HELP_FILE PG_HELP_WAIT,
	.run = run_apply,
};

#define CONFIRM_MAX_S 86400 /* a day */

struct options {
	struct pg_rulefile_opts file;
	bool test, force, kill, shadow;
	uint32_t confirm_s; /* 0: not asked for */
	int wait_s;
	const char *path;
};

enum { OPT_CONFIRM = 0x200, OPT_FORCE, OPT_KILL, OPT_SHADOW };

static int set_confirm(struct options *o, const char *text, struct pg_err *err)
{
	if (pg_parse_u32(text, 1, CONFIRM_MAX_S, &o->confirm_s) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--confirm takes 1 to %u seconds, not '%s'", CONFIRM_MAX_S, text);
	return 0;
}

/* 0, or PG_OPT_HELP, or negative. */
static int take_option(int c, int argc, char **argv, struct options *o, struct pg_err *err)
{
	switch (c) {
	case 't':
		o->test = true;
		return 0;
	case OPT_CONFIRM:
		return set_confirm(o, optarg, err);
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_KILL:
		o->kill = true;
		return 0;
	case OPT_SHADOW:
		o->shadow = true;
		return 0;
	case 'w':
		return pg_wait_parse(pg_optional_number(argc, argv), &o->wait_s, err);
	case PG_OPT_HELP:
		return c;
	default:
		return pg_file_option(c, &o->file, err);
	}
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "confirm", required_argument, NULL, OPT_CONFIRM },
		{ "test", no_argument, NULL, 't' },
		{ "force", no_argument, NULL, OPT_FORCE },
		{ "kill", no_argument, NULL, OPT_KILL },
		{ "shadow", no_argument, NULL, OPT_SHADOW },
		PG_LONG_FILE,
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_apply, argc, argv, ":46tw::", longs, err)) != -1)
		r = take_option(c, argc, argv, o, err);
	if (r)
		return r;
	if (o->kill && o->confirm_s)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--kill does not go with --confirm: what is ended does not come back");
	if (o->shadow && (o->confirm_s || o->kill || o->test || o->force))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--shadow changes nothing: --confirm, --kill, --test and --force do "
				    "not go with it");
	if (argc - optind > 1 || (argc == optind && !o->path))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "apply takes one file");
	if (argc > optind)
		o->path = argv[optind];
	o->file.name = strcmp(o->path, "-") ? o->path : NULL;
	return 0;
}

static int parse(const struct options *o, const struct pg_text *text, const struct pg_ruleset *base,
		 struct pg_ruleset **ret_set, struct pg_err *err)
{
	struct pg_rulefile_opts opts = o->file;

	opts.base = base;
	return pg_edit_parse(text, &opts, ret_set, err);
}

static int test(const struct options *o, const struct pg_text *text, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	int r = parse(o, text, NULL, &set, err);

	return r < 0 ? r : pg_compile_test(set, NULL, err);
}

static int guard(struct pg_dp *dp, const struct pg_ruleset *set, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text warning = {};
	int r = dp ? pg_ssh_guard(dp, set, &warning, err) : 0;

	if (warning.len)
		fprintf(stderr, "portguard: %s\n", warning.buf);
	return r;
}

static int say_left_out(struct pg_dp *dp, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	char name[4 * IFNAMSIZ + 1];
	int r = iface ? pg_dp_ifaces(dp, iface, err) : pg_fail(err, -ENOMEM, "out of memory");

	for (int slot = 0; !r && slot < PG_MAX_IFACES; slot++)
		if (iface[slot].abi.netns && !iface[slot].here)
			printf("Not on %s, which is in another network namespace.\n",
			       pg_printable(iface[slot].abi.name, name, sizeof(name)));
	return r;
}

static int try_beside(struct pg_edit *edit, struct pg_ruleset *set, struct pg_err *err)
{
	int n = edit->dp ? 0 : pg_fail(err, -ENOENT, "nothing is attached");
	enum pg_shadow_state before;
	__s64 since;

	if (n)
		return n;
	before = pg_dp_shadow_state(edit->dp, &since);
	n = pg_shadow_begin(edit->dp, set, edit->set, err);
	if (n < 0)
		return n;
	if (before == PG_SHADOW_ON)
		printf("The trial that was on is ended, and what it has counted is forgotten.\n");
	printf("Tried on live packets of %d interface%s: 'portguard shadow' shows what differs, 'portguard "
	       "promote' makes it the policy, 'portguard shadow --stop' ends it.\n", n, n > 1 ? "s" : "");
	return say_left_out(edit->dp, err);
}

static int apply(const struct pg_ctx *ctx, const struct options *o, const struct pg_text *text,
		 struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_edit_close) struct pg_edit edit = {};
	int r = pg_edit_open(ctx, true, o->wait_s, &edit, err);

	if (!r)
		r = parse(o, text, edit.set, &set, err);
	if (!r && o->shadow)
		return try_beside(&edit, set, err);
	if (!r && !o->force)
		r = guard(edit.dp, set, err);
	if (r < 0)
		return r;
	pg_policy_inherit(set, edit.set);
	edit.kill_all = o->kill;
	edit.kill_ssh = o->force;
	r = pg_edit_commit_for(&edit, set, o->confirm_s, err);
	if (r >= 0 && o->confirm_s)
		pg_edit_say_waiting(set, o->confirm_s);
	return r;
}

static int run_apply(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = {};
	struct options o = { .path = ctx->config->policy };
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	/* All of it first: a slow writer must not hold up others at the lock. */
	r = pg_rulefile_slurp(o.path, &text, err);
	if (r < 0)
		return r;
	return o.test ? test(&o, &text, err) : apply(ctx, &o, &text, err);
}
