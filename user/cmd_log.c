/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What LOG and NFLOG report, as lines of the kernel's form or as JSON. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "export_json.h"
#include "logline.h"
#include "options.h"
#include "policy.h"
#include "print.h"

static int run_log(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_log = {
	.name = "log",
	.args = "[-f | --follow] [-n N] [--json]",
	.help = "Print what LOG and NFLOG have reported, as the kernel's log would have it",
	.details = "  -f, --follow        wait for more\n"
		   "  -n N                end after N packets\n"
		   "Each packet is printed once, to one reader. Packets that were too many for the\n"
		   "bound on events, or for the memory they wait in, are counted as lost.\n",
	.run = run_log,
};

struct options {
	bool follow, json;
	uint64_t most; /* packets; 0: all */
};

struct reader {
	struct pg_dp *dp;
	const struct options *opts;
	struct pg_err *err;
	char host[65];
	char name[PG_MAX_IFACES][16]; /* by slot */
	/* The policy whose counters' slots tell which rule it was. */
	struct pg_ruleset *rules;
	uint32_t generation;
	uint64_t done, lost;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void read_names(struct reader *reader)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	struct pg_err ignored;

	if (!iface || pg_dp_ifaces(reader->dp, iface, &ignored))
		return;
	for (int i = 0; i < PG_MAX_IFACES; i++)
		if (iface[i].abi.netns)
			snprintf(reader->name[i], sizeof(reader->name[i]), "%s", iface[i].abi.name);
}

/* An interface may come, and the policy change, while we wait. */
static const char *iface_name(struct reader *reader, uint32_t slot)
{
	slot %= PG_MAX_IFACES;
	if (!reader->name[slot][0])
		read_names(reader);
	return reader->name[slot];
}

static void find_rule(struct reader *reader, uint32_t slot, struct pg_log_record *ret)
{
	struct pg_dp_policy_info info;
	struct pg_err ignored;

	pg_dp_policy_info(reader->dp, &info);
	if (!reader->rules || reader->generation != info.generation) {
		pg_ruleset_freep(&reader->rules);
		reader->rules = NULL;
		if (pg_policy_read(reader->dp, &reader->rules, &ignored))
			return;
		reader->generation = info.generation;
	}
	for (size_t i = 0; i < reader->rules->n_chains; i++) {
		const struct pg_chain *chain = &reader->rules->chain[i];

		for (size_t k = 0; k < chain->n_rules; k++) {
			if (chain->rule[k].slot != slot)
				continue;
			ret->table = pg_table_name(chain->table);
			ret->chain = chain->name;
			ret->rule = k + 1;
			return;
		}
	}
}

static int print_text(struct reader *reader, const struct pg_event *e)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	const struct timespec when = pg_wall_time(e->time_ns);
	char stamp[32] = "";
	struct tm tm;

	if (localtime_r(&when.tv_sec, &tm))
		strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	pg_text_add(&t, "%s %s: ", stamp, reader->host);
	if (e->nflog)
		pg_text_add(&t, "[nflog %u] ", e->group);
	pg_logline(&t, e, iface_name(reader, e->iface));
	if (t.oom)
		return pg_fail(reader->err, -ENOMEM, "out of memory");
	while (t.len && t.buf[t.len - 1] == ' ')
		t.buf[--t.len] = '\0';
	puts(t.buf);
	return 0;
}

static int print_json(struct reader *reader, const struct pg_event *e)
{
	struct pg_log_record record = {
		.event = e,
		.when = pg_wall_time(e->time_ns),
		.ifname = iface_name(reader, e->iface),
	};

	find_rule(reader, e->slot, &record);
	return pg_json_log(stdout, &record, reader->err);
}

static int print_event(void *arg, const struct pg_event *e)
{
	struct reader *reader = arg;
	int r = reader->opts->json ? print_json(reader, e) : print_text(reader, e);

	if (r)
		return r;
	if (fflush(stdout))
		return pg_fail(reader->err, -errno, "cannot write: %s", strerror(errno));
	reader->done++;
	return stopped || reader->done == reader->opts->most ? -ECANCELED : 0;
}

static void print_lost(struct reader *reader)
{
	uint64_t lost = pg_dp_events_lost(reader->dp), more = lost - reader->lost;

	if (!more)
		return;
	reader->lost = lost;
	fprintf(stderr, "portguard: %" PRIu64 " event%s lost\n", more,
		more == 1 ? " was" : "s were");
}

/* A signal ends the waiting, not the command's success. */
static int follow(struct reader *reader, struct pg_dp_events *events)
{
	const struct sigaction action = { .sa_handler = stop };
	int r = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!stopped && r >= 0) {
		r = pg_dp_events_read(events, 500, reader->err);
		print_lost(reader);
		if (r == -EINTR)
			r = 0;
	}
	return r;
}

static int read_log(struct pg_dp *dp, const struct options *opts, struct pg_err *err)
{
	_cleanup_(pg_dp_events_closep) struct pg_dp_events *events = NULL;
	struct reader reader = { .dp = dp, .opts = opts, .err = err };
	struct utsname uts;
	int r;

	if (!uname(&uts))
		pg_printable(uts.nodename, reader.host, sizeof(reader.host));
	r = pg_dp_events_open(dp, print_event, &reader, &events, err);
	if (r)
		return r;
	r = opts->follow ? follow(&reader, events) : pg_dp_events_read(events, 0, err);
	print_lost(&reader);
	pg_ruleset_freep(&reader.rules);
	return r > 0 || r == -ECANCELED ? 0 : r;
}

static int parse_options(int argc, char **argv, struct options *ret, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_log, argc, argv, ":fn:", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return PG_OPT_HELP;
		if (c == 'f')
			ret->follow = true;
		else if (c != 'n')
			return -EINVAL;
		else if (pg_parse_u64(optarg, 1, UINT64_MAX, &ret->most))
			return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
					    "-n takes a number of packets, not '%s'", optarg);
	}
	if (optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Bad argument `%s'", argv[optind]);
	return 0;
}

static int run_log(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct options opts = { .json = ctx->json };
	int r = parse_options(argc, argv, &opts, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_open_following(ctx, PG_DP_READ, "there is no log", &dp, err);
	return r ? r : read_log(dp, &opts, err);
}
