/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Many connections at once, among floods, and one connection on two CPUs at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "group.h"
#include "play.h"

static struct harness h;
static uint8_t frame[PKT_MAX];

static void put32(size_t at, uint32_t v)
{
	v = htonl(v);
	memcpy(frame + at, &v, 4);
}

static void start(void)
{
	harness_forget_flows(&h);
	harness_load(&h, ACCEPT_ALL);
}

/* A frame from or to client `i` of many. Departures' IP checksums are not looked at. */
static void run_many(enum pg_prog prog, unsigned i, uint8_t flags, uint32_t seq, uint32_t ack)
{
	bool from_client = prog == PG_PROG_TC_IN;
	unsigned data = flags & PKT_PSH ? 1 : 0;
	size_t len = pkt_build(from_client ? PKT(ETH(), FROM_CLIENT(), TCP(), PAYLOAD(data)) :
					     PKT(ETH(), FROM_SERVER(), TCP(.sport = 80, .dport = 40000),
						 PAYLOAD(data)),
			       frame, sizeof(frame));
	struct pg_err err = { 0 };
	struct pg_trace t;

	put32(38, seq);
	put32(42, ack);
	frame[47] = flags;
	frame[from_client ? 34 : 36] = 0x40 | i >> 8;
	frame[from_client ? 35 : 37] = i;
	assert_int_equal(pg_dp_run_prog(h.dp, prog, frame, len, len, &t, &err), 0);
}

static int count_whole(void *arg, const struct pg_dp_flow *flow)
{
	if (!flow->half_open && flow->end[0].sent.packets == 2 && flow->end[1].sent.packets == 2 &&
	    flow->end[0].sent.bytes == 80 && flow->tcp_state == PG_TCP_ESTABLISHED)
		++*(unsigned *)arg;
	return 0;
}

/* Ten thousand connections go through five million SYNs, with all of their packets counted. */
static void a_flood_of_syns_leaves_ten_thousand(void **state)
{
	const unsigned n = 10000, syns = 5000000;
	struct pg_dp_flow_info before, after;
	unsigned whole = 0;
	struct pg_trace t;
	size_t len;

	(void)state;
	start();
	pg_dp_flow_info(h.dp, &before);
	for (unsigned i = 0; i < n; i++) {
		run_many(PG_PROG_TC_IN, i, PKT_SYN, 100, 0);
		run_many(PG_PROG_TC_OUT, i, PKT_SYN | PKT_ACK, 500, 101);
		run_many(PG_PROG_TC_IN, i, PKT_ACK, 101, 501);
	}
	len = pkt_build(PKT(ETH(), FROM_CLIENT(), TCP()), frame, sizeof(frame));
	for (unsigned i = 0; i < syns; i++) {
		frame[26] = 10, frame[28] = i >> 8, frame[29] = i;
		frame[34] = 0x80 | i >> 16;
		harness_run(&h, PG_DIR_OUT, frame, len, &t);
	}
	for (unsigned i = 0; i < n; i++)
		run_many(PG_PROG_TC_OUT, i, PKT_ACK, 501, 101);
	pg_dp_flows_walk(h.dp, count_whole, &whole);
	pg_dp_flow_info(h.dp, &after);
	assert_int_equal(whole, n);
	assert_int_equal(after.count[PG_FLOW_TABLE], n);
	assert_true(after.count[PG_HALF_OPEN_TABLE] > PG_HALF_OPEN / 2);
	assert_int_equal(after.stats.evicted[PG_FLOW_TABLE], before.stats.evicted[PG_FLOW_TABLE]);
	assert_true(after.stats.evicted[PG_HALF_OPEN_TABLE] -
			    before.stats.evicted[PG_HALF_OPEN_TABLE] >
		    syns / 2);
}

/* Two processes that wait for each other; memory is theirs together. */
struct pair {
	atomic_uint at[2];
	atomic_int failed;
};

static void stay_on(unsigned me)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(me, &cpu);
	assert_int_equal(sched_setaffinity(0, sizeof(cpu), &cpu), 0);
}

/* `work` on CPU 0, and on CPU 1 in a child. */
static void on_two_cpus(void (*work)(struct pair *pair, unsigned me, unsigned n), unsigned n)
{
	cpu_set_t old;
	struct pair *pair;
	int status;
	pid_t child;

	assert_int_equal(sched_getaffinity(0, sizeof(old), &old), 0);
	if (!CPU_ISSET(0, &old) || !CPU_ISSET(1, &old)) {
		print_message("skipped: needs CPUs 0 and 1\n");
		skip();
	}
	pair = mmap(NULL, sizeof(*pair), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(pair, MAP_FAILED);
	child = fork();
	assert_true(child >= 0);
	stay_on(!child);
	work(pair, !child, n);
	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(atomic_load(&pair->failed));
	assert_int_equal(sched_setaffinity(0, sizeof(old), &old), 0);
	munmap(pair, sizeof(*pair));
}

static void meet(struct pair *pair, unsigned me, unsigned step)
{
	time_t until = time(NULL) + 60;

	atomic_store(&pair->at[me], step);
	while (atomic_load(&pair->at[!me]) < step && !atomic_load(&pair->failed)) {
		sched_yield();
		if (time(NULL) > until)
			atomic_store(&pair->failed, 1);
	}
}

/* The client's last packet of the handshake and its first data, each from a CPU of its own. */
static void promote_many(struct pair *pair, unsigned me, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!me) {
			run_many(PG_PROG_TC_IN, i, PKT_SYN, 100, 0);
			run_many(PG_PROG_TC_OUT, i, PKT_SYN | PKT_ACK, 500, 101);
		}
		meet(pair, me, 2 * i + 1);
		run_many(PG_PROG_TC_IN, i, PKT_ACK, 101, 501);
		meet(pair, me, 2 * i + 2);
	}
}

static int count_promoted(void *arg, const struct pg_dp_flow *flow)
{
	unsigned packets = flow->end[0].sent.packets + flow->end[1].sent.packets;
	unsigned bytes = flow->end[0].sent.bytes + flow->end[1].sent.bytes;

	if (!flow->half_open && packets == 4 && bytes == 160)
		++*(unsigned *)arg;
	return 0;
}

/* A connection may be promoted while another CPU counts its packet: none is lost. */
static void two_cpus_at_one_handshake_lose_nothing(void **state)
{
	const unsigned n = 4000;
	unsigned whole = 0;

	(void)state;
	start();
	on_two_cpus(promote_many, n);
	pg_dp_flows_walk(h.dp, count_promoted, &whole);
	assert_int_equal(whole, n);
}

/*
 * `n` bytes, two at a time at most, and an acknowledgement of each as soon as it is sent. The
 * acknowledgements have an IP option, so that they take the general path.
 */
static void send_and_acknowledge(struct pair *pair, unsigned me, unsigned n)
{
	size_t len = me ? pkt_build(PKT(ETH(), FROM_SERVER(), TCP(.sport = 80, .dport = 0x4000,
								  .flags = PKT_ACK | PKT_PSH, .ack = 101),
					PAYLOAD(1)), frame, sizeof(frame)) :
			  pkt_build(PKT(ETH(), IP4(.optlen = 4), TCP(.sport = 0x4000, .flags = PKT_ACK, .seq = 101)),
				    frame, sizeof(frame));
	time_t until = time(NULL) + 60;
	struct pg_err err = { 0 };
	struct pg_trace t;

	for (unsigned i = 1; i <= n && !atomic_load(&pair->failed); i++) {
		while (me ? i - atomic_load(&pair->at[0]) > 2 : atomic_load(&pair->at[1]) < i)
			if (time(NULL) > until) {
				atomic_store(&pair->failed, 1);
				return;
			}
		put32(me ? 38 : 46, 500 + i + !me);
		assert_int_equal(pg_dp_run_prog(h.dp, me ? PG_PROG_TC_OUT : PG_PROG_TC_IN, frame, len, len, &t,
						&err), 0);
		atomic_store(&pair->at[me], i);
	}
}

enum { TWO_WAYS = 100000 };

static int count_both_ways(void *arg, const struct pg_dp_flow *flow)
{
	if (flow->end[0].sent.packets == TWO_WAYS + 2 && flow->end[1].sent.packets == TWO_WAYS + 1)
		++*(unsigned *)arg;
	return 0;
}

/*
 * What is acknowledged was sent, although the packets before it were on another CPU until now. Without a
 * trace, which both CPUs would write.
 */
static void two_cpus_at_both_ways_of_a_connection(void **state)
{
	const struct pg_private_opts opts = { .untraced = true };
	const struct harness traced = h;
	struct pg_dp_flow_info info;
	unsigned whole = 0;
	struct pg_err err = { 0 };

	(void)state;
	assert_true(harness_open_with(&h, &opts, &err));
	harness_load(&h, "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m state --state INVALID -j DROP\nCOMMIT\n");
	run_many(PG_PROG_TC_IN, 0, PKT_SYN, 100, 0);
	run_many(PG_PROG_TC_OUT, 0, PKT_SYN | PKT_ACK, 500, 101);
	run_many(PG_PROG_TC_IN, 0, PKT_ACK, 101, 501);
	on_two_cpus(send_and_acknowledge, TWO_WAYS);
	pg_dp_flows_walk(h.dp, count_both_ways, &whole);
	pg_dp_flow_info(h.dp, &info);
	harness_close(&h);
	h = traced;
	assert_int_equal(info.stats.out_of_window, 0);
	assert_int_equal(whole, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_of_syns_leaves_ten_thousand),
		cmocka_unit_test(two_cpus_at_one_handshake_lose_nothing),
		cmocka_unit_test(two_cpus_at_both_ways_of_a_connection),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open_general(&h, "", &err), &err, tests, ARRAY_SIZE(tests),
			 NULL);
}
