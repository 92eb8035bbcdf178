/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "packet.h"

#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#define IP4_HEADER 20
#define IP6_HEADER 40
#define QUOTED_L4 8 /* what ICMP errors quote at least behind the IP header (RFC 792) */
#define TTL 64

/* Where the next byte goes. */
struct out {
	uint8_t *at;
};

static void put8(struct out *o, unsigned v)
{
	*o->at++ = (uint8_t)v;
}

static void put16(struct out *o, unsigned v)
{
	put8(o, v >> 8);
	put8(o, v & 255);
}

static void put32(struct out *o, uint32_t v)
{
	put16(o, v >> 16);
	put16(o, v & 0xffff);
}

static void put_bytes(struct out *o, const void *bytes, size_t n)
{
	memcpy(o->at, bytes, n);
	o->at += n;
}

static void set16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

/* Checksums ------------------------------------------------------------------------------------ */

static uint64_t sum16(const uint8_t *bytes, size_t n, uint64_t sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (unsigned)bytes[i] << 8 | bytes[i + 1];
	return n % 2 ? sum + ((unsigned)bytes[n - 1] << 8) : sum;
}

static unsigned fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~(unsigned)sum & 0xffff;
}

static uint64_t pseudo_sum(const struct pg_packet *p, size_t len)
{
	size_t n = p->family == PG_FAMILY_V4 ? 4 : 16;

	return sum16(p->src, n, 0) + sum16(p->dst, n, 0) + p->proto + len;
}

/* SCTP's (RFC 9260, appendix A), bit by bit: it is one packet. */
static uint32_t crc32c(const uint8_t *bytes, size_t n)
{
	uint32_t crc = ~0U;

	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	}
	return ~crc;
}

/* UDP and UDP-Lite say 0 for none, so that a sum that comes out as 0 is sent as 0xffff. */
static void set_checksum(const struct pg_packet *p, uint8_t *l4, size_t len)
{
	unsigned sum;
	uint32_t crc;

	switch (p->proto) {
	case IPPROTO_TCP:
		set16(l4 + 16, fold(sum16(l4, len, pseudo_sum(p, len))));
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		sum = fold(sum16(l4, len, pseudo_sum(p, len)));
		set16(l4 + 6, sum ? sum : 0xffff);
		break;
	case IPPROTO_DCCP:
		set16(l4 + 6, fold(sum16(l4, len, pseudo_sum(p, len))));
		break;
	case IPPROTO_ICMP:
		set16(l4 + 2, fold(sum16(l4, len, 0)));
		break;
	case IPPROTO_ICMPV6:
		set16(l4 + 2, fold(sum16(l4, len, pseudo_sum(p, len))));
		break;
	case IPPROTO_SCTP:
		crc = crc32c(l4, len);
		for (int i = 0; i < 4; i++) /* least significant byte first */
			l4[8 + i] = (uint8_t)(crc >> 8 * i);
		break;
	}
}

/* Headers -------------------------------------------------------------------------------------- */

bool pg_proto_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP || proto == IPPROTO_DCCP;
}

bool pg_icmp_is_error(enum pg_family family, uint8_t type)
{
	if (family == PG_FAMILY_V6)
		return type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

int pg_icmp_request(enum pg_family family, uint8_t type)
{
	if (family == PG_FAMILY_V6)
		return type == 128 || type == 129 ? 128 : type == 139 || type == 140 ? 139 : -1;
	if (type == 0 || type == 8)
		return 8;
	return type >= 13 && type <= 18 ? 13 + (type - 13) / 2 * 2 : -1;
}

static size_t ip_header(const struct pg_packet *p)
{
	return p->family == PG_FAMILY_V4 ? IP4_HEADER : IP6_HEADER;
}

static size_t l4_header(const struct pg_packet *p)
{
	switch (p->proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_SCTP:
		return 12 + 20; /* and an INIT chunk */
	case IPPROTO_DCCP:
		return 20; /* a REQUEST with a long sequence number and its service code */
	case IPPROTO_AH:
		return 12;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8 + (pg_icmp_is_error(p->family, p->type) ? ip_header(p) + QUOTED_L4 : 0);
	}
	return 8;
}

size_t pg_packet_min(const struct pg_packet *p)
{
	return ip_header(p) + l4_header(p);
}

size_t pg_packet_max(const struct pg_packet *p)
{
	return p->family == PG_FAMILY_V4 ? 65535 : IP6_HEADER + 65535;
}

/* As Ethernet sends it to a group (RFC 1112, 2464); others go to an address of their own. */
static void put_eth(struct out *o, const struct pg_packet *p)
{
	static const uint8_t src[ETH_ALEN] = { 2, 0, 0, 0, 0, 1 }, dst[ETH_ALEN] = { 2, 0, 0, 0, 0, 2 };
	static const uint8_t all[ETH_ALEN] = { 255, 255, 255, 255, 255, 255 };
	bool v4 = p->family == PG_FAMILY_V4;

	if (v4 && !memcmp(p->dst, all, 4)) {
		put_bytes(o, all, sizeof(all));
	} else if (v4 && p->dst[0] >> 4 == 14) {
		put_bytes(o, "\1\0\x5e", 3);
		put8(o, p->dst[1] & 0x7f);
		put16(o, (unsigned)p->dst[2] << 8 | p->dst[3]);
	} else if (!v4 && p->dst[0] == 255) {
		put16(o, 0x3333);
		put_bytes(o, p->dst + 12, 4);
	} else {
		put_bytes(o, dst, sizeof(dst));
	}
	put_bytes(o, src, sizeof(src));
	put16(o, v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
}

static void put_ip(struct out *o, const struct pg_packet *p, const uint8_t *src, const uint8_t *dst,
		   uint8_t proto, size_t len)
{
	uint8_t *start = o->at;

	if (p->family == PG_FAMILY_V6) {
		put32(o, 6U << 28);
		put16(o, len - IP6_HEADER);
		put8(o, proto);
		put8(o, TTL);
		put_bytes(o, src, 16);
		put_bytes(o, dst, 16);
		return;
	}
	put16(o, 0x4500);
	put16(o, len);
	put32(o, 1U << 16); /* identification; a whole packet */
	put8(o, TTL);
	put8(o, proto);
	put16(o, 0);
	put_bytes(o, src, 4);
	put_bytes(o, dst, 4);
	set16(start + 10, fold(sum16(start, IP4_HEADER, 0)));
}

static void put_tcp(struct out *o, const struct pg_packet *p)
{
	put32(o, 1); /* sequence and acknowledgement */
	put32(o, p->flags & 1 << PG_FLAG_ACK ? 1 : 0);
	put8(o, 5 << 4);
	put8(o, p->flags);
	put16(o, 65535); /* window */
	put32(o, 0);
}

/* INIT is the chunk that a connection begins with. */
static void put_sctp(struct out *o)
{
	put32(o, 0);
	put32(o, 0);
	put32(o, 1U << 24 | 20);
	put32(o, 1); /* tag, window, streams, sequence number */
	put32(o, 65536);
	put32(o, 1U << 16 | 1);
	put32(o, 1);
}

static void put_dccp(struct out *o)
{
	put32(o, 5U << 24); /* words of header; checksum */
	put32(o, 1U << 24); /* REQUEST, with a sequence number of six bytes */
	put32(o, 1);
	put32(o, 0);
}

/* What an error is about: the beginning of a TCP segment that had been sent the other way. */
static void put_icmp(struct out *o, const struct pg_packet *p)
{
	put8(o, p->type);
	put8(o, p->code);
	put16(o, 0);
	if (!pg_icmp_is_error(p->family, p->type)) {
		put16(o, PG_QUERY_ID);
		put16(o, 1);
		return;
	}
	put32(o, 0);
	put_ip(o, p, p->dst, p->src, IPPROTO_TCP, ip_header(p) + 20);
	put16(o, PG_QUOTED_SPORT);
	put16(o, PG_QUOTED_DPORT);
	put32(o, 1);
}

static void put_l4(struct out *o, const struct pg_packet *p, size_t len)
{
	if (pg_proto_has_ports(p->proto)) {
		put16(o, p->sport);
		put16(o, p->dport);
	}
	switch (p->proto) {
	case IPPROTO_TCP:
		put_tcp(o, p);
		break;
	case IPPROTO_UDP:
		put16(o, p->bad_length ? len + 8 : len);
		put16(o, 0);
		break;
	case IPPROTO_UDPLITE: /* 0: the checksum covers all of it (RFC 3828) */
		put16(o, p->bad_length ? len + 8 : 0);
		put16(o, 0);
		break;
	case IPPROTO_SCTP:
		put_sctp(o);
		break;
	case IPPROTO_DCCP:
		put_dccp(o);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put_icmp(o, p);
		break;
	case IPPROTO_AH:
		put32(o, (uint32_t)IPPROTO_NONE << 24 | 1U << 16);
		break;
	}
}

size_t pg_packet_build(const struct pg_packet *p, uint8_t *buf)
{
	size_t len = p->length ? p->length : pg_packet_min(p), l4_len = len - ip_header(p);
	struct out o = { buf };
	uint8_t *l4;

	memset(buf, 0, ETH_HLEN + len);
	put_eth(&o, p);
	put_ip(&o, p, p->src, p->dst, p->proto, len);
	l4 = o.at;
	put_l4(&o, p, l4_len);
	set_checksum(p, l4, l4_len);
	return ETH_HLEN + len;
}
