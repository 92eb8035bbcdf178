// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Datagrams in fragments: the later ones follow the first. Each row is one datagram, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "group.h"
#include "names.h"
#include "pkt.h"

#define ACCEPT PG_VERDICT_ACCEPT
#define DROP PG_VERDICT_DROP

static struct harness h;
static uint8_t frame[PKT_MAX];

#define FRAGMENTS 5
struct row {
	const char *name, *rules;
	enum pg_fragments setting;
	enum pg_dir dir;
	struct {
		const struct pkt_layer *pkt; /* NULL: no more */
		enum pg_verdict verdict;
		enum pg_reason reason;
	} fragment[FRAGMENTS];
};

#define FIRST4(port, n) PKT(ETH(), IP4(.mf = 1, .id = 7), UDP(.dport = (port)), PAYLOAD(n))
#define LATER4(at) PKT(ETH(), IP4(.frag = (at), .id = 7, .proto = 17), PAYLOAD(24))
#define FIRST6(port) PKT(ETH(), IP6(), FRAG6(.mf = 1, .id = 70000), UDP(.dport = (port)), PAYLOAD(16))
#define LATER6(at) PKT(ETH(), IP6(), FRAG6(.frag = (at), .id = 70000, .next = 17), PAYLOAD(24))

#define BY_RULE PG_REASON_RULE
#define BY_POLICY PG_REASON_POLICY
#define EARLY PG_REASON_EARLY_FRAGMENT
#define OVERLAP PG_REASON_FRAGMENT_OVERLAP

#define ALLOW53 ":INPUT DROP [0:0]\n-A INPUT -p udp --dport 53 -j ACCEPT"
#define DENY53 "-A INPUT -p udp --dport 53 -j DROP"

static const struct row rows[] = {
	{ "an accepted datagram", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), ACCEPT, BY_RULE }, { LATER4(3), ACCEPT, BY_RULE },
	    { LATER4(6), ACCEPT, BY_RULE } } },
	{ "a dropped datagram", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), DROP, BY_RULE }, { LATER4(3), DROP, BY_RULE } } },
	{ "one that the policy drops", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(54, 16), DROP, BY_POLICY }, { LATER4(3), DROP, BY_POLICY } } },
	{ "IPv6", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST6(53), ACCEPT, BY_RULE }, { LATER6(3), ACCEPT, BY_RULE } } },
	{ "IPv6, dropped", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST6(53), DROP, BY_RULE }, { LATER6(3), DROP, BY_RULE } } },
	{ "IPv6 with extension headers behind the fragment header", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { PKT(ETH(), IP6(), FRAG6(.mf = 1, .id = 9), DSTOPTS(), UDP(), PAYLOAD(8)), DROP, BY_RULE },
	    { PKT(ETH(), IP6(), FRAG6(.frag = 3, .id = 9, .next = 60), PAYLOAD(24)), DROP, BY_RULE } } },
	{ "IPv6 with extension headers before it", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { PKT(ETH(), IP6(), HBH(), FRAG6(.mf = 1, .id = 9), UDP(), PAYLOAD(8)), DROP, BY_RULE },
	    { PKT(ETH(), IP6(), HBH(), FRAG6(.frag = 2, .id = 9, .next = 17), PAYLOAD(24)), DROP,
	      BY_RULE } } },
	{ "another identification", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), DROP, BY_RULE },
	    { PKT(ETH(), IP4(.frag = 3, .id = 8, .proto = 17), PAYLOAD(24)), ACCEPT, EARLY } } },
	{ "another protocol", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), DROP, BY_RULE },
	    { PKT(ETH(), IP4(.frag = 3, .id = 7, .proto = 1), PAYLOAD(24)), ACCEPT, EARLY } } },
	{ "another sender", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), DROP, BY_RULE },
	    { PKT(ETH(), IP4(.frag = 3, .id = 7, .proto = 17, .src = "192.0.2.7"), PAYLOAD(24)), ACCEPT,
	      EARLY } } },
	{ "out of order where the policy accepts", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { LATER4(3), ACCEPT, EARLY }, { FIRST4(53, 16), DROP, BY_RULE },
	    { LATER4(6), DROP, BY_RULE } } },
	{ "out of order where the policy drops", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { LATER4(3), DROP, EARLY }, { FIRST4(53, 16), ACCEPT, BY_RULE },
	    { LATER4(6), ACCEPT, BY_RULE } } },
	{ "out of order, set to drop", DENY53, PG_FRAGMENTS_DROP, PG_DIR_IN,
	  { { LATER4(3), DROP, EARLY } } },
	{ "out of order, set to pass", ALLOW53, PG_FRAGMENTS_PASS, PG_DIR_IN,
	  { { LATER6(3), ACCEPT, EARLY } } },
	{ "set to rules: iptables without conntrack", DENY53, PG_FRAGMENTS_RULES, PG_DIR_IN,
	  { { FIRST4(53, 16), DROP, BY_RULE }, { LATER4(3), ACCEPT, BY_POLICY } } },
	{ "a policy with -f asks its rules", DENY53 "\n-A INPUT -f -j DROP", PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(54, 16), ACCEPT, BY_POLICY }, { LATER4(3), DROP, BY_RULE } } },
	{ "but not where it is told to", DENY53 "\n-A INPUT -f -j DROP", PG_FRAGMENTS_PASS, PG_DIR_IN,
	  { { FIRST4(54, 16), ACCEPT, BY_POLICY }, { LATER4(3), ACCEPT, BY_POLICY } } },
	{ "no rule asks for ports: each is asked about", "-A INPUT -s 192.0.2.1 -p udp -j DROP",
	  PG_FRAGMENTS_AUTO, PG_DIR_IN, { { LATER4(3), DROP, BY_RULE }, { FIRST4(53, 16), DROP, BY_RULE } } },
	{ "a later one that is written over the first", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), ACCEPT, BY_RULE }, { LATER4(3), ACCEPT, BY_RULE },
	    { LATER4(2), DROP, OVERLAP }, { LATER4(6), DROP, OVERLAP } } },
	{ "a later one that is written over the header", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST6(53), ACCEPT, BY_RULE }, { LATER6(1), DROP, OVERLAP }, { LATER6(3), DROP, OVERLAP } } },
	{ "a datagram of the same identification begins anew", ALLOW53, PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), ACCEPT, BY_RULE }, { LATER4(1), DROP, OVERLAP },
	    { FIRST4(53, 16), ACCEPT, BY_RULE }, { LATER4(3), ACCEPT, BY_RULE } } },
	{ "a tiny first fragment", "-A INPUT -p tcp --dport 80 -j ACCEPT", PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { PKT(ETH(), IP4(.mf = 1, .proto = 6, .id = 7), TCP(.cut = 8)), DROP, PG_REASON_SHORT_L4 },
	    { PKT(ETH(), IP4(.frag = 1, .proto = 6, .id = 7), PAYLOAD(24)), DROP, PG_REASON_SHORT_L4 } } },
	{ "TCP flags cannot come alone", "-A INPUT -p tcp --syn -j DROP", PG_FRAGMENTS_PASS, PG_DIR_IN,
	  { { PKT(ETH(), IP4(.frag = 1, .proto = 6, .id = 7), PAYLOAD(24)), DROP,
	      PG_REASON_TINY_FRAGMENT } } },
	{ "a rejected datagram", "-A INPUT -p udp --dport 53 -j REJECT", PG_FRAGMENTS_AUTO, PG_DIR_IN,
	  { { FIRST4(53, 16), PG_VERDICT_REJECT, BY_RULE }, { LATER4(3), DROP, BY_RULE } } },
	{ "departures", "-A OUTPUT -p udp --dport 53 -j DROP", PG_FRAGMENTS_AUTO, PG_DIR_OUT,
	  { { FIRST4(53, 16), DROP, BY_RULE }, { LATER4(3), DROP, BY_RULE } } },
	{ "departures whatever is set", "-A OUTPUT -p udp --dport 53 -j DROP", PG_FRAGMENTS_RULES,
	  PG_DIR_OUT, { { FIRST6(53), DROP, BY_RULE }, { LATER6(3), DROP, BY_RULE } } },
	{ "OUTPUT without rules", DENY53, PG_FRAGMENTS_AUTO, PG_DIR_OUT,
	  { { FIRST4(53, 16), ACCEPT, BY_POLICY }, { LATER4(3), ACCEPT, BY_POLICY } } },
};

static void load(const struct row *row)
{
	char text[512];

	snprintf(text, sizeof(text), "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n%s\nCOMMIT\n",
		 row->rules);
	harness_load(&h, text); /* a new generation: what was kept before is not its */
	pg_dp_set_fragments(h.dp, row->setting);
}

static void later_ones_follow(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];

		load(row);
		for (size_t k = 0; k < FRAGMENTS && row->fragment[k].pkt; k++) {
			size_t n = pkt_build(row->fragment[k].pkt, frame, sizeof(frame));
			struct pg_trace t;

			harness_run(&h, row->dir, frame, n, &t);
			if (t.verdict != row->fragment[k].verdict || t.reason != row->fragment[k].reason)
				fail_msg("%s: fragment %zu: %s, %s; wanted %s, %s", row->name, k + 1,
					 pg_verdict_name(t.verdict), pg_reason_name(t.reason),
					 pg_verdict_name(row->fragment[k].verdict),
					 pg_reason_name(row->fragment[k].reason));
		}
	}
}

/* On TC ingress, too. */
static void tc_agrees(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];

		if (row->dir != PG_DIR_IN)
			continue;
		load(row);
		for (size_t k = 0; k < FRAGMENTS && row->fragment[k].pkt; k++) {
			size_t n = pkt_build(row->fragment[k].pkt, frame, sizeof(frame));
			struct pg_trace t;

			assert_true(harness_try_run_tc(&h, frame, n, &t));
			if (t.verdict != row->fragment[k].verdict || t.reason != row->fragment[k].reason)
				fail_msg("%s: fragment %zu: %s, %s", row->name, k + 1,
					 pg_verdict_name(t.verdict), pg_reason_name(t.reason));
		}
	}
}

/* Rules count what follows as what it follows. */
static void rules_count_all_fragments(void **state)
{
	static const struct row row = { .rules = ALLOW53 };
	struct pg_trace t;
	struct pg_count c;
	size_t n;

	(void)state;
	load(&row);
	n = pkt_build(FIRST4(53, 16), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, n, &t);
	n = pkt_build(LATER4(3), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, n, &t);
	c = harness_count(&h, 1);
	assert_int_equal(c.packets, 2);
	assert_int_equal(c.bytes, 20 + 8 + 16 + 20 + 24);
	assert_int_equal(harness_count(&h, 0).packets, 0);
}

/* A change of the policy between two fragments. */
static void a_new_policy_knows_no_first(void **state)
{
	static const struct row deny = { .rules = DENY53 }, allow = { .rules = "-A INPUT -p udp --dport 54 -j DROP" };
	struct pg_trace t;
	size_t n;

	(void)state;
	load(&deny);
	n = pkt_build(FIRST4(53, 16), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, n, &t);
	assert_int_equal(t.verdict, DROP);
	load(&allow);
	n = pkt_build(LATER4(3), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, n, &t);
	assert_int_equal(t.reason, EARLY);
	assert_int_equal(t.verdict, ACCEPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_ones_follow),
		cmocka_unit_test(tc_agrees),
		cmocka_unit_test(rules_count_all_fragments),
		cmocka_unit_test(a_new_policy_knows_no_first),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open(&h, "eth0", &err), &err, tests, ARRAY_SIZE(tests), NULL);
}
