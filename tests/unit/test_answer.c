// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What `test` says of a packet, and which rule's counter a rule takes over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "answer.h"
#include "export_json.h"
#include "policy.h"
#include "rules.h"

/* Terms: INPUT 1, INPUT 2, web 1, raw PREROUTING 1 and 2. */
#define WEB PG_CHAINS_BUILTIN
static __typeof__(*((struct pg_tables *)NULL)->terms) terms[] = {
	{ PG_CHAIN_INPUT, 1 }, { PG_CHAIN_INPUT, 2 }, { WEB, 1 },
	{ PG_CHAIN_RAW_PREROUTING, 1 }, { PG_CHAIN_RAW_PREROUTING, 2 },
};
static struct pg_tables tables = { .gen = { .terms = 5 }, .terms = (void *)terms };

static struct pg_ruleset *rules(void)
{
	return POLICY("-N web", "-A INPUT -j LOG", "-A INPUT -p tcp -j web",
		      "-A web -p tcp --dport 22 -j DROP", "-P INPUT DROP",
		      "-t raw -A PREROUTING -j CT --notrack",
		      "-t raw -A PREROUTING -p udp -j CT --notrack");
}

static struct pg_trace trace_of(enum pg_verdict verdict, enum pg_reason reason, __u32 term)
{
	struct pg_trace trace = {
		.verdict = verdict, .reason = reason, .term = term, .l3_type = 0x0800,
		.ethertype = 0x0800, .has_l3 = 1, .has_proto = 1, .has_ports = 1, .has_flags = 1,
		.proto = 6, .sport = 40000, .dport = 22, .tcp_flags = 0x12, .ip_len = 40,
		.ct_state = PG_CT_NEW,
	};

	inet_pton(AF_INET, "192.0.2.1", trace.saddr);
	inet_pton(AF_INET, "192.0.2.2", trace.daddr);
	return trace;
}

static void expect_text(const struct pg_answer *answer, const char *iface, const char *want)
{
	struct pg_text t = { 0 };

	pg_view_answer(&t, answer, iface);
	assert_false(t.oom);
	assert_string_equal(t.buf, want);
	pg_text_free(&t);
}

static void expect_json(const struct pg_answer *answer, const char *want)
{
	struct pg_err err = { 0 };
	char *buf;
	size_t n;
	FILE *f = open_memstream(&buf, &n);

	assert_non_null(f);
	assert_int_equal(pg_json_answer(f, answer, NULL, NULL, &err), 0);
	fclose(f);
	assert_string_equal(buf, want);
	free(buf);
}

static void a_rule_behind_a_jump(void **state)
{
	struct pg_ruleset *set = rules();
	const struct pg_term_map map = { .set = set, .tables = &tables };
	struct pg_trace trace = trace_of(PG_VERDICT_DROP, PG_REASON_RULE, 2);
	struct pg_answer answer;

	(void)state;
	trace.n_path = 3;
	memcpy(trace.path, (const __u32[]){ 0, 1, 2 }, 12);
	pg_answer_make(&map, PG_DIR_IN, &trace, &answer);
	expect_text(&answer, "eth0",
		    "DROP by rule 1 of web: -p tcp -m tcp --dport 22 -j DROP\n"
		    "  INPUT 1       -j LOG\n"
		    "  INPUT 2       -p tcp -j web\n"
		    "  web 1         -p tcp -m tcp --dport 22 -j DROP\n"
		    "packet: tcp 192.0.2.1:40000 > 192.0.2.2:22 flags SYN,ACK, 40 bytes, NEW, on eth0\n");
	answer.n_path = 0;
	expect_text(&answer, "e\x1b[31m\xff",
		    "DROP by rule 1 of web: -p tcp -m tcp --dport 22 -j DROP\n"
		    "packet: tcp 192.0.2.1:40000 > 192.0.2.2:22 flags SYN,ACK, 40 bytes, NEW, on e?[31m?\n");
	answer.n_path = 2;
	expect_json(&answer,
		    "{\"verdict\":\"DROP\",\"table\":\"filter\",\"chain\":\"web\",\"rule\":1,"
		    "\"spec\":\"-p tcp -m tcp --dport 22 -j DROP\",\"reason\":\"rule\",\"path\":["
		    "{\"table\":\"filter\",\"chain\":\"INPUT\",\"rule\":1,\"spec\":\"-j LOG\","
		    "\"target\":\"LOG\"},"
		    "{\"table\":\"filter\",\"chain\":\"INPUT\",\"rule\":2,\"spec\":\"-p tcp -j web\","
		    "\"target\":\"web\"}],"
		    "\"packet\":{\"direction\":\"in\",\"length\":40,\"src\":\"192.0.2.1\","
		    "\"dst\":\"192.0.2.2\",\"proto\":6,\"sport\":40000,\"dport\":22,\"flags\":18,"
		    "\"ctstate\":\"NEW\"}}\n");
	pg_ruleset_free(set);
}

static void a_policy(void **state)
{
	struct pg_ruleset *set = rules();
	const struct pg_term_map map = { .set = set, .tables = &tables };
	struct pg_trace trace = trace_of(PG_VERDICT_DROP, PG_REASON_POLICY, PG_TRACE_NO_TERM);
	struct pg_answer answer;

	(void)state;
	pg_answer_make(&map, PG_DIR_IN, &trace, &answer);
	assert_ptr_equal(answer.decided.chain, &set->chain[PG_CHAIN_INPUT]);
	assert_int_equal(answer.decided.num, 0);
	trace.stage = PG_STAGE_RAW;
	pg_answer_make(&map, PG_DIR_IN, &trace, &answer);
	assert_ptr_equal(answer.decided.chain, &set->chain[PG_CHAIN_RAW_PREROUTING]);
	trace.stage = PG_STAGE_OUTPUT;
	pg_answer_make(&map, PG_DIR_OUT, &trace, &answer);
	assert_ptr_equal(answer.decided.chain, &set->chain[PG_CHAIN_OUTPUT]);
	trace.stage = PG_STAGE_RAW_OUTPUT;
	pg_answer_make(&map, PG_DIR_OUT, &trace, &answer);
	assert_ptr_equal(answer.decided.chain, &set->chain[PG_CHAIN_RAW_OUTPUT]);
	trace.stage = PG_STAGE_FORWARD;
	pg_answer_make(&map, PG_DIR_IN, &trace, &answer);
	assert_ptr_equal(answer.decided.chain, &set->chain[PG_CHAIN_FORWARD]);
	pg_ruleset_free(set);
}

static void no_rule_was_asked(void **state)
{
	struct pg_ruleset *set = rules();
	const struct pg_term_map map = { .set = set, .tables = &tables };
	struct pg_trace trace = { .verdict = PG_VERDICT_ACCEPT, .reason = PG_REASON_ARP,
				  .term = PG_TRACE_NO_TERM, .ethertype = 0x0806, .ip_len = 42 };
	struct pg_answer answer;

	(void)state;
	pg_answer_make(&map, PG_DIR_IN, &trace, &answer);
	assert_null(answer.decided.chain);
	expect_json(&answer,
		    "{\"verdict\":\"ACCEPT\",\"chain\":null,\"rule\":null,\"spec\":null,"
		    "\"reason\":\"arp\",\"path\":[],\"packet\":{\"direction\":\"in\",\"length\":42}}\n");
	pg_ruleset_free(set);
}

/* The rule that was put in front so that the packet is UNTRACKED is none of the policy's. */
static void a_rule_of_our_own_is_not_seen(void **state)
{
	struct pg_ruleset *set = rules();
	const struct pg_term_map map = { .set = set, .tables = &tables, .notrack_first = true };
	struct pg_trace trace = trace_of(PG_VERDICT_ACCEPT, PG_REASON_RULE, 0);
	struct pg_answer answer;

	(void)state;
	trace.n_path = 3;
	memcpy(trace.path, (const __u32[]){ 3, 4, 0 }, 12);
	pg_answer_make(&map, PG_DIR_IN, &trace, &answer);
	assert_int_equal(answer.n_path, 2);
	assert_ptr_equal(answer.path[0].chain, &set->chain[PG_CHAIN_RAW_PREROUTING]);
	assert_int_equal(answer.path[0].num, 1);
	assert_ptr_equal(answer.path[0].rule, &set->chain[PG_CHAIN_RAW_PREROUTING].rule[1]);
	pg_ruleset_free(set);
}

/* Inheriting -------------------------------------------------------------------------------------- */

static struct pg_chain *input(struct pg_ruleset *set)
{
	return &set->chain[PG_CHAIN_INPUT];
}

/* n rules in INPUT: rule i matches port from + i * step, or all the same port where step is 0. */
static struct pg_ruleset *many(size_t n, unsigned from, int step, bool slots)
{
	struct pg_ruleset *set = POLICY("-A INPUT -p tcp --dport 1 -m comment --comment x -j DROP");
	struct pg_rule rule;

	assert_int_equal(pg_rule_copy(&rule, input(set)->rule), 0);
	pg_chain_remove(input(set), 0);
	for (size_t i = 0; i < n; i++) {
		uint16_t port = (uint16_t)(from + (int)i * step);

		rule.match[0].ports.dport = (struct pg_port_range){ .lo = port, .hi = port };
		rule.slot = slots ? (uint32_t)i : PG_NO_SLOT;
		assert_int_equal(pg_chain_insert(input(set), i, &rule), 0);
	}
	pg_rule_clear(&rule);
	return set;
}

static void rules_in_another_order_keep_their_counters(void **state)
{
	struct pg_ruleset *old = many(20000, 1, 1, true), *set = many(20000, 20000, -1, false);

	(void)state;
	pg_policy_inherit(set, old);
	for (size_t i = 0; i < 20000; i++)
		assert_int_equal(input(set)->rule[i].slot, 19999 - i);
	pg_ruleset_free(old);
	pg_ruleset_free(set);
}

static void other_rules_begin_anew(void **state)
{
	struct pg_ruleset *old = many(20000, 1, 1, true), *set = many(20000, 20001, 1, false);

	(void)state;
	pg_policy_inherit(set, old);
	for (size_t i = 0; i < 20000; i++)
		assert_int_equal(input(set)->rule[i].slot, PG_NO_SLOT);
	pg_ruleset_free(old);
	pg_ruleset_free(set);
}

static void equal_rules_are_taken_first_to_first(void **state)
{
	struct pg_ruleset *old = many(20000, 7, 0, true), *set = many(20001, 7, 0, false);

	(void)state;
	/* Another in front, so that none is where it was. */
	input(set)->rule[0].proto = 17;
	pg_policy_inherit(set, old);
	assert_int_equal(input(set)->rule[0].slot, PG_NO_SLOT);
	for (size_t i = 0; i < 20000; i++)
		assert_int_equal(input(set)->rule[i + 1].slot, i);
	pg_ruleset_free(old);
	pg_ruleset_free(set);
}

static void counters_of_its_own_are_kept(void **state)
{
	struct pg_ruleset *old = POLICY("-A INPUT -m limit -j DROP", "-A INPUT -j DROP");
	struct pg_ruleset *set = POLICY("-A INPUT -c 7 700 -m limit -j DROP", "-A INPUT -j DROP");

	(void)state;
	input(old)->rule[0].slot = input(old)->rule[0].state = 7;
	input(old)->rule[1].slot = 8;
	pg_policy_inherit(set, old);
	assert_int_equal(input(set)->rule[0].slot, PG_NO_SLOT);
	assert_int_equal(input(set)->rule[0].packets, 7);
	assert_int_equal(input(set)->rule[0].state, 7);
	assert_int_equal(input(set)->rule[1].slot, 8);
	pg_ruleset_free(old);
	pg_ruleset_free(set);
}

static void a_counter_is_inherited_once(void **state)
{
	struct pg_ruleset *old = POLICY("-A INPUT -m limit -j DROP", "-A INPUT -m limit -j DROP");
	struct pg_ruleset *set = POLICY("-A INPUT -m limit -j DROP", "-A INPUT -m limit -j DROP",
					"-A INPUT -m limit -j DROP");

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		input(old)->rule[i].slot = input(old)->rule[i].state = 7 + i;
	input(set)->rule[1].slot = input(set)->rule[1].state = 7; /* it was there before the file */
	pg_policy_inherit(set, old);
	assert_int_equal(input(set)->rule[0].slot, 8);
	assert_int_equal(input(set)->rule[0].state, 8);
	assert_int_equal(input(set)->rule[1].slot, 7);
	assert_int_equal(input(set)->rule[2].slot, PG_NO_SLOT);
	assert_int_equal(input(set)->rule[2].state, PG_NO_SLOT);
	pg_ruleset_free(old);
	pg_ruleset_free(set);
}

/* One rule of each kind of match and target: what is equal has the same hash. */
static void equal_rules_have_equal_hashes(void **state)
{
	static const char *const lines[] = {
		"-A INPUT -s 10.0.0.0/8 -i eth+ -p udp -m multiport --ports 1,2:5 -j ACCEPT",
		"-A INPUT -p tcp --tcp-flags SYN,ACK SYN -m limit --limit 5/min -j LOG --log-prefix a",
		"-A INPUT -m conntrack --ctstate NEW --ctorigdst 10.0.0.1 -j RETURN",
		"-A INPUT -m recent --name a --rcheck --seconds 5 -j DROP",
		"-A INPUT -m hashlimit --hashlimit-name h --hashlimit-upto 5/sec -j ACCEPT",
		"-A INPUT -m set --match-set s src -j DROP",
		"-A INPUT -m time --timestart 10:00 -m mac --mac-source 02:00:00:00:00:01 -j DROP",
		"-A INPUT -6 -m rt --rt-type 0 -m comment --comment \"a b\" -j REJECT",
		"-A INPUT ! -d fd00::/8 -p ipv6-icmp --icmpv6-type 128/0 -j DROP", "-A INPUT",
	};
	struct pg_text scratch = { 0 };
	uint64_t hash[ARRAY_SIZE(lines)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct pg_ruleset *a = POLICY(lines[i]), *b = POLICY("-A INPUT -j DROP", lines[i]);

		assert_true(pg_rule_equal(&input(a)->rule[0], &input(b)->rule[1]));
		hash[i] = pg_rule_hash(&input(a)->rule[0], &scratch);
		assert_int_equal(hash[i], pg_rule_hash(&input(b)->rule[1], &scratch));
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(hash[i], hash[k]);
		pg_ruleset_free(a);
		pg_ruleset_free(b);
	}
	pg_text_free(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_behind_a_jump),
		cmocka_unit_test(a_policy),
		cmocka_unit_test(no_rule_was_asked),
		cmocka_unit_test(a_rule_of_our_own_is_not_seen),
		cmocka_unit_test(rules_in_another_order_keep_their_counters),
		cmocka_unit_test(other_rules_begin_anew),
		cmocka_unit_test(equal_rules_are_taken_first_to_first),
		cmocka_unit_test(counters_of_its_own_are_kept),
		cmocka_unit_test(a_counter_is_inherited_once),
		cmocka_unit_test(equal_rules_have_equal_hashes),
	};

	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
