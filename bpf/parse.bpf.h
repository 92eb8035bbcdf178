/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes → struct pkt: one small function per header, and pull() is the only bounds check. What the
 * Linux IP layer drops before its packet filter runs is dropped here too, under a name
 * (net/ipv4/ip_input.c ip_rcv_core(), net/ipv6/ip6_input.c ip6_rcv_core()).
 *
 * Parsing goes on to the ports where it can although the packet is already condemned (bad
 * checksum, a third VLAN tag), so that replay can show what was in it.
 */
#pragma once

/* Where parsing stands. `len` bytes of the frame from its first byte, linear or not. */
struct cursor {
	void *data, *pos, *end; /* of the linear part */
	__u32 len;	 /* of the whole frame */
	bool xdp;	 /* constants in every copy of the code */
	enum pg_dir dir;
	bool passing; /* it departs, and has come from another interface */
	void *ctx;    /* the fast path's, for what it drops */
};

/* The next `size` bytes, or NULL when they are not in the linear part. */
static __always_inline void *pull(struct cursor *c, __u32 size)
{
	void *p = c->pos;

	if (p + size > c->end)
		return NULL;
	c->pos = p + size;
	return p;
}

/*
 * Go to an offset that was put into *p. From memory it is any offset (up to mask) to the verifier,
 * so the ways that led here become one.
 */
static __always_inline void seek(struct cursor *c, const __u32 *offset, __u32 mask)
{
	__u32 off;

	barrier();
	off = *offset & mask;
	c->pos = c->data + off;
	barrier_var(c->pos); /* one pointer for all checks and reads behind it */
}

#define L4_OFFSETS 0x7fff /* a mask: beyond any chain of PG_MAX_EXT_HEADERS */

/* Bytes that are not in the linear part: past the frame's end, or in a later buffer? */
static __always_inline enum pg_reason missing(const struct cursor *c, void *ctx, __u32 needed)
{
	if (!c->xdp)
		return needed <= c->len ? PG_REASON_SPLIT_HEADER : PG_REASON_SHORT_HEADER;
	if (cfg.frags && needed <= bpf_xdp_get_buff_len(ctx))
		return PG_REASON_SPLIT_HEADER;
	return PG_REASON_SHORT_HEADER;
}

/*
 * Length of the whole frame. With XDP the linear part's is known for nothing, and the helper that
 * knows the rest costs more than all parsing: so it is asked only where the linear part is not
 * enough (`needed`).
 */
static __always_inline __u32 frame_len(struct cursor *c, void *ctx, __u32 needed)
{
	if (c->xdp && cfg.frags && needed > c->len)
		c->len = bpf_xdp_get_buff_len(ctx);
	return c->len;
}

static __always_inline enum pg_reason parse_arp(struct cursor *c, void *ctx, struct pkt *p)
{
	struct arp_header *h = pull(c, sizeof(*h));
	__u16 op;

	if (!h)
		return missing(c, ctx, p->l3 + sizeof(*h));
	op = bpf_ntohs(h->op);
	if (p->l3_type == ETH_P_RARP || op == ARPOP_RREQUEST || op == ARPOP_RREPLY)
		return PG_REASON_RARP;
	if (h->hrd != bpf_htons(1) || h->pro != bpf_htons(ETH_P_IP) || h->hln != 6 || h->pln != 4)
		return PG_REASON_BAD_ARP;
	__builtin_memcpy(p->saddr, h->spa, 4);
	__builtin_memcpy(p->daddr, h->tpa, 4);
	/* RFC 5227: an announcement's sender and target are the same; all zero is a probe's sender. */
	if (p->saddr[0] == p->daddr[0] && p->saddr[0])
		return PG_REASON_GRATUITOUS_ARP;
	return PG_REASON_ARP;
}

/* How many bytes of a transport header the kernel's matches ask for; 0: no match asks. */
static __always_inline __u32 l4_header_size(__u8 proto, __u8 family)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 8;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 12;
	case IPPROTO_ICMP:
		return family == PG_FAMILY_V4 ? 8 : 0;
	case IPPROTO_ICMPV6:
		return family == PG_FAMILY_V6 ? 8 : 0;
	}
	return 0;
}

static __always_inline __u8 l4_space(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return PG_SPACE_TCP;
	case IPPROTO_UDP:
		return PG_SPACE_UDP;
	case IPPROTO_UDPLITE:
		return PG_SPACE_UDPLITE;
	case IPPROTO_SCTP:
		return PG_SPACE_SCTP;
	case IPPROTO_DCCP:
		return PG_SPACE_DCCP;
	case IPPROTO_ICMP:
		return PG_SPACE_ICMP;
	}
	return PG_SPACE_ICMP6;
}

/*
 * A GSO packet counts as the wire packets it becomes, each with headers of its own: `headers` bytes
 * of IP and transport headers that we know of. What a tunnel carries inside is not looked at, so
 * there the inner headers count once.
 */
static __always_inline void count_segments(struct pkt *p, __u32 headers)
{
	__s32 payload = p->ip_len - headers;

	if (!p->gso_size || payload <= (__s32)p->gso_size)
		return;
	p->packets = p->gso_segs ?: (payload + p->gso_size - 1) / p->gso_size;
	p->bytes = p->ip_len + (p->packets - 1) * headers;
}

/*
 * Are the lengths of a UDP or UDP-Lite header right for a packet that has `have` bytes of it? UDP's
 * is the whole datagram's, also in its first fragment; UDP-Lite's is what its checksum covers (0:
 * all of it), and that checksum must be there.
 */
static __always_inline bool udp_is_sound(const struct udp_header *h, const struct pkt *p,
					 __u32 have)
{
	__u32 len = bpf_ntohs(h->len);

	if (p->proto == IPPROTO_UDPLITE) {
		if (!h->check)
			return false;
		len = len ?: sizeof(*h);
	}
	return len >= sizeof(*h) && (len <= have || p->frag == PG_FRAG_FIRST);
}

/* For tracking: a segment with `payload` bytes. */
static __always_inline void take_sequence(const struct tcp_header *tcp, __u32 payload,
					  struct flow_pkt *f)
{
	f->seq = bpf_ntohl(tcp->seq);
	f->ack = bpf_ntohl(tcp->ack_seq);
	f->window = bpf_ntohs(tcp->window);
	f->end = f->seq + payload + (tcp->flags >> PG_FLAG_SYN & 1) + (tcp->flags >> PG_FLAG_FIN & 1);
}

/*
 * The transport header, of which the IP packet holds `have` bytes (negative: extension headers
 * already ran over the end).
 */
static __always_inline enum pg_reason parse_l4(struct cursor *c, struct pkt *p)
{
	__u32 size = l4_header_size(p->proto, p->family);
	__s32 have = p->ip_len - (p->l4 - p->l3);
	struct port_header *ports;
	struct tcp_header *tcp;

	p->l4_state = PG_L4_FULL;
	p->space = PG_SPACE_NONE;
	if (!size) {
		count_segments(p, p->l4 - p->l3);
		return PG_REASON_RULE;
	}
	if (have < 4) {
		p->l4_state = PG_L4_CUT;
		return PG_REASON_RULE;
	}
	p->space = l4_space(p->proto);
	if (have < (__s32)size) {
		p->l4_state = PG_L4_PORTS;
		p->space += PG_SPACE_PARTIAL;
	}

	seek(c, &p->l4, L4_OFFSETS);
	if (p->proto == IPPROTO_TCP && p->l4_state == PG_L4_FULL) {
		tcp = pull(c, sizeof(*tcp));
		if (!tcp)
			return PG_REASON_SPLIT_HEADER;
		p->sport = bpf_ntohs(tcp->source);
		p->dport = bpf_ntohs(tcp->dest);
		p->tcp_flags = tcp->flags;
		p->has_ports = p->has_flags = 1;
		size = (tcp->doff >> 4) * 4;
		take_sequence(tcp, have - size, &p->flow);
		p->l4_bad = (__s32)size > have;
		count_segments(p, p->l4 - p->l3 + size);
		return tcp->doff >> 4 < 5 ? PG_REASON_BAD_DOFF : PG_REASON_RULE;
	}

	ports = pull(c, sizeof(*ports));
	if (!ports)
		return PG_REASON_SPLIT_HEADER;
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6) {
		struct icmp_header *icmp = (void *)ports;

		p->sport = icmp->type;
		p->dport = icmp->code;
		p->has_icmp = p->l4_state == PG_L4_FULL;
		return PG_REASON_RULE;
	}
	p->sport = bpf_ntohs(ports->source);
	p->dport = bpf_ntohs(ports->dest);
	p->has_ports = 1;
	if ((p->proto == IPPROTO_UDP || p->proto == IPPROTO_UDPLITE) &&
	    p->l4_state == PG_L4_FULL) {
		if (!pull(c, sizeof(struct udp_header) - sizeof(*ports)))
			return PG_REASON_SPLIT_HEADER;
		p->l4_bad = !udp_is_sound((void *)ports, p, have);
	}
	if (p->proto == IPPROTO_UDP && p->l4_state == PG_L4_FULL)
		count_segments(p, p->l4 - p->l3 + size);
	return PG_REASON_RULE;
}

/*
 * Valid when the one's complement sum over the header, options included, is all ones (RFC 1071): when
 * the words' sum, which is not 0, is a multiple of 0xffff. 0xffff * ONES is 2^64 - 1, or -1: so a multiple
 * m * 0xffff times ONES is -m, where m is ONES at most; and no other number has the same product, ONES
 * being odd.
 */
static __always_inline bool ip4_sum_ok(__u64 sum)
{
	const __u64 ones = 0x0001000100010001;

	return sum * ones >= -ones;
}

/* Step over `words` words of options, adding them to the sum. */
static __always_inline enum pg_reason pull_ip4_options(struct cursor *c, void *ctx,
						       const struct pkt *p, __u32 words,
						       __u64 *sum)
{
	for (__u32 i = 0; i < 10; i++) {
		__u32 *word;

		if (i >= words)
			break;
		word = pull(c, sizeof(*word));
		if (!word)
			return missing(c, ctx, p->l3 + sizeof(struct ip4_header) + 4 * words);
		*sum += *word;
	}
	return PG_REASON_RULE;
}

static __always_inline enum pg_reason parse_ip4(struct cursor *c, void *ctx, struct pkt *p)
{
	struct ip4_header *h = pull(c, sizeof(*h));
	enum pg_reason why;
	__u32 hlen, total;
	__u32 *w = (void *)h;
	__u64 sum;
	__u16 frag;

	if (!h)
		return missing(c, ctx, p->l3 + sizeof(*h));
	if (h->version_ihl >> 4 != 4)
		return PG_REASON_BAD_VERSION;
	hlen = (h->version_ihl & 15) * 4;
	if (hlen < sizeof(*h))
		return PG_REASON_BAD_IHL;

	p->family = PG_FAMILY_V4;
	p->saddr[0] = h->saddr;
	p->daddr[0] = h->daddr;
	p->proto = h->protocol;
	p->tos = h->tos;
	p->ttl = h->ttl;
	total = bpf_ntohs(h->tot_len);
	/* A header that is longer than its packet is not believed in the rest either. */
	p->has_l3 = p->has_proto = total >= hlen;
	frag = bpf_ntohs(h->frag_off);
	sum = (__u64)w[0] + w[1] + w[2] + w[3] + w[4];
	why = pull_ip4_options(c, ctx, p, hlen / 4 - 5, &sum);
	if (why)
		return why;
	/* A GSO packet over 64 KB says 0 (BIG TCP); on the wire 0 is an error. */
	if (!total && p->gso_size)
		total = c->len - p->l3;
	if (total < hlen)
		return PG_REASON_BAD_LENGTH;

	if (frag & IP_OFFSET) {
		p->l4_state = (frag & IP_OFFSET) == 1 && p->proto == IPPROTO_TCP ? PG_L4_OFF1 :
										   PG_L4_LATER;
		p->space = PG_SPACE_NONE;
		p->frag = PG_FRAG_LATER;
		p->frag_offset = frag & IP_OFFSET;
	} else {
		p->frag = frag & IP_MF ? PG_FRAG_FIRST : PG_FRAG_NONE;
		p->l4 = p->l3 + hlen;
	}
	if (p->l3 + total > frame_len(c, ctx, p->l3 + total))
		return PG_REASON_TRUNCATED;
	p->ip_len = p->bytes = total;
	/* Departures have it filled in by the NIC at times; the kernel checks arrivals only. */
	if (c->dir == PG_DIR_IN && !cfg.skip_csum && !ip4_sum_ok(sum))
		return PG_REASON_BAD_CHECKSUM;
	return PG_REASON_RULE;
}

/*
 * IPv6 extension headers: a header of `len` has ((len & len_mask) + add) << shift bytes. A table
 * and no branches, because the verifier follows each branch of each of the headers on its own.
 */
static const struct ext_kind {
	__u8 need; /* bytes that must be there; 0: no extension header, the walk ends */
	__u8 len_mask, add, shift;
} ext_kinds[256] = {
	[IPPROTO_HOPOPTS] = { 2, 255, 1, 3 },
	[IPPROTO_ROUTING] = { 4, 255, 1, 3 },
	[IPPROTO_FRAGMENT] = { 4, 0, 1, 3 },
	[IPPROTO_AH] = { 2, 255, 2, 2 },
	[IPPROTO_DSTOPTS] = { 2, 255, 1, 3 },
	/* IPPROTO_NONE ends the walk like a transport header. */
};

/* A walk that can't go on: rules without -p don't care, the first with -p drops. */
static __always_inline enum pg_reason ip6_broken(struct pkt *p)
{
	p->l4 = 0;
	p->l4_state = PG_L4_BROKEN;
	p->space = PG_SPACE_NONE;
	return PG_REASON_RULE;
}

/* Its first fragment had the transport header. Extension headers can't be fragmented. */
static __always_inline enum pg_reason ip6_later_fragment(struct pkt *p, __u8 nexthdr, __u16 offset)
{
	p->frag = PG_FRAG_LATER;
	p->frag_offset = offset;
	if (ext_kinds[nexthdr].need)
		return ip6_broken(p);
	p->proto = nexthdr;
	p->has_proto = 1;
	p->l4 = 0;
	p->l4_state = PG_L4_LATER;
	p->space = PG_SPACE_NONE;
	return PG_REASON_RULE;
}

/*
 * Walk the extension headers as ip6_packet_match() does through ipv6_find_hdr(): two bytes are
 * needed of each, four of a routing or fragment header. Which is next, and where, is in p->proto and
 * p->l4 only, so that the ways through one header become one (see seek()).
 */
static __always_inline enum pg_reason parse_ip6_ext(struct cursor *c, struct pkt *p)
{
	const struct ext_kind *kind;
	struct ext_header *h;

	for (int i = 0; i <= PG_MAX_EXT_HEADERS; i++) {
		barrier();
		kind = &ext_kinds[p->proto];
		if (!kind->need) {
			p->has_proto = 1;
			return PG_REASON_RULE;
		}
		if (p->l4 - p->l3 + kind->need > p->ip_len)
			return ip6_broken(p);
		seek(c, &p->l4, L4_OFFSETS);
		h = c->pos;
		barrier_var(h); /* one pointer for the check and the reads */
		if ((void *)(h + 1) > c->end)
			return PG_REASON_SPLIT_HEADER;
		if (p->proto == IPPROTO_FRAGMENT) {
			__be16 *frag = (void *)(h + 1);

			if ((void *)(frag + 1) > c->end)
				return PG_REASON_SPLIT_HEADER;
			p->frag_at = p->l4;
			if (*frag & bpf_htons(IP6_OFFSET))
				return ip6_later_fragment(p, h->nexthdr, bpf_ntohs(*frag) >> 3);
			p->frag = *frag & bpf_htons(IP6_MORE) ? PG_FRAG_FIRST : PG_FRAG_ATOMIC;
		}
		p->proto = h->nexthdr;
		p->l4 += ((h->len & kind->len_mask) + kind->add) << (kind->shift & 3);
	}
	return PG_REASON_EXT_TOO_LONG;
}

/*
 * Length of a packet whose payload length is 0 and which begins with hop-by-hop options: a
 * jumbogram (RFC 2675), or the kernel takes all there is (ip6_rcv_core() does not trim it).
 * 0: the jumbo option is wrong.
 */
static __always_inline __u32 ip6_jumbo_len(struct cursor *c, __u32 available)
{
	struct {
		__u8 nexthdr, len, option, option_len;
		__be32 jumbo;
	} *h = c->pos;
	__u32 len;

	if ((void *)(h + 1) > c->end || h->option != 0xc2 || h->option_len != 4)
		return available;
	len = bpf_ntohl(h->jumbo);
	if (len <= 65535 || len > available - sizeof(struct ip6_header))
		return 0;
	return len + sizeof(struct ip6_header);
}

static __always_inline enum pg_reason parse_ip6(struct cursor *c, void *ctx, struct pkt *p)
{
	struct ip6_header *h = pull(c, sizeof(*h));
	__u32 total, available;

	if (!h)
		return missing(c, ctx, p->l3 + sizeof(*h));
	if ((h->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return PG_REASON_BAD_VERSION;

	p->family = PG_FAMILY_V6;
	__builtin_memcpy(p->saddr, h->saddr, 16);
	__builtin_memcpy(p->daddr, h->daddr, 16);
	p->has_l3 = 1;
	p->tos = bpf_ntohl(h->version_class_flow) >> 20;
	p->ttl = h->hop_limit;
	p->proto = h->nexthdr;
	p->l4 = p->l3 + sizeof(*h);
	total = bpf_ntohs(h->payload_len);
	if (!total && h->nexthdr == IPPROTO_HOPOPTS) {
		available = frame_len(c, ctx, ~0U) - p->l3;
		total = ip6_jumbo_len(c, available);
		if (!total)
			return PG_REASON_BAD_LENGTH;
	} else {
		total += sizeof(*h);
		if (p->l3 + total > frame_len(c, ctx, p->l3 + total))
			return PG_REASON_TRUNCATED;
	}
	p->ip_len = p->bytes = total;
	return parse_ip6_ext(c, p);
}

/* Tags, outermost first; `tags` of them were already seen (the kernel keeps one beside an skb). */
static __always_inline enum pg_reason parse_vlans(struct cursor *c, void *ctx, struct pkt *p,
						  __u32 tags)
{
	struct vlan_header *h;

#pragma unroll
	for (int i = 0; i <= PG_MAX_VLANS; i++) {
		if (p->l3_type != ETH_P_8021Q && p->l3_type != ETH_P_8021AD)
			break;
		h = pull(c, sizeof(*h));
		if (!h)
			return missing(c, ctx, p->l3 + sizeof(*h));
		if (tags <= PG_MAX_VLANS)
			p->vlan_id[tags] = bpf_ntohs(h->tci) & 0xfff;
		p->l3_type = bpf_ntohs(h->type);
		p->l3 += sizeof(*h);
		tags++;
	}
	p->vlans = tags;
	return PG_REASON_RULE;
}

/*
 * Parse the frame. PG_REASON_RULE: all is well, ask the rules (is_ip is set). Any other reason
 * is the packet's end; p holds what was found up to there.
 */
static __always_inline enum pg_reason parse_packet(struct cursor *c, void *ctx, struct pkt *p,
						   __u32 tags)
{
	enum pg_reason why, l4_why;

	why = parse_vlans(c, ctx, p, tags);
	if (why)
		return why;
	if (p->vlans)
		seek(c, &p->l3, 0xff);
	switch (p->l3_type) {
	case ETH_P_IP:
		why = parse_ip4(c, ctx, p);
		break;
	case ETH_P_IPV6:
		why = parse_ip6(c, ctx, p);
		break;
	case ETH_P_ARP:
	case ETH_P_RARP:
		why = parse_arp(c, ctx, p);
		break;
	case ETH_P_8021Q:
	case ETH_P_8021AD:
		break; /* more tags than we look at */
	default:
		why = PG_REASON_NON_IP;
	}
	/* Behind a wrong checksum, too: such a packet is still one that arrived at a port. */
	if (p->l4 && (why == PG_REASON_RULE || why == PG_REASON_BAD_CHECKSUM)) {
		l4_why = parse_l4(c, p);
		why = why ? why : l4_why;
	}
	return p->vlans > PG_MAX_VLANS ? PG_REASON_TOO_MANY_VLANS : why;
}
