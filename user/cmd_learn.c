/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* learn: the least policy for what was seen. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "edit.h"
#include "ifaces.h"
#include "json_put.h"
#include "learn_run.h"
#include "learn_unused.h"
#include "options.h"
#include "print.h"

static int run_learn(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_learn = {
	.name = "learn",
	.args = "[--for TIME] [--output] [--peers N] [--diff] [--json]\n"
		"       portguard learn CAPTURE… --local ADDR[/LEN],… [--iface NAME] [--output] [--peers N] "
		"[--diff] [--json]\n"
		"       portguard learn --unused [DAYS]",
	.help = "Propose the least policy that allows what was seen, as a rule file",
	.details =
		"From the connections that the instance tracks (`portguard track on'), or from captures. Only\n"
		"what was answered counts: whoever scans teaches nothing. What the proposal would have dropped\n"
		"stands in its comments; the program itself was asked.\n"
		"  --for TIME          watch so long (90, 15m, 8h, 2d); Ctrl-C ends it earlier\n"
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

struct proposal {
	struct pg_services *services;
	struct pg_text text;
	struct pg_ruleset *set;
	struct pg_learn dropped;
	struct pg_snapshot *ports; /* of the captures under it; of an instance, what it has counted */
};

static void proposal_clear(struct proposal *p)
{
	pg_services_free(p->services);
	pg_text_free(&p->text);
	pg_ruleset_free(p->set);
	pg_learn_clear(&p->dropped);
	pg_snapshot_free(p->ports);
}

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
	if (o->unused && (o->n_captures || o->watch_s || o->diff || study->locals.n))
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
	struct timespec now, end;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	if (seconds) {
		sigaction(SIGINT, &on_stop, NULL);
		sigaction(SIGTERM, &on_stop, NULL);
	}
	for (;;) {
		struct timespec pause = { .tv_sec = LOOK_EVERY_S };

		r = pg_study_flows(study, dp, err);
		clock_gettime(CLOCK_MONOTONIC, &now);
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
	snprintf(buf, size, "%s, from %" PRIu64 " connections of ", date, study->learn.flows);
	pg_printable(path, buf + strlen(buf), size - strlen(buf));
	if (o->n_captures > 1)
		snprintf(buf + strlen(buf), size - strlen(buf), " and %zu more", o->n_captures - 1);
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
		   struct pg_study *study, struct proposal *p, struct pg_err *err)
{
	const struct pg_rulefile_opts file = { .name = "proposal" };
	struct pg_learn_opts opts = { .peers = o->peers, .output = o->output };
	char source[512];
	uint64_t proven;
	int r;

	p->services = pg_services_read();
	describe_source(o, study, ctx, source, sizeof(source));
	opts.source = source;
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
		fprintf(stderr, "portguard: the proposal would drop %" PRIu64 " connections that it was made "
				"for: see its last lines\n", proven);
	return r;
}

/* "#   21/tcp ftp: 2 connections, 1 address" */
static void add_list(struct pg_text *t, const char *begin, const struct pg_learn *list,
		     const struct pg_services *services)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct pg_learnt *l = &list->one[i];

		pg_text_add(t, "%s%-8s", begin, pg_way_name(l->offer.way));
		pg_offer_print(t, &l->offer, services);
		pg_text_add(t, ": %" PRIu64 " connection%s, %zu address%s\n", l->flows,
			    l->flows == 1 ? "" : "s", l->n_peers, l->n_peers == 1 ? "" : "es");
	}
}

/* Frames of captures that the proposal drops. */
static void add_frames(struct pg_text *t, const struct pg_snapshot *snap)
{
	uint64_t n = 0, dropped = 0;

	for (int d = 0; d < _PG_DIR_MAX; d++)
		for (int v = 0; v < _PG_VERDICT_MAX; v++)
			n += snap->verdict[d][v].packets;
	for (int d = 0; d < _PG_DIR_MAX; d++)
		dropped += snap->verdict[d][PG_VERDICT_DROP].packets;
	pg_text_add(t, "# Of %" PRIu64 " frames: %" PRIu64 "\n", n, dropped);
	for (size_t i = 0; i < snap->n_port; i++)
		if (snap->port[i].in_dropped)
			pg_text_add(t, "#   in      %u/%s: %" PRIu64 "\n", snap->port[i].port,
				    pg_port_proto_name(snap->port[i].proto), snap->port[i].in_dropped);
}

static bool is_offered(const struct pg_study *study, const struct pg_port_row *row)
{
	uint8_t proto = row->proto == PG_PORT_TCP ? IPPROTO_TCP : IPPROTO_UDP;

	for (size_t i = 0; i < study->learn.n; i++) {
		const struct pg_learnt *l = &study->learn.one[i];

		if (l->offer.way == PG_WAY_IN && l->offer.proto == proto && l->offer.port == row->port &&
		    l->proof == PG_PROOF_TALK)
			return true;
	}
	return false;
}

/*
 * A connection that is refused is forgotten at once: of these only the ports' counters tell. Ports
 * from 32768 on are left out, where this host's own connections begin.
 */
static void add_unopened(struct pg_text *t, const struct pg_study *study, const struct pg_snapshot *snap)
{
	bool any = false;

	for (size_t i = 0; i < snap->n_port; i++) {
		const struct pg_port_row *row = &snap->port[i];

		if (!row->in.packets || row->port >= 32768 || is_offered(study, row))
			continue;
		if (!any)
			pg_text_add(t, "# Packets that came to ports which it does not open, since portguard "
				       "was attached:\n");
		any = true;
		pg_text_add(t, "#   in      %u/%s: %" PRIu64 "\n", row->port,
			    pg_port_proto_name(row->proto), (uint64_t)row->in.packets);
	}
}

static void add_dropped(struct pg_text *t, const struct options *o, const struct pg_study *study,
			const struct proposal *p)
{
	pg_text_add(t, "# Would have been dropped, of %" PRIu64 " connections: %" PRIu64 "%s\n",
		    study->learn.flows, p->dropped.flows,
		    study->cut ? " (only the first 200000 were tried)" : "");
	add_list(t, "#   ", &p->dropped, p->services);
	if (p->ports && o->n_captures)
		add_frames(t, p->ports);
	else if (p->ports)
		add_unopened(t, study, p->ports);
}

/* Differences -------------------------------------------------------------------------------------------- */

static bool has_rule(const struct pg_ruleset *set, const struct pg_chain *chain,
		     const struct pg_rule *rule)
{
	const struct pg_chain *other = pg_ruleset_chain(set, chain->table, chain->name);

	for (size_t i = 0; other && i < other->n_rules; i++)
		if (pg_rule_equal(&other->rule[i], rule))
			return true;
	return false;
}

static void add_rules_of_one(struct pg_text *t, const char *sign, const struct pg_ruleset *set,
			     const struct pg_ruleset *other)
{
	for (size_t i = 0; i < set->n_chains; i++) {
		const struct pg_chain *c = &set->chain[i];
		const struct pg_chain *o = pg_ruleset_chain(other, c->table, c->name);

		if (c->policy != PG_TARGET_NONE && (!o || o->policy != c->policy))
			pg_text_add(t, "%s-P %s %s\n", sign, c->name, pg_target_name(c->policy));
		for (size_t k = 0; k < c->n_rules; k++) {
			if (has_rule(other, c, &c->rule[k]))
				continue;
			pg_text_add(t, "%s-A %s ", sign, c->name);
			pg_rule_print(t, &c->rule[k], 0);
			pg_text_add(t, "\n");
		}
	}
}

static int add_diff(struct pg_text *t, struct pg_dp *dp, const struct options *o,
		    const struct pg_study *study, const struct proposal *p, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *now = NULL;
	_cleanup_(pg_learn_clear) struct pg_learn dropped = { 0 };
	uint64_t proven;
	int r = pg_policy_read(dp, &now, err);

	if (!r)
		r = pg_study_dropped(study, dp, now, o->iface, &dropped, &proven, err);
	if (r)
		return r;
	pg_text_add(t, "--- in force\n+++ learnt\n");
	add_rules_of_one(t, "-", now, p->set);
	add_rules_of_one(t, "+", p->set, now);
	pg_text_add(t, "Of what was seen, the policy in force would drop: %" PRIu64 " of %" PRIu64 "\n",
		    dropped.flows, study->learn.flows);
	add_list(t, "  ", &dropped, p->services);
	pg_text_add(t, "the proposal: %" PRIu64 "\n", p->dropped.flows);
	add_list(t, "  ", &p->dropped, p->services);
	return 0;
}

/* Output --------------------------------------------------------------------------------------------------- */

static struct json_object *offers(const struct pg_learn *list, const struct pg_services *services,
				  bool *oom)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < list->n && !*oom; i++) {
		const struct pg_learnt *l = &list->one[i];
		static const char *const proofs[] = { "none", "connected", "talk" };
		_cleanup_(pg_text_free) struct pg_text what = { 0 };
		struct json_object *o = json_object_new_object();

		pg_offer_print(&what, &l->offer, services);
		pg_json_text(o, "way", pg_way_name(l->offer.way), oom);
		pg_json_text(o, "offer", what.buf ? what.buf : "", oom);
		pg_json_number(o, "proto", l->offer.proto, oom);
		pg_json_number(o, "port", l->offer.port, oom);
		pg_json_text(o, "proof", proofs[l->proof], oom);
		pg_json_number(o, "connections", l->flows, oom);
		pg_json_number(o, "addresses", l->n_peers, oom);
		json_object_array_add(array, o);
	}
	return array;
}

static int put_json(const struct pg_study *study, const struct proposal *p, struct pg_err *err)
{
	struct json_object *doc = json_object_new_object(), *lines = json_object_new_array();
	bool oom = false;
	char *rest = p->text.buf, *line;

	pg_json_number(doc, "connections", study->learn.flows, &oom);
	pg_json_put(doc, "seen", offers(&study->learn, p->services, &oom), &oom);
	pg_json_put(doc, "would_drop", offers(&p->dropped, p->services, &oom), &oom);
	while ((line = strsep(&rest, "\n")))
		if (*line)
			json_object_array_add(lines, json_object_new_string(line));
	pg_json_put(doc, "policy", lines, &oom);
	return pg_json_end(stdout, doc, oom, err);
}

static int show(const struct pg_ctx *ctx, struct pg_dp *dp, const struct options *o,
		const struct pg_study *study, struct proposal *p, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text diff = { 0 };
	const struct pg_text *t = o->diff ? &diff : &p->text;
	int r = 0;

	if (ctx->json)
		return put_json(study, p, err);
	if (o->diff)
		r = add_diff(&diff, dp, o, study, p, err);
	else
		add_dropped(&p->text, o, study, p);
	if (!r && t->oom)
		r = pg_fail(err, -ENOMEM, "out of memory");
	if (!r)
		fwrite(t->buf, 1, t->len, stdout);
	return r;
}

static int learn(const struct pg_ctx *ctx, const struct options *o, struct pg_study *study,
		 struct pg_err *err)
{
	const struct pg_dp_opts open = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(proposal_clear) struct proposal p = { 0 };
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = pg_dp_open(&open, &dp, err);

	if (r < 0 && r != -ENOENT)
		return r;
	r = o->n_captures ? study_captures(study, o, err) : study_instance(study, dp, o, err);
	if (!r)
		r = propose(ctx, dp, o, study, &p, err);
	return r ? r : show(ctx, dp, o, study, &p, err);
}

static int run_learn(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_study_clear) struct pg_study study = { 0 };
	struct options o = { .peers = 8 };
	int r = parse_options(argc, argv, &o, &study, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	return o.unused ? pg_learn_unused(ctx, o.days, err) : learn(ctx, &o, &study, err);
}
