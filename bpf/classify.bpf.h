/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * struct pkt → verdict, through the compiled tables. Each dimension of the packet leads to a row,
 * the set of terms it satisfies; the terms that match the packet are the bits that all rows share,
 * in rule order. So the data path is one loop: next common bit, do what its term says, go on or
 * stop.
 */
#pragma once

/* The rows of one packet, as word offsets in pg_rows. */
struct rows {
	__u32 proto, saddr, daddr, sport, dport, detail, iface;
};

/* Steps of the loop: a word of terms looked at, or a term that matched. */
#define MAX_STEPS (PG_MAX_TERMS / 64 + PG_MAX_PASSING + 1)

/* One byte down a trie; a leaf stays where it is. */
static __always_inline __u32 step(const __u32 *nodes, __u32 entry, __u8 byte)
{
	if (entry & PG_LEAF)
		return entry;
	return nodes[(entry * 256 + byte) & cfg.node_mask];
}

static __always_inline __u32 walk_word(const __u32 *nodes, __u32 entry, __be32 addr)
{
	entry = step(nodes, entry, addr & 255);
	entry = step(nodes, entry, addr >> 8 & 255);
	entry = step(nodes, entry, addr >> 16 & 255);
	return step(nodes, entry, addr >> 24);
}

static __always_inline __u32 walk_addr(const __u32 *nodes, __u32 entry, const __be32 *addr,
				       bool v6)
{
	if (entry & PG_LEAF)
		return entry;
	entry = walk_word(nodes, entry, addr[0]);
	if (!v6 || entry & PG_LEAF)
		return entry;
	entry = walk_word(nodes, entry, addr[1]);
	if (entry & PG_LEAF)
		return entry;
	entry = walk_word(nodes, entry, addr[2]);
	return walk_word(nodes, entry, addr[3]);
}

static __always_inline __u32 walk_u16(const __u32 *nodes, __u32 entry, __u16 value)
{
	return step(nodes, step(nodes, entry, value >> 8), value & 255);
}

static __always_inline void find_rows(const struct pg_gen *gen, const __u32 *nodes,
				      const struct pkt *p, struct rows *r)
{
	/* One bit and two: the verifier must see that they stay within their arrays. */
	__u32 v6 = p->family & 1, space = p->space & (_PG_SPACE_MAX - 1);
	__u32 l4 = p->l4_state & 7;

	r->proto = step(nodes, gen->proto[v6][l4], p->proto) & ~PG_LEAF;
	if (v6) {
		r->saddr = walk_addr(nodes, gen->saddr[PG_FAMILY_V6], p->saddr, true);
		r->daddr = walk_addr(nodes, gen->daddr[PG_FAMILY_V6], p->daddr, true);
	} else {
		r->saddr = walk_addr(nodes, gen->saddr[PG_FAMILY_V4], p->saddr, false);
		r->daddr = walk_addr(nodes, gen->daddr[PG_FAMILY_V4], p->daddr, false);
	}
	r->sport = walk_u16(nodes, gen->sport[space], p->sport);
	r->dport = walk_u16(nodes, gen->dport[space], p->dport);
	r->detail = p->has_flags ? step(nodes, gen->detail[space], p->tcp_flags) :
				   walk_u16(nodes, gen->detail[space], p->sport << 8 | p->dport);
	r->iface = gen->iface[cfg.iface & (PG_MAX_IFACES - 1)];
}

/* Word `i` of the intersection of all rows. The leaf bit falls to the mask. */
static __always_inline __u64 intersect(const __u64 *words, const struct rows *r, __u32 i)
{
	__u32 mask = cfg.row_mask;

	return words[(r->proto + i) & mask] & words[(r->saddr + i) & mask] &
	       words[(r->daddr + i) & mask] & words[(r->sport + i) & mask] &
	       words[(r->dport + i) & mask] & words[(r->detail + i) & mask] &
	       words[(r->iface + i) & mask];
}

/*
 * Index of the lowest bit set, by a de Bruijn sequence: BPF has no instruction for it, and
 * clang's substitute takes some fifteen.
 */
static const __u8 debruijn[64] = {
	0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28, 62, 5,	39, 46, 44, 42,
	22, 9,	24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
	23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
};

static __always_inline __u32 lowest_bit(__u64 word)
{
	return debruijn[((word & -word) * 0x022fdd63cc95386dULL) >> 58];
}

/* What the packet cannot be asked, and why it is dropped when a term asks nevertheless. */
static __always_inline __u8 unanswerable(const struct pkt *p, enum pg_reason *ret_why)
{
	switch (p->l4_state) {
	case PG_L4_OFF1:
		*ret_why = PG_REASON_TINY_FRAGMENT;
		return PG_ASK_TCP;
	case PG_L4_CUT:
		*ret_why = PG_REASON_SHORT_L4;
		return PG_ASK_PORTS | PG_ASK_HEADER;
	case PG_L4_PORTS:
		*ret_why = PG_REASON_SHORT_L4;
		return PG_ASK_HEADER;
	case PG_L4_BROKEN:
		*ret_why = PG_REASON_EXT_BROKEN;
		return PG_ASK_PROTO;
	}
	return 0;
}

static __always_inline void by_policy(const struct pg_gen *gen, struct decision *d)
{
	d->verdict = gen->policy_kind == PG_ACT_DROP ? PG_VERDICT_DROP : PG_VERDICT_ACCEPT;
	d->reason = PG_REASON_POLICY;
	d->slot = gen->policy_slot;
	d->term = PG_TRACE_NO_TERM;
}

/*
 * What the loop carries from step to step is kept in *p: from memory the verifier takes it for
 * any value, so that the ways through one step meet again before the next.
 */
static __always_inline void classify(struct pkt *p, struct decision *d)
{
	const struct pg_ctl *ctl = TABLE_OF(pg_ctl);
	const __u32 *nodes = TABLE_OF(pg_nodes);
	const __u64 *words = TABLE_OF(pg_rows);
	const struct pg_action *actions = TABLE_OF(pg_actions), *act;
	enum pg_reason missing_why = PG_REASON_INTERNAL;
	const struct pg_gen *gen;
	__u32 active, term;
	struct rows r;
	__u64 word;
	__u8 cannot;

	d->verdict = PG_VERDICT_DROP;
	d->reason = PG_REASON_INTERNAL;
	if (!ctl || !nodes || !words || !actions)
		return;
	active = ctl->active & 1; /* read once: the packet's policy is this one */
	gen = &ctl->gen[active];
	if (gen->form == PG_FORM_EMPTY)
		return by_policy(gen, d);

	find_rows(gen, nodes, p, &r);
	cannot = unanswerable(p, &missing_why);
	word = intersect(words, &r, 0);
	p->summary = 0;
	p->base = 0;
	if (gen->form == PG_FORM_TREE) {
		p->summary = word;
		word = 0;
	}
	p->word = word;
	for (int i = 0; i < MAX_STEPS; i++) {
		barrier();
		word = p->word;
		if (!word) {
			word = p->summary;
			if (!word)
				return by_policy(gen, d);
			p->summary = word & (word - 1);
			term = lowest_bit(word);
			p->base = term * 64;
			p->word = intersect(words, &r, term + 1);
			continue;
		}
		p->word = word & (word - 1);
		term = p->base + lowest_bit(word);
		act = &actions[active * PG_MAX_TERMS + (term & (PG_MAX_TERMS - 1))];
		d->term = term;
		if (act->asks & cannot) {
			d->reason = missing_why;
			return;
		}
		if (act->kind == PG_ACT_CONTINUE) {
			count_rule(act->slot, p);
			continue;
		}
		d->slot = act->slot;
		d->verdict = act->kind == PG_ACT_ACCEPT ? PG_VERDICT_ACCEPT : PG_VERDICT_DROP;
		d->reason = PG_REASON_RULE;
		return;
	}
}
