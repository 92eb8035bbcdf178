/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Protocol constants and headers. The headers are our own rather than vmlinux.h's, because they
 * describe the wire, which no kernel changes, and CO-RE must leave them alone.
 */
#pragma once

enum { false, true };

/* A loop that stays one: unrolled it would be a program of its own size for each of its turns. */
#define NO_UNROLL _Pragma("clang loop unroll(disable)")

#define BPF_F_MMAPABLE (1U << 10)
#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_INGRESS (1U << 0)
/* linux/if_packet.h */
enum { PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST };

#define BPF_HDR_START_MAC 0

#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_RARP 0x8035
#define ETH_P_8021Q 0x8100
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021AD 0x88a8

#define IP_MF 0x2000
#define IP_OFFSET 0x1fff

#define IP6_MORE 0x0001
#define IP6_OFFSET 0xfff8

enum {
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_DCCP = 33,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_GRE = 47,
	IPPROTO_ESP = 50,
	IPPROTO_AH = 51,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_NONE = 59,
	IPPROTO_DSTOPTS = 60,
	IPPROTO_SCTP = 132,
	IPPROTO_UDPLITE = 136,
};

#define ARPOP_RREQUEST 3
#define ARPOP_RREPLY 4

struct eth_header {
	__u8 dst[6];
	__u8 src[6];
	__be16 type;
};

struct vlan_header {
	__be16 tci;
	__be16 type;
};

struct arp_header {
	__be16 hrd, pro;
	__u8 hln, pln;
	__be16 op;
	__u8 sha[6], spa[4]; /* sender: hardware, protocol address */
	__u8 tha[6], tpa[4]; /* target */
};

struct ip4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 tot_len, id, frag_off;
	__u8 ttl, protocol;
	__sum16 check;
	__be32 saddr, daddr;
};

struct ip6_header {
	__be32 version_class_flow;
	__be16 payload_len;
	__u8 nexthdr, hop_limit;
	__be32 saddr[4], daddr[4];
};

struct ext_header {
	__u8 nexthdr, len;
};

struct port_header {
	__be16 source, dest;
};

struct tcp_header {
	__be16 source, dest;
	__be32 seq, ack_seq;
	__u8 doff; /* upper four bits, in words */
	__u8 flags;
	__be16 window;
	__sum16 check;
	__be16 urg_ptr;
};

struct udp_header {
	__be16 source, dest, len;
	__sum16 check;
};

struct icmp_header {
	__u8 type, code;
};
