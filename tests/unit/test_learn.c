/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What connections prove, whose they are, and what prefixes their peers become. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "learn_show.h"
#include "rulefile.h"

#define F(flag) (1U << PG_FLAG_##flag)

static struct pg_flow_row flow(uint8_t proto, const char *from, uint16_t sport, const char *to,
			       uint16_t dport)
{
	struct pg_flow_row row = { .family = strchr(from, ':') ? PG_FAMILY_V6 : PG_FAMILY_V4,
				   .proto = proto, .port = { sport, dport }, .here = true };
	int af = row.family == PG_FAMILY_V6 ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(af, from, row.addr[0]), 1);
	assert_int_equal(inet_pton(af, to, row.addr[1]), 1);
	return row;
}

static struct pg_flow_row talk(const char *from, uint16_t sport, const char *to, uint16_t dport)
{
	struct pg_flow_row row = flow(IPPROTO_TCP, from, sport, to, dport);

	row.flags[0] = F(SYN) | F(ACK) | F(PSH) | F(FIN);
	row.flags[1] = F(SYN) | F(ACK) | F(PSH) | F(FIN);
	row.count[0] = (struct pg_count){ 5, 400 };
	row.count[1] = (struct pg_count){ 5, 900 };
	return row;
}

static void a_scan_proves_nothing(void **state)
{
	struct pg_flow_row syn = flow(IPPROTO_TCP, "192.0.2.9", 4000, "10.0.0.1", 22), open = syn,
			   closed = syn, connect = syn, full = talk("192.0.2.9", 4, "10.0.0.1", 22);

	(void)state;
	syn.flags[0] = F(SYN);
	syn.count[0].packets = 1;
	assert_int_equal(pg_learn_proof(&syn, true), PG_PROOF_NONE);
	open.flags[0] = F(SYN) | F(RST);
	open.flags[1] = F(SYN) | F(ACK);
	open.count[0] = (struct pg_count){ 2, 84 };
	open.count[1] = (struct pg_count){ 1, 44 };
	assert_int_equal(pg_learn_proof(&open, true), PG_PROOF_NONE);
	closed.flags[0] = F(SYN);
	closed.flags[1] = F(RST) | F(ACK);
	closed.count[0].packets = closed.count[1].packets = 1;
	assert_int_equal(pg_learn_proof(&closed, true), PG_PROOF_NONE);
	connect.flags[0] = F(SYN) | F(ACK) | F(RST);
	connect.flags[1] = F(SYN) | F(ACK);
	connect.count[0] = (struct pg_count){ 3, 60 + 52 + 52 };
	connect.count[1] = (struct pg_count){ 1, 60 };
	assert_int_equal(pg_learn_proof(&connect, true), PG_PROOF_EMPTY);
	assert_int_equal(pg_learn_proof(&full, false), PG_PROOF_TALK);
}

static void datagrams_need_an_answer(void **state)
{
	struct pg_flow_row row = flow(IPPROTO_UDP, "192.0.2.9", 4000, "10.0.0.1", 514);

	(void)state;
	row.count[0].packets = 1;
	assert_int_equal(pg_learn_proof(&row, false), PG_PROOF_NONE);
	assert_int_equal(pg_learn_proof(&row, true), PG_PROOF_EMPTY);
	row.replied = true;
	assert_int_equal(pg_learn_proof(&row, false), PG_PROOF_TALK);
	row.proto = IPPROTO_ICMP;
	row.replied = false;
	assert_int_equal(pg_learn_proof(&row, true), PG_PROOF_NONE);
}

static void whose_connection_it_is(void **state)
{
	struct pg_locals locals = { 0 };
	struct pg_flow_row in = talk("192.0.2.9", 4000, "10.0.0.1", 443),
			   out = talk("10.0.0.1", 4000, "192.0.2.9", 443),
			   through = talk("192.0.2.9", 4000, "192.0.2.8", 443), half = in;

	(void)state;
	assert_int_equal(pg_locals_add(&locals, "10.0.0.1", NULL), 0);
	assert_int_equal(pg_learn_way(&in, &locals, NULL), PG_WAY_IN);
	assert_int_equal(pg_learn_way(&out, &locals, NULL), PG_WAY_OUT);
	assert_int_equal(pg_learn_way(&through, &locals, NULL), PG_WAY_THROUGH);
	/* Seen first from the server's side: it is not the one that connected. */
	half = talk("10.0.0.1", 443, "192.0.2.9", 4000);
	half.picked_up = true;
	assert_int_equal(pg_learn_way(&half, &locals, NULL), PG_WAY_IN);
	assert_int_equal(half.port[1], 443);
	assert_memory_equal(half.addr[0], in.addr[0], 4);
	pg_locals_clear(&locals);
}

static void expect_prefixes(const char *const *addr, size_t n, size_t max, const char *wanted)
{
	uint8_t sorted[16][16] = { 0 }, out[16][16], len[16];
	struct pg_text t = { 0 };
	char text[INET6_ADDRSTRLEN];
	size_t got;

	for (size_t i = 0; i < n; i++)
		inet_pton(AF_INET, addr[i], sorted[i]);
	got = pg_prefixes((const uint8_t(*)[16])sorted, n, 4, max, out, len);
	for (size_t i = 0; i < got; i++)
		pg_text_add(&t, "%s%s/%u", i ? " " : "", inet_ntop(AF_INET, out[i], text, sizeof(text)),
			    len[i]);
	assert_string_equal(t.buf ? t.buf : "", wanted);
	pg_text_free(&t);
}

static void peers_become_prefixes(void **state)
{
	static const char *const addr[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.7.1", "192.168.1.9" };

	(void)state;
	expect_prefixes(addr, 0, 4, "");
	expect_prefixes(addr, 1, 4, "10.0.0.1/32");
	expect_prefixes(addr, 5, 5, "10.0.0.1/32 10.0.0.2/32 10.0.0.3/32 10.0.7.1/32 192.168.1.9/32");
	expect_prefixes(addr, 5, 3, "10.0.0.0/30 10.0.7.1/32 192.168.1.9/32");
	expect_prefixes(addr, 5, 2, "10.0.0.0/21 192.168.1.9/32");
	expect_prefixes(addr, 5, 1, "0.0.0.0/0");
}

static void what_is_written_is_read_again(void **state)
{
	struct pg_learn_opts opts = { .peers = 4, .output = true, .source = "a test" };
	struct pg_rulefile_opts file = { 0 };
	struct pg_flow_row in = talk("192.0.2.9", 4000, "10.0.0.1", 443),
			   six = talk("2001:db8::9", 4000, "2001:db8::1", 443),
			   ping = flow(IPPROTO_ICMP, "192.0.2.9", 8, "10.0.0.1", 0),
			   gre = flow(47, "192.0.2.7", 0, "10.0.0.1", 0),
			   other = talk("9.0.0.1", 4, "10.0.0.1", 443);
	struct pg_ruleset *set = NULL;
	struct pg_learn learn = { 0 };
	struct pg_notes notes = { 0 };
	struct pg_text t = { 0 };

	(void)state;
	assert_int_equal(pg_learn_add(&learn, &in, PG_WAY_IN, PG_PROOF_TALK), 0);
	assert_int_equal(pg_learn_add(&learn, &other, PG_WAY_IN, PG_PROOF_NONE), 0);
	assert_int_equal(pg_learn_add(&learn, &six, PG_WAY_OUT, PG_PROOF_TALK), 0);
	assert_int_equal(pg_learn_add(&learn, &ping, PG_WAY_IN, PG_PROOF_TALK), 0);
	assert_int_equal(pg_learn_add(&learn, &gre, PG_WAY_THROUGH, PG_PROOF_TALK), 0);
	assert_int_equal(pg_learn_add_unknown(&learn, IPPROTO_TCP, 443, 7), 0);
	assert_int_equal(pg_learn_add_unknown(&learn, IPPROTO_TCP, 25, 7), 0);
	pg_learn_settle(&learn, NULL);
	pg_learn_write(&t, &learn, &opts);
	assert_false(t.oom);
	assert_non_null(strstr(t.buf, "\n-A INPUT -s 192.0.2.9/32 -p tcp -m tcp --dport 443 -j ACCEPT\n"));
	assert_null(strstr(t.buf, "9.0.0.1"));
	assert_non_null(strstr(t.buf, "\n#-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT\n"));
	assert_non_null(strstr(t.buf, "\n-A OUTPUT -d 2001:db8::1/128 -p tcp -m tcp --dport 443 -j ACCEPT\n"));
	assert_non_null(strstr(t.buf, "\n-A FORWARD -s 192.0.2.7/32 -d 10.0.0.1/32 -p gre -j ACCEPT\n"));
	assert_int_equal(pg_rulefile_parse(t.buf, t.len, &file, &set, &notes, NULL), 0);
	assert_int_equal(notes.n, 0);
	assert_int_equal(set->chain[PG_CHAIN_INPUT].policy, PG_TARGET_DROP);
	assert_int_equal(set->chain[PG_CHAIN_OUTPUT].policy, PG_TARGET_DROP);
	pg_ruleset_free(set);
	pg_learn_clear(&learn);
	pg_text_free(&t);
}

static struct pg_ruleset *rules(const char *text)
{
	struct pg_rulefile_opts opts = { 0 };
	struct pg_notes notes = { 0 };
	struct pg_ruleset *set = NULL;

	assert_int_equal(pg_rulefile_parse(text, strlen(text), &opts, &set, &notes, NULL), 0);
	pg_notes_free(&notes);
	return set;
}

/* Each rule that one of them lacks, what either drops, and what only counters tell of. */
static void differences(void **state)
{
	struct pg_flow_row web = talk("192.0.2.9", 4000, "10.0.0.1", 443),
			   mail = talk("192.0.2.8", 4000, "10.0.0.1", 25);
	struct pg_learn_diff diff = { 0 };
	struct pg_proposal p = { 0 };
	struct pg_study study = { 0 };
	struct pg_text t = { 0 };

	(void)state;
	diff.now = rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n"
			 "-A INPUT -p tcp -m tcp --dport 25 -j DROP\nCOMMIT\n");
	p.set = rules("*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n"
		      "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n");
	assert_int_equal(pg_learn_add_unknown(&study.learn, IPPROTO_UDP, 53, 4), 0);
	pg_view_learn_diff(&t, &study, &p, &diff);
	assert_string_equal(t.buf, "--- in force\n+++ learnt\n-" "-P INPUT ACCEPT\n"
				   "-" "-A INPUT -p tcp -m tcp --dport 25 -j DROP\n+-P INPUT DROP\n"
				   "+-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
				   "Not proven, and closed by the proposal: 1 service; `learn' names it as "
				   "comments\n"
				   "No connection was seen: what either of them would drop cannot be said\n");
	pg_text_free(&t);
	assert_int_equal(pg_learn_add(&study.learn, &web, PG_WAY_IN, PG_PROOF_TALK), 0);
	assert_int_equal(pg_learn_add(&study.learn, &mail, PG_WAY_IN, PG_PROOF_TALK), 0);
	assert_int_equal(pg_learn_add(&diff.dropped, &mail, PG_WAY_IN, PG_PROOF_TALK), 0);
	pg_view_learn_diff(&t, &study, &p, &diff);
	assert_non_null(strstr(t.buf, "the policy in force would drop: 1 of 2\n"
				      "  in      25/tcp: 1 connection, 1 address\nthe proposal: 0\n"));
	pg_text_free(&t);
	pg_learn_clear(&study.learn);
	pg_learn_diff_clear(&diff);
	pg_proposal_clear(&p);
}

/* A scan of all ports is a few lines. */
static void ports_become_ranges(void **state)
{
	static struct pg_port_row row[200];
	struct pg_snapshot snap = { .port = row };
	struct pg_proposal p = { .ports = &snap };
	struct pg_study study = { 0 };
	struct pg_text t = { 0 };

	(void)state;
	for (uint16_t i = 0; i < 100; i++) {
		row[i] = (struct pg_port_row){ .proto = PG_PORT_TCP, .port = i + 1, .in = { 2, 80 } };
		row[100 + i] = (struct pg_port_row){ .proto = PG_PORT_UDP, .port = 3 * i, .in = { 1, 28 } };
	}
	snap.n_port = 100;
	pg_view_dropped(&t, &study, &p, false);
	assert_non_null(strstr(t.buf, "attached:\n#   in      1-100/tcp: 200\n"));
	assert_null(strstr(t.buf, "more port"));
	pg_text_free(&t);
	row[150].in.packets = 7;
	snap.n_port = 200;
	pg_view_dropped(&t, &study, &p, false);
	assert_non_null(strstr(t.buf, "attached:\n#   in      1-100/tcp: 200\n#   in      150/udp: 7\n"));
	assert_non_null(strstr(t.buf, "#   in      51/udp: 1\n#   in      81 more ports: 81\n"));
	pg_text_free(&t);
}

static void unused_for_days(void **state)
{
	const int64_t day = 86400, now = 1000 * day;
	struct pg_ruleset *set = rules("*filter\n-A INPUT -p tcp -m tcp --dport 1 -j ACCEPT\n"
				       "-A INPUT -p tcp -m tcp --dport 2 -j ACCEPT\n"
				       "-A INPUT -p tcp -m tcp --dport 3 -j ACCEPT\nCOMMIT\n");
	struct pg_rule *rule = set->chain[PG_CHAIN_INPUT].rule;
	char *out = NULL;
	size_t size;

	(void)state;
	rule[0].unhit_since = now - 30 * day;
	rule[1].unhit_since = now - 30 * day + 1; /* a second too young */
	rule[1].packets = 5;
	rule[2].unhit_since = 0; /* met, and nothing noted since */
	for (int i = 0; i < 3; i++) {
		static const uint32_t days[] = { 30, 29, 31 };
		FILE *f = open_memstream(&out, &size);

		assert_int_equal(pg_unused_print(f, set, days[i], now, false, NULL), i == 2 ? 0 : i + 1);
		fclose(f);
		assert_true(i != 2 || !size);
		assert_int_equal(!!strstr(out, "--dport 1 -j ACCEPT\n    rule 1 of INPUT: never a packet,"), i < 2);
		assert_int_equal(!!strstr(out, "(30 days)"), i < 2);
		assert_int_equal(!!strstr(out, "rule 2 of INPUT: no packet since"), i == 1);
		assert_null(strstr(out, "rule 3"));
		free(out);
	}
	pg_ruleset_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scan_proves_nothing),
		cmocka_unit_test(datagrams_need_an_answer),
		cmocka_unit_test(whose_connection_it_is),
		cmocka_unit_test(peers_become_prefixes),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(differences),
		cmocka_unit_test(ports_become_ranges),
		cmocka_unit_test(unused_for_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
