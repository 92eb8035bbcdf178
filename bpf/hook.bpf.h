/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which of filter's chains a packet meets. What arrives is INPUT's or, where the kernel would route it
 * on, FORWARD's; what departs is OUTPUT's if it was made here. A packet meets one chain of one
 * instance: what was asked about when it arrived passes when it leaves again.
 */
#pragma once

#define AF_PACKET 17

/* What is known of an interface, attached or not; NULL: the command did not see it. */
static __always_inline const struct pg_link *find_link(const struct pg_tables_map *map, __u32 active,
						       __u32 ifindex)
{
	for (__u32 i = 0; i < PG_LINK_TRIES; i++) {
		const struct pg_link *l =
			&map->link[active & 1][pg_link_place(cfg.netns, ifindex, i)];

		if (l->ifindex == ifindex && l->netns == cfg.netns)
			return l;
		if (!l->ifindex)
			break;
	}
	return NULL;
}

/* An index of pg_tables_map.through. */
static __always_inline __u32 through(__u32 class_in, __u32 class_out)
{
	return (class_in & (PG_LINK_CLASSES - 1)) * PG_LINK_CLASSES +
	       (class_out & (PG_LINK_CLASSES - 1));
}

/*
 * Nearly every machine forwards nothing, and then no packet is to pay for the question. The kernel is
 * asked once in a tick of the clock (1 to 10 ms); until the next one its `no` is taken for granted.
 */
static __always_inline bool forwards_nothing(const struct pg_tables_map *map, __u8 family)
{
	return map->ctl.not_forwarding[cfg.iface & (PG_MAX_IFACES - 1)][family & 1] ==
	       (__u32)bpf_jiffies64();
}

/* Addresses that routes don't decide about: multicast, broadcast, "this network". */
static __always_inline bool is_routable(const struct pkt *p)
{
	__u32 addr = bpf_ntohl(p->daddr[0]);

	if (p->family == PG_FAMILY_V6)
		return addr >> 24 != 0xff;
	return addr >> 24 && addr < 0xe0000000;
}

/*
 * INPUT or FORWARD? A packet that the kernel will not route on in the end (its TTL is too low, or it is
 * too big) is FORWARD's all the same: iptables does not count it there, but what would depend on
 * our guess at the kernel's mind could be let through by a wrong one.
 */
static __always_inline int arrival_hook(void *ctx, struct pkt *p)
{
	struct pg_tables_map *map = ONLY(pg_tables);
	__u32 slot = cfg.iface & (PG_MAX_IFACES - 1), class = 0;
	const struct pg_link *out = NULL;
	struct bpf_fib_lookup q;
	long r;

	if (!map || p->pkttype || !is_routable(p))
		return 0;
	ask_way(p, &q);
	r = bpf_fib_lookup(ctx, &q, sizeof(q), 0);
	if (r == FIB_NOT_ENABLED)
		map->ctl.not_forwarding[slot][p->family & 1] = bpf_jiffies64();
	if (r < 0 || r == FIB_NOT_ENABLED || r == FIB_NOT_FORWARDED)
		return 0;
	if (r == FIB_FOUND || r == FIB_NO_NEIGHBOUR || r == FIB_TOO_LARGE)
		out = find_link(map, p->active, q.ifindex);
	if (out)
		class = out->class;
	p->through = through(map->ctl.gen[p->active & 1].iface_class[slot], class);
	p->other_ifindex = out ? q.ifindex : 0;
	p->hook = PG_STAGE_FORWARD;
	return 0;
}

/* Global functions, so that the verifier looks at them once. */
__noinline int arrival_hook_xdp(struct xdp_md *ctx)
{
	struct pkt *p = this_pkt();

	return p ? arrival_hook(ctx, p) : 0;
}

__noinline int arrival_hook_tc(struct __sk_buff *skb)
{
	struct pkt *p = this_pkt();

	return p ? arrival_hook(skb, p) : 0;
}

/*
 * A departure that has come from another interface: by one of ours, and it passes; or else it is
 * FORWARD's, and here is the first that we see of it. True: the rules are to be asked.
 */
static __always_inline bool passing_hook(struct pkt *p, __u32 from_ifindex)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	const struct pg_link *in = map ? find_link(map, p->active, from_ifindex) : NULL;
	__u32 slot = cfg.iface & (PG_MAX_IFACES - 1);

	p->passing = in && in->attached;
	if (!map || p->passing || !(p->needs & PG_NEED_FORWARD))
		return false;
	p->through = through(in ? in->class : 0, map->ctl.gen[p->active & 1].iface_class[slot]);
	p->other_ifindex = from_ifindex;
	p->hook = PG_STAGE_FORWARD;
	return true;
}

/* Packet sockets send past netfilter, a DHCP client's for one. */
static __always_inline bool from_packet_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk && sk->family == AF_PACKET;
}

/* RULE: the rules are to be asked. Otherwise it departs, under this reason. */
__noinline int departure_hook(struct __sk_buff *skb)
{
	struct pkt *p = this_pkt();

	if (!p)
		return PG_REASON_INTERNAL;
	if (skb->ingress_ifindex)
		return passing_hook(p, skb->ingress_ifindex) ? PG_REASON_RULE : PG_REASON_FORWARDED;
	p->hook = PG_STAGE_OUTPUT;
	if (!(p->needs & (PG_NEED_OUTPUT | PG_NEED_RAW_OUTPUT)))
		return PG_REASON_POLICY;
	return from_packet_socket(skb) ? PG_REASON_PACKET_SOCKET : PG_REASON_RULE;
}
