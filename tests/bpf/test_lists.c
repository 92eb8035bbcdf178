/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What -m recent and -m hashlimit keep by name, from one policy to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "harness.h"
#include "pkt.h"

#define POLICY(rules) "*filter\n:INPUT DROP [0:0]\n" rules "COMMIT\n"
#define CHECK "-A INPUT -m recent --rcheck --name seen --rsource -j ACCEPT\n"
#define REMEMBER CHECK "-A INPUT -m recent --set --name seen --rsource -j ACCEPT\n"
#define ONE_AN_HOUR                                                                                          \
	"-A INPUT -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode srcip "          \
	"--hashlimit-name few -j ACCEPT\n"

static struct harness h;

/* A datagram from the one host of these tests. */
static enum pg_verdict sent_with_ttl(int ttl)
{
	struct pg_trace trace;
	uint8_t frame[128];
	size_t len = pkt_build(PKT(ETH(), IP4(.ttl = ttl), UDP()), frame, sizeof(frame));

	harness_run(&h, PG_DIR_IN, frame, len, &trace);
	return trace.verdict;
}

static enum pg_verdict sent(void)
{
	return sent_with_ttl(64);
}

static void a_list_lives_as_long_as_a_rule_names_it(void **state)
{
	(void)state;
	harness_load(&h, POLICY(REMEMBER));
	assert_int_equal(sent(), PG_VERDICT_ACCEPT);
	harness_load(&h, POLICY(CHECK));
	assert_int_equal(sent(), PG_VERDICT_ACCEPT);
	harness_load(&h, POLICY(""));
	harness_load(&h, POLICY(CHECK));
	assert_int_equal(sent(), PG_VERDICT_DROP);
}

static void buckets_live_as_long_as_a_rule_names_them(void **state)
{
	(void)state;
	harness_load(&h, POLICY(ONE_AN_HOUR));
	assert_int_equal(sent(), PG_VERDICT_ACCEPT);
	assert_int_equal(sent(), PG_VERDICT_DROP);
	harness_load(&h, POLICY("-A INPUT -p tcp -j ACCEPT\n" ONE_AN_HOUR));
	assert_int_equal(sent(), PG_VERDICT_DROP);
	harness_load(&h, POLICY(CHECK));
	harness_load(&h, POLICY(ONE_AN_HOUR CHECK));
	assert_int_equal(sent(), PG_VERDICT_ACCEPT);
}

/* xt_recent.c recent_entry_lookup(): 0 on either side is any. */
static void with_rttl_the_ttl_is_the_same_or_unknown(void **state)
{
	static const struct {
		int first, then;
		enum pg_verdict verdict;
	} rows[] = {
		{ 64, 64, PG_VERDICT_ACCEPT },
		{ 64, 63, PG_VERDICT_DROP },
		{ 64, 0, PG_VERDICT_ACCEPT },
		{ 0, 64, PG_VERDICT_ACCEPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		harness_load(&h, POLICY(""));
		harness_load(&h, POLICY("-A INPUT -m recent --set --name seen --rsource -j ACCEPT\n"));
		assert_int_equal(sent_with_ttl(rows[i].first), PG_VERDICT_ACCEPT);
		harness_load(&h, POLICY("-A INPUT -m recent --rcheck --rttl --name seen --rsource -j ACCEPT\n"));
		assert_int_equal(sent_with_ttl(rows[i].then), rows[i].verdict);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_lives_as_long_as_a_rule_names_it),
		cmocka_unit_test(buckets_live_as_long_as_a_rule_names_them),
		cmocka_unit_test(with_rttl_the_ttl_is_the_same_or_unknown),
	};
	struct pg_err err = { 0 };
	int failed;

	if (!harness_open(&h, "pglist0", &err)) {
		printf("skip: no BPF here: %s\n", err.text);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	harness_close(&h);
	return failed;
}
