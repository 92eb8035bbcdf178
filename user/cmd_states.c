/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "export_json.h"
#include "flows.h"
#include "options.h"
#include "show.h"
#include "states.h"

static int run_states(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_states = {
	.name = "states",
	.args = "[--port PORT[-PORT]]… [--watch [SECONDS]] [--json]",
	.help = "Count how often TCP's ends went from each state to each other, and impossible flags",
	.details =
		"Each end of each tracked connection counts by itself, by RFC 9293's states.\n"
		"  --port PORT         of connections that were opened to that port; may be given again\n"
		PG_HELP_WATCH,
	.run = run_states,
};

enum { OPT_PORT = 0x200, OPT_WATCH };

static int add_port(struct pg_states_opts *opts, const char *text, struct pg_err *err)
{
	struct pg_flow_ports ports;

	if (pg_flow_ports_from_str(text, &ports) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "invalid port/service `%s' specified", text);
	opts->port[opts->n].lo = ports.lo;
	opts->port[opts->n++].hi = ports.hi;
	return 0;
}

static int parse_options(int argc, char **argv, struct pg_states_opts *opts, unsigned *watch_ms,
			 struct pg_err *err)
{
	static const struct option longs[] = {
		{ "port", required_argument, NULL, OPT_PORT },
		{ "watch", optional_argument, NULL, OPT_WATCH },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_states, argc, argv, ":", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c == OPT_PORT)
			r = add_port(opts, optarg, err);
		else if (c == OPT_WATCH)
			r = pg_watch_parse(pg_optional_number(argc, argv), watch_ms, err);
		else
			r = -EINVAL;
	}
	if (!r && optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Bad argument `%s'", argv[optind]);
	return r;
}

static void text(struct pg_text *t, const struct pg_snapshot *snap, unsigned width, const void *arg)
{
	pg_view_states(t, &snap->states, width, arg);
}

static int json(FILE *f, const struct pg_snapshot *snap, const void *arg, struct pg_err *err)
{
	return pg_json_states(f, &snap->states, arg, err);
}

static int run_states(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	struct pg_states_opts opts = { .port = calloc((size_t)argc, sizeof(*opts.port)) };
	const struct pg_view view = {
		.what = PG_SNAP_STATES, .text = text, .json = json, .arg = &opts,
	};
	unsigned watch_ms = 0;
	int r;

	if (!opts.port)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = parse_options(argc, argv, &opts, &watch_ms, err);
	if (!r)
		r = pg_show(ctx, &view, watch_ms, err);
	free(opts.port);
	return r == PG_OPT_HELP ? 0 : r;
}
