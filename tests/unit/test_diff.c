// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets about which two policies differ: what is one row, their order, and how it is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "diff.h"
#include "rules.h"

static struct pg_diff_row row_of(struct pg_ruleset *set, uint32_t was, uint16_t port)
{
	const struct pg_chain *input = &set->chain[PG_CHAIN_INPUT];
	struct pg_diff_row row = {
		.has_proto = true, .proto = 6, .has_port = true, .port = port, .count = { 1, 40 },
		.was = { { input, was, was ? &input->rule[was - 1] : NULL }, PG_VERDICT_ACCEPT,
			 was ? PG_REASON_RULE : PG_REASON_POLICY },
		.now = { { input, 0, NULL }, PG_VERDICT_DROP, PG_REASON_POLICY },
		.first_frame = 7,
	};

	return row;
}

static void the_same_is_one_row(void **state)
{
	struct pg_ruleset *set = POLICY("-A INPUT -p tcp -j ACCEPT", "-P INPUT DROP");
	struct pg_diff diff = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct pg_diff_row row = row_of(set, 1, (uint16_t)(i % 300));

		row.first_frame = i;
		assert_int_equal(pg_diff_add(&diff, &row), 0);
	}
	assert_int_equal(diff.n, 300);
	assert_int_equal(diff.packets, 1000);
	pg_diff_sort(&diff);
	/* Most packets first, then by port: those below 100 came four times. */
	assert_int_equal(diff.row[0].port, 0);
	assert_int_equal(diff.row[0].count.packets, 4);
	assert_int_equal(diff.row[99].port, 99);
	assert_int_equal(diff.row[100].count.packets, 3);
	assert_int_equal(diff.row[0].first_frame, 0);
	pg_diff_clear(&diff);
	pg_ruleset_free(set);
}

static void rules_come_before_the_policy(void **state)
{
	struct pg_ruleset *set = POLICY("-A INPUT -p tcp -j ACCEPT", "-P INPUT DROP");
	struct pg_diff_row rows[] = { row_of(set, 0, 80), row_of(set, 1, 22), row_of(set, 1, 80) };
	struct pg_diff diff = { 0 };
	struct pg_text t = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(pg_diff_add(&diff, &rows[i]), 0);
	pg_diff_sort(&diff);
	pg_view_diff(&t, &diff, 2);
	assert_string_equal(t.buf,
			    "was accept by rule 1 of INPUT: -p tcp -j ACCEPT\n"
			    "now drop by the policy of INPUT\n"
			    "           1 packets           40 bytes  in   tcp port 22, first frame 7\n"
			    "           1 packets           40 bytes  in   tcp port 80, first frame 7\n"
			    "… and 1 more lines (--json has them all)\n");
	pg_text_free(&t);
	pg_diff_clear(&diff);
	pg_ruleset_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_is_one_row),
		cmocka_unit_test(rules_come_before_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
