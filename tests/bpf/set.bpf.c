// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* set_contains() alone: a question in, XDP_DROP for yes and XDP_PASS for no out. */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pg_abi.h"

#include "net.bpf.h"

#include "pkt.bpf.h"

#include "maps.bpf.h"

#include "set.bpf.h"
#include "set_test.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The packet in the instance's scratch space, as the real programs have it. */
static __always_inline struct pkt *packet_of(const struct set_test *q)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pkt *p = bpf_map_lookup_elem(&pg_scratch, &cpu);

	if (!p)
		return NULL;
	p->family = q->family;
	p->proto = q->proto;
	p->l4_state = q->l4_state;
	p->has_ports = q->has_ports;
	p->has_icmp = q->has_icmp;
	p->sport = q->sport;
	p->dport = q->dport;
	__builtin_memcpy(p->saddr, q->saddr, sizeof(p->saddr));
	__builtin_memcpy(p->daddr, q->daddr, sizeof(p->daddr));
	return p;
}

static __always_inline bool answer(void *data, void *end)
{
	const struct set_test *q = data;
	struct pkt *p;

	if (data + sizeof(*q) > end)
		return false;
	p = packet_of(q);
	return p && set_contains(q->id, q->net, p, q->dirs);
}

SEC("xdp")
int ask_xdp(struct xdp_md *ctx)
{
	return answer((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int ask_tc(struct __sk_buff *skb)
{
	return answer((void *)(long)skb->data, (void *)(long)skb->data_end) ? TC_ACT_SHOT :
									      TC_ACT_UNSPEC;
}
