// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Behind XDP, on TC's way in, while rules set marks: what the XDP program wrote in front of a packet becomes its skb's mark. */
#define BPF_NO_PRESERVE_ACCESS_INDEX /* as portguard.bpf.c */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pg_abi.h"

#include "net.bpf.h"

const volatile struct {
	__u32 ifindex, netns;
} here = { 0 };

/* Nothing is written to the metadata: for that the kernel may have to copy the packet, and would lose it. */
SEC("tc")
int portguard_mark(struct __sk_buff *skb)
{
	const struct pg_mark_meta *m = (void *)(long)skb->data_meta;

	if ((void *)(m + 1) <= (void *)(long)skb->data && m->magic == PG_MARK_MAGIC &&
	    m->ifindex == here.ifindex && m->netns == here.netns)
		skb->mark = m->mark;
	return TC_ACT_UNSPEC; /* others are asked, too */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
