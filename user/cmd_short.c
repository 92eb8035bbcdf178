/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* allow, deny, limit, delete: rules for ports in a few words. */
#include <errno.h>
#include <string.h>

#include "edit.h"
#include "options.h"
#include "short.h"

static int run_allow(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);
static int run_deny(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);
static int run_limit(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);
static int run_delete(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

#define SHORT_ARGS "PORT[:PORT][,…][/tcp|/udp] [from ADDRESS[/MASK]] [on IFACE]"

const struct pg_cmd pg_cmd_allow = {
	.name = "allow",
	.args = SHORT_ARGS,
	.help = "Let packets to a port in, ahead of a final rule that drops everything",
	.run = run_allow,
};

const struct pg_cmd pg_cmd_deny = {
	.name = "deny",
	.args = SHORT_ARGS,
	.help = "Drop packets to a port, ahead of what would let them in",
	.details = "What lets an address in to just these ports stays ahead of it, and is named.\n",
	.run = run_deny,
};

const struct pg_cmd pg_cmd_limit = {
	.name = "limit",
	.args = SHORT_ARGS,
	.help = "Allow a port, but not to an address that opens 6 connections within 30 seconds",
	.details = "Makes three rules: one notes in a list (-m recent) where a new connection\n"
		   "comes from, one drops it where the list has six of the last 30 seconds, one\n"
		   "accepts.\n",
	.run = run_limit,
};

const struct pg_cmd pg_cmd_delete = {
	.name = "delete",
	.args = "allow|deny|limit " SHORT_ARGS,
	.help = "Take back an allow, a deny or a limit",
	.run = run_delete,
};

struct options {
	char **word;
	size_t n_words;
	int wait_s;
};

/* Nothing but -w, anywhere among the words. */
static int parse_options(const struct pg_cmd *cmd, int argc, char **argv, struct options *o,
			 struct pg_err *err)
{
	static const struct option longs[] = {
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(cmd, argc, argv, ":w::", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c != 'w' || pg_wait_parse(optarg, &o->wait_s, err) < 0)
			return -EINVAL;
	}
	o->word = argv + optind;
	o->n_words = (size_t)(argc - optind);
	return 0;
}

static int change(struct pg_edit *edit, const struct pg_short *rules, bool remove,
		  struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = pg_ruleset_dup(edit->set);
	_cleanup_(pg_text_free) struct pg_text log = {};
	struct pg_diag diag;
	bool changed = true;
	int r;

	if (!set)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (remove)
		r = pg_short_remove(rules, set, &log, &diag);
	else
		r = pg_short_add(rules, set, &log, &changed, &diag);
	if (r < 0)
		return pg_diag_report(&diag, r, err);
	if (changed)
		r = pg_edit_commit(edit, set, err);
	if (!r && log.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (!r)
		fputs(log.buf, stdout);
	return r;
}

static int execute(const struct pg_ctx *ctx, const struct options *o, enum pg_short_kind kind,
		   bool remove, struct pg_err *err)
{
	_cleanup_(pg_edit_close) struct pg_edit edit = {};
	_cleanup_(pg_short_free) struct pg_short rules = {};
	struct pg_diag diag;
	int r = pg_short_parse(o->word, o->n_words, kind, &rules, &diag);

	if (r < 0)
		return pg_diag_report(&diag, r, err);
	r = pg_edit_open(ctx, true, o->wait_s, &edit, err);
	return r < 0 ? r : change(&edit, &rules, remove, err);
}

static int run(struct pg_ctx *ctx, const struct pg_cmd *cmd, enum pg_short_kind kind, int argc,
	       char **argv, struct pg_err *err)
{
	struct options o = {};
	int r = parse_options(cmd, argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	return execute(ctx, &o, kind, false, err);
}

static int run_allow(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	return run(ctx, &pg_cmd_allow, PG_SHORT_ALLOW, argc, argv, err);
}

static int run_deny(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	return run(ctx, &pg_cmd_deny, PG_SHORT_DENY, argc, argv, err);
}

static int run_limit(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	return run(ctx, &pg_cmd_limit, PG_SHORT_LIMIT, argc, argv, err);
}

static int run_delete(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const char *const verbs[] = { [PG_SHORT_ALLOW] = "allow", [PG_SHORT_DENY] = "deny",
					     [PG_SHORT_LIMIT] = "limit" };
	struct options o = {};
	int r = parse_options(&pg_cmd_delete, argc, argv, &o, err);
	size_t kind = 0;

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	while (kind < ARRAY_SIZE(verbs) && (!o.n_words || strcmp(o.word[0], verbs[kind])))
		kind++;
	if (kind == ARRAY_SIZE(verbs))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "delete what? `allow …', `deny …' or `limit …'");
	o.word++;
	o.n_words--;
	return execute(ctx, &o, (enum pg_short_kind)kind, true, err);
}
