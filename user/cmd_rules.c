/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "export_json.h"
#include "options.h"
#include "show.h"
#include "view.h"

static int run_rules(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_rules = {
	.name = "rules",
	.args = "[--watch [SECONDS]] [--json]",
	.help = "Show every rule with its packets and bytes",
	.details = PG_HELP_WATCH,
	.run = run_rules,
};

static void text(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		 const void *arg)
{
	(void)arg;
	pg_view_rules(t, snap, width);
}

static int json(FILE *f, const struct pg_snapshot *snap, const void *arg, struct pg_err *err)
{
	(void)arg;
	return pg_json_rules(f, snap, err);
}

static int run_rules(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct pg_view view = { .text = text, .json = json };
	unsigned watch_ms = 0;
	int r = pg_show_options(&pg_cmd_rules, argc, argv, &watch_ms, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	return pg_show(ctx, &view, watch_ms, err);
}
