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
 * Not as the kernel: TCP sequence numbers and transport checksums are not looked at; a fragment
 * that is not the first is INVALID, because it is not put together here; SCTP has no states of its
 * own and GRE no calls; there are no helpers, so nothing but ICMP errors is RELATED. A packet on lo is
 * two packets: a FIN closes its flow twice as far, and the RST that ends an unanswered flow is INVALID
 * at the second.
 *
 * A packet that is forwarded is its flow's where it arrives, and passes when it leaves. Only if its
 * flow is not known there (its addresses have been translated on the way) does it open one, which is then
 * told of what passes from that side; the answers are what arrives.
 */
#pragma once

#ifndef BPF_NOEXIST
#define BPF_ANY 0
#define BPF_NOEXIST 1
#endif

#define NSEC_PER_SEC 1000000000ULL

/* A TCP segment by the one flag that moves a connection. */
enum flow_event { FLOW_NO_EVENT, FLOW_SYN, FLOW_SYN_ACK, FLOW_FIN, FLOW_ACK, FLOW_RST };

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
static __always_inline void make_key(struct flow_pkt *f, __u8 family)
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
	key->netns = cfg.netns;
	key->family = family;
	key->proto = f->proto;
	key->unused = 0;
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

/* FLOW_NO_EVENT: flags that no TCP sends together (tcp_valid_flags of nf_conntrack_proto_tcp.c). */
static __always_inline enum flow_event tcp_event(__u8 flags)
{
	const __u8 fin = 1 << PG_FLAG_FIN, syn = 1 << PG_FLAG_SYN, rst = 1 << PG_FLAG_RST,
		   ack = 1 << PG_FLAG_ACK, urg = 1 << PG_FLAG_URG;

	switch (flags & (fin | syn | rst | ack | urg)) {
	case ack:
	case ack | urg:
		return FLOW_ACK;
	case syn:
	case syn | urg:
		return FLOW_SYN;
	case syn | ack:
		return FLOW_SYN_ACK;
	case fin | ack:
	case fin | ack | urg:
		return FLOW_FIN;
	case rst:
	case rst | ack:
		return FLOW_RST;
	}
	return FLOW_NO_EVENT;
}

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
		.netns = cfg.netns,
		.family = PG_FAMILY_V4,
		.proto = IPPROTO_UDP,
	};
	struct pg_flow *flow = bpf_map_lookup_elem(&pg_flows, &key);

	return flow && bpf_ktime_get_coarse_ns() < flow->expires_ns;
}

static __always_inline void set_dhcp_ends(struct pkt *p)
{
	if (p->proto != IPPROTO_UDP || p->family != PG_FAMILY_V4)
		return;
	if (p->hook == PG_STAGE_OUTPUT && p->sport == DHCP_CLIENT && p->dport == DHCP_SERVER &&
	    p->daddr[0] == DHCP_EVERYBODY)
		p->flow.addr[0][0] = 0;
	if (p->hook == PG_STAGE_FILTER && p->sport == DHCP_SERVER && p->dport == DHCP_CLIENT &&
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
	p->flow.event = tcp_event(p->tcp_flags);
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		return s->xdp ? flow_icmp_xdp(s->ctx, p) : flow_icmp_tc(s->ctx, p);
	if (p->proto == IPPROTO_TCP && p->flow.event == FLOW_NO_EVENT)
		return FLOW_INVALID;
	set_ends(&p->flow, p->family, p->saddr, p->daddr);
	set_ports(&p->flow, p->proto, 0, 0);
	if (has_tracked_ports(p->proto))
		set_ports(&p->flow, p->proto, p->sport, p->dport);
	set_dhcp_ends(p);
	return FLOW_TRACKED;
}

/* TCP's states --------------------------------------------------------------------------------- */

static const __u32 tcp_timeouts[16] = { PG_TCP_TIMEOUTS(PG_TCP_TIMEOUT) };

/*
 * What a segment makes of the state, by its event, by whether the opener (0) or the other end (1)
 * sent it, and by the state before. PG_TCP_NONE: it can't be. IGNORED: our entry may be out of step
 * with the ends, so what they may be sorting out among themselves is let through, but not believed.
 */
#define TCP_IGNORED _PG_TCP_MAX

#define TCP(from, to) [PG_TCP_##from] = PG_TCP_##to
#define IGNORED(from) [PG_TCP_##from] = TCP_IGNORED
#define TCP_FIN_ROW                                                                                \
	{                                                                                          \
		TCP(SYN_RECV, FIN_WAIT), TCP(ESTABLISHED, FIN_WAIT), TCP(FIN_WAIT, LAST_ACK),      \
			TCP(CLOSE_WAIT, LAST_ACK), TCP(LAST_ACK, LAST_ACK),                        \
			TCP(TIME_WAIT, TIME_WAIT), TCP(CLOSE, CLOSE)                               \
	}
#define TCP_ACK_ROW(in_syn_recv)                                                                   \
	TCP(SYN_RECV, in_syn_recv), TCP(ESTABLISHED, ESTABLISHED), TCP(FIN_WAIT, CLOSE_WAIT),      \
		TCP(CLOSE_WAIT, CLOSE_WAIT), TCP(LAST_ACK, TIME_WAIT), TCP(TIME_WAIT, TIME_WAIT),  \
		TCP(CLOSE, CLOSE)
#define TCP_RST_ROW { [PG_TCP_SYN_SENT ... PG_TCP_SYN_SENT2] = PG_TCP_CLOSE }

static const __u8 tcp_next[8][2][16] = {
	[FLOW_SYN] = {
		{ TCP(SYN_SENT, SYN_SENT), TCP(SYN_SENT2, SYN_SENT2), TCP(TIME_WAIT, SYN_SENT),
		  TCP(CLOSE, SYN_SENT), IGNORED(SYN_RECV), IGNORED(ESTABLISHED),
		  IGNORED(FIN_WAIT), IGNORED(CLOSE_WAIT), IGNORED(LAST_ACK) },
		{ TCP(SYN_SENT, SYN_SENT2), TCP(SYN_SENT2, SYN_SENT2), TCP(TIME_WAIT, SYN_SENT) },
	},
	[FLOW_SYN_ACK] = {
		{ TCP(SYN_RECV, SYN_RECV), TCP(SYN_SENT2, SYN_RECV) },
		{ TCP(SYN_SENT, SYN_RECV), TCP(SYN_SENT2, SYN_RECV), IGNORED(SYN_RECV),
		  IGNORED(ESTABLISHED), IGNORED(FIN_WAIT), IGNORED(CLOSE_WAIT),
		  IGNORED(LAST_ACK), IGNORED(TIME_WAIT), IGNORED(CLOSE) },
	},
	[FLOW_FIN] = { TCP_FIN_ROW, TCP_FIN_ROW },
	[FLOW_ACK] = {
		{ TCP_ACK_ROW(ESTABLISHED) },
		{ TCP_ACK_ROW(SYN_RECV), IGNORED(SYN_SENT), IGNORED(SYN_SENT2) },
	},
	[FLOW_RST] = { TCP_RST_ROW, TCP_RST_ROW },
};

#undef TCP
#undef IGNORED

/* What a packet does to its flow. */
enum flow_effect {
	FLOW_GOES_ON,
	FLOW_STAYS,   /* the packet is the flow's, and changes nothing but what was seen last */
	FLOW_REFUSES, /* the packet is INVALID */
	FLOW_ENDS,
	FLOW_REOPENS, /* it has ended, and the packet begins the next with the same ends */
};

/* Only SYN and RST matter for what comes next. */
static __always_inline __u32 with_last(__u32 status, const struct flow_pkt *f)
{
	status &= ~(PG_FLOW_LAST_SYN | PG_FLOW_LAST_RST | PG_FLOW_LAST_FROM_1);
	if (f->event == FLOW_SYN)
		status |= PG_FLOW_LAST_SYN | (f->from ? PG_FLOW_LAST_FROM_1 : 0);
	if (f->event == FLOW_RST)
		status |= PG_FLOW_LAST_RST | (f->from ? PG_FLOW_LAST_FROM_1 : 0);
	return status;
}

/* Where the table is not enough; as nf_conntrack_tcp_packet(). From f->old to f->status. */
static __always_inline enum flow_effect tcp_step(struct flow_pkt *f, bool reply)
{
	__u32 old = f->old, now = with_last(old, f);
	__u8 state = old & PG_FLOW_TCP_STATE, next;
	bool last_is_same_end = !(old & PG_FLOW_LAST_FROM_1) == !f->from;
	bool answers_syn = old & PG_FLOW_LAST_SYN && !last_is_same_end;

	next = tcp_next[f->event & 7][reply][state];
	if (next == PG_TCP_NONE)
		return FLOW_REFUSES;
	if (next == PG_TCP_SYN_SENT && state != PG_TCP_SYN_SENT) {
		if (old & PG_FLOW_CLOSING || (old & PG_FLOW_LAST_RST && last_is_same_end))
			return FLOW_REOPENS;
		next = TCP_IGNORED;
	}
	if (next == TCP_IGNORED && f->event == FLOW_SYN_ACK && answers_syn) {
		/* The answer to a SYN that was ignored: both ends begin anew, so we do. */
		now &= ~(PG_FLOW_CLOSING | PG_FLOW_SIMULTANEOUS);
		state = PG_TCP_SYN_SENT;
		next = PG_TCP_SYN_RECV;
	}
	/* RFC 5961: an ACK that answers a SYN challenges it, and is not the last FIN's. */
	if (next == TCP_IGNORED ||
	    (next == PG_TCP_TIME_WAIT && state == PG_TCP_LAST_ACK && answers_syn)) {
		f->status = now;
		return FLOW_STAYS;
	}
	if (next == PG_TCP_SYN_RECV && reply && f->event == FLOW_ACK && old & PG_FLOW_SIMULTANEOUS)
		next = PG_TCP_ESTABLISHED;
	if (next == PG_TCP_SYN_SENT2)
		now |= PG_FLOW_SIMULTANEOUS;
	if (next == PG_TCP_FIN_WAIT && state != PG_TCP_FIN_WAIT)
		now |= PG_FLOW_CLOSING;
	if (next == PG_TCP_ESTABLISHED && old & PG_FLOW_SEEN_REPLY &&
	    (state == PG_TCP_SYN_RECV || state == PG_TCP_ESTABLISHED))
		now |= PG_FLOW_ASSURED;
	f->status = (now & ~PG_FLOW_TCP_STATE) | next;
	return f->event == FLOW_RST && !(old & PG_FLOW_SEEN_REPLY) ? FLOW_ENDS : FLOW_GOES_ON;
}

/* 0: its life is not prolonged. */
static __always_inline __u32 tcp_timeout_s(const struct flow_pkt *f)
{
	__u8 state = f->status & PG_FLOW_TCP_STATE;

	if (f->event == FLOW_RST)
		return tcp_timeouts[PG_TCP_CLOSE];
	if (!(f->old & PG_FLOW_SEEN_REPLY)) {
		if (f->event == FLOW_SYN && (f->old & PG_FLOW_TCP_STATE) == PG_TCP_SYN_SENT)
			return 0;
		if (state == PG_TCP_ESTABLISHED)
			return PG_TIMEOUT_TCP_UNREPLIED;
	}
	return tcp_timeouts[state];
}

static __always_inline __u32 timeout_s(const struct flow_pkt *f)
{
	switch (f->proto) {
	case IPPROTO_TCP:
		return tcp_timeout_s(f);
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return f->status & PG_FLOW_ASSURED ? PG_TIMEOUT_UDP_STREAM : PG_TIMEOUT_UDP;
	case IPPROTO_SCTP:
		return f->old & PG_FLOW_SEEN_REPLY ? PG_TIMEOUT_SCTP : PG_TIMEOUT_UDP;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return PG_TIMEOUT_ICMP;
	}
	return PG_TIMEOUT_OTHER;
}

/* The tables ----------------------------------------------------------------------------------- */

/*
 * Time: CLOCK_MONOTONIC_COARSE. It steps every few milliseconds, which timeouts of seconds don't
 * mind, and costs a load where the exact clock costs a reading of the hardware; unlike jiffies the
 * command can read it, too, and it does not depend on how the kernel was built.
 */
static __always_inline __u64 coarse_ns(void)
{
	return bpf_ktime_get_coarse_ns();
}

static __always_inline void forget(const struct pg_flow_key *key, bool half_open)
{
	if (half_open)
		bpf_map_delete_elem(&pg_half_open, key);
	else
		bpf_map_delete_elem(&pg_flows, key);
}

/* NULL: there is none, or not any more. */
static __always_inline struct pg_flow *find_flow(const struct pg_flow_key *key, __u64 now,
						 bool *ret_half_open)
{
	struct pg_flow *flow = bpf_map_lookup_elem(&pg_flows, key);
	bool half_open = false;

	if (!flow && key->proto == IPPROTO_TCP) {
		flow = bpf_map_lookup_elem(&pg_half_open, key);
		half_open = true;
	}
	if (!flow)
		return NULL;
	if (now >= flow->expires_ns) {
		forget(key, half_open);
		return NULL;
	}
	*ret_half_open = half_open;
	return flow;
}

/* From half-open to where no flood of SYNs reaches it. */
static __always_inline void promote(const struct pg_flow_key *key, const struct pg_flow *flow,
				    struct pg_flow *scratch)
{
	*scratch = *flow;
	if (!bpf_map_update_elem(&pg_flows, key, scratch, BPF_ANY))
		bpf_map_delete_elem(&pg_half_open, key);
}

/* Times at which two CPUs change one status at once: more is not expected in a packet's time. */
#define FLOW_TRIES 4

/* A datagram of other protocols than TCP. */
static __always_inline enum flow_effect datagram_step(struct flow_pkt *f, __u64 age_ns)
{
	f->status = f->old;
	if (f->old & PG_FLOW_SEEN_REPLY && age_ns > 2 * NSEC_PER_SEC && has_tracked_ports(f->proto))
		f->status |= PG_FLOW_ASSURED;
	return FLOW_GOES_ON;
}

/* f->effect, and from f->old to f->status. */
static __always_inline void step_flow(struct pg_flow *flow, struct flow_pkt *f, bool reply,
				      __u64 now)
{
	for (int i = 0; i < FLOW_TRIES; i++) {
		f->old = *(volatile __u32 *)&flow->status;
		f->effect = f->proto == IPPROTO_TCP ? tcp_step(f, reply) :
						      datagram_step(f, now - flow->first_ns);
		barrier();
		if (f->effect == FLOW_REFUSES || f->effect == FLOW_REOPENS)
			return;
		if (reply)
			f->status |= PG_FLOW_SEEN_REPLY;
		if (f->status == f->old ||
		    __sync_val_compare_and_swap(&flow->status, f->old, f->status) == f->old)
			return;
	}
}

/* A packet of a flow that is known. 0: the flow is no more, and the packet begins the next. */
static __always_inline __u8 advance_flow(struct pg_flow *flow, const struct pg_flow_key *key,
					 struct pkt *p, bool half_open, __u64 now)
{
	struct flow_pkt *f = &p->flow;
	bool reply = f->from != flow->opener;
	struct pg_count *sent = &flow->sent[f->from & 1];
	__u32 timeout;

	step_flow(flow, f, reply, now);
	if (f->effect == FLOW_REFUSES)
		return PG_CT_INVALID;
	if (f->effect == FLOW_REOPENS) {
		forget(key, half_open);
		return 0;
	}
	if (f->effect == FLOW_GOES_ON) {
		__sync_fetch_and_add(&sent->packets, p->packets);
		__sync_fetch_and_add(&sent->bytes, p->bytes);
		flow->last_ns = now;
		timeout = timeout_s(f);
		if (timeout)
			flow->expires_ns = now + timeout * NSEC_PER_SEC;
	}
	view_flow(p, flow, f->status, now); /* while it is there */
	if (f->effect == FLOW_ENDS) {
		forget(key, half_open);
		p->ct.sent[reply].packets += p->packets;
		p->ct.sent[reply].bytes += p->bytes;
	} else if (f->effect == FLOW_GOES_ON && half_open && f->status & PG_FLOW_ASSURED) {
		promote(key, flow, &f->fresh);
	}
	return reply || f->old & PG_FLOW_SEEN_REPLY ? PG_CT_ESTABLISHED : PG_CT_NEW;
}

/* Can a packet begin a flow? An ACK can: it may be of a connection that is older than we are. */
static __always_inline bool can_open(const struct flow_pkt *f)
{
	switch (f->proto) {
	case IPPROTO_TCP:
		return f->event == FLOW_SYN || f->event == FLOW_ACK;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return !f->from;
	}
	return true;
}

static __always_inline __u8 track(struct pkt *p)
{
	__u64 now = coarse_ns();
	bool half_open = false;
	struct pg_flow_key key;
	struct pg_flow *flow;
	__u8 state = 0;

	make_key(&p->flow, p->family);
	p->ct.keyed = 1;
	key = p->flow.key; /* before Linux 6.5 a map's key can't lie in memory that was handed over */
	flow = find_flow(&key, now, &half_open);
	if (flow && p->passing && !(flow->status & PG_FLOW_PASSING && p->flow.from == flow->opener)) {
		view_flow(p, flow, flow->status, now);
		return flow->status & PG_FLOW_SEEN_REPLY ? PG_CT_ESTABLISHED : PG_CT_NEW;
	}
	if (p->flow.kind == FLOW_QUOTED) {
		if (flow)
			view_flow(p, flow, flow->status, now);
		return flow ? PG_CT_RELATED : PG_CT_INVALID;
	}
	if (flow)
		state = advance_flow(flow, &key, p, half_open, now);
	if (state)
		return state;
	p->flow.opens = can_open(&p->flow);
	if (p->flow.opens)
		view_new(p);
	return p->flow.opens ? PG_CT_NEW : PG_CT_INVALID;
}

static __always_inline int find_state(const struct source *s)
{
	struct pkt *p = s->p;

	p->flow.opens = p->ct.known = p->ct.keyed = 0;
	p->flow.kind = read_flow(s);
	barrier(); /* it is read back, so that the ways to it become one */
	if (p->flow.kind == FLOW_UNTRACKED)
		p->ct_state = PG_CT_UNTRACKED;
	else if (p->flow.kind == FLOW_INVALID)
		p->ct_state = PG_CT_INVALID;
	else
		p->ct_state = track(p);
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

/* Another CPU may have been faster: then there is an entry already, and it stays. */
__noinline int flow_open(struct pkt *p)
{
	struct pg_flow_key key;
	struct pg_count *sent;
	struct flow_pkt *f;

	if (!p)
		return 0;
	f = &p->flow;
	key = f->key;
	f->old = f->status = 0;
	if (f->proto == IPPROTO_TCP)
		f->status = f->event == FLOW_SYN ? PG_TCP_SYN_SENT : PG_TCP_ESTABLISHED;
	f->status = with_last(f->status, f);
	if (p->passing)
		f->status |= PG_FLOW_PASSING;
	__builtin_memset(&f->fresh, 0, sizeof(f->fresh));
	f->fresh.status = f->status;
	f->fresh.opener = f->from;
	sent = &f->fresh.sent[f->from & 1];
	sent->packets = p->packets;
	sent->bytes = p->bytes;
	f->fresh.first_ns = f->fresh.last_ns = coarse_ns();
	f->fresh.expires_ns = f->fresh.first_ns + timeout_s(f) * NSEC_PER_SEC;
	if (f->proto == IPPROTO_TCP)
		return bpf_map_update_elem(&pg_half_open, &key, &f->fresh, BPF_NOEXIST);
	return bpf_map_update_elem(&pg_flows, &key, &f->fresh, BPF_NOEXIST);
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
	if (accepted && p->flow.opens)
		flow_open(p);
}
