/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "flow_read.h"
#include "kill.h"
#include "options.h"
#include "show.h"
#include "view_flows.h"

static int run_flows(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_flows = {
	.name = "flows",
	.args = "[--proto PROTO] [--port PORT] [--src ADDR] [--dst ADDR] [--state STATE] [--iface IFACE] "
		"[--top N] [--by bytes|packets|rtt|retransmits|age] [--kill [--all] [--force]] [--watch [SECONDS]] [--json]",
	.help = "Show the connections that are tracked, with what they have sent and how they are",
	.details =
		"The source is the end that opened the flow; `>' is what it has sent, `<' what came back.\n"
		"  --proto PROTO       tcp, udp, icmp, or a number\n"
		"  --port PORT         of either end: 443, https, 8000-8010; --sport, --dport of one\n"
		"  --src, --dst ADDR   192.0.2.1 or 2001:db8::/32; --addr for either end\n"
		"  --state STATE,…     conntrack's (ESTABLISHED, TIME_WAIT, COOKIE_WAIT), or one that either end is in\n"
		"                      (FIN_WAIT_2); of other protocols UNREPLIED, REPLIED, ASSURED\n"
		"  --iface IFACE       that its first packet was seen on\n"
		"  --top N             only the first N, by bytes unless --by says otherwise\n"
		"  --by KEY            bytes, packets, rtt, retransmits or age; largest first\n"
		"  --kill              end those flows: their packets are dropped from now on, and this\n"
		"                      host's own sockets are closed. Without any filter, --all is needed\n"
		"  --all               with --kill: every flow\n"
		"  --force             with --kill: also the SSH connection that you are on\n"
		PG_HELP_WATCH,
	.run = run_flows,
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)

struct options {
	struct pg_flow_query query;
	bool kill, all, force;
	unsigned watch_ms;
	int wait_s;
};

enum { OPT_PORT = 0x200, OPT_SPORT, OPT_DPORT, OPT_ADDR, OPT_STATE, OPT_TOP, OPT_BY, OPT_KILL, OPT_ALL,
       OPT_FORCE, OPT_WATCH };

static const struct option longs[] = {
	{ "proto", required_argument, NULL, 'p' },
	{ "protocol", required_argument, NULL, 'p' },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "sport", required_argument, NULL, OPT_SPORT },
	{ "dport", required_argument, NULL, OPT_DPORT },
	{ "src", required_argument, NULL, 's' },
	{ "source", required_argument, NULL, 's' },
	{ "dst", required_argument, NULL, 'd' },
	{ "destination", required_argument, NULL, 'd' },
	{ "addr", required_argument, NULL, OPT_ADDR },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "iface", required_argument, NULL, 'i' },
	{ "top", required_argument, NULL, OPT_TOP },
	{ "by", required_argument, NULL, OPT_BY },
	{ "kill", no_argument, NULL, OPT_KILL },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "watch", optional_argument, NULL, OPT_WATCH },
	{ "wait", optional_argument, NULL, 'w' },
	{ 0 },
};

/* Filters have the names that pg_flow_filter() knows; of two names of one, the first. */
static int set_filter(struct pg_flow_query *query, int c, struct pg_err *err)
{
	const struct option *o = longs;

	while (o->val != c)
		o++;
	return pg_flow_filter(query, o->name, optarg, err);
}

static int take_option(struct options *o, int c, int argc, char **argv, struct pg_err *err)
{
	switch (c) {
	case OPT_KILL:
		o->kill = true;
		return 0;
	case OPT_ALL:
		o->all = true;
		return 0;
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_WATCH:
		return pg_watch_parse(pg_optional_number(argc, argv), &o->watch_ms, err);
	case 'w':
		return pg_wait_parse(pg_optional_number(argc, argv), &o->wait_s, err);
	case PG_OPT_HELP:
		return c;
	case '?':
	case ':':
		return -EINVAL; /* err says what is wrong */
	default:
		return set_filter(&o->query, c, err);
	}
}

static int check_options(struct options *o, struct pg_err *err)
{
	if (o->kill && o->watch_ms)
		return USAGE(err, "--kill does not go with --watch");
	if ((o->all || o->force) && !o->kill)
		return USAGE(err, "--all and --force go with --kill only");
	if (o->kill && !o->all && !pg_flow_query_narrows(&o->query))
		return USAGE(err, "--kill without a filter would end every connection: say --all if so");
	if (o->query.top && o->query.by == PG_FLOW_BY_NOTHING)
		o->query.by = PG_FLOW_BY_BYTES;
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_flows, argc, argv, ":p:s:d:i:w::", longs, err)) != -1)
		r = take_option(o, c, argc, argv, err);
	if (!r && optind < argc)
		return USAGE(err, "Bad argument `%s'", argv[optind]);
	return r ? r : check_options(o, err);
}

static void text(struct pg_text *t, const struct pg_snapshot *snap, unsigned width, const void *arg)
{
	(void)arg;
	pg_view_flows(t, &snap->flows, width);
}

static int json(FILE *f, const struct pg_snapshot *snap, const void *arg, struct pg_err *err)
{
	struct pg_flow_json *j = pg_flow_json_begin(f);

	(void)arg;
	if (!j)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < snap->flows.n; i++)
		pg_flow_json_add(j, &snap->flows.row[i]);
	return pg_flow_json_end(j, err);
}

static int add_json(void *arg, const struct pg_flow_row *row)
{
	pg_flow_json_add(arg, row);
	return 0;
}

/* Without an order they need not be in memory all at once: there may be a million. */
static int stream(const struct pg_ctx *ctx, const struct pg_flow_query *query, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_flow_json *j;
	int r = pg_dp_open(&opts, &dp, err), end;

	if (r < 0 && r != -ENOENT)
		return r;
	j = pg_flow_json_begin(stdout);
	if (!j)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = dp ? pg_flows_each(dp, query, add_json, j, err) : 0;
	end = pg_flow_json_end(j, err);
	return r ? r : end;
}

static int run_flows(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	struct options o = { 0 };
	const struct pg_view view = {
		.what = PG_SNAP_FLOWS,
		.flows = &o.query,
		.text = text,
		.json = json,
	};
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (o.kill)
		return pg_kill_command(ctx, &o.query, o.force, o.wait_s, err);
	if (ctx->json && o.query.by == PG_FLOW_BY_NOTHING && !o.watch_ms)
		return stream(ctx, &o.query, err);
	return pg_show(ctx, &view, o.watch_ms, err);
}
