/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The states of connections: sequences of frames in both directions, and what each of them is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "group.h"
#include "play.h"

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

/*
 * Both ends' sequence numbers, by the direction of what they send. Segments get the next one, a SYN
 * the initial one, until the end has sent something else; then a SYN begins anew, which holds when
 * the other end answers it.
 */
static struct {
	uint32_t initial, next, anew;
	bool is_open;
} end[_PG_DIR_MAX];

static void put32(size_t at, uint32_t v)
{
	v = htonl(v);
	memcpy(frame + at, &v, 4);
}

/* Where a TCP header is behind Ethernet and a plain IP header; 0: there is none. */
static size_t tcp_at(const struct pkt_layer *pkt)
{
	if (pkt[1].kind == PKT_IP4 && pkt[2].kind == PKT_TCP)
		return 34;
	return pkt[1].kind == PKT_IP6 && pkt[2].kind == PKT_TCP ? 54 : 0;
}

/* Returns how far the segment reaches. */
static uint32_t put_sequence(enum pg_dir dir, size_t at, size_t len)
{
	uint8_t flags = frame[at + 13];
	size_t header = (frame[at + 12] >> 4) * 4U;
	uint32_t seq;

	if (flags & PKT_SYN && flags & PKT_ACK && end[!dir].anew) {
		end[!dir].next = end[!dir].anew;
		end[!dir].anew = 0;
		end[dir].initial += 10000000;
	}
	if ((flags & (PKT_SYN | PKT_ACK)) == PKT_SYN && end[dir].is_open) {
		if (!end[dir].anew)
			end[dir].initial += 10000000;
		end[dir].anew = end[dir].initial + 1;
	}
	seq = flags & PKT_SYN ? end[dir].initial : end[dir].next;
	put32(at + 4, seq);
	put32(at + 8, flags & PKT_ACK ? end[!dir].next : 0);
	if (end[dir].anew && (flags & (PKT_SYN | PKT_ACK)) == PKT_SYN)
		return end[dir].next;
	return seq + (uint32_t)(len - at - header) + !!(flags & PKT_SYN) + !!(flags & PKT_FIN);
}

static unsigned state_of(enum pg_dir dir, const struct pkt_layer *pkt)
{
	size_t len = pkt_build(pkt, frame, sizeof(frame)), at = tcp_at(pkt);
	uint32_t next = at && len >= at + 20 ? put_sequence(dir, at, len) : 0;
	struct pg_trace t;

	harness_run(&h, dir, frame, len, &t);
	if (next && t.ct_state != INVALID) {
		end[dir].next = next;
		end[dir].is_open |= !(frame[at + 13] & PKT_SYN);
	}
	return t.ct_state;
}

static void start(const char *policy)
{
	struct pg_err err = { 0 };

	assert_int_equal(pg_dp_flow_forget(h.dp, &err), 0);
	for (enum pg_dir dir = 0; dir < _PG_DIR_MAX; dir++) {
		end[dir].initial = end[dir].next = 4000000000 + 200000000 * dir;
		end[dir].is_open = false;
		end[dir].anew = 0;
	}
	harness_load(&h, policy);
}

static void go_on(const struct step *step, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned got = state_of(step[i].dir, step[i].pkt);

		if (got != step[i].want)
			fail_msg("frame %zu: state %#x, not %#x", i + 1, got, step[i].want);
	}
}

/* Entries -------------------------------------------------------------------------------------- */

static struct pg_flow_key key4(const char *a, unsigned a_port, const char *b, unsigned b_port,
			       unsigned proto)
{
	struct pg_flow_key key = { .port = { a_port, b_port }, .proto = proto };

	inet_pton(AF_INET, a, key.addr[0]);
	inet_pton(AF_INET, b, key.addr[1]);
	return key;
}

#define TCP_KEY key4("192.0.2.1", 40000, "192.0.2.2", 80, 6)

static bool find(struct pg_flow_key key, struct pg_dp_flow *ret)
{
	return pg_dp_flow_get(h.dp, &key, ret);
}

/* Seconds that the flow has left, from the last of its packets. */
static unsigned life_of(struct pg_flow_key key)
{
	struct pg_dp_flow flow;

	assert_true(find(key, &flow));
	return (flow.expires_ns - flow.last_ns) / 1000000000;
}

static void expect_tcp(enum pg_tcp_state state, unsigned life_s, bool half_open)
{
	struct pg_dp_flow flow;

	assert_true(find(TCP_KEY, &flow));
	assert_int_equal(flow.tcp_state, state);
	assert_int_equal(life_of(TCP_KEY), life_s);
	assert_int_equal(flow.half_open, half_open);
}

static void expect_ends(enum pg_end_state client, enum pg_end_state server)
{
	struct pg_dp_flow flow;

	assert_true(find(TCP_KEY, &flow));
	assert_int_equal(flow.end[flow.opener].state, client);
	assert_int_equal(flow.end[!flow.opener].state, server);
}

static bool has_tcp(void)
{
	struct pg_dp_flow flow;

	return find(TCP_KEY, &flow);
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
	struct pg_dp_flow before, after;

	(void)state;
	PLAY(C(NEW, SYN));
	assert_true(find(TCP_KEY, &before));
	nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	GO_ON(C(NEW, SYN));
	assert_true(find(TCP_KEY, &after));
	assert_int_equal(after.expires_ns, before.expires_ns);
	assert_true(after.last_ns > before.last_ns);
	assert_int_equal(after.end[0].sent.packets, 2);
	assert_int_equal(after.end[0].sent.bytes, 80);
}

static void both_ends_are_counted(void **state)
{
	struct pg_dp_flow flow;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK),
	     IN(ESTABLISHED, FROM_CLIENT(), TCP(.flags = ACK), PAYLOAD(60)));
	assert_true(find(TCP_KEY, &flow));
	assert_int_equal(flow.opener, 0);
	assert_int_equal(flow.end[0].sent.packets, 3);
	assert_int_equal(flow.end[0].sent.bytes, 180);
	assert_int_equal(flow.end[1].sent.packets, 1);
	assert_int_equal(flow.end[1].sent.bytes, 40);
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

static void a_challenged_syn_is_reset_and_comes_again(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN));
	end[PG_DIR_IN].next += 500000; /* what the server knows of an older connection */
	GO_ON(S(ESTABLISHED, ACK));
	end[PG_DIR_IN].next++;
	GO_ON(C(INVALID, RST));
	end[PG_DIR_IN].next--;
	GO_ON(C(ESTABLISHED, RST));
	expect_tcp(PG_TCP_CLOSE, 10, true);
	GO_ON(C(NEW, SYN), S(ESTABLISHED, SYNACK));
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

/* The ends ------------------------------------------------------------------------------------- */

/* What transitions the port that was opened to counted since `before`. */
static void expect_moves_since(const struct pg_port_states *before, const char *wanted)
{
	const struct pg_port_states *now = &pg_dp_port_states(h.dp)[80];
	char got[512] = "";

	for (unsigned i = 0; i < _PG_TRANSITION_MAX; i++) {
		unsigned n = now->count[i] - before->count[i];
		enum pg_end_state from, to;

		if (!n)
			continue;
		assert_true(pg_transition(i, &from, &to));
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s>%s", *got ? " " : "",
			 pg_end_state_name(from), pg_end_state_name(to));
		if (n > 1)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "*%u", n);
	}
	assert_string_equal(got, wanted);
}

#define MOVES(wanted, ...)                                                                         \
	do {                                                                                       \
		struct pg_port_states before_;                                                     \
		start(ACCEPT_ALL);                                                                 \
		before_ = pg_dp_port_states(h.dp)[80];                                             \
		GO_ON(__VA_ARGS__);                                                                \
		expect_moves_since(&before_, wanted);                                              \
	} while (0)

#define HANDSHAKE C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK)
#define OPENED                                                                                     \
	"CLOSED>SYN_SENT LISTEN>SYN_RECEIVED SYN_SENT>ESTABLISHED SYN_RECEIVED>ESTABLISHED"

static void each_end_has_its_state(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN));
	expect_ends(PG_END_SYN_SENT, PG_END_LISTEN);
	GO_ON(S(ESTABLISHED, SYNACK));
	expect_ends(PG_END_ESTABLISHED, PG_END_SYN_RECEIVED);
	GO_ON(C(ESTABLISHED, ACK));
	expect_ends(PG_END_ESTABLISHED, PG_END_ESTABLISHED);
	GO_ON(S(ESTABLISHED, FIN));
	expect_ends(PG_END_CLOSE_WAIT, PG_END_FIN_WAIT_1);
	GO_ON(C(ESTABLISHED, ACK));
	expect_ends(PG_END_CLOSE_WAIT, PG_END_FIN_WAIT_2);
	GO_ON(C(ESTABLISHED, ACK | PKT_PSH), S(ESTABLISHED, ACK));
	expect_ends(PG_END_CLOSE_WAIT, PG_END_FIN_WAIT_2);
	GO_ON(C(ESTABLISHED, FIN));
	expect_ends(PG_END_LAST_ACK, PG_END_TIME_WAIT);
	GO_ON(S(ESTABLISHED, ACK));
	expect_ends(PG_END_CLOSED, PG_END_TIME_WAIT);
}

static void every_move_of_an_end_is_counted(void **state)
{
	(void)state;
	MOVES(OPENED " ESTABLISHED>FIN_WAIT_1 ESTABLISHED>CLOSE_WAIT FIN_WAIT_1>TIME_WAIT "
		     "CLOSE_WAIT>LAST_ACK LAST_ACK>CLOSED",
	      HANDSHAKE, C(ESTABLISHED, FIN), S(ESTABLISHED, FIN), C(ESTABLISHED, ACK));
	MOVES(OPENED " ESTABLISHED>FIN_WAIT_1 ESTABLISHED>CLOSE_WAIT FIN_WAIT_1>FIN_WAIT_2",
	      HANDSHAKE, C(ESTABLISHED, FIN), S(ESTABLISHED, ACK),
	      S(ESTABLISHED, ACK | PKT_PSH), C(ESTABLISHED, ACK));
	MOVES("CLOSED>SYN_SENT SYN_SENT>CLOSED", C(NEW, SYN), S(ESTABLISHED, RST | ACK));
	MOVES(OPENED " ESTABLISHED>CLOSED*2", HANDSHAKE, S(ESTABLISHED, RST | ACK));
	MOVES("CLOSED>SYN_SENT LISTEN>SYN_RECEIVED SYN_SENT>ESTABLISHED", C(NEW, SYN), C(NEW, SYN),
	      S(ESTABLISHED, SYNACK), S(ESTABLISHED, SYNACK));
	MOVES("CLOSED>SYN_SENT*2 SYN_SENT>SYN_RECEIVED SYN_SENT>ESTABLISHED "
	      "SYN_RECEIVED>ESTABLISHED",
	      C(NEW, SYN), S(ESTABLISHED, SYN), C(ESTABLISHED, SYNACK), S(ESTABLISHED, ACK));
	MOVES("", C(NEW, ACK), S(ESTABLISHED, ACK));
}

/* RFC 7413: the SYN has data, and the answer need not acknowledge more than the SYN; nor need the client's. */
static void data_in_a_syn_need_not_be_acknowledged(void **state)
{
	(void)state;
	PLAY(HANDSHAKE); /* what another connection leaves behind does not matter */
	PLAY(IN(NEW, FROM_CLIENT(), TCP(.flags = SYN), PAYLOAD(100)));
	end[PG_DIR_IN].next -= 100;
	GO_ON(S(ESTABLISHED, SYNACK),
	      OUT(ESTABLISHED, FROM_SERVER(), TCP(.sport = 80, .dport = 40000, .flags = ACK), PAYLOAD(50)));
	expect_ends(PG_END_ESTABLISHED, PG_END_SYN_RECEIVED);
	end[PG_DIR_OUT].next -= 50;
	GO_ON(C(ESTABLISHED, ACK));
	expect_ends(PG_END_ESTABLISHED, PG_END_ESTABLISHED);
	expect_tcp(PG_TCP_ESTABLISHED, 300, false); /* there is data that is not acknowledged */

	PLAY(IN(NEW, FROM_CLIENT(), TCP(.flags = SYN), PAYLOAD(100)));
	end[PG_DIR_IN].next -= 101; /* not even that */
	GO_ON(S(ESTABLISHED, SYNACK));
	expect_ends(PG_END_SYN_SENT, PG_END_SYN_RECEIVED);
}

/* The pair closes all the same, as the kernel's. */
static void a_reset_from_elsewhere_closes_no_end(void **state)
{
	(void)state;
	PLAY(HANDSHAKE, C(ESTABLISHED, FIN));
	end[PG_DIR_OUT].next += 5000;
	GO_ON(S(ESTABLISHED, RST));
	expect_tcp(PG_TCP_CLOSE, 10, false);
	expect_ends(PG_END_FIN_WAIT_1, PG_END_CLOSE_WAIT);
	end[PG_DIR_OUT].next -= 5000;
	GO_ON(S(ESTABLISHED, RST));
	expect_ends(PG_END_CLOSED, PG_END_CLOSED);
}

/* Both FINs are on their way at once: neither acknowledges the other. */
static void both_ends_may_close_at_once(void **state)
{
	struct pg_port_states before;
	uint32_t client;

	(void)state;
	PLAY(HANDSHAKE);
	before = pg_dp_port_states(h.dp)[80];
	client = end[PG_DIR_IN].next;
	GO_ON(C(ESTABLISHED, FIN));
	end[PG_DIR_IN].next = client;
	GO_ON(S(ESTABLISHED, FIN));
	expect_ends(PG_END_CLOSING, PG_END_LAST_ACK);
	end[PG_DIR_IN].next = client + 1;
	GO_ON(C(ESTABLISHED, ACK), S(ESTABLISHED, ACK));
	expect_ends(PG_END_TIME_WAIT, PG_END_CLOSED);
	expect_moves_since(&before, "ESTABLISHED>FIN_WAIT_1 ESTABLISHED>CLOSE_WAIT "
				    "FIN_WAIT_1>CLOSING CLOSE_WAIT>LAST_ACK CLOSING>TIME_WAIT "
				    "LAST_ACK>CLOSED");
}

static void time_wait_ends_when_its_ports_are_used_again(void **state)
{
	struct pg_port_states before;

	(void)state;
	PLAY(HANDSHAKE, C(ESTABLISHED, FIN), S(ESTABLISHED, FIN), C(ESTABLISHED, ACK));
	before = pg_dp_port_states(h.dp)[80];
	GO_ON(C(NEW, SYN));
	expect_moves_since(&before, "CLOSED>SYN_SENT TIME_WAIT>CLOSED");
	expect_ends(PG_END_SYN_SENT, PG_END_LISTEN);
}

static void time_wait_ends_when_it_is_collected(void **state)
{
	struct pg_port_states before;

	(void)state;
	PLAY(HANDSHAKE, C(ESTABLISHED, FIN), S(ESTABLISHED, FIN), C(ESTABLISHED, ACK));
	before = pg_dp_port_states(h.dp)[80];
	pg_dp_timeout_set(h.dp, PG_TIMEOUT_TCP_TIME_WAIT, 0);
	assert_int_equal(pg_dp_flows_collect(h.dp), 1);
	pg_dp_timeout_set(h.dp, PG_TIMEOUT_TCP_TIME_WAIT, 120);
	assert_int_equal(pg_dp_timeout_get(h.dp, PG_TIMEOUT_TCP_TIME_WAIT), 120);
	assert_false(has_tcp());
	expect_moves_since(&before, "TIME_WAIT>CLOSED");
}

static void flags_of_each_end_are_kept(void **state)
{
	struct pg_dp_flow flow;

	(void)state;
	PLAY(HANDSHAKE, C(ESTABLISHED, ACK | PKT_PSH | PKT_URG), S(ESTABLISHED, ACK));
	assert_true(find(TCP_KEY, &flow));
	assert_int_equal(flow.end[0].flags, SYN | ACK | PKT_PSH | PKT_URG);
	assert_int_equal(flow.end[1].flags, SYN | ACK);
}

/* Sequences ------------------------------------------------------------------------------------ */

#define DATA(want, n) IN(want, FROM_CLIENT(), TCP(.flags = ACK | PKT_PSH), PAYLOAD(n))

static void expect_trouble(unsigned retransmits, unsigned out_of_order, unsigned zero_windows)
{
	struct pg_dp_flow flow;

	assert_true(find(TCP_KEY, &flow));
	assert_int_equal(flow.end[0].retransmits, retransmits);
	assert_int_equal(flow.end[0].out_of_order, out_of_order);
	assert_int_equal(flow.end[0].zero_windows, zero_windows);
	assert_int_equal(flow.end[1].retransmits + flow.end[1].out_of_order, 0);
}

static void what_comes_again_is_a_retransmission(void **state)
{
	uint32_t seq;

	(void)state;
	PLAY(C(NEW, SYN), C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK),
	     C(ESTABLISHED, ACK));
	expect_trouble(1, 0, 0);
	seq = end[PG_DIR_IN].next;
	GO_ON(DATA(ESTABLISHED, 100));
	end[PG_DIR_IN].next = seq;
	GO_ON(DATA(ESTABLISHED, 100), DATA(ESTABLISHED, 50), C(ESTABLISHED, FIN));
	expect_trouble(2, 0, 0);
	end[PG_DIR_IN].next = seq;
	GO_ON(DATA(ESTABLISHED, 100));
	end[PG_DIR_IN].next = seq + 150;
	GO_ON(C(ESTABLISHED, FIN));
	expect_trouble(4, 0, 0);
}

static void what_leaves_a_gap_is_out_of_order(void **state)
{
	uint32_t seq;

	(void)state;
	PLAY(HANDSHAKE);
	seq = end[PG_DIR_IN].next;
	end[PG_DIR_IN].next += 100;
	GO_ON(DATA(ESTABLISHED, 100), DATA(ESTABLISHED, 100));
	expect_trouble(0, 1, 0);
	end[PG_DIR_IN].next = seq;
	GO_ON(DATA(ESTABLISHED, 100));
	expect_trouble(1, 1, 0);
}

static void windows_of_nothing_are_counted(void **state)
{
	(void)state;
	PLAY(HANDSHAKE, IN(ESTABLISHED, FROM_CLIENT(), TCP(.flags = ACK, .window = 0)),
	     IN(ESTABLISHED, FROM_CLIENT(), TCP(.flags = RST)));
	expect_trouble(0, 0, 1);
}

/* Sequence numbers beyond what the other end allows, or that acknowledge what was not sent. */
static void what_is_out_of_the_window_is_invalid(void **state)
{
	struct pg_dp_flow_info before, after;
	uint32_t next[2];

	(void)state;
	PLAY(HANDSHAKE, DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK));
	pg_dp_flow_info(h.dp, &before);
	next[0] = end[0].next, next[1] = end[1].next;
	end[PG_DIR_IN].next += 200000;
	GO_ON(DATA(INVALID, 100), C(INVALID, FIN), C(INVALID, ACK));
	end[PG_DIR_IN].next = next[0];
	end[PG_DIR_OUT].next += 1000;
	GO_ON(C(INVALID, ACK));
	end[PG_DIR_OUT].next = next[1];
	end[PG_DIR_IN].next = next[0] - 50;
	GO_ON(C(INVALID, RST));
	pg_dp_flow_info(h.dp, &after);
	assert_int_equal(after.stats.out_of_window - before.stats.out_of_window, 4);
	/* Old data and a reset somewhere in the window are not believed, either. */
	end[PG_DIR_IN].next = next[0] + 1000;
	GO_ON(C(ESTABLISHED, RST));
	expect_ends(PG_END_ESTABLISHED, PG_END_ESTABLISHED);
	end[PG_DIR_IN].next = next[0];
	/* As nf_conntrack, what lies before the reset may be acknowledged, and is waited for. */
	GO_ON(C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 300, false);
	GO_ON(C(ESTABLISHED, RST));
	expect_tcp(PG_TCP_CLOSE, 10, false);
}

/* Nothing was lost of what is picked up, although its window does not move before it is answered. */
static void what_is_picked_up_is_no_trouble(void **state)
{
	(void)state;
	PLAY(DATA(NEW, 100), DATA(NEW, 100), S(ESTABLISHED, ACK), DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK),
	     DATA(ESTABLISHED, 100));
	expect_trouble(0, 0, 0);
	end[PG_DIR_IN].next -= 100;
	GO_ON(DATA(ESTABLISHED, 100));
	expect_trouble(1, 0, 0);
}

/* Where a reset was is not where the sender's next byte is: the same one again closes nothing. */
static void a_guessed_reset_does_not_open_the_way_for_the_next(void **state)
{
	uint32_t next;

	(void)state;
	PLAY(HANDSHAKE, DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK));
	next = end[PG_DIR_IN].next;
	end[PG_DIR_IN].next += 1000;
	GO_ON(C(ESTABLISHED, RST), C(ESTABLISHED, RST));
	expect_ends(PG_END_ESTABLISHED, PG_END_ESTABLISHED);
	end[PG_DIR_IN].next = next;
	GO_ON(DATA(ESTABLISHED, 500), DATA(ESTABLISHED, 600), S(ESTABLISHED, ACK));
	expect_trouble(0, 0, 0);
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(DATA(ESTABLISHED, 10), C(ESTABLISHED, RST));
	expect_tcp(PG_TCP_CLOSE, 10, false);
}

/* Both ends say that it is over, out of the window: nobody knows, so it is not remembered for days. */
static void ends_out_of_the_window_both_ways_shorten_a_life(void **state)
{
	(void)state;
	PLAY(HANDSHAKE, DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK));
	end[PG_DIR_IN].next += 200000;
	GO_ON(C(INVALID, FIN), C(INVALID, RST));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	end[PG_DIR_IN].next -= 200000;
	end[PG_DIR_OUT].next += 200000;
	GO_ON(S(INVALID, FIN));
	expect_tcp(PG_TCP_ESTABLISHED, 300, false);
	end[PG_DIR_OUT].next -= 200000;
	GO_ON(C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

/* A receiver may take more than it said: what goes a little beyond passes, and may be acknowledged. */
static void a_little_beyond_the_window_may_be_acknowledged(void **state)
{
	(void)state;
	PLAY(HANDSHAKE, DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK));
	end[PG_DIR_IN].next += 65600;
	GO_ON(DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK));
}

static void with(__u32 options)
{
	struct pg_err err = { 0 };

	assert_int_equal(pg_dp_flow_options_set(h.dp, options, &err), 0);
}

static void the_window_may_be_left_unchecked(void **state)
{
	(void)state;
	PLAY(HANDSHAKE);
	end[PG_DIR_IN].next += 200000;
	GO_ON(DATA(INVALID, 100));
	with(PG_FLOW_OPT_LIBERAL);
	GO_ON(DATA(ESTABLISHED, 100));
	with(0);
}

static void strictly_nothing_is_picked_up(void **state)
{
	(void)state;
	start(ACCEPT_ALL);
	with(PG_FLOW_OPT_STRICT);
	GO_ON(C(INVALID, ACK), DATA(INVALID, 10));
	assert_false(has_tcp());
	GO_ON(HANDSHAKE);
	with(0);
}

/* A window of 1000 << 7 is too small without its scale. */
static void windows_are_scaled(void **state)
{
#define SCALED(f) TCP(.flags = (f), .doff = 6, .window = 1000), BYTES("\3\3\7\1", 4)
	(void)state;
	start(ACCEPT_ALL);
	state_of(PG_DIR_IN, PKT(ETH(), FROM_CLIENT(), SCALED(SYN)));
	state_of(PG_DIR_OUT, PKT(ETH(), IP4(.src = "192.0.2.2", .dst = "192.0.2.1"),
				 TCP(.sport = 80, .dport = 40000, .flags = SYNACK, .doff = 6,
				     .window = 1000),
				 BYTES("\3\3\7\1", 4)));
	GO_ON(IN(ESTABLISHED, FROM_CLIENT(), TCP(.flags = ACK, .window = 1000)),
	      OUT(ESTABLISHED, FROM_SERVER(),
		  TCP(.sport = 80, .dport = 40000, .flags = ACK, .window = 1000)));
	end[PG_DIR_IN].next += 100000;
	GO_ON(DATA(ESTABLISHED, 100));
	end[PG_DIR_IN].next += 200000;
	GO_ON(DATA(INVALID, 100));
#undef SCALED
}

static void round_trips_of_the_handshake_are_measured(void **state)
{
	const struct timespec wait[] = { { .tv_nsec = 20000000 }, { .tv_nsec = 60000000 } };
	struct pg_dp_flow flow;

	(void)state;
	PLAY(C(NEW, SYN));
	nanosleep(&wait[0], NULL);
	GO_ON(S(ESTABLISHED, SYNACK));
	nanosleep(&wait[1], NULL);
	GO_ON(C(ESTABLISHED, ACK));
	assert_true(find(TCP_KEY, &flow));
	assert_in_range(flow.rtt_us[0], 20000, 59000);
	assert_in_range(flow.rtt_us[1], 60000, 200000);
}

/* VLANs ---------------------------------------------------------------------------------------- */

#define TAGGED(want, tag, f)                                                                       \
	{ PG_DIR_IN, want, PKT(ETH(), VLAN(.id = (tag)), FROM_CLIENT(), TCP(.flags = (f))) }

/* A tag that one direction does not show is no other VLAN. */
static void vlans_separate_flows(void **state)
{
	(void)state;
	PLAY(TAGGED(NEW, 5, SYN), TAGGED(NEW, 6, SYN), TAGGED(INVALID, 5, FIN));
	PLAY(TAGGED(NEW, 5, SYN), S(ESTABLISHED, RST | ACK));
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
}

static void a_stream_of_datagrams_lives_longer(void **state)
{
	const struct pg_flow_key key = key4("192.0.2.1", 40000, "192.0.2.2", 53, 17);
	struct pg_dp_flow flow;

	(void)state;
	PLAY(IN(NEW, FROM_CLIENT(), UDP()),
	     OUT(ESTABLISHED, FROM_SERVER(), UDP(.sport = 53, .dport = 40000)));
	assert_true(find(key, &flow));
	flow.first_ns -= 2100000000;
	assert_int_equal(pg_dp_flow_put(h.dp, &flow), 0);
	GO_ON(IN(ESTABLISHED, FROM_CLIENT(), UDP()));
	assert_int_equal(life_of(key), 120);
}

/* Once it has been answered: nf_conntrack has no two seconds for UDP-Lite. */
static void udp_lite_is_a_stream_at_once(void **state)
{
	const struct pg_flow_key key = key4("192.0.2.1", 40000, "192.0.2.2", 53, 136);

	(void)state;
	PLAY(IN(NEW, FROM_CLIENT(), UDPLITE()),
	     OUT(ESTABLISHED, FROM_SERVER(), UDPLITE(.sport = 53, .dport = 40000)));
	assert_int_equal(life_of(key), 30);
	GO_ON(IN(ESTABLISHED, FROM_CLIENT(), UDPLITE()));
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

/* Where a segment in fragments ends stands in none of them. */
static void a_segment_in_fragments_is_acknowledged(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	for (int i = 0; i < 100; i++) {
		GO_ON(IN(ESTABLISHED, FROM_CLIENT(.mf = 1), TCP(.flags = ACK), PAYLOAD(1240)));
		end[PG_DIR_IN].next += 160; /* as much is in the second */
		GO_ON(S(ESTABLISHED, ACK), C(ESTABLISHED, ACK));
	}
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(S(ESTABLISHED, FIN), C(ESTABLISHED, FIN), S(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_TIME_WAIT, 120, false);
}

/* Their windows are not known: what is beyond what was said is no data that nobody acknowledges. */
static void what_was_adopted_lives_as_long_as_others(void **state)
{
	struct pg_flow_key key = TCP_KEY;
	struct pg_dp_flow flow;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	pg_dp_flow_new(&key, 0, &flow);
	flow.tcp_state = PG_TCP_ESTABLISHED;
	flow.end[0].state = flow.end[1].state = PG_END_ESTABLISHED;
	flow.seen_reply = flow.assured = true;
	assert_int_equal(pg_dp_flow_put(h.dp, &flow), 0);
	GO_ON(C(ESTABLISHED, ACK), S(ESTABLISHED, ACK), DATA(ESTABLISHED, 100));
	end[PG_DIR_IN].next += 1000000; /* acknowledged in one */
	GO_ON(DATA(ESTABLISHED, 100), S(ESTABLISHED, ACK), C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

/* The verdict on a frame, without the sequence numbers of a connection that goes on. */
static void expect_killed(enum pg_dir dir, const struct pkt_layer *pkt)
{
	size_t len = pkt_build(pkt, frame, sizeof(frame));
	struct pg_trace t;

	harness_run(&h, dir, frame, len, &t);
	assert_int_equal(t.verdict, PG_VERDICT_DROP);
	assert_int_equal(t.reason, PG_REASON_KILLED);
	assert_int_equal(t.ct_state, INVALID);
}

static void what_is_ended_is_dropped_until_a_syn_begins_anew(void **state)
{
	struct pg_flow_key tcp = TCP_KEY, udp = key4("192.0.2.1", 40000, "192.0.2.2", 53, 17);
	struct pg_dp_flow flow;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	assert_true(pg_dp_flow_end(h.dp, &tcp));
	assert_true(pg_dp_flow_end(h.dp, &tcp));
	assert_true(find(TCP_KEY, &flow));
	assert_true(flow.killed);
	expect_killed(PG_DIR_IN, PKT(ETH(), FROM_CLIENT(), TCP(.flags = ACK)));
	expect_killed(PG_DIR_OUT, PKT(ETH(), FROM_SERVER(), TCP(.sport = 80, .dport = 40000, .flags = ACK)));
	expect_killed(PG_DIR_IN, PKT(ETH(), FROM_CLIENT(), TCP(.flags = PKT_RST)));
	GO_ON(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);

	PLAY(IN(NEW, FROM_CLIENT(), UDP(.dport = 53)));
	assert_false(pg_dp_flow_end(h.dp, &tcp));
	assert_true(pg_dp_flow_end(h.dp, &udp));
	assert_int_equal(life_of(udp), 120);
	expect_killed(PG_DIR_IN, PKT(ETH(), FROM_CLIENT(), UDP(.dport = 53)));
	expect_killed(PG_DIR_OUT, PKT(ETH(), FROM_SERVER(), UDP(.sport = 53, .dport = 40000)));
	assert_true(pg_dp_flow_kill(h.dp, &udp));
	GO_ON(IN(NEW, FROM_CLIENT(), UDP(.dport = 53)));
}

#define STATEFUL "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m state --state ESTABLISHED -j ACCEPT\n"
#define COMMIT "COMMIT\n"

static void what_is_ended_stays_so_if_the_syn_is_dropped(void **state)
{
	struct pg_flow_key tcp = TCP_KEY;

	(void)state;
	start(STATEFUL COMMIT);
	GO_ON(HANDSHAKE);
	assert_true(pg_dp_flow_end(h.dp, &tcp));
	harness_load(&h, STATEFUL "-A INPUT -p tcp --syn -j DROP\n" COMMIT);
	GO_ON(C(NEW, SYN));
	harness_load(&h, STATEFUL COMMIT);
	expect_killed(PG_DIR_IN, PKT(ETH(), FROM_CLIENT(), TCP(.flags = ACK)));
	GO_ON(C(NEW, SYN));
	expect_tcp(PG_TCP_SYN_SENT, 120, true);
}

/* What the policy drops anyway counts where it always did. */
static void what_is_ended_does_not_hide_the_rule_that_drops(void **state)
{
	struct pg_flow_key tcp = TCP_KEY;
	struct pg_trace t;
	size_t len;

	(void)state;
	start("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n");
	GO_ON(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	assert_true(pg_dp_flow_end(h.dp, &tcp));
	len = pkt_build(PKT(ETH(), FROM_CLIENT(), TCP(.flags = ACK)), frame, sizeof(frame));
	harness_run(&h, PG_DIR_IN, frame, len, &t);
	assert_int_equal(t.verdict, PG_VERDICT_DROP);
	assert_int_equal(t.reason, PG_REASON_RULE);
}

static void an_expired_flow_is_none(void **state)
{
	struct pg_flow_key key = TCP_KEY;
	struct pg_dp_flow flow;

	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	assert_true(find(key, &flow));
	flow.last_ns -= 432001ULL * 1000000000;
	assert_int_equal(pg_dp_flow_put(h.dp, &flow), 0);
	GO_ON(S(INVALID, FIN));
	assert_false(has_tcp());
	GO_ON(S(NEW, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 300, true);
}

/* SYNs from another address and port each time; departures' checksums are not looked at. */
static void flood(unsigned from, unsigned to)
{
	size_t len = pkt_build(PKT(ETH(), FROM_CLIENT(), TCP()), frame, sizeof(frame));
	struct pg_trace t;

	for (unsigned i = from; i < to; i++) {
		frame[26] = i >> 8 & 0x7f, frame[27] = i;
		frame[34] = 0x80 | i >> 15;
		harness_run(&h, PG_DIR_OUT, frame, len, &t);
		assert_int_equal(t.ct_state, NEW);
	}
}

static int end_it(void *arg, const struct pg_dp_flow *flow)
{
	unsigned *n = arg;

	*n += pg_dp_flow_end(h.dp, &flow->key);
	return 0;
}

/* Ended flows of a flood don't shut out who comes then. */
static void what_was_ended_half_open_makes_room(void **state)
{
	unsigned n = 0;

	(void)state;
	start(ACCEPT_ALL);
	flood(0, 2 * PG_HALF_OPEN);
	pg_dp_flows_walk(h.dp, end_it, &n);
	assert_in_range(n, PG_HALF_OPEN - PG_HALF_OPEN / 16, PG_HALF_OPEN);
	GO_ON(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
}

/* An answered SYN has less time left than those before it, and is not the first to go. */
static void a_handshake_outlives_older_syns(void **state)
{
	(void)state;
	start(ACCEPT_ALL);
	flood(0, 2 * PG_HALF_OPEN);
	nanosleep(&(struct timespec){ .tv_nsec = 40000000 }, NULL);
	GO_ON(C(NEW, SYN), S(ESTABLISHED, SYNACK));
	flood(2 * PG_HALF_OPEN, 2 * PG_HALF_OPEN + PG_HALF_OPEN / 4);
	expect_tcp(PG_TCP_SYN_RECV, 60, true);
}

/* More of them than there is room for, and then all of it again. */
static void a_flood_of_syns_leaves_the_established(void **state)
{
	(void)state;
	PLAY(C(NEW, SYN), S(ESTABLISHED, SYNACK), C(ESTABLISHED, ACK));
	flood(0, 2 * PG_HALF_OPEN);
	expect_tcp(PG_TCP_ESTABLISHED, 432000, false);
	GO_ON(S(ESTABLISHED, ACK), C(ESTABLISHED, ACK));
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
		cmocka_unit_test(a_challenged_syn_is_reset_and_comes_again),
		cmocka_unit_test(a_challenge_is_not_the_last_ack),
		cmocka_unit_test(lengths_that_cannot_be_are_invalid),
		cmocka_unit_test(each_end_has_its_state),
		cmocka_unit_test(every_move_of_an_end_is_counted),
		cmocka_unit_test(data_in_a_syn_need_not_be_acknowledged),
		cmocka_unit_test(a_reset_from_elsewhere_closes_no_end),
		cmocka_unit_test(both_ends_may_close_at_once),
		cmocka_unit_test(time_wait_ends_when_its_ports_are_used_again),
		cmocka_unit_test(time_wait_ends_when_it_is_collected),
		cmocka_unit_test(flags_of_each_end_are_kept),
		cmocka_unit_test(what_comes_again_is_a_retransmission),
		cmocka_unit_test(what_leaves_a_gap_is_out_of_order),
		cmocka_unit_test(windows_of_nothing_are_counted),
		cmocka_unit_test(what_is_out_of_the_window_is_invalid),
		cmocka_unit_test(what_is_picked_up_is_no_trouble),
		cmocka_unit_test(a_guessed_reset_does_not_open_the_way_for_the_next),
		cmocka_unit_test(ends_out_of_the_window_both_ways_shorten_a_life),
		cmocka_unit_test(a_little_beyond_the_window_may_be_acknowledged),
		cmocka_unit_test(the_window_may_be_left_unchecked),
		cmocka_unit_test(strictly_nothing_is_picked_up),
		cmocka_unit_test(windows_are_scaled),
		cmocka_unit_test(round_trips_of_the_handshake_are_measured),
		cmocka_unit_test(vlans_separate_flows),
		cmocka_unit_test(datagrams_are_established_by_an_answer),
		cmocka_unit_test(a_stream_of_datagrams_lives_longer),
		cmocka_unit_test(udp_lite_is_a_stream_at_once),
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
		cmocka_unit_test(a_segment_in_fragments_is_acknowledged),
		cmocka_unit_test(what_was_adopted_lives_as_long_as_others),
		cmocka_unit_test(what_is_ended_is_dropped_until_a_syn_begins_anew),
		cmocka_unit_test(what_is_ended_stays_so_if_the_syn_is_dropped),
		cmocka_unit_test(what_is_ended_does_not_hide_the_rule_that_drops),
		cmocka_unit_test(an_expired_flow_is_none),
		cmocka_unit_test(a_flood_of_syns_leaves_the_established),
		cmocka_unit_test(a_handshake_outlives_older_syns),
		cmocka_unit_test(what_was_ended_half_open_makes_room),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open_general(&h, "", &err), &err, tests, ARRAY_SIZE(tests),
			 NULL);
}
