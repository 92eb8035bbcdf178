/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "chains.h"
#include "list.h"
#include "rules.h"

/* -S of a table. */
static char *listing(const struct pg_ruleset *set, enum pg_table_id table, struct pg_text *t)
{
	const struct pg_list_opts opts = { .table = table };

	pg_text_free(t);
	pg_text_addn(t, "", 0);
	pg_list_rules_print(t, set, &opts);
	assert_false(t->oom);
	return t->buf;
}

static void chains_stand_in_order_table_by_table(void **state)
{
	struct pg_ruleset *set = POLICY("-N web", "-t raw -N web", "-N admin", "-t raw -N b",
					"-A INPUT -j web", "-A web -j admin", "-t raw -A web -j b",
					"-E web zoo", "-A zoo -j RETURN", "-N m", "-A m -j RETURN",
					"-F m", "-X m");
	struct pg_text t = {};

	(void)state;
	assert_string_equal(listing(set, PG_TABLE_FILTER, &t),
			    "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
			    "-N admin\n-N zoo\n"
			    "-A INPUT -j zoo\n-A zoo -j admin\n-A zoo -j RETURN\n");
	assert_string_equal(listing(set, PG_TABLE_RAW, &t),
			    "-P PREROUTING ACCEPT\n-P OUTPUT ACCEPT\n-N b\n-N web\n"
			    "-A web -j b\n");
	assert_null(pg_ruleset_chain(set, PG_TABLE_FILTER, "web"));
	assert_null(pg_ruleset_chain(set, PG_TABLE_RAW, "INPUT"));
	pg_table_clear(set, PG_TABLE_FILTER);
	assert_string_equal(listing(set, PG_TABLE_FILTER, &t),
			    "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n");
	assert_non_null(pg_ruleset_chain(set, PG_TABLE_RAW, "web"));
	pg_text_free(&t);
	pg_ruleset_free(set);
}

static void built_in_chains_lead_to_what_rules_say(void **state)
{
	struct pg_ruleset *set = POLICY("-N a", "-N b", "-N c", "-t raw -N a", "-A INPUT -j a",
					"-A FORWARD -g b", "-A a -j b", "-A c -j a",
					"-t raw -A OUTPUT -j a");
	static const struct {
		enum pg_table_id table;
		const char *name;
		unsigned reach;
	} rows[] = {
		{ PG_TABLE_FILTER, "INPUT", 1U << PG_CHAIN_INPUT },
		{ PG_TABLE_FILTER, "a", 1U << PG_CHAIN_INPUT },
		{ PG_TABLE_FILTER, "b", 1U << PG_CHAIN_INPUT | 1U << PG_CHAIN_FORWARD },
		{ PG_TABLE_FILTER, "c", 0 },
		{ PG_TABLE_RAW, "a", 1U << PG_CHAIN_RAW_OUTPUT },
	};
	unsigned reach[16];
	size_t loop;

	(void)state;
	assert_true(set->n_chains <= ARRAY_SIZE(reach));
	assert_int_equal(pg_chains_reach(set, reach, &loop), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct pg_chain *chain =
			pg_ruleset_chain(set, rows[i].table, rows[i].name);

		if (reach[chain - set->chain] != rows[i].reach)
			fail_msg("%s: %x", rows[i].name, reach[chain - set->chain]);
	}
	pg_ruleset_free(set);
}

static void loops_are_found_where_packets_would_meet_them(void **state)
{
	static const struct {
		const char *name, *before[6], *line;
		int exit_code;
	} rows[] = {
		{ "a chain that jumps to itself", { "-N a", "-A INPUT -j a" }, "-A a -j a", 1 },
		{ "goto is no way out", { "-N a", "-A INPUT -g a" }, "-A a -g a", 1 },
		{ "over a second chain",
		  { "-N a", "-N b", "-A INPUT -j a", "-A a -j b" }, "-A b -s 1.1.1.1 -j a", 1 },
		{ "closed by the first jump", { "-N a", "-N b", "-A a -j b", "-A b -j a" },
		  "-A OUTPUT -j a", 1 },
		{ "put in by -R", { "-N a", "-A INPUT -j a", "-A a" }, "-R a 1 -j a", 1 },
		{ "nobody goes there", { "-N a", "-N b", "-A a -j b" }, "-A b -j a", 0 },
		{ "two ways to one chain",
		  { "-N a", "-N b", "-A a -j b", "-A INPUT -j b", "-A INPUT -j a" },
		  "-A INPUT -j b", 0 },
		{ "in another table", { "-N a", "-t raw -N a", "-A INPUT -j a" },
		  "-t raw -A a -j a", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = policy_of(rows[i].before);
		struct pg_err err = {};
		int code = run_line(set, rows[i].line, &err);

		if (code != rows[i].exit_code)
			fail_msg("%s: exit code %d: %s", rows[i].name, code, err.text);
		if (code)
			assert_string_equal(err.text,
					    "portguard: Too many levels of symbolic links.");
		pg_ruleset_free(set);
	}
}

/* Two files over the same policy: what -n keeps, empties and makes. */
static void a_file_adds_to_chains(void **state)
{
	static const char file[] = "*filter\n:a - [0:0]\n:c - [0:0]\n-A a -j c\nCOMMIT\n";
	struct pg_ruleset *base = POLICY("-N a", "-N b", "-A INPUT -j a", "-A a -j DROP",
					 "-A b -j ACCEPT", "-t raw -N r");
	struct pg_rulefile_opts opts = { .base = base, .noflush = true };
	struct pg_ruleset *set = NULL;
	struct pg_notes notes = {};
	struct pg_text t = {};

	(void)state;
	assert_int_equal(pg_rulefile_parse(file, strlen(file), &opts, &set, &notes, NULL), 0);
	assert_string_equal(listing(set, PG_TABLE_FILTER, &t),
			    "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
			    "-N a\n-N b\n-N c\n"
			    "-A INPUT -j a\n-A a -j c\n-A b -j ACCEPT\n");
	pg_ruleset_free(set);
	opts.noflush = false;
	assert_int_equal(pg_rulefile_parse(file, strlen(file), &opts, &set, &notes, NULL), 0);
	assert_string_equal(listing(set, PG_TABLE_FILTER, &t),
			    "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
			    "-N a\n-N c\n-A a -j c\n");
	assert_non_null(pg_ruleset_chain(set, PG_TABLE_RAW, "r"));
	pg_notes_free(&notes);
	pg_text_free(&t);
	pg_ruleset_free(set);
	pg_ruleset_free(base);
}

static void targets_are_listed_as_by_iptables(void **state)
{
	static const struct {
		const char *line;
		unsigned family;
		bool numeric;
		const char *text; /* behind the addresses */
	} rows[] = {
		{ "-A INPUT -j REJECT", PG_V4, true, " reject-with icmp-port-unreachable" },
		{ "-A INPUT -j REJECT", PG_V6, true, " reject-with icmp6-port-unreachable" },
		{ "-A INPUT -j REJECT", 0, true, " reject-with port-unreach" },
		{ "-A INPUT -j LOG --log-uid", PG_V4, true, " LOG flags 8 level 4" },
		{ "-A INPUT -j LOG --log-uid --log-prefix \"a \\\"\"", PG_V4, false,
		  " LOG level warn uid prefix \"a \"\"" },
		{ "-A INPUT -j NFLOG --nflog-prefix \"a b\" --nflog-size 5", PG_V4, true,
		  " nflog-prefix \"a b\" nflog-size 5" },
		{ "-A INPUT -j MARK --set-mark 0", PG_V4, true, " MARK and 0x0" },
		{ "-A INPUT -j MARK --or-mark 3", PG_V4, true, " MARK or 0x3" },
		{ "-A INPUT -j MARK --xor-mark 3", PG_V4, true, " MARK xor 0x3" },
		{ "-A INPUT -j MARK --set-mark 3", PG_V4, true, " MARK set 0x3" },
		{ "-A INPUT -j MARK --set-mark 3/4", PG_V4, true, " MARK xset 0x3/0x7" },
		{ "-A INPUT -g web", PG_V4, true, "[goto] " },
		{ "-A INPUT -j web", PG_V4, true, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = POLICY("-N web", rows[i].line);
		const struct pg_list_opts opts = { .chain = "INPUT", .num = 1,
						   .family = rows[i].family,
						   .numeric = rows[i].numeric };
		struct pg_text t = {};
		size_t n = strlen(rows[i].text);

		pg_list_print(&t, set, &opts);
		/* Two addresses and their blanks come before it. */
		if (t.len < n + 1 || strncmp(t.buf + t.len - n - 1, rows[i].text, n) ||
		    (!n && t.buf[t.len - 2] != ' '))
			fail_msg("%s: %s", rows[i].line, t.buf);
		pg_text_free(&t);
		pg_ruleset_free(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_stand_in_order_table_by_table),
		cmocka_unit_test(built_in_chains_lead_to_what_rules_say),
		cmocka_unit_test(loops_are_found_where_packets_would_meet_them),
		cmocka_unit_test(a_file_adds_to_chains),
		cmocka_unit_test(targets_are_listed_as_by_iptables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
