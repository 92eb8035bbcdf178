// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The story: parse → classify → count → act. One source, an entry point for each hook; everything
 * is inlined into each of them, because a call costs more than most of the steps.
 */
/*
 * The only kernel types used here are the hooks' contexts, which are UAPI: their offsets are fixed
 * and the verifier wants them as constants, so nothing is to be relocated.
 */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pg_abi.h"

#include "net.bpf.h"

#include "pkt.bpf.h"

#include "maps.bpf.h"

#include "set.bpf.h"

#include "parse.bpf.h"

#include "count.bpf.h"

#include "trace.bpf.h"

#include "shadow.bpf.h"

#include "headers.bpf.h"

#include "fib.bpf.h"

#include "route.bpf.h"

#include "check.bpf.h"

#include "event.bpf.h"

#include "hook.bpf.h"

#include "tables.bpf.h"

#include "search.bpf.h"

#include "classify.bpf.h"

#include "frag.bpf.h"

#include "reject.bpf.h"

#include "flow.bpf.h"

#include "flow_fast.bpf.h"

#include "drop.bpf.h"

#include "fast.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * Reasons under which a packet that no rule was asked about goes on: ARP and what is not IP, as
 * under iptables. Every other reason of the parser's is a drop.
 */
static __always_inline bool harmless(enum pg_reason why)
{
	return why == PG_REASON_NON_IP || why == PG_REASON_ARP || why == PG_REASON_GRATUITOUS_ARP ||
	       why == PG_REASON_RARP;
}

/* This CPU's packet, blank. */
static __always_inline struct pkt *new_pkt(void)
{
	struct pkt *p = this_pkt();

	if (!p)
		return NULL;
	p->packets = 1;
	p->gso_size = p->gso_segs = 0;
	p->l3 = p->l4 = 0;
	p->mark = p->pkttype = p->has_l2 = 0;
	p->hook = p->passing = p->departs = 0;
	if (cfg.trace)
		p->n_path = 0;
	__builtin_memset(&p->found, 0, sizeof(p->found));
	return p;
}

/* The policy that this packet meets: from here on only its generation is looked at. */
static __always_inline void take_policy(struct pkt *p)
{
	const struct pg_tables_map *map = ONLY(pg_tables);

	p->active = map ? generation(&map->ctl) : 0;
	p->needs = map ? map->ctl.gen[p->active & 1].needs : 0;
}

static __always_inline void take_l2(struct pkt *p, const struct eth_header *eth)
{
	const __u8 *dst = eth->dst;

	__builtin_memcpy(p->smac, eth->src, 6);
	__builtin_memcpy(p->dmac, dst, 6);
	p->has_l2 = 1;
	if (dst[0] & 1)
		p->pkttype = (dst[0] & dst[1] & dst[2] & dst[3] & dst[4] & dst[5]) == 0xff ?
				     PACKET_BROADCAST :
				     PACKET_MULTICAST;
}

static __always_inline void run_rules(const struct cursor *c, void *ctx)
{
	if (c->xdp)
		classify_xdp(ctx);
	else
		classify_tc(ctx);
	barrier();
}

/*
 * Ask the rules. The first check that wants the connection's state stops them until it is found:
 * their stack and that of the search do not fit into one.
 */
static __always_inline void decide(const struct cursor *c, void *ctx, struct pkt *p)
{
	p->progress.wants_state = 0;
	run_rules(c, ctx);
	if (p->progress.wants_state) {
		flow_state(c, ctx, p);
		barrier();
		run_rules(c, ctx);
	}
}

static __always_inline void take_decision(const struct pkt *p, struct decision *d)
{
	d->verdict = p->progress.done - 1;
	d->reason = p->progress.reason;
	d->slot = p->progress.slot;
	d->term = p->progress.term;
}

/*
 * A first fragment's verdict is kept, a later one's is found. False: fragments are nothing special to
 * this policy.
 */
static __always_inline bool ask_fragments(const struct cursor *c, void *ctx, struct pkt *p)
{
	if (!follows_fragments(ONLY(pg_tables), p))
		return false;
	if (c->xdp)
		fragment_xdp(ctx);
	else
		fragment_tc(ctx);
	barrier();
	return true;
}

/* Departures that no rule is asked about. */
static __always_inline void depart(const struct pkt *p, enum pg_reason why, struct decision *d)
{
	const struct pg_tables_map *map = ONLY(pg_tables);

	d->verdict = PG_VERDICT_ACCEPT;
	d->reason = why;
	d->slot = map ? map->ctl.gen[p->active & 1].base[PG_STAGE_OUTPUT].policy_slot : 0;
}

/* Which chain it meets. False: none, and it is decided. */
static __always_inline bool find_hook(const struct cursor *c, void *ctx, struct pkt *p,
				      struct decision *d)
{
	const struct pg_tables_map *map;
	enum pg_reason why;

	if (c->dir == PG_DIR_OUT) {
		why = departure_hook(ctx);
		barrier();
		if (why != PG_REASON_RULE)
			depart(p, why, d);
		return why == PG_REASON_RULE;
	}
	map = ONLY(pg_tables);
	if (p->needs & PG_NEED_FORWARD && map && !forwards_nothing(map, p->family)) {
		if (c->xdp)
			arrival_hook_xdp(ctx);
		else
			arrival_hook_tc(ctx);
		barrier();
	}
	return true;
}

/*
 * XDP has no skb that could be marked: its mark goes in front of the packet, to mark.bpf.c. 0: it can't. To let
 * it go on without could be to route it past a tunnel that the mark leads to.
 */
__noinline int tell_mark(struct xdp_md *ctx)
{
	struct pg_mark_meta *m = (void *)(long)ctx->data_meta;
	struct pkt *p = this_pkt();

	/* One frame may be run again and again, in test runs. */
	if ((void *)(m + 1) > (void *)(long)ctx->data || m->magic != PG_MARK_MAGIC) {
		if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*m)))
			return 0;
		m = (void *)(long)ctx->data_meta;
	}
	if (!p || (void *)(m + 1) > (void *)(long)ctx->data)
		return 0;
	*m = (struct pg_mark_meta){ PG_MARK_MAGIC, p->mark, cfg.ifindex, cfg.netns };
	return 1;
}

/* For the program of PG_ROLE_SHADOW, which leaves it to the one behind it. Above REJECT, as MAX is. */
#define VERDICT_NEXT ((enum pg_verdict)(_PG_VERDICT_MAX + 1))

/*
 * From the Ethernet header's end to the verdict; `tags` VLAN tags were taken off the frame before.
 * _PG_VERDICT_MAX: a header is not in the linear part, and this was not the last try.
 */
static __always_inline enum pg_verdict handle(struct cursor *c, void *ctx, struct pkt *p,
					      __u32 tags, bool last_try)
{
	struct decision d = { .term = PG_TRACE_NO_TERM };
	bool asked, classified, followed;

	trace_frame_len(c);
	take_policy(p);
	p->bytes = p->frame_len = c->len;
	p->why = parse_packet(c, ctx, p, tags);
	if (p->why == PG_REASON_SPLIT_HEADER && !last_try)
		return _PG_VERDICT_MAX;
	/* What was stored is now read back: no value is carried over in a register, for the verifier to follow each. */
	barrier();
	d.reason = p->why;
	if (d.reason && !harmless(d.reason) && c->dir == PG_DIR_IN)
		d.verdict = PG_VERDICT_DROP;
	asked = !d.reason;
	classified = asked && find_hook(c, ctx, p, &d);
	followed = classified && p->frag == PG_FRAG_LATER && ask_fragments(c, ctx, p);
	if (classified && !followed)
		decide(c, ctx, p);
	if (classified)
		take_decision(p, &d);
	if (classified && p->frag == PG_FRAG_FIRST)
		ask_fragments(c, ctx, p);
	if (c->xdp && p->mark && d.verdict == PG_VERDICT_ACCEPT && cfg.role != PG_ROLE_SHADOW &&
	    !tell_mark(ctx)) {
		d.verdict = PG_VERDICT_DROP;
		d.reason = PG_REASON_MARK_LOST;
		d.term = PG_TRACE_NO_TERM;
	}
	/* What raw drops was never a connection's; with a trace, tests look at every state. */
	if (asked && !followed && (p->needs & PG_NEED_STATE || cfg.trace) &&
	    !(classified && p->progress.stage != p->hook)) {
		flow_commit(c, ctx, p, d.verdict == PG_VERDICT_ACCEPT);
		if (p->flow.killed && d.verdict == PG_VERDICT_ACCEPT) {
			d.verdict = PG_VERDICT_DROP;
			d.reason = PG_REASON_KILLED;
			d.term = PG_TRACE_NO_TERM;
		}
	}
	count_packet(c->dir, d.reason, cfg.atomic, &d, p);
	if (d.verdict != PG_VERDICT_ACCEPT || p->needs & PG_NEED_WATCH)
		ended(c, ctx, d.slot, fate(c->dir, d.verdict, d.reason) | fate_stage(classified, p));
	shadow(c->dir, &d);
	trace_packet(c, p, &d);
	if (classified)
		trace_path(p);
	return cfg.role == PG_ROLE_SHADOW ? VERDICT_NEXT : d.verdict;
}

/*
 * REJECT in OUTPUT: the answer comes in by the interface, and must not meet INPUT's rules, for which it
 * is a stranger's. skb->tc_index is of use to nobody else but the dsmark qdisc, which is gone.
 */
#define OUR_ANSWER 0x7067

__noinline int answer_xdp(struct xdp_md *ctx)
{
	struct pkt *p = this_pkt();

	return p && reject(ctx, true, p, p->progress.arg) ? XDP_TX : XDP_DROP;
}

__noinline int answer_tc(struct __sk_buff *skb)
{
	struct pkt *p = this_pkt();

	if (!p || !reject(skb, false, p, p->progress.arg))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

/*
 * To who sent it: our own side of the stack, as if the answer had come in by this interface, or
 * the interface that it came from, where the kernel finds the way to the sender's Ethernet address.
 */
__noinline int answer_departure(struct __sk_buff *skb)
{
	__u32 from = skb->ingress_ifindex;
	struct pkt *p = this_pkt();

	if (!p || !reject(skb, false, p, p->progress.arg))
		return TC_ACT_SHOT;
	if (from)
		return bpf_redirect_neigh(from, NULL, 0, 0);
	skb->tc_index = OUR_ANSWER;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

SEC("xdp") /* dp_load.c says BPF_F_XDP_HAS_FRAGS, where the kernel knows it */
int portguard_xdp(struct xdp_md *ctx)
{
	struct cursor c = {
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.xdp = true,
		.dir = PG_DIR_IN,
		.ctx = ctx,
	};
	enum pg_verdict verdict;
	struct eth_header *eth;
	struct pkt *p;

	c.len = c.end - c.data;
	c.pos = c.data;
	verdict = fast_path(&c);
	if (verdict == _PG_VERDICT_MAX) {
		p = new_pkt();
		eth = pull(&c, sizeof(*eth));
		if (!eth || !p)
			return XDP_DROP; /* no driver hands over less than an Ethernet header */
		take_l2(p, eth);
		p->l3 = sizeof(*eth);
		p->ethertype = p->l3_type = bpf_ntohs(eth->type);
		verdict = handle(&c, ctx, p, 0, true);
	}
	if (verdict >= PG_VERDICT_REJECT) {
		if (cfg.role == PG_ROLE_FED)
			return XDP_DROP;
		if (cfg.role != PG_ROLE_SHADOW)
			return answer_xdp(ctx);
		bpf_tail_call(ctx, &pg_next, 0);
		return XDP_DROP; /* never: there is no filter without its second half */
	}
	return verdict == PG_VERDICT_DROP ? XDP_DROP : XDP_PASS;
}

/* The next frame; what was made of the one before is kept. NULL: that was the last one. */
static __always_inline const struct pg_feed_frame *next_frame(struct pg_feed *f,
							      struct pg_trace_map *t)
{
	const struct pg_feed_frame *frame;
	__u32 i = f->next++;

	if (i)
		f->trace[(i - 1) & (PG_FEED_FRAMES - 1)] = t->packet;
	if (i >= f->n)
		return NULL;
	frame = &f->frame[i & (PG_FEED_FRAMES - 1)];
	__builtin_memset(&t->packet, 0, sizeof(t->packet));
	t->packet.frame_len = frame->wire_len;
	return frame;
}

/*
 * At most PG_FEED_MAX; too short for a frame: it is none. Were this and the caller's lower bound made one
 * comparison, of a difference, kernels up to 6.12 would know no bounds of the length itself.
 */
static __always_inline __u32 feed_len(const struct pg_feed_frame *frame)
{
	__u32 len = frame->len;

	if (len > PG_FEED_MAX)
		len = 0;
	barrier_var(len);
	return len;
}

SEC("xdp")
int portguard_feed(struct xdp_md *ctx)
{
	struct pg_trace_map *t = ONLY(pg_trace);
	struct pg_feed *f = ONLY(pg_feed);
	const struct pg_feed_frame *frame;
	__u32 len;

	frame = t && f ? next_frame(f, t) : NULL;
	if (!frame)
		return XDP_DROP;
	len = feed_len(frame);
	if (len < sizeof(struct eth_header) ||
	    bpf_xdp_adjust_tail(ctx, (int)(len - bpf_xdp_get_buff_len(ctx))) ||
	    bpf_xdp_store_bytes(ctx, 0, f->data + (frame->at & (PG_FEED_BYTES - 1)), len)) {
		f->failed++;
		return XDP_DROP;
	}
	bpf_tail_call(ctx, &pg_fed, PG_DIR_IN);
	f->failed++;
	return XDP_DROP;
}

/*
 * One try with the linear part at least `linear` bytes long: headers may lie in page fragments.
 * An skb's first VLAN tag is kept beside the frame.
 */
static __always_inline enum pg_verdict try_skb(struct __sk_buff *skb, enum pg_dir dir,
					       __u32 linear, bool last_try)
{
	struct cursor c = { .len = skb->len, .dir = dir };
	struct pkt *p = new_pkt();
	enum pg_verdict verdict;
	struct eth_header *eth;
	__u32 tags = 0;

	if (!p)
		return PG_VERDICT_DROP;
	if (linear > skb->len)
		linear = skb->len;
	if ((long)skb->data_end - (long)skb->data < linear)
		bpf_skb_pull_data(skb, linear);
	c.data = c.pos = (void *)(long)skb->data;
	c.end = (void *)(long)skb->data_end;
	p->gso_size = skb->gso_size;
	p->gso_segs = skb->gso_segs;
	p->ethertype = p->l3_type = bpf_ntohs(skb->protocol);
	if (!cfg.no_l2) {
		p->l3 = sizeof(*eth);
		eth = pull(&c, sizeof(*eth));
		if (!eth)
			return PG_VERDICT_DROP; /* no memory to pull it */
		take_l2(p, eth);
		p->ethertype = p->l3_type = bpf_ntohs(eth->type);
	}
	p->departs = dir == PG_DIR_OUT;
	p->mark = p->mark_was = skb->mark;
	p->pkttype = skb->pkt_type;
	if (skb->vlan_present) {
		p->vlan_id[0] = skb->vlan_tci & 0xfff;
		p->ethertype = bpf_ntohs(skb->vlan_proto);
		tags = 1;
	}
	verdict = handle(&c, skb, p, tags, last_try);
	barrier();
	if (verdict == PG_VERDICT_ACCEPT && p->mark != p->mark_was)
		skb->mark = p->mark;
	return verdict;
}

/* Enough for the usual headers; what is longer is worth a second look at all of it. */
#define TC_LINEAR 128

/* As it is, when neither a tag nor segments are noted beside it, and it met netfilter on its way out. */
static __always_inline enum pg_verdict fast_skb(struct __sk_buff *skb, enum pg_dir dir)
{
	const struct cursor c = {
		.data = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
		.len = skb->len,
		.dir = dir,
		.ctx = skb,
		.passing = dir == PG_DIR_OUT && skb->ingress_ifindex,
	};

	if (skb->vlan_present || skb->gso_size || (dir == PG_DIR_OUT && from_packet_socket(skb)))
		return _PG_VERDICT_MAX;
	return fast_path(&c);
}

/*
 * Linux from 6.9 on gives a packet that passes generic XDP with a program that takes frames of several pieces to
 * TC without its Ethernet header (skb_pp_cow_data() copies no skb->mac_len). The header is in front of it
 * still, and comes back for the programs behind this one, too. False: it can't.
 */
__noinline int mend_head(struct __sk_buff *skb)
{
	const __u32 size = sizeof(struct eth_header);
	__u64 mac[2] = { 0 }, first[2] = { 0 };

	if (bpf_skb_load_bytes(skb, 0, first, size) ||
	    bpf_skb_load_bytes_relative(skb, 0, mac, size, BPF_HDR_START_MAC))
		return 1; /* shorter than any frame: it is handled as such */
	if (mac[0] == first[0] && mac[1] == first[1])
		return 1;
	return !bpf_skb_change_head(skb, size, 0) && !bpf_skb_store_bytes(skb, 0, mac, size, 0);
}

/*
 * wire_len is the length before TC put the Ethernet header back in front of the packet. That of segments may
 * count all their headers.
 */
static __always_inline bool may_lack_head(const struct __sk_buff *skb)
{
	return !cfg.no_l2 && (skb->wire_len == skb->len || skb->gso_size);
}

static __always_inline int tc(struct __sk_buff *skb, enum pg_dir dir)
{
	enum pg_verdict verdict;

	if (dir == PG_DIR_IN && may_lack_head(skb) && !mend_head(skb))
		return TC_ACT_SHOT;
	if (dir == PG_DIR_IN && skb->tc_index == OUR_ANSWER) {
		if (cfg.role == PG_ROLE_SHADOW)
			goto next;
		skb->tc_index = 0;
		return TC_ACT_UNSPEC;
	}
	verdict = fast_skb(skb, dir);
	if (verdict == _PG_VERDICT_MAX)
		verdict = try_skb(skb, dir, TC_LINEAR, false);
	if (verdict == _PG_VERDICT_MAX)
		verdict = try_skb(skb, dir, skb->len, true);
	if (verdict >= PG_VERDICT_REJECT) {
		if (cfg.role == PG_ROLE_FED)
			return TC_ACT_SHOT;
		if (cfg.role == PG_ROLE_SHADOW)
			goto next;
		return dir == PG_DIR_IN ? answer_tc(skb) : answer_departure(skb);
	}
	return verdict == PG_VERDICT_DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;
next:
	bpf_tail_call(skb, &pg_next, 0);
	return TC_ACT_SHOT; /* never, as above */
}

SEC("tc")
int portguard_tc_in(struct __sk_buff *skb)
{
	return tc(skb, PG_DIR_IN);
}

SEC("tc")
int portguard_tc_out(struct __sk_buff *skb)
{
	return tc(skb, PG_DIR_OUT);
}

/* Likewise, for both directions in their order. As a frame comes: no mark, and a type by its address. */
SEC("tc")
int portguard_feed_tc(struct __sk_buff *skb)
{
	struct pg_trace_map *t = ONLY(pg_trace);
	struct pg_feed *f = ONLY(pg_feed);
	const struct pg_feed_frame *frame;
	__u32 len, dir;

	frame = t && f ? next_frame(f, t) : NULL;
	if (!frame)
		return TC_ACT_SHOT;
	len = feed_len(frame);
	dir = frame->dir;
	skb->mark = 0;
	if (len < sizeof(struct eth_header) ||
	    bpf_skb_change_tail(skb, len, 0) ||
	    bpf_skb_store_bytes(skb, 0, f->data + (frame->at & (PG_FEED_BYTES - 1)), len, 0) ||
	    (skb->pkt_type != frame->pkttype && bpf_skb_change_type(skb, frame->pkttype))) {
		f->failed++;
		return TC_ACT_SHOT;
	}
	bpf_tail_call(skb, &pg_fed, dir);
	f->failed++;
	return TC_ACT_SHOT;
}
