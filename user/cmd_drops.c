// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What was dropped, packet by packet: from the black box, and as it comes. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "addr.h"
#include "drops.h"
#include "names.h"
#include "options.h"

static int run_drops(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_drops = {
	.name = "drops",
	.args = "[-f | --follow] [--last [N]] [-c N] [-i IFACE] [--reason NAME] [--proto PROTO] "
		"[--port PORT] [--src ADDR] [--dst ADDR] [--json]",
	.help = "Show which packets were dropped, when, and by which rule or reason",
	.details =
		"Without options, and with --last, all that the black box has: it keeps the last 1023 drops\n"
		"of each CPU, always. Of a rule that drops many, 256 at once are kept, and then some every\n"
		"second; how many were left out is told with the next one.\n"
		"  -f, --follow        drops as they come; with --last N, the last N first\n"
		"  --last [N]          the last N drops\n"
		"  -c N                end after N drops\n"
		"  -i, --iface IFACE   on this interface\n"
		"  --reason NAME       for this reason (see `portguard reasons --all')\n"
		"  --proto PROTO       tcp, udp, icmp, or a number\n"
		"  --port PORT         of either end: 443, https, 8000-8010; --sport, --dport of one\n"
		"  --src, --dst ADDR   192.0.2.1 or 2001:db8::/32; --addr for either end\n"
		"  --json              one JSON object a line\n",
	.run = run_drops,
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)
#define POLL_MS 100

struct options {
	struct pg_drop_query query;
	bool follow, json;
	bool last; /* --last was given */
	uint64_t n_last, most; /* 0: all */
};

struct reader {
	const struct options *opts;
	struct pg_dp *dp;
	uint64_t nth; /* pg_dp_follow_get()'s number of the instance */
	uint64_t shown, missed;
	uint64_t skipped; /* by this instance before we came */
	uint64_t left_out[2]; /* by this one since, by those before it */
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* Showing -------------------------------------------------------------------------------------- */

static int show(struct reader *reader, const struct pg_drop_row *row, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };

	reader->shown++;
	if (reader->opts->json)
		return pg_json_drop(stdout, row, err);
	pg_drop_line(&t, row);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	return 0;
}

static bool enough(const struct reader *reader)
{
	return reader->opts->most && reader->shown >= reader->opts->most;
}

/* Those of the list that are asked for, no more than the last `last` (0: all). */
static int show_list(struct reader *reader, const struct pg_drop_list *list, uint64_t last,
		     struct pg_err *err)
{
	const struct pg_drop_query *query = &reader->opts->query;
	size_t from = list->n;
	int r = 0;

	for (uint64_t n = 0; from && (!last || n < last); from--)
		n += pg_drop_wanted(query, &list->row[from - 1]);
	for (; !r && from < list->n && !enough(reader); from++)
		if (pg_drop_wanted(query, &list->row[from]))
			r = show(reader, &list->row[from], err);
	reader->missed += list->missed;
	if (!r && fflush(stdout))
		r = pg_fail(err, -errno, "cannot write: %s", strerror(errno));
	return r;
}

static void tell_missed(struct reader *reader)
{
	uint64_t more = reader->left_out[0] + reader->left_out[1];

	if (more)
		fprintf(stderr, "portguard: %" PRIu64 " more drop%s not kept: too many of a kind\n",
			more, more == 1 ? " was" : "s were");
	if (reader->missed)
		fprintf(stderr, "portguard: %" PRIu64 " drop%s written over before %s could be read\n",
			reader->missed, reader->missed == 1 ? " was" : "s were",
			reader->missed == 1 ? "it" : "they");
}

static int take(struct reader *reader, struct pg_drops *drops, uint64_t last, bool settle,
		struct pg_err *err)
{
	struct pg_drop_list list = { 0 };
	int r = pg_drops_take(drops, 0, settle, &list, err);

	if (!r)
		r = show_list(reader, &list, last, err);
	pg_drop_list_clear(&list);
	reader->left_out[0] = pg_dp_drops_skipped(reader->dp) - reader->skipped;
	return r;
}

/* The instance may go while we wait, and another one come: of that all is new. */
static int keep_up(struct reader *reader, struct pg_dp_follow *instance, struct pg_drops **drops,
		   struct pg_err *err)
{
	uint64_t nth;
	int r = pg_dp_follow_get(instance, &reader->dp, &nth, err);

	if (r || (reader->dp && nth == reader->nth))
		return r;
	pg_drops_close(TAKE_PTR(*drops));
	reader->left_out[1] += reader->left_out[0];
	reader->left_out[0] = reader->skipped = 0;
	reader->nth = nth;
	return reader->dp ? pg_drops_open(reader->dp, false, drops, err) : 0;
}

static int follow(struct reader *reader, struct pg_dp_follow *instance, struct pg_drops **drops,
		  struct pg_err *err)
{
	const struct timespec interval = { 0, POLL_MS * 1000000L };
	const struct sigaction action = { .sa_handler = stop };
	int r = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!r && !stopped && !enough(reader)) {
		nanosleep(&interval, NULL);
		r = keep_up(reader, instance, drops, err);
		if (!r && *drops)
			r = take(reader, *drops, 0, !stopped, err);
	}
	return r;
}

static int read_drops(struct pg_dp *dp, struct pg_dp_follow *instance, uint64_t nth,
		      const struct options *opts, struct pg_err *err)
{
	_cleanup_(pg_drops_closep) struct pg_drops *drops = NULL;
	struct reader reader = { .dp = dp, .nth = nth, .opts = opts };
	int r;

	if (opts->follow)
		reader.skipped = pg_dp_drops_skipped(dp);
	r = pg_drops_open(dp, opts->follow && !opts->last, &drops, err);
	if (!r)
		r = take(&reader, drops, opts->n_last, opts->follow, err);
	if (!r && opts->follow) {
		reader.missed = 0; /* what was too old to be kept is nobody's loss */
		r = follow(&reader, instance, &drops, err);
	}
	if (!r)
		tell_missed(&reader);
	return r;
}

/* Options -------------------------------------------------------------------------------------- */

enum { OPT_LAST = 0x200, OPT_REASON, OPT_PORT, OPT_SPORT, OPT_DPORT, OPT_ADDR };

static int set_addr(struct pg_addr *addr, struct pg_err *err)
{
	struct pg_diag diag;
	int r = pg_addr_parse(optarg, PG_V46, NULL, addr, &diag);

	return r < 0 ? pg_diag_report(&diag, r, err) : 0;
}

static int set_ports(struct pg_flow_ports *ports, struct pg_err *err)
{
	if (pg_flow_ports_from_str(optarg, ports) < 0)
		return USAGE(err, "invalid port/service `%s' specified", optarg);
	return 0;
}

static int set_filter(struct pg_drop_query *query, int c, struct pg_err *err)
{
	struct pg_flow_query *flow = &query->flow;

	switch (c) {
	case 'p':
		if (pg_proto_parse(optarg, &flow->proto) < 0)
			return USAGE(err, "unknown protocol \"%s\" specified", optarg);
		flow->has_proto = flow->proto != 0;
		return 0;
	case OPT_PORT:
		return set_ports(&flow->port, err);
	case OPT_SPORT:
		return set_ports(&flow->sport, err);
	case OPT_DPORT:
		return set_ports(&flow->dport, err);
	case 's':
		return set_addr(&flow->src, err);
	case 'd':
		return set_addr(&flow->dst, err);
	case OPT_ADDR:
		return set_addr(&flow->addr, err);
	case OPT_REASON:
		if (pg_reason_from_str(optarg, &query->reason) < 0)
			return USAGE(err, "there is no reason '%s': `portguard reasons --all' has them",
				     optarg);
		query->has_reason = true;
		return 0;
	default:
		flow->iface = optarg;
		return 0;
	}
}

static int set_number(const char *option, const char *text, uint64_t *ret, struct pg_err *err)
{
	if (pg_parse_u64(text, 1, UINT64_MAX, ret))
		return USAGE(err, "%s takes a number of drops, not '%s'", option, text);
	return 0;
}

static int take_option(struct options *o, int c, int argc, char **argv, struct pg_err *err)
{
	const char *n;

	switch (c) {
	case PG_OPT_HELP:
		return c;
	case '?':
	case ':':
		return -EINVAL; /* err says what is wrong */
	case 'f':
		o->follow = true;
		return 0;
	case 'c':
		return set_number("-c", optarg, &o->most, err);
	case OPT_LAST:
		n = pg_optional_number(argc, argv);
		o->last = true;
		return n ? set_number("--last", n, &o->n_last, err) : 0;
	default:
		return set_filter(&o->query, c, err);
	}
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "last", optional_argument, NULL, OPT_LAST },
		{ "iface", required_argument, NULL, 'i' },
		{ "reason", required_argument, NULL, OPT_REASON },
		{ "proto", required_argument, NULL, 'p' },
		{ "port", required_argument, NULL, OPT_PORT },
		{ "sport", required_argument, NULL, OPT_SPORT },
		{ "dport", required_argument, NULL, OPT_DPORT },
		{ "src", required_argument, NULL, 's' },
		{ "dst", required_argument, NULL, 'd' },
		{ "addr", required_argument, NULL, OPT_ADDR },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_drops, argc, argv, ":fc:i:p:s:d:", longs, err)) != -1)
		r = take_option(o, c, argc, argv, err);
	if (!r && optind < argc)
		return USAGE(err, "Bad argument `%s'", argv[optind]);
	return r;
}

/* As far as we can tell: of interfaces that were attached a name is left as long as nobody has its slot. */
static int check_iface(struct pg_dp *dp, const char *name, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	char shown[64];
	int r = iface ? pg_dp_ifaces(dp, iface, err) : pg_fail(err, -ENOMEM, "out of memory");

	for (int slot = 0; !r && slot < PG_MAX_IFACES; slot++)
		if (!strncmp(iface[slot].abi.name, name, IFNAMSIZ))
			return 0;
	return r ? r : pg_fail(err, -ENODEV, "not attached to '%s'", pg_printable(name, shown, sizeof(shown)));
}

static int run_drops(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_follow_closep) struct pg_dp_follow *instance = NULL;
	struct options opts = { .json = ctx->json };
	struct pg_dp *dp = NULL;
	uint64_t nth = 0;
	int r = parse_options(argc, argv, &opts, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_dp_follow_open(ctx->state_dir, ctx->verbose, &instance, err);
	if (!r)
		r = pg_dp_follow_get(instance, &dp, &nth, err);
	if (!r && !dp)
		return pg_fail(err, -ENOENT, "nothing is attached in %s, so nothing was dropped",
			       pg_state_dir(ctx));
	if (!r && opts.query.flow.iface)
		r = check_iface(dp, opts.query.flow.iface, err);
	return r ? r : read_drops(dp, instance, nth, &opts, err);
}
