/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracking for the fast path: a packet that goes on in a flow as most do, which changes nothing but
 * counters and how far the ends are. Everything else is left to flow.bpf.h, as if this had not looked.
 */
#pragma once

/* As same_key(); a key without a tag is that of a flow with any. */
static __always_inline bool fast_same_key(const struct pg_flow_key *a, const struct pg_flow_key *b)
{
	__u32 differ = (a->port[0] ^ b->port[0]) | (a->port[1] ^ b->port[1]) |
		       (a->space ^ b->space) | (a->proto ^ b->proto);

#pragma unroll
	for (int i = 0; i < 4; i++)
		if (!i || b->space & PG_FLOW_V6)
			differ |= (a->addr[0][i] ^ b->addr[0][i]) | (a->addr[1][i] ^ b->addr[1][i]);
	return !differ;
}

/* Where the flow is in the bucket; PG_FLOW_WAYS: it is not there, or not for us. */
static __always_inline __u32 fast_find(const struct pg_flow_bucket *b, __u32 wanted)
{
	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[i].tag;

		if (same_tag(tag, wanted) && !is_busy(tag))
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
			     PG_FLOW_NO_WINDOW | PG_FLOW_NO_WINDOW << 1 | PG_FLOW_RST_AHEAD |
			     PG_FLOW_RST_AHEAD << 1;
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

/* True: the packet is its flow's, which is established, and was counted there. */
static __always_inline bool fast_advance(const struct fast_flow *q)
{
	const struct pg_flow_ctl *ctl = flow_ctl();
	__u32 index, way, tag, tick = flow_tick();
	struct pg_flow_bucket *b;
	struct pg_flow *flow;
	__u64 hash, status;

	if (!ctl)
		return false;
	hash = pg_flow_hash(&q->key, ctl->seed);
	index = hash >> 32 & (cfg.flow_buckets - 1);
	b = bucket_at(index);
	if (!b)
		return false;
	way = fast_find(b, pg_flow_tag_of(hash));
	if (way >= PG_FLOW_WAYS)
		return false;
	flow = flow_at(index, way);
	if (!flow || !fast_same_key(&flow->key, &q->key))
		return false; /* or two flows have the same tag, and ours is behind */
	status = *(volatile __u64 *)&flow->status;
	tag = *(volatile __u32 *)&b->tag[way].tag;
	/* The first answer that arrives is to be noted: see is_told_of_passing(). */
	if (q->arrives && !(status & PG_FLOW_ANSWERS_ARRIVE) && q->from != !!(status & PG_FLOW_OPENER))
		return false;
	if (!same_tag(tag, pg_flow_tag_of(hash)) || is_killed(tag) ||
	    (tick - b->tag[way].last >= PG_FLOW_SECOND &&
	     has_expired(flow, tag, b->tag[way].last, tick, ctl)))
		return false;
	if (q->key.proto == IPPROTO_TCP) {
		if ((tag & PG_TAG_TIMEOUT) != PG_TIMEOUT_TCP_ESTABLISHED ||
		    !fast_segment(flow, status, q))
			return false;
	} else if (!fast_datagram(status, q) || (q->established && !(status & PG_FLOW_SEEN_REPLY))) {
		return false;
	}
	__sync_fetch_and_add(&flow->sent[q->from & 1].packets, q->packets);
	__sync_fetch_and_add(&flow->sent[q->from & 1].bytes, q->bytes);
	if (b->tag[way].last != tick)
		b->tag[way].last = tick;
	return true;
}

/*
 * The packet's ends in their key's order, and which of them sent it: by arithmetic, because who comes
 * first is not to be foretold, and a branch that is foretold wrong costs as much as the hash.
 */
static __always_inline void fast_key(struct fast_flow *q, const struct pkt *p)
{
	__u64 s = p->sport, d = p->dport;
	__u32 swap;

	if (p->family == PG_FAMILY_V4) {
		s |= (__u64)p->saddr[0] << 16;
		d |= (__u64)p->daddr[0] << 16;
	} else {
#pragma unroll
		for (int i = 3; i >= 0; i--) {
			if (p->saddr[i] == p->daddr[i])
				continue;
			s = p->saddr[i];
			d = p->daddr[i];
		}
	}
	d -= s;
	barrier_var(d); /* clang would make a branch of it */
	q->from = d >> 63;
	swap = -q->from;
	barrier_var(swap);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u32 differ = i && p->family == PG_FAMILY_V4 ? 0 : (p->saddr[i] ^ p->daddr[i]) & swap;

		q->key.addr[0][i] = p->saddr[i] ^ differ;
		q->key.addr[1][i] = p->daddr[i] ^ differ;
	}
	swap &= p->sport ^ p->dport;
	q->key.port[0] = p->sport ^ swap;
	q->key.port[1] = p->dport ^ swap;
	q->key.space = cfg.space | (p->family == PG_FAMILY_V6 ? PG_FLOW_V6 : 0);
	q->key.proto = p->proto;
}

/*
 * A call, with what it needs in a map: the stack has no room for two long addresses. Nor, by newer
 * clangs (19: 280 bytes in each program, 14: 224), for two short ones.
 */
#define TRACKS_INLINE (__clang_major__ < 15)
__noinline int fast_advance_called(struct pkt *p)
{
	return p && fast_advance(&p->fast);
}

/* False: leave the packet to the general path. */
static __always_inline bool fast_fill(struct fast_flow *q, const struct decision *d,
				      const struct pkt *p, enum pg_dir dir, const void *l4)
{
	const __u32 ip_header = p->family == PG_FAMILY_V4 ? sizeof(struct ip4_header) :
							    sizeof(struct ip6_header);
	const struct tcp_header *tcp = l4;

	if (p->proto == IPPROTO_TCP) {
		__u32 headers = ip_header + (tcp->doff >> 4) * 4;

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
		if (len < sizeof(*udp) || len > p->ip_len - ip_header)
			return false;
	}
	q->arrives = dir == PG_DIR_IN;
	q->established = d->track == TRACK_ESTABLISHED;
	q->packets = p->packets;
	q->bytes = p->bytes;
	fast_key(q, p);
	return true;
}

/* Its flow is tracked. False: leave the packet to the general path. */
static __always_inline bool fast_track(const struct decision *d, const struct pkt *p, enum pg_dir dir,
				       const void *l4)
{
	struct pkt *scratch;
	struct fast_flow q;

	if (!l4)
		return false;
	if (p->family == PG_FAMILY_V4 && TRACKS_INLINE)
		return fast_fill(&q, d, p, dir, l4) && fast_advance(&q);
	scratch = this_pkt();
	return scratch && fast_fill(&scratch->fast, d, p, dir, l4) && fast_advance_called(scratch);
}
