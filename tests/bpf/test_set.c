/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Named sets as packets meet them: set_contains() in a program of its own, on a private instance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "dp_impl.h"
#include "ipset.h"
#include "set_test.h"
#include "tests/bpf/set.skel.h"

enum { SRC = 1, SRC2 = 2, PORT = PG_SET_WITH_PORT };

static struct pg_dp *dp;
static struct set_bpf *skel[2]; /* as two interfaces have copies of their own */

static uint64_t now(void)
{
	return pg_clock_ns(CLOCK_MONOTONIC);
}

/* One command of ipset's, with `at` for the time at which timeouts begin. */
static int apply(struct pg_sets *sets, const char *text, uint64_t at, struct pg_err *err)
{
	const char *words[PG_IPSET_WORDS_MAX];
	char line[256], skipped[64];
	struct pg_ipset_range range;
	struct pg_ipset_cmd cmd;
	struct pg_set_info info;
	struct pg_set_entry e;
	struct pg_set *set;
	size_t n;
	int r;

	snprintf(line, sizeof(line), "%s", text);
	r = pg_ipset_split(line, words, &n, err);
	if (!r)
		r = pg_ipset_command(words, n, &cmd, err);
	if (r < 0)
		return r;
	switch (cmd.verb) {
	case PG_IPSET_CREATE:
		r = pg_ipset_create(&cmd, &info, skipped, sizeof(skipped), err);
		return r < 0 ? r : pg_sets_create(sets, &info, false, err);
	case PG_IPSET_DESTROY:
		return pg_sets_destroy(sets, cmd.name, err);
	case PG_IPSET_FLUSH:
		return pg_sets_flush(sets, cmd.name, err);
	case PG_IPSET_SWAP:
		return pg_sets_swap(sets, cmd.name, cmd.second, err);
	default:
		break;
	}
	set = pg_sets_find(sets, cmd.name);
	r = set ? pg_ipset_entry(&cmd, &set->info, at, &range, err) : -ENOENT;
	while (!r && pg_ipset_next(&range, &e))
		r = cmd.verb == PG_IPSET_ADD ? pg_set_add(sets, set, &e, true, err) :
					       pg_set_del(sets, set, &e, false, err);
	return r;
}

/* Commands, one a line, in one commit; timeouts begin at `at`. */
static void sets_at(uint64_t at, const char *commands)
{
	struct pg_set_info infos[PG_SETS];
	struct pg_err err = { 0 };
	struct pg_sets_base base;
	struct pg_sets *sets;
	char text[2048];

	pg_dp_sets_read(dp, infos);
	pg_dp_sets_base(dp, &base);
	sets = pg_sets_new(infos, &base, now());
	assert_non_null(sets);
	snprintf(text, sizeof(text), "%s", commands);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (apply(sets, line, at, &err) < 0)
			fail_msg("%s: %s", line, err.text);
	if (pg_dp_sets_commit(dp, sets, &err) < 0)
		fail_msg("commit: %s", err.text);
	pg_sets_free(sets);
}

static void sets(const char *commands)
{
	sets_at(now(), commands);
}

static void no_sets(void)
{
	sets("destroy");
}

/* One question to a program; `drop` is its answer for yes. */
static bool ask_program(int fd, const struct set_test *q, uint32_t drop)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = q, .data_size_in = sizeof(*q));

	assert_int_equal(bpf_prog_test_run_opts(fd, &opts), 0);
	return opts.retval == drop;
}

/* Every program must give the same answer. */
static bool ask(const struct set_test *q)
{
	bool yes = ask_program(bpf_program__fd(skel[0]->progs.ask_xdp), q, 1);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask_program(bpf_program__fd(skel[i]->progs.ask_xdp), q, 1), yes);
		assert_int_equal(ask_program(bpf_program__fd(skel[i]->progs.ask_tc), q, 2), yes);
	}
	return yes;
}

static struct set_test question(const char *name, const char *src, const char *dst,
				    unsigned dirs)
{
	struct set_test q = { .dirs = dirs, .l4_state = PG_L4_FULL };
	struct pg_set_info info;
	int af = strchr(src, ':') ? AF_INET6 : AF_INET;

	assert_int_equal(pg_dp_set_find(dp, name, &q.id, &info), 0);
	q.net = info.net;
	if (info.type == PG_SET_HASH_IP_PORT)
		q.dirs |= PORT;
	q.family = af == AF_INET ? PG_FAMILY_V4 : PG_FAMILY_V6;
	/* Behind an IPv4 address, struct pkt holds whatever was there. */
	memset(q.saddr, 0xa5, sizeof(q.saddr));
	memset(q.daddr, 0xa5, sizeof(q.daddr));
	assert_int_equal(inet_pton(af, src, q.saddr), 1);
	assert_int_equal(inet_pton(af, dst, q.daddr), 1);
	return q;
}

static bool from(const char *name, const char *src)
{
	struct set_test q =
		question(name, src, strchr(src, ':') ? "2001:db8:ffff::1" : "203.0.113.77", SRC);

	return ask(&q);
}

static bool to(const char *name, const char *dst)
{
	struct set_test q =
		question(name, strchr(dst, ':') ? "2001:db8:ffff::1" : "203.0.113.77", dst, 0);

	return ask(&q);
}

static void addresses(void **state)
{
	(void)state;
	sets("create a hash:ip\nadd a 192.0.2.1\nadd a 198.51.100.0/30\n"
	     "create a6 hash:ip family inet6\nadd a6 2001:db8::1\nadd a6 c000:201::");
	assert_true(from("a", "192.0.2.1"));
	assert_true(to("a", "192.0.2.1"));
	assert_false(from("a", "192.0.2.2"));
	assert_true(from("a", "198.51.100.3"));
	assert_false(from("a", "198.51.100.4"));
	assert_true(from("a6", "2001:db8::1"));
	assert_true(to("a6", "2001:db8::1"));
	assert_false(from("a6", "2001:db8::2"));
	assert_false(from("a", "2001:db8::1"));
	assert_false(from("a6", "192.0.2.1")); /* c000:201:: begins with the same bytes */
	no_sets();
}

static void only_the_asked_side_counts(void **state)
{
	struct set_test q;

	(void)state;
	sets("create a hash:ip\nadd a 192.0.2.1");
	q = question("a", "192.0.2.1", "192.0.2.9", SRC);
	assert_true(ask(&q));
	q.dirs = 0;
	assert_false(ask(&q));
	no_sets();
}

static void the_longest_prefix_decides(void **state)
{
	(void)state;
	sets("create n hash:net\nadd n 10.0.0.0/8\nadd n 10.1.0.0/16 nomatch\nadd n 10.1.2.0/24\n"
	     "add n 10.1.2.3 nomatch\nadd n 0.0.0.0/1 nomatch\nadd n 128.0.0.0/1\n"
	     "create n6 hash:net family inet6\nadd n6 2001:db8::/32\nadd n6 2001:db8:1::/48 nomatch\n"
	     "add n6 a00::/8");
	assert_true(from("n", "10.2.3.4"));
	assert_false(from("n", "10.1.3.4"));
	assert_true(from("n", "10.1.2.4"));
	assert_false(from("n", "10.1.2.3"));
	assert_false(from("n", "11.0.0.1"));
	assert_true(from("n", "255.255.255.255"));
	assert_true(from("n6", "2001:db8:2::1"));
	assert_false(from("n6", "2001:db8:1::1"));
	assert_false(from("n6", "2001:db9::1"));
	assert_false(from("n6", "10.0.0.1")); /* as is a00::/8 */
	assert_false(from("n", "ff00::1"));
	no_sets();
}

static void netmasks_are_prefixes(void **state)
{
	(void)state;
	sets("create m hash:ip netmask 24\nadd m 10.1.2.3");
	assert_true(from("m", "10.1.2.200"));
	assert_false(from("m", "10.1.3.3"));
	no_sets();
}

static bool ports(uint8_t proto, uint16_t sport, uint16_t dport, unsigned dirs)
{
	struct set_test q = question("p", "192.0.2.1", "192.0.2.2", dirs);

	q.proto = proto;
	q.has_ports = proto != IPPROTO_ICMP && proto != IPPROTO_GRE;
	q.has_icmp = proto == IPPROTO_ICMP;
	q.sport = sport;
	q.dport = dport;
	return ask(&q);
}

static void addresses_with_ports(void **state)
{
	(void)state;
	sets("create p hash:ip,port\nadd p 192.0.2.1,tcp:80\nadd p 192.0.2.2,tcp:80\n"
	     "add p 192.0.2.1,icmp:3/4\nadd p 192.0.2.1,gre:0\nadd p 192.0.2.1,dccp:0\n"
	     "add p 192.0.2.1,sctp:9\nadd p 192.0.2.1,udplite:9");
	assert_true(ports(IPPROTO_TCP, 80, 1, SRC | SRC2));
	assert_true(ports(IPPROTO_TCP, 1, 80, SRC));
	assert_true(ports(IPPROTO_TCP, 80, 1, SRC2));
	assert_true(ports(IPPROTO_TCP, 1, 80, 0));
	assert_false(ports(IPPROTO_TCP, 80, 1, SRC));
	assert_false(ports(IPPROTO_TCP, 1, 80, SRC | SRC2));
	assert_false(ports(IPPROTO_UDP, 80, 80, SRC | SRC2));
	assert_true(ports(IPPROTO_SCTP, 9, 1, SRC | SRC2));
	assert_true(ports(IPPROTO_UDPLITE, 9, 1, SRC | SRC2));
	/* Type and code are one number, whichever side is asked. */
	assert_true(ports(IPPROTO_ICMP, 3, 4, SRC | SRC2));
	assert_true(ports(IPPROTO_ICMP, 3, 4, SRC));
	assert_false(ports(IPPROTO_ICMP, 4, 3, SRC));
	/* Protocols whose ports ip_set does not know have port 0. */
	assert_true(ports(IPPROTO_GRE, 7, 7, SRC));
	assert_true(ports(IPPROTO_DCCP, 7, 7, SRC));
	no_sets();
}

static void ports_that_cannot_be_read(void **state)
{
	static const struct {
		const char *name;
		uint8_t family, proto, l4_state;
		bool has_ports, has_icmp, in;
	} rows[] = {
		{ "whole header", PG_FAMILY_V4, IPPROTO_TCP, PG_L4_FULL, true, false, true },
		{ "only ports", PG_FAMILY_V4, IPPROTO_TCP, PG_L4_PORTS, true, false, false },
		{ "cut", PG_FAMILY_V4, IPPROTO_TCP, PG_L4_CUT, false, false, false },
		{ "later fragment", PG_FAMILY_V4, IPPROTO_TCP, PG_L4_LATER, false, false, false },
		{ "offset 1", PG_FAMILY_V4, IPPROTO_TCP, PG_L4_OFF1, false, false, false },
		{ "later fragment of ICMP", PG_FAMILY_V4, IPPROTO_ICMP, PG_L4_LATER, false, false, false },
		{ "later fragment without ports", PG_FAMILY_V4, IPPROTO_GRE, PG_L4_LATER, false, false, true },
		{ "IPv6: whole header", PG_FAMILY_V6, IPPROTO_TCP, PG_L4_FULL, true, false, true },
		{ "IPv6: any later fragment", PG_FAMILY_V6, IPPROTO_GRE, PG_L4_LATER, false, false, false },
		{ "IPv6: other protocol", PG_FAMILY_V6, IPPROTO_GRE, PG_L4_FULL, false, false, true },
		{ "IPv6: broken chain", PG_FAMILY_V6, IPPROTO_GRE, PG_L4_BROKEN, false, false, false },
		{ "IPv6: no next header", PG_FAMILY_V6, IPPROTO_NONE, PG_L4_FULL, false, false, false },
	};

	(void)state;
	sets("create p4 hash:ip,port\nadd p4 192.0.2.1,tcp:0\nadd p4 192.0.2.1,gre:0\n"
	     "add p4 192.0.2.1,icmp:0/0\n"
	     "create p6 hash:ip,port family inet6\nadd p6 2001:db8::1,tcp:0\nadd p6 2001:db8::1,gre:0\n"
	     "add p6 2001:db8::1,59:0");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool v4 = rows[i].family == PG_FAMILY_V4;
		struct set_test q = v4 ? question("p4", "192.0.2.1", "192.0.2.2", SRC | SRC2) :
					     question("p6", "2001:db8::1", "2001:db8::2", SRC | SRC2);

		q.proto = rows[i].proto;
		q.l4_state = rows[i].l4_state;
		q.has_ports = rows[i].has_ports;
		q.has_icmp = rows[i].has_icmp;
		if (ask(&q) != rows[i].in)
			fail_msg("%s", rows[i].name);
	}
	no_sets();
}

/* Timeouts that began long ago have ended; nothing has collected them. */
static void what_has_expired_is_gone_and_hides_nothing(void **state)
{
	uint64_t past = now() - 100000000000ULL;

	(void)state;
	sets("create a hash:ip timeout 50\nadd a 192.0.2.2 timeout 0\n"
	     "create n hash:net timeout 50\nadd n 10.0.0.0/8 timeout 0\n"
	     "create n6 hash:net family inet6 timeout 50\nadd n6 2000::/3 timeout 0");
	sets_at(past, "add a 192.0.2.1\nadd a 192.0.2.3 timeout 1000\n"
		      "add n 10.1.0.0/16 nomatch\nadd n 10.1.2.0/24 timeout 1000 nomatch\n"
		      "add n 10.1.2.4\nadd n 10.1.2.4/31\nadd n 172.16.0.0/12\n"
		      "add n6 2001:db8::1\nadd n6 2001:db8::/127\nadd n6 2001:db8::/32 nomatch");
	assert_false(from("a", "192.0.2.1"));
	assert_true(from("a", "192.0.2.2"));
	assert_true(from("a", "192.0.2.3"));
	assert_true(from("n", "10.1.3.1"));
	assert_false(from("n", "10.1.2.4"));
	assert_false(from("n", "172.16.0.1"));
	assert_true(from("n6", "2001:db8::1"));
	no_sets();
}

/* Every prefix of one address, all but the shortest expired: the longest way there is. */
static void as_many_prefixes_as_there_are(void **state)
{
	uint64_t past = now() - 100000000000ULL;
	char line[64];

	(void)state;
	sets("create n6 hash:net family inet6 timeout 50\nadd n6 8000::/1 timeout 0");
	for (int bits = 2; bits <= 128; bits++) {
		snprintf(line, sizeof(line), "add n6 ffff::1/%d nomatch", bits);
		sets_at(past, line);
	}
	assert_true(from("n6", "ffff::1"));
	assert_false(from("n6", "7fff::1"));
	no_sets();
}

static void swapped_flushed_and_destroyed(void **state)
{
	struct set_test q;

	(void)state;
	sets("create a hash:ip\nadd a 192.0.2.1\ncreate b hash:ip\nadd b 192.0.2.2");
	sets("swap a b");
	assert_true(from("a", "192.0.2.2"));
	assert_true(from("b", "192.0.2.1"));
	sets("create c hash:ip\nadd c 192.0.2.3\nadd a 192.0.2.4\nswap a c\nswap b c\ndestroy c");
	assert_true(from("a", "192.0.2.3"));
	assert_false(from("a", "192.0.2.4"));
	assert_true(from("b", "192.0.2.4"));
	assert_true(from("b", "192.0.2.2"));
	q = question("b", "192.0.2.2", "192.0.2.2", SRC);
	sets("flush b");
	assert_false(ask(&q));
	sets("destroy b\ncreate n hash:net\nadd n 192.0.2.2");
	assert_false(ask(&q)); /* its number is n's now, but n is no hash */
	assert_true(from("n", "192.0.2.2"));
	no_sets();
	assert_false(ask(&q));
}

static void sets_grow_and_keep_what_they_have(void **state)
{
	uint32_t id;
	struct pg_set_info info;

	(void)state;
	sets("create a hash:ip hashsize 64 maxelem 100000 timeout 0\nadd a 192.0.2.1\n"
	     "add a 198.51.100.1 timeout 100");
	sets("add a 10.0.0.1-10.0.4.255\ndel a 10.0.0.7\ndel a 192.0.2.1\nadd a 192.0.2.3");
	assert_int_equal(pg_dp_set_find(dp, "a", &id, &info), 0);
	assert_int_equal(info.count, 1 + 5 * 256 - 1 - 1 + 1);
	assert_int_equal(info.hashsize, 2048);
	assert_true(from("a", "10.0.0.1"));
	assert_true(from("a", "10.0.4.255"));
	assert_true(from("a", "198.51.100.1"));
	assert_false(from("a", "10.0.0.7"));
	assert_false(from("a", "192.0.2.1"));
	assert_true(from("a", "192.0.2.3"));
	no_sets();
}

static int count_one(void *arg, const struct pg_set_entry *e)
{
	(void)e;
	++*(unsigned *)arg;
	return 0;
}

static void the_expired_are_collected(void **state)
{
	static const char *const names[] = { "a", "n" };
	uint64_t at = now(), past = at - 100000000000ULL;
	struct pg_err err = { 0 };
	struct pg_set_info info;
	unsigned n;
	bool put_off;
	uint32_t id;

	(void)state;
	sets("create a hash:ip timeout 50\nadd a 11.1.0.0-11.1.0.2 timeout 0\n"
	     "create n hash:net timeout 50\nadd n 10.1.0.0-10.1.0.2 timeout 70");
	sets_at(past, "add a 10.0.0.1-10.0.39.255\nadd n 172.16.0.1-172.31.0.9");
	assert_int_equal(pg_dp_sets_collect(dp, at, true, &put_off, &err), 0);
	assert_false(put_off);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(pg_dp_set_find(dp, names[i], &id, &info), 0);
		n = 0;
		assert_int_equal(pg_dp_set_walk(dp, id, count_one, &n, &err), 0);
		assert_int_equal(info.count, i ? 2 : 3);
		assert_int_equal(n, i ? 2 : 3);
		assert_int_equal(info.earliest_ns != 0, i);
	}
	/* Not again at the same moment, unless it is said. */
	sets_at(past, "add a 10.0.0.1-10.0.39.255");
	assert_int_equal(pg_dp_sets_collect(dp, at, false, &put_off, &err), 0);
	assert_true(put_off);
	no_sets();
}

static void a_private_instance_can_share_sets(void **state)
{
	struct pg_dp *other = NULL, *mine = dp;
	struct pg_err err = { 0 };
	struct pg_set_info info;
	uint32_t id;

	(void)state;
	sets("create a hash:ip\nadd a 192.0.2.1\ncreate n hash:net\nadd n 10.0.0.0/8");
	assert_int_equal(pg_dp_open_private(&(struct pg_private_opts){}, &other, &err), 0);
	assert_int_equal(pg_dp_sets_share(other, dp, &err), 0);
	assert_int_equal(pg_dp_set_find(other, "n", &id, &info), 0);
	assert_int_equal(info.type, PG_SET_HASH_NET);
	dp = other; /* what it has is what the first one has */
	sets("add a 192.0.2.9");
	dp = mine;
	assert_true(from("a", "192.0.2.9"));
	pg_dp_close(other);
	assert_true(from("a", "192.0.2.1"));
	no_sets();
}

static void load(struct set_bpf **ret)
{
	*ret = set_bpf__open();
	assert_non_null(*ret);
	for (int i = 0; i < _PG_MAP_MAX; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name((*ret)->obj, pg_map_names[i]);

		if (m)
			assert_int_equal(bpf_map__reuse_fd(m, dp->map[i].fd), 0);
	}
	(*ret)->rodata->set_coarse_clock = ret == &skel[1]; /* both ways to read the clock */
	assert_int_equal(set_bpf__load(*ret), 0);
}

static int setup(void **state)
{
	(void)state;
	load(&skel[0]);
	load(&skel[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(only_the_asked_side_counts),
		cmocka_unit_test(the_longest_prefix_decides),
		cmocka_unit_test(netmasks_are_prefixes),
		cmocka_unit_test(addresses_with_ports),
		cmocka_unit_test(ports_that_cannot_be_read),
		cmocka_unit_test(what_has_expired_is_gone_and_hides_nothing),
		cmocka_unit_test(as_many_prefixes_as_there_are),
		cmocka_unit_test(swapped_flushed_and_destroyed),
		cmocka_unit_test(sets_grow_and_keep_what_they_have),
		cmocka_unit_test(the_expired_are_collected),
		cmocka_unit_test(a_private_instance_can_share_sets),
	};
	struct pg_err err = { 0 };
	int failed;

	if (pg_dp_open_private(&(struct pg_private_opts){}, &dp, &err) < 0) {
		printf("skip: no BPF here: %s\n", err.text);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, setup, NULL);
	set_bpf__destroy(skel[0]);
	set_bpf__destroy(skel[1]);
	pg_dp_close(dp);
	return failed;
}
