/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames for tests, written as layers:
 *
 *	PKT(ETH(), IP4(.ihl = 4), TCP(.dport = 22))
 *
 * A test says what matters; lengths, checksums, EtherTypes and protocol numbers are filled in from
 * what follows. A field that is set stays as given, also when it is wrong. PKT() is a constant
 * expression at file scope, so the rows of a table can hold it; pkt_build() makes the bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Every layer macro lists its defaults first and the caller's fields after them. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define PKT_MAX 65600 /* bytes of the largest frame */
#define PKT_AUTO (-1) /* a field that the builder fills in */

enum pkt_kind {
	PKT_END,
	PKT_ETH,
	PKT_VLAN,
	PKT_ARP,
	PKT_IP4,
	PKT_IP6,
	PKT_EXT, /* hop-by-hop, routing, destination options, AH */
	PKT_FRAG6,
	PKT_TCP,
	PKT_UDP, /* and UDP-Lite */
	PKT_SCTP,
	PKT_DCCP,
	PKT_ICMP, /* and ICMPv6 */
	PKT_PAYLOAD,
	PKT_BYTES,
	PKT_PAD,
	PKT_CUT
};

/* Bits of byte 13 of a TCP header. */
enum {
	PKT_FIN = 0x01,
	PKT_SYN = 0x02,
	PKT_RST = 0x04,
	PKT_PSH = 0x08,
	PKT_ACK = 0x10,
	PKT_URG = 0x20,
	PKT_ECE = 0x40,
	PKT_CWR = 0x80
};

struct pkt_layer {
	enum pkt_kind kind;
	union {
		struct {
			const char *dst, *src; /* "02:00:00:00:00:01" */
			int type;
			uint32_t number; /* not 0: the lower half of the source address */
		} eth;
		struct {
			int tpid, id, prio, next;
		} vlan;
		struct {
			int htype, ptype, hlen, plen, op;
			const char *sha, *spa, *tha, *tpa;
			int cut;
		} arp;
		struct {
			int version, ihl, tos, tot_len, id;
			int frag; /* offset in units of 8 bytes */
			int mf, df, ttl, proto, csum;
			const char *src, *dst;
			int optlen; /* bytes of NOP options */
		} ip4;
		struct {
			int version, payload_len, next, hop;
			int tclass; /* traffic class */
			const char *src, *dst;
		} ip6;
		struct {
			int proto; /* its own number */
			int next;
			int len;    /* bytes that are there */
			int hdrlen; /* the length field; follows from len */
			int type, segleft; /* routing */
			int jumbo; /* hop-by-hop: a jumbo payload option of this length */
			uint32_t spi; /* AH */
			int cut;
		} ext;
		struct {
			int next, frag, mf, reserved, id, cut;
		} frag6;
		struct {
			int sport, dport, flags, doff, csum, optlen, window, cut;
			uint32_t seq, ack;
		} tcp;
		struct {
			int proto, sport, dport, len, csum, cut;
		} udp;
		struct {
			int sport, dport, csum, cut;
			uint32_t tag;
		} sctp;
		struct {
			int sport, dport, doff, type, csum, cut;
			int x; /* 1: a long sequence number */
		} dccp;
		struct {
			int proto, type, code, id, csum, cut;
		} icmp;
		struct {
			size_t len;
			const void *bytes; /* NULL: a pattern that no parser takes for a header */
		} data;
	};
};

/* `cut` in a layer: only so many bytes of it are there, and the lengths around it agree. */

#define PKT(...)                                                                                   \
	((const struct pkt_layer[]){ __VA_ARGS__, { .kind = PKT_END } })

#define ETH(...)                                                                                   \
	{ .kind = PKT_ETH, .eth = { .dst = "02:00:00:00:00:02", .src = "02:00:00:00:00:01",        \
				    .type = PKT_AUTO, ##__VA_ARGS__ } }
#define VLAN(...)                                                                                  \
	{ .kind = PKT_VLAN, .vlan = { .tpid = 0x8100, .id = 1, .next = PKT_AUTO, ##__VA_ARGS__ } }
#define QINQ(...) VLAN(.tpid = 0x88a8, ##__VA_ARGS__)
#define ARP(...)                                                                                   \
	{ .kind = PKT_ARP,                                                                         \
	  .arp = { .htype = 1, .ptype = 0x0800, .hlen = 6, .plen = 4, .op = 1,                     \
		   .sha = "02:00:00:00:00:01", .spa = "192.0.2.1", .tha = "00:00:00:00:00:00",     \
		   .tpa = "192.0.2.2", .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define IP4(...)                                                                                   \
	{ .kind = PKT_IP4,                                                                         \
	  .ip4 = { .version = 4, .ihl = PKT_AUTO, .tot_len = PKT_AUTO, .id = 1, .ttl = 64,         \
		   .proto = PKT_AUTO, .csum = PKT_AUTO, .src = "192.0.2.1", .dst = "192.0.2.2",    \
		   ##__VA_ARGS__ } }
#define IP6(...)                                                                                   \
	{ .kind = PKT_IP6,                                                                         \
	  .ip6 = { .version = 6, .payload_len = PKT_AUTO, .next = PKT_AUTO, .hop = 64,             \
		   .src = "2001:db8::1", .dst = "2001:db8::2", ##__VA_ARGS__ } }
#define PKT_EXT_LAYER(number, ...)                                                                 \
	{ .kind = PKT_EXT,                                                                         \
	  .ext = { .proto = (number), .next = PKT_AUTO, .len = 8, .hdrlen = PKT_AUTO,              \
		   .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define HBH(...) PKT_EXT_LAYER(0, ##__VA_ARGS__)
#define ROUTING(...) PKT_EXT_LAYER(43, ##__VA_ARGS__)
#define DSTOPTS(...) PKT_EXT_LAYER(60, ##__VA_ARGS__)
#define AH(...) PKT_EXT_LAYER(51, .len = 16, ##__VA_ARGS__)
#define FRAG6(...)                                                                                 \
	{ .kind = PKT_FRAG6, .frag6 = { .next = PKT_AUTO, .id = 1, .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define TCP(...)                                                                                   \
	{ .kind = PKT_TCP,                                                                         \
	  .tcp = { .sport = 40000, .dport = 80, .flags = PKT_SYN, .doff = PKT_AUTO, .seq = 1,      \
		   .window = 65535, .csum = PKT_AUTO, .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define PKT_UDP_LAYER(number, ...)                                                                 \
	{ .kind = PKT_UDP,                                                                         \
	  .udp = { .proto = (number), .sport = 40000, .dport = 53, .len = PKT_AUTO,                \
		   .csum = PKT_AUTO, .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define UDP(...) PKT_UDP_LAYER(17, ##__VA_ARGS__)
#define UDPLITE(...) PKT_UDP_LAYER(136, ##__VA_ARGS__)
#define SCTP(...)                                                                                  \
	{ .kind = PKT_SCTP, .sctp = { .sport = 40000, .dport = 2905, .csum = PKT_AUTO, .tag = 1,   \
				      .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define DCCP(...)                                                                                  \
	{ .kind = PKT_DCCP, .dccp = { .sport = 40000, .dport = 5001, .doff = 3, .csum = PKT_AUTO,  \
				      .cut = PKT_AUTO, ##__VA_ARGS__ } }
#define PKT_ICMP_LAYER(number, ...)                                                                \
	{ .kind = PKT_ICMP, .icmp = { .proto = (number), .csum = PKT_AUTO, .cut = PKT_AUTO,        \
				      ##__VA_ARGS__ } }
#define ICMP(...) PKT_ICMP_LAYER(1, .type = 8, ##__VA_ARGS__)
#define ICMP6(...) PKT_ICMP_LAYER(58, .type = 128, ##__VA_ARGS__)
/* n bytes that belong to the packet. */
#define PAYLOAD(n) { .kind = PKT_PAYLOAD, .data = { .len = (n) } }
/* Bytes of the caller's own: BYTES("\x00\x50", 2). */
#define BYTES(text, n) { .kind = PKT_BYTES, .data = { .len = (n), .bytes = (text) } }
/* n bytes that no length counts, as Ethernet fills short frames up. */
#define PAD(n) { .kind = PKT_PAD, .data = { .len = (n) } }
/* The frame ends after n bytes, whatever its headers say. */
#define CUT(n) { .kind = PKT_CUT, .data = { .len = (n) } }

/* Returns the frame's length; more than `size` is a programmer's mistake and asserts. */
size_t pkt_build(const struct pkt_layer *layers, void *buf, size_t size);
