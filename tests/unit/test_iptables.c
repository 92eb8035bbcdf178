/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rules.h"

/* What each line leaves of INPUT's rules. */
static void verbs_change_the_policy_as_under_iptables(void **state)
{
	static const struct {
		const char *name, *line[6], *specs;
	} rows[] = {
		{ "append", { "-A INPUT -p tcp", "-A INPUT -p udp" }, "-p tcp\n-p udp\n" },
		{ "insert at the top", { "-A INPUT -p tcp", "-I INPUT -p udp" },
		  "-p udp\n-p tcp\n" },
		{ "insert in the middle",
		  { "-A INPUT -p tcp", "-A INPUT -p udp", "-I INPUT 2 -p icmp" },
		  "-p tcp\n-p icmp\n-p udp\n" },
		{ "insert behind the last", { "-A INPUT -p tcp", "-I INPUT 2 -p udp" },
		  "-p tcp\n-p udp\n" },
		{ "delete by number", { "-A INPUT -p tcp", "-A INPUT -p udp", "-D INPUT 1" },
		  "-p udp\n" },
		{ "delete the first that is equal",
		  { "-A INPUT -p tcp", "-A INPUT -p udp", "-A INPUT -p tcp", "-D INPUT -p 6" },
		  "-p udp\n-p tcp\n" },
		{ "delete whatever the words",
		  { "-A INPUT -p tcp --dport http -s 10.1.1.1/8",
		    "-D INPUT -s 10.0.0.0/255.0.0.0 -p 6 -m tcp --destination-port 80" }, "" },
		{ "replace", { "-A INPUT -p tcp", "-A INPUT -p udp", "-R INPUT 1 -j DROP" },
		  "-j DROP\n-p udp\n" },
		{ "check leaves it alone", { "-A INPUT -p tcp", "-C INPUT -p tcp" }, "-p tcp\n" },
		{ "flush", { "-A INPUT -p tcp", "-F" }, "" },
		{ "flush one chain", { "-A INPUT -p tcp", "-F INPUT" }, "" },
		{ "flush another chain", { "-A INPUT -p tcp", "-F OUTPUT" }, "-p tcp\n" },
		{ "-X has nothing to do", { "-A INPUT -p tcp", "-X" }, "-p tcp\n" },
		{ "a list appends in order", { "-A INPUT -s 1.1.1.1,2.2.2.2 -d 3.3.3.3,4.4.4.4" },
		  "-s 1.1.1.1/32 -d 3.3.3.3/32\n-s 1.1.1.1/32 -d 4.4.4.4/32\n"
		  "-s 2.2.2.2/32 -d 3.3.3.3/32\n-s 2.2.2.2/32 -d 4.4.4.4/32\n" },
		{ "a list inserts in reverse", { "-A INPUT", "-I INPUT -s 1.1.1.1,2.2.2.2" },
		  "-s 2.2.2.2/32\n-s 1.1.1.1/32\n\n" },
		{ "a list deletes all of it",
		  { "-A INPUT -s 1.1.1.1,2.2.2.2", "-D INPUT -s 2.2.2.2,1.1.1.1" }, "" },
		{ "verb last", { "-p tcp -j DROP -A INPUT" }, "-p tcp -j DROP\n" },
		{ "-4 is not the rule without it",
		  { "-A INPUT -p tcp", "-A INPUT -4 -p tcp", "-D INPUT -4 -p tcp" }, "-p tcp\n" },
		{ "-4 that an address says already is no difference",
		  { "-A INPUT -4 -s 10.0.0.0/8", "-D INPUT -s 10.0.0.0/8" }, "" },
	};
	struct pg_text t = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = policy_of(rows[i].line);

		if (strcmp(specs_of(set, &t), rows[i].specs))
			fail_msg("%s:\n%s", rows[i].name, t.buf);
		pg_ruleset_free(set);
	}
	pg_text_free(&t);
}

static void what_is_not_supported_is_refused(void **state)
{
	static const struct {
		const char *line;
		int exit_code;
		const char *text;
	} rows[] = {
		{ "-A INPUT -m string --string x", 2,
		  "portguard: match `string' is not supported yet" },
		{ "-A INPUT -j TOS --set-tos 8", 2, "portguard: target `TOS' is not supported yet" },
		{ "-t raw -A PREROUTING -j CT --zone 5", 2,
		  "portguard: option `--zone' is not supported yet" },
		{ "-t nat -L", 3, "portguard: table `nat' is not supported yet" },
		{ "-t mangle -N web", 3, "portguard: table `mangle' is not supported yet" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = pg_ruleset_new();
		struct pg_err err = {};
		int code = run_line(set, rows[i].line, &err);

		if (code != rows[i].exit_code || strcmp(err.text, rows[i].text))
			fail_msg("%s: exit code %d: %s", rows[i].line, code, err.text);
		pg_ruleset_free(set);
	}
}

static void families_that_exclude_each_other_are_an_error(void **state)
{
	static const char *const lines[] = {
		"-A INPUT -s 10.0.0.0/8 -d ::1",	"-A INPUT -s ::/0 -d 0.0.0.0/0",
		"-A INPUT -p icmp --icmp-type 8 -d ::1", "-A INPUT -f -s ::1",
		"-A INPUT -6 -s 10.0.0.0/8",		"-A INPUT -6 -p icmp --icmp-type 8",
		"-A INPUT -4 -p icmpv6 --icmpv6-type 1", "-A INPUT -6 -f",
		"-A INPUT -4 -6",			"-A INPUT -s 1.1.1.1,::1 -d ::2",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct pg_ruleset *set = pg_ruleset_new();
		struct pg_err err = {};

		if (run_line(set, lines[i], &err) != PG_EXIT_USAGE)
			fail_msg("%s: accepted, or exit code %d", lines[i], err.exit_code);
		pg_ruleset_free(set);
	}
}

static void a_rule_holds_for_the_families_it_says(void **state)
{
	static const struct {
		const char *line;
		unsigned families;
		uint8_t narrowed;
	} rows[] = {
		{ "-A INPUT -p tcp", PG_V46, PG_V46 },
		{ "-A INPUT -4 -p tcp", PG_V4, PG_V4 },
		{ "-A INPUT --ipv6", PG_V6, PG_V6 },
		{ "-A INPUT -s 10.0.0.0/8", PG_V4, PG_V46 },
		{ "-A INPUT -4 -s 10.0.0.0/8", PG_V4, PG_V46 },
		{ "-A INPUT ! -d ::1", PG_V6, PG_V46 },
		{ "-A INPUT -s 0.0.0.0/0", PG_V4, PG_V4 },
		{ "-A INPUT -d ::/0", PG_V6, PG_V6 },
		{ "-A INPUT ! -s 0.0.0.0/0", PG_V4, PG_V46 },
		{ "-A INPUT -f", PG_V4, PG_V46 },
		{ "-A INPUT -p icmp", PG_V46, PG_V46 },
		{ "-A INPUT -p icmp --icmp-type any", PG_V4, PG_V46 },
		{ "-A INPUT -p icmpv6 --icmpv6-type 1", PG_V6, PG_V46 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = POLICY(rows[i].line);
		const struct pg_rule *rule = &set->chain[PG_CHAIN_INPUT].rule[0];

		if (pg_rule_families(rule) != rows[i].families ||
		    rule->narrowed != rows[i].narrowed)
			fail_msg("%s: families %u, narrowed %u", rows[i].line,
				 pg_rule_families(rule), rule->narrowed);
		pg_ruleset_free(set);
	}
}

static void counters_start_where_they_are_set(void **state)
{
	struct pg_ruleset *set = POLICY("-A INPUT -c 5 300 -p tcp", "-A INPUT -c 7,8",
					"-P INPUT DROP -c 1 2");
	struct pg_chain *chain = &set->chain[PG_CHAIN_INPUT];
	struct pg_err err = {};

	(void)state;
	assert_true(chain->rule[0].packets == 5 && chain->rule[0].bytes == 300);
	assert_true(chain->rule[1].packets == 7 && chain->rule[1].bytes == 8);
	assert_true(chain->packets == 1 && chain->bytes == 2);
	assert_int_equal(chain->policy, PG_TARGET_DROP);

	/* As read from the kernel. Only what is zeroed or replaced gets a new counter. */
	chain->slot = 10;
	chain->rule[0].slot = 11;
	chain->rule[1].slot = 12;
	assert_int_equal(run_line(set, "-Z INPUT 2", &err), 0);
	assert_true(chain->slot == 10 && chain->rule[0].slot == 11);
	assert_true(chain->rule[1].slot == PG_NO_SLOT && !chain->rule[1].packets);
	assert_int_equal(run_line(set, "-R INPUT 1 -p tcp", &err), 0);
	assert_true(chain->slot == 10 && chain->rule[0].slot == PG_NO_SLOT);
	chain->rule[0].slot = 11;
	assert_int_equal(run_line(set, "-I INPUT -p udp", &err), 0);
	assert_true(chain->rule[0].slot == PG_NO_SLOT && chain->rule[1].slot == 11);
	assert_int_equal(run_line(set, "-L -Z", &err), 0);
	assert_true(chain->slot == PG_NO_SLOT && chain->rule[1].slot == PG_NO_SLOT);
	assert_true(!chain->packets && !chain->bytes);
	pg_ruleset_free(set);
}

static void copies_own_their_comments(void **state)
{
	struct pg_ruleset *set = POLICY("-A INPUT -m comment --comment one",
					"-A INPUT -m comment --comment two");
	struct pg_ruleset *dup = pg_ruleset_dup(set);
	struct pg_text t = {};

	(void)state;
	assert_non_null(dup);
	assert_true(pg_rule_equal(&set->chain[0].rule[1], &dup->chain[0].rule[1]));
	assert_false(pg_rule_equal(&set->chain[0].rule[0], &dup->chain[0].rule[1]));
	pg_chain_remove(&set->chain[0], 0);
	pg_ruleset_free(set);
	assert_string_equal(specs_of(dup, &t),
			    "-m comment --comment one\n-m comment --comment two\n");
	pg_text_free(&t);
	pg_ruleset_free(dup);
	pg_ruleset_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs_change_the_policy_as_under_iptables),
		cmocka_unit_test(what_is_not_supported_is_refused),
		cmocka_unit_test(families_that_exclude_each_other_are_an_error),
		cmocka_unit_test(a_rule_holds_for_the_families_it_says),
		cmocka_unit_test(counters_start_where_they_are_set),
		cmocka_unit_test(copies_own_their_comments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
