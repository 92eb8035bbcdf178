/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments. Only the first has a transport header, so only about that one can rules be asked; its
 * verdict is kept, and the later ones follow it. That is what rules decide about a datagram where
 * conntrack puts it together before them. A later one whose first was not seen follows the setting.
 *
 * What was decided by one header must not reach a host that reads another: a later fragment that
 * would be written over the first is dropped, and with it the rest (RFC 1858, 3128, 5722).
 */
#pragma once

#define FRAG_NS_V4 30000000000ULL /* net.ipv4.ipfrag_time, net.ipv6.ip6frag_time */
#define FRAG_NS_V6 60000000000ULL

/* Does this packet's verdict depend on another fragment's? */
static __always_inline bool follows_fragments(const struct pg_tables_map *map, const struct pkt *p)
{
	if (!map || !(p->needs & PG_NEED_FRAGMENTS))
		return false;
	/* The kernel fragments behind OUTPUT, whose rules then would have seen the whole. */
	if (p->hook == PG_STAGE_OUTPUT)
		return true;
	if (map->ctl.fragments == PG_FRAGMENTS_AUTO)
		return !(p->needs & PG_NEED_FRAGMENT_RULES);
	return map->ctl.fragments != PG_FRAGMENTS_RULES;
}

/* False: its identification is cut off, or out of reach. */
static __always_inline bool frag_key(void *ctx, bool xdp, struct pkt *p)
{
	bool v6 = p->family == PG_FAMILY_V6;
	struct pg_fragment_key *key = &p->frag_key;

	__builtin_memset(key, 0, sizeof(*key));
	if (v6 ? !load(ctx, xdp, p->frag_at + 4, &key->id, 4) :
		 !load(ctx, xdp, p->l3 + 4, &key->id, 2))
		return false;
	key->saddr[0] = p->saddr[0];
	key->daddr[0] = p->daddr[0];
	if (v6) {
		__builtin_memcpy(key->saddr, p->saddr, 16);
		__builtin_memcpy(key->daddr, p->daddr, 16);
	} else {
		key->proto = p->proto; /* IPv6's is the first extension header's in later ones */
	}
	key->netns = cfg.netns;
	key->iface = cfg.iface;
	key->family = p->family;
	key->hook = p->hook;
	return true;
}

/* The first fragment's verdict, for those behind it. */
static __always_inline int keep_first(void *ctx, bool xdp, struct pkt *p)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	bool v6 = p->family == PG_FAMILY_V6;
	__u32 begin = v6 ? p->frag_at + 8 : p->l4;
	struct pg_fragment *f = &p->frag_fresh;

	if (!map || !frag_key(ctx, xdp, p))
		return 0;
	f->expires_ns = bpf_ktime_get_coarse_ns() + (v6 ? FRAG_NS_V6 : FRAG_NS_V4);
	f->number = map->ctl.gen[p->active & 1].number;
	f->slot = p->progress.slot;
	f->reason = p->progress.reason;
	/* A rejected datagram is answered once. */
	f->verdict = p->progress.done == PG_VERDICT_ACCEPT + 1 ? PG_VERDICT_ACCEPT : PG_VERDICT_DROP;
	f->end = (p->ip_len - (begin - p->l3) + 7) / 8;
	bpf_map_update_elem(&pg_fragments, &p->frag_key, f, 0);
	return 0;
}

static __always_inline int settle_fragment(struct pkt *p, enum pg_verdict verdict,
					   enum pg_reason reason, __u32 slot)
{
	p->progress.term = PG_NO_TERM;
	p->progress.stage = p->hook;
	finish(&p->progress, verdict, reason, slot);
	return 0;
}

/* Its first has not been seen, or under another policy. */
static __always_inline int early_fragment(const struct pg_tables_map *map, struct pkt *p)
{
	__u32 policy = map->ctl.gen[p->active & 1].base[p->hook & (PG_STAGES - 1)].policy_kind;
	__u32 setting = map->ctl.fragments;
	bool drop = setting == PG_FRAGMENTS_DROP ||
		    (setting == PG_FRAGMENTS_AUTO && policy == PG_ACT_DROP);

	if (p->l4_state == PG_L4_OFF1)
		return settle_fragment(p, PG_VERDICT_DROP, PG_REASON_TINY_FRAGMENT, 0);
	return settle_fragment(p, drop ? PG_VERDICT_DROP : PG_VERDICT_ACCEPT,
			       PG_REASON_EARLY_FRAGMENT, 0);
}

static __always_inline int follow_first(void *ctx, bool xdp, struct pkt *p)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	struct pg_fragment *f = NULL;

	if (!map)
		return settle_fragment(p, PG_VERDICT_DROP, PG_REASON_INTERNAL, 0);
	if (frag_key(ctx, xdp, p))
		f = bpf_map_lookup_elem(&pg_fragments, &p->frag_key);
	if (!f || bpf_ktime_get_coarse_ns() >= f->expires_ns ||
	    f->number != map->ctl.gen[p->active & 1].number)
		return early_fragment(map, p);
	if (p->frag_offset < f->end) {
		f->verdict = PG_VERDICT_DROP;
		f->reason = PG_REASON_FRAGMENT_OVERLAP;
	}
	return settle_fragment(p, f->verdict, f->reason, f->slot);
}

/* Global functions, so that the verifier looks at them once. They leave what comes of it in p. */
__noinline int fragment_xdp(struct xdp_md *ctx)
{
	struct pkt *p = this_pkt();

	if (!p)
		return 0;
	return p->frag == PG_FRAG_FIRST ? keep_first(ctx, true, p) : follow_first(ctx, true, p);
}

__noinline int fragment_tc(struct __sk_buff *skb)
{
	struct pkt *p = this_pkt();

	if (!p)
		return 0;
	return p->frag == PG_FRAG_FIRST ? keep_first(skb, false, p) : follow_first(skb, false, p);
}
