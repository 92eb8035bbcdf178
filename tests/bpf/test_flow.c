/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The states of connections: sequences of frames in both directions, and what each of them is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "harness.h"
#include "pkt.h"

#define NEW PG_CT_NEW
#define ESTABLISHED PG_CT_ESTABLISHED
#define RELATED PG_CT_RELATED
#define INVALID PG_CT_INVALID
#define UNTRACKED PG_CT_UNTRACKED

/* The client is the far end; what it sends arrives. */
#define FROM_CLIENT(...) IP4(.src = "192.0.2.1", .dst = "192.0.2.2", ##__VA_ARGS__)
#define FROM_SERVER(...) IP4(.src = "192.0.2.2", .dst = "192.0.2.1", ##__VA_ARGS__)
#define FROM_CLIENT6(...) IP6(.src = "2001:db8::9", .dst = "2001:db8::2", ##__VA_ARGS__)
#define FROM_SERVER6(...) IP6(.src = "2001:db8::2", .dst = "2001:db8::9", ##__VA_ARGS__)

#define STEP(from, want, ...) { from, want, PKT(ETH(), __VA_ARGS__) }
#define IN(want, ...) STEP(PG_DIR_IN, want, __VA_ARGS__)
#define OUT(want, ...) STEP(PG_DIR_OUT, want, __VA_ARGS__)
/* Segments of a connection from client port 40000 to the server's port 80. */
#define C(want, f) IN(want, FROM_CLIENT(), TCP(.flags = (f)))
#define S(want, f) OUT(want, FROM_SERVER(), TCP(.sport = 80, .dport = 40000, .flags = (f)))

#define SYN PKT_SYN
#define ACK PKT_ACK
#define FIN (PKT_FIN | PKT_ACK)
#define RST PKT_RST
#define SYNACK (PKT_SYN | PKT_ACK)

struct step {
	enum pg_dir dir;
	unsigned want;
	const struct pkt_layer *pkt;
};

static struct harness h;
static uint8_t frame[PKT_MAX];

static unsigned state_of(enum pg_dir dir, const struct pkt_layer *pkt)
{
	struct pg_trace t;

	harness_run(&h, dir, frame, pkt_build(pkt, frame, sizeof(frame)), &t);
	return t.ct_state;
}

static void start(const char *policy)
{
	struct pg_err err = { 0 };

	assert_int_equal(pg_dp_flow_forget(h.dp, &err), 0);
	harness_load(&h, policy);
}

#define ACCEPT_ALL "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"

static void go_on(const struct step *step, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned got = state_of(step[i].dir, step[i].pkt);

		if (got != step[i].want)
			fail_msg("frame %zu: state %#x, not %#x", i + 1, got, step[i].want);
	}
}

#define GO_ON(...)                                                                                 \
	do {                                                                                       \
		const struct step steps_[] = { __VA_ARGS__ };                                      \
		go_on(steps_, ARRAY_SIZE(steps_));                                                 \
	} while (0)
#define PLAY(...)                                                                                  \
	do {                                                                                       \
		start(ACCEPT_ALL);                                                                 \
		GO_ON(__VA_ARGS__);                                                                \
	} while (0)

/* Entries -------------------------------------------------------------------------------------- */

static struct pg_flow_key key4(const char *a, unsigned a_port, const char *b, unsigned b_port,
			       unsigned proto)
{
	struct pg_flow_key key = { .port = { a_port, b_port }, .proto = proto };
	struct stat ns;

	assert_int_equal(stat("/proc/self/ns/net", &ns), 0);
	key.netns = (__u32)ns.st_ino;
	inet_pton(AF_INET, a, key.addr[0]);
	inet_pton(AF_INET, b, key.addr[1]);
	return key;
}

#define TCP_KEY key4("192.0.2.1", 40000, "192.0.2.2", 80, 6)

static bool find(struct pg_flow_key key, struct pg_flow *ret, bool *ret_half_open)
{
	return pg_dp_flow_get(h.dp, &key, ret, ret_half_open);
}

/* Seconds that the flow has left, from the last of its packets. */
static unsigned life_of(struct pg_flow_key key)
{
	struct pg_flow flow;
	bool half_open;

	assert_true(find(key, &flow, &half_open));
	return (flow.expires_ns - flow.last_ns) / 1000000000;
}

static void expect_tcp(enum pg_tcp_state state, unsigned life_s, bool half_open)
{
	struct pg_flow flow;
	bool is_half_open;

	assert_true(find(TCP_KEY, &flow, &is_half_open));
	assert_int_equal(flow.status & PG_FLOW_TCP_STATE, state);
	assert_int_equal(life_of(TCP_KEY), life_s);
	assert_int_equal(is_half_open, half_open);
}

static bool has_tcp(void)
{
	struct pg_flow flow;
	bool half_open;

	return find(TCP_KEY, &flow, &half_open);
}

/* TCP ------------------------------------------------------------------------------------------ */

static void a_connection_from_syn_to_time_wait(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN));
	expect_tcp(PG_TCP_SYN_SENT, 120, true);
	GO_ON(S(ESTABLISHED, SYNACK));
	expect_tcp(PG_TCP_SYN_RECV, 60, true);
	GO_ON(C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(C(ESTABLISHED, ACK | PKT_PSH), S(ESTABLISHED, ACK | PKT_PSH), C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(C(ESTABLISHED, FIN));
	expect_tcp(PG_TCP_FIN_WAIT, 120, false);
	GO_ON(S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_CLOSE_WAIT, 60, false);
	GO_ON(S(ESTABLISHED, FIN));
	expect_tcp(PG_TCP_LAST_ACK, 30, false);
	GO_ON(C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_TIME_WAIT, 120, false);
}

static void our_own_connections_are_tracked_from_their_departure(void **state)
{
	(void)state;
	PLAY(OUT(NEW, FROM_SERVER(), TCP(.dport = 443)),
	     IN(ESTABLISHED, FROM_CLIENT(), TCP(.sport = 443, .dport = 40000, .flags = SYNACK)),
	     OUT(ESTABLISHED, FROM_SERVER(), TCP(.dport = 443, .flags = ACK)));
	PLAY(OUT(NEW, FROM_SERVER6(), TCP(.dport = 443)),
	     IN(ESTABLISHED, FROM_CLIENT6(), TCP(.sport = 443, .dport = 40000, .flags = SYNACK)),
	     OUT(ESTABLISHED, FROM_SERVER6(), TCP(.dport = 443, .flags = ACK)));
}

static void a_syn_again_is_new_and_does_not_live_longer(void **state)
{
	struct pg_flow before, after;
	bool half_open;

	(void)state;
	PLAY(C(NEW, SYN));
	assert_true(find(TCP_KEY, &before, &half_open));
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	GO_ON(C(NEW, SYN));
	assert_true(find(TCP_KEY, &after, &half_open));
	assert_int_equal(after.expires_ns, before.expires_ns);
	assert_true(after.last_ns > before.last_ns);
	assert_int_equal(after.sent[0].packets, 2);
	assert_int_equal(after.sent[0].bytes, 80);
}

static void both_ends_are_counted(void **state)
{
	struct pg_flow flow;
	bool half_open;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK),
	     IN(ESTABLISHED, FROM_CLIENT(), TCP(.flags = ACK), PAYLOAD(60)));
	assert_true(find(TCP_KEY, &flow, &half_open));
	assert_int_equal(flow.opener, 0);
	assert_int_equal(flow.sent[0].packets, 3);
	assert_int_equal(flow.sent[0].bytes, 180);
	assert_int_equal(flow.sent[1].packets, 1);
	assert_int_equal(flow.sent[1].bytes, 40);
}

static void a_refused_connection_is_gone(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, RST | ACK));
	assert_false(has_tcp());
	GO_ON(S(INVALID, RST | ACK), C(NEW, SYN), C(NEW, RST));
	assert_false(has_tcp());
}

static void a_reset_ends_within_ten_seconds(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), S(ESTABLISHED, RST));
	expect_tcp(PG_TCP_CLOSE, 10, false);
	GO_ON(C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_CLOSE, 10, false);
	/* The end that did not reset may not begin anew as long as this is remembered. */
	GO_ON(C(ESTABLISHED, SYN));
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), C(ESTABLISHED, RST),
	     C(NEW, SYN));
	expect_tcp(PG_TCP_SYN_SENT, 120, true);
}

static void mid_stream_is_picked_up_and_assured_by_an_answer(void **state)
{
	(void)state;
	PLAY(C(NEW, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 300, true);
	GO_ON(C(NEW, ACK | PKT_PSH), S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 300, true);
	GO_ON(C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

static void segments_that_begin_nothing_are_invalid(void **state)
{
	(void)state;
	PLAY(C(INVALID, SYNACK), C(INVALID, FIN), C(INVALID, RST), C(INVALID, RST | ACK));
	assert_false(has_tcp());
}

static void impossible_flags_are_invalid(void **state)
{
	static const int bad[] = { 0,
				   PKT_FIN,
				   PKT_PSH,
				   PKT_URG,
				   PKT_FIN | PKT_PSH | PKT_URG,
				   PKT_SYN | PKT_FIN,
				   PKT_SYN | PKT_RST,
				   PKT_FIN | PKT_RST,
				   PKT_SYN | PKT_ACK | PKT_FIN,
				   PKT_RST | PKT_URG,
				   0xff };

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		GO_ON(C(INVALID, bad[i]));
	GO_ON(C(ESTABLISHED, ACK | PKT_PSH | PKT_URG | PKT_ECE | PKT_CWR));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

static void the_handshake_has_an_order(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), C(INVALID, ACK), C(INVALID, FIN), C(INVALID, SYNACK), S(INVALID, FIN),
	     S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_SYN_SENT, 120, true);
	GO_ON(S(ESTABLISHED, SYNACK), S(INVALID, SYN), C(ESTABLISHED, SYN), S(ESTABLISHED, SYNACK),
	      C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

static void both_ends_may_open_at_once(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYN));
	expect_tcp(PG_TCP_SYN_SENT2, 120, true);
	GO_ON(C(ESTABLISHED, SYNACK));
	expect_tcp(PG_TCP_SYN_RECV, 60, true);
	GO_ON(S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

static void a_syn_reopens_what_was_closed(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), C(ESTABLISHED, FIN),
	     S(ESTABLISHED, FIN), C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_TIME_WAIT, 120, false);
	GO_ON(C(NEW, SYN));
	expect_tcp(PG_TCP_SYN_SENT, 120, true);
	GO_ON(S(ESTABLISHED, SYNACK));
	/* From the other end it is the other's connection. */
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), C(ESTABLISHED, FIN),
	     S(ESTABLISHED, FIN), C(ESTABLISHED, ACK), S(NEW, SYN), S(NEW, SYN),
	     C(ESTABLISHED, SYNACK));
}

static void a_client_that_begins_anew_is_followed(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), C(ESTABLISHED, SYN));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(S(ESTABLISHED, ACK), C(ESTABLISHED, RST), C(NEW, SYN));
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), C(ESTABLISHED, SYN),
	     S(ESTABLISHED, SYNACK));
	expect_tcp(PG_TCP_SYN_RECV, 60, false);
}

static void a_challenge_is_not_the_last_ack(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK), C(ESTABLISHED, FIN),
	     S(ESTABLISHED, FIN), C(ESTABLISHED, SYN), S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_LAST_ACK, 30, false);
	GO_ON(S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_TIME_WAIT, 120, false);
}

static void lengths_that_cannot_be_are_invalid(void **state)
{
	(void)state;
	PLAY(IN(INVALID, FROM_CLIENT(), TCP(.doff = 6)),
	     IN(NEW, FROM_CLIENT(), TCP(.doff = 6), PAYLOAD(4)),
	     IN(INVALID, FROM_CLIENT(), UDP(.len = 7)),
	     IN(INVALID, FROM_CLIENT(), UDP(.len = 9)),
	     IN(NEW, FROM_CLIENT(), UDP(.len = 8), PAYLOAD(1)),
	     IN(INVALID, FROM_CLIENT(), UDPLITE(.len = 7)),
	     IN(INVALID, FROM_CLIENT(), UDPLITE(.csum = 0)),
	     IN(NEW, FROM_CLIENT(), UDPLITE(.len = 0)),
	     IN(INVALID, FROM_CLIENT(), UDP(.cut = 7)),
	     IN(INVALID, FROM_CLIENT(), TCP(.cut = 19)),
	     IN(INVALID, FROM_CLIENT(), ICMP(.cut = 7)));
}

/* Other protocols ------------------------------------------------------------------------------ */

static void datagrams_are_established_by_an_answer(void **state)
{
	const struct pg_flow_key key = key4("192.0.2.1", 40000, "192.0.2.2", 53, 17);

	(void)state;
	PLAY(IN(NEW, FROM_CLIENT(), UDP()), IN(NEW, FROM_CLIENT(), UDP()),
	     OUT(NEW, FROM_SERVER(), UDP(.sport = 54, .dport = 40000)),
	     OUT(ESTABLISHED, FROM_SERVER(), UDP(.sport = 53, .dport = 40000)),
	     IN(ESTABLISHED, FROM_CLIENT(), UDP()));
	assert_int_equal(life_of(key), 30);
	PLAY(OUT(NEW, FROM_SERVER6(), UDP()),
	     IN(ESTABLISHED, FROM_CLIENT6(), UDP(.sport = 53, .dport = 40000)));
	PLAY(IN(NEW, FROM_CLIENT(), SCTP()),
	     OUT(ESTABLISHED, FROM_SERVER(), SCTP(.sport = 2905, .dport = 40000)));
}

static void a_stream_of_datagrams_lives_longer(void **state)
{
	const struct pg_flow_key key = key4("192.0.2.1", 40000, "192.0.2.2", 53, 17);
	struct pg_flow flow;
	bool half_open;

	(void)state;
	PLAY(IN(NEW, FROM_CLIENT(), UDP()),
	     OUT(ESTABLISHED, FROM_SERVER(), UDP(.sport = 53, .dport = 40000)));
	assert_true(find(key, &flow, &half_open));
	flow.first_ns -= 2100000000;
	assert_int_equal(pg_dp_flow_put(h.dp, &key, &flow, false), 0);
	GO_ON(IN(ESTABLISHED, FROM_CLIENT(), UDP()));
	assert_int_equal(life_of(key), 120);
}

static void protocols_without_ports_are_flows_of_addresses(void **state)
{
	(void)state;
	PLAY(IN(NEW, FROM_CLIENT(.proto = 50), PAYLOAD(20)),
	     IN(NEW, FROM_CLIENT(.proto = 47), PAYLOAD(20)),
	     OUT(ESTABLISHED, FROM_SERVER(.proto = 50), PAYLOAD(9)),
	     IN(ESTABLISHED, FROM_CLIENT(.proto = 50), PAYLOAD(20)),
	     IN(NEW, FROM_CLIENT(.proto = 47), PAYLOAD(20)));
	assert_int_equal(life_of(key4("192.0.2.1", 0, "192.0.2.2", 0, 50)), 600);
}

static void echoes_belong_to_their_request(void **state)
{
	(void)state;
	PLAY(IN(INVALID, FROM_CLIENT(), ICMP(.type = 0, .id = 7)),
	     OUT(NEW, FROM_SERVER(), ICMP(.id = 7)),
	     IN(INVALID, FROM_CLIENT(), ICMP(.type = 0, .id = 8)),
	     IN(NEW, FROM_CLIENT(), ICMP(.id = 7)), /* the other one's own, with the same id */
	     IN(ESTABLISHED, FROM_CLIENT(), ICMP(.type = 0, .id = 7)),
	     IN(NEW, FROM_CLIENT(), ICMP(.id = 7)),
	     OUT(ESTABLISHED, FROM_SERVER(), ICMP(.id = 7)),
	     OUT(ESTABLISHED, FROM_SERVER(), ICMP(.type = 0, .id = 7)),
	     OUT(INVALID, FROM_SERVER(), ICMP(.type = 14, .id = 7)),
	     IN(NEW, FROM_CLIENT(), ICMP(.type = 13, .id = 7)),
	     OUT(ESTABLISHED, FROM_SERVER(), ICMP(.type = 14, .id = 7)),
	     IN(INVALID, FROM_CLIENT(), ICMP(.type = 9)),
	     IN(INVALID, FROM_CLIENT(), ICMP(.type = 40)));
	PLAY(IN(INVALID, FROM_CLIENT6(), ICMP6(.type = 129, .id = 7)),
	     OUT(NEW, FROM_SERVER6(), ICMP6(.id = 7)),
	     IN(ESTABLISHED, FROM_CLIENT6(), ICMP6(.type = 129, .id = 7)),
	     IN(INVALID, FROM_CLIENT6(), ICMP6(.type = 200)),
	     IN(INVALID, FROM_CLIENT(), ICMP6(.id = 7)), IN(INVALID, FROM_CLIENT6(), ICMP(.id = 7)));
}

static void neighbour_discovery_is_untracked(void **state)
{
	(void)state;
	start(ACCEPT_ALL);
	for (int type = 130; type <= 136; type++)
		GO_ON(IN(UNTRACKED, FROM_CLIENT6(), ICMP6(.type = type)));
	GO_ON(IN(UNTRACKED, FROM_CLIENT6(), ICMP6(.type = 143)),
	      IN(INVALID, FROM_CLIENT6(), ICMP6(.type = 137)));
}

/* Errors --------------------------------------------------------------------------------------- */

#define ROUTER IP4(.src = "198.51.100.1", .dst = "192.0.2.2")
#define ROUTER6 IP6(.src = "2001:db8:1::1", .dst = "2001:db8::2")

static void errors_are_related_to_the_flow_they_quote(void **state)
{
	(void)state;
	PLAY(IN(INVALID, ROUTER, ICMP(.type = 3, .code = 1), FROM_SERVER(), UDP(.dport = 99)),
	     OUT(NEW, FROM_SERVER(), UDP(.dport = 99)),
	     IN(RELATED, ROUTER, ICMP(.type = 3, .code = 1), FROM_SERVER(), UDP(.dport = 99)),
	     IN(RELATED, ROUTER, ICMP(.type = 11), FROM_SERVER(.optlen = 8), UDP(.dport = 99)),
	     /* RFC 792: 8 bytes of it are enough; ports are */
	     IN(RELATED, ROUTER, ICMP(.type = 12), FROM_SERVER(), UDP(.dport = 99, .cut = 4)),
	     IN(INVALID, ROUTER, ICMP(.type = 12), FROM_SERVER(), UDP(.dport = 99, .cut = 3)),
	     IN(INVALID, ROUTER, ICMP(.type = 3), FROM_SERVER(), UDP(.dport = 98)),
	     IN(INVALID, ROUTER, ICMP(.type = 3), FROM_SERVER(.frag = 1), UDP(.dport = 99)),
	     /* an error to somebody else than who sent what it quotes */
	     IN(INVALID, IP4(.src = "198.51.100.1", .dst = "192.0.2.3"), ICMP(.type = 3),
		FROM_SERVER(), UDP(.dport = 99)),
	     IN(INVALID, ROUTER, ICMP(.type = 3), FROM_CLIENT(), UDP(.sport = 99, .dport = 40000)),
	     /* from one end about what the other sent in answer */
	     OUT(RELATED, FROM_SERVER(), ICMP(.type = 3), FROM_CLIENT(),
		 UDP(.sport = 99, .dport = 40000)),
	     /* an error answers nothing */
	     OUT(NEW, FROM_SERVER(), UDP(.dport = 99)));
	PLAY(C(NEW, SYN), OUT(RELATED, FROM_SERVER(), ICMP(.type = 3, .code = 10), FROM_CLIENT(), TCP()),
	     OUT(NEW, FROM_SERVER(), ICMP(.id = 3)),
	     IN(RELATED, ROUTER, ICMP(.type = 11), FROM_SERVER(), ICMP(.id = 3)),
	     IN(INVALID, ROUTER, ICMP(.type = 11), FROM_SERVER(), ICMP(.type = 3)),
	     IN(INVALID, ROUTER, ICMP(.type = 11), FROM_SERVER(), ICMP(.id = 4)));
}

static void errors_of_ip6_are_related(void **state)
{
	(void)state;
	PLAY(OUT(NEW, FROM_SERVER6(), UDP(.dport = 99)),
	     IN(RELATED, ROUTER6, ICMP6(.type = 1), FROM_SERVER6(), UDP(.dport = 99)),
	     IN(RELATED, ROUTER6, ICMP6(.type = 2), FROM_SERVER6(), FRAG6(.mf = 1), UDP(.dport = 99)),
	     IN(RELATED, ROUTER6, ICMP6(.type = 2), FROM_SERVER6(), HBH(), DSTOPTS(.len = 16),
		UDP(.dport = 99)),
	     IN(INVALID, ROUTER6, ICMP6(.type = 2), FROM_SERVER6(), FRAG6(.frag = 9), UDP(.dport = 99)),
	     IN(INVALID, ROUTER6, ICMP6(.type = 1), FROM_SERVER6(), UDP(.dport = 98)),
	     IN(INVALID, ROUTER6, ICMP6(.type = 1), FROM_CLIENT6(),
		UDP(.sport = 99, .dport = 40000)));
}

#define REDIRECT_REST                                                                              \
	BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x9"   \
	      "\4\7\0\0\0\0\0\0", 40)
#define ON_LINK(...) IP6(.src = "fe80::1", .dst = "2001:db8::2", .hop = 255, ##__VA_ARGS__)

static void redirects_are_related(void **state)
{
	(void)state;
	PLAY(OUT(NEW, FROM_SERVER6(), UDP(.dport = 99)),
	     IN(RELATED, ON_LINK(), ICMP6(.type = 137), REDIRECT_REST, FROM_SERVER6(),
		UDP(.dport = 99)),
	     IN(INVALID, ON_LINK(.hop = 254), ICMP6(.type = 137), REDIRECT_REST, FROM_SERVER6(),
		UDP(.dport = 99)),
	     IN(INVALID, ROUTER6, ICMP6(.type = 137), REDIRECT_REST, FROM_SERVER6(),
		UDP(.dport = 99)));
}

/* The same bytes through another helper. */
static void errors_are_read_from_an_skb_too(void **state)
{
	const struct pkt_layer *error =
		PKT(ETH(), ROUTER, ICMP(.type = 3, .code = 1), FROM_SERVER(), UDP(.dport = 99));
	struct pg_trace t;
	size_t len;

	(void)state;
	PLAY(OUT(NEW, FROM_SERVER(), UDP(.dport = 99)));
	len = pkt_build(error, frame, sizeof(frame));
	assert_true(harness_try_run_tc(&h, frame, len, &t));
	assert_int_equal(t.ct_state, RELATED);
}

static void errors_end_where_their_packet_ends(void **state)
{
	const struct pkt_layer *error = PKT(ETH(), ROUTER, ICMP(.type = 3, .code = 1),
					    FROM_SERVER(), UDP(.dport = 99, .cut = 4));
	size_t len;

	(void)state;
	PLAY(OUT(NEW, FROM_SERVER(), UDP(.dport = 99)));
	len = pkt_build(error, frame, sizeof(frame));
	/* The outer packet ends n bytes earlier, and what follows it is padding that looks right. */
	for (unsigned n = 1; n < 4 + 20 + 8; n++) {
		struct pg_trace t;
		uint32_t sum = 0;

		pkt_build(error, frame, sizeof(frame));
		frame[14 + 3] -= n;
		frame[14 + 10] = frame[14 + 11] = 0;
		for (int i = 0; i < 20; i += 2)
			sum += frame[14 + i] << 8 | frame[14 + i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
		frame[14 + 10] = ~sum >> 8;
		frame[14 + 11] = ~sum;
		harness_run(&h, PG_DIR_IN, frame, len, &t);
		assert_int_equal(t.verdict, PG_VERDICT_ACCEPT);
		assert_int_equal(t.ct_state, INVALID);
	}
}

/* What makes entries --------------------------------------------------------------------------- */

static void what_is_dropped_makes_no_entry(void **state)
{
	(void)state;
	start("*filter\n:INPUT DROP [0:0]\nCOMMIT\n");
	GO_ON(C(NEW, SYN), C(NEW, SYN));
	assert_false(has_tcp());
	/* Ours does, and its answer goes on although this policy does not let it through. */
	GO_ON(S(NEW, SYN), C(ESTABLISHED, SYNACK), S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

static void fragments_are_tracked_by_their_first(void **state)
{
	(void)state;
	PLAY(IN(NEW, FROM_CLIENT(.mf = 1), UDP(.len = 3000), PAYLOAD(1472)),
	     IN(INVALID, FROM_CLIENT(.frag = 185), PAYLOAD(100)),
	     OUT(ESTABLISHED, FROM_SERVER(), UDP(.sport = 53, .dport = 40000)),
	     IN(ESTABLISHED, FROM_CLIENT(.mf = 1), UDP(.len = 3000), PAYLOAD(1472)),
	     IN(INVALID, FROM_CLIENT6(), FRAG6(.frag = 185), PAYLOAD(100)));
}

static void an_expired_flow_is_none(void **state)
{
	struct pg_flow_key key = TCP_KEY;
	struct pg_flow flow;
	bool half_open;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	assert_true(find(key, &flow, &half_open));
	flow.expires_ns = flow.last_ns;
	assert_int_equal(pg_dp_flow_put(h.dp, &key, &flow, false), 0);
	GO_ON(S(INVALID, FIN));
	assert_false(has_tcp());
	GO_ON(S(NEW, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 300, true);
}

/* More of them than there is room for, and then all of it again. */
static void a_flood_of_syns_leaves_the_established(void **state)
{
	struct pg_trace t;
	size_t len;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	len = pkt_build(PKT(ETH(), FROM_CLIENT(), TCP()), frame, sizeof(frame));
	for (unsigned i = 0; i < 2 * PG_HALF_OPEN; i++) {
		/* Another address and port each time; departures' checksums are not looked at. */
		frame[26] = i >> 8 & 0x7f, frame[27] = i;
		frame[34] = 0x80 | i >> 15;
		harness_run(&h, PG_DIR_OUT, frame, len, &t);
		assert_int_equal(t.ct_state, NEW);
	}
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(S(ESTABLISHED, ACK), C(ESTABLISHED, ACK));
}

static void skips_without_bpf(void **state)
{
	(void)state;
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_from_syn_to_time_wait),
		cmocka_unit_test(our_own_connections_are_tracked_from_their_departure),
		cmocka_unit_test(a_syn_again_is_new_and_does_not_live_longer),
		cmocka_unit_test(both_ends_are_counted),
		cmocka_unit_test(a_refused_connection_is_gone),
		cmocka_unit_test(a_reset_ends_within_ten_seconds),
		cmocka_unit_test(mid_stream_is_picked_up_and_assured_by_an_answer),
		cmocka_unit_test(segments_that_begin_nothing_are_invalid),
		cmocka_unit_test(impossible_flags_are_invalid),
		cmocka_unit_test(the_handshake_has_an_order),
		cmocka_unit_test(both_ends_may_open_at_once),
		cmocka_unit_test(a_syn_reopens_what_was_closed),
		cmocka_unit_test(a_client_that_begins_anew_is_followed),
		cmocka_unit_test(a_challenge_is_not_the_last_ack),
		cmocka_unit_test(lengths_that_cannot_be_are_invalid),
		cmocka_unit_test(datagrams_are_established_by_an_answer),
		cmocka_unit_test(a_stream_of_datagrams_lives_longer),
		cmocka_unit_test(protocols_without_ports_are_flows_of_addresses),
		cmocka_unit_test(echoes_belong_to_their_request),
		cmocka_unit_test(neighbour_discovery_is_untracked),
		cmocka_unit_test(errors_are_related_to_the_flow_they_quote),
		cmocka_unit_test(errors_of_ip6_are_related),
		cmocka_unit_test(redirects_are_related),
		cmocka_unit_test(errors_are_read_from_an_skb_too),
		cmocka_unit_test(errors_end_where_their_packet_ends),
		cmocka_unit_test(what_is_dropped_makes_no_entry),
		cmocka_unit_test(fragments_are_tracked_by_their_first),
		cmocka_unit_test(an_expired_flow_is_none),
		cmocka_unit_test(a_flood_of_syns_leaves_the_established),
	};
	const struct CMUnitTest skipped[] = { cmocka_unit_test(skips_without_bpf) };
	struct pg_err err = { 0 };
	int failed;

	if (!harness_open_general(&h, "", &err)) {
		print_message("skipped: %s\n", err.text);
		return cmocka_run_group_tests(skipped, NULL, NULL);
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	harness_close(&h);
	return failed;
}
