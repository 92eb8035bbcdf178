/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "export_json.h"
#include "listening.h"
#include "options.h"
#include "show.h"
#include "view.h"

static int run_ports(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_ports = {
	.name = "ports",
	.args = "[PORT[-PORT][/PROTO] | tcp | udp]… [--sort port|packets|bytes|dropped] "
		"[--watch [SECONDS]] [--json]\n"
		"       portguard ports --listening [-4|-6] [PORT[-PORT][/PROTO] | tcp | udp]… [--json]",
	.help = "Show packets, bytes, drops, TCP flags and the listener of every port that has any",
	.details =
		"Ports are the local end's, flags of both directions. Choose by tcp, udp, 443, 80-90/tcp.\n"
		"  --sort KEY          port (the default), packets, bytes or dropped\n"
		PG_HELP_WATCH
		"  -l, --listening     instead, every socket that waits for others: its process, its network\n"
		"                      namespace, whom the policy lets in (open, some, closed; asked of the\n"
		"                      program itself), ports that a rule opens and nobody listens on, and\n"
		"                      those that are sent on to containers. :PORT is as good as PORT\n"
		"  -4, -6              sockets that take packets of this family\n",
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

struct options {
	struct pg_ports_opts ports;
	unsigned watch_ms, family;
	bool listening;
};

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "listening", no_argument, NULL, 'l' },
		PG_LONG_FAMILY,
		{ "sort", required_argument, NULL, 's' },
		{ "watch", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_ports, argc, argv, ":l46", longs, err)) != -1) {
		switch (c) {
		case 's':
			if (pg_port_sort_from_str(optarg, &o->ports.sort) < 0)
				return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
						    "--sort takes port, packets, bytes or "
						    "dropped, not '%s'",
						    optarg);
			break;
		case 'w':
			if (pg_watch_parse(pg_optional_number(argc, argv), &o->watch_ms, err) < 0)
				return -EINVAL;
			break;
		case 'l':
			o->listening = true;
			break;
		case '4':
		case '6':
			if (pg_family_option(c, &o->family, err) < 0)
				return -EINVAL;
			break;
		case PG_OPT_HELP:
			return c;
		default:
			return -EINVAL;
		}
	}
	if (o->family && !o->listening)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "counters are of both families: -4 and -6 go with --listening");
	if (o->listening && (o->watch_ms || o->ports.sort != PG_SORT_PORT))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--listening does not go with --watch or --sort");
	return 0;
}

static int run_ports(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_free_ struct pg_port_filter *filter = calloc((size_t)argc, sizeof(*filter));
	struct options o = { .ports.filter = filter };
	const struct pg_view view = {
		.what = PG_SNAP_PORTS | PG_SNAP_LISTENERS,
		.text = text,
		.json = json,
		.arg = &o.ports,
	};
	int r;

	if (!filter)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = parse_options(argc, argv, &o, err);
	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	for (; optind < argc; optind++)
		if (pg_port_filter_from_str(argv[optind] + (argv[optind][0] == ':'),
					    &filter[o.ports.n_filter++]) < 0)
			return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
					    "invalid port `%s' specified", argv[optind]);
	return o.listening ? pg_listening_show(ctx, o.family, &o.ports, err) :
			     pg_show(ctx, &view, o.watch_ms, err);
}
