/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What replay makes of a captured frame: its direction, its line, its place in the sums. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "replay.h"

/* Direction ------------------------------------------------------------------------------------ */

static size_t frame_of(uint8_t *buf, const char *tags, uint16_t type, size_t src_at,
		       const char *src, const char *dst, size_t dst_at)
{
	int family = strchr(src, ':') ? AF_INET6 : AF_INET;
	size_t n = 12;

	memset(buf, 0, 128);
	for (; *tags; tags++) {
		buf[n] = *tags == 's' ? 0x88 : 0x81;
		buf[n + 1] = *tags == 's' ? 0xa8 : 0x00;
		n += 4;
	}
	buf[n++] = (uint8_t)(type >> 8);
	buf[n++] = (uint8_t)type;
	assert_int_equal(inet_pton(family, src, buf + n + src_at), 1);
	assert_int_equal(inet_pton(family, dst, buf + n + dst_at), 1);
	return n + dst_at + (family == AF_INET ? 4 : 16);
}

static void direction_follows_the_addresses(void **state)
{
	static const struct {
		const char *tags;
		uint16_t type;
		size_t src_at, dst_at;
		const char *src, *dst;
		enum pg_dir dir;
	} rows[] = {
		{ "", 0x0800, 12, 16, "10.0.0.1", "192.0.2.1", PG_DIR_OUT },
		{ "", 0x0800, 12, 16, "192.0.2.1", "10.0.0.1", PG_DIR_IN },
		{ "", 0x0800, 12, 16, "10.0.0.1", "10.0.0.9", PG_DIR_IN }, /* both local */
		{ "", 0x0800, 12, 16, "192.0.2.1", "192.0.2.2", PG_DIR_IN },
		{ "", 0x0800, 12, 16, "172.16.5.5", "192.0.2.2", PG_DIR_OUT }, /* no length */
		{ "", 0x0800, 12, 16, "172.16.5.6", "192.0.2.2", PG_DIR_IN },
		{ "c", 0x0800, 12, 16, "10.0.0.1", "192.0.2.1", PG_DIR_OUT },
		{ "sc", 0x86dd, 8, 24, "2001:db8::1", "2001:db9::1", PG_DIR_OUT },
		{ "sc", 0x86dd, 8, 24, "2001:db9::1", "2001:db8::1", PG_DIR_IN },
		{ "", 0x0806, 14, 24, "10.0.0.1", "192.0.2.1", PG_DIR_OUT },
		{ "", 0x88cc, 12, 16, "10.0.0.1", "192.0.2.1", PG_DIR_IN }, /* no addresses */
	};
	struct pg_locals locals = { 0 };
	uint8_t buf[128];

	(void)state;
	assert_int_equal(pg_locals_add(&locals, "10.0.0.0/28,172.16.5.5,2001:db8::/33", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = frame_of(buf, rows[i].tags, rows[i].type, rows[i].src_at, rows[i].src,
				    rows[i].dst, rows[i].dst_at);

		assert_int_equal(pg_locals_dir(&locals, buf, n), rows[i].dir);
		/* Nothing is read that is not there. */
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(pg_locals_dir(&locals, buf, cut), PG_DIR_IN);
	}
	pg_locals_clear(&locals);
}

static void wrong_locals_are_refused(void **state)
{
	static const char *const wrong[] = {
		"", ",", "10.0.0.1,", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/-1", "::/129",
		"host", "10.0.0.1/24/24", "10.0.0.1 ",
	};
	struct pg_locals locals = { 0 };
	struct pg_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(pg_locals_add(&locals, wrong[i], &err), -EINVAL);
		assert_int_equal(err.exit_code, PG_EXIT_USAGE);
	}
	pg_locals_clear(&locals);
}

/* Verdict lines -------------------------------------------------------------------------------- */

static const struct pg_frame frame = { .len = 60, .wire_len = 60, .sec = 12, .nsec = 34 };

static void expect_line(enum pg_dir dir, const struct pg_trace *trace, const char *expected)
{
	struct pg_ruleset *set = pg_ruleset_new();
	__typeof__(*((struct pg_tables *)NULL)->terms) terms[] = { { PG_CHAIN_INPUT, 3 } };
	struct pg_tables tables = { .gen = { .terms = 1 }, .terms = (void *)terms };
	const struct pg_term_map map = { .set = set, .tables = &tables };
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	assert_non_null(set);
	assert_non_null(f);
	pg_verdict_line(f, 7, &frame, dir, trace, &map);
	fclose(f);
	assert_string_equal(buf, expected);
	free(buf);
	pg_ruleset_free(set);
}

static struct pg_trace tcp_trace(void)
{
	struct pg_trace trace = {
		.frame_len = 60, .ip_len = 40, .term = 0, .ethertype = 0x8100, .l3_type = 0x0800,
		.vlan_id = { 5, 4095 }, .vlans = 2, .sport = 80, .dport = 65535, .has_l3 = 1,
		.has_proto = 1, .has_ports = 1, .has_flags = 1, .proto = 6, .tcp_flags = 0x02,
		.verdict = PG_VERDICT_ACCEPT, .reason = PG_REASON_RULE,
	};

	inet_pton(AF_INET, "10.0.0.1", trace.saddr);
	inet_pton(AF_INET, "10.0.0.2", trace.daddr);
	return trace;
}

static void a_rule_decided(void **state)
{
	struct pg_trace trace = tcp_trace();

	(void)state;
	expect_line(PG_DIR_IN, &trace,
		    "7\t12.000000034\tin\taccept\tINPUT\t3\trule\t0x8100\t5,4095\tip\t10.0.0.1\t"
		    "10.0.0.2\t6\t-\t80\t65535\t02\n");
}

static void the_policy_decided(void **state)
{
	struct pg_trace trace = tcp_trace();

	(void)state;
	trace.term = PG_TRACE_NO_TERM;
	trace.reason = PG_REASON_POLICY;
	trace.verdict = PG_VERDICT_DROP;
	expect_line(PG_DIR_IN, &trace,
		    "7\t12.000000034\tin\tdrop\tINPUT\t0\tpolicy\t0x8100\t5,4095\tip\t10.0.0.1\t"
		    "10.0.0.2\t6\t-\t80\t65535\t02\n");
}

static void output_is_asked_about_a_departure(void **state)
{
	struct pg_trace trace = tcp_trace();

	(void)state;
	trace.term = PG_TRACE_NO_TERM;
	trace.reason = PG_REASON_POLICY;
	trace.stage = PG_STAGE_OUTPUT;
	expect_line(PG_DIR_OUT, &trace,
		    "7\t12.000000034\tout\taccept\tOUTPUT\t0\tpolicy\t0x8100\t5,4095\tip\t10.0.0.1\t"
		    "10.0.0.2\t6\t-\t80\t65535\t02\n");
}

static void a_rule_asked_for_a_header_that_is_cut_off(void **state)
{
	struct pg_trace trace = tcp_trace();

	(void)state;
	trace.has_ports = trace.has_flags = 0;
	trace.frag = PG_FRAG_FIRST;
	trace.reason = PG_REASON_SHORT_L4;
	trace.verdict = PG_VERDICT_DROP;
	expect_line(PG_DIR_IN, &trace,
		    "7\t12.000000034\tin\tdrop\tINPUT\t3\tshort-l4\t0x8100\t5,4095\tip\t10.0.0.1\t"
		    "10.0.0.2\t6\tfirst\t-\t-\t-\n");
}

static void ipv6_addresses(void **state)
{
	struct pg_trace trace = tcp_trace();

	(void)state;
	trace.vlans = 0;
	trace.ethertype = trace.l3_type = 0x86dd;
	trace.frag = PG_FRAG_ATOMIC;
	inet_pton(AF_INET6, "2001:db8::1", trace.saddr);
	inet_pton(AF_INET6, "::ffff:1.2.3.4", trace.daddr);
	expect_line(PG_DIR_IN, &trace,
		    "7\t12.000000034\tin\taccept\tINPUT\t3\trule\t0x86dd\t-\tipv6\t2001:db8::1\t"
		    "::ffff:1.2.3.4\t6\tatomic\t80\t65535\t02\n");
}

static void no_ethertype_and_nothing_else(void **state)
{
	struct pg_trace trace = {
		.term = PG_TRACE_NO_TERM, .ethertype = 0x5ff, .l3_type = 0x5ff,
		.reason = PG_REASON_NON_IP,
	};

	(void)state;
	expect_line(PG_DIR_IN, &trace,
		    "7\t12.000000034\tin\taccept\t-\t-\tnon-ip\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\n");
	/* Nor was it run. */
	expect_line(PG_DIR_IN, NULL,
		    "7\t12.000000034\tin\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\n");
}

static void the_header_names_every_column(void **state)
{
	struct pg_trace trace = tcp_trace();
	char *header, *line;
	size_t n, columns[2] = { 0 };
	FILE *f = open_memstream(&header, &n);
	const struct pg_tables tables = { 0 };
	const struct pg_term_map map = { .tables = &tables };

	(void)state;
	pg_verdict_header(f);
	fclose(f);
	trace.term = PG_TRACE_NO_TERM;
	f = open_memstream(&line, &n);
	pg_verdict_line(f, 1, &frame, PG_DIR_IN, &trace, &map);
	fclose(f);
	for (const char *p = header; *p; p++)
		columns[0] += *p == '\t';
	for (const char *p = line; *p; p++)
		columns[1] += *p == '\t';
	assert_int_equal(columns[0], 16);
	assert_int_equal(columns[1], 16);
	assert_string_equal(header, "frame\ttime\tdirection\tverdict\tchain\trule\treason\t"
				    "ethertype\tvlans\tl3\tsrc\tdst\tproto\tfrag\tsport\tdport\t"
				    "flags\n");
	free(header);
	free(line);
}

/* Sums ----------------------------------------------------------------------------------------- */

static void sums_count_each_frame_once(void **state)
{
	struct pg_replay_sums *sums = calloc(1, sizeof(*sums));
	struct pg_trace trace = tcp_trace(), cut = { .reason = PG_REASON_SHORT_HEADER,
						     .verdict = PG_VERDICT_DROP };

	(void)state;
	assert_non_null(sums);
	pg_replay_count(sums, &trace);
	pg_replay_count(sums, &cut);
	assert_int_equal(sums->verdict[PG_VERDICT_ACCEPT], 1);
	assert_int_equal(sums->verdict[PG_VERDICT_DROP], 1);
	assert_int_equal(sums->reason[PG_REASON_RULE], 1);
	assert_int_equal(sums->reason[PG_REASON_SHORT_HEADER], 1);
	assert_int_equal(sums->ethertype[0x8100], 1);
	assert_int_equal(sums->ethertype[0], 1);
	assert_int_equal(sums->vlans[2], 1);
	assert_int_equal(sums->vlans[0], 1);
	assert_int_equal(sums->l4[6], 1);
	assert_int_equal(sums->l4[0], 0);
	free(sums);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direction_follows_the_addresses),
		cmocka_unit_test(wrong_locals_are_refused),
		cmocka_unit_test(a_rule_decided),
		cmocka_unit_test(the_policy_decided),
		cmocka_unit_test(output_is_asked_about_a_departure),
		cmocka_unit_test(a_rule_asked_for_a_header_that_is_cut_off),
		cmocka_unit_test(ipv6_addresses),
		cmocka_unit_test(no_ethertype_and_nothing_else),
		cmocka_unit_test(the_header_names_every_column),
		cmocka_unit_test(sums_count_each_frame_once),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
