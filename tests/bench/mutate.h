/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the mutator writes into the frame, in the wire's byte order: one element a packet. In words
 * at least as wide as any that a program reads: a load that is put together from several earlier
 * stores makes a CPU wait until they have left its store buffer, and the program under test would
 * be charged for it.
 */
#pragma once

struct bench_ip4 {
	__u64 addrs;	 /* source, destination */
	__u32 ttl_proto; /* and the header's checksum: nothing is left to compute between packets */
	__u32 ports;
};

struct bench_ip6 {
	__u64 addrs[4];
	__u32 len_next; /* payload length, next header, hop limit */
	__u32 ports;
};

_Static_assert(sizeof(struct bench_ip4) == 16, "four to a cache line");
_Static_assert(sizeof(struct bench_ip6) == 40, "no holes");
