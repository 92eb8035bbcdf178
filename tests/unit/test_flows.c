/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is asked of flows and states, and how made-up ones are shown, to the letter. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <json-c/json.h>

#include "addr.h"
#include "export_json.h"
#include "names.h"
#include "view_flows.h"

#define S 1000000000ULL
#define F(flag) (1U << PG_FLAG_##flag)

static const struct pg_flow_row rows[] = {
	{
		.addr = { { 192, 0, 2, 7 }, { 10, 77, 0, 1 } },
		.port = { 51234, 443 },
		.proto = 6,
		.state = PG_TCP_ESTABLISHED,
		.end_state = { PG_END_ESTABLISHED, PG_END_ESTABLISHED },
		.flags = { F(SYN) | F(ACK) | F(PSH), F(SYN) | F(ACK) },
		.replied = true, .assured = true,
		.count = { { 12, 3456 }, { 10, 123456 } },
		.retransmits = { 1, 2 }, .zero_windows = { 0, 3 }, .out_of_order = { 4, 0 },
		.rtt_us = { 900, 350 },
		.age_ns = 3700 * S, .idle_ns = 2 * S, .expires_ns = 431998 * S + 1,
		.iface = "eth0", .vlan = -1, .netns = 4026531840,
	},
	{
		.addr = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 } },
		.port = { 5555, 22 },
		.family = PG_FAMILY_V6,
		.proto = 6,
		.state = PG_TCP_FIN_WAIT,
		.end_state = { PG_END_FIN_WAIT_1, PG_END_CLOSE_WAIT },
		.flags = { F(SYN) | F(ACK) | F(PSH) | F(FIN),
			   F(SYN) | F(ACK) | F(RST) | F(URG) | F(ECE) | F(CWR) },
		.replied = true, .assured = true,
		.count = { { 5, 400 }, { 1ULL << 40, UINT64_MAX - 400 } },
		.rtt_us = { 20000, 0 },
		.age_ns = 65 * S, .idle_ns = 0, .expires_ns = 120 * S,
		.iface = "v\"\\\033", .vlan = 100,
	},
	{
		.addr = { { 10, 77, 0, 1 }, { 10, 77, 0, 2 } },
		.port = { 40000, 53 },
		.proto = 17,
		.count = { { 1, 60 }, { 0, 0 } },
		.age_ns = 29 * S, .idle_ns = 29 * S, .expires_ns = 1 * S,
		.iface = "eth0", .vlan = -1,
	},
	{
		.addr = { { 10, 77, 0, 2 }, { 10, 77, 0, 1 } },
		.port = { 8, 0 }, .query_id = 777,
		.proto = 1,
		.replied = true,
		.count = { { 3, 252 }, { 3, 252 } },
		.age_ns = 200000 * S, .idle_ns = 1 * S, .expires_ns = 29 * S,
		.iface = "", .vlan = -1,
	},
	{
		.addr = { { 10, 77, 0, 2 }, { 10, 77, 0, 1 } },
		.proto = 50,
		.replied = true, .assured = true,
		.count = { { 7, 700 }, { 1, 100 } },
		.age_ns = 4000 * S, .idle_ns = 599 * S, .expires_ns = 1 * S,
		.iface = "eth1", .vlan = 0,
	},
};

static struct pg_flow_list list_of(const struct pg_flow_query *query)
{
	struct pg_flow_list list = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(pg_flow_list_add(&list, query, &rows[i]), 0);
	pg_flow_list_sort(&list, query);
	return list;
}

/* Which rows, by a letter each, in the order of the list. */
static void expect_rows(const struct pg_flow_query *query, const char *wanted)
{
	struct pg_flow_list list = list_of(query);
	char got[16] = "";

	for (size_t i = 0; i < list.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
			if (!memcmp(&list.row[i], &rows[k], sizeof(rows[k])))
				got[i] = (char)('a' + k);
	assert_string_equal(got, wanted);
	pg_flow_list_clear(&list);
}

static struct pg_addr addr(const char *text)
{
	struct pg_addr ret;
	struct pg_diag diag;

	assert_int_equal(pg_addr_parse(text, PG_V46, NULL, &ret, &diag), 0);
	return ret;
}

static void nothing_asked_for_is_everything_by_protocol_and_port(void **state)
{
	const struct pg_flow_query q = { 0 };

	(void)state;
	expect_rows(&q, "dabce");
}

static void a_port_is_either_ends_and_never_an_icmp_type(void **state)
{
	struct pg_flow_query q = { 0 };

	(void)state;
	assert_int_equal(pg_flow_ports_from_str("443", &q.port), 0);
	expect_rows(&q, "a");
	assert_int_equal(pg_flow_ports_from_str("40000-51234", &q.port), 0);
	expect_rows(&q, "ac");
	assert_int_equal(pg_flow_ports_from_str("0:10", &q.port), 0);
	expect_rows(&q, "e");
	q = (struct pg_flow_query){ 0 };
	assert_int_equal(pg_flow_ports_from_str("53", &q.dport), 0);
	expect_rows(&q, "c");
	q.sport = q.dport;
	expect_rows(&q, "");
	assert_int_equal(pg_flow_ports_from_str("65536", &q.port), -EINVAL);
	assert_int_equal(pg_flow_ports_from_str("9-8", &q.port), -EINVAL);
	assert_int_equal(pg_flow_ports_from_str("no-such-service", &q.port), -EINVAL);
	assert_int_equal(pg_flow_ports_from_str("", &q.port), -EINVAL);
}

static void addresses_are_those_of_the_end_that_is_named(void **state)
{
	struct pg_flow_query q = { .src = addr("10.77.0.0/16") };

	(void)state;
	expect_rows(&q, "dce");
	q.dst = addr("10.77.0.2");
	expect_rows(&q, "c");
	q = (struct pg_flow_query){ .addr = addr("10.77.0.1") };
	expect_rows(&q, "dace");
	q = (struct pg_flow_query){ .dst = addr("2001:db8::2/127") };
	expect_rows(&q, "b");
	q = (struct pg_flow_query){ .iface = "eth0", .has_proto = true, .proto = 17 };
	expect_rows(&q, "c");
	q = (struct pg_flow_query){ .iface = "eth" };
	expect_rows(&q, "");
}

static void states_are_the_pairs_or_an_ends(void **state)
{
	struct pg_flow_query q = { 0 };

	(void)state;
	assert_int_equal(pg_flow_states_from_str("ESTABLISHED", &q), 0);
	expect_rows(&q, "a");
	assert_int_equal(pg_flow_states_from_str("fin-wait,unreplied", &q), 0);
	expect_rows(&q, "abc");
	q = (struct pg_flow_query){ 0 };
	assert_int_equal(pg_flow_states_from_str("FIN_WAIT_1", &q), 0);
	expect_rows(&q, "b");
	q = (struct pg_flow_query){ 0 };
	/* A word that both have is the pair's. */
	assert_int_equal(pg_flow_states_from_str("CLOSE_WAIT", &q), 0);
	expect_rows(&q, "");
	q = (struct pg_flow_query){ 0 };
	assert_int_equal(pg_flow_states_from_str("replied,Assured", &q), 0);
	expect_rows(&q, "de");
	assert_int_equal(pg_flow_states_from_str("NONE", &q), -EINVAL);
	assert_int_equal(pg_flow_states_from_str("ESTABLISHE", &q), -EINVAL);
	assert_int_equal(pg_flow_states_from_str("ESTABLISHED,", &q), -EINVAL);
}

static bool is_wanted(const char *states, const struct pg_flow_row *row)
{
	struct pg_flow_query q = { 0 };

	assert_int_equal(pg_flow_states_from_str(states, &q), 0);
	return pg_flow_wanted(&q, row);
}

static void associations_of_sctp_have_states_of_their_own(void **state)
{
	struct pg_flow_row row = { .proto = 132, .port = { 40000, 2905 }, .replied = true };
	const struct pg_flow_row closed = { .proto = 6, .state = PG_TCP_TIME_WAIT,
					    .end_state = { PG_END_TIME_WAIT, PG_END_CLOSED } };

	(void)state;
	for (unsigned s = PG_SCTP_NONE + 1; s < _PG_SCTP_MAX; s++) {
		row.sctp_state = (uint8_t)s;
		assert_true(pg_flow_word(&row) < _PG_FLOW_WORD_MAX);
		assert_string_equal(pg_flow_word_name(pg_flow_word(&row)), pg_sctp_state_name(s));
		assert_true(is_wanted(pg_sctp_state_name(s), &row));
	}
	assert_true(is_wanted("cookie-wait,heartbeat-sent,heartbeat_sent", &row));
	assert_false(is_wanted("replied", &row));
	/* A word that an end of TCP has too. */
	assert_true(is_wanted("CLOSED", &closed));
	row.sctp_state = PG_SCTP_ESTABLISHED;
	assert_int_equal(pg_flow_word(&row), PG_TCP_ESTABLISHED);
	assert_false(is_wanted("CLOSED", &row));
}

static void the_first_by_a_key(void **state)
{
	static const struct {
		const char *by, *wanted;
	} cases[] = {
		{ "packets", "ba" }, { "bytes", "ba" }, { "rtt", "ba" }, { "age", "de" },
		{ "retransmits", "ad" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pg_flow_query q = { .top = 2 };

		assert_int_equal(pg_flow_sort_from_str(cases[i].by, &q.by), 0);
		expect_rows(&q, cases[i].wanted);
	}
	assert_int_equal(pg_flow_sort_from_str("size", &(enum pg_flow_sort){ 0 }), -EINVAL);
	assert_int_equal(pg_flow_sort_from_str("", &(enum pg_flow_sort){ 0 }), -EINVAL);
}

/* A heap against sorting all of it. */
static void the_first_of_many_are_those_that_sorting_finds(void **state)
{
	struct pg_flow_query all = { .by = PG_FLOW_BY_BYTES }, top = all;
	struct pg_flow_list sorted = { 0 }, heap = { 0 };
	unsigned random = 12345;

	(void)state;
	top.top = 37;
	for (unsigned i = 0; i < 1000; i++) {
		struct pg_flow_row row = rows[0];

		random = random * 1103515245 + 12345;
		row.count[0].bytes = random >> 16 & 255;
		row.port[0] = (uint16_t)i;
		assert_int_equal(pg_flow_list_add(&sorted, &all, &row), 0);
		assert_int_equal(pg_flow_list_add(&heap, &top, &row), 0);
	}
	pg_flow_list_sort(&sorted, &all);
	pg_flow_list_sort(&heap, &top);
	assert_int_equal(heap.n, 37);
	assert_int_equal(heap.wanted, 1000);
	assert_memory_equal(heap.row, sorted.row, 37 * sizeof(*heap.row));
	pg_flow_list_clear(&sorted);
	pg_flow_list_clear(&heap);
}

static void expect_text(struct pg_text *t, const char *text)
{
	assert_false(t->oom);
	assert_string_equal(t->buf, text);
	pg_text_free(t);
}

static void flows_in_one_line_where_there_is_room(void **state)
{
	struct pg_flow_list list = list_of(&(struct pg_flow_query){ 0 });
	struct pg_text t = { 0 };

	(void)state;
	pg_view_flows(&t, &list, 0);
	expect_text(&t, 
		"PROTO  STATE        SOURCE              DESTINATION       PKTS>  BYTES>          PKTS<                BYTES<  RETR      RTT    AGE   IDLE  EXPIRES  IFACE     ENDS\n"
		"icmp   REPLIED      10.77.0.2           10.77.0.1             3     252              3                   252     -        -  2d07h     1s      29s  -         type 8 code 0 id 777\n"
		"tcp    ESTABLISHED  192.0.2.7:51234     10.77.0.1:443        12    3456             10                123456   1/2  1.250ms  1h01m     2s    4d23h  eth0      ESTABLISHED\n"
		"tcp    FIN_WAIT     [2001:db8::1]:5555  [2001:db8::2]:22      5     400  1099511627776  18446744073709551215   0/0     20ms  1m05s     0s    2m00s  v\"\\?.100  FIN_WAIT_1/CLOSE_WAIT\n"
		"udp    UNREPLIED    10.77.0.1:40000     10.77.0.2:53          1      60              0                     0     -        -    29s    29s       1s  eth0      -\n"
		"esp    ASSURED      10.77.0.2           10.77.0.1             7     700              1                   100     -        -  1h06m  9m59s       1s  eth1.0    -\n"
		"5 flows\n");
	pg_flow_list_clear(&list);
}

static void flows_in_two_lines_on_80_columns(void **state)
{
	struct pg_flow_list list = list_of(&(struct pg_flow_query){ .top = 4, .by = PG_FLOW_BY_AGE });
	struct pg_text t = { 0 };

	(void)state;
	pg_view_flows(&t, &list, 80);
	expect_text(&t, 
		"PROTO  STATE        SOURCE              DESTINATION       EXPIRES\n"
		"icmp   REPLIED      10.77.0.2           10.77.0.1             29s\n"
		"      > 3 pkts 252 bytes, < 3 pkts 252 bytes, age 2d07h, idle 1s, type 8 code 0\n"
		"      id 777\n"
		"esp    ASSURED      10.77.0.2           10.77.0.1              1s\n"
		"      > 7 pkts 700 bytes, < 1 pkts 100 bytes, age 1h06m, idle 9m59s, eth1.0\n"
		"tcp    ESTABLISHED  192.0.2.7:51234     10.77.0.1:443       4d23h\n"
		"      > 12 pkts 3456 bytes, < 10 pkts 123456 bytes, age 1h01m, idle 2s, rtt\n"
		"      1.250ms, retransmits 1/2, eth0\n"
		"tcp    FIN_WAIT     [2001:db8::1]:5555  [2001:db8::2]:22    2m00s\n"
		"      > 5 pkts 400 bytes, < 1099511627776 pkts 18446744073709551215 bytes, age\n"
		"      1m05s, idle 0s, rtt 20ms, v\"\\?.100, FIN_WAIT_1/CLOSE_WAIT\n"
		"4 of 5 flows\n");
	pg_flow_list_clear(&list);
}

static void no_flows_at_all(void **state)
{
	const struct pg_flow_list none = { 0 };
	struct pg_text t = { 0 };

	(void)state;
	pg_view_flows(&t, &none, 80);
	expect_text(&t, 
		"PROTO  STATE  SOURCE  DESTINATION  EXPIRES\n"
		"0 flows\n");
}

/* What a writer puts into a FILE; the caller frees it. */
static char *written(int (*write)(FILE *f, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_int_equal(write(f, arg), 0);
	fclose(f);
	return text;
}

static int write_flows(FILE *f, const void *arg)
{
	struct pg_flow_json *j = pg_flow_json_begin(f);
	const size_t *n = arg;
	struct pg_err err;

	assert_non_null(j);
	for (size_t i = 0; i < *n; i++)
		pg_flow_json_add(j, &rows[i % ARRAY_SIZE(rows)]);
	return pg_flow_json_end(j, &err);
}

static void flows_as_json(void **state)
{
	char *text = written(write_flows, &(size_t){ ARRAY_SIZE(rows) });

	(void)state;
	assert_string_equal(text, 
		"{\"flows\":[{\"proto\":\"tcp\",\"src\":\"192.0.2.7\",\"sport\":51234,\"dst\":\"10.77.0.1\",\"dport\":443,\"state\":\"ESTABLISHED\",\"src_state\":\"ESTABLISHED\",\"dst_state\":\"ESTABLISHED\",\"packets\":[12,10],\"bytes\":[3456,123456],\"flags\":[\"SPA\",\"SA\"],\"retransmits\":[1,2],\"zero_windows\":[0,3],\"out_of_order\":[4,0],\"rtt_us\":1250,\"rtt_halves_us\":[900,350],\"age_s\":3700,\"idle_s\":2,\"expires_s\":431998,\"iface\":\"eth0\",\"vlan\":null,\"replied\":true,\"assured\":true,\"half_open\":false,\"picked_up\":false,\"netns\":4026531840},"
		"{\"proto\":\"tcp\",\"src\":\"2001:db8::1\",\"sport\":5555,\"dst\":\"2001:db8::2\",\"dport\":22,\"state\":\"FIN_WAIT\",\"src_state\":\"FIN_WAIT_1\",\"dst_state\":\"CLOSE_WAIT\",\"packets\":[5,1099511627776],\"bytes\":[400,18446744073709551215],\"flags\":[\"SPAF\",\"SARUEC\"],\"retransmits\":[0,0],\"zero_windows\":[0,0],\"out_of_order\":[0,0],\"rtt_us\":20000,\"rtt_halves_us\":[20000,0],\"age_s\":65,\"idle_s\":0,\"expires_s\":120,\"iface\":\"v\\\"\\\\?\",\"vlan\":100,\"replied\":true,\"assured\":true,\"half_open\":false,\"picked_up\":false,\"netns\":0},"
		"{\"proto\":\"udp\",\"src\":\"10.77.0.1\",\"sport\":40000,\"dst\":\"10.77.0.2\",\"dport\":53,\"state\":\"UNREPLIED\",\"src_state\":null,\"dst_state\":null,\"packets\":[1,0],\"bytes\":[60,0],\"flags\":[\"\",\"\"],\"retransmits\":[0,0],\"zero_windows\":[0,0],\"out_of_order\":[0,0],\"rtt_us\":0,\"rtt_halves_us\":[0,0],\"age_s\":29,\"idle_s\":29,\"expires_s\":1,\"iface\":\"eth0\",\"vlan\":null,\"replied\":false,\"assured\":false,\"half_open\":false,\"picked_up\":false,\"netns\":0},"
		"{\"proto\":\"icmp\",\"src\":\"10.77.0.2\",\"sport\":8,\"dst\":\"10.77.0.1\",\"dport\":0,\"state\":\"REPLIED\",\"src_state\":null,\"dst_state\":null,\"packets\":[3,3],\"bytes\":[252,252],\"flags\":[\"\",\"\"],\"retransmits\":[0,0],\"zero_windows\":[0,0],\"out_of_order\":[0,0],\"rtt_us\":0,\"rtt_halves_us\":[0,0],\"age_s\":200000,\"idle_s\":1,\"expires_s\":29,\"iface\":null,\"vlan\":null,\"id\":777,\"replied\":true,\"assured\":false,\"half_open\":false,\"picked_up\":false,\"netns\":0},"
		"{\"proto\":\"esp\",\"src\":\"10.77.0.2\",\"sport\":null,\"dst\":\"10.77.0.1\",\"dport\":null,\"state\":\"ASSURED\",\"src_state\":null,\"dst_state\":null,\"packets\":[7,1],\"bytes\":[700,100],\"flags\":[\"\",\"\"],\"retransmits\":[0,0],\"zero_windows\":[0,0],\"out_of_order\":[0,0],\"rtt_us\":0,\"rtt_halves_us\":[0,0],\"age_s\":4000,\"idle_s\":599,\"expires_s\":1,\"iface\":\"eth1\",\"vlan\":0,\"replied\":true,\"assured\":true,\"half_open\":false,\"picked_up\":false,\"netns\":0}]}\n");
	free(text);
	text = written(write_flows, &(size_t){ 0 });
	assert_string_equal(text, "{\"flows\":[]}\n");
	free(text);
}

/* More than its buffer holds, and all of it is JSON. */
static void many_flows_as_json(void **state)
{
	char *text = written(write_flows, &(size_t){ 5000 });
	struct json_object *doc = json_tokener_parse(text), *flows, *src;

	(void)state;
	assert_non_null(doc);
	assert_true(json_object_object_get_ex(doc, "flows", &flows));
	assert_int_equal(json_object_array_length(flows), 5000);
	assert_true(json_object_object_get_ex(json_object_array_get_idx(flows, 4996), "src", &src));
	assert_string_equal(json_object_get_string(src), "2001:db8::1");
	json_object_put(doc);
	free(text);
}

/* States ----------------------------------------------------------------------------------------- */

static struct pg_state_port state_ports[] = {
	{ .port = 22, .matrix = { .count = {
		[PG_END_CLOSED] = { [PG_END_SYN_SENT] = 2 },
		[PG_END_LISTEN] = { [PG_END_SYN_RECEIVED] = 1 },
	} } },
	{ .port = 443, .matrix = { .count = {
		[PG_END_SYN_SENT] = { [PG_END_ESTABLISHED] = 1000000 },
	} } },
};

static const struct pg_states states = {
	.total = { .count = {
		[PG_END_CLOSED] = { [PG_END_SYN_SENT] = 2 },
		[PG_END_LISTEN] = { [PG_END_SYN_RECEIVED] = 1 },
		[PG_END_SYN_SENT] = { [PG_END_ESTABLISHED] = 1000000, [PG_END_CLOSED] = 3 },
		[PG_END_TIME_WAIT] = { [PG_END_CLOSED] = 7 },
	} },
	.port = state_ports,
	.n_ports = ARRAY_SIZE(state_ports),
	.odd = { [PG_ODD_XMAS] = 4, [PG_ODD_NULL] = 1 },
};

static const struct pg_states_opts all_ports;

static void states_as_a_matrix(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_states(&t, &states, 80, &all_ports);
	expect_text(&t, 
		"FROM\\TO    CLOSED  SYN_SENT  SYN_RECEIVED  ESTABLISHED\n"
		"CLOSED          .         2             .            .\n"
		"LISTEN          .         .             1            .\n"
		"SYN_SENT        3         .             .      1000000\n"
		"TIME_WAIT       7         .             .            .\n"
		"\n"
		"Impossible flags: null 1, xmas 4\n");
}

static void states_as_a_list_where_there_is_no_room(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_view_states(&t, &states, 50, &all_ports);
	expect_text(&t, 
		"FROM       TO              COUNT\n"
		"CLOSED     SYN_SENT            2\n"
		"LISTEN     SYN_RECEIVED        1\n"
		"SYN_SENT   CLOSED              3\n"
		"SYN_SENT   ESTABLISHED   1000000\n"
		"TIME_WAIT  CLOSED              7\n"
		"\n"
		"Impossible flags: null 1, xmas 4\n");
}

static void states_of_ports(void **state)
{
	struct pg_states_opts opts = { .n = 1 };
	struct pg_text t = { 0 };

	(void)state;
	opts.port = calloc(1, sizeof(*opts.port));
	assert_non_null(opts.port);
	opts.port->lo = 20;
	opts.port->hi = 443;
	pg_view_states(&t, &states, 80, &opts);
	expect_text(&t, 
		"Port 22\n"
		"FROM\\TO  SYN_SENT  SYN_RECEIVED\n"
		"CLOSED          2             .\n"
		"LISTEN          .             1\n"
		"\n"
		"Port 443\n"
		"FROM\\TO   ESTABLISHED\n"
		"SYN_SENT      1000000\n");
	opts.port->hi = 21;
	pg_view_states(&t, &states, 80, &opts);
	expect_text(&t, "No end of a connection to such a port has changed its state yet.\n");
	free(opts.port);
	pg_view_states(&t, &(struct pg_states){ 0 }, 80, &all_ports);
	expect_text(&t, "No end of a connection has changed its state yet.\n");
}

static int write_states(FILE *f, const void *arg)
{
	struct pg_err err;

	return pg_json_states(f, &states, arg, &err);
}

static void states_as_json(void **state)
{
	char *text = written(write_states, &all_ports);

	(void)state;
	assert_string_equal(text, 
		"{\"transitions\":[{\"from\":\"CLOSED\",\"to\":\"SYN_SENT\",\"count\":2},{\"from\":\"LISTEN\",\"to\":\"SYN_RECEIVED\",\"count\":1},{\"from\":\"SYN_SENT\",\"to\":\"CLOSED\",\"count\":3},{\"from\":\"SYN_SENT\",\"to\":\"ESTABLISHED\",\"count\":1000000},{\"from\":\"TIME_WAIT\",\"to\":\"CLOSED\",\"count\":7}],\"impossible_flags\":{\"null\":1,\"syn-fin\":0,\"syn-rst\":0,\"xmas\":4,\"fin-without-ack\":0},\"ports\":[{\"port\":22,\"transitions\":[{\"from\":\"CLOSED\",\"to\":\"SYN_SENT\",\"count\":2},{\"from\":\"LISTEN\",\"to\":\"SYN_RECEIVED\",\"count\":1}]},"
		"{\"port\":443,\"transitions\":[{\"from\":\"SYN_SENT\",\"to\":\"ESTABLISHED\",\"count\":1000000}]}]}\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked_for_is_everything_by_protocol_and_port),
		cmocka_unit_test(a_port_is_either_ends_and_never_an_icmp_type),
		cmocka_unit_test(addresses_are_those_of_the_end_that_is_named),
		cmocka_unit_test(states_are_the_pairs_or_an_ends),
		cmocka_unit_test(associations_of_sctp_have_states_of_their_own),
		cmocka_unit_test(the_first_by_a_key),
		cmocka_unit_test(the_first_of_many_are_those_that_sorting_finds),
		cmocka_unit_test(flows_in_one_line_where_there_is_room),
		cmocka_unit_test(flows_in_two_lines_on_80_columns),
		cmocka_unit_test(no_flows_at_all),
		cmocka_unit_test(flows_as_json),
		cmocka_unit_test(many_flows_as_json),
		cmocka_unit_test(states_as_a_matrix),
		cmocka_unit_test(states_as_a_list_where_there_is_no_room),
		cmocka_unit_test(states_of_ports),
		cmocka_unit_test(states_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
