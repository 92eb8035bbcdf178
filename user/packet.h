/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One packet as somebody describes it → the frame that it arrives in. Plain data, no kernel. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pg_abi.h"
#include "util.h"

struct pg_packet {
	enum pg_family family;
	uint8_t proto;
	uint8_t src[16], dst[16]; /* network order; IPv4 in the first four */
	uint16_t sport, dport;	  /* of protocols that have them */
	uint8_t flags;		  /* TCP */
	uint8_t type, code;	  /* ICMP, ICMPv6 */
	uint32_t length;	  /* of the IP packet; 0: as short as its headers are */
	bool bad_length;	  /* a wrong one in the UDP header, which only tracking minds */
};

/* Ethernet's header and the longest IPv6 packet that is no jumbogram. */
#define PG_PACKET_MAX (14U + 40U + 65535U)

/* What ICMP errors quote: a segment that went from the error's receiver to its sender. */
#define PG_QUOTED_SPORT 40000
#define PG_QUOTED_DPORT 80
/* Of ICMP queries. */
#define PG_QUERY_ID 1

/* Bytes that the packet's headers take, and what an ICMP error quotes: it can't be shorter. */
size_t pg_packet_min(const struct pg_packet *p);
/* The longest that its family's length field can say. */
size_t pg_packet_max(const struct pg_packet *p);
/*
 * Write the frame, PG_PACKET_MAX bytes at most; `length` must be within the two above. Checksums
 * are right; behind the headers all is zeros. Returns its length.
 */
size_t pg_packet_build(const struct pg_packet *p, uint8_t *buf);

bool pg_proto_has_ports(uint8_t proto);
/* Does a message of this type quote the packet that it is about? */
bool pg_icmp_is_error(enum pg_family family, uint8_t type);
/*
 * The request that an ICMP message is or answers; -1: it is neither. As icmp_request() in
 * flow.bpf.h, which the tests hold against it.
 */
int pg_icmp_request(enum pg_family family, uint8_t type);
