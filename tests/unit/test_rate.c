/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Snapshots → rates: what counts, and what begins anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rate.h"
#include "rules.h"
#include "top_flows.h"

#define SECOND 1000000000ULL

static struct pg_history *h;
static struct pg_port_row port;
static struct pg_iface_row iface;
static struct pg_snapshot snap;

static int begin(void **state)
{
	(void)state;
	h = pg_history_new(SECOND);
	port = (struct pg_port_row){ .proto = PG_PORT_TCP, .port = 443 };
	iface = (struct pg_iface_row){ .iface.abi = { .netns = 1, .ifindex = 2 } };
	snap = (struct pg_snapshot){ .port = &port, .n_port = 1, .iface = &iface, .n_iface = 1,
				     .instance = 7, .policy.generation = 1 };
	snap.rules = pg_ruleset_new();
	return h && snap.rules ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	pg_history_free(h);
	pg_ruleset_free(snap.rules);
	return 0;
}

static void take_at(double s)
{
	snap.time_ns = SECOND + (uint64_t)(s * 1e9);
	snap.n_rules = snap.rules->chain[PG_CHAIN_INPUT].n_rules;
	assert_int_equal(pg_history_add(h, &snap), 0);
}

static double in_rate(void)
{
	return pg_port_rate(h, pg_history_port(h, PG_PORT_TCP, 443), PG_METRIC_IN_PACKETS);
}

static void assert_near(double a, double b)
{
	if (a < b - 1e-3 || a > b + 1e-3)
		fail_msg("%f is not %f", a, b);
}

static void the_first_snapshot_has_no_rates(void **state)
{
	(void)state;
	port.in.packets = 1000;
	take_at(0);
	assert_near(in_rate(), 0);
}

static void a_rate_is_by_the_time_that_has_passed(void **state)
{
	(void)state;
	port.in = (struct pg_count){ 1000, 64000 };
	take_at(0);
	port.in = (struct pg_count){ 1100, 70000 };
	take_at(2);
	assert_near(in_rate(), 50);
	assert_near(pg_port_rate(h, pg_history_port(h, PG_PORT_TCP, 443), PG_METRIC_IN_BYTES), 3000);
	take_at(3);
	assert_near(in_rate(), 0);
}

static void a_port_that_comes_later_counts_from_nothing(void **state)
{
	(void)state;
	snap.n_port = 0;
	take_at(0);
	snap.n_port = 1;
	port.in.packets = 30;
	take_at(1);
	assert_near(in_rate(), 30);
}

static void a_lower_counter_has_begun_anew(void **state)
{
	(void)state;
	port.in.packets = 1000;
	take_at(0);
	port.in.packets = 20;
	take_at(1);
	assert_near(in_rate(), 20);
}

static void another_instance_has_no_rates_yet(void **state)
{
	(void)state;
	port.in.packets = 1000;
	take_at(0);
	snap.instance = 8;
	port.in.packets = 5000;
	take_at(1);
	assert_near(in_rate(), 0);
	port.in.packets = 5010;
	take_at(2);
	assert_near(in_rate(), 10);
}

static void a_clock_that_goes_back_begins_anew(void **state)
{
	(void)state;
	port.in.packets = 10;
	take_at(5);
	port.in.packets = 20;
	take_at(5);
	assert_near(in_rate(), 0);
}

static void the_minute_of_a_port(void **state)
{
	float v[5];

	(void)state;
	take_at(0);
	port.in.packets = 4;
	take_at(1);
	take_at(2); /* silent */
	port.out.packets = 9;
	take_at(3);
	pg_series_read(h, &pg_history_port(h, PG_PORT_TCP, 443)->series, v, 5);
	assert_near(v[0], 0);
	assert_near(v[1], 0);
	assert_near(v[2], 4);
	assert_near(v[3], 0);
	assert_near(v[4], 9);
	/* After a pause of three seconds there are three samples of what was sent in it. */
	port.in.packets += 6;
	take_at(6);
	pg_series_read(h, &pg_history_port(h, PG_PORT_TCP, 443)->series, v, 5);
	assert_near(v[0], 0);
	assert_near(v[1], 9);
	assert_near(v[2], 2);
	assert_near(v[4], 2);
}

static void a_minute_later_it_is_forgotten(void **state)
{
	float v[PG_HISTORY];

	(void)state;
	take_at(0);
	port.in.packets = 4;
	take_at(1);
	for (int i = 2; i < 70; i++)
		take_at(i);
	pg_series_read(h, &pg_history_port(h, PG_PORT_TCP, 443)->series, v, PG_HISTORY);
	for (int i = 0; i < PG_HISTORY; i++)
		assert_near(v[i], 0);
	port.in.packets = 5;
	take_at(70);
	pg_series_read(h, &pg_history_port(h, PG_PORT_TCP, 443)->series, v, PG_HISTORY);
	for (int i = 0; i < PG_HISTORY; i++)
		assert_near(v[i], i == PG_HISTORY - 1);
}

/* Rules --------------------------------------------------------------------------------------- */

static void policy(const char *const *line, const uint32_t *slot, uint64_t packets)
{
	struct pg_chain *input;

	pg_ruleset_free(snap.rules);
	snap.rules = policy_of(line);
	input = &snap.rules->chain[PG_CHAIN_INPUT];
	for (size_t c = 0; c < snap.rules->n_chains; c++)
		snap.rules->chain[c].slot = c ? PG_NO_SLOT : 0;
	for (size_t i = 0; i < input->n_rules; i++) {
		input->rule[i].slot = slot[i];
		input->rule[i].packets = packets;
	}
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SLOTS(...) ((const uint32_t[]){ __VA_ARGS__ })

/* Of rule i of INPUT: its policy stands before it. */
static double hits(size_t i)
{
	return h->rule[1 + i].rate.packets;
}

static void a_rule_keeps_its_rate_when_others_change(void **state)
{
	(void)state;
	policy(LINES("-A INPUT -p tcp --dport 22 -j DROP"), SLOTS(5), 100);
	take_at(0);
	policy(LINES("-A INPUT -p udp -j ACCEPT", "-A INPUT -p tcp --dport 22 -j DROP"), SLOTS(6, 5), 110);
	snap.policy.generation = 2;
	take_at(1);
	/* A rule that was not there has its counter for the first time. */
	assert_near(hits(0), 0);
	assert_near(hits(1), 10);
	snap.rules->chain[PG_CHAIN_INPUT].rule[0].packets += 7;
	take_at(2);
	assert_near(hits(0), 7);
}

static void a_slot_that_is_another_rules_begins_anew(void **state)
{
	(void)state;
	policy(LINES("-A INPUT -p tcp --dport 22 -j DROP"), SLOTS(5), 100);
	take_at(0);
	policy(LINES("-A INPUT -p tcp --dport 23 -j DROP"), SLOTS(5), 150);
	snap.policy.generation = 3;
	take_at(1);
	assert_near(hits(0), 0);
	snap.rules->chain[PG_CHAIN_INPUT].rule[0].packets = 151;
	take_at(2);
	assert_near(hits(0), 1);
}

static void zeroed_rules_count_what_came_since(void **state)
{
	(void)state;
	policy(LINES("-A INPUT -p tcp --dport 22 -j DROP"), SLOTS(5), 100);
	take_at(0);
	snap.rules->chain[PG_CHAIN_INPUT].rule[0].packets = 3;
	take_at(1);
	assert_near(hits(0), 3);
}

/* Interfaces, reasons, states ----------------------------------------------------------------- */

static void an_interface_is_known_again_in_another_place(void **state)
{
	struct pg_iface_row two[2] = { { .iface.abi = { .netns = 1, .ifindex = 9 } } };

	(void)state;
	iface.count[PG_DIR_IN].packets = 100;
	take_at(0);
	iface.count[PG_DIR_IN].packets = 160;
	two[1] = iface;
	two[0].count[PG_DIR_IN].packets = 1000; /* new here */
	snap.iface = two;
	snap.n_iface = 2;
	take_at(1);
	assert_near(h->iface[0].rate[PG_DIR_IN].packets, 0);
	assert_near(h->iface[1].rate[PG_DIR_IN].packets, 60);
}

static void what_a_run_costs(void **state)
{
	(void)state;
	take_at(0);
	iface.cost[PG_DIR_IN] = (struct pg_dp_cost){ 1000, 10, true }; /* measuring has begun */
	take_at(1);
	assert_near(h->iface[0].ns_per_run[PG_DIR_IN], 0);
	iface.cost[PG_DIR_IN] = (struct pg_dp_cost){ 2000, 30, true };
	take_at(2);
	assert_near(h->iface[0].ns_per_run[PG_DIR_IN], 50);
	take_at(3); /* it did not run */
	assert_near(h->iface[0].ns_per_run[PG_DIR_IN], 50);
	iface.cost[PG_DIR_IN] = (struct pg_dp_cost){ 0 }; /* and is no longer measured */
	take_at(4);
	assert_near(h->iface[0].ns_per_run[PG_DIR_IN], 0);
}

static void drops_by_reason(void **state)
{
	(void)state;
	snap.dropped[PG_REASON_BAD_IHL].packets = 1;
	take_at(0);
	snap.dropped[PG_REASON_BAD_IHL].packets = 9;
	take_at(2);
	assert_near(h->dropped[PG_REASON_BAD_IHL].packets, 4);
}

static void states_have_a_time_of_their_own(void **state)
{
	struct pg_state_port of_port = { .port = 443 };

	(void)state;
	pg_history_watch_states(h, 443);
	snap.states = (struct pg_states){ .port = &of_port, .n_ports = 1 };
	snap.has_states = true;
	snap.states.total.count[PG_END_CLOSED][PG_END_SYN_SENT] = 10;
	take_at(0);
	snap.has_states = false;
	take_at(1);
	snap.has_states = true;
	snap.states.total.count[PG_END_CLOSED][PG_END_SYN_SENT] = 50;
	of_port.matrix.count[PG_END_CLOSED][PG_END_SYN_SENT] = 20;
	take_at(4);
	assert_near(h->states.rate[PG_END_CLOSED][PG_END_SYN_SENT], 10);
	assert_near(h->port_states.rate[PG_END_CLOSED][PG_END_SYN_SENT], 5);
	/* Another port is not compared with this one. */
	pg_history_watch_states(h, 80);
	take_at(5);
	assert_near(h->port_states.rate[PG_END_CLOSED][PG_END_SYN_SENT], 0);
}

/* Flows --------------------------------------------------------------------------------------- */

static struct pg_flow_row flow(uint16_t number, uint64_t bytes, uint64_t age_ns)
{
	struct pg_flow_row row = { .proto = 6, .state = PG_TCP_ESTABLISHED, .here = true,
				   .port = { number, 443 }, .age_ns = age_ns,
				   .addr = { { 10, 0, 0, 2 }, { 10, 0, 0, 1 } },
				   .count = { { 1, bytes }, { 0, 0 } } };

	row.key.port[0] = number;
	row.place = row.id = number;
	return row;
}

static void walk(struct pg_sampler *s, double at_s, struct pg_flow_row *row, size_t n)
{
	const struct pg_flow_query query = { .by = PG_FLOW_BY_RATE, .top = 2 };

	assert_int_equal(pg_sampler_begin(s, SECOND + (uint64_t)(at_s * 1e9), 65536), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pg_sampler_add(s, &query, &row[i], true), 0);
	pg_sampler_end(s, &query);
}

static void the_fastest_flows_of_all(void **state)
{
	uint8_t own[1][17] = { { PG_FAMILY_V4, 10, 0, 0, 1 } };
	struct pg_sampler s = { 0 };
	struct pg_flow_row rows[4];

	(void)state;
	s.own.addr = malloc(sizeof(own));
	assert_non_null(s.own.addr);
	memcpy(s.own.addr, own, sizeof(own));
	s.own.n = 1;
	for (uint16_t i = 0; i < 3; i++)
		rows[i] = flow((uint16_t)(1000 + i), 5000, 9 * SECOND);
	walk(&s, 0, rows, 3);
	assert_int_equal(s.sample.list.wanted, 3);
	assert_int_equal(pg_flow_sample_open(&s.sample, PG_PORT_TCP, 443), 3);
	assert_int_equal(pg_flow_sample_open(&s.sample, PG_PORT_TCP, 1000), 0);

	rows[1].count[0].bytes += 100;
	rows[2].count[0].bytes += 300;
	rows[3] = flow(2000, 200, SECOND); /* new */
	walk(&s, 2, rows, 4);
	assert_int_equal(s.sample.list.n, 2);
	assert_int_equal(s.sample.list.row[0].port[0], 1002);
	assert_near((double)s.sample.list.row[0].rate[0].bytes, 150);
	assert_int_equal(s.sample.list.row[1].port[0], 2000);
	/* Too soon for a rate of its own: still compared with the first walk. */
	walk(&s, 2.1, rows, 4);
	rows[2].count[0].bytes += 1000;
	walk(&s, 3, rows, 4);
	assert_near((double)s.sample.list.row[0].rate[0].bytes, 1000);
	pg_sampler_clear(&s);
}

static void many_flows_are_told_apart(void **state)
{
	struct pg_flow_row *rows = calloc(20000, sizeof(*rows));
	struct pg_sampler s = { 0 };

	(void)state;
	assert_non_null(rows);
	for (uint16_t i = 0; i < 20000; i++)
		rows[i] = flow(i, 100, 9 * SECOND);
	walk(&s, 0, rows, 20000);
	rows[12345].count[0].bytes = 150;
	walk(&s, 1, rows, 20000);
	assert_int_equal(s.sample.count[PG_FLOW_TABLE], 20000);
	assert_int_equal(s.sample.list.row[0].port[0], 12345);
	assert_near((double)s.sample.list.row[0].rate[0].bytes, 50);
	assert_near((double)s.sample.list.row[1].rate[0].bytes, 0);
	pg_sampler_clear(&s);
	free(rows);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_snapshot_has_no_rates),
		TEST(a_rate_is_by_the_time_that_has_passed),
		TEST(a_port_that_comes_later_counts_from_nothing),
		TEST(a_lower_counter_has_begun_anew),
		TEST(another_instance_has_no_rates_yet),
		TEST(a_clock_that_goes_back_begins_anew),
		TEST(the_minute_of_a_port),
		TEST(a_minute_later_it_is_forgotten),
		TEST(a_rule_keeps_its_rate_when_others_change),
		TEST(a_slot_that_is_another_rules_begins_anew),
		TEST(zeroed_rules_count_what_came_since),
		TEST(an_interface_is_known_again_in_another_place),
		TEST(what_a_run_costs),
		TEST(drops_by_reason),
		TEST(states_have_a_time_of_their_own),
		TEST(the_fastest_flows_of_all),
		TEST(many_flows_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
