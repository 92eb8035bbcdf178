// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a packet costs: BPF_PROG_TEST_RUN over the programs as they are attached, as a difference
 * to an empty XDP program in the same round. Rounds are interleaved, the median counts: the
 * machine's speed drifts, and within a round it drifts for all alike.
 *
 *   bench [--json FILE] [--rounds N] [--repeat N]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/utsname.h>

#include "dp.h"
#include "pkt.h"
#include "policy.h"
#include "rulefile.h"

#define MAX_ROUNDS 99

struct row {
	const char *name;
	unsigned rules;	   /* that the packet does not meet, before the one it does */
	bool ipv6, no_csum, no_rules, general;
	enum pg_prog prog;
	/* filled in */
	struct pg_dp *dp;
	unsigned char frame[128];
	size_t frame_len;
	unsigned ns[MAX_ROUNDS];
	double median, over_empty;
};

static int die(const struct pg_err *err)
{
	fprintf(stderr, "bench: %s\n", err->text);
	return 1;
}

/* Rules `-p tcp -s <a /24../32> --dport <p>`; the packet meets only the last. */
static void write_policy(struct pg_text *t, const struct row *row)
{
	unsigned seed = 12345;

	pg_text_add(t, "*filter\n:INPUT DROP [0:0]\n");
	for (unsigned i = 0; i < row->rules; i++) {
		seed = seed * 1103515245 + 12345;
		if (row->ipv6)
			pg_text_add(t, "-A INPUT -s 2001:db8:%x:%x::/64 -p tcp --dport %u -j ACCEPT\n",
				    seed >> 16 & 0xffff, seed & 0xffff, 1 + (seed >> 8) % 60000);
		else
			pg_text_add(t, "-A INPUT -s %u.%u.%u.0/%u -p tcp --dport %u -j ACCEPT\n",
				    11 + (seed >> 24) % 180, seed >> 16 & 255, seed >> 8 & 255,
				    24 + seed % 9, 1 + (seed >> 4) % 60000);
	}
	if (!row->no_rules)
		pg_text_add(t, row->ipv6 ? "-A INPUT -s 2001:db8::/64 -p tcp --dport 443 -j ACCEPT\n" :
					   "-A INPUT -s 10.0.0.0/24 -p tcp --dport 443 -j ACCEPT\n");
	pg_text_add(t, "COMMIT\n");
}

static int prepare(struct row *row, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	const struct pg_rulefile_opts opts = { .name = row->name };
	const struct pg_private_opts private = {
		.untraced = true,
		.general_only = row->general,
		.skip_checksum = row->no_csum,
	};
	struct pg_notes notes = { 0 };
	int r;

	write_policy(&text, row);
	r = pg_rulefile_parse(text.buf, text.len, &opts, &set, &notes, err);
	pg_notes_free(&notes);
	if (!r)
		r = pg_dp_open_private(&private, &row->dp, err);
	if (!r)
		r = pg_policy_commit(row->dp, set, err);
	return r;
}

/* The row before the others of its hook is the program that does nothing. */
static struct row rows[] = {
	{ "empty program", .no_rules = true, .prog = PG_PROG_EMPTY },
	{ "no rules, port and reason counters", .no_rules = true, .prog = PG_PROG_XDP },
	{ "1 rule", .prog = PG_PROG_XDP },
	{ "1 rule, IPv6", .ipv6 = true, .prog = PG_PROG_XDP },
	{ "1 rule, general path", .general = true, .prog = PG_PROG_XDP },
	{ "the same, IPv4 checksum not verified", .general = true, .no_csum = true, .prog = PG_PROG_XDP },
	{ "10 rules", .rules = 9, .prog = PG_PROG_XDP },
	{ "100 rules", .rules = 99, .prog = PG_PROG_XDP },
	{ "1000 rules", .rules = 999, .prog = PG_PROG_XDP },
	{ "empty program, TC", .no_rules = true, .prog = PG_PROG_EMPTY_TC },
	{ "1 rule, TC ingress", .prog = PG_PROG_TC_IN },
	{ "departure, TC egress", .no_rules = true, .prog = PG_PROG_TC_OUT },
};

static void build_frame(struct row *row)
{
	if (row->ipv6)
		row->frame_len = pkt_build(PKT(ETH(), IP6(.src = "2001:db8::1"), TCP(.dport = 443)),
					   row->frame, sizeof(row->frame));
	else
		row->frame_len = pkt_build(PKT(ETH(), IP4(.src = "10.0.0.1"), TCP(.dport = 443)),
					   row->frame, sizeof(row->frame));
}

static bool is_empty(const struct row *row)
{
	return row->prog == PG_PROG_EMPTY || row->prog == PG_PROG_EMPTY_TC;
}

/* A number is worth nothing if the packet did not take the way it is meant to measure. */
static int check_counted(struct row *row, unsigned runs, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	int r = pg_policy_read(row->dp, &set, err);
	uint64_t got;

	if (r || is_empty(row) || row->prog == PG_PROG_TC_OUT)
		return r;
	got = row->no_rules ? set->chain[PG_CHAIN_INPUT].packets :
			      set->chain[PG_CHAIN_INPUT].rule[row->rules].packets;
	if (got == runs)
		return 0;
	return pg_fail(err, -EBADMSG, "%s: counted %llu packets of %u", row->name,
		       (unsigned long long)got, runs);
}

static int by_value(const void *a, const void *b)
{
	const unsigned *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int run(unsigned rounds, unsigned repeat, struct pg_err *err)
{
	const struct row *base = rows;
	unsigned sorted[MAX_ROUNDS];
	int r = 0;

	for (unsigned i = 0; i < rounds; i++)
		for (size_t k = 0; !r && k < ARRAY_SIZE(rows); k++)
			r = pg_dp_time(rows[k].dp, rows[k].prog, rows[k].frame, rows[k].frame_len,
				       repeat, &rows[k].ns[i], err);
	for (size_t k = 0; !r && k < ARRAY_SIZE(rows); k++) {
		r = check_counted(&rows[k], rounds * repeat, err);
		memcpy(sorted, rows[k].ns, sizeof(sorted));
		qsort(sorted, rounds, sizeof(*sorted), by_value);
		rows[k].median = sorted[rounds / 2];
		if (is_empty(&rows[k]))
			base = &rows[k]; /* XDP's, and for the rows behind it TC's */
		for (unsigned i = 0; i < rounds; i++)
			sorted[i] = rows[k].ns[i] > base->ns[i] ? rows[k].ns[i] - base->ns[i] : 0;
		qsort(sorted, rounds, sizeof(*sorted), by_value);
		rows[k].over_empty = sorted[rounds / 2];
	}
	return r;
}

static void print_table(unsigned rounds, unsigned repeat)
{
	printf("ns a packet, median of %u interleaved rounds of %u runs\n\n", rounds, repeat);
	printf("%-40s %8s %12s\n", "", "total", "over empty");
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
		printf("%-40s %8.0f %12.0f\n", rows[k].name, rows[k].median, rows[k].over_empty);
}

static int write_json(const char *path, unsigned rounds, unsigned repeat, struct pg_err *err)
{
	json_object *doc = json_object_new_object(), *list = json_object_new_array();
	struct utsname os;
	int r = 0;

	uname(&os);
	json_object_object_add(doc, "version", json_object_new_string(PG_VERSION));
	json_object_object_add(doc, "kernel", json_object_new_string(os.release));
	json_object_object_add(doc, "rounds", json_object_new_int(rounds));
	json_object_object_add(doc, "repeat", json_object_new_int(repeat));
	json_object_object_add(doc, "rows", list);
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		json_object *row = json_object_new_object();

		json_object_object_add(row, "name", json_object_new_string(rows[k].name));
		json_object_object_add(row, "ns", json_object_new_double(rows[k].median));
		json_object_object_add(row, "over_empty_ns",
				       json_object_new_double(rows[k].over_empty));
		json_object_array_add(list, row);
	}
	if (json_object_to_file_ext(path, doc, JSON_C_TO_STRING_PRETTY))
		r = pg_fail(err, -EIO, "cannot write '%s'", path);
	json_object_put(doc);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = { { "json", required_argument, NULL, 'j' },
					       { "rounds", required_argument, NULL, 'n' },
					       { "repeat", required_argument, NULL, 'r' },
					       { 0 } };
	uint32_t rounds = 9, repeat = 1000000;
	const char *json = NULL;
	struct pg_err err = { 0 };
	int c, r = 0;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'j')
			json = optarg;
		else if ((c != 'n' || pg_parse_u32(optarg, 1, MAX_ROUNDS, &rounds)) &&
			 (c != 'r' || pg_parse_u32(optarg, 1, 100000000, &repeat)))
			return 2;
	}
	for (size_t k = 0; !r && k < ARRAY_SIZE(rows); k++) {
		build_frame(&rows[k]);
		r = prepare(&rows[k], &err);
	}
	if (!r)
		r = run(rounds, repeat, &err);
	if (r)
		return die(&err);
	print_table(rounds, repeat);
	if (json && write_json(json, rounds, repeat, &err))
		return die(&err);
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
		pg_dp_close(rows[k].dp);
	return 0;
}
