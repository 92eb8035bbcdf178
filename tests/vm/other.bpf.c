// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Another tool's XDP program: drops TCP to port 8004, by IPv4 without options. */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PROTO_AT 23
#define DPORT_AT 36

SEC("xdp")
int other(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + DPORT_AT + 2 > end || data[PROTO_AT] != 6)
		return XDP_PASS;
	return *(__u16 *)(data + DPORT_AT) == bpf_htons(8004) ? XDP_DROP : XDP_PASS;
}

/* One that takes frames of several pieces, as more and more do, and lets all of them through. */
SEC("xdp.frags")
int other_frags(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
