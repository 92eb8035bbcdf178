/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lint.h"
#include "ssh_guard.h"

/* Lines of table filter from line 3 on; "LINE:COLUMN CODE" of what is found, in order. */
struct row {
	const char *what, *rules, *found;
};

#define IN "-A INPUT "

static const struct row rows[] = {
	{ "a rule without a problem", IN "-p tcp --dport 22 -j ACCEPT", "" },
	{ "every line that cannot be read is named",
	  IN "-p nosuch\n" IN "-j ACCEPT\n" IN "--dport 22", "3:13 syntax,5:10 syntax" },
	{ "an unsupported match", IN "-m string --string x --algo bm", "3:13 unsupported" },
	{ "--syn with udp", IN "-p udp --syn -j DROP", "3:17 contradiction" },
	{ "--icmp-type with tcp", IN "-p tcp --icmp-type 8 -j DROP", "3:17 contradiction" },
	{ "an option that nobody knows", IN "-p tcp --nosuch -j DROP", "3:17 syntax" },
	{ "--dport without a protocol contradicts nothing", IN "--dport 1 -j DROP", "3:10 syntax" },
	{ "-m tcp with udp", IN "-p udp -m tcp --dport 1", "3:20 contradiction" },
	{ "both families", IN "-s 10.0.0.1 -d ::1", "3:25 contradiction" },
	{ "-o in INPUT", IN "-o eth0 -j DROP", "3:10 contradiction" },
	{ "a reversed port range", IN "-p tcp --dport 20:10", "3:25 contradiction" },
	{ "flags that are not looked at", IN "-p tcp --tcp-flags SYN ACK -j DROP",
	  "3:17 contradiction" },
	{ "the same inverted holds always", IN "-p tcp ! --tcp-flags SYN ACK -j DROP", "" },
	{ "ports in two matches", IN "-p tcp --dport 80 -m multiport --dports 22,443",
	  "3:31 contradiction" },
	{ "ports in two matches that meet", IN "-p tcp --dport 80 -m multiport --dports 22,80", "" },
	{ "states in two matches",
	  IN "-m state --state NEW -m conntrack --ctstate ESTABLISHED", "3:34 contradiction" },
	{ "a state that NAT makes", IN "-m conntrack --ctstate DNAT", "3:13 never-matches" },
	{ "a reversed range of lengths", IN "-m length --length 10:5", "3:13 never-matches" },
	{ "a range of addresses the wrong way round",
	  IN "-m iprange --src-range 10.0.0.9-10.0.0.1", "3:13 never-matches" },
	{ "all addresses excluded", IN "! -s 0.0.0.0/0 -j DROP", "3:1 never-matches" },
	{ "-o in a chain that only INPUT leads to",
	  ":web - [0:0]\n-A web -o eth0 -j DROP\n" IN "-p tcp -j web", "4:1 never-matches" },
	{ "-i in a chain that only OUTPUT leads to",
	  ":web - [0:0]\n-A web -i eth0 -j DROP\n-A OUTPUT -p tcp -j web",
	  "4:1 never-matches" },
	{ "a wider network before",
	  IN "-s 10.0.0.0/8 -j DROP\n" IN "-s 10.1.0.0/16 -p tcp -j ACCEPT", "4:1 shadowed" },
	{ "a narrower network before",
	  IN "-s 10.1.0.0/16 -j DROP\n" IN "-s 10.0.0.0/8 -p tcp -j ACCEPT", "" },
	{ "a range of ports around it",
	  IN "-p tcp --dport 1:100 -j DROP\n" IN "-p tcp --dport 22 -j ACCEPT", "4:1 shadowed" },
	{ "a list of ports around it",
	  IN "-p tcp -m multiport --dports 22,80 -j DROP\n" IN "-p tcp --dport 22 -j ACCEPT",
	  "4:1 shadowed" },
	{ "another protocol's port",
	  IN "-p udp --dport 22 -j DROP\n" IN "-p tcp --dport 22 -j ACCEPT", "" },
	{ "an excluded network that it is not in",
	  IN "! -s 10.0.0.0/8 -j DROP\n" IN "-s 192.168.0.1 -j ACCEPT", "4:1 shadowed" },
	{ "an excluded network that it is in",
	  IN "! -s 10.0.0.0/8 -j DROP\n" IN "-s 10.0.0.1 -j ACCEPT", "" },
	{ "any interface that begins so", IN "-i eth+ -j DROP\n" IN "-i eth0 -j ACCEPT",
	  "4:1 shadowed" },
	{ "more states", IN "-m state --state NEW,ESTABLISHED -j DROP\n" IN "-m conntrack --ctstate "
	  "NEW -p tcp -j ACCEPT", "4:1 shadowed" },
	{ "fewer states", IN "-m state --state NEW -j DROP\n" IN "-p tcp -j ACCEPT", "" },
	{ "--syn before all TCP", IN "-p tcp --syn -j DROP\n" IN "-p tcp -j ACCEPT", "" },
	{ "all TCP before --syn", IN "-p tcp -j DROP\n" IN "-p tcp --syn -j ACCEPT", "4:1 shadowed" },
	{ "any ICMP before a type", IN "-p icmp -j DROP\n" IN "-p icmp --icmp-type 8 -j ACCEPT",
	  "4:1 shadowed" },
	{ "a type before any ICMP", IN "-p icmp --icmp-type 8 -j DROP\n" IN "-p icmp -j ACCEPT", "" },
	{ "one family before both", IN "-4 -p tcp -j DROP\n" IN "-p tcp -j ACCEPT", "" },
	{ "a limit lets others pass", IN "-p tcp -m limit --limit 1/s -j DROP\n" IN "-p tcp -j ACCEPT",
	  "" },
	{ "what does not decide shadows nothing", IN "-j LOG\n" IN "-p tcp -j ACCEPT", "" },
	{ "a chain may come back", ":web - [0:0]\n-A web -p udp -j DROP\n" IN "-j web\n" IN
	  "-p tcp -j ACCEPT", "" },
	{ "-g does not come back", ":web - [0:0]\n-A web -p udp -j DROP\n" IN "-g web\n" IN
	  "-p tcp -j ACCEPT", "6:1 shadowed" },
	{ "another chain's rules shadow nothing", ":web - [0:0]\n" IN "-p udp -j DROP\n"
	  "-A web -p udp -j DROP\n" IN "-p tcp -j web", "" },
	{ "behind a rule without conditions", IN "-j ACCEPT\n" IN "-p tcp -j DROP", "4:1 shadowed" },
	{ "the same rule twice", IN "-p tcp -j DROP\n" IN "-p tcp -j DROP", "4:1 duplicate" },
	{ "the same rule with another comment",
	  IN "-p tcp -j DROP\n" IN "-p tcp -m comment --comment x -j DROP", "4:1 duplicate" },
	{ "the same LOG twice", IN "-p tcp -j LOG\n" IN "-p tcp -j LOG", "4:1 duplicate" },
	{ "the same limit twice is two limits",
	  IN "-m limit --limit 1/s -j LOG\n" IN "-m limit --limit 1/s -j LOG", "" },
	{ "a chain that nobody names", ":web - [0:0]", "3:2 unused" },
	{ "and that -N made", "-N web", "3:4 unused" },
	{ "a chain that only such a chain names",
	  ":a - [0:0]\n:b - [0:0]\n-A a -p tcp -j b", "3:2 unused,4:2 unreachable" },
	{ "a policy that drops and lets nobody in", ":INPUT DROP [0:0]\n" IN "-i lo -j ACCEPT",
	  "3:2 lockout" },
	{ "a rule that takes the rest", IN "-4 -p tcp --dport 80 -j ACCEPT\n" IN "-j REJECT",
	  "4:1 lockout" },
	{ "SSH alone, and no neighbours", ":INPUT DROP [0:0]\n" IN "-p tcp --dport 22 -j ACCEPT",
	  "3:2 no-neighbour-discovery" },
	{ "SSH for IPv4", ":INPUT DROP [0:0]\n" IN "-4 -p tcp --dport 22 -j ACCEPT", "" },
	{ "what is established, and ICMPv6", ":INPUT DROP [0:0]\n" IN "-m state --state ESTABLISHED "
	  "-j ACCEPT\n" IN "-p ipv6-icmp -j ACCEPT", "" },
	{ "one of the two types of neighbour discovery", ":INPUT DROP [0:0]\n" IN
	  "-p tcp --dport 22 -j ACCEPT\n" IN "-p ipv6-icmp --icmpv6-type 135 -j ACCEPT",
	  "3:2 no-neighbour-discovery" },
	{ "a list of addresses is one problem", IN "-p tcp -j DROP\n" IN
	  "-p tcp -s 10.0.0.1,10.0.0.2 -j DROP", "4:1 shadowed" },
};

static void lint_finds_what_the_row_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(pg_text_free) struct pg_text text = {}, found = {};
		_cleanup_(pg_lint_free) struct pg_lint lint = {};
		struct pg_err err = {};

		pg_text_add(&text, "# %s\n*filter\n%s\nCOMMIT\n", rows[i].what, rows[i].rules);
		pg_text_addn(&found, "", 0);
		if (pg_lint_file(text.buf, text.len, 0, &lint, &err))
			fail_msg("%s: %s", rows[i].what, err.text);
		for (size_t k = 0; k < lint.n; k++)
			pg_text_add(&found, "%s%u:%u %s", k ? "," : "", lint.problem[k].pos.line,
				    lint.problem[k].pos.column, pg_lint_name(lint.problem[k].code));
		if (strcmp(found.buf, rows[i].found))
			fail_msg("%s: found %s, wanted %s", rows[i].what, found.buf, rows[i].found);
	}
}

static void lint_goes_on_behind_foreign_tables(void **state)
{
	static const char text[] = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DNAT\nCOMMIT\n"
				   "*nosuch\nCOMMIT\n*filter\n-A INPUT -p nosuch\n";
	_cleanup_(pg_lint_free) struct pg_lint lint = {};
	struct pg_err err = {};

	(void)state;
	assert_int_equal(pg_lint_file(text, strlen(text), 0, &lint, &err), 0);
	assert_int_equal(lint.n, 4);
	assert_int_equal(lint.problem[0].code, PG_LINT_UNSUPPORTED);
	assert_int_equal(lint.problem[0].pos.line, 3);
	assert_int_equal(lint.problem[1].pos.line, 5);
	assert_int_equal(lint.problem[2].pos.line, 8);
	assert_int_equal(lint.problem[3].pos.line, 9); /* COMMIT is missing */
	assert_true(pg_lint_has_errors(&lint));
}

static void lint_of_one_family_does_not_ask_for_the_other(void **state)
{
	static const char text[] = "*filter\n:INPUT DROP [0:0]\n"
				   "-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n";
	_cleanup_(pg_lint_free) struct pg_lint lint = {};
	struct pg_err err = {};

	(void)state;
	assert_int_equal(pg_lint_file(text, strlen(text), PG_V4, &lint, &err), 0);
	assert_int_equal(lint.n, 0);
	assert_int_equal(pg_lint_file(text, strlen(text), PG_V6, &lint, &err), 0);
	assert_int_equal(lint.n, 1);
	assert_false(pg_lint_has_errors(&lint));
}

/* Chains 0 to `last`, each of which jumps to the next. */
static void lint_chains(unsigned last, struct pg_lint *ret)
{
	_cleanup_(pg_text_free) struct pg_text text = {};
	struct pg_err err = {};

	pg_text_add(&text, "*filter\n-N c%u\n-A c%u -p tcp -j DROP\n", last, last);
	for (unsigned i = last; i--;)
		pg_text_add(&text, "-N c%u\n-A c%u -p tcp -j c%u\n", i, i, i + 1);
	pg_text_add(&text, "-A INPUT -p tcp -j c0\nCOMMIT\n");
	assert_int_equal(pg_lint_file(text.buf, text.len, 0, ret, &err), 0);
}

static void what_has_no_room_is_an_error(void **state)
{
	_cleanup_(pg_lint_free) struct pg_lint fits = {}, lint = {};

	(void)state;
	lint_chains(31, &fits);
	assert_int_equal(fits.n, 0);
	lint_chains(32, &lint);
	assert_int_equal(lint.n, 1);
	assert_int_equal(lint.problem[0].code, PG_LINT_TOO_LARGE);
	assert_int_equal(lint.problem[0].pos.line, 2 + 2 * 33); /* INPUT's */
	assert_true(pg_lint_has_errors(&lint));
}

static void ssh_connections_are_read(void **state)
{
	struct pg_ssh ssh;

	(void)state;
	assert_true(pg_ssh_parse("192.0.2.1 4000 192.0.2.2 22", &ssh));
	assert_int_equal(ssh.family, PG_FAMILY_V4);
	assert_int_equal(ssh.client[3], 1);
	assert_int_equal(ssh.server[3], 2);
	assert_int_equal(ssh.client_port, 4000);
	assert_int_equal(ssh.server_port, 22);
	assert_true(pg_ssh_parse("fe80::1%eth0 4000 fe80::2%eth0 22", &ssh));
	assert_int_equal(ssh.family, PG_FAMILY_V6);
	assert_int_equal(ssh.server[15], 2);
	assert_true(pg_ssh_parse("::ffff:192.0.2.1 4000 ::ffff:192.0.2.2 22", &ssh));
	assert_int_equal(ssh.family, PG_FAMILY_V4);
	assert_int_equal(ssh.client[0], 192);
	assert_false(pg_ssh_parse("", &ssh));
	assert_false(pg_ssh_parse("192.0.2.1 4000 192.0.2.2", &ssh));
	assert_false(pg_ssh_parse("192.0.2.1 0 192.0.2.2 22", &ssh));
	assert_false(pg_ssh_parse("192.0.2.1 4000 ::2 22", &ssh));
	assert_false(pg_ssh_parse("192.0.2.1 4000 192.0.2.2 22 x", &ssh));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lint_finds_what_the_row_says),
		cmocka_unit_test(lint_goes_on_behind_foreign_tables),
		cmocka_unit_test(lint_of_one_family_does_not_ask_for_the_other),
		cmocka_unit_test(what_has_no_room_is_an_error),
		cmocka_unit_test(ssh_connections_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
