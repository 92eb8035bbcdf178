// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a packet costs: BPF_PROG_TEST_RUN over the programs as they are attached, with sets of 1 to
 * 100 000 rules, IPv4 and IPv6, one packet and packets that differ, and beside them the filters
 * that the distribution packages.
 *
 *   bench [--only GROUP,…] [--rounds N] [--repeat N] [--max-rules N] [--max-flows N] [--json FILE] [--svg FILE]
 *
 * Groups: hooks, repeat, spread, classbench, peers (beside the three before), commit, flows.
 * ClassBench sets are read from classbench/ in the folder that PG_TEST_DATA names.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <string.h>

#include "report.h"

static const char *const group_names[] = { "hooks", "repeat", "spread", "classbench",
					   "peers", "commit", "flows" };

static int parse_groups(char *list, unsigned *ret)
{
	unsigned groups = 0;

	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < ARRAY_SIZE(group_names) && strcmp(word, group_names[i]))
			i++;
		if (i == ARRAY_SIZE(group_names)) {
			fprintf(stderr,
				"bench: no group '%s': there are hooks, repeat, spread, "
				"classbench, peers, commit and flows\n",
				word);
			return -EINVAL;
		}
		groups |= 1U << i;
	}
	/* Peers alone: on all that they are compared on. */
	if (groups == BENCH_PEERS)
		groups |= BENCH_REPEAT | BENCH_SPREAD;
	*ret = groups;
	return 0;
}

/* 0, or -EINVAL with the reason told. */
static int parse_options(int argc, char **argv, struct bench_opts *opts, const char **json,
			 const char **svg)
{
	static const struct option longs[] = { { "only", required_argument, NULL, 'o' },
					       { "rounds", required_argument, NULL, 'n' },
					       { "repeat", required_argument, NULL, 'r' },
					       { "json", required_argument, NULL, 'j' },
					       { "svg", required_argument, NULL, 's' },
					       { "max-rules", required_argument, NULL, 'm' },
					       { "max-flows", required_argument, NULL, 'f' },
					       { 0 } };
	int c, r = 0;

	while (!r && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'j')
			*json = optarg;
		else if (c == 's')
			*svg = optarg;
		else if (c == 'o')
			r = parse_groups(optarg, &opts->groups);
		else if (c == 'n')
			r = pg_parse_u32(optarg, 1, BENCH_ROUNDS_MAX, &opts->rounds);
		else if (c == 'r')
			r = pg_parse_u32(optarg, 64, 100000000, &opts->repeat);
		else if (c == 'm')
			r = pg_parse_u32(optarg, 1, 100000, &opts->max_rules);
		else if (c == 'f')
			r = pg_parse_u32(optarg, 1, UINT32_MAX, &opts->max_flows);
		else
			return -EINVAL;
		if (r && c != 'o')
			fprintf(stderr, "bench: not a number it takes: %s\n", optarg);
	}
	return r;
}

/* The tools of peers are in places that a user's PATH lacks on Debian. */
static void extend_path(void)
{
	_free_ char *path = NULL;

	if (asprintf(&path, "%s:/usr/local/sbin:/usr/sbin:/sbin", getenv("PATH") ?: "") >= 0)
		setenv("PATH", path, 1);
}

static int measure_all(struct bench_table *t, struct bench_commit *commit,
		       struct bench_listing *listing, const struct bench_opts *opts,
		       struct pg_err *err)
{
	int r = bench_commits(commit, opts, err); /* forks: while there is nothing to inherit */

	if (!r && unshare(CLONE_NEWNET))
		r = pg_fail(err, -errno, "cannot make a network namespace: %s", strerror(errno));
	if (!r)
		r = bench_pin_cpu(err);
	if (!r)
		r = bench_hooks(t, opts, err);
	if (!r)
		r = bench_flows(t, listing, opts, err);
	if (!r)
		r = bench_scale(t, opts, err);
	return r ? r : bench_classbench(t, opts, err);
}

int main(int argc, char **argv)
{
	struct bench_opts opts = {
		.rounds = 9,
		.repeat = 1000000,
		.max_rules = 100000,
		.max_flows = UINT32_MAX,
		.groups = BENCH_ALL,
		.data = getenv("PG_TEST_DATA"),
	};
	struct bench_commit commit[BENCH_COMMITS];
	struct bench_listing listing = { 0 };
	struct bench_table table = { 0 };
	const struct bench_report report = {
		.table = &table,
		.commit = commit,
		.listing = &listing,
		.opts = &opts,
	};
	const char *json = NULL, *svg = NULL;
	struct pg_err err = { 0 };
	int r;

	if (parse_options(argc, argv, &opts, &json, &svg))
		return PG_EXIT_USAGE;
	if (opts.data && !opts.data[0])
		opts.data = NULL;
	extend_path();
	r = measure_all(&table, commit, &listing, &opts, &err);
	if (!r) {
		bench_report_print(&report);
		if (json)
			r = bench_report_json(&report, json, &err);
		if (!r && svg && bench_report_svg(&report, svg, &err) == -ENOENT)
			fprintf(stderr, "bench: %s\n", err.text);
	}
	if (r)
		fprintf(stderr, "bench: %s\n", err.text);
	bench_table_free(&table);
	return r ? PG_EXIT_FAILED : 0;
}
