/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * struct pkt → verdict, through the compiled tables. Each dimension of the packet leads to a row,
 * the set of terms it satisfies; the terms that match the packet are the bits that all rows share,
 * in rule order. So the data path is one loop: next common bit, do what its term says, go on or
 * stop.
 */
#pragma once

/* Steps of the loop: a word of terms looked at, or a term that matched. */
#define MAX_STEPS (PG_MAX_TERMS / 64 + PG_MAX_PASSING + 1)

/* Where the tables are, for one packet. */
struct tables {
	const struct pg_gen *gen;
	const struct pg_action *action; /* this generation's */
	const void *nodes, *rows;
};

/* One byte down a trie; a leaf stays where it is. */
static __always_inline __u32 step(const struct tables *t, __u32 entry, __u8 byte)
{
	__u32 at = (entry | (__u32)byte << 2) & (PG_NODES * 1024 - 4);

	if (entry & PG_LEAF)
		return entry;
	return *(const __u32 *)(t->nodes + at);
}

/* Two bytes at once, at a wide node. */
static __always_inline __u32 wide_step(const struct tables *t, __u32 entry, __u16 value)
{
	__u32 at = (entry + ((__u32)value << 2)) & (PG_NODES * 1024 - 4);

	if (entry & PG_LEAF)
		return entry;
	return *(const __u32 *)(t->nodes + at);
}

static __always_inline __u32 walk_word(const struct tables *t, __u32 entry, __be32 addr)
{
	entry = step(t, entry, addr & 255);
	entry = step(t, entry, addr >> 8 & 255);
	entry = step(t, entry, addr >> 16 & 255);
	return step(t, entry, addr >> 24);
}

static __always_inline __u32 walk_ip4(const struct tables *t, __u32 entry, __be32 be_addr)
{
	__u32 addr = bpf_ntohl(be_addr);

	entry = wide_step(t, entry, addr >> 16);
	if (entry & PG_LEAF)
		return entry;
	entry = step(t, entry, addr >> 8 & 255);
	return step(t, entry, addr & 255);
}

static __always_inline __u32 walk_ip6(const struct tables *t, __u32 entry, const __be32 *addr)
{
	if (entry & PG_LEAF)
		return entry;
	entry = walk_word(t, entry, addr[0]);
	if (entry & PG_LEAF)
		return entry;
	entry = walk_word(t, entry, addr[1]);
	if (entry & PG_LEAF)
		return entry;
	entry = walk_word(t, entry, addr[2]);
	return walk_word(t, entry, addr[3]);
}

/* An address of either family; `roots` has the entry for each. */
static __always_inline __u32 walk_addr(const struct tables *t, const __u32 *roots, bool v6,
				       const __be32 *addr)
{
	return v6 ? walk_ip6(t, roots[PG_FAMILY_V6], addr) :
		    walk_ip4(t, roots[PG_FAMILY_V4], addr[0]);
}

static __always_inline __u32 walk_u16(const struct tables *t, __u32 entry, __u16 value)
{
	if (entry & PG_LEAF)
		return entry;
	return step(t, step(t, entry, value >> 8), value & 255);
}

/* Ports of TCP and UDP have wide nodes, the rest of the world's do not. */
static __always_inline __u32 walk_port(const struct tables *t, __u32 entry, __u8 space, __u16 port)
{
	if (entry & PG_LEAF)
		return entry;
	if (space == PG_SPACE_TCP || space == PG_SPACE_UDP)
		return wide_step(t, entry, port);
	return walk_u16(t, entry, port);
}

/* Word `i` of a row. The leaf bit falls to the mask. */
static __always_inline __u64 row_word(const struct tables *t, __u32 row, __u32 i)
{
	return *(const __u64 *)(t->rows + ((row + i * 8) & (PG_ROW_WORDS * 8 - 8)));
}

/* What is left of a set of terms; in the TINY form the leaf's other bits are one itself. */
static __always_inline __u64 narrow(const struct tables *t, __u64 set, __u32 leaf, bool tiny)
{
	return set & (tiny ? leaf : row_word(t, leaf, 0));
}

/*
 * The rows of a packet, and the first word of their intersection: in the WORD and TINY forms the
 * whole set of terms that match. `whole`: it has a whole TCP or UDP header.
 */
static __always_inline __u64 find_rows(const struct tables *t, const struct pkt *p, bool whole,
				       bool tiny, struct rows *r)
{
	const struct pg_gen *gen = t->gen;
	/* The verifier must see that these stay within their arrays. */
	__u32 v6 = p->family & 1, space = p->space & (_PG_SPACE_MAX - 1);
	__u32 l4 = p->l4_state & 7, dims = gen->dims, any = gen->any;
	__u64 word;

	if (whole) /* what the step would lead to, in one */
		r->proto = gen->whole[v6][p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP];
	else
		r->proto = step(t, gen->proto[v6][l4], p->proto);
	word = tiny ? r->proto & ~PG_LEAF : row_word(t, r->proto, 0);
	r->saddr = r->daddr = r->sport = r->dport = r->detail = r->iface = any;
	if (dims & PG_DIM_SADDR) {
		r->saddr = walk_addr(t, gen->saddr, v6, p->saddr);
		word = narrow(t, word, r->saddr, tiny);
	}
	if (dims & PG_DIM_DPORT) {
		r->dport = walk_port(t, gen->dport[space], space, p->dport);
		word = narrow(t, word, r->dport, tiny);
	}
	/* Most policies ask for the two above or fewer: one test for the four others. */
	if (!(dims & ~(PG_DIM_SADDR | PG_DIM_DPORT)))
		return word;
	if (dims & PG_DIM_DADDR) {
		r->daddr = walk_addr(t, gen->daddr, v6, p->daddr);
		word = narrow(t, word, r->daddr, tiny);
	}
	if (dims & PG_DIM_SPORT) {
		r->sport = walk_port(t, gen->sport[space], space, p->sport);
		word = narrow(t, word, r->sport, tiny);
	}
	if (dims & PG_DIM_DETAIL) {
		r->detail = p->has_flags ?
				    step(t, gen->detail[space], p->tcp_flags) :
				    walk_u16(t, gen->detail[space], p->sport << 8 | p->dport);
		word = narrow(t, word, r->detail, tiny);
	}
	if (dims & PG_DIM_IFACE) {
		r->iface = gen->iface[cfg.iface & (PG_MAX_IFACES - 1)];
		word = narrow(t, word, r->iface, tiny);
	}
	return word;
}

/* Word `i` of the intersection of all rows. */
static __always_inline __u64 intersect(const struct tables *t, const struct rows *r, __u32 i)
{
	return row_word(t, r->proto, i) & row_word(t, r->saddr, i) & row_word(t, r->daddr, i) &
	       row_word(t, r->sport, i) & row_word(t, r->dport, i) & row_word(t, r->detail, i) &
	       row_word(t, r->iface, i);
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

/* Of an action that decides. */
static __always_inline enum pg_verdict verdict_of(__u32 kind)
{
	return (kind - PG_ACT_ACCEPT) & 1;
}

static __always_inline void by_policy(const struct pg_gen *gen, struct decision *d)
{
	d->verdict = verdict_of(gen->policy_kind);
	d->reason = PG_REASON_POLICY;
	d->slot = gen->policy_slot;
	d->term = PG_TRACE_NO_TERM;
}

/* The next 64 terms among which one may match. False: there are none. */
static __always_inline bool next_word(struct progress *at, const struct tables *t)
{
	__u32 i;

	if (!at->summary)
		return false;
	i = lowest_bit(at->summary);
	at->summary &= at->summary - 1;
	at->base = i * 64;
	at->word = intersect(t, &at->rows, i + 1);
	return true;
}

/* The lowest term of at->word. True: it decided; false: it matched and lets the packet go on. */
static __always_inline bool visit(struct progress *at, const struct tables *t,
				  struct decision *d)
{
	const struct pg_action *act;

	d->term = at->base + lowest_bit(at->word);
	at->word &= at->word - 1;
	act = &t->action[d->term & (PG_MAX_TERMS - 1)];
	d->slot = act->slot;
	if (act->asks & at->cannot) {
		d->verdict = PG_VERDICT_DROP;
		d->reason = at->missing_why;
		return true;
	}
	d->verdict = verdict_of(act->kind);
	d->reason = PG_REASON_RULE;
	return act->kind != PG_ACT_CONTINUE;
}

/* What departs is not filtered yet: OUTPUT's policy accepts it. */
static __always_inline void by_output_policy(struct decision *d)
{
	const struct pg_tables_map *map = ONLY(pg_tables);

	d->verdict = PG_VERDICT_ACCEPT;
	d->reason = PG_REASON_POLICY;
	d->term = PG_TRACE_NO_TERM;
	d->slot = map ? map->ctl.gen[map->ctl.active & 1].output_slot : 0;
}

/* This packet's tables. False: there are no rules, and it is decided. */
static __always_inline bool find_tables(struct tables *t, struct decision *d)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	__u32 active;

	d->verdict = PG_VERDICT_DROP;
	d->reason = PG_REASON_INTERNAL;
	d->term = PG_TRACE_NO_TERM;
	if (!map)
		return false;
	active = map->ctl.active & 1; /* read once: this is the packet's policy */
	t->gen = &map->ctl.gen[active];
	t->action = map->action[active];
	t->nodes = map->nodes;
	t->rows = map->rows;
	if (t->gen->form != PG_FORM_EMPTY)
		return true;
	by_policy(t->gen, d);
	return false;
}

/*
 * What the loop carries from step to step lies in *at, in a map: from there the verifier takes it
 * for any value, so that the ways through one step meet again before the next, instead of doubling
 * with each.
 */
static __always_inline void classify(const struct pkt *p, struct progress *at, struct decision *d)
{
	enum pg_reason missing_why = PG_REASON_INTERNAL;
	struct tables t;
	__u64 first;

	if (!find_tables(&t, d))
		return;
	if (t.gen->form == PG_FORM_TINY)
		first = find_rows(&t, p, false, true, &at->rows);
	else
		first = find_rows(&t, p, false, false, &at->rows);
	at->word = t.gen->form == PG_FORM_TREE ? 0 : first;
	at->summary = t.gen->form == PG_FORM_TREE ? first : 0;
	at->base = 0;
	at->cannot = unanswerable(p, &missing_why);
	at->missing_why = missing_why;
	for (int i = 0; i < MAX_STEPS; i++) {
		barrier();
		if (at->word) {
			if (visit(at, &t, d))
				return;
			count_rule(d->slot, p);
		} else if (!next_word(at, &t)) {
			return by_policy(t.gen, d);
		}
	}
	d->verdict = PG_VERDICT_DROP;
	d->reason = PG_REASON_INTERNAL;
}

/*
 * The same for a packet with nothing wrong, of which mostly the first term that matches decides.
 * False: it takes more steps than that, and nothing was counted yet. The TINY form has code of its
 * own: it has no use for rows, and most policies are that small.
 */
#define FAST_WORDS 4
static __always_inline bool classify_fast(const struct pkt *p, struct decision *d)
{
	struct progress at = { 0 };
	struct tables t;

	if (!find_tables(&t, d))
		return d->reason != PG_REASON_INTERNAL;
	if (t.gen->form == PG_FORM_TINY) {
		at.word = find_rows(&t, p, true, true, &at.rows);
		if (at.word)
			return visit(&at, &t, d);
		by_policy(t.gen, d);
		return true;
	}
	at.summary = find_rows(&t, p, true, false, &at.rows);
	if (t.gen->form == PG_FORM_WORD) {
		at.word = at.summary;
		at.summary = 0;
		if (at.word)
			return visit(&at, &t, d);
	}
	for (int i = 0; i < FAST_WORDS; i++) {
		if (!next_word(&at, &t)) {
			by_policy(t.gen, d);
			return true;
		}
		if (at.word)
			return visit(&at, &t, d);
	}
	return false;
}
