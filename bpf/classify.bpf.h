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

/* One byte down a trie; a leaf stays where it is. */
static __always_inline __u32 step(const struct tables *t, __u32 entry, __u8 byte)
{
	__u32 at = (entry | (__u32)byte << 2) & (PG_NODES * 1024 - 4);

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

static __always_inline __u32 few_word(const struct tables *t, __u32 row, __u32 i)
{
	return *(const __u32 *)(ROWS(t) + ((row + i * 4) & (PG_ROW_WORDS * 8 - 4)));
}

/* The i-th term that a row of few names. */
static __always_inline __u32 row_few(const struct tables *t, __u32 row, __u32 i)
{
	__u32 word;

	if (row & PG_ONE_LEAF)
		return i ? PG_NO_TERM : row & PG_FEW_TERM;
	word = few_word(t, row, i);
	return word == PG_NO_TERM ? word : word & PG_FEW_TERM;
}

/* What is left of a set of terms; in the TINY form the leaf's other bits are one itself. */
static __always_inline __u64 narrow(const struct tables *t, __u64 set, __u32 leaf, bool tiny)
{
	return set & (tiny ? leaf : row_word(t, leaf, 0));
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

static __always_inline __u32 walk_saddr(const struct tables *t, const struct pkt *p)
{
	if (!(t->gen->dims & PG_DIM_SADDR))
		return t->gen->any;
	return walk_addr(t, t->gen->saddr, p->family & 1, p->saddr);
}

/*
 * The rows of a packet, and the first word of their intersection: in the WORD and TINY forms the
 * whole set of terms that match. `whole`: it has a whole TCP or UDP header. `saddr`: where its source
 * leads, if anybody asks for that.
 */
static __always_inline __u64 find_rows(const struct tables *t, const struct pkt *p, __u32 saddr,
				       bool whole, bool tiny, struct rows *r)
{
	const struct pg_gen *gen = t->gen;
	/* The verifier must see that these stay within their arrays. */
	__u32 v6 = p->family & 1, space = p->space & (_PG_SPACE_MAX - 1);
	__u32 l4 = p->l4_state & 7, dims = gen->dims, any = gen->any, few_none = gen->few_none;
	__u64 word;

	if (whole) /* what the step would lead to, in one */
		r->proto = gen->whole[v6][p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP];
	else
		r->proto = step(t, gen->proto[v6][l4], p->proto);
	word = tiny ? r->proto & ~PG_LEAF : row_word(t, r->proto, 0);
	r->saddr = r->daddr = r->sport = r->dport = r->detail = r->iface = any;
	r->few[FEW_SADDR] = r->few[FEW_DADDR] = r->few[FEW_SPORT] = r->few[FEW_DPORT] = few_none;
	if (dims & PG_DIM_SADDR) {
		r->saddr = saddr;
		if (!tiny)
			r->saddr = sort_leaf(r->saddr, gen->saddr_base[v6], few_none,
					     &r->few[FEW_SADDR]);
		word = narrow(t, word, r->saddr, tiny);
	}
	if (dims & PG_DIM_DPORT) {
		r->dport = walk_port(t, gen->dport[space], space, p->dport);
		if (!tiny)
			r->dport = sort_leaf(r->dport, gen->dport_base[space], few_none,
					     &r->few[FEW_DPORT]);
		word = narrow(t, word, r->dport, tiny);
	}
	/* Most policies ask for the two above or fewer: one test for the four others. */
	if (!(dims & ~(PG_DIM_SADDR | PG_DIM_DPORT)))
		return word;
	if (dims & PG_DIM_DADDR) {
		r->daddr = walk_addr(t, gen->daddr, v6, p->daddr);
		if (!tiny)
			r->daddr = sort_leaf(r->daddr, gen->daddr_base[v6], few_none,
					     &r->few[FEW_DADDR]);
		word = narrow(t, word, r->daddr, tiny);
	}
	if (dims & PG_DIM_SPORT) {
		r->sport = walk_port(t, gen->sport[space], space, p->sport);
		if (!tiny)
			r->sport = sort_leaf(r->sport, gen->sport_base[space], few_none,
					     &r->few[FEW_SPORT]);
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

/* What departs is not filtered yet: OUTPUT's policy accepts it. False: its flow is tracked. */
static __always_inline bool by_output_policy(struct decision *d)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	const struct pg_gen *gen = map ? &map->ctl.gen[generation(&map->ctl)] : NULL;

	d->verdict = PG_VERDICT_ACCEPT;
	d->reason = PG_REASON_POLICY;
	d->term = PG_NO_TERM;
	d->slot = gen ? gen->output_slot : 0;
	return !gen || !(gen->needs & PG_NEED_STATE);
}

/* By the policy of filter's chain. */
static __always_inline void by_policy(const struct pg_gen *gen, struct decision *d)
{
	d->verdict = (gen->base[PG_STAGE_FILTER].policy_kind - PG_ACT_ACCEPT) & 1;
	d->reason = PG_REASON_POLICY;
	d->slot = gen->base[PG_STAGE_FILTER].policy_slot;
	d->term = PG_NO_TERM;
}

/* This packet's tables. False: there are no rules, and it is decided. */
static __always_inline bool find_tables(struct tables *t, struct decision *d)
{
	d->verdict = PG_VERDICT_DROP;
	d->reason = PG_REASON_INTERNAL;
	d->term = PG_NO_TERM;
	t->map = ONLY(pg_tables);
	if (!t->map)
		return false;
	t->active = generation(&t->map->ctl);
	t->gen = &t->map->ctl.gen[t->active];
	if (t->gen->form != PG_FORM_EMPTY)
		return true;
	by_policy(t->gen, d);
	return false;
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
	__u32 word = 1 + (term / 64 & 63), all_differ = 1;

	if (t->gen->form == PG_FORM_HUGE)
		row = row_block(t, row, term / PG_BLOCK_TERMS & (PG_MAX_BLOCKS - 1));
	if (few & PG_ONE_LEAF) {
		all_differ = (few & PG_FEW_TERM) != term;
	} else if (few) {
#pragma unroll
		for (int i = 0; i < PG_FEW; i++) {
			__u32 differ = (few_word(t, few, i) ^ term) & PG_FEW_TERM;

			all_differ &= (differ | -differ) >> 31;
		}
	}
	return (row_word(t, row, word) >> (term & 63) & 1) | (all_differ ^ 1);
}

/* The fast way ---------------------------------------------------------------------------------- */

/*
 * For a packet with nothing wrong, of which mostly the first term that matches decides. Nothing is
 * counted on the way, so it can be given up at any point: FAST_UNSURE leaves it to the loop.
 */
#define FAST_STEPS 96
#define FAST_UNSURE (PG_NO_TERM - 1)

/* rec->rows is 0. */
static __always_inline bool header_holds(const struct pg_term_record *rec,
					 const struct query *q)
{
	__u32 bit = q->v6 * 2 + (q->tcp ? PG_PORT_TCP : PG_PORT_UDP);

	return rec->whole >> (bit & 3) & 1 && q->dport >= rec->dport_lo &&
	       q->dport <= rec->dport_hi && q->sport >= rec->sport_lo &&
	       q->sport <= rec->sport_hi && (!q->tcp || (q->flags & rec->flags_mask) == rec->flags_comp);
}

/* A term that a row of few names: does it hold? FAST_UNSURE where only bitmaps know. */
static __always_inline __u32 query_term(const struct tables *t, const struct query *q, __u32 term)
{
	const struct pg_term_record *rec = record(t, term);

	if (rec->rows & ~PG_DIM_IFACE)
		return FAST_UNSURE;
	if (header_holds(rec, q) && addrs_hold(rec, q->v6, q->saddr, q->daddr) &&
	    (!rec->rows || in_row(t, q->rows.iface, 0, term)))
		return term;
	return PG_NO_TERM;
}

/* One row's first term that holds and comes before `best`. */
static __always_inline __u32 query_few(const struct tables *t, const struct query *q, __u32 row,
				       __u32 best)
{
	__u32 word, term;

	if (best == FAST_UNSURE)
		return best;
	if (row & PG_ONE_LEAF) {
		term = row & PG_FEW_TERM;
		if (term < best)
			term = query_term(t, q, term);
		return term < best || term == FAST_UNSURE ? term : best;
	}
	NO_UNROLL for (int i = 0; i < PG_FEW; i++) {
		word = few_word(t, row, i);
		term = word & PG_FEW_TERM;
		if (term >= best || word == PG_NO_TERM)
			break;
		if (word & PG_FEW_PORT &&
		    word >> PG_FEW_PORT_SHIFT != (q->dport & PG_FEW_PORT_MASK))
			continue;
		term = query_term(t, q, term);
		if (term != PG_NO_TERM)
			return term;
	}
	return best;
}

static __always_inline bool load_tables(struct tables *t, __u32 active)
{
	t->map = ONLY(pg_tables);
	if (!t->map)
		return false;
	t->active = active & 1;
	t->gen = &t->map->ctl.gen[t->active];
	return true;
}

/* The first term that all rows share, if it comes before `best`. */
static __always_inline __u32 fast_search(const struct tables *t, const struct rows *r, __u64 first,
					 __u32 best)
{
	bool huge = t->gen->form == PG_FORM_HUGE;
	__u64 top = huge ? first : 0, summary = huge ? 0 : first, word;
	struct rows block = *r;
	__u32 block_base = 0, base, i;

	NO_UNROLL for (int n = 0; n < FAST_STEPS; n++) {
		if (summary) {
			i = lowest_bit(summary);
			summary &= summary - 1;
			base = block_base + i * 64;
			if (base >= best)
				return best;
			word = intersect(t, &block, i + 1);
			if (word) {
				base += lowest_bit(word);
				return base < best ? base : best;
			}
		} else if (top) {
			i = lowest_bit(top);
			top &= top - 1;
			block_base = i * PG_BLOCK_TERMS;
			if (block_base >= best)
				return best;
			find_blocks(t, r, i, &block);
			summary = intersect(t, &block, 0);
		} else {
			return best;
		}
	}
	return FAST_UNSURE;
}

/*
 * The first term that holds; PG_NO_TERM: none; FAST_UNSURE. A global function, which the verifier
 * looks at once: inlined, every turn of its loops would be verified for every way that leads there.
 */
__noinline __u32 best_term(struct query *q)
{
	__u32 best = PG_NO_TERM;
	struct tables t;

	if (!q || !load_tables(&t, q->active))
		return FAST_UNSURE;
	best = query_few(&t, q, q->rows.few[FEW_SADDR], best);
	if (q->alone) /* every term asks for a source, so only these can hold */
		return best;
	best = query_few(&t, q, q->rows.few[FEW_DPORT], best);
	if (t.gen->dims & (PG_DIM_DADDR | PG_DIM_SPORT)) {
		best = query_few(&t, q, q->rows.few[FEW_DADDR], best);
		best = query_few(&t, q, q->rows.few[FEW_SPORT], best);
	}
	if (!q->first || best == FAST_UNSURE)
		return best;
	return fast_search(&t, &q->rows, q->first, best);
}

/* False: more is to be done than to accept or drop, and nothing was counted yet. */
static __always_inline bool fast_take(const struct tables *t, __u32 term, struct decision *d)
{
	const struct pg_base *base = &t->gen->base[PG_STAGE_FILTER];
	const struct pg_term_record *rec;

	/* Behind INPUT's terms stand those of the chains it jumps to. */
	if (term >= base->span.end) {
		by_policy(t->gen, d);
		return true;
	}
	rec = record(t, term);
	d->term = term;
	d->slot = rec->slot;
	d->verdict = (rec->kind - PG_ACT_ACCEPT) & 1;
	d->reason = PG_REASON_RULE;
	return !rec->checks && (rec->kind == PG_ACT_ACCEPT || rec->kind == PG_ACT_DROP);
}

/* In memory of its own, because the stack is short. */
static __always_inline __u32 ask_tables(const struct tables *t, const struct pkt *p)
{
	struct pkt *scratch = this_pkt();
	__u32 saddr = walk_saddr(t, p), v6 = p->family & 1;
	struct query *q;

	if (!scratch)
		return FAST_UNSURE;
	q = &scratch->query;
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
	q->active = t->active;
	q->alone = false;
	if (saddr & PG_FEW_LEAF && t->gen->saddr_base[v6] == t->gen->none &&
	    !(t->gen->dims & PG_DIM_IFACE)) {
		q->rows.few[FEW_SADDR] = saddr;
		q->alone = true;
		return best_term(q);
	}
	q->first = find_rows(t, p, saddr, true, false, &q->rows);
	return best_term(q);
}

static __always_inline bool classify_fast(const struct pkt *p, struct decision *d)
{
	struct tables t;
	struct rows r;
	__u64 first;
	__u32 term;

	if (!find_tables(&t, d))
		return d->reason != PG_REASON_INTERNAL;
	if (t.gen->needs & (PG_NEED_RAW | PG_NEED_STATE))
		return false;
	if (t.gen->form == PG_FORM_TINY) {
		first = find_rows(&t, p, walk_saddr(&t, p), true, true, &r);
		return fast_take(&t, first ? lowest_bit(first) : PG_NO_TERM, d);
	}
	if (t.gen->form == PG_FORM_WORD) {
		first = find_rows(&t, p, walk_saddr(&t, p), true, false, &r);
		return fast_take(&t, first ? lowest_bit(first) : PG_NO_TERM, d);
	}
	term = ask_tables(&t, p);
	return term != FAST_UNSURE && fast_take(&t, term, d);
}

/* The loop -------------------------------------------------------------------------------------- */

/*
 * What it carries from step to step lies in p->progress, in a map: from there the verifier takes it
 * for any value, and checks one step only (bpf_loop() runs the rest).
 */
#define MAX_STEPS (1 << 19)

/* A term against all the rows of its packet; addresses only if the record says so. */
static __always_inline bool rows_hold(const struct tables *t, const struct rows *r, __u32 term,
				      __u16 addrs)
{
	return in_row(t, r->proto, 0, term) && in_row(t, r->sport, r->few[FEW_SPORT], term) &&
	       in_row(t, r->dport, r->few[FEW_DPORT], term) && in_row(t, r->detail, 0, term) &&
	       in_row(t, r->iface, 0, term) &&
	       (!(addrs & PG_DIM_SADDR) || in_row(t, r->saddr, r->few[FEW_SADDR], term)) &&
	       (!(addrs & PG_DIM_DADDR) || in_row(t, r->daddr, r->few[FEW_DADDR], term));
}

/* Does a term that a row of few names hold? */
static __always_inline bool few_holds(const struct tables *t, const struct pkt *p, __u32 term)
{
	const struct pg_term_record *rec = record(t, term);

	return addrs_hold(rec, p->family & 1, p->saddr, p->daddr) &&
	       rows_hold(t, &p->progress.rows, term, rec->rows);
}

#define FEW_END (FEW_ROWS * PG_FEW)

/* Look for `best` anew. */
static __always_inline void find_best(const struct tables *t, struct progress *at)
{
	__u32 none = t->gen->few_none;
	const __u32 *few = at->rows.few;

	at->best = PG_NO_TERM;
	at->few_at = few[0] == none && few[1] == none && few[2] == none && few[3] == none ?
			     FEW_END :
			     0;
}

/* The next term that a row of few names: the first from the cursor on that holds is `best`. */
static __always_inline void few_step(const struct tables *t, struct pkt *p)
{
	struct progress *at = &p->progress;
	__u32 i = at->few_at, term;

	term = row_few(t, at->rows.few[i / PG_FEW & (FEW_ROWS - 1)], i % PG_FEW);
	at->few_at = i + 1;
	if (term < at->cursor)
		return;
	if (term < at->best) {
		if (!few_holds(t, p, term))
			return;
		at->best = term;
	}
	at->few_at = (i / PG_FEW + 1) * PG_FEW; /* the next row: this one is ascending */
}

/* Go on at a term, with the rows that were found. */
static __always_inline void search_from(struct progress *at, __u32 cursor, __u32 end)
{
	at->cursor = cursor;
	at->end = end;
	at->restart = 1;
}

static __always_inline void restart(const struct tables *t, struct pkt *p)
{
	struct progress *at = &p->progress;
	__u32 form = t->gen->form, cursor = at->cursor;

	at->restart = 0;
	at->top = at->summary = at->word = 0;
	at->block_base = at->base = 0;
	at->best = PG_NO_TERM;
	if (form == PG_FORM_HUGE)
		at->top = at->first & from_bit(cursor / PG_BLOCK_TERMS);
	else if (form == PG_FORM_TREE)
		at->summary = at->first & from_bit(cursor / 64);
	else
		at->word = cursor < 64 ? at->first & from_bit(cursor) : 0;
	at->few_at = FEW_END;
	if (form == PG_FORM_HUGE || form == PG_FORM_TREE)
		find_best(t, at);
}

/* Bits of `each` terms, the first of which is `first`: those at or behind the cursor. */
static __always_inline __u64 from_cursor(__u32 cursor, __u32 first, __u32 each)
{
	__u32 skip = cursor > first ? (cursor - first) / each : 0;

	return skip > 63 ? 0 : from_bit(skip);
}

/*
 * The next word or block that may have a term before `best`. False: there is none; those behind
 * `best` stay for when it has been visited.
 */
static __always_inline bool go_on(const struct tables *t, struct progress *at)
{
	__u32 i, base;

	if (at->summary) {
		i = lowest_bit(at->summary);
		base = at->block_base + i * 64;
		if (base >= at->best)
			return false;
		at->summary &= at->summary - 1;
		at->base = base;
		at->word = intersect(t, t->gen->form == PG_FORM_HUGE ? &at->block : &at->rows,
				     i + 1) &
			   from_cursor(at->cursor, base, 1);
		return true;
	}
	if (!at->top)
		return false;
	i = lowest_bit(at->top);
	base = i * PG_BLOCK_TERMS;
	if (base >= at->best)
		return false;
	at->top &= at->top - 1;
	at->block_base = base;
	find_blocks(t, &at->rows, i, &at->block);
	at->summary = intersect(t, &at->block, 0) & from_cursor(at->cursor, base, 64);
	return true;
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
	const struct pg_base *base = &t->gen->base[stage];

	p->progress.stage = stage;
	p->progress.depth = 0;
	search_from(&p->progress, base->span.start, base->span.end);
}

/* Accepted by this stage: the packet is the next one's, or through. */
static __always_inline long accept_stage(const struct tables *t, struct pkt *p,
					 enum pg_reason reason, __u32 slot)
{
	if (p->progress.stage == PG_STAGE_FILTER)
		return finish(&p->progress, PG_VERDICT_ACCEPT, reason, slot);
	count_rule(slot, p);
	begin_stage(t, p, PG_STAGE_FILTER);
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
	base = &t->gen->base[at->stage & 1];
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
		return finish(at, PG_VERDICT_DROP, at->missing_why, 0);
	return act(t, p, loop);
}

/* A match has dropped the packet; a rule that holds all the same has counted it. */
static __always_inline long drop_counted(const struct tables *t, struct pkt *p, bool counts)
{
	const struct pg_term_record *rec = record(t, p->progress.term);

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
		return finish(at, PG_VERDICT_DROP, at->missing_why, 0);
	return act(t, p, loop);
}

/* One step: a check, a word, a block, or a term. 1: decided. */
static __always_inline long loop_step(struct loop *loop)
{
	struct pkt *p = this_pkt();
	struct progress *at;
	struct tables t;
	__u32 next;

	if (!p || !load_tables(&t, p->active))
		return 1;
	at = &p->progress;
	if (at->check != at->checks_end)
		return one_check(&t, p, loop);
	if (at->restart)
		restart(&t, p);
	if (at->few_at < FEW_END) {
		few_step(&t, p);
		return 0;
	}
	if (!at->word && go_on(&t, at))
		return 0;
	next = at->word ? at->base + lowest_bit(at->word) : PG_NO_TERM;
	at->term = next < at->best ? next : at->best;
	if (at->term >= at->end)
		return leave_chain(&t, p, 0);
	if (at->word && next == at->term)
		at->word &= at->word - 1;
	at->cursor = at->term + 1;
	if (at->best == at->term)
		find_best(&t, at);
	return meet(&t, p, loop);
}

static long loop_xdp(__u64 i, void *loop)
{
	(void)i;
	return loop_step(loop);
}

static long loop_tc(__u64 i, void *loop)
{
	(void)i;
	return loop_step(loop);
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
	at->stage = PG_STAGE_FILTER;
	if (!load_tables(&t, p->active))
		return false;
	if (t.gen->form == PG_FORM_EMPTY) {
		const struct pg_base *base = &t.gen->base[PG_STAGE_FILTER];

		finish(at, (base->policy_kind - PG_ACT_ACCEPT) & 1, PG_REASON_POLICY,
		       base->policy_slot);
		return false;
	}
	if (t.gen->form == PG_FORM_TINY)
		at->first = find_rows(&t, p, walk_saddr(&t, p), false, true, &at->rows);
	else
		at->first = find_rows(&t, p, walk_saddr(&t, p), false, false, &at->rows);
	at->cannot = unanswerable(p, &missing_why);
	at->missing_why = missing_why;
	at->check = at->checks_end = 0;
	barrier();
	begin_stage(&t, p, t.gen->needs & PG_NEED_RAW ? PG_STAGE_RAW : PG_STAGE_FILTER);
	return true;
}

/*
 * Global functions, which the verifier looks at once and not for every way that leads here. They
 * find the packet where the parser has left it, and leave there what comes of it.
 */
__noinline int classify_xdp(struct xdp_md *ctx)
{
	struct loop loop = { .ctx = ctx, .xdp = true };
	struct pkt *p = this_pkt();

	if (!p)
		return 0;
	if (p->progress.wants_state) {
		bpf_loop(MAX_STEPS, loop_xdp, &loop, 0); /* goes on where it stopped */
		return 0;
	}
	load_headers(ctx, true, p);
	barrier();
	if (begin(p))
		bpf_loop(MAX_STEPS, loop_xdp, &loop, 0);
	return 0;
}

__noinline int classify_tc(struct __sk_buff *skb)
{
	struct loop loop = { .ctx = skb, .xdp = false };
	struct pkt *p = this_pkt();

	if (!p)
		return 0;
	if (p->progress.wants_state) {
		bpf_loop(MAX_STEPS, loop_tc, &loop, 0); /* goes on where it stopped */
		return 0;
	}
	load_headers(skb, false, p);
	barrier();
	if (begin(p))
		bpf_loop(MAX_STEPS, loop_tc, &loop, 0);
	return 0;
}
