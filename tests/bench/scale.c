// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What rules cost: random sets of 1 to 100 000, and ClassBench's. For each set the empty program,
 * portguard and the peers get the same packets in the same rounds.
 */
#include <errno.h>
#include <glob.h>
#include <linux/bpf.h>
#include <string.h>

#include "classbench.h"
#include "measure.h"

/* nft and iptables need hours for more, and xdp-filter has only so many ports. */
#define PEERS_MAX_RULES 10000
/* Fewer packets than this all stay in the nearest cache. */
#define SPREAD_MIN 1024
#define MISSES 20000

/* Packets for a set. */
struct way {
	const char *packets;
	enum bench_group group;
	bool repeats; /* one packet */
	bool hits;    /* each meets a rule; otherwise none does */
	struct bench_flows flows, exact;
	size_t *expect, *expect_exact;
};

/* Without rules every packet meets this. */
static const size_t policy = 0;

/* A set with all that is measured on it. */
struct set {
	const char *name;
	enum bench_group group; /* CLASSBENCH, or that of each way */
	struct bench_rules rules;
	struct way way[2];
	size_t n_ways;
	struct bench_subject ours, bare, peer[_BENCH_PEER_MAX]; /* bare: no rules */
	/* Rows to subtract, by way. */
	size_t empty[2], base[_BENCH_PEER_MAX][2];
};

static void free_way(struct way *w)
{
	bench_flows_free(&w->flows);
	bench_flows_free(&w->exact);
	free(w->expect);
	free(w->expect_exact);
}

static void free_set(struct set *s)
{
	for (size_t i = 0; i < s->n_ways; i++)
		free_way(&s->way[i]);
	bench_subject_close(&s->ours);
	bench_subject_close(&s->bare);
	for (int k = 0; k < _BENCH_PEER_MAX; k++)
		bench_subject_close(&s->peer[k]);
	bench_rules_free(&s->rules);
}

/* Rows ----------------------------------------------------------------------------------------- */

static struct bench_row new_row(const struct set *s, const struct way *w, const char *tool)
{
	struct bench_row row = {
		.group = s->group ? s->group : w->group,
		.rules = s->rules.n,
		.ipv6 = s->rules.ipv6,
		.verdict = XDP_PASS,
	};

	snprintf(row.set, sizeof(row.set), "%s", s->name);
	snprintf(row.tool, sizeof(row.tool), "%s", tool);
	snprintf(row.packets, sizeof(row.packets), "%s", w->packets);
	return row;
}

/* The program that a row runs: `prog`, or the mutator before it. */
static int set_program(struct bench_row *row, const struct way *w, const struct bench_flows *flows,
		       int prog, struct pg_err *err)
{
	int r;

	bench_frame_build(&row->run.frame, &flows->flow[0], flows->ipv6);
	if (w->repeats) {
		row->run.prog = prog < 0 ? bench_empty_fd(err) : prog;
		return row->run.prog < 0 ? -EIO : 0;
	}
	row->n_packets = flows->n;
	r = bench_mutator_new(flows, prog, &row->mutator, err);
	if (!r)
		row->run.prog = bench_mutator_fd(row->mutator);
	return r;
}

static void set_subject(struct bench_row *row, const struct way *w, struct bench_subject *subject,
			bool exact)
{
	row->subject = subject;
	row->expect = exact ? w->expect_exact : w->expect;
	row->n_expect = exact ? w->exact.n : w->flows.n;
}

static int add_empty(struct bench_table *t, struct set *s, size_t i, struct pg_err *err)
{
	struct bench_row row = new_row(s, &s->way[i], "empty program");
	int r = set_program(&row, &s->way[i], &s->way[i].flows, -1, err);

	row.base = t->n;
	if (!r)
		s->empty[i] = bench_table_add(t, &row);
	return r;
}

static int add_ours(struct bench_table *t, struct set *s, size_t i, const char *why_not,
		    struct pg_err *err)
{
	const struct way *w = &s->way[i];
	struct bench_row row = new_row(s, w, "portguard");
	int r = 0;

	row.what = BENCH_IS_OURS;
	row.base = s->empty[i];
	bench_row_refuse(&row, why_not);
	if (!why_not[0]) {
		row.verdict = w->hits ? XDP_PASS : XDP_DROP;
		set_subject(&row, w, &s->ours, false);
		r = set_program(&row, w, &w->flows, pg_dp_private_prog(s->ours.dp, PG_PROG_XDP), err);
	}
	if (!r)
		bench_table_add(t, &row);
	return r;
}

static int add_peer(struct bench_table *t, struct set *s, enum bench_peer_kind kind, size_t i,
		    const char *why_not, struct pg_err *err)
{
	const struct way *w = &s->way[i];
	struct bench_row row = new_row(s, w, bench_peer_name(kind));
	bool exact = kind == BENCH_NFT_HOSTS, stack = !bench_peer_is_xdp(kind);
	int r = 0;

	row.what = kind == BENCH_STACK_FOREIGN || kind == BENCH_STACK_LOCAL ? BENCH_IS_BASE :
		   bench_peer_compares(kind) ? BENCH_IS_PEER : BENCH_IS_LESSER;
	row.base = row.what == BENCH_IS_BASE ? t->n :
		   stack ? s->base[bench_peer_base(kind)][i] : s->empty[i];
	bench_row_refuse(&row, why_not);
	if (!why_not[0]) {
		if (stack)
			bench_peer_place(s->peer[kind].peer, &row.run);
		else
			row.verdict = XDP_DROP;
		if (row.what != BENCH_IS_BASE)
			set_subject(&row, w, &s->peer[kind], exact);
		r = set_program(&row, w, exact ? &w->exact : &w->flows,
				bench_peer_prog(s->peer[kind].peer), err);
	}
	if (!r)
		s->base[kind][i] = bench_table_add(t, &row);
	return r;
}

/* How much of it are the counters of ports and reasons, which there are without any rule. */
static int prepare_bare(struct bench_table *t, struct set *s, struct pg_err *err)
{
	static const struct bench_rules none = { 0 };
	const struct pg_private_opts private = { .untraced = true };
	int r = bench_subject_portguard(&s->bare, &none, &private, err);

	for (size_t i = 0; !r && i < s->n_ways; i++) {
		struct bench_row row = new_row(s, &s->way[i], "portguard without rules");

		row.what = BENCH_IS_LESSER;
		row.base = s->empty[i];
		row.verdict = XDP_DROP; /* the policy's */
		row.subject = &s->bare;
		row.expect = &policy;
		row.n_expect = 1;
		r = set_program(&row, &s->way[i], &s->way[i].flows,
				pg_dp_private_prog(s->bare.dp, PG_PROG_XDP), err);
		if (!r)
			bench_table_add(t, &row);
	}
	return r;
}

/* A set that cannot be loaded leaves its rows with the reason. */
static int prepare_ours(struct bench_table *t, struct set *s, struct pg_err *err)
{
	const struct pg_private_opts private = { .untraced = true };
	char why_not[sizeof(err->text)] = "";
	int r = 0;

	if (bench_subject_portguard(&s->ours, &s->rules, &private, err)) {
		snprintf(why_not, sizeof(why_not), "%s", err->text);
		bench_subject_close(&s->ours); /* nothing is measured, nothing to be checked */
	}
	for (size_t i = 0; !r && i < s->n_ways; i++)
		r = add_ours(t, s, i, why_not, err);
	return r;
}

static int prepare_peer(struct bench_table *t, struct set *s, enum bench_peer_kind kind,
			struct pg_err *err)
{
	char why_not[sizeof(err->text)] = "";
	int r = 0;

	if (s->base[bench_peer_base(kind)][0] == SIZE_MAX)
		snprintf(why_not, sizeof(why_not), "the stack could not be had for it");
	else if (bench_subject_peer(&s->peer[kind], kind, &s->rules, err))
		snprintf(why_not, sizeof(why_not), "%s", err->text);
	for (size_t i = 0; !r && i < s->n_ways; i++)
		r = add_peer(t, s, kind, i, why_not, err);
	if (why_not[0])
		s->base[kind][0] = SIZE_MAX;
	return r;
}

static bool knows(enum bench_peer_kind kind, const struct set *s)
{
	/* These have no rules but pairs of an address and a port. */
	return s->group != BENCH_CLASSBENCH || kind == BENCH_STACK_FOREIGN ||
	       kind == BENCH_STACK_LOCAL || kind == BENCH_NFT_LINEAR || kind == BENCH_IPTABLES;
}

static int prepare_set(struct bench_table *t, struct set *s, const struct bench_opts *opts,
		       struct pg_err *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < s->n_ways; i++)
		r = add_empty(t, s, i, err);
	if (!r)
		r = prepare_ours(t, s, err);
	if (!r)
		r = prepare_bare(t, s, err);
	if (!(opts->groups & BENCH_PEERS) || s->rules.ipv6 || s->rules.n > PEERS_MAX_RULES)
		return r;
	for (int k = 0; !r && k < _BENCH_PEER_MAX; k++)
		if (knows(k, s))
			r = prepare_peer(t, s, k, err);
	return r;
}

static int check_set(const struct set *s, const struct bench_table *t, size_t from,
		     struct pg_err *err)
{
	char what[96];
	int r = 0;

	snprintf(what, sizeof(what), "%s, %zu rules, %s", s->name, s->rules.n,
		 s->rules.ipv6 ? "IPv6" : "IPv4");
	if (s->ours.dp)
		r = bench_subject_check(&s->ours, what, err);
	if (!r && s->bare.dp)
		r = bench_subject_check(&s->bare, "without rules", err);
	for (int k = 0; !r && k < _BENCH_PEER_MAX; k++) {
		bool measured = false;

		for (size_t i = from; i < t->n; i++)
			measured |= t->row[i].what != BENCH_IS_BASE && !t->row[i].why_not[0] &&
				    !strcmp(t->row[i].tool, bench_peer_name(k));
		if (s->peer[k].peer && measured && k != BENCH_STACK_FOREIGN &&
		    k != BENCH_STACK_LOCAL) {
			snprintf(what, sizeof(what), "%s, %zu rules", bench_peer_name(k),
				 s->rules.n);
			r = bench_subject_check(&s->peer[k], what, err);
		}
	}
	return r;
}

/* All sets of one size together. */
static int measure_sets(struct bench_table *t, struct set *set, size_t n,
			const struct bench_opts *opts, struct pg_err *err)
{
	size_t from = t->n;
	int r = 0;

	for (size_t i = 0; !r && i < n; i++)
		r = prepare_set(t, &set[i], opts, err);
	if (!r)
		r = bench_measure(t, from, opts, err);
	for (size_t i = 0; !r && i < n; i++)
		r = check_set(&set[i], t, from, err);
	return r;
}

/* Random sets ---------------------------------------------------------------------------------- */

static int make_way(struct set *s, struct way *w, size_t n)
{
	struct bench_flow last = bench_last_flow(s->rules.ipv6);
	int r;

	w->hits = true;
	w->flows.ipv6 = w->exact.ipv6 = s->rules.ipv6;
	if (w->repeats) {
		r = bench_flows_add(&w->flows, &last);
		if (!r)
			r = bench_flows_add(&w->exact, &last);
	} else {
		r = bench_flows_spread(&w->flows, &s->rules, n);
		if (!r)
			r = bench_flows_exact(&w->exact, &s->rules, n);
	}
	if (!r)
		r = bench_expect(&s->rules, &w->flows, &w->expect);
	return r ? r : bench_expect(&s->rules, &w->exact, &w->expect_exact);
}

static int make_random_set(struct set *s, bool ipv6, size_t n, unsigned groups)
{
	int r;

	s->name = "random";
	r = bench_rules_random(&s->rules, ipv6, n);
	if (groups & BENCH_REPEAT)
		s->way[s->n_ways++] = (struct way){ .packets = "one packet", .group = BENCH_REPEAT,
						    .repeats = true };
	if (groups & BENCH_SPREAD)
		s->way[s->n_ways++] = (struct way){ .packets = "spread", .group = BENCH_SPREAD };
	for (size_t i = 0; !r && i < s->n_ways; i++)
		r = make_way(s, &s->way[i], n < SPREAD_MIN ? SPREAD_MIN : n);
	return r;
}

int bench_scale(struct bench_table *t, const struct bench_opts *opts, struct pg_err *err)
{
	int r = 0;

	if (!(opts->groups & (BENCH_REPEAT | BENCH_SPREAD)))
		return 0;
	for (size_t n = 1; !r && n <= opts->max_rules; n *= 10) {
		struct set set[2] = { 0 };

		fprintf(stderr, "bench: %zu rules\n", n);
		r = make_random_set(&set[0], false, n, opts->groups);
		if (!r)
			r = make_random_set(&set[1], true, n, opts->groups);
		r = r ? pg_fail(err, r, "out of memory") : measure_sets(t, set, 2, opts, err);
		free_set(&set[0]);
		free_set(&set[1]);
	}
	return r;
}

/* ClassBench ----------------------------------------------------------------------------------- */

/* Of `from` those that meet a rule, or those that meet none. */
static int choose(struct set *s, struct way *w, const struct bench_flows *from, struct pg_err *err)
{
	_free_ size_t *met = NULL;
	int r = bench_expect(&s->rules, from, &met);

	for (size_t i = 0; !r && i < from->n; i++)
		if ((met[i] < s->rules.n) == w->hits)
			r = bench_flows_add(&w->flows, &from->flow[i]);
	if (!r)
		r = bench_expect(&s->rules, &w->flows, &w->expect);
	return r ? pg_fail(err, r, "out of memory") : 0;
}

/* A set in which every packet meets a rule has no misses. */
static int add_way(struct set *s, bool hits, const struct bench_flows *from, struct pg_err *err)
{
	struct way *w = &s->way[s->n_ways];
	int r;

	*w = (struct way){ .packets = hits ? "hits" : "misses", .hits = hits };
	r = choose(s, w, from, err);
	if (!r && w->flows.n)
		s->n_ways++;
	else
		free_way(w);
	return r;
}

static int read_set(struct set *s, const char *path, struct pg_err *err)
{
	_cleanup_(bench_flows_free) struct bench_flows trace = { 0 }, random = { 0 };
	_free_ char *trace_path = NULL;
	int r = bench_classbench_rules(path, &s->rules, err);

	s->name = strrchr(path, '/') + 1;
	s->group = BENCH_CLASSBENCH;
	if (r)
		return r;
	if (asprintf(&trace_path, "%s_trace", path) < 0 ||
	    bench_flows_random(&random, false, MISSES))
		return pg_fail(err, -ENOMEM, "out of memory");
	r = bench_classbench_flows(trace_path, &trace, err);
	if (!r)
		r = add_way(s, true, &trace, err);
	return r ? r : add_way(s, false, &random, err);
}

static bool is_set(const char *path)
{
	size_t len = strlen(path);

	return len < 6 || strcmp(path + len - 6, "_trace");
}

static int measure_file(struct bench_table *t, const char *path, const struct bench_opts *opts,
			struct pg_err *err)
{
	struct set set = { 0 };
	int r = read_set(&set, path, err);

	fprintf(stderr, "bench: ClassBench's %s\n", strrchr(path, '/') + 1);
	if (!r && set.rules.n <= opts->max_rules)
		r = measure_sets(t, &set, 1, opts, err);
	free_set(&set);
	return r;
}

int bench_classbench(struct bench_table *t, const struct bench_opts *opts, struct pg_err *err)
{
	_free_ char *pattern = NULL;
	glob_t g;
	int r = 0;

	if (!(opts->groups & BENCH_CLASSBENCH))
		return 0;
	if (!opts->data) {
		fprintf(stderr, "bench: no ClassBench sets: PG_TEST_DATA names no folder\n");
		return 0;
	}
	if (asprintf(&pattern, "%s/classbench/*", opts->data) < 0)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (glob(pattern, 0, NULL, &g)) {
		fprintf(stderr, "bench: no ClassBench sets in '%s/classbench'\n", opts->data);
		return 0;
	}
	for (size_t i = 0; !r && i < g.gl_pathc; i++)
		if (is_set(g.gl_pathv[i]))
			r = measure_file(t, g.gl_pathv[i], opts, err);
	globfree(&g);
	return r;
}
