// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What `make bench` reads, and which rule it says a packet meets. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bench/classbench.h"

#define ANY "0.0.0.0/0"

/* A rule as one text: protocol, source, its ports, destination, its ports; or the errno. */
static const char *rule_text(const char *line, char *buf, size_t size)
{
	char src[BENCH_ADDR_MAX], dst[BENCH_ADDR_MAX];
	struct bench_rule rule;
	int r = bench_classbench_rule(line, &rule);

	if (r)
		snprintf(buf, size, "%s", r == -EINVAL ? "invalid" : strerror(-r));
	else
		snprintf(buf, size, "%u %s %u:%u %s %u:%u", rule.proto,
			 bench_prefix_str(&rule.src, false, src), rule.sport.lo, rule.sport.hi,
			 bench_prefix_str(&rule.dst, false, dst), rule.dport.lo, rule.dport.hi);
	return buf;
}

static void rules_are_read(void **state)
{
	static const struct {
		const char *name, *line, *rule;
	} rows[] = {
		{ "tcp with flags, as db_generator ends a line",
		  "@196.18.162.29/32\t57.135.76.33/32\t0 : 65535\t5541 : 5541\t0x06/0xFF\t0x1000/0x1000\t",
		  "6 196.18.162.29/32 0:65535 57.135.76.33/32 5541:5541" },
		{ "without flags", "@1.2.3.4/32\t5.6.7.8/32\t1 : 2\t3 : 4\t0x11/0xFF",
		  "17 1.2.3.4/32 1:2 5.6.7.8/32 3:4" },
		{ "bits beyond the prefix do not count",
		  "@10.1.2.3/8\t255.255.255.255/31\t0 : 65535\t0 : 65535\t0x01/0xFF",
		  "1 10.0.0.0/8 0:65535 255.255.255.254/31 0:65535" },
		{ "any protocol, anywhere", "@" ANY "\t" ANY "\t0 : 65535\t0 : 65535\t0x06/0x00\r",
		  "0 " ANY " 0:65535 " ANY " 0:65535" },
		{ "no @", "1.2.3.4/32\t5.6.7.8/32\t1 : 2\t3 : 4\t0x11/0xFF", "invalid" },
		{ "an octet too large", "@1.2.3.256/32\t" ANY "\t1 : 2\t3 : 4\t0x11/0xFF", "invalid" },
		{ "a prefix too long", "@1.2.3.4/33\t" ANY "\t1 : 2\t3 : 4\t0x11/0xFF", "invalid" },
		{ "a port too large", "@" ANY "\t" ANY "\t1 : 65536\t3 : 4\t0x11/0xFF", "invalid" },
		{ "ports in the wrong order", "@" ANY "\t" ANY "\t2 : 1\t3 : 4\t0x11/0xFF", "invalid" },
		{ "ports of a protocol that has none", "@" ANY "\t" ANY "\t0 : 65535\t3 : 4\t0x01/0xFF",
		  "invalid" },
		{ "ports of any protocol", "@" ANY "\t" ANY "\t1 : 2\t0 : 65535\t0x00/0x00", "invalid" },
		{ "a protocol masked in part", "@" ANY "\t" ANY "\t0 : 65535\t0 : 65535\t0x06/0x0F",
		  "invalid" },
		{ "a line cut off", "@" ANY "\t" ANY "\t0 : 65535\t0 : 65535", "invalid" },
		{ "something behind the flags",
		  "@" ANY "\t" ANY "\t0 : 65535\t0 : 65535\t0x06/0xFF\t0x0/0x0\t7", "invalid" },
		{ "nothing", "", "invalid" },
	};
	char buf[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = rule_text(rows[i].line, buf, sizeof(buf));

		if (strcmp(got, rows[i].rule))
			fail_msg("%s: %s", rows[i].name, got);
	}
}

static void headers_of_traces_are_read(void **state)
{
	struct bench_flow f = { 0 };

	(void)state;
	assert_int_equal(bench_classbench_flow("81694393\t2454206173\t65535\t14753\t6\t268439552\t214",
					       &f), 0);
	assert_memory_equal(f.src, "\x04\xde\x8e\xb9", 4);
	assert_memory_equal(f.dst, "\x92\x48\x36\xdd", 4);
	assert_int_equal(f.sport, 65535);
	assert_int_equal(f.dport, 14753);
	assert_int_equal(f.proto, 6);
	assert_int_equal(bench_classbench_flow("4294967295 0 0 0 255", &f), 0);
	assert_memory_equal(f.src, "\xff\xff\xff\xff", 4);
	assert_int_equal(f.proto, 255);
}

static void what_is_no_header_is_refused(void **state)
{
	static const char *const lines[] = {
		"", "1\t2\t3\t4", "4294967296\t2\t3\t4\t5", "1\t2\t65536\t4\t5", "1\t2\t3\t4\t256",
		"-1\t2\t3\t4\t5", "1\t2\t3\t4\t5x", "a\t2\t3\t4\t5",
	};
	struct bench_flow f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (bench_classbench_flow(lines[i], &f) != -EINVAL)
			fail_msg("taken: %s", lines[i]);
}

/* The number of the rule that a packet meets, by the index. */
static size_t met(const struct bench_rules *rules, const char *line)
{
	struct bench_flows flows = { 0 };
	struct bench_flow f;
	size_t *list, first;

	assert_int_equal(bench_classbench_flow(line, &f), 0);
	assert_int_equal(bench_flows_add(&flows, &f), 0);
	assert_int_equal(bench_expect(rules, &flows, &list), 0);
	first = list[0];
	free(list);
	bench_flows_free(&flows);
	return first;
}

static void the_first_rule_that_matches_is_expected(void **state)
{
	static const char *const lines[] = {
		"@10.0.0.0/24\t" ANY "\t0 : 65535\t443 : 443\t0x06/0xFF",
		"@10.0.0.0/16\t192.0.2.128/25\t0 : 65535\t0 : 65535\t0x06/0xFF",
		"@10.0.0.0/8\t" ANY "\t0 : 65535\t443 : 443\t0x06/0xFF",
		"@10.0.0.0/8\t" ANY "\t1000 : 2000\t100 : 500\t0x11/0xFF",
		"@10.0.0.0/8\t" ANY "\t0 : 65535\t0 : 65535\t0x01/0xFF",
	};
	struct bench_rules rules = { 0 };
	struct bench_rule rule;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_int_equal(bench_classbench_rule(lines[i], &rule), 0);
		assert_int_equal(bench_rules_add(&rules, &rule), 0);
	}
	/* 167772161 is 10.0.0.1, 167772417 10.0.1.1, 3221226113 192.0.2.129, 3221225985 192.0.2.1 */
	assert_int_equal(met(&rules, "167772161 3221226113 1 443 6"), 0);
	assert_int_equal(met(&rules, "167772417 3221226113 1 443 6"), 1);
	assert_int_equal(met(&rules, "167772417 3221225985 1 443 6"), 2);
	assert_int_equal(met(&rules, "167772417 3221225985 1 444 6"), 5);
	assert_int_equal(met(&rules, "167772161 3221225985 1000 443 17"), 3);
	assert_int_equal(met(&rules, "167772161 3221225985 1000 501 17"), 5);
	assert_int_equal(met(&rules, "167772161 3221225985 2001 443 17"), 5);
	assert_int_equal(met(&rules, "167772161 3221225985 2001 443 1"), 4);
	bench_rules_free(&rules);
}

/* Every packet made for a rule meets it, or one before it that happens to hold, too. */
static void packets_are_spread_over_all_rules(void **state)
{
	struct bench_rules rules;
	struct bench_flows flows;
	size_t *list, met_by[300] = { 0 };

	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		memset(met_by, 0, sizeof(met_by));
		assert_int_equal(bench_rules_random(&rules, ipv6, 300), 0);
		assert_int_equal(bench_flows_spread(&flows, &rules, 600), 0);
		assert_int_equal(bench_expect(&rules, &flows, &list), 0);
		for (size_t i = 0; i < flows.n; i++) {
			assert_true(list[i] < rules.n);
			met_by[list[i]]++;
		}
		for (size_t i = 0; i < rules.n; i++)
			assert_int_equal(met_by[i], 2);
		free(list);
		bench_flows_free(&flows);
		bench_rules_free(&rules);
	}
}

/* What "one packet" is measured with. */
static void the_last_rule_is_met_by_its_own_packet(void **state)
{
	struct bench_rules rules;
	struct bench_flows flows = { 0 };
	struct bench_flow last;
	size_t *list;

	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		last = bench_last_flow(ipv6);
		flows = (struct bench_flows){ .ipv6 = ipv6 };
		assert_int_equal(bench_rules_random(&rules, ipv6, 10000), 0);
		assert_int_equal(bench_flows_add(&flows, &last), 0);
		assert_int_equal(bench_expect(&rules, &flows, &list), 0);
		assert_int_equal(list[0], 9999);
		free(list);
		bench_flows_free(&flows);
		bench_rules_free(&rules);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_read),
		cmocka_unit_test(headers_of_traces_are_read),
		cmocka_unit_test(what_is_no_header_is_refused),
		cmocka_unit_test(the_first_rule_that_matches_is_expected),
		cmocka_unit_test(packets_are_spread_over_all_rules),
		cmocka_unit_test(the_last_rule_is_met_by_its_own_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
