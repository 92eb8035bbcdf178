/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random rule sets × random and broken frames, against the oracle: verdict, reason, deciding rule,
 * length, and all rules' counters. PG_SEED and PG_N (frames) choose other ones and more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gen.h"
#include "group.h"
#include "oracle.h"

enum { RULES_MAX = 200, FRAMES = 120, FRAME_MAX = 4096, FRAMES_DEFAULT = 180000 };

static struct harness h;
static uint64_t seed;
static bool tc; /* through the program for TC ingress, not XDP */
static unsigned long tc_runs;

static void differ(const char *rules, const uint8_t *frame, size_t len, const char *what)
{
	struct pg_text hex = { 0 };

	for (size_t i = 0; i < len; i++)
		pg_text_add(&hex, "%02x", frame[i]);
	fail_msg("seed %llu: %s\nframe %s\n%s", (unsigned long long)seed, what, hex.buf ? hex.buf : "-", rules);
}

static void judge(const char *rules, const uint8_t *frame, size_t len, struct oracle_count *count)
{
	struct oracle_result o;
	struct pg_trace t;
	char what[160];
	size_t rule;

	/* A test run makes an skb only of what has a whole IP header, and of one page. */
	if (!tc)
		harness_run(&h, PG_DIR_IN, frame, len, &t);
	else if (!harness_try_run_tc(&h, frame, len, &t))
		return;
	else
		tc_runs++;
	oracle_run(h.set, h.iface, PG_DIR_IN, frame, len, count, &o);
	rule = harness_rule(&h, &t);
	if (t.verdict == o.verdict && t.reason == o.reason && rule == o.rule &&
	    (!o.asked || t.ip_len == o.ip_len))
		return;
	snprintf(what, sizeof(what), "verdict %u reason %u rule %zu length %u; oracle: verdict %u "
		 "reason %u rule %zu length %zu", t.verdict, t.reason, rule, t.ip_len, o.verdict,
		 o.reason, o.rule, o.ip_len);
	differ(rules, frame, len, what);
}

static void compare_counts(const char *rules, const struct oracle_count *count)
{
	size_t n = harness_input(&h)->n_rules;
	char what[160];

	for (size_t i = 0; i <= n; i++) {
		struct pg_count c = harness_count(&h, i);
		const struct oracle_count *o = &count[i ? i - 1 : n];

		if (c.packets == o->packets && c.bytes == o->bytes)
			continue;
		snprintf(what, sizeof(what), "rule %zu counted %llu:%llu; oracle: %llu:%llu", i,
			 (unsigned long long)c.packets, (unsigned long long)c.bytes,
			 (unsigned long long)o->packets, (unsigned long long)o->bytes);
		differ(rules, NULL, 0, what);
	}
}

static void one_set(struct gen *g)
{
	struct gen_rules *rules = gen_rules(g, RULES_MAX);
	char *text = gen_rules_text(rules);
	struct oracle_count *count;
	uint8_t frame[FRAME_MAX];

	harness_load(&h, text);
	count = calloc(harness_input(&h)->n_rules + 1, sizeof(*count));
	assert_non_null(count);
	for (unsigned i = 0; i < FRAMES; i++) {
		struct gen_frame_opts opts = { .v6 = i % 2 };
		size_t len = gen_frame(g, &opts, frame, sizeof(frame));

		judge(text, frame, len, count);
	}
	compare_counts(text, count);
	free(count);
	free(text);
	free(rules);
}

/*
 * Rules whose masks have gaps: their tries have no room, so that this policy gets the robust form. They
 * decide, too.
 */
static char *with_gaps(struct gen *g, const char *text)
{
	const char *rules = strstr(text, "-A ");
	struct pg_text t = { 0 };

	assert_non_null(rules);
	pg_text_add(&t, "%.*s", (int)(rules - text), text);
	for (int i = 0; i < 300; i++) {
		pg_text_add(&t, "-A INPUT -s 10.%u.%u.%u/", gen_below(g, 256), gen_below(g, 256),
			    gen_below(g, 256));
		for (int k = 0; k < 4; k++)
			pg_text_add(&t, "%u%s", gen_below(g, 2) ? gen_below(g, 256) : 255 * gen_below(g, 2),
				    k < 3 ? "." : "");
		pg_text_add(&t, " -p tcp --dport %u:%u -j %s\n", gen_below(g, 100),
			    100 + gen_below(g, 65000), gen_below(g, 2) ? "ACCEPT" : "DROP");
	}
	pg_text_add(&t, "%s", rules);
	assert_false(t.oom);
	return t.buf;
}

static void so_they_are_in_the_robust_form(void **state)
{
	struct gen g = { .state = seed };
	struct pg_dp_policy_info info;
	uint8_t frame[FRAME_MAX];

	(void)state;
	for (int round = 0; round < 6; round++) {
		struct gen_rules *rules = gen_rules(&g, RULES_MAX);
		char *own = gen_rules_text(rules), *text = with_gaps(&g, own);
		struct oracle_count *count;

		harness_load(&h, text);
		pg_dp_policy_info(h.dp, &info);
		assert_true(info.verify);
		count = calloc(harness_input(&h)->n_rules + 1, sizeof(*count));
		assert_non_null(count);
		for (unsigned i = 0; i < 10 * FRAMES; i++) {
			struct gen_frame_opts opts = { .v6 = i % 4 == 0 };
			size_t len = gen_frame(&g, &opts, frame, sizeof(frame));

			judge(text, frame, len, count);
		}
		compare_counts(text, count);
		free(count);
		free(text);
		free(own);
		free(rules);
	}
}

/* " -s PREFIX" or " -d PREFIX", long or short, in a part of the world that frames are of. */
static void add_prefix(struct gen *g, struct pg_text *t, bool v6, char option)
{
	bool is_short = gen_below(g, 2);

	if (v6)
		pg_text_add(t, " -%c 2001:db8:0:%u::%u/%u", option, gen_below(g, 3),
			    gen_below(g, 300), is_short ? gen_below(g, 4) : 60 + gen_below(g, 69));
	else
		pg_text_add(t, "%s -%c 10.%u.%u.%u/%u", gen_below(g, 30) ? "" : " !", option,
			    gen_below(g, 2), gen_below(g, 2), gen_below(g, 256),
			    is_short ? gen_below(g, 4) : 22 + gen_below(g, 11));
}

static void add_crossing_rules(struct gen *g, struct pg_text *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool v6 = gen_below(g, 4) == 0;

		pg_text_add(t, "-A INPUT");
		add_prefix(g, t, v6, 's');
		add_prefix(g, t, v6, 'd');
		pg_text_add(t, " -p %s --dport %u:%u", gen_below(g, 2) ? "tcp" : "udp",
			    gen_below(g, 50), 50 + gen_below(g, 30000));
		pg_text_add(t, gen_below(g, 8) ? " -j %s\n" : "\n",
			    gen_below(g, 2) ? "ACCEPT" : "DROP");
	}
}

/* As in firewalls' sets, whose rules are at home in one of their addresses. */
static void so_they_are_where_rules_have_homes(void **state)
{
	struct gen g = { .state = seed };
	uint8_t frame[FRAME_MAX];

	(void)state;
	for (int round = 0; round < 8; round++) {
		struct gen_rules *rules = gen_rules(&g, RULES_MAX);
		char *own = gen_rules_text(rules), *first = strstr(own, "-A ");
		struct pg_text text = { 0 };
		struct oracle_count *count;

		assert_non_null(first);
		pg_text_add(&text, "%.*s", (int)(first - own), own);
		add_crossing_rules(&g, &text, round < 5 ? 1200 : round < 7 ? 5000 : 9000);
		pg_text_add(&text, "%s", first);
		assert_false(text.oom);
		harness_load(&h, text.buf);
		assert_true(h.tables->gen.homes);
		count = calloc(harness_input(&h)->n_rules + 1, sizeof(*count));
		assert_non_null(count);
		for (unsigned i = 0; i < 10 * FRAMES; i++) {
			struct gen_frame_opts opts = { .v6 = i % 4 == 0 };
			size_t len = gen_frame(&g, &opts, frame, sizeof(frame));

			judge(text.buf, frame, len, count);
		}
		compare_counts(text.buf, count);
		free(count);
		pg_text_free(&text);
		free(own);
		free(rules);
	}
}

static void run_sets(unsigned share)
{
	unsigned long n = getenv("PG_N") ? strtoul(getenv("PG_N"), NULL, 10) : FRAMES_DEFAULT;
	struct gen g = { .state = seed };

	for (unsigned long done = 0; done < n / share; done += FRAMES)
		one_set(&g);
}

static void verdicts_and_counters_are_the_oracles(void **state)
{
	(void)state;
	run_sets(2);
}

static void so_they_are_at_tc_ingress(void **state)
{
	(void)state;
	tc = true;
	run_sets(4);
	tc = false;
	assert_true(tc_runs > 0);
}

static void so_they_are_without_the_fast_path(void **state)
{
	struct pg_err err = { 0 };

	(void)state;
	harness_close(&h);
	assert_true(harness_open_general(&h, "pgref0", &err));
	run_sets(4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_and_counters_are_the_oracles),
		cmocka_unit_test(so_they_are_at_tc_ingress),
		cmocka_unit_test(so_they_are_in_the_robust_form),
		cmocka_unit_test(so_they_are_where_rules_have_homes),
		cmocka_unit_test(so_they_are_without_the_fast_path),
	};
	struct pg_err err = { 0 };

	seed = getenv("PG_SEED") ? strtoull(getenv("PG_SEED"), NULL, 10) : 1;
	print_message("seed %llu\n", (unsigned long long)seed);
	return group_run(&h, harness_open(&h, "pgref0", &err), &err, tests, ARRAY_SIZE(tests), NULL);
}
