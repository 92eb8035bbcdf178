/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* learn: the least policy for what was seen. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "edit.h"
#include "ifaces.h"
#include "learn_show.h"
#include "options.h"

static int run_learn(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_learn = {
	.name = "learn",
	.args = "[--for TIME] [--output] [--peers N] [--diff] [--json]\n"
		"       portguard learn CAPTURE… --local ADDR[/LEN],… [--iface NAME] [--output] [--peers N] "
		"[--diff] [--json]\n"
		"       portguard learn --unused [DAYS] [--json]",
	.help = "Propose the least policy that allows what was seen, as a rule file",
	.details =
		"From the connections that the instance tracks (`portguard track on'), or from captures. Only\n"
		"what was answered counts: whoever scans teaches nothing. What was not, and what only counters\n"
		"tell of, is proposed as a comment. What the proposal would have dropped stands in its last\n"
		"lines; the program itself was asked.\n"
		"  --for TIME          watch so long (90, 15m, 8h, 2d); Ctrl-C ends it earlier. Without it: the\n"
		"                      connections that there are now\n"
		"  --local ADDR,…      addresses of the host that the captures are of\n"
		"  --iface NAME        where their frames arrive\n"
		"  --output            OUTPUT drops, too, but what was seen to leave\n"
		"  --peers N           prefixes that the peers of a service become, at most; 8\n"
		"  --diff              how it differs from the policy in force, in rules and in what they let in\n"
		"  --unused [DAYS]     instead, rules of the policy in force that no packet met for so long; what\n"
		"                      is known of a rule's past is its counter at each change of the policy\n",
	.run = run_learn,
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)
#define LOOK_EVERY_S 2 /* what is closed by a RST is remembered for 10 s */

struct options {
	const char *iface;
	uint32_t watch_s;
	bool output, diff, unused;
	uint32_t peers, days;
	char **capture;
	size_t n_captures;
};

/* Options ------------------------------------------------------------------------------------------------ */

/* Seconds, or a number with s, m, h or d. */
static int parse_time(const char *text, uint32_t *ret, struct pg_err *err)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char number[16];
	size_t n = strlen(text);
	uint32_t factor = 1, v;

	snprintf(number, sizeof(number), "%s", text);
	for (size_t i = 0; n && n < sizeof(number) && i < ARRAY_SIZE(units); i++) {
		if (text[n - 1] != units[i].unit)
			continue;
		factor = units[i].seconds;
		number[n - 1] = '\0';
	}
	if (n >= sizeof(number) || pg_parse_u32(number, 1, 31536000U / factor, &v) < 0)
		return USAGE(err, "--for takes seconds, or a number with m, h or d, not '%s'", text);
	*ret = v * factor;
	return 0;
}

enum { OPT_LOCAL = 0x200, OPT_FOR, OPT_OUTPUT, OPT_PEERS, OPT_DIFF, OPT_UNUSED };

static int parse_days(const char *text, struct options *o, struct pg_err *err)
{
	o->unused = true;
	if (text && pg_parse_u32(text, 0, 36500, &o->days) < 0)
		return USAGE(err, "--unused takes a number of days, not '%s'", text);
	return 0;
}

static int take_option(struct options *o, struct pg_study *study, int c, int argc, char **argv,
		       struct pg_err *err)
{
	switch (c) {
	case OPT_LOCAL: return pg_locals_add(&study->locals, optarg, err);
	case OPT_FOR: return parse_time(optarg, &o->watch_s, err);
	case OPT_OUTPUT: o->output = true; return 0;
	case OPT_DIFF: o->diff = true; return 0;
	case OPT_PEERS:
		return pg_parse_u32(optarg, 1, 1024, &o->peers) < 0 ?
			       USAGE(err, "--peers takes 1 to 1024, not '%s'", optarg) : 0;
	case OPT_UNUSED: return parse_days(pg_optional_number(argc, argv), o, err);
	case 'i':
		o->iface = optarg;
		return strlen(optarg) < IFNAMSIZ ? 0 : USAGE(err, "interface name `%s' is too long", optarg);
	case PG_OPT_HELP: return c;
	}
	return -EINVAL;
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_study *study,
			 struct pg_err *err)
{
	static const struct option longs[] = {
		{ "local", required_argument, NULL, OPT_LOCAL },
		{ "iface", required_argument, NULL, 'i' },
		{ "for", required_argument, NULL, OPT_FOR },
		{ "output", no_argument, NULL, OPT_OUTPUT },
		{ "peers", required_argument, NULL, OPT_PEERS },
		{ "diff", no_argument, NULL, OPT_DIFF },
		{ "unused", optional_argument, NULL, OPT_UNUSED },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_learn, argc, argv, ":", longs, err)) != -1)
		r = take_option(o, study, c, argc, argv, err);
	if (r)
		return r;
	o->capture = argv + optind;
	o->n_captures = (size_t)(argc - optind);
	if (o->unused && o->n_captures)
		return USAGE(err, "--unused takes a number of days, not '%s'", o->capture[0]);
	if (o->unused && (o->watch_s || o->diff || study->locals.n))
		return USAGE(err, "--unused goes alone");
	if (o->n_captures && !study->locals.n)
		return USAGE(err, "captures need --local: which addresses are the host's own?");
	if (o->n_captures && o->watch_s)
		return USAGE(err, "--for does not go with captures");
	if (!o->n_captures && (study->locals.n || o->iface))
		return USAGE(err, "--local and --iface go with captures only");
	return 0;
}

/* Looking ------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int watch(struct pg_study *study, struct pg_dp *dp, uint32_t seconds, struct pg_err *err)
{
	const struct sigaction on_stop = { .sa_handler = stop };
	struct timespec now, end, begin;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	end = begin;
	end.tv_sec += seconds;
	if (seconds) {
		sigaction(SIGINT, &on_stop, NULL);
		sigaction(SIGTERM, &on_stop, NULL);
	}
	for (;;) {
		struct timespec pause = { .tv_sec = LOOK_EVERY_S };

		r = pg_study_flows(study, dp, err);
		clock_gettime(CLOCK_MONOTONIC, &now);
		study->watched_s = (uint64_t)(now.tv_sec - begin.tv_sec);
		if (r || stopped || now.tv_sec >= end.tv_sec)
			return r;
		if (end.tv_sec - now.tv_sec < pause.tv_sec)
			pause.tv_sec = end.tv_sec - now.tv_sec;
		nanosleep(&pause, NULL);
	}
}

static int study_instance(struct pg_study *study, struct pg_dp *dp, const struct options *o,
			  struct pg_err *err)
{
	struct pg_dp_flow_info info;
	int r;

	if (!dp)
		return pg_fail(err, -ENOENT, "nothing is attached: there is nothing to learn from");
	pg_dp_flow_info(dp, &info);
	if (!info.tracking)
		return pg_fail(err, -ENODATA, "connections are not tracked: `portguard track on', and learn "
					      "when there were some");
	r = pg_locals_add_own(&study->locals, err);
	if (!r)
		r = pg_sockets_read(false, &study->sockets, err);
	if (!r)
		r = watch(study, dp, o->watch_s, err);
	if (!r)
		r = pg_study_learn(study, err);
	return r ? r : pg_study_states(study, dp, err);
}

static int study_captures(struct pg_study *study, const struct options *o, struct pg_err *err)
{
	int r = pg_study_captures(study, o->capture, o->n_captures, o->iface, err);

	return r ? r : pg_study_learn(study, err);
}

/* Proposing ---------------------------------------------------------------------------------------------- */

static void describe_source(const struct options *o, const struct pg_study *study, const struct pg_ctx *ctx,
			    char *buf, size_t size)
{
	char date[32] = "", path[256];
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
	snprintf(path, sizeof(path), "%.250s", o->n_captures ? o->capture[0] : pg_state_dir(ctx));
	snprintf(buf, size, "%s, from %" PRIu64 " connection%s of ", date, study->learn.flows,
		 study->learn.flows == 1 ? "" : "s");
	pg_printable(path, buf + strlen(buf), size - strlen(buf));
	if (o->n_captures > 1)
		snprintf(buf + strlen(buf), size - strlen(buf), " and %zu more", o->n_captures - 1);
}

/* How long was looked. What ended before is no longer among the flows. */
static void describe_span(const struct options *o, const struct pg_study *study, char *buf, size_t size)
{
	uint64_t oldest = study->oldest_ns / 1000000000ULL;

	if (o->watch_s)
		snprintf(buf, size, "seen in %" PRIu64 " s", study->watched_s);
	else if (!study->learn.flows)
		snprintf(buf, size, "seen at one moment, when there was no connection: of those that had ended "
				    "only counters tell. `portguard learn --for 8h' watches");
	else
		snprintf(buf, size, "seen at one moment, when the oldest connection was %" PRIu64 " s old: of "
				    "those that had ended only counters tell. `portguard learn --for 8h' "
				    "watches", oldest);
}

/* Standard input has been read. */
static bool can_read_again(const struct options *o)
{
	for (size_t i = 0; i < o->n_captures; i++)
		if (!strcmp(o->capture[i], "-"))
			return false;
	return true;
}

static int propose(const struct pg_ctx *ctx, struct pg_dp *dp, const struct options *o,
		   struct pg_study *study, struct pg_proposal *p, struct pg_err *err)
{
	const struct pg_rulefile_opts file = { .name = "proposal" };
	struct pg_learn_opts opts = { .peers = o->peers, .output = o->output };
	char source[512], span[256];
	uint64_t proven;
	int r;

	p->services = pg_services_read();
	describe_source(o, study, ctx, source, sizeof(source));
	opts.source = source;
	describe_span(o, study, span, sizeof(span));
	opts.span = o->n_captures ? NULL : span;
	opts.services = p->services;
	pg_learn_settle(&study->learn, &study->sockets);
	pg_learn_write(&p->text, &study->learn, &opts);
	if (!p->services || p->text.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_edit_parse(&p->text, &file, &p->set, err);
	if (!r)
		r = pg_study_dropped(study, dp, p->set, o->iface, &p->dropped, &proven, err);
	if (!r && !o->n_captures)
		r = pg_snapshot_read(dp, NULL, PG_SNAP_PORTS, NULL, &p->ports, err);
	else if (!r && can_read_again(o))
		r = pg_study_replay(study, o->capture, o->n_captures, o->iface, p->set, &p->ports, err);
	if (!r && proven)
		fprintf(stderr, "portguard: the proposal would drop %" PRIu64 " connection%s that it was made "
				"for: see its last lines\n", proven, proven == 1 ? "" : "s");
	if (!r && !o->n_captures && !o->watch_s)
		fprintf(stderr, "portguard: %s\n", span);
	return r;
}

/* Output --------------------------------------------------------------------------------------------------- */

static int show(const struct pg_ctx *ctx, struct pg_dp *dp, const struct options *o,
		const struct pg_study *study, struct pg_proposal *p, struct pg_err *err)
{
	_cleanup_(pg_learn_diff_clear) struct pg_learn_diff diff = { 0 };
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	const struct pg_text *t = o->diff ? &text : &p->text;
	int r = o->diff ? pg_learn_diff_read(&diff, dp, o->iface, study, err) : 0;

	if (r)
		return r;
	if (ctx->json)
		return pg_json_learn(stdout, study, p, o->diff ? &diff : NULL, err);
	if (o->diff)
		pg_view_learn_diff(&text, study, p, &diff);
	else
		pg_view_dropped(&p->text, study, p, o->n_captures);
	if (t->oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t->buf, 1, t->len, stdout);
	return 0;
}

static int learn(const struct pg_ctx *ctx, const struct options *o, struct pg_study *study,
		 struct pg_err *err)
{
	const struct pg_dp_opts open = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(pg_proposal_clear) struct pg_proposal p = { 0 };
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = pg_dp_open(&open, &dp, err);

	if (r < 0 && r != -ENOENT)
		return r;
	r = o->n_captures ? study_captures(study, o, err) : study_instance(study, dp, o, err);
	if (!r)
		r = propose(ctx, dp, o, study, &p, err);
	return r ? r : show(ctx, dp, o, study, &p, err);
}

static int list_unused(const struct pg_ctx *ctx, uint32_t days, struct pg_err *err)
{
	struct pg_edit edit;
	int r = pg_edit_open(ctx, false, 0, &edit, err);

	if (r)
		return r;
	r = pg_unused_print(stdout, edit.set, days, time(NULL), ctx->json, err);
	pg_edit_close(&edit);
	if (!r && !ctx->json)
		fputs("Nothing is unused: packets met every rule that is there for so long.\n", stderr);
	return r < 0 ? r : 0;
}

static int run_learn(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_study_clear) struct pg_study study = { 0 };
	struct options o = { .peers = 8 };
	int r = parse_options(argc, argv, &o, &study, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	return o.unused ? list_unused(ctx, o.days, err) : learn(ctx, &o, &study, err);
}
