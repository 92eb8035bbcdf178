/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* /metrics of made-up snapshots, and which ports have series of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "export_prometheus.h"

static struct pg_iface_row ifaces[] = {
	{
		.iface = { .abi = { .netns = 4, .mode = PG_MODE_NATIVE, .name = "e\"\\\n0" } },
		.count = { { 300, 21000 }, { 200, 99000 } },
		.dropped = { 100, 0 },
	},
};

static struct pg_port_row ports[] = {
	{ .proto = PG_PORT_TCP, .port = 22, .in = { 60, 3600 }, .in_dropped = 60,
	  .flags = { { [PG_FLAG_SYN] = 60 } } },
	{ .proto = PG_PORT_TCP, .port = 443, .in = { 200, 15000 }, .out = { 190, 98000 },
	  .flags = { { [PG_FLAG_SYN] = 4, [PG_FLAG_ACK] = 386 } }, .has_listener = true },
	{ .proto = PG_PORT_TCP, .port = 8080, .in = { 1, 40 }, .in_dropped = 1,
	  .flags = { { [PG_FLAG_SYN] = 1 } } },
	{ .proto = PG_PORT_TCP, .port = 9000, .has_listener = true },
	{ .proto = PG_PORT_UDP, .port = 53, .in = { 40, 2400 }, .in_dropped = 40, .out_dropped = 3 },
};

static struct pg_snapshot snap = {
	.kernel = "6.1.0",
	.exists = true,
	.iface = ifaces,
	.n_iface = ARRAY_SIZE(ifaces),
	.port = ports,
	.n_port = ARRAY_SIZE(ports),
	.reason = { [PG_REASON_RULE] = { 200, 15000 } },
	.dropped = { [PG_REASON_RULE] = { 100, 6000 } },
	.verdict = { { { 200, 15000 }, { 100, 6000 } }, { { 190, 98000 }, { 0, 0 } } },
	.n_rules = 3,
	.policy = { .generation = 7, .confirm_s = 30, .shadow = PG_SHADOW_ON, .memory_bytes = 4096 },
	.memory_bytes = 12345678,
	.flow = { .count = { 12, 3 }, .capacity = { 262144, 65536 }, .tracking = true,
		  .stats = { .created = { 100, 400 }, .evicted = { 0, 9 }, .picked_up = 2 } },
	.states = { .odd = { [PG_ODD_XMAS] = 5 } },
	.events_lost = 11,
};
static struct pg_metric_ports chosen;
static uint64_t words[_PG_FLOW_WORD_MAX];

static void add_rule(struct pg_chain *chain, const char *comment, uint64_t packets)
{
	const struct pg_match match = { .kind = PG_MATCH_COMMENT, .comment = (char *)comment };
	const struct pg_rule rule = {
		.narrowed = PG_V46,
		.match = (struct pg_match *)&match,
		.n_match = comment ? 1 : 0,
		.target = PG_TARGET_DROP,
		.packets = packets,
		.bytes = packets * 60,
		.slot = PG_NO_SLOT,
	};

	assert_int_equal(pg_chain_insert(chain, chain->n_rules, &rule), 0);
}

static int make_policy(void **state)
{
	struct pg_chain *input;

	(void)state;
	snap.rules = pg_ruleset_new();
	if (!snap.rules)
		return -1;
	input = &snap.rules->chain[PG_CHAIN_INPUT];
	input->policy = PG_TARGET_DROP;
	input->packets = 90;
	add_rule(input, "web\033[31m \"x\" \\ \xc3\xa9 \xff", 70);
	add_rule(input, NULL, 20);
	add_rule(input, NULL, 10);
	snap.states.total.count[PG_END_CLOSED][PG_END_SYN_SENT] = 6;
	words[PG_TCP_ESTABLISHED] = 8;
	return 0;
}

static int free_policy(void **state)
{
	(void)state;
	pg_ruleset_free(snap.rules);
	return 0;
}

static char *metrics(const struct pg_snapshot *from, unsigned max_rules)
{
	static const struct pg_metric_run runs[] = {
		{ .iface = "eth0", .netns = 4, .dir = PG_DIR_IN, .count = 1000, .ns = 25000 },
	};
	const struct pg_metric_opts opts = {
		.ports = &chosen,
		.max_rules = max_rules,
		.read_s = 0.0125,
		.cpu_s = 1.5,
		.flows_by_word = words,
		.run = runs,
		.n_runs = ARRAY_SIZE(runs),
	};
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(pg_metrics(f, from, &opts, NULL), 0);
	fclose(f);
	return text;
}

static void expect_line(const char *text, const char *line)
{
	char want[256];

	snprintf(want, sizeof(want), "\n%s\n", line);
	if (!strstr(text, want))
		fail_msg("no line: %s", line);
}

static void choose(unsigned max)
{
	pg_metric_ports_reset(&chosen);
	chosen.max = max;
	assert_int_equal(pg_metric_ports_choose(&chosen, &snap), 0);
}

static void everything_is_there(void **state)
{
	static const char *const lines[] = {
		"portguard_instance_present 1",
		"portguard_interface_attached{interface=\"e\\\"\\\\?0\",netns=\"4\",mode=\"native\"} 1",
		"portguard_interface_bytes_total{interface=\"e\\\"\\\\?0\",netns=\"4\",direction=\"out\"} 99000",
		"portguard_packets_total{direction=\"in\",verdict=\"drop\"} 100",
		"portguard_bytes_total{direction=\"out\",verdict=\"accept\"} 98000",
		"portguard_reason_packets_total{reason=\"rule\"} 200",
		"portguard_dropped_packets_total{reason=\"rule\"} 100",
		"portguard_dropped_packets_total{reason=\"bad-checksum\"} 0",
		"portguard_port_packets_total{proto=\"tcp\",port=\"443\",direction=\"out\"} 190",
		"portguard_port_dropped_packets_total{proto=\"udp\",port=\"53\",direction=\"in\"} 40",
		"portguard_port_dropped_packets_total{proto=\"udp\",port=\"53\",direction=\"out\"} 3",
		"portguard_port_tcp_flag_packets_total{proto=\"tcp\",port=\"443\",flag=\"ack\"} 386",
		"portguard_tcp_flag_packets_total{flag=\"syn\"} 65",
		"portguard_ports 5",
		"portguard_listening_ports 2",
		"portguard_chain_policy_packets_total{table=\"filter\",chain=\"INPUT\",policy=\"DROP\"} 90",
		"portguard_policy_generation 7",
		"portguard_policy_confirm_seconds 30",
		"portguard_policy_tried 1",
		"portguard_rule_packets_total{table=\"filter\",chain=\"INPUT\",rule=\"1\","
		"comment=\"web?[31m \\\"x\\\" \\\\ \xc3\xa9 ?\"} 70",
		"portguard_rule_bytes_total{table=\"filter\",chain=\"INPUT\",rule=\"3\",comment=\"\"} 600",
		"portguard_flow_entries{table=\"half-open\"} 3",
		"portguard_flow_evicted_total{table=\"half-open\"} 9",
		"portguard_flow_states{state=\"ESTABLISHED\"} 8",
		"portguard_tcp_transitions_total{from=\"CLOSED\",to=\"SYN_SENT\"} 6",
		"portguard_tcp_impossible_flags_packets_total{kind=\"xmas\"} 5",
		"portguard_log_lost_packets_total 11",
		"portguard_read_seconds 0.012500",
		"portguard_program_run_seconds_total{interface=\"eth0\",netns=\"4\",direction=\"in\"} 0.000025000",
		"portguard_program_runs_total{interface=\"eth0\",netns=\"4\",direction=\"in\"} 1000",
	};
	char *text;

	(void)state;
	choose(100);
	text = metrics(&snap, 100);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		expect_line(text, lines[i]);
	assert_null(strstr(text, "port=\"9000\"} 1"));
	free(text);
}

static void rules_beyond_the_limit_are_added_up(void **state)
{
	char *text;

	(void)state;
	choose(100);
	text = metrics(&snap, 1);
	expect_line(text, "portguard_rule_packets_total{table=\"filter\",chain=\"INPUT\",rule=\"other\","
			  "comment=\"\"} 30");
	assert_null(strstr(text, "rule=\"2\""));
	free(text);
}

static void listeners_and_the_busiest_get_places(void **state)
{
	char *text;

	(void)state;
	choose(4); /* one of them is kept for listeners */
	assert_true(chosen.is[PG_PORT_TCP][443].own);
	assert_true(chosen.is[PG_PORT_TCP][22].own);
	assert_true(chosen.is[PG_PORT_UDP][53].own);
	assert_true(chosen.is[PG_PORT_TCP][8080].other);
	assert_false(chosen.is[PG_PORT_TCP][9000].own);
	text = metrics(&snap, 1);
	expect_line(text, "portguard_port_packets_total{proto=\"tcp\",port=\"other\",direction=\"in\"} 1");
	expect_line(text, "portguard_port_packets_total{proto=\"udp\",port=\"other\",direction=\"in\"} 0");
	expect_line(text, "portguard_port_tcp_flag_packets_total{proto=\"tcp\",port=\"other\",flag=\"syn\"} 1");
	free(text);
}

static void a_port_stays_where_it_is(void **state)
{
	struct pg_count in = ports[2].in;

	(void)state;
	choose(4);
	ports[2].in.packets = 1000000; /* 8080 would be the busiest now */
	ports[2].has_listener = true;
	ports[3].in.packets = 1; /* and this one is new */
	assert_int_equal(pg_metric_ports_choose(&chosen, &snap), 0);
	assert_true(chosen.is[PG_PORT_TCP][22].own);
	assert_false(chosen.is[PG_PORT_TCP][8080].own);
	assert_true(chosen.is[PG_PORT_TCP][9000].own); /* the place that was kept */
	ports[2].in = in;
	ports[2].has_listener = false;
	ports[3].in.packets = 0;
}

static void without_an_instance_there_is_nothing_else(void **state)
{
	const struct pg_snapshot nothing = { .kernel = "x" };
	char *text = metrics(&nothing, 1);

	(void)state;
	expect_line(text, "portguard_instance_present 0");
	assert_null(strstr(text, "portguard_packets_total"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_there),
		cmocka_unit_test(rules_beyond_the_limit_are_added_up),
		cmocka_unit_test(listeners_and_the_busiest_get_places),
		cmocka_unit_test(a_port_stays_where_it_is),
		cmocka_unit_test(without_an_instance_there_is_nothing_else),
	};

	return cmocka_run_group_tests(tests, make_policy, free_policy);
}
