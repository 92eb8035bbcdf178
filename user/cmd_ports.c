/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "export_json.h"
#include "options.h"
#include "show.h"
#include "view.h"

static int run_ports(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_ports = {
	.name = "ports",
	.args = "[PORT[-PORT][/PROTO] | tcp | udp]… [--sort port|packets|bytes|dropped] "
		"[--watch [SECONDS]] [--json]",
	.help = "Show packets, bytes, drops, TCP flags and the listener of every port that has any",
	.details =
		"Ports are the local end's, flags of both directions. Choose by tcp, udp, 443, 80-90/tcp.\n"
		"  --sort KEY          port (the default), packets, bytes or dropped\n"
		PG_HELP_WATCH,
	.run = run_ports,
};

static void text(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		 const void *arg)
{
	pg_view_ports(t, snap, width, arg);
}

static int json(FILE *f, const struct pg_snapshot *snap, const void *arg, struct pg_err *err)
{
	return pg_json_ports(f, snap, arg, err);
}

static int parse_options(int argc, char **argv, struct pg_ports_opts *opts, unsigned *watch_ms,
			 struct pg_err *err)
{
	static const struct option longs[] = {
		{ "sort", required_argument, NULL, 's' },
		{ "watch", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_ports, argc, argv, ":", longs, err)) != -1) {
		switch (c) {
		case 's':
			if (pg_port_sort_from_str(optarg, &opts->sort) < 0)
				return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
						    "--sort takes port, packets, bytes or "
						    "dropped, not '%s'",
						    optarg);
			break;
		case 'w':
			if (pg_watch_parse(pg_optional_number(argc, argv), watch_ms, err) < 0)
				return -EINVAL;
			break;
		case PG_OPT_HELP:
			return c;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static int run_ports(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_free_ struct pg_port_filter *filter = calloc((size_t)argc, sizeof(*filter));
	struct pg_ports_opts opts = { .filter = filter };
	const struct pg_view view = {
		.what = PG_SNAP_PORTS | PG_SNAP_LISTENERS,
		.text = text,
		.json = json,
		.arg = &opts,
	};
	unsigned watch_ms = 0;
	int r;

	if (!filter)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = parse_options(argc, argv, &opts, &watch_ms, err);
	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	for (; optind < argc; optind++)
		if (pg_port_filter_from_str(argv[optind], &filter[opts.n_filter++]) < 0)
			return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
					    "invalid port `%s' specified", argv[optind]);
	return pg_show(ctx, &view, watch_ms, err);
}
