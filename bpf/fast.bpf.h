/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way that nearly every packet takes: Ethernet, IPv4 without options or IPv6 without extension
 * headers, a whole TCP or UDP header, nothing wrong with any of it; in IPv4 also ICMP and what has
 * no header that rules know. Each of the five is its own copy of classifying and counting, in which
 * clang has folded what is known of the packet. Whatever is not exactly so is left to the general path,
 * which must come to the same result (the tests run both): this one only ever saves time.
 */
#pragma once

/* A transport header that fits; false: leave it to the general path. */
static __always_inline bool fast_l4(const void *l4, struct pkt *p)
{
	const struct port_header *ports = l4;
	const struct tcp_header *tcp = l4;

	p->sport = bpf_ntohs(ports->source);
	p->dport = bpf_ntohs(ports->dest);
	p->has_ports = p->has_proto = p->has_l3 = 1;
	p->l4_state = PG_L4_FULL;
	p->space = p->proto == IPPROTO_TCP ? PG_SPACE_TCP : PG_SPACE_UDP;
	if (p->proto != IPPROTO_TCP)
		return true;
	p->tcp_flags = tcp->flags;
	p->has_flags = 1;
	return tcp->doff >= 5 << 4;
}

/* Nothing is counted before it is clear that the packet stays here. */
static __always_inline enum pg_verdict fast_decide(const struct cursor *c, struct pkt *p,
						   const void *l4, bool trace, bool atomic)
{
	struct decision d = { .track = TRACK_NOT };

	if (c->dir == PG_DIR_OUT ? !depart_fast(c, p, &d) : !classify_fast(p, &d, !trace && !atomic))
		return _PG_VERDICT_MAX;
	if (d.track && (trace || !fast_track(&d, p, c->dir, l4)))
		return _PG_VERDICT_MAX;
	/* Copies, in which the reason and with it the total's place are constants. */
	if (c->dir == PG_DIR_OUT && d.reason == PG_REASON_FORWARDED) {
		count_packet(c->dir, PG_REASON_FORWARDED, atomic, &d, p);
		barrier();
	} else if (d.reason == PG_REASON_RULE) {
		count_packet(c->dir, PG_REASON_RULE, atomic, &d, p);
	} else {
		barrier();
		count_packet(c->dir, PG_REASON_POLICY, atomic, &d, p);
	}
	if (d.verdict == PG_VERDICT_DROP)
		dropped_plain(c, d.slot, fate(c->dir, PG_VERDICT_DROP, d.reason) | fast_stage(c->dir));
	if (trace)
		trace_packet(c, p, &d); /* no path: what decided is all there was */
	return d.verdict;
}

/* _PG_VERDICT_MAX: not a packet for this path. `proto` is a constant in each copy. */
static __always_inline enum pg_verdict fast_ip4(const struct cursor *c, __u8 proto, bool trace,
						bool atomic)
{
	const struct ip4_header *h = c->data + sizeof(struct eth_header);
	const __u32 *w = (const void *)h;
	const __u32 l4_size = proto == IPPROTO_TCP ? 20 : 8;
	struct pkt p = { .packets = 1, .family = PG_FAMILY_V4, .proto = proto };

	p.bytes = p.ip_len = bpf_ntohs(h->tot_len);
	p.saddr[0] = h->saddr;
	p.daddr[0] = h->daddr;
	p.ethertype = p.l3_type = ETH_P_IP;
	if (p.ip_len < sizeof(*h) + l4_size || sizeof(struct eth_header) + p.ip_len > c->len)
		return _PG_VERDICT_MAX;
	if (c->dir == PG_DIR_IN &&
	    !ip4_sum_ok((__u64)w[0] + w[1] + w[2] + w[3] + w[4]))
		return _PG_VERDICT_MAX;
	if (!fast_l4(h + 1, &p))
		return _PG_VERDICT_MAX;
	return fast_decide(c, &p, h + 1, trace, atomic);
}

/* ICMP, and protocols whose headers no rule asks for. */
static __always_inline enum pg_verdict fast_other4(const struct cursor *c, bool trace, bool atomic)
{
	const struct ip4_header *h = c->data + sizeof(struct eth_header);
	const struct icmp_header *icmp = (const void *)(h + 1);
	const __u32 *w = (const void *)h;
	struct pkt p = { .packets = 1, .family = PG_FAMILY_V4, .proto = h->protocol };
	__u32 l4_size = l4_header_size(p.proto, PG_FAMILY_V4);

	p.bytes = p.ip_len = bpf_ntohs(h->tot_len);
	p.saddr[0] = h->saddr;
	p.daddr[0] = h->daddr;
	p.ethertype = p.l3_type = ETH_P_IP;
	p.has_proto = p.has_l3 = 1;
	p.l4_state = PG_L4_FULL;
	if ((l4_size && p.proto != IPPROTO_ICMP) || p.ip_len < sizeof(*h) + l4_size ||
	    sizeof(struct eth_header) + p.ip_len > c->len)
		return _PG_VERDICT_MAX;
	if (c->dir == PG_DIR_IN &&
	    !ip4_sum_ok((__u64)w[0] + w[1] + w[2] + w[3] + w[4]))
		return _PG_VERDICT_MAX;
	if (p.proto == IPPROTO_ICMP) {
		p.space = PG_SPACE_ICMP;
		p.sport = icmp->type;
		p.dport = icmp->code;
		p.has_icmp = 1;
	}
	return fast_decide(c, &p, NULL, trace, atomic);
}

static __always_inline enum pg_verdict fast_ip6(const struct cursor *c, __u8 proto, bool trace,
						bool atomic)
{
	const struct ip6_header *h = c->data + sizeof(struct eth_header);
	const __u32 l4_size = proto == IPPROTO_TCP ? 20 : 8;
	struct pkt p = { .packets = 1, .family = PG_FAMILY_V6, .proto = proto };

	p.bytes = p.ip_len = bpf_ntohs(h->payload_len) + sizeof(*h);
	__builtin_memcpy(p.saddr, h->saddr, sizeof(p.saddr));
	__builtin_memcpy(p.daddr, h->daddr, sizeof(p.daddr));
	p.ethertype = p.l3_type = ETH_P_IPV6;
	if (p.ip_len < sizeof(*h) + l4_size || sizeof(struct eth_header) + p.ip_len > c->len)
		return _PG_VERDICT_MAX;
	if (!fast_l4(h + 1, &p))
		return _PG_VERDICT_MAX;
	return fast_decide(c, &p, h + 1, trace, atomic);
}

/* The linear part must hold the headers: of UDP less than of TCP. */
static __always_inline enum pg_verdict fast_frame(const struct cursor *c, bool trace, bool atomic)
{
	const struct eth_header *eth = c->data;
	const struct ip4_header *ip4 = (const void *)(eth + 1);
	const struct ip6_header *ip6 = (const void *)(eth + 1);

	if ((void *)(ip4 + 1) + sizeof(struct udp_header) > c->end)
		return _PG_VERDICT_MAX;
	if (eth->type == bpf_htons(ETH_P_IP)) {
		if (ip4->version_ihl != 0x45 || ip4->frag_off & bpf_htons(IP_MF | IP_OFFSET))
			return _PG_VERDICT_MAX;
		if (ip4->protocol == IPPROTO_UDP)
			return fast_ip4(c, IPPROTO_UDP, trace, atomic);
		if (ip4->protocol != IPPROTO_TCP)
			return fast_other4(c, trace, atomic);
		if ((void *)(ip4 + 1) + sizeof(struct tcp_header) > c->end)
			return _PG_VERDICT_MAX;
		return fast_ip4(c, IPPROTO_TCP, trace, atomic);
	}
	if (eth->type != bpf_htons(ETH_P_IPV6) ||
	    (void *)(ip6 + 1) + sizeof(struct udp_header) > c->end ||
	    (ip6->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return _PG_VERDICT_MAX;
	if (ip6->nexthdr == IPPROTO_UDP)
		return fast_ip6(c, IPPROTO_UDP, trace, atomic);
	if (ip6->nexthdr != IPPROTO_TCP || (void *)(ip6 + 1) + sizeof(struct tcp_header) > c->end)
		return _PG_VERDICT_MAX;
	return fast_ip6(c, IPPROTO_TCP, trace, atomic);
}

/*
 * A copy for each: what the trace wants to know at the end costs registers all the way, and a
 * question that is asked at every counter costs at every counter.
 */
static __always_inline enum pg_verdict fast_path(const struct cursor *c)
{
	switch (cfg.fast) {
	case PG_FAST_PLAIN:
		return fast_frame(c, false, false);
	case PG_FAST_ATOMIC:
		return fast_frame(c, false, true);
	case PG_FAST_TRACE:
		return fast_frame(c, true, false);
	}
	return _PG_VERDICT_MAX;
}
