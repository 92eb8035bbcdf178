// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Drops as lines, JSON and pcapng; filters. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "drops.h"
#include "filter.h"
#include "pcapng.h"

static struct pg_drop_row drop(void)
{
	struct pg_drop_row row = {
		.when = { 1700000000, 123456789 },
		.fate = { .verdict = PG_VERDICT_DROP, .reason = PG_REASON_RULE, .table = "filter",
			  .chain = "INPUT", .rule = 3, .spec = "-p tcp -m tcp --dport 22 -j DROP",
			  .iface = "eth0" },
		.drop = { .length = 60, .sport = 40000, .dport = 22, .proto = 6, .tcp_flags = 2,
			  .l3_type = 0x0800,
			  .has = PG_DROP_HAS_L3 | PG_DROP_HAS_PROTO | PG_DROP_HAS_PORTS |
				 PG_DROP_HAS_FLAGS },
	};

	inet_pton(AF_INET, "192.0.2.1", row.drop.saddr);
	inet_pton(AF_INET, "192.0.2.2", row.drop.daddr);
	return row;
}

static void expect_line(const struct pg_drop_row *row, const char *want)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };

	setenv("TZ", "UTC", 1);
	tzset();
	pg_drop_line(&t, row);
	assert_false(t.oom);
	assert_string_equal(t.buf, want);
}

static void a_line_has_what_there_is(void **state)
{
	struct pg_drop_row row = drop();

	(void)state;
	expect_line(&row, "2023-11-14 22:13:20.123456 eth0 DROP INPUT 3, rule: tcp 192.0.2.1:40000 > "
			  "192.0.2.2:22 S 60 bytes\n");
	row.drop.vlan = PG_FLOW_TAGGED | 7;
	row.drop.skipped = 12;
	row.fate.rule = 0;
	row.fate.reason = PG_REASON_POLICY;
	row.fate.verdict = PG_VERDICT_REJECT;
	expect_line(&row, "2023-11-14 22:13:20.123456 eth0 REJECT INPUT policy, policy: tcp "
			  "192.0.2.1:40000 > 192.0.2.2:22 S 60 bytes vlan 7 (+12 like it before)\n");
	row.fate = (struct pg_fate){ .verdict = PG_VERDICT_DROP, .reason = PG_REASON_SHORT_HEADER,
				     .rule = -1, .iface = "v\033[2J" };
	row.drop = (struct pg_drop){ .length = 14, .l3_type = 0x86dd };
	expect_line(&row, "2023-11-14 22:13:20.123456 v?[2J DROP -, short-header: ip6 - > - 14 "
			  "bytes\n");
	row.fate = (struct pg_fate){ .verdict = PG_VERDICT_DROP, .reason = PG_REASON_RULE,
				     .table = "raw", .chain = "PREROUTING", .rule = -1 };
	row.drop.l3_type = 0x88cc;
	expect_line(&row, "2023-11-14 22:13:20.123456  DROP raw PREROUTING, a rule that is gone, rule: "
			  "0x88cc - > - 14 bytes\n");
}

/* What is too long loses its middle, not its target, and no half of a character is left. */
static void a_long_rule_keeps_its_target(void **state)
{
	struct pg_fate fate = { 0 };
	char text[512] = "-p tcp -m comment --comment \"", *end;

	(void)state;
	pg_fate_spec("-p tcp -j DROP", &fate);
	assert_string_equal(fate.spec, "-p tcp -j DROP");
	for (int i = 0; i < 101; i++)
		strcat(text, "ä");
	strcat(text, "\" -j REJECT --reject-with tcp-reset");
	pg_fate_spec(text, &fate);
	assert_in_range(strlen(fate.spec), sizeof(fate.spec) - 2, sizeof(fate.spec) - 1);
	end = strstr(fate.spec, "ä… -j REJECT --reject-with tcp-reset");
	assert_non_null(end);
	assert_memory_equal(fate.spec, text, (size_t)(end - fate.spec));
}

static void json_has_every_key(void **state)
{
	struct pg_drop_row row = drop();
	struct pg_err err = { 0 };
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	row.when.tv_nsec = 500000000;
	assert_int_equal(pg_json_drop(f, &row, &err), 0);
	row.fate = (struct pg_fate){ .verdict = PG_VERDICT_DROP, .reason = PG_REASON_BAD_ARP,
				     .rule = -1, .iface = "a\"b" };
	row.drop = (struct pg_drop){ .length = 60, .l3_type = 0x0806 };
	assert_int_equal(pg_json_drop(f, &row, &err), 0);
	fclose(f);
	assert_string_equal(
		text,
		"{\"time\":1700000000.5,\"iface\":\"eth0\",\"direction\":\"in\",\"verdict\":\"DROP\","
		"\"reason\":\"rule\",\"table\":\"filter\",\"chain\":\"INPUT\",\"rule\":3,\"past\":false,"
		"\"spec\":\"-p tcp -m tcp --dport 22 -j DROP\",\"src\":\"192.0.2.1\",\"sport\":40000,"
		"\"dst\":\"192.0.2.2\",\"dport\":22,\"proto\":\"tcp\",\"flags\":\"S\",\"length\":60,"
		"\"vlan\":null,\"skipped\":0}\n"
		"{\"time\":1700000000.5,\"iface\":\"a\\\"b\",\"direction\":\"in\",\"verdict\":\"DROP\","
		"\"reason\":\"bad-arp\",\"table\":null,\"chain\":null,\"rule\":null,\"past\":false,\"spec\":null,"
		"\"src\":null,\"sport\":null,\"dst\":null,\"dport\":null,\"proto\":\"arp\","
		"\"flags\":null,\"length\":60,\"vlan\":null,\"skipped\":0}\n");
	free(text);
}

static void what_a_packet_has_not_is_not_asked_for(void **state)
{
	struct pg_drop_row row = drop();
	struct pg_drop_query port = { 0 }, reason = { .has_reason = true,
						      .reason = PG_REASON_RULE };

	(void)state;
	assert_int_equal(pg_flow_ports_from_str("20-25", &port.flow.port), 0);
	assert_true(pg_drop_wanted(&port, &row));
	assert_true(pg_drop_wanted(&reason, &row));
	row.drop.dport = row.drop.sport = 0;
	row.drop.has &= ~PG_DROP_HAS_PORTS;
	port.flow.port.lo = 0;
	assert_false(pg_drop_wanted(&port, &row));
	row.fate.reason = PG_REASON_POLICY;
	assert_false(pg_drop_wanted(&reason, &row));
}

/* Our own reader takes it, by libpcap; tests/net/test_drops.sh has tshark look at it. */
static void pcapng_is_read_back(void **state)
{
	static const uint8_t data[61] = { 1, 2, 3, [60] = 9 };
	const struct pg_pcapng_packet packet = {
		.iface = 0, .time_ns = 1700000000123456789, .data = data, .len = sizeof(data),
		.wire_len = 1514, .comment = "DROP INPUT 3",
	};
	_cleanup_(pg_capture_closep) struct pg_capture *capture = NULL;
	char path[] = "/tmp/pg-test-drops.XXXXXX";
	struct pg_err err = { 0 };
	struct pg_frame frame;
	FILE *f = fdopen(mkstemp(path), "w");

	(void)state;
	assert_non_null(f);
	pg_pcapng_begin(f, "portguard", "Linux");
	pg_pcapng_iface(f, "eth0", PG_LINK_ETHERNET, 9216);
	pg_pcapng_packet(f, &packet);
	pg_pcapng_packet(f, &packet);
	pg_pcapng_stats(f, 0, packet.time_ns, 2, "2 packets");
	assert_int_equal(fclose(f), 0);
	assert_int_equal(pg_capture_open(path, &capture, &err), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pg_capture_next(capture, &frame, &err), 1);
		assert_int_equal(frame.len, sizeof(data));
		assert_memory_equal(frame.data, data, sizeof(data));
		assert_int_equal(frame.wire_len, 1514);
		assert_int_equal(frame.sec, 1700000000);
		assert_int_equal(frame.nsec, 123456789);
	}
	assert_int_equal(pg_capture_next(capture, &frame, &err), 0);
	unlink(path);
}

static void blocks_are_whole_words_with_both_lengths(void **state)
{
	char *text = NULL;
	size_t n = 0, blocks = 0;
	FILE *f = open_memstream(&text, &n);
	struct pg_pcapng_packet packet = { .data = "abcde", .wire_len = 5, .out = true };

	(void)state;
	pg_pcapng_begin(f, "x", "");
	pg_pcapng_iface(f, "veth", PG_LINK_RAW_IP, 1);
	for (packet.len = 0; packet.len < 6; packet.len++) {
		packet.comment = &"comment"[packet.len];
		pg_pcapng_packet(f, &packet);
	}
	fclose(f);
	for (size_t at = 0; at < n; blocks++) {
		uint32_t first, last;

		memcpy(&first, text + at + 4, 4);
		assert_true(first % 4 == 0 && first >= 12 && at + first <= n);
		memcpy(&last, text + at + first - 4, 4);
		assert_int_equal(first, last);
		at += first;
	}
	assert_int_equal(blocks, 8);
	free(text);
}

static void expressions_are_tcpdumps(void **state)
{
	static const uint8_t udp[42] = { [12] = 8, [14] = 0x45, [17] = 28, [23] = 17, [37] = 53 };
	char *const words[] = { "udp", "port 53" }, *const ether[] = { "ether[0] == 0" },
	      *const wrong[] = { "port", "and" };
	_cleanup_(pg_filter_freep) struct pg_filter *filter = NULL, *l2 = NULL, *all = NULL;
	struct pg_filter *none = NULL;
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(pg_filter_compile(words, 2, &filter, &err), 0);
	assert_true(pg_filter_wants(filter, false, udp, 42, 42));
	assert_true(pg_filter_wants(filter, true, udp + 14, 28, 28));
	assert_false(pg_filter_wants(filter, true, udp, 42, 42));
	assert_false(pg_filter_wants(filter, false, udp, 30, 42)); /* the port is cut off */
	assert_int_equal(pg_filter_compile(ether, 1, &l2, &err), 0);
	assert_true(pg_filter_wants(l2, false, udp, 42, 42));
	assert_int_equal(pg_filter_compile(NULL, 0, &all, &err), 0);
	assert_true(pg_filter_wants(all, false, udp, 0, 42));
	assert_int_equal(pg_filter_compile(wrong, 2, &none, &err), -EINVAL);
	assert_int_equal(err.exit_code, PG_EXIT_USAGE);
	assert_non_null(strstr(err.text, "expression 'port and': "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_what_there_is),
		cmocka_unit_test(a_long_rule_keeps_its_target),
		cmocka_unit_test(json_has_every_key),
		cmocka_unit_test(what_a_packet_has_not_is_not_asked_for),
		cmocka_unit_test(pcapng_is_read_back),
		cmocka_unit_test(blocks_are_whole_words_with_both_lengths),
		cmocka_unit_test(expressions_are_tcpdumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
