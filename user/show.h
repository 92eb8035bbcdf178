/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the commands that show something have in common: --json and --watch. */
#pragma once

#include "cmd.h"
#include "snapshot.h"

/* For --help of commands that show something. */
#define PG_HELP_WATCH "  --watch [SECONDS]   again and again until Ctrl-C\n"

/*
 * One view: its text for a terminal of a width (0: no terminal) and its JSON. `arg` is the
 * command's own.
 */
struct pg_view {
	unsigned what; /* PG_SNAP_* */
	const struct pg_flow_query *flows; /* with PG_SNAP_FLOWS: which; NULL: all */
	void (*text)(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		     const void *arg);
	int (*json)(FILE *f, const struct pg_snapshot *snap, const void *arg, struct pg_err *err);
	const void *arg;
};

/*
 * Options of a command that has no others than these. 0, or PG_OPT_HELP, or a negative errno with
 * err filled.
 */
int pg_show_options(const struct pg_cmd *cmd, int argc, char **argv, unsigned *ret_watch_ms,
		    struct pg_err *err);

/* The value of --watch: 0 to show once, otherwise the interval. 0 or -EINVAL with err filled. */
int pg_watch_parse(const char *text, unsigned *ret_ms, struct pg_err *err);

/*
 * Show it once, or again every watch_ms until SIGINT or SIGTERM, which are no failure. Without
 * an instance, what is shown is empty.
 */
int pg_show(const struct pg_ctx *ctx, const struct pg_view *view, unsigned watch_ms,
	    struct pg_err *err);
