/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "export_json.h"
#include "options.h"
#include "show.h"
#include "view.h"

static int run_reasons(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_reasons = {
	.name = "reasons",
	.args = "[--all] [--watch [SECONDS]] [--json]",
	.help = "Show why packets ended as they did; --all: also what has not happened yet",
	.details =
		"  --all               also reasons that have counted nothing\n"
		PG_HELP_WATCH,
	.run = run_reasons,
};

static void text(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		 const void *all)
{
	pg_view_reasons(t, snap, width, *(const bool *)all);
}

static int json(FILE *f, const struct pg_snapshot *snap, const void *all, struct pg_err *err)
{
	(void)all; /* scripts get every name always */
	return pg_json_reasons(f, snap, err);
}

static int run_reasons(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "watch", optional_argument, NULL, 'w' },
		{ 0 },
	};
	bool all = false;
	const struct pg_view view = { .text = text, .json = json, .arg = &all };
	unsigned watch_ms = 0;
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_reasons, argc, argv, ":a", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return 0;
		if (c == 'a')
			all = true;
		else if (c != 'w' ||
			 pg_watch_parse(pg_optional_number(argc, argv), &watch_ms, err) < 0)
			return -EINVAL;
	}
	if (optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Bad argument `%s'",
				    argv[optind]);
	return pg_show(ctx, &view, watch_ms, err);
}
