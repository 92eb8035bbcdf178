/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pkt.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PKT_LAYERS_MAX = 64, PROTO_NONE = 59, PROTO_EXPERIMENT = 253, TYPE_EXPERIMENT = 0x88b5 };

struct build {
	uint8_t *buf;
	size_t size, len;
	size_t end; /* of what the length fields count */
	const struct pkt_layer *layer[PKT_LAYERS_MAX];
	size_t at[PKT_LAYERS_MAX]; /* where each layer starts */
	size_t n;
};

static void put(struct build *b, const void *bytes, size_t n)
{
	assert(b->len + n <= b->size);
	memcpy(b->buf + b->len, bytes, n);
	b->len += n;
}

static void put8(struct build *b, unsigned v)
{
	put(b, &(uint8_t){ v }, 1);
}

static void put16(struct build *b, unsigned v)
{
	put8(b, v >> 8 & 0xff);
	put8(b, v & 0xff);
}

static void put32(struct build *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

static void fill(struct build *b, unsigned v, size_t n)
{
	while (n--)
		put8(b, v);
}

static void put_mac(struct build *b, const char *text)
{
	unsigned m[6];
	int n = sscanf(text, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]);

	assert(n == 6);
	for (size_t i = 0; i < 6; i++)
		put8(b, m[i]);
}

static void put_addr(struct build *b, int family, const char *text)
{
	uint8_t addr[16];
	int r = inet_pton(family, text, addr);

	assert(r == 1);
	put(b, addr, family == AF_INET ? 4 : 16);
}

/* The number by which the layer before calls this one: an EtherType or an IP protocol. */
static int ethertype_of(const struct pkt_layer *l)
{
	switch (l->kind) {
	case PKT_VLAN:
		return l->vlan.tpid;
	case PKT_ARP:
		return l->arp.op == 3 || l->arp.op == 4 ? 0x8035 : 0x0806;
	case PKT_IP4:
		return 0x0800;
	case PKT_IP6:
		return 0x86dd;
	default:
		return TYPE_EXPERIMENT;
	}
}

static int proto_of(const struct pkt_layer *l, bool ip6)
{
	switch (l->kind) {
	case PKT_IP4:
		return 4;
	case PKT_IP6:
		return 41;
	case PKT_EXT:
		return l->ext.proto;
	case PKT_FRAG6:
		return 44;
	case PKT_TCP:
		return 6;
	case PKT_UDP:
		return l->udp.proto;
	case PKT_SCTP:
		return 132;
	case PKT_DCCP:
		return 33;
	case PKT_ICMP:
		return l->icmp.proto;
	default:
		return ip6 ? PROTO_NONE : PROTO_EXPERIMENT;
	}
}

static int or_auto(int given, int otherwise)
{
	return given == PKT_AUTO ? otherwise : given;
}

static void emit_eth(struct build *b, const struct pkt_layer *l)
{
	put_mac(b, l->eth.dst);
	if (l->eth.number) {
		put16(b, 0x0200);
		put32(b, l->eth.number);
	} else {
		put_mac(b, l->eth.src);
	}
	put16(b, or_auto(l->eth.type, ethertype_of(l + 1)));
}

static void emit_arp(struct build *b, const struct pkt_layer *l)
{
	put16(b, l->arp.htype);
	put16(b, l->arp.ptype);
	put8(b, l->arp.hlen);
	put8(b, l->arp.plen);
	put16(b, l->arp.op);
	put_mac(b, l->arp.sha);
	put_addr(b, AF_INET, l->arp.spa);
	put_mac(b, l->arp.tha);
	put_addr(b, AF_INET, l->arp.tpa);
}

static void emit_ip4(struct build *b, const struct pkt_layer *l)
{
	int ihl = or_auto(l->ip4.ihl, 5 + l->ip4.optlen / 4);

	put8(b, l->ip4.version << 4 | (ihl & 15));
	put8(b, l->ip4.tos);
	put16(b, 0); /* total length: when the end is known */
	put16(b, l->ip4.id);
	put16(b, (l->ip4.df ? 0x4000 : 0) | (l->ip4.mf ? 0x2000 : 0) | (l->ip4.frag & 0x1fff));
	put8(b, l->ip4.ttl);
	put8(b, or_auto(l->ip4.proto, proto_of(l + 1, false)));
	put16(b, 0);
	put_addr(b, AF_INET, l->ip4.src);
	put_addr(b, AF_INET, l->ip4.dst);
	fill(b, 1, l->ip4.optlen);
}

static void emit_ip6(struct build *b, const struct pkt_layer *l)
{
	put8(b, l->ip6.version << 4 | l->ip6.tclass >> 4);
	put8(b, l->ip6.tclass << 4);
	put16(b, 0);
	put16(b, 0);
	put8(b, or_auto(l->ip6.next, proto_of(l + 1, true)));
	put8(b, l->ip6.hop);
	put_addr(b, AF_INET6, l->ip6.src);
	put_addr(b, AF_INET6, l->ip6.dst);
}

static void emit_ext(struct build *b, const struct pkt_layer *l)
{
	bool ah = l->ext.proto == 51, routing = l->ext.proto == 43;
	size_t start = b->len, len = l->ext.len;

	put8(b, or_auto(l->ext.next, proto_of(l + 1, true)));
	put8(b, or_auto(l->ext.hdrlen, ah ? (int)len / 4 - 2 : (int)len / 8 - 1));
	if (routing) {
		put8(b, l->ext.type);
		put8(b, l->ext.segleft);
	} else if (ah) {
		put16(b, 0);
		put32(b, l->ext.spi);
	} else if (l->ext.jumbo) {
		put8(b, 0xc2);
		put8(b, 4);
		put32(b, l->ext.jumbo);
	} else if (len >= 4) { /* one PadN option */
		put8(b, 1);
		put8(b, len - 4 > 255 ? 255 : len - 4);
	}
	if (start + len > b->len)
		fill(b, 0, start + len - b->len);
}

static void emit_frag6(struct build *b, const struct pkt_layer *l)
{
	put8(b, or_auto(l->frag6.next, proto_of(l + 1, true)));
	put8(b, l->frag6.reserved);
	put16(b, l->frag6.frag << 3 | (l->frag6.mf ? 1 : 0));
	put32(b, l->frag6.id);
}

static void emit_tcp(struct build *b, const struct pkt_layer *l)
{
	put16(b, l->tcp.sport);
	put16(b, l->tcp.dport);
	put32(b, l->tcp.seq);
	put32(b, l->tcp.ack);
	put8(b, or_auto(l->tcp.doff, 5 + l->tcp.optlen / 4) << 4);
	put8(b, l->tcp.flags);
	put16(b, l->tcp.window);
	put16(b, 0);
	put16(b, 0);
	fill(b, 1, l->tcp.optlen);
}

static void emit_dccp(struct build *b, const struct pkt_layer *l)
{
	put16(b, l->dccp.sport);
	put16(b, l->dccp.dport);
	put8(b, l->dccp.doff); /* data offset in words */
	put8(b, 0);
	put16(b, 0);
	put8(b, l->dccp.type << 1 | l->dccp.x);
	fill(b, 0, 3); /* short sequence number */
}

/* Writes the layer with its length and checksum fields zero; returns its `cut`. */
static int emit_l4(struct build *b, const struct pkt_layer *l)
{
	switch (l->kind) {
	case PKT_TCP:
		emit_tcp(b, l);
		return l->tcp.cut;
	case PKT_UDP:
		put16(b, l->udp.sport);
		put16(b, l->udp.dport);
		put32(b, 0);
		return l->udp.cut;
	case PKT_SCTP:
		put16(b, l->sctp.sport);
		put16(b, l->sctp.dport);
		put32(b, l->sctp.tag);
		put32(b, 0);
		return l->sctp.cut;
	case PKT_DCCP:
		emit_dccp(b, l);
		return l->dccp.cut;
	case PKT_ICMP:
		put8(b, l->icmp.type);
		put8(b, l->icmp.code);
		put16(b, 0);
		put16(b, l->icmp.id);
		put16(b, 1);
		return l->icmp.cut;
	default:
		for (size_t i = 0; i < l->data.len; i++)
			put8(b, l->data.bytes ? ((const uint8_t *)l->data.bytes)[i] : 0xa5);
		return PKT_AUTO;
	}
}

static int emit(struct build *b, const struct pkt_layer *l)
{
	switch (l->kind) {
	case PKT_ETH:
		emit_eth(b, l);
		return PKT_AUTO;
	case PKT_VLAN:
		put16(b, l->vlan.prio << 13 | (l->vlan.id & 0xfff));
		put16(b, or_auto(l->vlan.next, ethertype_of(l + 1)));
		return PKT_AUTO;
	case PKT_ARP:
		emit_arp(b, l);
		return l->arp.cut;
	case PKT_IP4:
		emit_ip4(b, l);
		return PKT_AUTO;
	case PKT_IP6:
		emit_ip6(b, l);
		return PKT_AUTO;
	case PKT_EXT:
		emit_ext(b, l);
		return l->ext.cut;
	case PKT_FRAG6:
		emit_frag6(b, l);
		return l->frag6.cut;
	default:
		return emit_l4(b, l);
	}
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static uint32_t crc32c(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0U;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* Only where the field is there at all: a cut header may end before it. */
static void patch16(struct build *b, size_t layer, size_t off, unsigned v)
{
	size_t at = b->at[layer] + off;

	if (at + 2 <= b->end && at + 2 <= b->at[layer + 1]) {
		b->buf[at] = v >> 8;
		b->buf[at + 1] = v;
	}
}

/* The pseudo header of the IP layer that carries layer i. */
static uint32_t pseudo_sum(const struct build *b, size_t i, int proto, size_t len)
{
	uint32_t sum = proto + len;

	while (i-- > 0) {
		const uint8_t *ip = b->buf + b->at[i];

		if (b->layer[i]->kind == PKT_IP4)
			return sum16(ip + 12, 8, sum);
		if (b->layer[i]->kind == PKT_IP6)
			return sum16(ip + 8, 32, sum);
	}
	return sum;
}

static void patch_l4(struct build *b, size_t i)
{
	const struct pkt_layer *l = b->layer[i];
	const uint8_t *p = b->buf + b->at[i];
	size_t len = b->end - b->at[i];
	bool under_ip4 = i > 0 && b->layer[i - 1]->kind == PKT_IP4;
	uint32_t crc;

	switch (l->kind) {
	case PKT_TCP:
		patch16(b, i, 16, or_auto(l->tcp.csum, fold(sum16(p, len, pseudo_sum(b, i, 6, len)))));
		break;
	case PKT_UDP:
		patch16(b, i, 4, or_auto(l->udp.len, l->udp.proto == 17 ? (int)len : 0));
		patch16(b, i, 6, or_auto(l->udp.csum,
			fold(sum16(p, len, pseudo_sum(b, i, l->udp.proto, len)))));
		break;
	case PKT_DCCP:
		patch16(b, i, 6, or_auto(l->dccp.csum, fold(sum16(p, len, pseudo_sum(b, i, 33, len)))));
		break;
	case PKT_ICMP:
		patch16(b, i, 2, or_auto(l->icmp.csum,
			fold(sum16(p, len, under_ip4 ? 0 : pseudo_sum(b, i, l->icmp.proto, len)))));
		break;
	case PKT_SCTP:
		crc = l->sctp.csum == PKT_AUTO ? crc32c(p, len) : (uint32_t)l->sctp.csum;
		/* CRC32c goes over the wire least significant byte first (RFC 9260, appendix A). */
		patch16(b, i, 8, (crc & 0xff) << 8 | (crc >> 8 & 0xff));
		patch16(b, i, 10, (crc >> 16 & 0xff) << 8 | crc >> 24);
		break;
	default:
		break;
	}
}

static void patch_ip(struct build *b, size_t i)
{
	const struct pkt_layer *l = b->layer[i];
	size_t start = b->at[i], hlen;

	if (l->kind == PKT_IP6)
		patch16(b, i, 4, or_auto(l->ip6.payload_len, b->end - start - 40));
	if (l->kind != PKT_IP4)
		return;

	patch16(b, i, 2, or_auto(l->ip4.tot_len, b->end - start));
	hlen = (size_t)(b->buf[start] & 15) * 4;
	if (hlen < 20)
		hlen = b->at[i + 1] - start;
	if (hlen > b->end - start)
		hlen = b->end - start;
	patch16(b, i, 10, or_auto(l->ip4.csum, fold(sum16(b->buf + start, hlen, 0))));
}

size_t pkt_build(const struct pkt_layer *layers, void *buf, size_t size)
{
	struct build b = { .buf = buf, .size = size };
	size_t cut_at = SIZE_MAX;

	for (const struct pkt_layer *l = layers; l->kind != PKT_END; l++) {
		int cut;

		if (l->kind == PKT_CUT) {
			cut_at = l->data.len;
			continue;
		}
		if (l->kind == PKT_PAD) {
			fill(&b, 0, l->data.len);
			continue;
		}
		assert(b.n + 1 < PKT_LAYERS_MAX && b.end == b.len);
		b.layer[b.n] = l;
		b.at[b.n++] = b.len;
		cut = emit(&b, l);
		if (cut != PKT_AUTO && b.at[b.n - 1] + cut < b.len)
			b.len = b.at[b.n - 1] + cut;
		b.end = b.len;
		b.at[b.n] = b.len;
	}
	/* From the inside out: a checksum covers what is within. */
	for (size_t i = b.n; i-- > 0;) {
		patch_l4(&b, i);
		patch_ip(&b, i);
	}
	return cut_at < b.len ? cut_at : b.len;
}
