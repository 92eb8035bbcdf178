/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames that nobody would send, through the programs as they are attached: each is passed, dropped or
 * answered, never XDP_ABORTED, and counted once; half of them also at TC, as arrivals or departures.
 * PG_SEED and PG_N choose other ones and more.
 */
#include <errno.h>
#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "gen.h"
#include "harness.h"

enum { FRAMES_DEFAULT = 2000000, FRAMES_A_POLICY = 10000, RULES_MAX = 60, LEN_MIN = 14, LEN_SKB = 54, LEN_MAX = 1600 };

static struct harness h;
static uint64_t seed;

/* Numbers at the ends of fields, where comparisons and sums go wrong. */
static uint8_t edge(struct gen *g)
{
	static const uint8_t edges[] = { 0, 1, 4, 5, 6, 0x0f, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xfe, 0xff };

	return edges[gen_below(g, sizeof(edges))];
}

/* Makes the frame longer or shorter somewhere in the middle. */
static size_t shift(struct gen *g, uint8_t *frame, size_t len)
{
	size_t at = gen_below(g, (uint32_t)len), n = 1 + gen_below(g, 40);

	if (gen_below(g, 2)) {
		n = n < LEN_MAX - len ? n : LEN_MAX - len;
		memmove(frame + at + n, frame + at, len - at);
		return len + n;
	}
	n = n < len - at ? n : len - at;
	memmove(frame + at, frame + at + n, len - at - n);
	return len - n;
}

static size_t mutate_once(struct gen *g, uint8_t *frame, size_t len)
{
	size_t at = gen_below(g, (uint32_t)len), from = gen_below(g, (uint32_t)len);
	/* Mostly in the headers. */
	size_t head = gen_below(g, len < 80 ? (uint32_t)len : 80);

	switch (gen_below(g, 6)) {
	case 0:
		frame[head] ^= (uint8_t)(1U << gen_below(g, 8));
		return len;
	case 1:
		frame[head] = edge(g);
		return len;
	case 2:
		frame[at] = (uint8_t)gen_below(g, 256);
		return len;
	case 3:
		memmove(frame + at, frame + from, len - (at > from ? at : from));
		return len;
	case 4:
		return shift(g, frame, len);
	default:
		return LEN_MIN + gen_below(g, (uint32_t)(len > LEN_MIN ? len - LEN_MIN + 1 : 1));
	}
}

static size_t mutant(struct gen *g, uint8_t *frame, unsigned number)
{
	const struct gen_frame_opts opts = { .v6 = number % 2 };
	size_t len = gen_frame(g, &opts, frame, LEN_MAX);

	for (uint32_t n = 1 + gen_below(g, 8); n; n--) {
		len = mutate_once(g, frame, len);
		for (; len < LEN_MIN; len++) /* the kernel makes no test run of less */
			frame[len] = 0;
	}
	return len;
}

static bool is_verdict(enum pg_prog prog, uint32_t what)
{
	if (prog == PG_PROG_XDP)
		return what == XDP_DROP || what == XDP_PASS || what == XDP_TX;
	return what == (uint32_t)TC_ACT_UNSPEC || what == TC_ACT_SHOT || what == TC_ACT_REDIRECT;
}

/* False: it is too short for the kernel to make an skb of. */
static bool run(enum pg_prog prog, const uint8_t *frame, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .repeat = 1);
	struct pg_text hex = { 0 };
	int r = bpf_prog_test_run_opts(pg_dp_private_prog(h.dp, prog), &opts);

	if (r == -EINVAL && prog != PG_PROG_XDP && len < LEN_SKB)
		return false;
	assert_int_equal(r, 0);
	if (is_verdict(prog, opts.retval))
		return true;
	for (size_t i = 0; i < len; i++)
		pg_text_add(&hex, "%02x", frame[i]);
	fail_msg("seed %llu: program %d: action %u for %s", (unsigned long long)seed, prog, opts.retval, hex.buf);
	return false;
}

static uint64_t counted(void)
{
	struct pg_totals *totals = malloc(sizeof(*totals));
	uint64_t sum = 0;

	assert_non_null(totals);
	pg_dp_totals_read(h.dp, totals);
	for (int d = 0; d < _PG_DIR_MAX; d++)
		for (int v = 0; v < _PG_VERDICT_MAX; v++)
			for (int r = 0; r < _PG_REASON_MAX; r++)
				sum += totals->count[0][d][v][r].packets;
	free(totals);
	return sum;
}

static void new_policy(struct gen *g)
{
	struct gen_rules *rules = gen_rules(g, RULES_MAX);
	char *text = gen_rules_text(rules);

	harness_load(&h, text);
	free(text);
	free(rules);
}

static void mutants_are_decided_and_counted(void **state)
{
	static const enum pg_prog progs[] = { PG_PROG_XDP, PG_PROG_TC_IN, PG_PROG_TC_OUT };
	unsigned long n = getenv("PG_N") ? strtoul(getenv("PG_N"), NULL, 10) : FRAMES_DEFAULT;
	struct gen g = { seed };
	uint8_t frame[LEN_MAX];
	size_t len;
	uint64_t before, runs = 0;

	(void)state;
	if (!h.dp)
		skip();
	before = counted();
	for (unsigned long i = 0; i < n; i++) {
		if (i % FRAMES_A_POLICY == 0)
			new_policy(&g);
		len = mutant(&g, frame, (unsigned)i);
		for (size_t p = 0; p < ARRAY_SIZE(progs); p++) {
			if (p && i % 4 != p)
				continue;
			runs += run(progs[p], frame, len);
		}
	}
	assert_int_equal(counted() - before, runs);
	print_message("of %lu mutated frames each was decided and counted once (seed %llu)\n", n,
		      (unsigned long long)seed);
}

/* Connections are tracked whatever the policy asks, so that all of the program runs. */
static int setup(void **state)
{
	const struct pg_private_opts opts = { .iface = "eth0", .untraced = true,
					      .progs = PG_PROG_XDP | PG_PROG_TC_IN | PG_PROG_TC_OUT };
	struct pg_err err = { 0 };

	(void)state;
	if (!harness_open_with(&h, &opts, &err)) {
		print_message("skip: %s\n", err.text);
		return 0;
	}
	return pg_dp_flow_options_set(h.dp, PG_FLOW_OPT_TRACK, &err);
}

static int teardown(void **state)
{
	(void)state;
	if (h.dp)
		harness_close(&h);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutants_are_decided_and_counted),
	};

	seed = getenv("PG_SEED") ? strtoull(getenv("PG_SEED"), NULL, 10) : 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
