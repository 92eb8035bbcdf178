/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * struct pkt → which terms it matches, through the compiled tables. Each dimension of the packet
 * leads to a row, the set of terms it satisfies; the terms that match the packet are the bits that
 * all rows share, in rule order. A row that names few terms takes no part in that: its terms are
 * verified one by one, and the earlier of the two finds is next.
 */
#pragma once

/* Where the tables are, for one packet. */
struct tables {
	const struct pg_tables_map *map;
	const struct pg_gen *gen;
	__u32 active;
};

#define NODES(t) ((const void *)(t)->map->nodes)
#define ROWS(t) ((const void *)(t)->map->rows)

/* One byte down a trie; a leaf stays where it is. (With `|`, Linux 6.1 loses the bounds.) */
static __always_inline __u32 step(const struct tables *t, __u32 entry, __u8 byte)
{
	__u32 at = (entry + ((__u32)byte << 2)) & (PG_NODES * 1024 - 4);

	if (entry & PG_LEAF)
		return entry;
	return *(const __u32 *)(NODES(t) + at);
}

/* Two bytes at once, at a wide node. */
static __always_inline __u32 wide_step(const struct tables *t, __u32 entry, __u16 value)
{
	__u32 at = (entry + ((__u32)value << 2)) & (PG_NODES * 1024 - 4);

	if (entry & PG_LEAF)
		return entry;
	return *(const __u32 *)(NODES(t) + at);
}

static __always_inline __u32 walk_word(const struct tables *t, __u32 entry, __be32 addr)
{
	entry = step(t, entry, addr & 255);
	entry = step(t, entry, addr >> 8 & 255);
	entry = step(t, entry, addr >> 16 & 255);
	return step(t, entry, addr >> 24);
}

/* In the forms TINY and WORD all nodes that can be wide are. */
static __always_inline bool is_wide(__u32 entry, enum pg_form form)
{
	return form != PG_FORM_TREE || entry & PG_WIDE;
}

static __always_inline __u32 walk_ip4(const struct tables *t, __u32 entry, __be32 be_addr,
				      enum pg_form form)
{
	__u32 addr = bpf_ntohl(be_addr);

	if (is_wide(entry, form)) {
		entry = wide_step(t, entry, addr >> 16);
	} else {
		entry = step(t, entry, addr >> 24);
		entry = step(t, entry, addr >> 16 & 255);
	}
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
				       const __be32 *addr, enum pg_form form)
{
	return v6 ? walk_ip6(t, roots[PG_FAMILY_V6], addr) :
		    walk_ip4(t, roots[PG_FAMILY_V4], addr[0], form);
}

static __always_inline __u32 walk_u16(const struct tables *t, __u32 entry, __u16 value)
{
	if (entry & PG_LEAF)
		return entry;
	return step(t, step(t, entry, value >> 8), value & 255);
}

/* Ports of TCP and UDP may have wide nodes, the rest of the world's do not. */
static __always_inline __u32 walk_port(const struct tables *t, __u32 entry, __u8 space, __u16 port,
				       enum pg_form form)
{
	if (entry & PG_LEAF)
		return entry;
	if ((space == PG_SPACE_TCP || space == PG_SPACE_UDP) && is_wide(entry, form))
		return wide_step(t, entry, port);
	return walk_u16(t, entry, port);
}

/* Word `i` of a row. The leaf bits fall to the mask. */
static __always_inline __u64 row_word(const struct tables *t, __u32 row, __u32 i)
{
	return *(const __u64 *)(ROWS(t) + ((row + i * 8) & (PG_ROW_WORDS * 8 - 8)));
}

/* Where block `i` of a row of the HUGE form is. */
static __always_inline __u32 row_block(const struct tables *t, __u32 row, __u32 i)
{
	return *(const __u32 *)(ROWS(t) + ((row + 8 + i * 4) & (PG_ROW_WORDS * 8 - 4)));
}

/* Entry `i` of a row that names few. */
static __always_inline const struct pg_few *few_at(const struct tables *t, __u32 row, __u32 i)
{
	return ROWS(t) + ((row + i * sizeof(struct pg_few)) & (PG_ROW_WORDS * 8 - sizeof(struct pg_few)));
}

/* What is left of a set of terms; in the TINY form a leaf is one itself. */
static __always_inline __u64 narrow(const struct tables *t, __u64 set, __u32 leaf, enum pg_form form)
{
	return set & (form == PG_FORM_TINY ? leaf : row_word(t, leaf, 0));
}

/*
 * A leaf becomes the dimension's bitmap and, where it is one, the row of few; the bitmap is then the
 * base row. Without a branch, which the verifier would follow both ways for every dimension.
 */
static __always_inline __u32 sort_leaf(__u32 leaf, __u32 base, __u32 few_none, __u32 *few)
{
	__u32 is_few = -(leaf >> 30 & 1);

	*few = (leaf & is_few) | (few_none & ~is_few);
	return (base & is_few) | (leaf & ~is_few);
}

/* The row of a packet's interfaces. */
static __always_inline __u32 iface_leaf(const struct tables *t, const struct pkt *p)
{
	__u32 slot = cfg.iface & (PG_MAX_IFACES - 1);

	switch (p->hook) {
	case PG_STAGE_FORWARD:
		return t->map->through[t->active & 1]
				      [p->through & (PG_LINK_CLASSES * PG_LINK_CLASSES - 1)];
	case PG_STAGE_OUTPUT:
		return t->gen->iface_out[slot];
	}
	return t->gen->iface[slot];
}

/*
 * The rows of a packet, and the first word of their intersection: in the WORD and TINY forms the
 * whole set of terms that match, in the latter with PG_LEAF. `form`: TREE stands for any but TINY. `whole`:
 * it has a whole TCP or UDP header.
 */
static __always_inline __u64 find_rows(const struct tables *t, const struct pkt *p, bool whole,
				       enum pg_form form, struct rows *r)
{
	const struct pg_gen *gen = t->gen;
	/* The verifier must see that these stay within their arrays. */
	__u32 v6 = p->family & 1, space = p->space & (_PG_SPACE_MAX - 1);
	__u32 l4 = p->l4_state & 7, dims = gen->dims, any = gen->any, few_none = gen->few_none;
	__u32 leaves = 0;
	__u64 word;

	if (whole) /* what the step would lead to, in one */
		r->proto = gen->whole[v6][p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP];
	else
		r->proto = step(t, gen->proto[v6][l4], p->proto);
	word = form == PG_FORM_TINY ? r->proto : row_word(t, r->proto, 0);
	r->saddr = r->daddr = r->sport = r->dport = r->detail = r->iface = any;
	r->few[FEW_SADDR] = r->few[FEW_DADDR] = r->few[FEW_SPORT] = r->few[FEW_DPORT] = few_none;
	if (dims & PG_DIM_SADDR) {
		r->saddr = walk_addr(t, gen->saddr, v6, p->saddr, form);
		leaves |= r->saddr;
		if (form == PG_FORM_TREE)
			r->saddr = sort_leaf(r->saddr, gen->saddr_base[v6], few_none,
					     &r->few[FEW_SADDR]);
		word = narrow(t, word, r->saddr, form);
	}
	if (dims & PG_DIM_DPORT) {
		r->dport = walk_port(t, gen->dport[space], space, p->dport, form);
		leaves |= r->dport;
		if (form == PG_FORM_TREE)
			r->dport = sort_leaf(r->dport, gen->dport_base[space], few_none,
					     &r->few[FEW_DPORT]);
		word = narrow(t, word, r->dport, form);
	}
	r->name_few = leaves & PG_FEW_LEAF;
	/* Most policies ask for the two above or fewer: one test for the four others. */
	if (!(dims & ~(PG_DIM_SADDR | PG_DIM_DPORT)))
		return word;
	if (dims & PG_DIM_DADDR) {
		r->daddr = walk_addr(t, gen->daddr, v6, p->daddr, form);
		leaves |= r->daddr;
		if (form == PG_FORM_TREE)
			r->daddr = sort_leaf(r->daddr, gen->daddr_base[v6], few_none,
					     &r->few[FEW_DADDR]);
		word = narrow(t, word, r->daddr, form);
	}
	if (dims & PG_DIM_SPORT) {
		r->sport = walk_port(t, gen->sport[space], space, p->sport, form);
		leaves |= r->sport;
		if (form == PG_FORM_TREE)
			r->sport = sort_leaf(r->sport, gen->sport_base[space], few_none,
					     &r->few[FEW_SPORT]);
		word = narrow(t, word, r->sport, form);
	}
	r->name_few = leaves & PG_FEW_LEAF;
	if (dims & PG_DIM_DETAIL) {
		r->detail = p->has_flags ?
				    step(t, gen->detail[space], p->tcp_flags) :
				    walk_u16(t, gen->detail[space], p->sport << 8 | p->dport);
		word = narrow(t, word, r->detail, form);
	}
	if (dims & PG_DIM_IFACE) {
		r->iface = iface_leaf(t, p);
		word = narrow(t, word, r->iface, form);
	}
	return word;
}

/* Word `i` of the intersection of all rows; `addressed`: of those that packets' addresses lead to. */
static __always_inline __u64 intersect(const struct tables *t, const struct rows *r, __u32 i,
				       bool all)
{
	__u64 word = row_word(t, r->proto, i) & row_word(t, r->saddr, i) &
		     row_word(t, r->daddr, i) & row_word(t, r->sport, i) & row_word(t, r->dport, i);

	return all ? word & row_word(t, r->detail, i) & row_word(t, r->iface, i) : word;
}

static __always_inline void find_blocks(const struct tables *t, const struct rows *r, __u32 i,
					struct rows *ret)
{
	ret->proto = row_block(t, r->proto, i);
	ret->saddr = row_block(t, r->saddr, i);
	ret->daddr = row_block(t, r->daddr, i);
	ret->sport = row_block(t, r->sport, i);
	ret->dport = row_block(t, r->dport, i);
	ret->detail = row_block(t, r->detail, i);
	ret->iface = row_block(t, r->iface, i);
}

/* Index of the lowest bit set, which clang's substitute takes some fifteen instructions for. */
static const __u8 debruijn[64] = {
	0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28, 62, 5,	39, 46, 44, 42,
	22, 9,	24, 35, 59, 56, 49, 18, 29, 11, 63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21,
	23, 58, 17, 10, 51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
};

static __always_inline __u32 lowest_bit(__u64 word)
{
	return debruijn[pg_lowest_hash(word)];
}

/* All bits from `bit` on. */
static __always_inline __u64 from_bit(__u32 bit)
{
	return ~0ULL << (bit & 63);
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

static __always_inline const struct pg_term_record *record(const struct tables *t, __u32 term)
{
	return &t->map->term[t->active][term & (PG_MAX_TERMS - 1)];
}

/*
 * The generation in force. Read once: this is the packet's policy. One that nobody confirmed in time
 * is not: then the one before it is, though no command may be alive to say so.
 */
static __always_inline __u32 generation(const struct pg_ctl *ctl)
{
	__u64 choice = *(const volatile __u64 *)&ctl->choice;

	if (!(choice & PG_CHOICE_DEADLINE)) /* so it is nearly always, and needs no clock */
		return choice & 1;
	return pg_choice_generation(choice, bpf_ktime_get_coarse_ns()) & 1;
}

/* By the policy of one of filter's chains, a constant. */
static __always_inline void by_policy(const struct pg_gen *gen, enum pg_stage hook,
				      struct decision *d)
{
	d->verdict = (gen->base[hook].policy_kind - PG_ACT_ACCEPT) & 1;
	d->reason = PG_REASON_POLICY;
	d->slot = gen->base[hook].policy_slot;
	d->term = PG_NO_TERM;
}

/* This packet's tables, and whether it is tracked. */
static __always_inline bool take_tables(struct tables *t, struct decision *d)
{
	t->map = ONLY(pg_tables);
	if (!t->map)
		return false;
	t->active = generation(&t->map->ctl);
	t->gen = &t->map->ctl.gen[t->active];
	barrier_var(t->gen); /* or clang keeps what it is made of, and makes it anew each time */
	d->track = t->gen->needs & PG_NEED_STATE ? TRACK : TRACK_NOT;
	return true;
}

/* The same. False: there are no rules, and it is decided. */
static __always_inline bool find_tables(struct tables *t, struct decision *d)
{
	d->verdict = PG_VERDICT_DROP;
	d->reason = PG_REASON_INTERNAL;
	d->term = PG_NO_TERM;
	if (!take_tables(t, d))
		return false;
	if (t->gen->form != PG_FORM_EMPTY)
		return true;
	by_policy(t->gen, PG_STAGE_FILTER, d);
	return false;
}

static __always_inline bool use_tables(struct tables *t, const struct pg_tables_map *map, __u32 active)
{
	t->map = map;
	if (!map)
		return false;
	t->active = active & 1;
	t->gen = &map->ctl.gen[t->active];
	return true;
}

static __always_inline bool load_tables(struct tables *t, __u32 active)
{
	return use_tables(t, ONLY(pg_tables), active);
}
