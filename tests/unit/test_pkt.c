/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The packet builder that all packet tests trust: known frames byte for byte, and checksums
 * verified another way than they were made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pkt.h"
#include "util.h"

static uint8_t buf[PKT_MAX];

static unsigned get16(size_t at)
{
	return buf[at] << 8 | buf[at + 1];
}

/* RFC 1071 by adding bytes of each column, not words: 0 when the checksum is right. */
static unsigned columns(const uint8_t *p, size_t n, unsigned long high, unsigned long low)
{
	unsigned long sum;

	for (size_t i = 0; i < n; i++) {
		if (i % 2)
			low += p[i];
		else
			high += p[i];
	}
	sum = high * 256 + low;
	return (65535 - sum % 65535) % 65535;
}

static unsigned l4_error(size_t ip, size_t l4, size_t len, unsigned proto)
{
	size_t v6 = buf[ip] >> 4 == 6, n = v6 ? 32 : 8;
	unsigned long high = 0, low = proto;

	for (size_t i = 0; i < n; i += 2) {
		high += buf[ip + (v6 ? 8 : 12) + i];
		low += buf[ip + (v6 ? 8 : 12) + i + 1];
	}
	high += (len - l4) >> 8;
	low += (len - l4) & 255;
	return columns(buf + l4, len - l4, high, low);
}

static void builds_a_known_udp_header_byte_for_byte(void **state)
{
	/* The worked example of the IPv4 header checksum that textbooks give. */
	static const uint8_t ip[] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				      0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };
	size_t len = pkt_build(PKT(ETH(), IP4(.id = 0, .df = 1, .src = "192.168.0.1",
					      .dst = "192.168.0.199"),
				   UDP(), PAYLOAD(87)),
			       buf, sizeof(buf));

	(void)state;
	assert_int_equal(len, 14 + 115);
	assert_memory_equal(buf + 14, ip, sizeof(ip));
	assert_int_equal(get16(12), 0x0800);
	assert_int_equal(get16(14 + 20 + 4), 95);
}

static void builds_an_arp_request_byte_for_byte(void **state)
{
	static const uint8_t frame[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x06,
		0, 1, 8, 0, 6, 4, 0, 1, 0x02, 0, 0, 0, 0, 0x01, 192, 0, 2, 1,
		0, 0, 0, 0, 0, 0, 192, 0, 2, 2,
	};
	size_t len = pkt_build(PKT(ETH(.dst = "ff:ff:ff:ff:ff:ff"), ARP()), buf, sizeof(buf));

	(void)state;
	assert_int_equal(len, sizeof(frame));
	assert_memory_equal(buf, frame, sizeof(frame));
}

static const struct {
	const struct pkt_layer *pkt;
	size_t l4;
	unsigned proto;
} sums[] = {
	{ PKT(ETH(), IP4(), TCP(.optlen = 8), PAYLOAD(7)), 34, 6 },
	{ PKT(ETH(), IP4(.optlen = 12), TCP(), PAYLOAD(8)), 46, 6 },
	{ PKT(ETH(), IP4(), UDP(), PAYLOAD(3)), 34, 17 },
	{ PKT(ETH(), IP4(), UDPLITE(), PAYLOAD(4)), 34, 136 },
	{ PKT(ETH(), IP4(), DCCP(), PAYLOAD(1)), 34, 33 },
	{ PKT(ETH(), IP6(), TCP(), PAYLOAD(9)), 54, 6 },
	{ PKT(ETH(), IP6(), UDP()), 54, 17 },
	{ PKT(ETH(), IP6(), ICMP6(), PAYLOAD(5)), 54, 58 },
	{ PKT(ETH(), IP6(), HBH(.len = 16), TCP(), PAYLOAD(2)), 70, 6 },
};

static void checksums_are_right_over_both_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		size_t len = pkt_build(sums[i].pkt, buf, sizeof(buf));

		assert_int_equal(l4_error(14, sums[i].l4, len, sums[i].proto), 0);
		if (buf[14] >> 4 == 4)
			assert_int_equal(columns(buf + 14, (buf[14] & 15) * 4, 0, 0), 0);
	}
	assert_int_equal(pkt_build(PKT(ETH(), IP4(), ICMP(), PAYLOAD(11)), buf, sizeof(buf)), 53);
	assert_int_equal(columns(buf + 34, 19, 0, 0), 0);
}

/* The CRC of RFC 9260 from its definition: a polynomial remainder over reversed bits. */
static void sctp_carries_a_crc32c(void **state)
{
	size_t len = pkt_build(PKT(ETH(), IP4(), SCTP(.sport = 1, .dport = 2), PAYLOAD(4)), buf,
			       sizeof(buf));
	uint32_t sent = buf[42] | buf[43] << 8 | buf[44] << 16 | (uint32_t)buf[45] << 24;
	uint32_t rest = 0xffffffff;

	(void)state;
	memset(buf + 42, 0, 4);
	for (size_t bit = 0; bit < (len - 34) * 8; bit++) {
		uint32_t in = buf[34 + bit / 8] >> bit % 8 & 1;

		rest = rest >> 1 ^ ((rest & 1) ^ in ? 0x82f63b78 : 0);
	}
	assert_int_equal(sent, ~rest);
}

static void fields_that_are_given_stay_as_given(void **state)
{
	(void)state;
	pkt_build(PKT(ETH(.type = 0x1234), IP4(.version = 9, .ihl = 4, .tot_len = 7, .csum = 0x0bad,
					       .proto = 99, .frag = 185, .mf = 1),
		      TCP(.doff = 3, .csum = 0)),
		  buf, sizeof(buf));
	assert_int_equal(get16(12), 0x1234);
	assert_int_equal(buf[14], 0x94);
	assert_int_equal(get16(16), 7);
	assert_int_equal(get16(20), 0x2000 | 185);
	assert_int_equal(buf[23], 99);
	assert_int_equal(get16(24), 0x0bad);
	assert_int_equal(buf[34 + 12], 0x30);
	assert_int_equal(get16(34 + 16), 0);

	pkt_build(PKT(ETH(), IP6(.payload_len = 0, .next = 77), TCP()), buf, sizeof(buf));
	assert_int_equal(get16(18), 0);
	assert_int_equal(buf[20], 77);
}

static void layers_name_their_successors(void **state)
{
	(void)state;
	pkt_build(PKT(ETH(), QINQ(.id = 7), VLAN(.id = 9, .prio = 5), IP6(), HBH(), ROUTING(), FRAG6(),
		      AH(), DSTOPTS(), UDP()),
		  buf, sizeof(buf));
	assert_int_equal(get16(12), 0x88a8);
	assert_int_equal(get16(14), 7);
	assert_int_equal(get16(16), 0x8100);
	assert_int_equal(get16(18), 5 << 13 | 9);
	assert_int_equal(get16(20), 0x86dd);
	assert_int_equal(buf[22 + 6], 0);
	assert_int_equal(buf[62], 43);
	assert_int_equal(buf[70], 44);
	assert_int_equal(buf[78], 51);
	assert_int_equal(buf[86], 60);
	assert_int_equal(buf[87], 2); /* AH of 16 bytes, in words without two */
	assert_int_equal(buf[102], 17);
	assert_int_equal(get16(26), 8 + 8 + 8 + 16 + 8 + 8);
}

static void padding_is_in_no_length(void **state)
{
	size_t len = pkt_build(PKT(ETH(), IP4(), UDP(), PAD(18)), buf, sizeof(buf));

	(void)state;
	assert_int_equal(len, 60);
	assert_int_equal(get16(16), 28);
	assert_int_equal(get16(38), 8);
}

static void a_cut_frame_keeps_its_lengths_and_a_cut_header_does_not(void **state)
{
	size_t len = pkt_build(PKT(ETH(), IP4(), TCP(), CUT(40)), buf, sizeof(buf));

	(void)state;
	assert_int_equal(len, 40);
	assert_int_equal(get16(16), 40);
	len = pkt_build(PKT(ETH(), IP4(), TCP(.cut = 6)), buf, sizeof(buf));
	assert_int_equal(len, 40);
	assert_int_equal(get16(16), 26);
	assert_int_equal(columns(buf + 14, 20, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_a_known_udp_header_byte_for_byte),
		cmocka_unit_test(builds_an_arp_request_byte_for_byte),
		cmocka_unit_test(checksums_are_right_over_both_families),
		cmocka_unit_test(sctp_carries_a_crc32c),
		cmocka_unit_test(fields_that_are_given_stay_as_given),
		cmocka_unit_test(layers_name_their_successors),
		cmocka_unit_test(padding_is_in_no_length),
		cmocka_unit_test(a_cut_frame_keeps_its_lengths_and_a_cut_header_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
