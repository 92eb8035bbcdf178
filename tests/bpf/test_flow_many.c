/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Many connections at once, among floods, and one connection on two CPUs at once. PG_N makes floods and such
 * connections shorter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
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

/* PG_N, if that is fewer than usual, but not below what the test needs to mean anything. */
static unsigned at_most(unsigned usual, unsigned needed)
{
	unsigned long n = getenv("PG_N") ? strtoul(getenv("PG_N"), NULL, 10) : usual;

	return n > usual ? usual : n < needed ? needed : (unsigned)n;
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

/* `work` on CPU 0, and on CPU 1 in a child. Returns where the first has come to. */
static unsigned on_two_cpus(void (*work)(struct pair *pair, unsigned me, unsigned n), unsigned n)
{
	cpu_set_t old;
	struct pair *pair;
	int status;
	pid_t child;
	unsigned at;

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
	at = atomic_load(&pair->at[0]);
	munmap(pair, sizeof(*pair));
	return at;
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

/* Floods --------------------------------------------------------------------------------------- */

enum { OF_A_FLOOD = 10000 };

static unsigned syns;

/* Arrivals from 256 addresses, whose halves add up to the same, so that the IP checksum holds; by port. */
static void flood(struct pair *pair)
{
	size_t len = pkt_build(PKT(ETH(), FROM_CLIENT(.src = "10.0.245.255"), TCP()), frame, sizeof(frame));
	struct pg_err err = { 0 };
	struct pg_trace t;

	for (unsigned i = 0; i < syns && !atomic_load(&pair->failed); i++) {
		frame[27] = i, frame[29] = 0xff - frame[27];
		frame[34] = 0x80 | i >> 16, frame[35] = i >> 8;
		assert_int_equal(pg_dp_run_prog(h.dp, PG_PROG_XDP, frame, len, len, &t, &err), 0);
		atomic_store(&pair->at[1], i + 1);
	}
}

/* Connections open and go on meanwhile, each a packet from every end in turn. */
static void open_and_flood(struct pair *pair, unsigned me, unsigned n)
{
	unsigned rounds = 0;

	if (me) {
		flood(pair);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		run_many(PG_PROG_TC_IN, i, PKT_SYN, 100, 0);
		run_many(PG_PROG_TC_OUT, i, PKT_SYN | PKT_ACK, 500, 101);
		run_many(PG_PROG_TC_IN, i, PKT_ACK, 101, 501);
	}
	for (; atomic_load(&pair->at[1]) < syns; rounds++)
		for (unsigned i = 0; i < n; i++)
			run_many(rounds & 1 ? PG_PROG_TC_IN : PG_PROG_TC_OUT, i, PKT_ACK, rounds & 1 ? 101 : 501,
				 rounds & 1 ? 501 : 101);
	atomic_store(&pair->at[0], rounds);
}

struct whole {
	unsigned flows;
	uint64_t packets, bytes;
};

static int count_whole(void *arg, const struct pg_dp_flow *flow)
{
	struct whole *whole = arg;

	if (flow->half_open || flow->tcp_state != PG_TCP_ESTABLISHED)
		return 0;
	whole->flows++;
	for (unsigned i = 0; i < 2; i++) {
		whole->packets += flow->end[i].sent.packets;
		whole->bytes += flow->end[i].sent.bytes;
	}
	return 0;
}

/* Ten thousand connections go through millions of SYNs on another CPU, with all of their packets counted. */
static void a_flood_of_syns_leaves_ten_thousand(void **state)
{
	const struct pg_private_opts opts = { .untraced = true };
	const struct harness traced = h;
	struct pg_dp_flow_info info;
	struct whole whole = { 0 };
	struct pg_err err = { 0 };
	unsigned rounds;

	(void)state;
	assert_true(harness_open_with(&h, &opts, &err));
	harness_load(&h, "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m state --state INVALID -j DROP\nCOMMIT\n");
	syns = at_most(5000000, 4 * PG_HALF_OPEN);
	rounds = on_two_cpus(open_and_flood, OF_A_FLOOD);
	pg_dp_flows_walk(h.dp, count_whole, &whole);
	pg_dp_flow_info(h.dp, &info);
	harness_close(&h);
	h = traced;
	assert_true(rounds > 0);
	assert_int_equal(whole.flows, OF_A_FLOOD);
	assert_int_equal(whole.packets, (uint64_t)OF_A_FLOOD * (3 + rounds));
	assert_int_equal(whole.bytes, 40 * whole.packets);
	assert_int_equal(info.count[PG_FLOW_TABLE], OF_A_FLOOD);
	assert_true(info.count[PG_HALF_OPEN_TABLE] > PG_HALF_OPEN / 2);
	assert_int_equal(info.stats.evicted[PG_FLOW_TABLE], 0);
	assert_true(info.stats.evicted[PG_HALF_OPEN_TABLE] > syns / 2);
	assert_int_equal(info.stats.created[PG_HALF_OPEN_TABLE], (uint64_t)syns + OF_A_FLOOD);
}

/* Full tables ---------------------------------------------------------------------------------- */

/* The n-th of many flows of one protocol. */
static struct pg_dp_flow nth_flow(unsigned proto, unsigned n)
{
	const __be32 client = htonl(0xc0000201), server = htonl(0xc6336400);
	const struct pg_flow_packet first = { .family = PG_FAMILY_V4, .proto = proto,
					      .addr = { &client, &server }, .port = { 0x4000 + n, 80 } };
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	__u8 opener = pg_dp_flow_key(h.dp, &first, &key);

	pg_dp_flow_new(&key, opener, &flow);
	flow.tcp_state = proto == IPPROTO_TCP ? PG_TCP_ESTABLISHED : PG_TCP_NONE;
	flow.seen_reply = flow.assured = true;
	flow.status |= PG_FLOW_NO_WINDOW; /* of TCP */
	flow.last_ns -= 110ULL * 1000000000;
	return flow;
}

/* Until there is no room for one, which is returned. The table is a small one. */
static unsigned fill(unsigned proto)
{
	start();
	for (unsigned n = 0; n < PG_FLOWS_MIN; n++) {
		struct pg_dp_flow flow = nth_flow(proto, n);

		if (pg_dp_flow_put(h.dp, &flow))
			return n;
	}
	fail_msg("%u flows fit in %u places of eight ways", PG_FLOWS_MIN, PG_FLOWS_MIN);
	return 0;
}

/* A packet of the n-th flow, from the end that opened it or the other. */
static void run_nth(bool reply, const struct pkt_layer *l4, unsigned n)
{
	size_t len = pkt_build(reply ? PKT(ETH(), IP4(.src = "198.51.100.0", .dst = "192.0.2.1"), *l4) :
				       PKT(ETH(), IP4(.src = "192.0.2.1", .dst = "198.51.100.0"), *l4),
			       frame, sizeof(frame));
	struct pg_trace t;

	frame[reply ? 36 : 34] = (0x4000 + n) >> 8;
	frame[reply ? 37 : 35] = n;
	harness_run(&h, reply ? PG_DIR_OUT : PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.verdict, PG_VERDICT_ACCEPT);
}

#define NTH_TCP(...) (&(const struct pkt_layer)TCP(.csum = 0, ##__VA_ARGS__))

/* A connection that finds no room among others stays half-open, and is refused once, not by the packet. */
static void a_connection_without_room_is_refused_once(void **state)
{
	struct pg_dp_flow_info before, after;
	unsigned n;

	(void)state;
	n = fill(IPPROTO_TCP);
	pg_dp_flow_info(h.dp, &before);
	run_nth(false, NTH_TCP(.sport = 0, .dport = 80), n);
	run_nth(true, NTH_TCP(.sport = 80, .flags = PKT_SYN | PKT_ACK, .seq = 100, .ack = 1), n);
	for (unsigned i = 0; i < 5; i++)
		run_nth(false, NTH_TCP(.dport = 80, .flags = PKT_ACK, .seq = 1, .ack = 101), n);
	pg_dp_flow_info(h.dp, &after);
	assert_int_equal(after.stats.refused[PG_FLOW_TABLE] - before.stats.refused[PG_FLOW_TABLE], 1);
	assert_int_equal(after.count[PG_HALF_OPEN_TABLE], 1);

	/* The windows of the others have been nothing for long: one gives its place. */
	pg_dp_timeout_set(h.dp, PG_TIMEOUT_TCP_MAX_RETRANS, 100);
	run_nth(false, NTH_TCP(.dport = 80, .flags = PKT_ACK, .seq = 1, .ack = 101), n);
	pg_dp_flow_info(h.dp, &after);
	assert_int_equal(after.count[PG_HALF_OPEN_TABLE], 0);
	pg_dp_timeout_set(h.dp, PG_TIMEOUT_TCP_MAX_RETRANS, 300);
	assert_int_equal(after.stats.collected[PG_FLOW_TABLE] - before.stats.collected[PG_FLOW_TABLE], 1);
	assert_int_equal(after.stats.evicted[PG_FLOW_TABLE], before.stats.evicted[PG_FLOW_TABLE]);
}

/* Datagrams evict what nobody has answered, and no stream. */
static void datagrams_evict_no_stream(void **state)
{
	struct pg_dp_flow_info before, after;
	struct pg_dp_flow flow;
	unsigned n;

	(void)state;
	n = fill(IPPROTO_UDP);
	pg_dp_flow_info(h.dp, &before);
	run_nth(false, &(const struct pkt_layer)UDP(.dport = 80, .csum = 0), n);
	pg_dp_flow_info(h.dp, &after);
	assert_int_equal(after.stats.refused[PG_FLOW_TABLE] - before.stats.refused[PG_FLOW_TABLE], 1);
	for (unsigned i = 0; i < n; i++) {
		flow = nth_flow(IPPROTO_UDP, i);
		flow.seen_reply = flow.assured = false;
		flow.last_ns = flow.first_ns;
		assert_int_equal(pg_dp_flow_put(h.dp, &flow), 0);
	}
	run_nth(false, &(const struct pkt_layer)UDP(.dport = 80, .csum = 0), n);
	pg_dp_flow_info(h.dp, &after);
	assert_int_equal(after.stats.evicted[PG_FLOW_TABLE] - before.stats.evicted[PG_FLOW_TABLE], 1);
	assert_int_equal(after.count[PG_FLOW_TABLE], n);
}

/* Two CPUs ------------------------------------------------------------------------------------- */

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
	const unsigned n = at_most(4000, 1000);
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
	struct pg_err err = { 0 };
	struct pg_trace t;

	for (unsigned i = 1; i <= n && !atomic_load(&pair->failed); i++) {
		time_t until = time(NULL) + 60;

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

static unsigned two_ways;

static int count_both_ways(void *arg, const struct pg_dp_flow *flow)
{
	if (flow->end[0].sent.packets == two_ways + 2 && flow->end[1].sent.packets == two_ways + 1)
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
	two_ways = at_most(100000, 1000);
	on_two_cpus(send_and_acknowledge, two_ways);
	pg_dp_flows_walk(h.dp, count_both_ways, &whole);
	pg_dp_flow_info(h.dp, &info);
	harness_close(&h);
	h = traced;
	assert_int_equal(info.stats.out_of_window, 0);
	assert_int_equal(whole, 1);
}

/* The tests of full tables. */
static int in_a_small_table(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_without_room_is_refused_once),
		cmocka_unit_test(datagrams_evict_no_stream),
	};
	const struct pg_private_opts opts = { .flows = PG_FLOWS_MIN, .general_only = true };
	struct pg_err err = { 0 };

	return group_run(&h, harness_open_with(&h, &opts, &err), &err, tests, ARRAY_SIZE(tests), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_of_syns_leaves_ten_thousand),
		cmocka_unit_test(two_cpus_at_one_handshake_lose_nothing),
		cmocka_unit_test(two_cpus_at_both_ways_of_a_connection),
	};
	struct pg_err err = { 0 };
	int failed = in_a_small_table();

	return failed + group_run(&h, harness_open_general(&h, "", &err), &err, tests,
				  ARRAY_SIZE(tests), NULL);
}
