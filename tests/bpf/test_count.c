/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters: what each packet moves, on both hooks, and what changes of the policy leave alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "group.h"
#include "pkt.h"
#include "rulefile.h"

static struct harness h;
static uint8_t frame[PKT_MAX];
static struct pg_count ports[PG_PORTS];
static __u64 drops[PG_PORTS];
static struct pg_flags flags[PG_PORTS];
static struct pg_totals totals;

static void run(enum pg_dir dir, const struct pkt_layer *pkt)
{
	struct pg_trace t;

	harness_run(&h, dir, frame, pkt_build(pkt, frame, sizeof(frame)), &t);
}

static struct pg_count port(enum pg_dir dir, enum pg_port_proto proto, unsigned number)
{
	pg_dp_ports_read(h.dp, dir, proto, ports);
	return ports[number];
}

static void expect_count(struct pg_count before, struct pg_count now, uint64_t packets,
			 uint64_t bytes)
{
	assert_int_equal(now.packets - before.packets, packets);
	assert_int_equal(now.bytes - before.bytes, bytes);
}

static void arrivals_count_at_the_destination_port(void **state)
{
	struct pg_count tcp = port(PG_DIR_IN, PG_PORT_TCP, 443), other;

	(void)state;
	other = port(PG_DIR_IN, PG_PORT_TCP, 40000);
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 443), PAYLOAD(60)));
	run(PG_DIR_IN, PKT(ETH(), IP6(), TCP(.dport = 443)));
	expect_count(tcp, port(PG_DIR_IN, PG_PORT_TCP, 443), 2, 100 + 60);
	expect_count(other, port(PG_DIR_IN, PG_PORT_TCP, 40000), 0, 0);
}

static void departures_count_at_the_source_port(void **state)
{
	struct pg_count from = port(PG_DIR_OUT, PG_PORT_UDP, 53), to;

	(void)state;
	to = port(PG_DIR_OUT, PG_PORT_UDP, 40000);
	run(PG_DIR_OUT, PKT(ETH(), IP4(), UDP(.sport = 53, .dport = 40000), PAYLOAD(72)));
	expect_count(from, port(PG_DIR_OUT, PG_PORT_UDP, 53), 1, 100);
	expect_count(to, port(PG_DIR_OUT, PG_PORT_UDP, 40000), 0, 0);
}

static void tcp_and_udp_ports_are_apart(void **state)
{
	struct pg_count tcp = port(PG_DIR_IN, PG_PORT_TCP, 53), udp;

	(void)state;
	udp = port(PG_DIR_IN, PG_PORT_UDP, 53);
	run(PG_DIR_IN, PKT(ETH(), IP4(), UDP(.dport = 53)));
	expect_count(tcp, port(PG_DIR_IN, PG_PORT_TCP, 53), 0, 0);
	expect_count(udp, port(PG_DIR_IN, PG_PORT_UDP, 53), 1, 28);
}

static void the_first_and_last_port_have_counters(void **state)
{
	struct pg_count first = port(PG_DIR_IN, PG_PORT_TCP, 0), last;

	(void)state;
	last = port(PG_DIR_IN, PG_PORT_UDP, 65535);
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 0)));
	run(PG_DIR_IN, PKT(ETH(), IP4(), UDP(.dport = 65535)));
	expect_count(first, port(PG_DIR_IN, PG_PORT_TCP, 0), 1, 40);
	expect_count(last, port(PG_DIR_IN, PG_PORT_UDP, 65535), 1, 28);
}

static void other_protocols_have_no_port_counters(void **state)
{
	static struct pg_count before[PG_PORTS];

	(void)state;
	pg_dp_ports_read(h.dp, PG_DIR_IN, PG_PORT_UDP, before);
	run(PG_DIR_IN, PKT(ETH(), IP4(), SCTP()));
	run(PG_DIR_IN, PKT(ETH(), IP4(), UDPLITE()));
	run(PG_DIR_IN, PKT(ETH(), IP4(), ICMP()));
	run(PG_DIR_IN, PKT(ETH(), IP4(.frag = 5), UDP()));
	pg_dp_ports_read(h.dp, PG_DIR_IN, PG_PORT_UDP, ports);
	assert_memory_equal(before, ports, sizeof(ports));
}

static void each_tcp_flag_has_its_counter(void **state)
{
	struct pg_flags before;

	(void)state;
	for (int bit = 0; bit < _PG_FLAG_MAX; bit++) {
		pg_dp_flags_read(h.dp, flags);
		before = flags[443];
		run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 443, .flags = 1 << bit)));
		pg_dp_flags_read(h.dp, flags);
		for (int other = 0; other < _PG_FLAG_MAX; other++)
			assert_int_equal(flags[443].count[other] - before.count[other], other == bit);
	}
}

static void flags_of_both_directions_meet_at_the_local_port(void **state)
{
	struct pg_flags before;

	(void)state;
	pg_dp_flags_read(h.dp, flags);
	before = flags[443];
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 443, .flags = PKT_SYN)));
	run(PG_DIR_OUT, PKT(ETH(), IP4(), TCP(.sport = 443, .flags = PKT_SYN | PKT_ACK)));
	pg_dp_flags_read(h.dp, flags);
	assert_int_equal(flags[443].count[PG_FLAG_SYN] - before.count[PG_FLAG_SYN], 2);
	assert_int_equal(flags[443].count[PG_FLAG_ACK] - before.count[PG_FLAG_ACK], 1);
}

static void drops_count_at_the_port_they_were_for(void **state)
{
	__u64 before;

	(void)state;
	pg_dp_drops_read(h.dp, PG_PORT_TCP, drops);
	before = drops[22];
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22)));
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 23)));
	run(PG_DIR_OUT, PKT(ETH(), IP4(), TCP(.sport = 22)));
	pg_dp_drops_read(h.dp, PG_PORT_TCP, drops);
	assert_int_equal(drops[22] - before, 1);
	assert_int_equal(drops[23], 0);
}

static void every_packet_ends_under_one_reason(void **state)
{
	uint64_t before = 0, after = 0;
	struct pg_count *count;

	(void)state;
	pg_dp_totals_read(h.dp, &totals);
	count = &totals.count[0][0][0][0];
	for (size_t i = 0; i < sizeof(totals) / sizeof(*count); i++)
		before += count[i].packets;
	run(PG_DIR_IN, PKT(ETH(), ARP()));
	run(PG_DIR_IN, PKT(ETH(), IP4(.ihl = 4), TCP()));
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22)));
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.cut = 9)));
	run(PG_DIR_OUT, PKT(ETH(), IP6(), TCP()));
	pg_dp_totals_read(h.dp, &totals);
	for (size_t i = 0; i < sizeof(totals) / sizeof(*count); i++)
		after += count[i].packets;
	assert_int_equal(after - before, 5);
}

/* Of the policy in force; the caller changes and commits it. */
static struct pg_ruleset *copy(void)
{
	struct pg_ruleset *set = pg_ruleset_dup(h.set);

	assert_non_null(set);
	return set;
}

static void rules_that_stay_keep_their_counters(void **state)
{
	const struct pg_rule all = { .narrowed = PG_V46, .slot = PG_NO_SLOT };
	struct pg_ruleset *set;
	struct pg_count rule, policy;

	(void)state;
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22)));
	run(PG_DIR_IN, PKT(ETH(), IP4(), UDP()));
	rule = harness_count(&h, 1);
	policy = harness_count(&h, 0);
	assert_true(rule.packets && policy.packets);

	set = copy();
	assert_int_equal(pg_chain_insert(&set->chain[PG_CHAIN_INPUT], 0, &all), 0);
	harness_take(&h, set);
	expect_count(rule, harness_count(&h, 2), 0, 0);
	expect_count(policy, harness_count(&h, 0), 0, 0);
	expect_count((struct pg_count){ 0, 0 }, harness_count(&h, 1), 0, 0);
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP(.dport = 22)));
	expect_count(rule, harness_count(&h, 2), 1, 40);
	expect_count((struct pg_count){ 0, 0 }, harness_count(&h, 1), 1, 40);

	set = copy();
	pg_chain_remove(&set->chain[PG_CHAIN_INPUT], 0);
	harness_take(&h, set);
	expect_count(rule, harness_count(&h, 1), 1, 40);
}

static struct pg_ruleset *parse(const char *text, bool counters)
{
	struct pg_rulefile_opts opts = { .name = "rules", .counters = counters };
	struct pg_ruleset *set = NULL;
	struct pg_notes notes = { 0 };
	struct pg_err err = { 0 };

	assert_int_equal(pg_rulefile_parse(text, strlen(text), &opts, &set, &notes, &err), 0);
	pg_notes_free(&notes);
	return set;
}

static void equal_rules_inherit_one_counter_each(void **state)
{
	struct pg_ruleset *set;

	(void)state;
	harness_load(&h, "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp\n-A INPUT -p tcp\n"
			 "-A INPUT -p tcp -j DROP\nCOMMIT\n");
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP()));
	set = parse("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp\n-A INPUT -p tcp\n"
		    "-A INPUT -p udp\nCOMMIT\n", false);
	pg_policy_inherit(set, h.set);
	harness_take(&h, set);
	assert_int_equal(harness_count(&h, 1).packets, 1);
	assert_int_equal(harness_count(&h, 2).packets, 0);
	assert_int_equal(harness_count(&h, 3).packets, 0);
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP()));
	assert_int_equal(harness_count(&h, 1).packets, 2);
	assert_int_equal(harness_count(&h, 2).packets, 1);
}

static void restored_counters_go_on_from_there(void **state)
{
	(void)state;
	harness_take(&h, parse("*filter\n:INPUT ACCEPT [7:700]\n[5:500] -A INPUT -p tcp -j DROP\n"
			       "COMMIT\n", true));
	run(PG_DIR_IN, PKT(ETH(), IP4(), TCP()));
	run(PG_DIR_IN, PKT(ETH(), IP4(), UDP()));
	expect_count((struct pg_count){ 5, 500 }, harness_count(&h, 1), 1, 40);
	expect_count((struct pg_count){ 7, 700 }, harness_count(&h, 0), 1, 28);
}

/* More commits than there are spare counter slots: those that fell out of use are used again. */
static void counters_do_not_run_out(void **state)
{
	struct pg_text text = { 0 };

	(void)state;
	for (unsigned round = 0; round < 12; round++) {
		text.len = 0;
		pg_text_add(&text, "*filter\n:INPUT ACCEPT [0:0]\n");
		for (unsigned i = 0; i < 2000; i++)
			pg_text_add(&text, "-A INPUT -p udp -m udp --dport %u -j DROP\n",
				    1 + round * 2000 + i);
		pg_text_add(&text, "COMMIT\n");
		assert_false(text.oom);
		harness_load(&h, text.buf);
		assert_int_equal(harness_count(&h, 1).packets, 0);
		run(PG_DIR_IN, PKT(ETH(), IP4(), UDP(.dport = 1 + round * 2000)));
		assert_int_equal(harness_count(&h, 1).packets, 1);
	}
	pg_text_free(&text);
}

static int load_rules(void **state)
{
	(void)state;
	harness_load(&h, "*filter\n:INPUT ACCEPT [0:0]\n"
			 "-A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(arrivals_count_at_the_destination_port, load_rules),
		cmocka_unit_test_setup(departures_count_at_the_source_port, load_rules),
		cmocka_unit_test_setup(tcp_and_udp_ports_are_apart, load_rules),
		cmocka_unit_test_setup(the_first_and_last_port_have_counters, load_rules),
		cmocka_unit_test_setup(other_protocols_have_no_port_counters, load_rules),
		cmocka_unit_test_setup(each_tcp_flag_has_its_counter, load_rules),
		cmocka_unit_test_setup(flags_of_both_directions_meet_at_the_local_port, load_rules),
		cmocka_unit_test_setup(drops_count_at_the_port_they_were_for, load_rules),
		cmocka_unit_test_setup(every_packet_ends_under_one_reason, load_rules),
		cmocka_unit_test_setup(rules_that_stay_keep_their_counters, load_rules),
		cmocka_unit_test_setup(equal_rules_inherit_one_counter_each, load_rules),
		cmocka_unit_test_setup(restored_counters_go_on_from_there, load_rules),
		cmocka_unit_test_setup(counters_do_not_run_out, load_rules),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open(&h, "", &err), &err, tests, ARRAY_SIZE(tests), NULL);
}
