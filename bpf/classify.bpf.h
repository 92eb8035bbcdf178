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

/* What is left of a set of terms; in the TINY form the leaf's other bits are one itself. */
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

static __always_inline __u32 walk_saddr(const struct tables *t, const struct pkt *p,
					enum pg_form form)
{
	if (!(t->gen->dims & PG_DIM_SADDR))
		return t->gen->any;
	return walk_addr(t, t->gen->saddr, p->family & 1, p->saddr, form);
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
 * whole set of terms that match. `form`: TREE stands for any but TINY. `whole`: it has a whole TCP or
 * UDP header. `saddr`: where its source leads, if anybody asks for that.
 */
static __always_inline __u64 find_rows(const struct tables *t, const struct pkt *p, __u32 saddr,
				       bool whole, enum pg_form form, struct rows *r)
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
	word = form == PG_FORM_TINY ? r->proto & ~PG_LEAF : row_word(t, r->proto, 0);
	r->saddr = r->daddr = r->sport = r->dport = r->detail = r->iface = any;
	r->few[FEW_SADDR] = r->few[FEW_DADDR] = r->few[FEW_SPORT] = r->few[FEW_DPORT] = few_none;
	if (dims & PG_DIM_SADDR) {
		r->saddr = saddr;
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

/* Verifying one term -------------------------------------------------------------------------- */

static __always_inline __u64 be64(const __be32 *at)
{
	return (__u64)bpf_ntohl(at[0]) << 32 | bpf_ntohl(at[1]);
}

/* The first `bits` bits are those of the record. */
static __always_inline bool same_prefix(const __be32 *addr, const __be32 *want, __u8 bits)
{
	__u64 hi = be64(addr) ^ be64(want), lo;

	if (bits < 64)
		return !bits || !(hi >> (64 - bits & 63));
	lo = be64(addr + 2) ^ be64(want + 2);
	return !hi && (bits == 64 || !(lo >> (128 - bits & 63)));
}

static __always_inline bool addr_holds(bool v6, const __be32 *addr, const __be32 *want, __u8 bits,
				       bool invert)
{
	bool same = v6 ? same_prefix(addr, want, bits) : !((addr[0] ^ want[0]) & want[1]);

	return same != invert;
}

/* Its addresses, which is what a trie that ended early has not looked at. */
static __always_inline bool addrs_hold(const struct pg_term_record *rec, bool v6,
				       const __be32 *saddr, const __be32 *daddr)
{
	return addr_holds(v6, saddr, rec->saddr, rec->slen, rec->invert & PG_DIM_SADDR) &&
	       addr_holds(v6, daddr, rec->daddr, rec->dlen, rec->invert & PG_DIM_DADDR);
}

/* Is the term in this row, or among the few? Without branches, for the verifier's sake. */
static __always_inline bool in_row(const struct tables *t, __u32 row, __u32 few, __u32 term)
{
	__u32 word = 1 + (term / 64 & (PG_TREE_TERMS / 64 - 1)), named = 0, more = 1;

	if (t->gen->form == PG_FORM_HUGE) {
		row = row_block(t, row, term / PG_BLOCK_TERMS & (PG_MAX_BLOCKS - 1));
		word = 1 + (term / 64 & 63);
	}
	if (few) {
		NO_UNROLL for (int i = 0; i < PG_FEW; i++) { /* for the stack's sake */
			__u32 what = few_at(t, few, i)->term, differ = (what ^ term) & PG_FEW_TERM;

			named |= more & ~(-differ >> 31);
			more &= ~(what / PG_FEW_LAST);
		}
	}
	return (row_word(t, row, word) >> (term & 63) & 1) | (named & 1);
}

/* Searching ------------------------------------------------------------------------------------- */

/* next_term() was given up, at the term in the upper half of what it returns. */
#define TERM_UNSURE (PG_NO_TERM - 1)

/* An entry of a row of few without which the term does not hold. `bit`: of pg_term_record.whole. */
static __always_inline bool few_may_hold(const struct pg_few *f, __be32 addr, __u16 dport, __u32 bit)
{
	__u64 differ = bpf_ntohl(addr) ^ f->addr;

	return f->term >> (PG_FEW_WHOLE_SHIFT + (bit & 3)) & 1 && dport >= f->dport_lo &&
	       dport <= f->dport_hi && !(differ >> (32 - (f->term >> PG_FEW_BITS_SHIFT) & 63));
}

static __always_inline __u64 sure(const struct pg_few *f)
{
	return f->term | (__u64)f->slot << 32;
}

/* As far as rec->rows does not say that bitmaps know more. */
static __always_inline bool header_holds(const struct pg_term_record *rec,
					 const struct query *q)
{
	__u32 bit = q->v6 * 2 + (q->tcp ? PG_PORT_TCP : PG_PORT_UDP);

	return rec->whole >> (bit & 3) & 1 && q->dport >= rec->dport_lo &&
	       q->dport <= rec->dport_hi && q->sport >= rec->sport_lo &&
	       q->sport <= rec->sport_hi && (!q->tcp || (q->flags & rec->flags_mask) == rec->flags_comp);
}

/*
 * in_row() by a call: six times inlined, it is a million ways through term_holds() to the verifier of
 * Linux 6.1.
 */
__noinline int row_has(struct query *q, __u32 row, __u32 few, __u32 term)
{
	struct tables t;

	return q && load_tables(&t, q->active) && in_row(&t, row, few, term);
}

/* A term against the rows of the dimensions in `dims`. */
static __always_inline bool rows_hold(struct query *q, __u32 term, __u32 dims)
{
	const struct rows *r = &q->rows;

	return (!(dims & PG_DIM_SPORT) || row_has(q, r->sport, r->few[FEW_SPORT], term)) &&
	       (!(dims & PG_DIM_DPORT) || row_has(q, r->dport, r->few[FEW_DPORT], term)) &&
	       (!(dims & PG_DIM_DETAIL) || row_has(q, r->detail, 0, term)) &&
	       (!(dims & PG_DIM_IFACE) || row_has(q, r->iface, 0, term)) &&
	       (!(dims & PG_DIM_SADDR) || row_has(q, r->saddr, r->few[FEW_SADDR], term)) &&
	       (!(dims & PG_DIM_DADDR) || row_has(q, r->daddr, r->few[FEW_DADDR], term));
}

/*
 * Does a term hold that a row of few names? A global function, as those below: the verifier looks
 * at these once, where inlined it would look at every turn of a loop for every way that leads there.
 */
__noinline int term_holds(struct query *q, __u32 term)
{
	const struct pg_term_record *rec;
	struct tables tables, *t = &tables;
	__u32 dims;

	if (!q || !load_tables(t, q->active))
		return false;
	rec = record(t, term);
	dims = rec->rows;
	if (!addrs_hold(rec, q->v6, q->saddr, q->daddr))
		return false;
	if (!q->whole)
		dims |= PG_DIM_SPORT | PG_DIM_DPORT | PG_DIM_DETAIL | PG_DIM_IFACE;
	if (q->whole ? !header_holds(rec, q) : !row_has(q, q->rows.proto, 0, term))
		return false;
	return !dims || rows_hold(q, term, dims);
}

/* One row's first term that holds and comes before `best`. */
static __always_inline __u64 query_few(const struct tables *t, struct query *q, __u32 row,
				       __u64 best)
{
	__u32 bit = q->v6 * 2 + (q->tcp ? PG_PORT_TCP : PG_PORT_UDP);

	if (row == t->gen->few_none)
		return best;
	NO_UNROLL for (int i = 0; i < PG_FEW; i++) {
		const struct pg_few *f = few_at(t, row, i);
		__u32 what = f->term, term = what & PG_FEW_TERM;

		if (term >= (best & PG_FEW_TERM))
			break;
		if (term >= q->cursor &&
		    (!q->whole ||
		     few_may_hold(f, q->saddr[what >> PG_FEW_WORD_SHIFT & 3], q->dport, bit))) {
			const struct pg_term_record *rec = record(t, term);

			if (q->whole && what & PG_FEW_SURE)
				return sure(f);
			/* The call is for what records don't know. */
			if (q->whole && !rec->rows ?
				    header_holds(rec, q) && addrs_hold(rec, q->v6, q->saddr, q->daddr) :
				    term_holds(q, term))
				return term;
		}
		if (what & PG_FEW_LAST)
			break;
	}
	return best;
}

/*
 * For a whole TCP or UDP header whose source's row is all there is, because every term asks for a
 * source: the term that holds, as next_term() returns it. The first of the two knows IPv4 and
 * terms that are sure.
 */
__noinline __u64 sure_term_of_source(__u32 row, __be32 saddr, __u32 dport, __u32 bit)
{
	struct tables t;

	if (!load_tables(&t, 0))
		return TERM_UNSURE;
	NO_UNROLL for (int i = 0; i < PG_FEW; i++) {
		const struct pg_few *f = few_at(&t, row, i);

		if (few_may_hold(f, saddr, dport, bit))
			return f->term & PG_FEW_SURE ? sure(f) : TERM_UNSURE;
		if (f->term & PG_FEW_LAST)
			break;
	}
	return PG_NO_TERM;
}

__noinline __u64 term_of_source(struct query *q, __u32 row)
{
	struct tables t;
	__u32 bit;

	if (!q || !load_tables(&t, q->active))
		return TERM_UNSURE;
	bit = q->v6 * 2 + (q->tcp ? PG_PORT_TCP : PG_PORT_UDP);
	NO_UNROLL for (int i = 0; i < PG_FEW; i++) {
		const struct pg_few *f = few_at(&t, row, i);
		__u32 what = f->term;

		barrier();
		if (few_may_hold(f, q->saddr[what >> PG_FEW_WORD_SHIFT & 3], q->dport, bit)) {
			const struct pg_term_record *rec = record(&t, what);

			if (what & PG_FEW_SURE)
				return sure(f);
			if (rec->rows)
				return TERM_UNSURE;
			if (header_holds(rec, q) && addrs_hold(rec, q->v6, q->saddr, q->daddr))
				return what & PG_FEW_TERM;
		}
		if (what & PG_FEW_LAST)
			break;
	}
	return PG_NO_TERM;
}

/* Bits of `each` terms, the first of which is `first`: those at or behind the cursor. */
static __always_inline __u64 from_cursor(__u32 cursor, __u32 first, __u32 each)
{
	__u32 skip = cursor > first ? (cursor - first) / each : 0;

	return skip > 63 ? 0 : from_bit(skip);
}

/* So many words or blocks are looked at before a search stops: the verifier follows every turn. */
#define SEARCH_STEPS 16
/* And so many of the terms that bitmaps know too little of. */
#define VERIFIED_TERMS 32

/*
 * `rows`: q->rows, or in the HUGE form q->block. `pairs`: as in pg_gen. `all`: see intersect(). Each
 * turn looks at one word, or at one pair of them.
 */
static __always_inline __u64 search_words(const struct tables *t, struct query *q,
					  const struct rows *rows, __u64 best, bool pairs, bool all)
{
	__u32 block_base = 0, base = 0, limit = best & PG_FEW_TERM, i;
	__u32 each = pairs ? 128 : 64;
	__u64 top = 0, summary = 0, word;

	if (!pairs && t->gen->form == PG_FORM_HUGE)
		top = q->first & from_cursor(q->cursor, 0, PG_BLOCK_TERMS);
	else
		summary = q->first & from_cursor(q->cursor, 0, each);
	NO_UNROLL for (int n = 0; n < SEARCH_STEPS; n++) {
		if (summary) {
			i = lowest_bit(summary);
			summary &= summary - 1;
			base = block_base + i * each;
			if (base >= limit)
				return best;
			i *= each / 64;
			word = intersect(t, rows, i + 1, all) & from_cursor(q->cursor, base, 1);
			if (pairs && !word) {
				base += 64;
				word = intersect(t, rows, i + 2, all) &
				       from_cursor(q->cursor, base, 1);
			}
			if (word) {
				base += lowest_bit(word);
				return base < limit ? base : best;
			}
			base += 64;
		} else if (top) {
			i = lowest_bit(top);
			top &= top - 1;
			block_base = base = i * PG_BLOCK_TERMS;
			if (block_base >= limit)
				return best;
			find_blocks(t, &q->rows, i, &q->block);
			summary = intersect(t, &q->block, 0, true) &
				  from_cursor(q->cursor, block_base, 64);
		} else {
			return best;
		}
	}
	return TERM_UNSURE | (__u64)base << 32;
}

/* The first term from the cursor on that all rows share, if it comes before `best`. */
__noinline __u64 search_rows(struct query *q, __u64 best)
{
	const struct rows *rows;
	struct tables t;

	if (!q || !use_tables(&t, ONLY_LEAN(pg_tables), q->active))
		return PG_NO_TERM;
	rows = t.gen->form == PG_FORM_HUGE ? &q->block : &q->rows;
	if (t.gen->pairs)
		return search_words(&t, q, rows, best, true, true);
	if (t.gen->dims & (PG_DIM_DETAIL | PG_DIM_IFACE))
		return search_words(&t, q, rows, best, false, true);
	return search_words(&t, q, rows, best, false, false);
}

static __always_inline void take_own_row(const struct tables *t, __u32 *few, __u32 *row)
{
	if (*few & PG_FEW_OWN)
		*row = few_at(t, *few, -1)->slot;
	*few &= ~PG_FEW_OWN;
}

/* find_rows() took the base row for every row of few. (To do it there takes stack that is not there.) */
static __always_inline void take_own_rows(const struct tables *t, struct query *q)
{
	struct rows *r = &q->rows;

	if (!((r->few[FEW_SADDR] | r->few[FEW_DADDR]) & PG_FEW_OWN))
		return;
	take_own_row(t, &r->few[FEW_SADDR], &r->saddr);
	take_own_row(t, &r->few[FEW_DADDR], &r->daddr);
	q->first = intersect(t, r, 0, true);
}

/* How many terms a bit of rows' first words stands for. */
static __always_inline __u32 summary_terms(const struct pg_gen *gen)
{
	return gen->form == PG_FORM_HUGE ? PG_BLOCK_TERMS : 64 << (gen->pairs & 1);
}

/*
 * The first term from the cursor on that holds. The lower half is its number (below PG_FEW_LAST: no
 * more than that; else as sure() has it); PG_NO_TERM: none; TERM_UNSURE: not before the
 * term in the upper half.
 */
__noinline __u64 next_term(struct query *q)
{
	__u64 best = PG_NO_TERM, word;
	struct tables t;

	if (!q || !use_tables(&t, ONLY_LEAN(pg_tables), q->active))
		return PG_NO_TERM;
	if (t.gen->form == PG_FORM_TINY || t.gen->form == PG_FORM_WORD) {
		word = q->first & from_cursor(q->cursor, 0, 1);
		return word ? lowest_bit(word) : PG_NO_TERM;
	}
	take_own_rows(&t, q);
	best = query_few(&t, q, q->rows.few[FEW_SADDR], best);
	best = query_few(&t, q, q->rows.few[FEW_DPORT], best);
	if (t.gen->dims & (PG_DIM_DADDR | PG_DIM_SPORT)) {
		best = query_few(&t, q, q->rows.few[FEW_DADDR], best);
		best = query_few(&t, q, q->rows.few[FEW_SPORT], best);
	}
	if (!q->first || lowest_bit(q->first) * summary_terms(t.gen) >= (best & PG_FEW_TERM))
		return best;
	if (!t.gen->verify)
		return search_rows(q, best);
	NO_UNROLL for (int i = 0; i < VERIFIED_TERMS; i++) {
		__u64 found = search_rows(q, best);

		if ((__u32)found == TERM_UNSURE || found == best || term_holds(q, found))
			return found;
		q->cursor = (__u32)found + 1;
	}
	return TERM_UNSURE | (__u64)q->cursor << 32;
}

/* The fast way ---------------------------------------------------------------------------------- */

/*
 * For a packet with nothing wrong, of which mostly the first term that matches decides. Nothing is
 * counted on the way, so it can be given up at any point, and left to the loop.
 */

/* Is the state all that it asks, and is it right with ESTABLISHED? */
static __always_inline bool fast_asks_established(const struct tables *t,
						  const struct pg_term_record *rec,
						  struct decision *d)
{
	const struct pg_check *c = &t->map->check[t->active][rec->check & (PG_MAX_CHECKS / 2 - 1)];

	d->track = TRACK_ESTABLISHED;
	return rec->checks == 1 && c->kind == PG_CHECK_STATE &&
	       !!(c->v[0] & PG_CT_ESTABLISHED) != c->invert;
}

/* False: more is to be done than to accept or drop, and nothing was counted yet. */
static __always_inline bool fast_take(const struct tables *t, __u64 found, enum pg_stage hook,
				      struct decision *d)
{
	const struct pg_base *base = &t->gen->base[hook];
	const struct pg_term_record *rec;
	__u32 what = found, term = what & PG_FEW_TERM, brief;

	if (what == TERM_UNSURE)
		return false;
	/* Behind the chain's terms stand those of others. */
	if (term >= base->span.end) {
		by_policy(t->gen, hook, d);
		return true;
	}
	d->term = term;
	d->reason = PG_REASON_RULE;
	if (what >= PG_FEW_LAST) {
		d->slot = found >> 32;
		d->verdict = what / PG_FEW_DROP & 1;
		return true;
	}
	brief = t->map->brief[t->active & 1][term & (PG_MAX_TERMS - 1)];
	if (brief) {
		d->slot = brief & ~(PG_BRIEF | PG_BRIEF_DROP);
		d->verdict = brief / PG_BRIEF_DROP & 1;
		return true;
	}
	rec = record(t, term);
	d->slot = rec->slot;
	d->verdict = (rec->kind - PG_ACT_ACCEPT) & 1;
	if (rec->kind != PG_ACT_ACCEPT && rec->kind != PG_ACT_DROP)
		return false;
	return !rec->checks || (d->track && fast_asks_established(t, rec, d));
}

static __always_inline void fill_query(struct query *q, const struct pkt *p, __u32 active)
{
	q->saddr[0] = p->saddr[0];
	q->daddr[0] = p->daddr[0];
	if (p->family == PG_FAMILY_V6) {
		__builtin_memcpy(q->saddr, p->saddr, 16);
		__builtin_memcpy(q->daddr, p->daddr, 16);
	}
	q->sport = p->sport;
	q->dport = p->dport;
	q->v6 = p->family & 1;
	q->tcp = p->proto == IPPROTO_TCP;
	q->flags = p->tcp_flags;
	q->active = active;
}

#define FAST_TRIES 8

/* In memory of its own, because the stack is short. */
static __always_inline __u64 ask_tables(const struct tables *t, const struct pkt *p,
					__u32 cursor)
{
	struct pkt *scratch = this_pkt();
	__u32 saddr = walk_saddr(t, p, PG_FORM_TREE), v6 = p->family & 1;
	bool alone = !cursor && p->has_ports && saddr & PG_FEW_LEAF &&
		     t->gen->saddr_base[v6] == t->gen->none && !t->gen->homes;
	__u64 found = TERM_UNSURE;
	struct query *q;

	if (alone && !v6)
		found = sure_term_of_source(saddr, p->saddr[0], p->dport,
					    p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP);
	if ((__u32)found != TERM_UNSURE || !scratch)
		return found;
	q = &scratch->query;
	if (alone) {
		fill_query(q, p, t->active);
		found = term_of_source(q, saddr);
	}
	if ((__u32)found != TERM_UNSURE)
		return found;
	q->first = find_rows(t, p, saddr, p->has_ports, PG_FORM_TREE, &q->rows);
	q->cursor = cursor;
	if (q->rows.name_few || t->gen->verify) {
		fill_query(q, p, t->active);
		q->whole = p->has_ports;
		return next_term(q);
	}
	if (!q->first)
		return PG_NO_TERM;
	q->active = t->active;
	NO_UNROLL for (int i = 0; i < FAST_TRIES; i++) {
		found = search_rows(q, PG_NO_TERM);
		if ((__u32)found != TERM_UNSURE)
			break;
		q->cursor = found >> 32;
	}
	return found;
}

/* INPUT or FORWARD: that is to be asked. */
static __always_inline bool may_be_forwarded(const struct tables *t, const struct pkt *p)
{
	return t->gen->needs & PG_NEED_FORWARD && !forwards_nothing(t->map, p->family);
}

/* The first term from the cursor on that holds, as next_term() returns it. */
static __always_inline __u64 first_term(const struct tables *t, const struct pkt *p, __u32 cursor)
{
	struct rows r;
	__u64 word;

	if (t->gen->form == PG_FORM_TINY)
		word = find_rows(t, p, walk_saddr(t, p, PG_FORM_TINY), p->has_ports,
				 PG_FORM_TINY, &r);
	else if (t->gen->form == PG_FORM_WORD)
		word = find_rows(t, p, walk_saddr(t, p, PG_FORM_WORD), p->has_ports,
				 PG_FORM_WORD, &r);
	else
		return ask_tables(t, p, cursor);
	word &= from_cursor(cursor, 0, 1);
	return word ? lowest_bit(word) : PG_NO_TERM;
}

static __always_inline bool classify_fast(const struct pkt *p, struct decision *d)
{
	struct tables t;

	if (!find_tables(&t, d))
		return d->reason != PG_REASON_INTERNAL && !(t.gen->needs & PG_NEED_WATCH) &&
		       !may_be_forwarded(&t, p);
	if (t.gen->needs & (PG_NEED_RAW | PG_NEED_WATCH) || may_be_forwarded(&t, p))
		return false;
	return fast_take(&t, first_term(&t, p, 0), PG_STAGE_FILTER, d);
}

/* Departures. True: decided. OUTPUT's terms stand behind INPUT's. */
static __always_inline bool depart_fast(const struct cursor *c, struct pkt *p, struct decision *d)
{
	struct tables t;

	if (!take_tables(&t, d))
		return false;
	if (t.gen->needs & (PG_NEED_RAW_OUTPUT | PG_NEED_WATCH) || (c->passing && d->track))
		return false;
	if (c->passing) {
		d->verdict = PG_VERDICT_ACCEPT;
		d->reason = PG_REASON_FORWARDED;
		d->term = PG_NO_TERM;
		return !(t.gen->needs & PG_NEED_FORWARD);
	}
	by_policy(t.gen, PG_STAGE_OUTPUT, d);
	if (!(t.gen->needs & PG_NEED_OUTPUT) || t.gen->form == PG_FORM_EMPTY)
		return !(t.gen->needs & PG_NEED_OUTPUT);
	p->hook = PG_STAGE_OUTPUT;
	return fast_take(&t, first_term(&t, p, t.gen->base[PG_STAGE_OUTPUT].span.start),
			 PG_STAGE_OUTPUT, d);
}

/* The loop -------------------------------------------------------------------------------------- */

/*
 * What it carries from step to step lies in p->progress, in a map: from there the verifier takes it
 * for any value, and checks one step only (bpf_loop() runs the rest).
 */
#define MAX_STEPS (1 << 19)

/* Go on at a term. */
static __always_inline void search_from(struct progress *at, __u32 cursor, __u32 end)
{
	at->cursor = cursor;
	at->end = end;
}

static __always_inline long finish(struct progress *at, enum pg_verdict verdict,
				   enum pg_reason reason, __u32 slot)
{
	at->done = verdict + 1;
	at->reason = reason;
	at->slot = slot;
	return 1;
}

static __always_inline void begin_stage(const struct tables *t, struct pkt *p, enum pg_stage stage)
{
	const struct pg_base *base = &t->gen->base[stage & (PG_STAGES - 1)];

	p->progress.stage = stage;
	p->progress.depth = 0;
	search_from(&p->progress, base->span.start, base->span.end);
}

/* Accepted by this stage: the packet is the next one's, or through. */
static __always_inline long accept_stage(const struct tables *t, struct pkt *p,
					 enum pg_reason reason, __u32 slot)
{
	if (p->progress.stage == p->hook)
		return finish(&p->progress, PG_VERDICT_ACCEPT, reason, slot);
	count_rule(slot, p);
	begin_stage(t, p, p->hook);
	return 0;
}

/* Back to the chain that jumped here, `extra` frames further up; without one, the policy. */
static __always_inline long leave_chain(const struct tables *t, struct pkt *p, __u32 extra)
{
	struct progress *at = &p->progress;
	const struct pg_base *base;
	__u32 up = 1 + extra;

	if (at->depth >= up) {
		at->depth -= up;
		barrier();
		search_from(at, at->stack[at->depth & (PG_MAX_DEPTH - 1)].cursor,
			    at->stack[at->depth & (PG_MAX_DEPTH - 1)].end);
		return 0;
	}
	base = &t->gen->base[at->stage & (PG_STAGES - 1)];
	at->term = PG_NO_TERM;
	if (base->policy_kind == PG_ACT_ACCEPT)
		return accept_stage(t, p, PG_REASON_POLICY, base->policy_slot);
	return finish(at, PG_VERDICT_DROP, PG_REASON_POLICY, base->policy_slot);
}

static __always_inline long enter_chain(const struct tables *t, struct pkt *p, __u32 chain,
					bool come_back)
{
	const struct pg_span *span = &t->map->chain[t->active][chain & (PG_MAX_CHAINS - 1)];
	struct progress *at = &p->progress;

	if (come_back) {
		__u32 top = at->depth & (PG_MAX_DEPTH - 1); /* the compiler counts */

		at->stack[top].cursor = at->cursor;
		at->stack[top].end = at->end;
		at->depth = top + 1;
	}
	search_from(at, span->start, span->end);
	return 0;
}

static __always_inline const struct pg_check *check_at(const struct tables *t, __u32 i)
{
	return &t->map->check[t->active][i & (PG_MAX_CHECKS / 2 - 1)];
}

/* The term holds: do what it says. 1: the packet is decided. */
static __always_inline long act(const struct tables *t, struct pkt *p, struct loop *loop)
{
	struct progress *at = &p->progress;
	const struct pg_term_record *rec = record(t, at->term);
	const struct pg_check *arg;

	if (rec->kind != PG_ACT_SPLIT)
		trace_term(p, at->term);
	if (cfg.trace)
		trace_outcome(PG_STEP_MATCH, 0);
	switch (rec->kind) {
	case PG_ACT_ACCEPT:
		return accept_stage(t, p, PG_REASON_RULE, rec->slot);
	case PG_ACT_DROP:
		return finish(at, PG_VERDICT_DROP, PG_REASON_RULE, rec->slot);
	case PG_ACT_REJECT:
		at->arg = rec->arg;
		return finish(at, PG_VERDICT_REJECT, PG_REASON_RULE, rec->slot);
	case PG_ACT_SPLIT:
		return enter_chain(t, p, rec->arg, true);
	}
	count_rule(rec->slot, p);
	switch (rec->kind) {
	case PG_ACT_RETURN:
		return leave_chain(t, p, rec->arg);
	case PG_ACT_JUMP:
		return enter_chain(t, p, rec->arg, true);
	case PG_ACT_GOTO:
		/* From within a split rule: as if from the chain the rule stands in. */
		at->depth -= rec->arg >> 24;
		return enter_chain(t, p, rec->arg & 0xffffff, false);
	case PG_ACT_LOG:
		log_packet(loop, p, rec, check_at(t, rec->arg), check_at(t, rec->arg + 1));
		return 0;
	case PG_ACT_MARK:
		arg = check_at(t, rec->arg);
		p->mark = (p->mark & ~arg->v[1]) ^ arg->v[0];
		return 0;
	case PG_ACT_NOTRACK:
		p->untracked = 1;
		return 0;
	}
	return 0;
}

/* The term asks for a header that is not there. */
static __always_inline long drop_missing(struct progress *at)
{
	if (cfg.trace)
		trace_outcome(PG_STEP_DROP, 0);
	return finish(at, PG_VERDICT_DROP, at->missing_why, 0);
}

/* The term's bitmaps hold: now its checks, and what it asks of a header that is not all there. */
static __always_inline long meet(const struct tables *t, struct pkt *p, struct loop *loop)
{
	struct progress *at = &p->progress;
	const struct pg_term_record *rec = record(t, at->term);

	at->check = rec->check;
	at->then_drop = !!(rec->asks & at->cannot);
	at->checks_end = rec->check;
	at->must_drop = 0;
	at->walk = 0;
	if (!(rec->asks & at->cannot & PG_ASK_PROTO)) /* -p is the first of all conditions */
		at->checks_end += at->then_drop ? rec->before : rec->checks;
	if (at->check != at->checks_end)
		return 0;
	if (at->then_drop)
		return drop_missing(at);
	return act(t, p, loop);
}

/* A match has dropped the packet; a rule that holds all the same has counted it. */
static __always_inline long drop_counted(const struct tables *t, struct pkt *p, bool counts)
{
	const struct pg_term_record *rec = record(t, p->progress.term);

	if (cfg.trace)
		trace_outcome(PG_STEP_DROP, p->progress.check - rec->check);
	if (counts && rec->kind != PG_ACT_SPLIT)
		count_rule(rec->slot, p);
	return finish(&p->progress, PG_VERDICT_DROP, PG_REASON_SHORT_L4, 0);
}

static __always_inline long one_check(const struct tables *t, struct pkt *p, struct loop *loop)
{
	struct progress *at = &p->progress;
	enum check_result result = check_holds(check_at(t, at->check), p, loop);

	if (result == CHECK_AGAIN)
		return 0;
	at->walk = 0;
	switch (result) {
	case CHECK_WAITS:
		at->wants_state = 1;
		return 1;
	case CHECK_FAILS:
		if (at->must_drop)
			return drop_counted(t, p, false);
		if (cfg.trace)
			trace_outcome(PG_STEP_CHECK, at->check - record(t, at->term)->check);
		at->check = at->checks_end;
		return 0;
	case CHECK_DROPS:
		return drop_counted(t, p, false);
	case CHECK_HOLDS_AND_DROPS:
		at->must_drop = 1;
		break;
	default:
		break;
	}
	if (++at->check != at->checks_end)
		return 0;
	if (at->must_drop)
		return drop_counted(t, p, true);
	if (at->then_drop)
		return drop_missing(at);
	return act(t, p, loop);
}

/* One step: a check, or a term. 1: decided. */
static __always_inline long loop_step(struct loop *loop)
{
	struct pkt *p = this_pkt();
	struct progress *at;
	struct tables t;

	if (!p || !load_tables(&t, p->active))
		return 1;
	at = &p->progress;
	if (at->check != at->checks_end)
		return one_check(&t, p, loop);
	if (at->term >= at->end)
		return leave_chain(&t, p, 0);
	return meet(&t, p, loop);
}

__noinline int step_xdp(struct xdp_md *ctx)
{
	struct loop loop = { .ctx = ctx, .xdp = true };

	return loop_step(&loop);
}

__noinline int step_tc(struct __sk_buff *skb)
{
	struct loop loop = { .ctx = skb, .xdp = false };

	return loop_step(&loop);
}

/* The next term, unless the one at hand still has checks. False: the search goes on. */
static __always_inline bool find_term(struct pkt *p)
{
	struct progress *at = &p->progress;
	__u64 found;

	if (at->check != at->checks_end)
		return true;
	p->query.cursor = at->cursor;
	found = next_term(&p->query);
	if ((__u32)found == TERM_UNSURE) {
		if (cfg.trace)
			trace_search(at->cursor, found >> 32, PG_STEP_SO_FAR);
		at->cursor = found >> 32;
		return false;
	}
	at->term = found & PG_FEW_TERM;
	if (cfg.trace)
		trace_search(at->cursor, at->term, at->term < at->end ? PG_STEP_TERM : PG_STEP_END);
	at->cursor = at->term + 1;
	return true;
}

/*
 * bpf_loop() takes 0 or 1. clang sees what the global function returns, and leaves a mask out; the
 * verifier does not.
 */
static __always_inline long zero_or_one(long decided)
{
	asm volatile("%0 &= 1" : "+r"(decided));
	return decided;
}

static long loop_xdp(__u64 i, struct loop *loop)
{
	struct pkt *p = this_pkt();

	(void)i;
	return !p || (find_term(p) && zero_or_one(step_xdp(loop->ctx)));
}

static long loop_tc(__u64 i, struct loop *loop)
{
	struct pkt *p = this_pkt();

	(void)i;
	return !p || (find_term(p) && zero_or_one(step_tc(loop->ctx)));
}

/* Table raw comes first, where it is used. */
static __always_inline enum pg_stage first_stage(const struct pg_gen *gen, enum pg_stage hook)
{
	if (hook == PG_STAGE_OUTPUT)
		return gen->needs & PG_NEED_RAW_OUTPUT ? PG_STAGE_RAW_OUTPUT : hook;
	return gen->needs & PG_NEED_RAW ? PG_STAGE_RAW : hook;
}

/* Every packet's way, whatever it is, up to where the loop begins. False: it needs no loop. */
static __always_inline bool begin(struct pkt *p)
{
	enum pg_reason missing_why = PG_REASON_INTERNAL;
	struct progress *at = &p->progress;
	struct tables t;

	at->wants_state = 0;
	finish(at, PG_VERDICT_DROP, PG_REASON_INTERNAL, 0);
	at->term = PG_NO_TERM;
	at->stage = p->hook;
	if (!load_tables(&t, p->active))
		return false;
	if (t.gen->form == PG_FORM_EMPTY) {
		const struct pg_base *base = &t.gen->base[p->hook & (PG_STAGES - 1)];

		finish(at, (base->policy_kind - PG_ACT_ACCEPT) & 1, PG_REASON_POLICY,
		       base->policy_slot);
		return false;
	}
	fill_query(&p->query, p, p->active);
	p->query.whole = p->has_ports && p->l4_state == PG_L4_FULL &&
			 (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP);
	if (t.gen->form == PG_FORM_TINY)
		p->query.first = find_rows(&t, p, walk_saddr(&t, p, PG_FORM_TINY), false,
					   PG_FORM_TINY, &p->query.rows);
	else
		p->query.first = find_rows(&t, p, walk_saddr(&t, p, PG_FORM_TREE), false,
					   PG_FORM_TREE, &p->query.rows);
	at->cannot = unanswerable(p, &missing_why);
	at->missing_why = missing_why;
	at->check = at->checks_end = 0;
	barrier();
	begin_stage(&t, p, first_stage(t.gen, p->hook));
	return true;
}

/*
 * Global functions, which the verifier looks at once and not for every way that leads here. They
 * find the packet where the parser has left it, and leave there what comes of it. They are many and
 * short because all that call each other share 512 bytes of stack.
 */
__noinline int begin_xdp(struct xdp_md *ctx)
{
	struct pkt *p = this_pkt();

	if (!p)
		return false;
	load_headers(ctx, true, p);
	barrier();
	return begin(p);
}

__noinline int begin_tc(struct __sk_buff *skb)
{
	struct pkt *p = this_pkt();

	if (!p)
		return false;
	load_headers(skb, false, p);
	barrier();
	return begin(p);
}

/* Asked again when it has stopped for the connection's state: it goes on there. */
__noinline int classify_xdp(struct xdp_md *ctx)
{
	struct loop loop = { .ctx = ctx };
	struct pkt *p = this_pkt();

	if (p && (p->progress.wants_state || begin_xdp(ctx)))
		bpf_loop(MAX_STEPS, loop_xdp, &loop, 0);
	return 0;
}

__noinline int classify_tc(struct __sk_buff *skb)
{
	struct loop loop = { .ctx = skb };
	struct pkt *p = this_pkt();

	if (p && (p->progress.wants_state || begin_tc(skb)))
		bpf_loop(MAX_STEPS, loop_tc, &loop, 0);
	return 0;
}
