/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What test_set.c asks set.bpf.c, as the bytes of a frame. */
#pragma once

struct set_test {
	__u32 id, dirs;
	__u8 net, family, proto, l4_state, has_ports, has_icmp;
	__u16 sport, dport;
	__u16 unused;
	__be32 saddr[4], daddr[4];
};
