/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection tracking: what state a packet's flow is in, as nf_conntrack tells it to rules.
 *
 *	flow_state()	which one of the PG_CT_* bits; makes no entry
 *	flow_commit()	behind the verdict: the entry of a new flow, if its packet was accepted
 *
 * A flow that is known goes on with each of its packets, also with those that the policy drops: the
 * kernel too has done its tracking when it asks the rules. Two CPUs may work on one flow at once:
 * status changes by compare-and-swap, counters by atomic adds, and of times the last one wins.
 *
 * Not as the kernel: transport checksums are not looked at; a fragment that is not the first is INVALID,
 * because it is not put together here; GRE has no calls; there are no helpers, so nothing but ICMP errors
 * is RELATED. A packet on lo is two packets: a FIN closes its flow twice as far, and the RST that ends an
 * unanswered flow is INVALID at the second.
 *
 * A packet that is forwarded is its flow's where it arrives, and passes when it leaves. Only if its
 * flow is not known there (its addresses have been translated on the way) does it open one, which is then
 * told of what passes from that side; the answers are what arrives. They in turn are told to the flow on
 * the other side when they pass: see is_told_of_passing().
 */
#pragma once

#include "flow_table.bpf.h"

#include "flow_tcp.bpf.h"

struct icmp_query_header {
	__u8 type, code;
	__sum16 check;
	__be16 id, seq;
};

/* Keys ----------------------------------------------------------------------------------------- */

/* Does the sender come behind the receiver in a key's order? */
static __always_inline bool comes_behind(const struct flow_pkt *f)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		if (f->addr[0][i] != f->addr[1][i])
			return f->addr[0][i] > f->addr[1][i];
	return f->port[0] > f->port[1];
}

/* By index instead of by question, which would be one for each word to the verifier. */
static __always_inline void make_key(struct flow_pkt *f, const struct pkt *p)
{
	struct pg_flow_key *key = &f->key;
	__u32 first, port;

	if (!f->is_query)
		f->from = comes_behind(f);
	barrier();
	first = f->from & 1;
	port = first & ~f->is_query & 1;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		key->addr[0][i] = f->addr[first][i];
		key->addr[1][i] = f->addr[first ^ 1][i];
	}
	key->port[0] = f->port[port];
	key->port[1] = f->port[port ^ 1];
	key->space = cfg.space | (p->family == PG_FAMILY_V6 ? PG_FLOW_V6 : 0);
	key->proto = f->proto;
	key->vlan = p->vlans ? PG_FLOW_TAGGED | p->vlan_id[0] : 0;
}

static __always_inline void set_ends(struct flow_pkt *f, __u8 family, const __be32 *saddr,
				     const __be32 *daddr)
{
	f->addr[0][0] = saddr[0];
	f->addr[1][0] = daddr[0];
#pragma unroll
	for (int i = 1; i < 4; i++) {
		f->addr[0][i] = family == PG_FAMILY_V6 ? saddr[i] : 0;
		f->addr[1][i] = family == PG_FAMILY_V6 ? daddr[i] : 0;
	}
}

static __always_inline void set_ports(struct flow_pkt *f, __u8 proto, __u16 sport, __u16 dport)
{
	f->proto = proto;
	f->is_query = 0;
	f->port[0] = sport;
	f->port[1] = dport;
}

static __always_inline bool has_tracked_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP;
}

/* The request that an ICMP message answers or is; -1: it is neither. */
static __always_inline int icmp_request(__u8 family, __u8 type)
{
	if (family == PG_FAMILY_V6)
		return type == 128 || type == 129 ? 128 : type == 139 || type == 140 ? 139 : -1;
	switch (type) {
	case 8: /* echo */
	case 0:
		return 8;
	case 13: /* timestamp, information, address mask */
	case 15:
	case 17:
		return type;
	case 14:
	case 16:
	case 18:
		return type - 1;
	}
	return -1;
}

/* False: no query, and none of its answers. */
static __always_inline bool set_query(struct flow_pkt *f, __u8 family, __u8 proto,
				      const struct icmp_query_header *h)
{
	int request = icmp_request(family, h->type);

	if (request < 0 || proto != (family == PG_FAMILY_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return false;
	set_ports(f, proto, bpf_ntohs(h->id), request << 8 | h->code);
	f->is_query = 1;
	f->from = h->type != request; /* the end that asks is the first */
	return true;
}

/* ICMP ----------------------------------------------------------------------------------------- */

/* Where a packet's bytes are to be had from. */
struct source {
	void *ctx;
	bool xdp; /* a constant in every copy of the code */
	struct pkt *p;
};

/* Bytes of the IP packet; they may lie in page fragments. */
static __always_inline bool load_from(const struct source *s, __u32 at, void *to, __u32 size)
{
	if (at + size > s->p->l3 + s->p->ip_len)
		return false;
	return load(s->ctx, s->xdp, at, to, size);
}

/* The transport header of a quoted packet. Protocols without ports have 0 for both. */
static __always_inline bool read_quoted_l4(const struct source *s, __u32 at, __u8 proto)
{
	struct port_header ports = { 0 };
	struct icmp_query_header icmp;

	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		return load_from(s, at, &icmp, sizeof(icmp)) &&
		       set_query(&s->p->flow, s->p->family, proto, &icmp);
	if (has_tracked_ports(proto) && !load_from(s, at, &ports, sizeof(ports)))
		return false;
	set_ports(&s->p->flow, proto, bpf_ntohs(ports.source), bpf_ntohs(ports.dest));
	return true;
}

/* The error must have gone to whom it quotes as the sender (nf_conntrack_inet_error()). */
static __always_inline bool read_quoted_ip4(const struct source *s, __u32 at)
{
	struct ip4_header h;

	if (!load_from(s, at, &h, sizeof(h)) || h.frag_off & bpf_htons(IP_OFFSET) ||
	    h.saddr != s->p->daddr[0])
		return false;
	set_ends(&s->p->flow, PG_FAMILY_V4, &h.saddr, &h.daddr);
	return read_quoted_l4(s, at + (h.version_ihl & 15) * 4, h.protocol);
}

/* Extension headers of a quoted packet that are followed. */
#define QUOTED_EXT_HEADERS 4

static __always_inline bool read_quoted_ip6(const struct source *s, __u32 at)
{
	const __be32 *to = s->p->daddr;
	struct ip6_header h;
	__u8 nexthdr;

	if (!load_from(s, at, &h, sizeof(h)) || h.saddr[0] != to[0] || h.saddr[1] != to[1] ||
	    h.saddr[2] != to[2] || h.saddr[3] != to[3])
		return false;
	set_ends(&s->p->flow, PG_FAMILY_V6, h.saddr, h.daddr);
	at += sizeof(h);
	nexthdr = h.nexthdr;
	for (int i = 0; i < QUOTED_EXT_HEADERS && ext_kinds[nexthdr].need; i++) {
		const struct ext_kind *kind = &ext_kinds[nexthdr];
		struct {
			__u8 nexthdr, len;
			__be16 frag;
		} ext;

		if (!load_from(s, at, &ext, sizeof(ext)) ||
		    (nexthdr == IPPROTO_FRAGMENT && ext.frag & bpf_htons(IP6_OFFSET)))
			return false;
		at += ((ext.len & kind->len_mask) + kind->add) << (kind->shift & 3);
		nexthdr = ext.nexthdr;
	}
	if (ext_kinds[nexthdr].need || nexthdr == IPPROTO_NONE)
		return false;
	return read_quoted_l4(s, at, nexthdr);
}

/*
 * A redirect of neighbour discovery is about a flow if the first of its options is the redirected
 * packet, and if it came from a router on the link (nf_conntrack_icmpv6_redirect()).
 */
static __always_inline bool read_redirect(const struct source *s)
{
	const struct pkt *p = s->p;
	struct ext_header option; /* type, length */
	__u32 at = p->l4 + 40;
	__u8 hop_limit;

	if (p->dport || (p->saddr[0] & bpf_htonl(0xffc00000)) != bpf_htonl(0xfe800000) ||
	    !load_from(s, p->l3 + 7, &hop_limit, 1) || hop_limit != 255 ||
	    !load_from(s, at, &option, sizeof(option)) || option.nexthdr != 4 || !option.len)
		return false;
	return read_quoted_ip6(s, at + 8);
}

static __always_inline bool read_query(const struct source *s)
{
	struct pkt *p = s->p;
	struct icmp_query_header h;

	set_ends(&p->flow, p->family, p->saddr, p->daddr);
	return load_from(s, p->l4, &h, sizeof(h)) && set_query(&p->flow, p->family, p->proto, &h);
}

static __always_inline enum flow_kind read_icmp4(const struct source *s)
{
	switch (s->p->sport) {
	case 3: /* unreachable, source quench, redirect, time exceeded, parameter problem */
	case 4:
	case 5:
	case 11:
	case 12:
		return read_quoted_ip4(s, s->p->l4 + 8) ? FLOW_QUOTED : FLOW_INVALID;
	}
	return read_query(s) ? FLOW_TRACKED : FLOW_INVALID;
}

static __always_inline enum flow_kind read_icmp6(const struct source *s)
{
	__u16 type = s->p->sport;

	if ((type >= 130 && type <= 136) || type == 143)
		return FLOW_UNTRACKED; /* multicast listeners, routers, neighbours */
	if (type == 137)
		return read_redirect(s) ? FLOW_QUOTED : FLOW_INVALID;
	if (type < 128)
		return read_quoted_ip6(s, s->p->l4 + 8) ? FLOW_QUOTED : FLOW_INVALID;
	return read_query(s) ? FLOW_TRACKED : FLOW_INVALID;
}

/* ICMP of the other family, too, is not to be sent, and not to be tracked. */
static __always_inline int read_icmp(const struct source *s)
{
	if (s->p->proto == IPPROTO_ICMP)
		return s->p->family == PG_FAMILY_V4 ? read_icmp4(s) : FLOW_INVALID;
	return s->p->family == PG_FAMILY_V6 ? read_icmp6(s) : FLOW_INVALID;
}

/*
 * Functions of their own, and global ones: the verifier looks at them once, whatever is known of
 * the packet where they are called.
 */
__noinline int flow_icmp_xdp(struct xdp_md *ctx, struct pkt *p)
{
	const struct source s = { ctx, true, p };

	return p ? read_icmp(&s) : FLOW_INVALID;
}

__noinline int flow_icmp_tc(struct __sk_buff *ctx, struct pkt *p)
{
	const struct source s = { ctx, false, p };

	return p ? read_icmp(&s) : FLOW_INVALID;
}

/* Other protocols ------------------------------------------------------------------------------ */

/* False: INVALID. Of DCCP no header is needed, because its ports don't count. */
static __always_inline bool l4_is_sound(const struct pkt *p)
{
	if (p->l4_state == PG_L4_FULL)
		return !p->l4_bad;
	return p->proto == IPPROTO_DCCP && p->l4;
}

/*
 * DHCP. A client that has no address yet asks everybody, and is answered by one: no two packets have
 * the same ends. Under the kernel's conntrack its packet socket hears the answer before any rule is
 * asked; XDP comes before packet sockets. So its question opens a flow from nobody to everybody, and
 * while that lives, answers from servers are its.
 */
#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define DHCP_EVERYBODY 0xffffffffU

/* A global function, for the sake of the stack. */
__noinline int dhcp_has_asked(void)
{
	struct pg_flow_key key = {
		.addr = { { 0 }, { DHCP_EVERYBODY } },
		.port = { DHCP_CLIENT, DHCP_SERVER },
		.space = cfg.space,
		.proto = IPPROTO_UDP,
	};

	return flow_peek(&key) >= 0;
}

static __always_inline void set_dhcp_ends(struct pkt *p)
{
	if (p->proto != IPPROTO_UDP || p->family != PG_FAMILY_V4)
		return;
	if (p->hook == PG_STAGE_OUTPUT && p->sport == DHCP_CLIENT && p->dport == DHCP_SERVER &&
	    p->daddr[0] == DHCP_EVERYBODY)
		p->flow.addr[0][0] = 0;
	if (p->hook == PG_STAGE_FILTER && !p->passing && p->sport == DHCP_SERVER && p->dport == DHCP_CLIENT &&
	    dhcp_has_asked()) {
		p->flow.addr[0][0] = DHCP_EVERYBODY;
		p->flow.addr[1][0] = 0;
	}
}

static __always_inline enum flow_kind read_flow(const struct source *s)
{
	struct pkt *p = s->p;

	if (p->untracked)
		return FLOW_UNTRACKED;
	if (!l4_is_sound(p))
		return FLOW_INVALID;
	p->flow.event = segment_of(p->tcp_flags);
	p->flow.flags = p->tcp_flags;
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		return s->xdp ? flow_icmp_xdp(s->ctx, p) : flow_icmp_tc(s->ctx, p);
	if (p->proto == IPPROTO_TCP && p->flow.event == PG_SEG_NONE)
		return FLOW_INVALID;
	set_ends(&p->flow, p->family, p->saddr, p->daddr);
	set_ports(&p->flow, p->proto, 0, 0);
	if (has_tracked_ports(p->proto))
		set_ports(&p->flow, p->proto, p->sport, p->dport);
	set_dhcp_ends(p);
	return FLOW_TRACKED;
}

/* TCP's options -------------------------------------------------------------------------------- */

/*
 * The window scale that a SYN offers, into p->flow.scale. A scale above 14 is 14 (RFC 7323).
 */
static __always_inline void read_scale(const struct source *s)
{
	struct pkt *p = s->p;
	__u8 *opts = p->out;
	__u32 len;

	p->flow.scale = 0;
	if (!load_from(s, p->l4 + 12, opts, 1))
		return;
	barrier();
	len = (opts[0] >> 4) * 4 - 20;
	if (p->l4 + 20 + len > p->l3 + p->ip_len ||
	    !load_some(s->ctx, s->xdp, p->l4 + 20, opts, len, 40))
		return;
	p->flow.scale = len ? PG_LAST_OPTIONS : 0;
	p->ext_off = 0; /* in memory, so that the verifier takes it for any number */
	NO_UNROLL for (int n = 0; n < 40; n++) {
		__u32 i;

		barrier();
		i = p->ext_off & 63;
		if (i >= len || !opts[i])
			break;
		if (opts[i] == 3 && len - i >= 3 && opts[i + 1] == 3) {
			p->flow.scale |= PG_LAST_HAS_SCALE | (opts[i + 2] > 14 ? 14 : opts[i + 2]);
			break;
		}
		if (opts[i] != 1 && opts[i + 1] < 2)
			break;
		p->ext_off = i + (opts[i] == 1 ? 1 : opts[i + 1]);
	}
}

__noinline int flow_scale_xdp(struct xdp_md *ctx, struct pkt *p)
{
	const struct source s = { ctx, true, p };

	if (p)
		read_scale(&s);
	return 0;
}

__noinline int flow_scale_tc(struct __sk_buff *ctx, struct pkt *p)
{
	const struct source s = { ctx, false, p };

	if (p)
		read_scale(&s);
	return 0;
}

#include "flow_sctp.bpf.h"

/* Going on ------------------------------------------------------------------------------------- */

/* A datagram of other protocols than TCP. */
static __always_inline enum flow_effect datagram_step(struct flow_pkt *f, const struct pg_flow *flow)
{
	const __u32 two_seconds = 2000000000ULL >> PG_FLOW_TICK_SHIFT;

	f->status = f->old;
	f->moves = f->trouble = 0;
	/* The kernel has no such wait for UDP-Lite. */
	if (f->old & PG_FLOW_SEEN_REPLY && has_tracked_ports(f->proto) &&
	    (f->tick - flow->first > two_seconds || f->proto == IPPROTO_UDPLITE))
		f->status |= PG_FLOW_ASSURED;
	return FLOW_GOES_ON;
}

static __always_inline __u8 timeout_of(const struct flow_pkt *f)
{
	switch (f->proto) {
	case IPPROTO_TCP:
		return tcp_timeout(f);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return f->status & PG_FLOW_ASSURED ? PG_TIMEOUT_UDP_STREAM : PG_TIMEOUT_UDP;
	case IPPROTO_SCTP:
		return sctp_timeout(f);
	case IPPROTO_GRE:
		return f->status & PG_FLOW_SEEN_REPLY ? PG_TIMEOUT_GRE_STREAM : PG_TIMEOUT_GRE;
	case IPPROTO_ICMP:
		return PG_TIMEOUT_ICMP;
	case IPPROTO_ICMPV6:
		return PG_TIMEOUT_ICMPV6;
	}
	return PG_TIMEOUT_GENERIC;
}

/* Times at which two CPUs change one status at once: more is not expected in a packet's time. */
#define FLOW_TRIES 4

/* f->effect, and from f->old to f->status. False: another flow has taken the place. */
static __always_inline bool step_flow(struct pg_flow_bucket *b, __u32 way, struct pg_flow *flow,
				      struct pkt *p, const struct pg_flow_ctl *ctl)
{
	struct flow_pkt *f = &p->flow;
	bool reply;

	NO_UNROLL for (int i = 0; i < FLOW_TRIES; i++) {
		f->old = *(volatile __u64 *)&flow->status;
		if (!same_tag(*(volatile __u32 *)&b->tag[way].tag, f->tag))
			return false;
		barrier();
		reply = f->from != !!(f->old & PG_FLOW_OPENER);
		if (f->proto == IPPROTO_TCP)
			f->effect = tcp_step(p, flow, reply, ctl->options & PG_FLOW_OPT_LIBERAL);
		else if (f->proto == IPPROTO_SCTP)
			f->effect = sctp_step(p, flow, reply);
		else
			f->effect = datagram_step(f, flow);
		barrier();
		if (f->effect == FLOW_REFUSES || f->effect == FLOW_REOPENS)
			return true;
		if (f->effect != FLOW_SPOILS) {
			if (reply)
				f->status |= PG_FLOW_SEEN_REPLY |
					     (p->departs ? 0 : PG_FLOW_ANSWERS_ARRIVE);
			f->status |= (__u64)f->flags << (PG_FLOW_FLAGS_SHIFT + 8 * (f->from & 1));
		}
		if (f->status == f->old ||
		    __sync_val_compare_and_swap(&flow->status, f->old, f->status) == f->old)
			return true;
	}
	f->moves = 0; /* others went ahead each time: the packet counts, its step was not taken */
	return true;
}

/*
 * Only what the packet has changed: another CPU may be at one of the other end, and the end that goes
 * back to what it was makes the acknowledgement of what was sent meanwhile INVALID.
 */
static __always_inline void set_window(struct pg_flow_window *w, const struct pg_flow_window *was,
				       const struct pg_flow_window *now)
{
	if (now->end != was->end) {
		__u32 end = __sync_val_compare_and_swap(&w->end, was->end, now->end);

		if (end != was->end && after(now->end, end))
			__sync_val_compare_and_swap(&w->end, end, now->end);
	}
	if (now->max_end != was->max_end)
		w->max_end = now->max_end;
	if (now->max_win != was->max_win)
		w->max_win = now->max_win;
	if (now->max_ack != was->max_ack)
		w->max_ack = now->max_ack;
}

/* Each of the three stops before it would run into the next. */
static __always_inline void add_trouble(__u64 *to, __u64 trouble)
{
	__u64 was = *(volatile __u64 *)to;

	if ((was >> PG_TROUBLE_RETRANSMITS & 0xffffff) > 0xff0000)
		trouble &= ~(0xffffffULL << PG_TROUBLE_RETRANSMITS);
	if ((was >> PG_TROUBLE_OUT_OF_ORDER & 0xffffff) > 0xff0000)
		trouble &= ~(0xffffffULL << PG_TROUBLE_OUT_OF_ORDER);
	if (was >> PG_TROUBLE_ZERO_WINDOWS > 0xff00)
		trouble &= ~(0xffffULL << PG_TROUBLE_ZERO_WINDOWS);
	__sync_fetch_and_add(to, trouble);
}

/* A flow that the command has ended keeps its place, so that it is not picked up again. */
static __always_inline bool is_killed(__u32 tag)
{
	return (tag & PG_TAG_TIMEOUT) == PG_TIMEOUT_KILLED;
}

/*
 * What still comes of it is dropped: of TCP until an end begins anew, or both have fallen silent; of
 * others, which begin nothing, for some time. 0: the packet begins the next, if it is accepted.
 */
static __always_inline __u8 refuse_killed(struct pg_flow_bucket *b, __u32 way, struct flow_pkt *f)
{
	if (f->proto == IPPROTO_TCP ? f->event == PG_SEG_SYN :
	    f->proto == IPPROTO_SCTP && f->chunks & CHUNK(INIT)) {
		f->succeeds = 1;
		return 0;
	}
	if (f->proto == IPPROTO_TCP)
		b->tag[way].last = f->tick;
	f->killed = 1;
	f->effect = FLOW_REFUSES;
	return PG_CT_INVALID;
}

/* When it was seen, and which timeout holds. */
static __always_inline void touch(struct pg_flow_tag *t, const struct flow_pkt *f)
{
	__u32 tag = *(volatile __u32 *)&t->tag;

	if (t->last != f->tick)
		t->last = f->tick;
	if ((tag & PG_TAG_TIMEOUT) != f->timeout && same_tag(tag, f->tag) && !is_busy(tag) &&
	    !is_killed(tag))
		__sync_val_compare_and_swap(&t->tag, tag,
					    (tag & ~PG_TAG_TIMEOUT) | (f->timeout & PG_TAG_TIMEOUT));
}

/* As nf_tcp_handle_invalid(): it is not remembered for longer than what is not acknowledged. */
static __always_inline void shorten(struct pg_flow_tag *t, const struct pg_flow *flow, struct flow_pkt *f,
				    const struct pg_flow_ctl *ctl)
{
	__s32 left = ticks_left(flow, *(volatile __u32 *)&t->tag, t->last, f->tick, ctl);

	f->timeout = PG_TIMEOUT_TCP_UNACKNOWLEDGED;
	if (left >= (__s32)(120 * PG_FLOW_SECOND) && left > (__s32)ctl->timeout[f->timeout])
		touch(t, f);
}

/* Whatever the packet does to its flow's state, it is the flow's. */
static __always_inline void account(struct pg_flow *flow, const struct pkt *p)
{
	const struct flow_pkt *f = &p->flow;
	struct pg_flow_trouble *trouble;
	__u32 from = f->from & 1;

	__sync_fetch_and_add(&flow->sent[from].packets, p->packets);
	__sync_fetch_and_add(&flow->sent[from].bytes, p->bytes);
	trouble = f->trouble ? trouble_at(f->bucket, f->way) : NULL;
	if (trouble)
		add_trouble(&trouble->end[from], f->trouble);
	if (f->moves)
		count_moves(opened_port(&f->key, f->old), f->moves);
}

/* The place is free, unless it is another flow's by now. */
static __always_inline void leave_place(struct pg_flow_bucket *b, __u32 way, const struct pg_flow *flow,
					const struct flow_pkt *f)
{
	__u32 tag = *(volatile __u32 *)&b->tag[way].tag;

	if (same_tag(tag, f->tag) && !is_busy(tag))
		free_place(b, way, tag, flow);
}

/* A packet of the flow that was found. 0: it is no more, and the packet begins the next. */
__noinline int flow_advance(struct pkt *p)
{
	const struct pg_flow_ctl *ctl = flow_ctl();
	struct pg_flow_stats *stats;
	struct pg_flow_bucket *b;
	struct pg_flow *flow;
	struct flow_pkt *f;
	__u32 way, tag;

	if (!p || !ctl)
		return 0;
	f = &p->flow;
	b = bucket_at(f->bucket);
	way = f->way & 7;
	flow = flow_at(f->bucket, way);
	f->out_of_window = 0;
	if (!b || !flow)
		return 0;
	tag = *(volatile __u32 *)&b->tag[way].tag;
	if (is_killed(tag) && same_tag(tag, f->tag))
		return refuse_killed(b, way, f);
	if (!step_flow(b, way, flow, p, ctl))
		return 0;
	barrier();
	if (f->effect == FLOW_GOES_ON || f->out_of_window || f->proto == IPPROTO_SCTP) {
		if (f->proto == IPPROTO_TCP || f->proto == IPPROTO_SCTP) {
			set_window(&flow->win[f->from & 1], &f->snd_was, &f->snd);
			set_window(&flow->win[(f->from ^ 1) & 1], &f->rcv_was, &f->rcv);
		}
	}
	barrier();
	if (f->effect == FLOW_REFUSES || f->effect == FLOW_SPOILS) {
		/* Asked for here, not above: 6.1 has no stack for one more value. */
		stats = flow_stats();
		if (stats)
			stats->out_of_window += f->out_of_window == OUT_OF_WINDOW;
		if (f->effect == FLOW_SPOILS && f->proto == IPPROTO_TCP && f->shortens)
			shorten(&b->tag[way], flow, f, ctl);
		return PG_CT_INVALID;
	}
	if (f->effect != FLOW_REOPENS) {
		account(flow, p);
		tag = *(volatile __u32 *)&b->tag[way].tag;
		if (is_half_open(f) && is_given_up(tag, f))
			flow_follow(p);
	}
	if (f->effect == FLOW_REOPENS) {
		leave_place(b, way, flow, f);
		return 0;
	}
	if (f->effect == FLOW_GOES_ON) {
		f->timeout = timeout_of(f);
		touch(&b->tag[way], f);
		if (f->proto == IPPROTO_TCP)
			take_time(flow, f);
	}
	if (f->effect == FLOW_ENDS) {
		view_flow(p, f->status); /* while it is there */
		leave_place(b, way, flow, f);
	}
	return f->old & PG_FLOW_SEEN_REPLY || f->from != !!(f->old & PG_FLOW_OPENER) ?
		       PG_CT_ESTABLISHED :
		       PG_CT_NEW;
}

/* What its flow has become, if it goes on. */
static __always_inline void follow_up(struct pkt *p)
{
	struct flow_pkt *f = &p->flow;

	if (f->effect != FLOW_GOES_ON && f->effect != FLOW_STAYS)
		return;
	view_flow(p, f->status);
	barrier();
	if (f->effect == FLOW_GOES_ON && f->status & PG_FLOW_ASSURED && is_half_open(f))
		flow_promote(p);
}

/*
 * Is a packet that passes news to its flow? Not if it was told where the packet arrived; but that was
 * another flow if the packet had other addresses there (NAT). So of answers, as long as none has arrived.
 * What raw keeps from its flow where it arrives, it keeps from it here.
 */
static __always_inline bool is_told_of_passing(const struct pkt *p, __u64 status)
{
	if (p->flow.from == !!(status & PG_FLOW_OPENER))
		return status & PG_FLOW_PASSING;
	return !(status & PG_FLOW_ANSWERS_ARRIVE || p->needs & PG_NEED_NOTRACK);
}

/*
 * The state of a packet that its flow is not told of: an ICMP error about it, or one that passes. 0:
 * it is told.
 */
static __always_inline __u8 passing_state(struct pkt *p)
{
	const struct pg_flow *flow = flow_at(p->flow.bucket, p->flow.way);
	__u64 status;

	if (!flow)
		return PG_CT_INVALID;
	status = flow->status;
	if (p->flow.kind != FLOW_QUOTED && is_told_of_passing(p, status))
		return 0;
	view_flow(p, status);
	if (p->flow.kind == FLOW_QUOTED)
		return PG_CT_RELATED;
	return status & PG_FLOW_SEEN_REPLY ? PG_CT_ESTABLISHED : PG_CT_NEW;
}

/* Can a packet begin a flow? An ACK can: it may be of a connection that is older than we are. */
static __always_inline bool can_open(struct pkt *p)
{
	const struct flow_pkt *f = &p->flow;
	const struct pg_flow_ctl *ctl;

	switch (f->proto) {
	case IPPROTO_TCP:
		ctl = flow_ctl();
		return f->event == PG_SEG_SYN ||
		       (f->event == PG_SEG_ACK && ctl && !(ctl->options & PG_FLOW_OPT_STRICT));
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return !f->from;
	case IPPROTO_SCTP:
		return flow_sctp_new(p);
	}
	return true;
}

static __always_inline __u8 track(const struct source *s)
{
	struct pkt *p = s->p;
	struct flow_pkt *f = &p->flow;
	__u8 state = 0;

	make_key(f, p);
	p->ct.keyed = 1;
	flow_find(p);
	barrier();
	if (f->found && (p->passing || f->kind == FLOW_QUOTED)) {
		state = passing_state(p);
		if (state)
			return state;
	}
	if (f->kind == FLOW_QUOTED)
		return PG_CT_INVALID;
	if (f->event == PG_SEG_SYN || f->event == PG_SEG_SYN_ACK) {
		if (s->xdp)
			flow_scale_xdp(s->ctx, p);
		else
			flow_scale_tc(s->ctx, p);
	}
	if (f->proto == IPPROTO_SCTP &&
	    !(s->xdp ? flow_chunks_xdp(s->ctx, p) : flow_chunks_tc(s->ctx, p)))
		return PG_CT_INVALID;
	if (f->found) {
		state = flow_advance(p);
		if (!state && flow_find(p)) /* it was promoted meanwhile */
			state = flow_advance(p);
		barrier();
		if (state)
			follow_up(p);
	}
	if (state)
		return state;
	/* Of what passes nobody knows here whether raw said NOTRACK where it arrived. */
	f->opens = can_open(p) && !(p->passing && p->needs & PG_NEED_NOTRACK);
	if (f->opens)
		view_new(p);
	return f->opens ? PG_CT_NEW : PG_CT_INVALID;
}

static __always_inline int find_state(const struct source *s)
{
	struct pkt *p = s->p;

	p->flow.opens = p->flow.killed = p->flow.succeeds = p->ct.known = p->ct.keyed = 0;
	p->flow.kind = read_flow(s);
	barrier(); /* it is read back, so that the ways to it become one */
	if (p->flow.kind == FLOW_UNTRACKED)
		p->ct_state = PG_CT_UNTRACKED;
	else if (p->flow.kind == FLOW_INVALID)
		p->ct_state = PG_CT_INVALID;
	else
		p->ct_state = track(s);
	return p->ct_state;
}

__noinline int flow_state_xdp(struct xdp_md *ctx, struct pkt *p)
{
	const struct source s = { ctx, true, p };

	return p ? find_state(&s) : PG_CT_INVALID;
}

__noinline int flow_state_tc(struct __sk_buff *ctx, struct pkt *p)
{
	const struct source s = { ctx, false, p };

	return p ? find_state(&s) : PG_CT_INVALID;
}

/* The status and the windows of a TCP connection that this segment begins, or is the first we see. */
static __always_inline void open_tcp(struct flow_pkt *f)
{
	const __u32 end_shift = PG_FLOW_END_SHIFT + 4 * (f->from & 1),
		    other_shift = PG_FLOW_END_SHIFT + 4 * ((f->from ^ 1) & 1);

	begin_window(&f->snd, f->end, f->window);
	__builtin_memset(&f->rcv, 0, sizeof(f->rcv));
	if (f->event == PG_SEG_SYN) {
		f->status |= PG_TCP_SYN_SENT | PG_FLOW_TIMING | (__u64)PG_END_SYN_SENT << end_shift |
			     (__u64)PG_END_LISTEN << other_shift;
		f->status = with_scale(f->status, f->from, f->scale);
		f->snd.max_ack = f->seq + 1; /* see acks_syn() */
		f->moves = a_move(PG_END_CLOSED, PG_END_SYN_SENT);
	} else {
		/* Its windows may be scaled: nobody knows. */
		f->status |= PG_TCP_ESTABLISHED | PG_FLOW_PICKED_UP | PG_FLOW_LIBERAL |
			     PG_FLOW_LIBERAL << 1 | (__u64)PG_END_ESTABLISHED << end_shift |
			     (__u64)PG_END_ESTABLISHED << other_shift;
		f->snd.max_end += f->snd.max_win;
	}
	f->status = with_last(f->status, f);
}

static __always_inline void leave_killed(const struct flow_pkt *f)
{
	struct pg_flow_bucket *b = bucket_at(f->bucket);
	const struct pg_flow *flow = flow_at(f->bucket, f->way & 7);

	if (b && flow && is_killed(*(volatile __u32 *)&b->tag[f->way & 7].tag))
		leave_place(b, f->way & 7, flow, f);
}

/* 0: there is no room, or another CPU was faster: p->flow.twin. */
__noinline int flow_open(struct pkt *p)
{
	struct pg_flow_stats *stats = flow_stats();
	struct flow_pkt *f;

	if (!p || !stats)
		return 0;
	f = &p->flow;
	if (f->succeeds)
		leave_killed(f);
	f->old = f->moves = 0;
	if (f->proto != IPPROTO_SCTP) /* see flow_sctp_new() */
		f->status = 0;
	if (f->from)
		f->status |= PG_FLOW_OPENER;
	if (f->proto == IPPROTO_TCP) {
		open_tcp(f);
		if (f->event == PG_SEG_ACK)
			flow_check_window(p, 0, 1);
		f->status |= (__u64)f->flags << (PG_FLOW_FLAGS_SHIFT + 8 * (f->from & 1));
	}
	if (p->passing)
		f->status |= PG_FLOW_PASSING;
	f->timeout = timeout_of(f);
	barrier();
	if (!flow_insert(p, f->proto == IPPROTO_TCP))
		return 0;
	if (f->status & PG_FLOW_PICKED_UP)
		stats->picked_up++;
	if (f->moves)
		count_moves(opened_port(&f->key, f->status), f->moves);
	return 1;
}

/* What the story calls ------------------------------------------------------------------------- */

/* One of the PG_CT_* bits. It is found out when first asked, so that it costs nothing before. */
static __always_inline __u8 flow_state(const struct cursor *c, void *ctx, struct pkt *p)
{
	if (p->ct_state)
		return p->ct_state;
	return c->xdp ? flow_state_xdp(ctx, p) : flow_state_tc(ctx, p);
}

/*
 * Once for each packet that the rules were asked about, when the policy asks for states. A packet
 * whose state nobody asked for is its flow's all the same.
 */
static __always_inline void flow_commit(const struct cursor *c, void *ctx, struct pkt *p,
					bool accepted)
{
	flow_state(c, ctx, p);
	if (!accepted || !p->flow.opens || flow_open(p) || !p->flow.twin)
		return;
	flow_find(p);
	barrier();
	if (p->flow.found)
		flow_advance(p);
}
