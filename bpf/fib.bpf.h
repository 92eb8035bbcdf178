/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* linux/bpf.h: what bpf_fib_lookup() is asked and answers, without what is not used of it. */
#pragma once

#define AF_INET 2
#define AF_INET6 10

struct bpf_fib_lookup {
	__u8 family, l4_protocol;
	__be16 sport, dport;
	__u16 tot_len;	   /* 0: of any size */
	__u32 ifindex;	   /* in: arrival; out: where it would leave */
	__u32 tos_or_flow; /* in: IPv4's TOS in the first byte, IPv6's flow information */
	__be32 src[4], dst[4];
	__u16 vlan[2];
	__u32 mark; /* with FIB_MARK */
	__u8 macs[8];
};

_Static_assert(sizeof(struct bpf_fib_lookup) == 64, "ABI");

#define FIB_OUTPUT (1U << 1) /* ifindex: where it is to leave */
#define FIB_MARK (1U << 5)   /* Linux 6.10 */

enum {
	FIB_FOUND,
	FIB_BLACKHOLE,
	FIB_UNREACHABLE,
	FIB_PROHIBITED,
	FIB_NOT_FORWARDED, /* no route, or one that leads nowhere: the host's own addresses, … */
	FIB_NOT_ENABLED,
	FIB_ENCAPSULATED, /* there is one, and its interface is not told */
	FIB_NO_NEIGHBOUR,
	FIB_TOO_LARGE,
};
