// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames of packets that somebody describes: the same bytes as the tests' own builder makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "packet.h"
#include "pkt.h"

#define ETH_LEN 14

static struct pg_packet packet(const char *src, const char *dst, uint8_t proto)
{
	bool v6 = strchr(src, ':');
	struct pg_packet p = {
		.family = v6 ? PG_FAMILY_V6 : PG_FAMILY_V4,
		.proto = proto,
		.sport = 40000,
		.dport = 80,
	};

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, src, p.src), 1);
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, dst, p.dst), 1);
	return p;
}

static struct pg_packet packet4(uint8_t proto)
{
	return packet("192.0.2.1", "192.0.2.2", proto);
}

static struct pg_packet packet6(uint8_t proto)
{
	return packet("2001:db8::1", "2001:db8::2", proto);
}

static uint8_t got[PG_PACKET_MAX], wanted[PKT_MAX];

/* `payload` zeros behind what both builders write. */
static void expect_frame(struct pg_packet p, const struct pkt_layer *layers, size_t payload)
{
	size_t want = pkt_build(layers, wanted, sizeof(wanted)), n;

	if (payload)
		p.length = (uint32_t)(pg_packet_min(&p) + payload);
	memset(got, 0xee, sizeof(got));
	n = pg_packet_build(&p, got);
	assert_int_equal(n, want);
	assert_memory_equal(got, wanted, n);
}

static const uint8_t zeros[3000];

static void tcp_and_udp(void **state)
{
	struct pg_packet tcp = packet4(IPPROTO_TCP), tcp6 = packet6(IPPROTO_TCP);

	(void)state;
	tcp.flags = tcp6.flags = PKT_SYN;
	expect_frame(tcp, PKT(ETH(), IP4(), TCP()), 0);
	expect_frame(tcp, PKT(ETH(), IP4(), TCP(), BYTES(zeros, 1401)), 1401);
	expect_frame(tcp6, PKT(ETH(), IP6(), TCP()), 0);
	expect_frame(packet4(IPPROTO_UDP), PKT(ETH(), IP4(), UDP(.dport = 80)), 0);
	expect_frame(packet6(IPPROTO_UDP), PKT(ETH(), IP6(), UDP(.dport = 80), BYTES(zeros, 3000)),
		     3000);
	expect_frame(packet4(IPPROTO_UDPLITE), PKT(ETH(), IP4(), UDPLITE(.dport = 80)), 0);
}

static void icmp_queries(void **state)
{
	struct pg_packet p = packet4(IPPROTO_ICMP), p6 = packet6(IPPROTO_ICMPV6);

	(void)state;
	p.type = 8;
	p6.type = 129;
	p6.code = 3;
	expect_frame(p, PKT(ETH(), IP4(), ICMP(.id = PG_QUERY_ID)), 0);
	expect_frame(p6, PKT(ETH(), IP6(), ICMP6(.type = 129, .code = 3, .id = PG_QUERY_ID)), 0);
}

static unsigned sum(const uint8_t *bytes, size_t n, unsigned start)
{
	unsigned s = start;

	for (size_t i = 0; i < n; i++)
		s += i % 2 ? bytes[i] : (unsigned)bytes[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* The quoted packet went from the error's receiver to its sender. */
static void icmp_errors_quote_a_packet(void **state)
{
	struct pg_packet p = packet4(IPPROTO_ICMP), p6 = packet6(IPPROTO_ICMPV6);
	size_t n;

	(void)state;
	p.type = 3;
	n = pg_packet_build(&p, got);
	assert_int_equal(n, ETH_LEN + 20 + 8 + 20 + 8);
	assert_int_equal(sum(got + ETH_LEN + 20, n - ETH_LEN - 20, 0), 0xffff);
	assert_memory_equal(got + ETH_LEN + 28 + 12, p.dst, 4);
	assert_memory_equal(got + ETH_LEN + 28 + 16, p.src, 4);
	assert_int_equal(sum(got + ETH_LEN + 28, 20, 0), 0xffff);
	p6.type = 1;
	n = pg_packet_build(&p6, got);
	assert_int_equal(n, ETH_LEN + 40 + 8 + 40 + 8);
	assert_memory_equal(got + ETH_LEN + 48 + 8, p6.dst, 16);
	assert_memory_equal(got + ETH_LEN + 48 + 24, p6.src, 16);
	/* With the pseudo header: addresses, length, protocol. */
	assert_int_equal(sum(got + ETH_LEN + 40, n - ETH_LEN - 40,
			     sum(got + ETH_LEN + 8, 32, 56 + IPPROTO_ICMPV6)),
			 0xffff);
}

static void a_group_has_its_ethernet_address(void **state)
{
	static const struct {
		const char *src, *dst, *mac;
	} rows[] = {
		{ "192.0.2.1", "255.255.255.255", "\xff\xff\xff\xff\xff\xff" },
		{ "192.0.2.1", "224.128.0.251", "\x01\x00\x5e\x00\x00\xfb" },
		{ "192.0.2.1", "239.255.1.2", "\x01\x00\x5e\x7f\x01\x02" },
		{ "fe80::1", "ff02::1:ff00:5", "\x33\x33\xff\x00\x00\x05" },
		{ "192.0.2.1", "192.0.2.255", "\x02\x00\x00\x00\x00\x02" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_packet p = packet(rows[i].src, rows[i].dst, IPPROTO_UDP);

		pg_packet_build(&p, got);
		assert_memory_equal(got, rows[i].mac, 6);
	}
}

static void the_longest_packets(void **state)
{
	struct pg_packet p = packet4(IPPROTO_UDP), p6 = packet6(IPPROTO_UDP);

	(void)state;
	p.length = (uint32_t)pg_packet_max(&p);
	assert_int_equal(pg_packet_build(&p, got), ETH_LEN + 65535);
	assert_memory_equal(got + ETH_LEN + 2, "\xff\xff", 2);
	p6.length = (uint32_t)pg_packet_max(&p6);
	assert_int_equal(pg_packet_build(&p6, got), PG_PACKET_MAX);
	assert_memory_equal(got + ETH_LEN + 4, "\xff\xff", 2);
}

static void a_wrong_length_only_where_it_is_asked_for(void **state)
{
	struct pg_packet p = packet4(IPPROTO_UDP);

	(void)state;
	pg_packet_build(&p, got);
	assert_memory_equal(got + ETH_LEN + 24, "\x00\x08", 2);
	p.bad_length = true;
	pg_packet_build(&p, got);
	assert_memory_equal(got + ETH_LEN + 24, "\x00\x10", 2);
}

static void requests_and_answers(void **state)
{
	static const struct {
		enum pg_family family;
		int type, request;
	} rows[] = {
		{ PG_FAMILY_V4, 8, 8 },	    { PG_FAMILY_V4, 0, 8 },	{ PG_FAMILY_V4, 13, 13 },
		{ PG_FAMILY_V4, 14, 13 },   { PG_FAMILY_V4, 16, 15 },	{ PG_FAMILY_V4, 18, 17 },
		{ PG_FAMILY_V4, 3, -1 },    { PG_FAMILY_V4, 19, -1 },	{ PG_FAMILY_V6, 128, 128 },
		{ PG_FAMILY_V6, 129, 128 }, { PG_FAMILY_V6, 140, 139 }, { PG_FAMILY_V6, 135, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(pg_icmp_request(rows[i].family, (uint8_t)rows[i].type),
				 rows[i].request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_and_udp),
		cmocka_unit_test(icmp_queries),
		cmocka_unit_test(icmp_errors_quote_a_packet),
		cmocka_unit_test(a_group_has_its_ethernet_address),
		cmocka_unit_test(the_longest_packets),
		cmocka_unit_test(a_wrong_length_only_where_it_is_asked_for),
		cmocka_unit_test(requests_and_answers),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
