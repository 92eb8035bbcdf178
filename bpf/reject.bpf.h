/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * REJECT: the answer takes the packet's place and goes back out of the interface it came in by.
 * Never in answer to what RFC 1122 3.2.2, RFC 1812 4.3.2.7 and RFC 4443 2.4 (e) exempt: fragments,
 * broadcasts and multicasts, senders that are no single host, ICMP errors, and RSTs (RFC 9293
 * 3.10.7.1). Such packets are dropped in silence, as the others are when answers become too many.
 */
#pragma once

#define REJECT_TTL 64
/*
 * Bytes of the packet in an ICMP error: as many as fit into 576 bytes (RFC 1812 4.3.2.3) and into
 * IPv6's smallest MTU (RFC 4443 2.4 (c)).
 */
#define REJECT_QUOTE_V4 (576 - 20 - 8)
#define REJECT_QUOTE_V6 (1280 - 40 - 8)
#define ICMP_UNREACH 3
#define ICMP6_UNREACH 1
#define TOS_INTERNETCONTROL 0xc0

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The sum over n bytes, which lie in 32-bit words with zeros behind the last. */
static __always_inline __u64 sum_words(const __u32 *w, int n)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < n; i++)
		sum += w[i];
	return sum;
}

/* Of the reply: its addresses are the packet's, exchanged. */
static __always_inline __u64 pseudo_sum(const struct pkt *p, __u8 proto, __u32 len)
{
	__u64 sum = (__u64)bpf_htonl(len) + bpf_htonl(proto);
	int words = p->family == PG_FAMILY_V6 ? 4 : 1;

#pragma unroll
	for (int i = 0; i < 4; i++)
		if (i < words)
			sum += (__u64)p->saddr[i] + p->daddr[i];
	return sum;
}

static __always_inline bool ip4_single_host(__be32 be_addr)
{
	__u32 addr = bpf_ntohl(be_addr);

	return addr >> 24 && addr >> 24 != 127 && addr >> 24 < 224;
}

/* RFC 1122 and RFC 4443: may this packet be answered with an error at all? */
static __always_inline bool may_answer(const struct pkt *p)
{
	if (p->pkttype || p->frag == PG_FRAG_LATER || !p->has_l3 || !p->l4)
		return false;
	if (p->family == PG_FAMILY_V4)
		return ip4_single_host(p->saddr[0]) && ip4_single_host(p->daddr[0]) &&
		       addr_type(p, false, 0) != RTN_BROADCAST && /* of a subnet */
		       addr_type(p, true, 0) != RTN_BROADCAST;
	return (bpf_ntohl(p->saddr[0]) >> 24) != 0xff && (bpf_ntohl(p->daddr[0]) >> 24) != 0xff &&
	       (p->saddr[0] | p->saddr[1] | p->saddr[2] | p->saddr[3]);
}

/* Is it an error itself, or may it be one? The type stands in sport. As icmp.c and icmpv6.c ask. */
static __always_inline bool is_icmp_error(const struct pkt *p)
{
	if (p->family == PG_FAMILY_V6)
		return p->proto == IPPROTO_ICMPV6 &&
		       (p->l4_state != PG_L4_FULL || p->sport < 128 || p->sport == 137);
	if (p->proto != IPPROTO_ICMP)
		return false;
	if (p->l4_state != PG_L4_FULL)
		return true;
	/* Unreachable, source quench, redirect, time exceeded, parameter problem; and the unknown. */
	return p->sport == 3 || p->sport == 4 || p->sport == 5 || p->sport == 11 ||
	       p->sport == 12 || p->sport > 18;
}

/* The Ethernet header and tags, sent back where they came from. */
static __always_inline bool reply_l2(void *ctx, bool xdp, struct pkt *p)
{
	__u8 *out = p->out;
	__u32 l3 = p->l3 & 31;

	if (!l3)
		return true;
	barrier_var(l3);
	if (l3 > 22 || l3 < 14 || !load(ctx, xdp, 0, out, l3))
		return false;
	barrier();
	__builtin_memcpy(out, p->smac, 6);
	__builtin_memcpy(out + 6, p->dmac, 6);
	return true;
}

/* The reply's IP header at out + at, carrying `len` bytes. */
static __always_inline void reply_l3(const struct pkt *p, void *out, __u8 proto, __u32 len)
{
	struct ip6_header *h6 = out;
	struct ip4_header *h = out;

	if (p->family == PG_FAMILY_V6) {
		h6->version_class_flow = bpf_htonl(0x60000000);
		h6->payload_len = bpf_htons(len);
		h6->nexthdr = proto;
		h6->hop_limit = REJECT_TTL;
		__builtin_memcpy(h6->saddr, p->daddr, 16);
		__builtin_memcpy(h6->daddr, p->saddr, 16);
		return;
	}
	h->version_ihl = 0x45;
	/* RFC 1812 4.3.2.5 */
	h->tos = proto == IPPROTO_ICMP ? (p->tos & 0x1e) | TOS_INTERNETCONTROL : 0;
	h->tot_len = bpf_htons(sizeof(*h) + len);
	h->id = 0;
	h->frag_off = bpf_htons(0x4000); /* don't fragment, as nf_reject_iphdr_put() */
	h->ttl = REJECT_TTL;
	h->protocol = proto;
	h->check = 0;
	h->saddr = p->daddr[0];
	h->daddr = p->saddr[0];
	h->check = fold(sum_words(out, 5));
}

/* RFC 9293 3.10.7.1. Returns the reply's length behind its IP header; 0: none. */
static __always_inline __u32 reply_reset(void *ctx, bool xdp, struct pkt *p, void *out)
{
	struct tcp_header *in = (void *)(p->out + PG_REPLY_MAX), *h = out;
	__u32 payload;

	if (p->proto != IPPROTO_TCP || p->l4_state != PG_L4_FULL ||
	    p->tcp_flags & 1 << PG_FLAG_RST || !load(ctx, xdp, p->l4, in, sizeof(*in)))
		return 0;
	barrier();
	payload = p->ip_len - (p->l4 - p->l3) - (in->doff >> 4) * 4;
	payload += (p->tcp_flags >> PG_FLAG_SYN & 1) + (p->tcp_flags >> PG_FLAG_FIN & 1);
	__builtin_memset(h, 0, sizeof(*h));
	h->source = in->dest;
	h->dest = in->source;
	h->doff = 5 << 4;
	h->flags = 1 << PG_FLAG_RST;
	if (p->tcp_flags & 1 << PG_FLAG_ACK) {
		h->seq = in->ack_seq;
	} else {
		h->flags |= 1 << PG_FLAG_ACK;
		h->ack_seq = bpf_htonl(bpf_ntohl(in->seq) + payload);
	}
	h->check = fold(sum_words((void *)h, 5) + pseudo_sum(p, IPPROTO_TCP, sizeof(*h)));
	return sizeof(*h);
}

/* What bpf_csum_diff() takes at once. */
#define SUM_CHUNK 512

/* The sum over the quoted words from `from` on, `most` bytes of them at most. */
static __always_inline __u32 sum_chunk(struct pkt *p, __u32 at, __u32 n, __u32 from, __u32 most,
				       __u32 sum)
{
	__u32 size = n - from;

	if (n <= from)
		return sum;
	if (size > most)
		size = most;
	barrier_var(size);
	size &= 1020;
	return size > most ? sum :
			     (__u32)bpf_csum_diff(NULL, 0, (void *)(p->out + at + from), size, sum);
}

/* The sum over what is quoted, at p->out + at; zeros follow. */
static __always_inline __u64 sum_quote(struct pkt *p, __u32 at, __u32 n)
{
	__u32 sum = 0;

	at &= 127;
	n = (n + 3) & ~3U;
	sum = sum_chunk(p, at, n, 0, SUM_CHUNK, sum);
	sum = sum_chunk(p, at, n, SUM_CHUNK, SUM_CHUNK, sum);
	return sum_chunk(p, at, n, 2 * SUM_CHUNK, REJECT_QUOTE_V6 - 2 * SUM_CHUNK, sum);
}

/* An error that quotes the packet. */
static __always_inline __u32 reply_icmp(void *ctx, bool xdp, struct pkt *p, __u32 out, __u8 code)
{
	bool v6 = p->family == PG_FAMILY_V6;
	__u32 most = v6 ? REJECT_QUOTE_V6 : REJECT_QUOTE_V4;
	__u32 n = p->ip_len < most ? p->ip_len : most, at = (out + 8) & 127;
	__u32 *head = (void *)(p->out + (out & 63));
	__u64 sum;

	if (is_icmp_error(p))
		return 0;
	head[0] = v6 ? bpf_htonl(ICMP6_UNREACH << 24 | code << 16) :
		       bpf_htonl(ICMP_UNREACH << 24 | code << 16);
	head[1] = 0;
	if (n < 20 || !load_some(ctx, xdp, p->l3, p->out + at, n, REJECT_QUOTE_V6))
		return 0;
	barrier_var(n);
	n &= 2047;
	/* The sum is over 32-bit words. */
	p->out[at + n] = p->out[at + n + 1] = p->out[at + n + 2] = 0;
	barrier();
	sum = sum_quote(p, at, n) + head[0];
	if (v6)
		sum += pseudo_sum(p, IPPROTO_ICMPV6, n + 8);
	((__u16 *)head)[1] = fold((sum & 0xffffffff) + (sum >> 32));
	return n + 8;
}

/*
 * An skb that a local sender made (over a veth) may leave its transport checksum to whoever sends
 * it out: that is noted beside it, would be done to the answer, and nothing here can see it but that the
 * skb can't be cut short of that checksum's place. Pulling the place off its front forgets the note
 * (skb_postpull_rcsum()).
 */
#define REPLY_PULL 256
#define ADJ_ROOM_MAC 1 /* BPF_ADJ_ROOM_MAC */

static __always_inline bool resize_skb(struct __sk_buff *skb, const struct pkt *p, __u32 len)
{
	if (!bpf_skb_change_tail(skb, p->l4 + 1, 0))
		return !bpf_skb_change_tail(skb, len, 0);
	return !bpf_skb_change_tail(skb, len + REPLY_PULL, 0) &&
	       !bpf_skb_adjust_room(skb, -REPLY_PULL, ADJ_ROOM_MAC, 0);
}

/* Put `len` bytes of p->out in the frame's place. */
static __always_inline bool reply_store(void *ctx, bool xdp, struct pkt *p, __u32 len)
{
	__s32 grow = (__s32)len - (__s32)p->frame_len;
	__u64 last = len - 1ULL;

	barrier_var(last); /* as in load_some() */
	if (last >= PG_REPLY_MAX)
		return false;
	if (xdp) {
		if (grow > 0 ? bpf_xdp_adjust_head(ctx, -grow) : bpf_xdp_adjust_tail(ctx, grow))
			return false;
		return !bpf_xdp_store_bytes(ctx, 0, p->out, last + 1);
	}
	return resize_skb(ctx, p, len) && !bpf_skb_store_bytes(ctx, 0, p->out, last + 1, 0);
}

static __always_inline bool may_reply(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pg_state *s = bpf_map_lookup_elem(&pg_reply_rate, &cpu);

	return s && take_tokens(&s->value, bpf_ktime_get_coarse_ns(),
				1000000000ULL / PG_REPLY_RATE,
				1000000000ULL / PG_REPLY_RATE * PG_REPLY_BURST);
}

/* True: the frame is now the answer, to be sent back. */
static __always_inline bool reject(void *ctx, bool xdp, struct pkt *p, __u32 with)
{
	__u32 l3 = p->l3 & 31, hlen = p->family == PG_FAMILY_V6 ? 40 : 20, n;
	__u8 code = with >> (p->family == PG_FAMILY_V6 ? 12 : 8) & 15;
	bool reset = with == PG_REJECT_RESET;
	__u8 proto = reset			    ? IPPROTO_TCP :
		     p->family == PG_FAMILY_V6 ? IPPROTO_ICMPV6 :
						 IPPROTO_ICMP;

	if (!may_answer(p) || (!reset && !may_reply()) || !reply_l2(ctx, xdp, p))
		return false;
	barrier();
	n = reset ? reply_reset(ctx, xdp, p, p->out + l3 + hlen) :
		    reply_icmp(ctx, xdp, p, l3 + hlen, code);
	if (!n)
		return false;
	reply_l3(p, p->out + l3, proto, n);
	barrier();
	return reply_store(ctx, xdp, p, l3 + hlen + n);
}
