/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "export_json.h"
#include "options.h"
#include "show.h"
#include "view.h"

static int run_status(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_status = {
	.name = "status",
	.args = "[--watch [SECONDS]] [--json]",
	.help = "Show interfaces and how they are attached, totals, the policy and its memory",
	.details = PG_HELP_WATCH,
	.run = run_status,
};

static void text(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		 const void *arg)
{
	(void)arg;
	pg_view_status(t, snap, width);
}

static int json(FILE *f, const struct pg_snapshot *snap, const void *arg, struct pg_err *err)
{
	(void)arg;
	return pg_json_status(f, snap, err);
}

static int run_status(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct pg_view view = { .what = PG_SNAP_KERNEL, .text = text, .json = json };
	unsigned watch_ms = 0;
	int r = pg_show_options(&pg_cmd_status, argc, argv, &watch_ms, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	return pg_show(ctx, &view, watch_ms, err);
}
