/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What iptables-legacy and ip6tables-legacy 1.8.9 print for these rules, taken from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "list.h"
#include "rules.h"

static const char *const rules4[] = {
	"-4 -A INPUT -p tcp --dport 80 -c 5 7 -j ACCEPT",
	"-4 -A INPUT -p tcp -f -c 1234567 123456789 -m comment --comment \"a b\"",
	"-4 -A INPUT ! -s 1.2.3.4/16 -i eth0 -p udp -m multiport ! --dports 53,80:90 -c 99999 100000 -j DROP",
	"-4 -A INPUT -p icmp --icmp-type 8 -j DROP",
	"-4 -A INPUT -p icmp ! --icmp-type 3/77",
	"-4 -A INPUT -p icmp --icmp-type any",
	"-4 -A INPUT -p tcp --syn",
	"-4 -A INPUT -p tcp ! --tcp-flags SYN,ACK SYN --sport 1:5 ! --dport 6",
	"-4 -A INPUT -p gre -c 100000 10000000 -d 10.1.2.3/255.0.255.0 ! -f",
	"-4 -A INPUT ! -p sctp -s 123.123.123.123/30 -d 111.111.111.111/31 ! -i verylongname123 -c 9999999999 99999999999999 -j DROP",
	"-4 -A INPUT -p 77",
	"-4 -A INPUT -s 127.0.0.1 -p udp -m multiport --sports 53",
	NULL,
};

static const char *const rules6[] = {
	"-6 -A INPUT -p icmpv6 --icmpv6-type 128 -j ACCEPT",
	"-6 -A INPUT -p icmpv6 ! --icmpv6-type 1/77",
	"-6 -A INPUT -s fe80::/10 -d 2001:db8::1 -p tcp --dport 22",
	"-6 -A INPUT -s 2001:db8::/ffff:0:ffff:: -j DROP",
	"-6 -A INPUT -d ::1/128",
	NULL,
};

static const struct {
	const char *name; /* iptables' options */
	bool v6;
	struct pg_list_opts opts;
	const char *text;
} listings[] = {
	{ "-L INPUT -n", false, { .chain = "INPUT", .numeric = true },
		  "Chain INPUT (policy ACCEPT)\n"
		  "target     prot opt source               destination         \n"
		  "ACCEPT     6    --  0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n"
		  "           6    -f  0.0.0.0/0            0.0.0.0/0            /* a b */\n"
		  "DROP       17   -- !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n"
		  "DROP       1    --  0.0.0.0/0            0.0.0.0/0            icmptype 8\n"
		  "           1    --  0.0.0.0/0            0.0.0.0/0            icmp !type 3 code 77\n"
		  "           1    --  0.0.0.0/0            0.0.0.0/0            icmptype 255\n"
		  "           6    --  0.0.0.0/0            0.0.0.0/0            tcp flags:0x17/0x02\n"
		  "           6    --  0.0.0.0/0            0.0.0.0/0            tcp spts:1:5 dpt:!6 flags:!0x12/0x02\n"
		  "           47   !f  0.0.0.0/0            10.0.2.0/255.0.255.0 \n"
		  "DROP      !132  --  123.123.123.120/30   111.111.111.110/31  \n"
		  "           77   --  0.0.0.0/0            0.0.0.0/0           \n"
		  "           17   --  127.0.0.1            0.0.0.0/0            multiport sports 53\n" },
	{ "-L INPUT -n -v", false, { .chain = "INPUT", .numeric = true, .verbose = true },
		  "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n"
		  " pkts bytes target     prot opt in     out     source               destination         \n"
		  "    5     7 ACCEPT     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n"
		  "1235K  123M            6    -f  *      *       0.0.0.0/0            0.0.0.0/0            /* a b */\n"
		  "99999  100K DROP       17   --  eth0   *      !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n"
		  "    0     0 DROP       1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 8\n"
		  "    0     0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmp !type 3 code 77\n"
		  "    0     0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 255\n"
		  "    0     0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp flags:0x17/0x02\n"
		  "    0     0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp spts:1:5 dpt:!6 flags:!0x12/0x02\n"
		  " 100K   10M            47   !f  *      *       0.0.0.0/0            10.0.2.0/255.0.255.0 \n"
		  "  10G  100T DROP      !132  --  !verylongname123 *       123.123.123.120/30   111.111.111.110/31  \n"
		  "    0     0            77   --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
		  "    0     0            17   --  *      *       127.0.0.1            0.0.0.0/0            multiport sports 53\n" },
	{ "-L INPUT -n -v -x", false, { .chain = "INPUT", .numeric = true, .verbose = true, .exact = true },
		  "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n"
		  "    pkts      bytes target     prot opt in     out     source               destination         \n"
		  "       5        7 ACCEPT     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n"
		  " 1234567 123456789            6    -f  *      *       0.0.0.0/0            0.0.0.0/0            /* a b */\n"
		  "   99999   100000 DROP       17   --  eth0   *      !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n"
		  "       0        0 DROP       1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 8\n"
		  "       0        0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmp !type 3 code 77\n"
		  "       0        0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 255\n"
		  "       0        0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp flags:0x17/0x02\n"
		  "       0        0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp spts:1:5 dpt:!6 flags:!0x12/0x02\n"
		  "  100000 10000000            47   !f  *      *       0.0.0.0/0            10.0.2.0/255.0.255.0 \n"
		  "9999999999 99999999999999 DROP      !132  --  !verylongname123 *       123.123.123.120/30   111.111.111.110/31  \n"
		  "       0        0            77   --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
		  "       0        0            17   --  *      *       127.0.0.1            0.0.0.0/0            multiport sports 53\n" },
	{ "-L INPUT -n --line-numbers", false, { .chain = "INPUT", .numeric = true, .line_numbers = true },
		  "Chain INPUT (policy ACCEPT)\n"
		  "num  target     prot opt source               destination         \n"
		  "1    ACCEPT     6    --  0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n"
		  "2               6    -f  0.0.0.0/0            0.0.0.0/0            /* a b */\n"
		  "3    DROP       17   -- !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n"
		  "4    DROP       1    --  0.0.0.0/0            0.0.0.0/0            icmptype 8\n"
		  "5               1    --  0.0.0.0/0            0.0.0.0/0            icmp !type 3 code 77\n"
		  "6               1    --  0.0.0.0/0            0.0.0.0/0            icmptype 255\n"
		  "7               6    --  0.0.0.0/0            0.0.0.0/0            tcp flags:0x17/0x02\n"
		  "8               6    --  0.0.0.0/0            0.0.0.0/0            tcp spts:1:5 dpt:!6 flags:!0x12/0x02\n"
		  "9               47   !f  0.0.0.0/0            10.0.2.0/255.0.255.0 \n"
		  "10   DROP      !132  --  123.123.123.120/30   111.111.111.110/31  \n"
		  "11              77   --  0.0.0.0/0            0.0.0.0/0           \n"
		  "12              17   --  127.0.0.1            0.0.0.0/0            multiport sports 53\n" },
	{ "-L INPUT -n -v --line-numbers", false, { .chain = "INPUT", .numeric = true, .verbose = true, .line_numbers = true },
		  "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n"
		  "num   pkts bytes target     prot opt in     out     source               destination         \n"
		  "1        5     7 ACCEPT     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n"
		  "2    1235K  123M            6    -f  *      *       0.0.0.0/0            0.0.0.0/0            /* a b */\n"
		  "3    99999  100K DROP       17   --  eth0   *      !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n"
		  "4        0     0 DROP       1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 8\n"
		  "5        0     0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmp !type 3 code 77\n"
		  "6        0     0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 255\n"
		  "7        0     0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp flags:0x17/0x02\n"
		  "8        0     0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp spts:1:5 dpt:!6 flags:!0x12/0x02\n"
		  "9     100K   10M            47   !f  *      *       0.0.0.0/0            10.0.2.0/255.0.255.0 \n"
		  "10     10G  100T DROP      !132  --  !verylongname123 *       123.123.123.120/30   111.111.111.110/31  \n"
		  "11       0     0            77   --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
		  "12       0     0            17   --  *      *       127.0.0.1            0.0.0.0/0            multiport sports 53\n" },
	{ "-L INPUT 3 -n -v", false, { .chain = "INPUT", .num = 3, .numeric = true, .verbose = true },
		  "99999  100K DROP       17   --  eth0   *      !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n" },
	{ "-L INPUT 99 -n", false, { .chain = "INPUT", .num = 99, .numeric = true },
		  "" },
	{ "-L -n -v", false, { .numeric = true, .verbose = true },
		  "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n"
		  " pkts bytes target     prot opt in     out     source               destination         \n"
		  "    5     7 ACCEPT     6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n"
		  "1235K  123M            6    -f  *      *       0.0.0.0/0            0.0.0.0/0            /* a b */\n"
		  "99999  100K DROP       17   --  eth0   *      !1.2.0.0/16           0.0.0.0/0            multiport dports  !53,80:90\n"
		  "    0     0 DROP       1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 8\n"
		  "    0     0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmp !type 3 code 77\n"
		  "    0     0            1    --  *      *       0.0.0.0/0            0.0.0.0/0            icmptype 255\n"
		  "    0     0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp flags:0x17/0x02\n"
		  "    0     0            6    --  *      *       0.0.0.0/0            0.0.0.0/0            tcp spts:1:5 dpt:!6 flags:!0x12/0x02\n"
		  " 100K   10M            47   !f  *      *       0.0.0.0/0            10.0.2.0/255.0.255.0 \n"
		  "  10G  100T DROP      !132  --  !verylongname123 *       123.123.123.120/30   111.111.111.110/31  \n"
		  "    0     0            77   --  *      *       0.0.0.0/0            0.0.0.0/0           \n"
		  "    0     0            17   --  *      *       127.0.0.1            0.0.0.0/0            multiport sports 53\n"
		  "\n"
		  "Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)\n"
		  " pkts bytes target     prot opt in     out     source               destination         \n"
		  "\n"
		  "Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)\n"
		  " pkts bytes target     prot opt in     out     source               destination         \n" },
	{ "-L INPUT -n", true, { .chain = "INPUT", .numeric = true },
		  "Chain INPUT (policy ACCEPT)\n"
		  "target     prot opt source               destination         \n"
		  "ACCEPT     58   --  ::/0                 ::/0                 ipv6-icmptype 128\n"
		  "           58   --  ::/0                 ::/0                 ipv6-icmp !type 1 code 77\n"
		  "           6    --  fe80::/10            2001:db8::1          tcp dpt:22\n"
		  "DROP       0    --  2001::/ffff:0:ffff::  ::/0                \n"
		  "           0    --  ::/0                 ::1                 \n" },
	{ "-L INPUT -n -v", true, { .chain = "INPUT", .numeric = true, .verbose = true },
		  "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n"
		  " pkts bytes target     prot opt in     out     source               destination         \n"
		  "    0     0 ACCEPT     58   --  *      *       ::/0                 ::/0                 ipv6-icmptype 128\n"
		  "    0     0            58   --  *      *       ::/0                 ::/0                 ipv6-icmp !type 1 code 77\n"
		  "    0     0            6    --  *      *       fe80::/10            2001:db8::1          tcp dpt:22\n"
		  "    0     0 DROP       0    --  *      *       2001::/ffff:0:ffff::  ::/0                \n"
		  "    0     0            0    --  *      *       ::/0                 ::1                 \n" },
};

static const struct {
	const char *name;
	struct pg_list_opts opts;
	const char *text;
} rule_listings[] = {
	{ "-S", { 0 },
		  "-P INPUT ACCEPT\n"
		  "-P FORWARD ACCEPT\n"
		  "-P OUTPUT ACCEPT\n"
		  "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n"
		  "-A INPUT -p tcp -f -m comment --comment \"a b\"\n"
		  "-A INPUT ! -s 1.2.0.0/16 -i eth0 -p udp -m multiport ! --dports 53,80:90 -j DROP\n"
		  "-A INPUT -p icmp -m icmp --icmp-type 8 -j DROP\n"
		  "-A INPUT -p icmp -m icmp ! --icmp-type 3/77\n"
		  "-A INPUT -p icmp -m icmp --icmp-type any\n"
		  "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN\n"
		  "-A INPUT -p tcp -m tcp --sport 1:5 ! --dport 6 ! --tcp-flags SYN,ACK SYN\n"
		  "-A INPUT -d 10.0.2.0/255.0.255.0 -p gre ! -f\n"
		  "-A INPUT -s 123.123.123.120/30 -d 111.111.111.110/31 ! -i verylongname123 ! -p sctp -j DROP\n"
		  "-A INPUT -p 77\n"
		  "-A INPUT -s 127.0.0.1/32 -p udp -m multiport --sports 53\n" },
	{ "-S INPUT", { .chain = "INPUT" },
		  "-P INPUT ACCEPT\n"
		  "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n"
		  "-A INPUT -p tcp -f -m comment --comment \"a b\"\n"
		  "-A INPUT ! -s 1.2.0.0/16 -i eth0 -p udp -m multiport ! --dports 53,80:90 -j DROP\n"
		  "-A INPUT -p icmp -m icmp --icmp-type 8 -j DROP\n"
		  "-A INPUT -p icmp -m icmp ! --icmp-type 3/77\n"
		  "-A INPUT -p icmp -m icmp --icmp-type any\n"
		  "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN\n"
		  "-A INPUT -p tcp -m tcp --sport 1:5 ! --dport 6 ! --tcp-flags SYN,ACK SYN\n"
		  "-A INPUT -d 10.0.2.0/255.0.255.0 -p gre ! -f\n"
		  "-A INPUT -s 123.123.123.120/30 -d 111.111.111.110/31 ! -i verylongname123 ! -p sctp -j DROP\n"
		  "-A INPUT -p 77\n"
		  "-A INPUT -s 127.0.0.1/32 -p udp -m multiport --sports 53\n" },
	{ "-S INPUT -v", { .chain = "INPUT", .verbose = true },
		  "-P INPUT ACCEPT -c 0 0\n"
		  "-A INPUT -p tcp -m tcp --dport 80 -c 5 7 -j ACCEPT\n"
		  "-A INPUT -p tcp -f -m comment --comment \"a b\" -c 1234567 123456789\n"
		  "-A INPUT ! -s 1.2.0.0/16 -i eth0 -p udp -m multiport ! --dports 53,80:90 -c 99999 100000 -j DROP\n"
		  "-A INPUT -p icmp -m icmp --icmp-type 8 -c 0 0 -j DROP\n"
		  "-A INPUT -p icmp -m icmp ! --icmp-type 3/77 -c 0 0\n"
		  "-A INPUT -p icmp -m icmp --icmp-type any -c 0 0\n"
		  "-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -c 0 0\n"
		  "-A INPUT -p tcp -m tcp --sport 1:5 ! --dport 6 ! --tcp-flags SYN,ACK SYN -c 0 0\n"
		  "-A INPUT -d 10.0.2.0/255.0.255.0 -p gre ! -f -c 100000 10000000\n"
		  "-A INPUT -s 123.123.123.120/30 -d 111.111.111.110/31 ! -i verylongname123 ! -p sctp -c 9999999999 99999999999999 -j DROP\n"
		  "-A INPUT -p 77 -c 0 0\n"
		  "-A INPUT -s 127.0.0.1/32 -p udp -m multiport --sports 53 -c 0 0\n" },
	{ "-S INPUT 2 -v", { .chain = "INPUT", .num = 2, .verbose = true },
		  "-A INPUT -p tcp -f -m comment --comment \"a b\" -c 1234567 123456789\n" },
	{ "-S INPUT 99", { .chain = "INPUT", .num = 99 },
		  "" },
	{ "-S OUTPUT", { .chain = "OUTPUT" },
		  "-P OUTPUT ACCEPT\n" },
};

/* Lines end in " IPv4 only" where a rule says -4, and have the -4, which iptables does not know. */
static void strip(char *text, const char *what)
{
	for (char *at; (at = strstr(text, what));)
		memmove(at, at + strlen(what), strlen(at + strlen(what)) + 1);
}

static void rules_are_listed_as_by_iptables(void **state)
{
	struct pg_ruleset *v4 = policy_of(rules4), *v6 = policy_of(rules6);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(listings); i++) {
		struct pg_text t = {};

		pg_text_addn(&t, "", 0);
		pg_list_print(&t, listings[i].v6 ? v6 : v4, &listings[i].opts);
		assert_false(t.oom);
		strip(t.buf, " IPv4 only");
		strip(t.buf, " IPv6 only");
		if (strcmp(t.buf, listings[i].text))
			fail_msg("%s:\n%s", listings[i].name, t.buf);
		pg_text_free(&t);
	}
	pg_ruleset_free(v4);
	pg_ruleset_free(v6);
}

static void rules_are_printed_as_by_iptables(void **state)
{
	struct pg_ruleset *set = policy_of(rules4);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rule_listings); i++) {
		struct pg_text t = {};

		pg_text_addn(&t, "", 0);
		pg_list_rules_print(&t, set, &rule_listings[i].opts);
		assert_false(t.oom);
		strip(t.buf, " -4");
		if (strcmp(t.buf, rule_listings[i].text))
			fail_msg("%s:\n%s", rule_listings[i].name, t.buf);
		pg_text_free(&t);
	}
	pg_ruleset_free(set);
}

static void a_family_shows_only_its_rules(void **state)
{
	struct pg_ruleset *set = POLICY("-A INPUT -p tcp", "-A INPUT -s ::1", "-A INPUT -4 -j DROP");
	const struct pg_list_opts opts = { .chain = "INPUT", .family = PG_V6 };
	struct pg_text t = {};

	(void)state;
	pg_list_rules_print(&t, set, &opts);
	assert_string_equal(t.buf, "-P INPUT ACCEPT\n-A INPUT -p tcp\n-A INPUT -s ::1/128\n");
	pg_text_free(&t);
	pg_ruleset_free(set);
}

static void verbose_shows_a_rule_on_one_line(void **state)
{
	static const struct {
		const char *line, *text;
	} rows[] = {
		{ "-A INPUT ! -s 1.2.3.4 ! -d 5.6.7.8 ! -i eth0 -p 77 -f -j DROP",
		  "DROP  77 opt -f in !eth0 out * !1.2.3.4 !-> 5.6.7.8  \n" },
		{ "-A INPUT -p tcp -s 10.0.0.0/8 -d 10.1.2.3/255.0.255.0 --dport 5 -m comment --comment x",
		  "  tcp opt -- in * out *  10.0.0.0/8  -> 10.0.2.0/255.0.255.0   tcp dpt:5 /* x */\n" },
		{ "-A INPUT ! -p tcp -s 127.0.0.1 -j ACCEPT",
		  "ACCEPT !tcp opt -- in * out *  127.0.0.1  -> 0.0.0.0/0  \n" },
		{ "-A INPUT -d 127.0.0.1",
		  "  all opt -- in * out *  0.0.0.0/0  -> 127.0.0.1  \n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_ruleset *set = POLICY(rows[i].line);
		struct pg_text t = {};

		pg_list_one(&t, &set->chain[PG_CHAIN_INPUT].rule[0]);
		if (strcmp(t.buf, rows[i].text))
			fail_msg("%s: %s", rows[i].line, t.buf);
		pg_text_free(&t);
		pg_ruleset_free(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_listed_as_by_iptables),
		cmocka_unit_test(rules_are_printed_as_by_iptables),
		cmocka_unit_test(a_family_shows_only_its_rules),
		cmocka_unit_test(verbose_shows_a_rule_on_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
