/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * referee FROM_NETNS FROM_IF TO_IF: random rules and frames through iptables-legacy and portguard;
 * every verdict, the rule that decided and every rule's counters must be the same. In every fourth
 * round the linear model of tests/bpf/oracle.c is judged, too, so that it can be trusted elsewhere.
 * test_referee.sh builds the namespaces around it. In the environment:
 *
 *	PG_N		verdicts, 100 000 unless given
 *	PG_SEED		of rules and frames, printed at the beginning
 *	PG_ROUND	only that round of the seed: what a difference names
 *	PG_NOW		seconds since 1970 that rules with -m time are written for
 *	PG_STATES	1: rules that ask for connections' states, and frames of connections; 2: rule
 *			files, and all captures from begin to end, as either end of each sees them
 *	PG_WINDOWS	1: with these, also segments out of their windows
 *	PG_SCTP		0: no SCTP with these, because the kernel is an older one
 *	PG_SPOIL	how many of a hundred frames have flipped bits or are cut; 3 unless given
 *	PG_FEATURES	"all,-limit", "chains,ports": see random.c; KNOWN below unless given, with
 *			PG_STATES those of TRACKED alone
 *	PG_TEST_DATA	a folder with captures, for frames, and rule files, which follow the random ones
 *
 * Frames that portguard drops although the kernel would not are not compared, by decision of
 * portguard's: a TCP data offset below 20 bytes (bad-doff), and more than 12 IPv6 extension
 * headers (ext-too-long). Frames that the kernel's IPv6 layer drops before its filter for what is
 * no filter's business (options of a leading hop-by-hop header, multicast sources and the like)
 * aren't either; they are counted.
 */
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpf/harness.h"
#include "bpf/oracle.h"
#include "captures.h"
#include "dumps.h"
#include "judge.h"
#include "random.h"

/* Without tcpmss, which in the kernel takes the payload of later fragments for options. */
#define KNOWN "all,-tcpmss"

/* What goes with states: the rest says nothing more there than without them. */
#define TRACKED "state,conntrack,connbytes,notrack,raw,rpfilter,ports,multiport,flags,icmp,icmp6,comment,length,"  \
		"protocols,interfaces,chains,goto,return,reject,log,set-mark,mark,limit,nth"

enum { FRAMES = 4000, ADDRESSES = 24, FIRST = 40 };

struct referee {
	struct judge judge;
	struct captures *captures;
	char *addr[2][ADDRESSES];
	size_t n_addr[2];
	char *first[2][FIRST]; /* that speaks in a capture */
	struct dump_tracking tracking[2];
	uint64_t seed, features, simple;
	bool tracks, replays;
	time_t now;
};

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void round_of(struct referee *t, unsigned round)
{
	struct gen gen = { .state = t->seed ^ (uint64_t)round << 40 };
	bool v6 = round & 1, simple = round / 2 % 4 == 3 && !t->tracks;
	struct random_opts opts = { .v6 = v6, .tracks = t->tracks, .round = round, .now = t->now,
				    .features = t->features & (simple ? t->simple : ~0ULL),
				    .addr = (const char *const *)t->addr[v6],
				    .n_addr = t->n_addr[v6] };
	struct rules *rules = random_rules(&gen, &opts);

	t->judge.with_oracle = simple;
	snprintf(t->judge.where, sizeof(t->judge.where), "%sPG_SEED=%llu PG_ROUND=%u PG_NOW=%lld",
		 t->tracks ? "PG_STATES=1 " : "", (unsigned long long)t->seed, round, (long long)t->now);
	judge_rules(&t->judge, &gen, rules, t->captures, FRAMES);
	rules_free(rules);
}

static void read_captures(struct referee *t)
{
	const char *data = getenv("PG_TEST_DATA");
	char large[4096], small[4096];
	const char *folders[] = { large, small };

	if (data && *data) {
		snprintf(large, sizeof(large), "%s/captures", data);
		snprintf(small, sizeof(small), "%s/captures-small", data);
	}
	t->captures = captures_new(folders, data && *data ? 2 : 0);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		t->n_addr[v6] = captures_addresses(t->captures, v6, t->addr[v6], ADDRESSES);
		t->tracking[v6].host = t->first[v6];
		t->tracking[v6].n = captures_first(t->captures, v6, t->first[v6], FIRST);
	}
	printf("referee: %zu IPv4 and %zu IPv6 frames from captures\n",
	       captures_count(t->captures, false), captures_count(t->captures, true));
}

static const struct dump_part parts[] = { { "INPUT", false }, { "INPUT", true }, { "FORWARD", false },
					  { "FORWARD", true }, { "OUTPUT", false }, { "OUTPUT", true } };
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

/* A part of a rule file; false: it has none. */
static bool dump_of(struct referee *t, const char *folder, const char *name, const struct dump_part *part,
		    struct dump *sum)
{
	struct gen gen = { .state = t->seed };
	struct dump d;
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (!dump_read(path, part, t->judge.iface, t->replays ? t->tracking : NULL, &d))
		return false;
	sum->lines += d.lines;
	sum->refused += d.refused;
	sum->unknown += d.unknown;
	sum->states += d.states;
	t->judge.with_oracle = false;
	snprintf(t->judge.where, sizeof(t->judge.where), "%.80s, %s%s, %sPG_SEED=%llu", name,
		 part->raw ? "raw and " : "", part->hook, !t->replays ? "" : t->tracking[0].peers ? "PG_STATES=2, peers', " : "PG_STATES=2, ",
		 (unsigned long long)t->seed);
	if (d.states || !t->replays)
		judge_rules(&t->judge, &gen, d.rules, t->captures, FRAMES);
	rules_free(d.rules);
	return true;
}

static void run_dumps(struct referee *t)
{
	const char *data = getenv("PG_TEST_DATA");
	struct dirent **entry;
	struct dump sum[PARTS] = { 0 };
	unsigned files[PARTS] = { 0 };
	char folder[2048];
	int n;

	snprintf(folder, sizeof(folder), "%s/rules", data && *data ? data : "");
	n = data && *data ? scandir(folder, &entry, NULL, alphasort) : -1;
	for (int i = 0; i < n; i++) {
		for (size_t p = 0; entry[i]->d_name[0] != '.' && p < PARTS; p++)
			files[p] += dump_of(t, folder, entry[i]->d_name, &parts[p], &sum[p]);
		free(entry[i]);
	}
	if (n < 0)
		return;
	free(entry);
	for (size_t p = 0; p < PARTS; p++)
		printf("referee: %u rule files with %u rules that packets meet in %s%s, %u of them %s for "
		       "connections, %u portguard does not know, %u iptables refuses here\n", files[p],
		       sum[p].lines + sum[p].refused, parts[p].raw ? "raw and " : "", parts[p].hook,
		       sum[p].states, t->replays ? "asking" : "left out that ask", sum[p].unknown,
		       sum[p].refused);
}

static void run(struct referee *t)
{
	uint64_t n = env_number("PG_N", 100000), only = env_number("PG_ROUND", UINT64_MAX);

	printf("referee: seed %llu\n", (unsigned long long)t->seed);
	fflush(stdout);
	if (only != UINT64_MAX)
		round_of(t, only);
	for (unsigned round = 0; only == UINT64_MAX && t->judge.verdicts < n && !t->replays; round++)
		round_of(t, round);
	if (only == UINT64_MAX && (!t->tracks || t->replays))
		run_dumps(t);
	if (t->replays) {
		t->tracking[0].peers = t->tracking[1].peers = true;
		run_dumps(t);
	}
	judge_report(&t->judge);
}

static bool open_all(struct judge *j, const char *iface, struct pg_err *err)
{
	struct pg_private_opts opts = { .iface = iface, .ifindex = if_nametoindex(iface),
					/* There is no conntrack: the kernel asks about each as it is. */
					.fragments = PG_FRAGMENTS_RULES };

	snprintf(j->iface, sizeof(j->iface), "%s", iface);
	for (enum judged p = 0; p < _JUDGED_MAX; p++) {
		opts.general_only = p == JUDGED_GENERAL;
		if (!harness_open_with(&j->portguard[p], &opts, err))
			return false;
		/* As test_referee.sh tells the kernel. */
		if (!j->windows && pg_dp_flow_options_set(j->portguard[p].dp, PG_FLOW_OPT_LIBERAL, err))
			return false;
	}
	return explained_open(&j->explained, &opts, err);
}

int main(int argc, char **argv)
{
	const char *features = getenv("PG_FEATURES");
	static struct referee t;
	struct pg_err err = { 0 };

	if (argc != 4) {
		fprintf(stderr, "usage: referee FROM_NETNS FROM_IF TO_IF\n");
		return 2;
	}
	t.seed = env_number("PG_SEED", 20261120);
	t.now = env_number("PG_NOW", time(NULL));
	t.tracks = env_number("PG_STATES", 0);
	t.replays = t.judge.replays = env_number("PG_STATES", 0) == 2;
	t.judge.windows = env_number("PG_WINDOWS", 0);
	t.judge.sctp = env_number("PG_SCTP", 1);
	t.features = random_features(features && *features ? features : KNOWN);
	if (t.tracks)
		t.features &= random_features(TRACKED);
	/* What the oracle knows. */
	t.simple = random_features("ports,multiport,flags,icmp,icmp6,comment,protocols,fragments,"
				   "interfaces");
	if (!open_all(&t.judge, argv[3], &err)) {
		fprintf(stderr, "referee: skipped: %s\n", err.text);
		return 77;
	}
	read_captures(&t);
	t.judge.kernel = kernel_open(argv[1], argv[2], argv[3]);
	run(&t);
	kernel_close(t.judge.kernel);
	for (enum judged p = 0; p < _JUDGED_MAX; p++)
		harness_close(&t.judge.portguard[p]);
	explained_close(&t.judge.explained);
	captures_free(t.captures);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < t.n_addr[v6]; i++)
			free(t.addr[v6][i]);
		for (size_t i = 0; i < t.tracking[v6].n; i++)
			free(t.first[v6][i]);
	}
	return t.judge.differences != 0;
}
