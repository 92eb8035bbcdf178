/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Associations of SCTP: sequences of packets, what each of them is, and what it makes of the association. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "group.h"
#include "play.h"

/* Chunks without padding, as strings; an INIT asks for a tag. */
#define CHUNK(type, flags) type flags "\0\4"
#define DATA "\0\3\0\20\0\0\0\1\0\0\0\0\0\0\0\0"
#define INIT(tag) "\1\0\0\24\0\0\0" tag "\0\0\0\0\0\1\0\1\0\0\0\1"
#define INIT_ACK(tag) "\2\0\0\24\0\0\0" tag "\0\0\0\0\0\1\0\1\0\0\0\1"
#define SACK CHUNK("\3", "\0")
#define HEARTBEAT CHUNK("\4", "\0")
#define HEARTBEAT_ACK CHUNK("\5", "\0")
#define ABORT CHUNK("\6", "\0")
#define OTHERS_ABORT CHUNK("\6", "\1")
#define SHUTDOWN CHUNK("\7", "\0")
#define SHUTDOWN_ACK CHUNK("\10", "\0")
#define ERROR CHUNK("\11", "\0")
#define COOKIE_ECHO CHUNK("\12", "\0")
#define COOKIE_ACK CHUNK("\13", "\0")
#define SHUTDOWN_COMPLETE CHUNK("\16", "\0")
#define OTHERS_COMPLETE CHUNK("\16", "\1")

/* The client is the far end; all that it sends bears the tag 5, and what the server sends 7. */
#define AS(tag_, chunks, want) { true, tag_, chunks, sizeof(chunks) - 1, want }
#define C(chunks, want) AS(5, chunks, want)
#define S(chunks, want) { false, 7, chunks, sizeof(chunks) - 1, want }
#define S_AS(tag_, chunks, want) { false, tag_, chunks, sizeof(chunks) - 1, want }
#define HANDSHAKE                                                                                  \
	AS(0, INIT("\7"), NEW), S(INIT_ACK("\5"), ESTABLISHED), C(COOKIE_ECHO DATA, ESTABLISHED),  \
		S(COOKIE_ACK SACK, ESTABLISHED)

struct step {
	bool from_client;
	uint32_t tag;
	const char *chunks;
	size_t n;
	unsigned want;
};

static struct harness h;

static void run(const struct step *step, struct pg_trace *ret)
{
	const struct pkt_layer from_client[] = { ETH(), FROM_CLIENT(), SCTP(.tag = step->tag),
						 BYTES(step->chunks, step->n), { .kind = PKT_END } };
	const struct pkt_layer from_server[] = { ETH(), FROM_SERVER(),
						 SCTP(.sport = 2905, .dport = 40000, .tag = step->tag),
						 BYTES(step->chunks, step->n), { .kind = PKT_END } };
	static uint8_t frame[PKT_MAX];
	size_t len = pkt_build(step->from_client ? from_client : from_server, frame, sizeof(frame));

	harness_run(&h, step->from_client ? PG_DIR_IN : PG_DIR_OUT, frame, len, ret);
}

static void go_on(const struct step *step, size_t n)
{
	struct pg_trace trace;

	for (size_t i = 0; i < n; i++) {
		run(&step[i], &trace);
		if (trace.ct_state != step[i].want)
			fail_msg("packet %zu: state %#x, not %#x", i + 1, trace.ct_state, step[i].want);
	}
}

static void start(const char *policy)
{
	harness_forget_flows(&h);
	harness_load(&h, policy);
}

static struct pg_flow_key key(void)
{
	struct pg_flow_key key = { .port = { 40000, 2905 }, .proto = 132 };

	inet_pton(AF_INET, "192.0.2.1", key.addr[0]);
	inet_pton(AF_INET, "192.0.2.2", key.addr[1]);
	return key;
}

static bool find(struct pg_dp_flow *ret)
{
	const struct pg_flow_key k = key();

	return pg_dp_flow_get(h.dp, &k, ret);
}

static void expect(enum pg_sctp_state state, unsigned life_s)
{
	struct pg_dp_flow flow;

	assert_true(find(&flow));
	assert_int_equal(flow.sctp_state, state);
	assert_int_equal(flow.tcp_state, PG_TCP_NONE);
	assert_int_equal((flow.expires_ns - flow.last_ns) / 1000000000, life_s);
}

static void an_association_from_init_to_shutdown(void **state)
{
	struct pg_dp_flow flow;

	(void)state;
	PLAY(AS(0, INIT("\7"), NEW));
	expect(PG_SCTP_CLOSED, 10);
	GO_ON(S(INIT_ACK("\5"), ESTABLISHED));
	expect(PG_SCTP_COOKIE_WAIT, 3);
	GO_ON(C(COOKIE_ECHO, ESTABLISHED));
	expect(PG_SCTP_COOKIE_ECHOED, 3);
	assert_true(find(&flow));
	assert_false(flow.assured);
	GO_ON(S(COOKIE_ACK, ESTABLISHED));
	expect(PG_SCTP_ESTABLISHED, 210);
	assert_true(find(&flow));
	assert_true(flow.assured);
	GO_ON(C(DATA DATA, ESTABLISHED), S(SACK DATA, ESTABLISHED), C(HEARTBEAT, ESTABLISHED),
	      S(HEARTBEAT_ACK, ESTABLISHED));
	expect(PG_SCTP_ESTABLISHED, 210);
	GO_ON(C(SHUTDOWN, ESTABLISHED));
	expect(PG_SCTP_SHUTDOWN_SENT, 3);
	GO_ON(S(SHUTDOWN_ACK, ESTABLISHED));
	expect(PG_SCTP_SHUTDOWN_ACK_SENT, 3);
	GO_ON(C(SHUTDOWN_COMPLETE, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
	assert_true(find(&flow));
	assert_int_equal(flow.end[0].sent.packets, 6);
	assert_int_equal(flow.end[1].sent.packets, 5);
}

static void the_other_end_may_shut_down(void **state)
{
	(void)state;
	PLAY(HANDSHAKE, S(SHUTDOWN, ESTABLISHED));
	expect(PG_SCTP_SHUTDOWN_RECD, 3);
	GO_ON(C(SHUTDOWN_ACK, ESTABLISHED), S(SHUTDOWN_COMPLETE, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
}

static void what_is_sent_here_opens_one_too(void **state)
{
	(void)state;
	PLAY(S_AS(0, INIT("\5"), NEW), C(INIT_ACK("\7"), ESTABLISHED), S(COOKIE_ECHO, ESTABLISHED),
	     C(COOKIE_ACK, ESTABLISHED));
	expect(PG_SCTP_ESTABLISHED, 210);
}

static void an_abort_ends_it(void **state)
{
	(void)state;
	PLAY(HANDSHAKE, AS(6, ABORT, INVALID));
	expect(PG_SCTP_ESTABLISHED, 210);
	GO_ON(C(ABORT, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
	/* Who knows no association puts the tag that he has got. */
	PLAY(HANDSHAKE, S(OTHERS_ABORT, INVALID), S_AS(5, OTHERS_ABORT, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
	PLAY(HANDSHAKE, C(SHUTDOWN, ESTABLISHED), S(SHUTDOWN_ACK, ESTABLISHED),
	     C(OTHERS_COMPLETE, INVALID), AS(7, OTHERS_COMPLETE, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
	PLAY(AS(0, INIT("\7"), NEW), S(INIT_ACK("\5"), ESTABLISHED), C(COOKIE_ECHO, ESTABLISHED),
	     S(ERROR, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
}

static void tags_are_looked_at(void **state)
{
	(void)state;
	PLAY(AS(1, INIT("\7"), INVALID), AS(0, INIT("\7"), NEW), S_AS(6, INIT_ACK("\5"), INVALID),
	     S(INIT_ACK("\5"), ESTABLISHED), AS(6, COOKIE_ECHO, INVALID), C(COOKIE_ECHO, ESTABLISHED),
	     S_AS(6, COOKIE_ACK, INVALID), S(COOKIE_ACK, ESTABLISHED), AS(6, DATA, INVALID),
	     C(DATA, ESTABLISHED), S(INIT_ACK("\6"), INVALID));
	expect(PG_SCTP_ESTABLISHED, 210);
}

static void what_begins_no_association_is_invalid(void **state)
{
	struct pg_dp_flow flow;

	(void)state;
	PLAY(C(DATA, INVALID), C(SACK, INVALID), C(ABORT, INVALID), C(SHUTDOWN_COMPLETE, INVALID),
	     C(COOKIE_ACK, INVALID), C(COOKIE_ECHO, INVALID), C(SHUTDOWN, INVALID), C(ERROR, INVALID),
	     C(INIT_ACK("\1"), INVALID), C("", INVALID));
	assert_false(find(&flow));
	GO_ON(C(SHUTDOWN_ACK, NEW));
	expect(PG_SCTP_SHUTDOWN_ACK_SENT, 3);
	GO_ON(S_AS(5, SHUTDOWN_COMPLETE, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
}

static void chunks_have_their_places(void **state)
{
	(void)state;
	PLAY(AS(0, INIT("\7") HEARTBEAT, INVALID), AS(0, "\1\0\0\20\0\0\0\7\0\0\0\0\0\1\0\1", INVALID),
	     HANDSHAKE, C(DATA COOKIE_ECHO, INVALID), C(DATA SHUTDOWN_COMPLETE, INVALID),
	     C(DATA "\3\0\0\0", INVALID), C(DATA "\3\0\0", ESTABLISHED));
	/* What comes before the chunk that cannot be holds. */
	GO_ON(C(SHUTDOWN OTHERS_ABORT, INVALID));
	expect(PG_SCTP_SHUTDOWN_SENT, 210);
#define FOUR(chunk) chunk chunk chunk chunk
	PLAY(HANDSHAKE, C(FOUR(FOUR(HEARTBEAT)) FOUR(FOUR(FOUR(SACK))), ESTABLISHED),
	     C(FOUR(FOUR(HEARTBEAT)) HEARTBEAT, INVALID));
	/* Of many, those that come first are read. */
	GO_ON(C(FOUR(FOUR(DATA)) FOUR(FOUR(DATA)) ABORT, ESTABLISHED));
	expect(PG_SCTP_ESTABLISHED, 210);
	GO_ON(C(FOUR(FOUR(DATA)) FOUR(FOUR(SACK)) "\3\0\0\0", ESTABLISHED),
	      C(FOUR(FOUR(DATA)) FOUR(DATA DATA DATA) DATA DATA DATA ABORT, ESTABLISHED));
	expect(PG_SCTP_CLOSED, 10);
}

static void an_init_again_does_not_prolong_its_life(void **state)
{
	struct pg_dp_flow flow;
	__u64 last_ns;

	(void)state;
	PLAY(AS(0, INIT("\7"), NEW));
	assert_true(find(&flow));
	flow.last_ns -= 2000000000;
	assert_int_equal(pg_dp_flow_put(h.dp, &flow), 0);
	assert_true(find(&flow));
	last_ns = flow.last_ns;
	GO_ON(AS(0, INIT("\11"), NEW));
	assert_true(find(&flow));
	assert_int_equal(flow.last_ns, last_ns);
	GO_ON(S(INIT_ACK("\5"), INVALID), S_AS(9, INIT_ACK("\5"), ESTABLISHED));
	expect(PG_SCTP_COOKIE_WAIT, 3);
}

static void heartbeats_open_other_paths(void **state)
{
	(void)state;
	PLAY(C(HEARTBEAT, NEW));
	expect(PG_SCTP_HEARTBEAT_SENT, 30);
	GO_ON(C(DATA, NEW), S(DATA, INVALID), S(HEARTBEAT_ACK, ESTABLISHED));
	expect(PG_SCTP_ESTABLISHED, 210);
	/* Both ends have begun anew on another path. */
	GO_ON(S(DATA, ESTABLISHED), AS(6, HEARTBEAT DATA, INVALID), S_AS(8, HEARTBEAT_ACK, INVALID),
	      AS(6, HEARTBEAT, ESTABLISHED), AS(6, HEARTBEAT_ACK, INVALID),
	      S_AS(8, HEARTBEAT_ACK, ESTABLISHED), S_AS(8, DATA, ESTABLISHED),
	      AS(6, HEARTBEAT DATA, ESTABLISHED), S(DATA, INVALID));
}

static void what_is_ended_is_dropped_until_an_init_begins_anew(void **state)
{
	const struct pg_flow_key k = key();
	struct pg_trace trace;

	(void)state;
	PLAY(HANDSHAKE);
	assert_true(pg_dp_flow_end(h.dp, &k));
	run(&(struct step)C(DATA, INVALID), &trace);
	assert_int_equal(trace.reason, PG_REASON_KILLED);
	GO_ON(HANDSHAKE);
	expect(PG_SCTP_ESTABLISHED, 210);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_association_from_init_to_shutdown),
		cmocka_unit_test(the_other_end_may_shut_down),
		cmocka_unit_test(what_is_sent_here_opens_one_too),
		cmocka_unit_test(an_abort_ends_it),
		cmocka_unit_test(tags_are_looked_at),
		cmocka_unit_test(what_begins_no_association_is_invalid),
		cmocka_unit_test(chunks_have_their_places),
		cmocka_unit_test(an_init_again_does_not_prolong_its_life),
		cmocka_unit_test(heartbeats_open_other_paths),
		cmocka_unit_test(what_is_ended_is_dropped_until_an_init_begins_anew),
	};
	struct pg_err err = { 0 };

	return group_run(&h, harness_open_general(&h, "", &err), &err, tests, ARRAY_SIZE(tests),
			 NULL);
}
