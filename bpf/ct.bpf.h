/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conditions on a packet's connection beyond its state: conntrack, connbytes, connlimit. flow.bpf.h
 * has left what they ask for in struct pkt when it found the state; they wait until it has.
 */
#pragma once

#include "flow_table.bpf.h"

/* Of one answer, which type of ICMP goes with the request. */
static __always_inline __u32 icmp_answer(__u32 query)
{
	switch (query >> 8) {
	case 8:
		return query & 255;
	case 13:
	case 15:
	case 17:
	case 128:
	case 139:
		return query + 256;
	}
	return query;
}

/* xt_conntrack.c: the kernel's status bits. */
static __always_inline __u32 ct_status(__u64 flow_status)
{
	return PG_CT_CONFIRMED | (flow_status & PG_FLOW_SEEN_REPLY ? PG_CT_SEEN_REPLY : 0) |
	       (flow_status & PG_FLOW_ASSURED ? PG_CT_ASSURED : 0);
}

/*
 * The connection's two ends as its opener sees them, and the direction. `by_opener`: the packet, or
 * the one that an ICMP error quotes, was sent by the opener; an error goes against what it quotes.
 */
static __always_inline void view_ends(struct pkt *p, bool by_opener)
{
	const struct flow_pkt *f = &p->flow;
	struct ct_view *ct = &p->ct;
	__u32 src = by_opener ? 0 : 1;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		ct->addr[PG_CT_ORIGSRC][i] = ct->addr[PG_CT_REPLDST][i] = f->addr[src][i];
		ct->addr[PG_CT_ORIGDST][i] = ct->addr[PG_CT_REPLSRC][i] = f->addr[src ^ 1][i];
	}
	if (f->is_query)
		src = 0;
	ct->field[PG_CT_PORT + PG_CT_ORIGSRC] = ct->field[PG_CT_PORT + PG_CT_REPLDST] = f->port[src];
	ct->field[PG_CT_PORT + PG_CT_ORIGDST] = ct->field[PG_CT_PORT + PG_CT_REPLSRC] =
		f->port[src ^ 1];
	if (f->is_query) { /* its identifier, and type and code */
		ct->field[PG_CT_PORT + PG_CT_REPLSRC] = f->port[0];
		ct->field[PG_CT_PORT + PG_CT_REPLDST] = icmp_answer(f->port[1]);
	}
	ct->field[PG_CT_PROTO] = f->proto;
	ct->field[PG_CT_DIR] = by_opener == (f->kind == FLOW_QUOTED);
	ct->known = 1;
}

/*
 * Of the flow in p->flow's place, as it is behind this packet. Global functions, for the sake of the
 * stack of those that call them.
 */
__noinline int flow_view(struct pkt *p, __u64 status)
{
	const struct pg_flow_ctl *ctl = flow_ctl();
	struct pg_flow_bucket *b;
	struct pg_flow *flow;
	struct flow_pkt *f;
	__u32 opener = !!(status & PG_FLOW_OPENER), way;
	__s32 left;

	if (!p || !ctl)
		return 0;
	f = &p->flow;
	way = f->way & 7;
	b = bucket_at(f->bucket);
	flow = flow_at(f->bucket, way);
	if (!b || !flow)
		return 0;
	view_ends(p, f->from == opener);
	left = ticks_left(flow, b->tag[way].tag, b->tag[way].last, f->tick, ctl);
	p->ct.field[PG_CT_STATUS] = ct_status(status);
	p->ct.field[PG_CT_EXPIRES] =
		left > 0 ? ((__u64)left << PG_FLOW_TICK_SHIFT) / 1000000000 : 0;
	p->ct.sent[0] = flow->sent[opener];
	p->ct.sent[1] = flow->sent[opener ^ 1];
	return 0;
}

static __always_inline void view_flow(struct pkt *p, __u64 status)
{
	if (p->needs & PG_NEED_FLOW)
		flow_view(p, status);
}

/* Of one that begins with this packet: the kernel has no time for it yet. */
__noinline int flow_view_new(struct pkt *p)
{
	if (!p)
		return 0;
	view_ends(p, true);
	p->ct.field[PG_CT_STATUS] = p->ct.field[PG_CT_EXPIRES] = 0;
	p->ct.sent[0].packets = p->packets;
	p->ct.sent[0].bytes = p->bytes;
	p->ct.sent[1].packets = p->ct.sent[1].bytes = 0;
	return 0;
}

static __always_inline void view_new(struct pkt *p)
{
	if (p->needs & PG_NEED_FLOW)
		flow_view_new(p);
}

/* conntrack ------------------------------------------------------------------------------------ */

/* Where there is no connection, --ctstate alone decides (xt_conntrack.c conntrack_mt()). */
static __always_inline enum check_result without_ct(const struct pg_check *c)
{
	return holds(c->with_state);
}

static __always_inline enum check_result check_ct_addr(const struct pg_check *c,
						       const struct pkt *p)
{
	const __be32 *addr = p->ct.addr[c->v[0] & 3];
	__u32 differ = 0;

	if (!p->ct_state)
		return CHECK_WAITS;
	if (!p->ct.known)
		return without_ct(c);
#pragma unroll
	for (int i = 0; i < 4; i++)
		differ |= (addr[i] ^ c->addr[2 + i]) & c->addr[6 + i];
	return holds((differ == 0) != c->invert);
}

static __always_inline enum check_result check_ct_field(const struct pg_check *c,
							const struct pkt *p)
{
	__u32 v = p->ct.field[c->v[0] & 7];

	if (!p->ct_state)
		return CHECK_WAITS;
	if (!p->ct.known)
		return without_ct(c);
	if (c->v[0] == PG_CT_STATUS)
		return holds(!!(v & c->v[1]) != c->invert);
	return holds((v >= c->v[1] && v <= c->v[2]) != c->invert);
}

/* xt_connbytes.c connbytes_mt() */
static __always_inline enum check_result check_connbytes(const struct pg_check *c,
							 const struct pkt *p)
{
	const struct pg_count *sent = p->ct.sent;
	__u64 packets, bytes, what;

	if (!p->ct_state)
		return CHECK_WAITS;
	if (!p->ct.known)
		return CHECK_FAILS;
	packets = sent[0].packets + sent[1].packets;
	bytes = sent[0].bytes + sent[1].bytes;
	if (c->v[5] != PG_CONNBYTES_BOTH) {
		packets = sent[c->v[5] & 1].packets;
		bytes = sent[c->v[5] & 1].bytes;
	}
	what = c->v[4] == PG_CONNBYTES_PACKETS ? packets : bytes;
	if (c->v[4] == PG_CONNBYTES_AVERAGE)
		what = packets ? bytes / packets : 0;
	return holds((what >= c->u64[0] && what <= c->u64[1]) != c->invert);
}

/* connlimit ------------------------------------------------------------------------------------ */

/*
 * nf_conncount.c: a list for each rule and prefix of the flows that came by it; each time it is asked,
 * those that are no more go, and the packet's own comes if the packet is its first (as Linux 6.18 does;
 * of an empty list that kernel drops, here it is 0). Here it is one element of the map for each place in
 * the list, and one (PG_CONNLIMIT_HEAD) that says how many there are. One element a step, because a list
 * may be long; a CPU that is at it has the head locked, others ask again.
 */
#define CONNLIMIT_SWEEP_SHIFT 22 /* 4 ms; the kernel looks once a jiffy for who is gone */
#define CONNLIMIT_STALE_NS 10000000ULL /* nobody takes that long: a program was cut off */
/* For that long another CPU may be about to make the flow's entry. */
#define CONNLIMIT_PENDING_NS 2000000ULL

static __always_inline struct pg_connlimit *connlimit_at(struct pkt *p, __u32 place)
{
	p->connlimit.place = place;
	barrier();
	return bpf_map_lookup_elem(&pg_connlimits, &p->connlimit);
}

static __always_inline void connlimit_key(const struct pg_check *c, struct pkt *p,
					  const struct pg_state *s)
{
	struct pg_connlimit_key *key = &p->connlimit;

	key->since = s->value;
	key->state = c->state;
	key->family = p->family;
	key->unused = 0;
	copy_addr(key->addr, p, c->v[1]);
	mask_addr(key->addr, c->v[2]);
}

/*
 * The list is this CPU's, and walk one more than the place of the element to look at. CHECK_AGAIN: it is
 * another's.
 */
static __always_inline enum check_result connlimit_lock(const struct pg_check *c, struct pkt *p)
{
	struct pg_state *s = state_of(c);
	struct pg_connlimit *head;
	__u64 now, was;
	__u32 swept;

	if (!s)
		return CHECK_DROPS;
	connlimit_key(c, p, s);
	head = connlimit_at(p, PG_CONNLIMIT_HEAD);
	if (!head) {
		__builtin_memset(&p->connlimit_new, 0, sizeof(p->connlimit_new));
		bpf_map_update_elem(&pg_connlimits, &p->connlimit, &p->connlimit_new,
				    1 /* BPF_NOEXIST */);
		head = connlimit_at(p, PG_CONNLIMIT_HEAD);
	}
	if (!head)
		return CHECK_DROPS; /* as the kernel without memory */
	now = bpf_ktime_get_ns();
	was = *(volatile __u64 *)&head->time_ns;
	if ((was && now - was < CONNLIMIT_STALE_NS) ||
	    __sync_val_compare_and_swap(&head->time_ns, was, now) != was)
		return CHECK_AGAIN;
	swept = (__u32)(now >> CONNLIMIT_SWEEP_SHIFT);
	p->progress.walk = head->swept == swept ? head->count + 1 : 1;
	head->swept = swept;
	return CHECK_HOLDS;
}

/* Its flow counts no more: there is none, it has expired, or its TCP connection is closed. */
static __always_inline bool is_gone(const struct pg_connlimit *e)
{
	int tcp = flow_peek(&e->flow);

	if (tcp < 0)
		return e->cpu == bpf_get_smp_processor_id() ||
		       bpf_ktime_get_ns() - e->time_ns > CONNLIMIT_PENDING_NS;
	return e->flow.proto == IPPROTO_TCP && (tcp == PG_TCP_TIME_WAIT || tcp == PG_TCP_CLOSE);
}

static __always_inline bool is_own(const struct pg_connlimit *e, const struct pkt *p)
{
	const __u32 *a = (const void *)&e->flow, *b = (const void *)&p->flow.key;
	__u32 differ = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(e->flow) / 4; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/* Out with the element at hand: the last one takes its place. */
static __always_inline void connlimit_remove(struct pkt *p, struct pg_connlimit *head, __u32 place)
{
	const struct pg_connlimit *last;

	head->count--;
	last = connlimit_at(p, head->count);
	if (last && head->count != place) {
		p->connlimit_new = *last;
		p->connlimit.place = place;
		barrier();
		bpf_map_update_elem(&pg_connlimits, &p->connlimit, &p->connlimit_new, 0);
		p->connlimit.place = head->count;
		barrier();
	}
	bpf_map_delete_elem(&pg_connlimits, &p->connlimit);
}

/* There was a packet of it before. */
static __always_inline bool is_confirmed(const struct pkt *p)
{
	return p->ct.known && p->ct.field[PG_CT_STATUS] & PG_CT_CONFIRMED;
}

/* All of them seen: how many, with the packet's own? */
static __always_inline __u32 connlimit_end(struct pkt *p, struct pg_connlimit *head)
{
	struct pg_connlimit *own = &p->connlimit_new;
	__u32 count = head->count;

	if (p->connlimit_found || is_confirmed(p))
		return count;
	if (!p->ct.keyed) /* of what was never a connection the kernel thinks for a moment only */
		return count + 1;
	own->flow = p->flow.key;
	own->time_ns = bpf_ktime_get_ns();
	own->cpu = bpf_get_smp_processor_id();
	own->count = 0;
	p->connlimit.place = count;
	barrier();
	if (!bpf_map_update_elem(&pg_connlimits, &p->connlimit, own, 0))
		head->count = count + 1;
	return count + 1;
}

static __always_inline enum check_result check_connlimit(const struct pg_check *c, struct pkt *p)
{
	struct progress *at = &p->progress;
	struct pg_connlimit *head, *e;
	enum check_result r;
	__u32 place, count;

	if (!p->ct_state)
		return CHECK_WAITS;
	if (!at->walk) {
		if (p->l4_state == PG_L4_CUT)
			return CHECK_DROPS;
		r = connlimit_lock(c, p);
		if (r != CHECK_HOLDS)
			return r;
		p->connlimit_found = 0;
		return CHECK_AGAIN;
	}
	place = at->walk - 1;
	head = connlimit_at(p, PG_CONNLIMIT_HEAD);
	if (!head)
		return CHECK_DROPS; /* the least recently used: the map is far too small */
	if (place >= head->count) {
		count = connlimit_end(p, head);
		*(volatile __u64 *)&head->time_ns = 0;
		return holds((count > c->v[0]) != c->invert);
	}
	e = connlimit_at(p, place);
	if (e && p->ct.keyed && !is_confirmed(p) && is_own(e, p)) {
		p->connlimit_found = 1;
		at->walk++;
	} else if (!e || is_gone(e)) {
		connlimit_remove(p, head, place);
	} else {
		at->walk++;
	}
	return CHECK_AGAIN;
}
