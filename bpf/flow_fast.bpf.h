/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracking for the fast path: a packet that goes on in a flow as most do, which changes nothing but
 * counters and how far the ends are. Everything else is left to flow.bpf.h, as if this had not looked.
 */
#pragma once

/* The place of the flow in b; PG_FLOW_WAYS: it is not there, or not for us. */
static __always_inline __u32 fast_find(const struct pg_flow_bucket *b, const struct pg_flow_key *key,
				       __u32 wanted)
{
	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[i].tag;

		if (same_tag(tag, wanted) && !is_busy(tag) && same_key(&b->flow[i].key, key))
			return i;
	}
	return PG_FLOW_WAYS;
}

/*
 * A segment with nothing but an acknowledgement and data that come next, of an established connection
 * in which every flag of it was seen before: no state moves.
 */
static __always_inline bool fast_segment(struct pg_flow *flow, __u64 status,
					 const struct fast_flow *q)
{
	const __u64 steady = PG_FLOW_TCP_STATE | PG_FLOW_SEEN_REPLY | PG_FLOW_ASSURED |
			     PG_FLOW_TIMING | PG_FLOW_LAST | PG_FLOW_LAST_FROM_1 |
			     255ULL << PG_FLOW_END_SHIFT | PG_FLOW_HAS_ACK | PG_FLOW_HAS_ACK << 1 |
			     PG_FLOW_NO_WINDOW | PG_FLOW_NO_WINDOW << 1;
	const __u64 wanted = PG_TCP_ESTABLISHED | PG_FLOW_SEEN_REPLY | PG_FLOW_ASSURED |
			     (PG_END_ESTABLISHED * 0x11ULL) << PG_FLOW_END_SHIFT |
			     PG_FLOW_HAS_ACK | PG_FLOW_HAS_ACK << 1;
	const __u8 odd = 1 << PG_FLAG_FIN | 1 << PG_FLAG_SYN | 1 << PG_FLAG_RST, ack = 1 << PG_FLAG_ACK;
	struct pg_flow_window *s = &flow->win[q->from & 1], *r = &flow->win[(q->from ^ 1) & 1];
	__u32 window = q->window << scale_of(status, q->from), end = s->end, least;

	if ((status & steady) != wanted || !window || (q->flags & (odd | ack)) != ack ||
	    q->flags & ~(status >> (PG_FLOW_FLAGS_SHIFT + 8 * (q->from & 1))))
		return false;
	if (!s->max_win || !r->max_win || (q->seq != q->end && q->seq != end))
		return false; /* data that is not the next */
	least = s->max_win > LEAST_ACK_WINDOW ? s->max_win : LEAST_ACK_WINDOW;
	if (after(q->seq, s->max_end) || after(q->ack, r->end) || after(q->end, s->max_end) ||
	    !after(q->end, end - r->max_win - 1) || !after(q->ack, r->end - least - 1))
		return false;
	if (after(q->end, end) && __sync_val_compare_and_swap(&s->end, end, q->end) != end)
		return false;
	if (s->max_win < window)
		s->max_win = window;
	if (after(q->ack, s->max_ack))
		s->max_ack = q->ack;
	if (after(q->ack + window, r->max_end))
		r->max_end = q->ack + window;
	return true;
}

/* A datagram that makes no stream of what was none. */
static __always_inline bool fast_datagram(__u64 status, const struct fast_flow *q)
{
	bool reply = q->from != !!(status & PG_FLOW_OPENER);

	if (status & PG_FLOW_ASSURED)
		return true;
	return !reply && !(status & PG_FLOW_SEEN_REPLY);
}

/* 1: the packet is its flow's, which is established, and was counted there. */
__noinline int flow_fast(struct pkt *p)
{
	const struct pg_flow_ctl *ctl = flow_ctl();
	struct fast_flow *q;
	struct pg_flow_bucket *b;
	struct pg_flow *flow;
	__u32 way, tag, tick, index;
	__u64 hash, status;

	if (!p || !ctl)
		return 0;
	q = &p->fast;
	hash = pg_flow_hash(&q->key, ctl->seed);
	tick = flow_tick();
	index = hash >> 32 & (cfg.flow_buckets - 1);
	b = bucket_at(index);
	if (!b)
		return 0;
	way = fast_find(b, &q->key, pg_flow_tag_of(hash));
	if (way >= PG_FLOW_WAYS)
		return 0;
	flow = &b->flow[way];
	status = *(volatile __u64 *)&flow->status;
	tag = *(volatile __u32 *)&b->tag[way].tag;
	if (!same_tag(tag, pg_flow_tag_of(hash)) || is_killed(tag) ||
	    has_expired(flow, tag, b->tag[way].last, tick, ctl))
		return 0;
	if (q->key.proto == IPPROTO_TCP) {
		if ((tag & PG_TAG_TIMEOUT) != PG_TIMEOUT_TCP_ESTABLISHED ||
		    !fast_segment(flow, status, q))
			return 0;
	} else if (!fast_datagram(status, q) || (q->established && !(status & PG_FLOW_SEEN_REPLY))) {
		return 0;
	}
	__sync_fetch_and_add(&flow->sent[q->from & 1].packets, q->packets);
	__sync_fetch_and_add(&flow->sent[q->from & 1].bytes, q->bytes);
	if (b->tag[way].last != tick)
		b->tag[way].last = tick;
	return 1;
}

static __always_inline bool fast_comes_behind(const struct pkt *p)
{
#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (p->saddr[i] != p->daddr[i])
			return p->saddr[i] > p->daddr[i];
		if (p->family == PG_FAMILY_V4)
			break;
	}
	return p->sport > p->dport;
}

/*
 * Its flow is tracked. False: leave the packet to the general path. What is handed over lies in a map,
 * because the stack has no room for it.
 */
static __always_inline bool fast_track(const struct decision *d, const struct pkt *p, const void *l4)
{
	const struct tcp_header *tcp = l4;
	struct pkt *scratch = this_pkt();
	__u32 first = fast_comes_behind(p);
	struct fast_flow *q;

	if (!l4 || !scratch)
		return false;
	q = &scratch->fast;
	q->established = d->track == TRACK_ESTABLISHED;
	q->from = first;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		bool used = !i || p->family == PG_FAMILY_V6;

		q->key.addr[0][i] = !used ? 0 : first ? p->daddr[i] : p->saddr[i];
		q->key.addr[1][i] = !used ? 0 : first ? p->saddr[i] : p->daddr[i];
	}
	q->key.port[0] = first ? p->dport : p->sport;
	q->key.port[1] = first ? p->sport : p->dport;
	q->key.space = cfg.space | (p->family == PG_FAMILY_V6 ? PG_FLOW_V6 : 0);
	q->key.proto = p->proto;
	q->key.vlan = 0;
	q->packets = p->packets;
	q->bytes = p->bytes;
	if (p->proto == IPPROTO_TCP) {
		__u32 headers = p->family == PG_FAMILY_V4 ? sizeof(struct ip4_header) :
							    sizeof(struct ip6_header);

		headers += (tcp->doff >> 4) * 4;
		if (p->ip_len < headers)
			return false;
		q->seq = bpf_ntohl(tcp->seq);
		q->ack = bpf_ntohl(tcp->ack_seq);
		q->end = q->seq + p->ip_len - headers;
		q->window = bpf_ntohs(tcp->window);
		q->flags = p->tcp_flags;
	} else {
		const struct udp_header *udp = l4;
		__u32 len = bpf_ntohs(udp->len);

		/* As udp_is_sound(): otherwise it is INVALID. */
		if (len < sizeof(*udp) ||
		    len > p->ip_len - (p->family == PG_FAMILY_V4 ? sizeof(struct ip4_header) :
								  sizeof(struct ip6_header)))
			return false;
	}
	return flow_fast(scratch);
}
