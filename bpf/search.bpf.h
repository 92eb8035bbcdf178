/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which of the rows' terms is the first that holds: by bitmaps, by entries and records, or both. */
#pragma once

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

/*
 * What an entry that is sure doesn't have of an IPv6 address: the words before its own. Without branches,
 * for the verifier's sake.
 */
static __always_inline bool words_before(const struct pg_few *f, const __be32 *addr,
					 const __be32 *want)
{
	__u32 word = f->term >> PG_FEW_WORD_SHIFT & 3;

	return !(((addr[0] ^ want[0]) & -((word + 3) >> 2)) |
		 ((addr[1] ^ want[1]) & -(word >> 1)) |
		 ((addr[2] ^ want[2]) & -((word + 1) >> 2)));
}

/* A whole header, as far as rec->rows does not say that bitmaps know more. `bit`: as above. */
static __always_inline bool header_holds(const struct pg_term_record *rec, __u32 bit, __u16 sport,
					 __u16 dport, __u8 flags)
{
	return rec->whole >> (bit & 3) & 1 && dport >= rec->dport_lo && dport <= rec->dport_hi &&
	       sport >= rec->sport_lo && sport <= rec->sport_hi &&
	       ((bit & 1) != PG_PORT_TCP || (flags & rec->flags_mask) == rec->flags_comp);
}

static __always_inline __u32 whole_bit(const struct query *q)
{
	return q->v6 * 2 + (q->tcp ? PG_PORT_TCP : PG_PORT_UDP);
}

/* The same of what is asked. */
static __always_inline bool asked_holds(const struct pg_term_record *rec, const struct query *q)
{
	return header_holds(rec, whole_bit(q), q->sport, q->dport, q->flags);
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
	if (q->whole ? !asked_holds(rec, q) : !row_has(q, q->rows.proto, 0, term))
		return false;
	return !dims || rows_hold(q, term, dims);
}

/* One row's first term that holds and comes before `best`. */
static __always_inline __u64 query_few(const struct tables *t, struct query *q, __u32 row,
				       __u64 best)
{
	__u32 bit = whole_bit(q);

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

			if (q->whole && what & PG_FEW_SURE) {
				if (words_before(f, q->saddr, rec->saddr))
					return sure(f);
			} else if (q->whole && !rec->rows ? /* the call is for what records don't know */
					   asked_holds(rec, q) &&
						   addrs_hold(rec, q->v6, q->saddr, q->daddr) :
					   term_holds(q, term)) {
				return term;
			}
		}
		if (what & PG_FEW_LAST)
			break;
	}
	return best;
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
	/* What was looked at last may reach beyond the best of the few. */
	return base < limit ? TERM_UNSURE | (__u64)base << 32 : best;
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

/* The row that a leaf's few stand before. */
static __always_inline __u32 row_behind(const struct tables *t, __u32 leaf, __u32 base)
{
	return leaf & PG_FEW_OWN ? few_at(t, leaf, -1)->slot : base;
}

static __always_inline void take_own_row(const struct tables *t, __u32 *few, __u32 *row)
{
	*row = row_behind(t, *few, *row);
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
static __always_inline __u64 term_of_rows(const struct tables *t, struct query *q)
{
	__u64 best = PG_NO_TERM;

	take_own_rows(t, q);
	best = query_few(t, q, q->rows.few[FEW_SADDR], best);
	best = query_few(t, q, q->rows.few[FEW_DPORT], best);
	if (t->gen->dims & (PG_DIM_DADDR | PG_DIM_SPORT)) {
		best = query_few(t, q, q->rows.few[FEW_DADDR], best);
		best = query_few(t, q, q->rows.few[FEW_SPORT], best);
	}
	if (!q->first || lowest_bit(q->first) * summary_terms(t->gen) >= (best & PG_FEW_TERM))
		return best;
	if (!t->gen->verify)
		return search_rows(q, best);
	NO_UNROLL for (int i = 0; i < VERIFIED_TERMS; i++) {
		__u64 found = search_rows(q, best);

		if ((__u32)found == TERM_UNSURE || found == best || term_holds(q, found))
			return found;
		q->cursor = (__u32)found + 1;
	}
	return TERM_UNSURE | (__u64)q->cursor << 32;
}

/* The same, of any form. */
__noinline __u64 next_term(struct query *q)
{
	struct tables t;
	__u64 word;

	if (!q || !use_tables(&t, ONLY_LEAN(pg_tables), q->active))
		return PG_NO_TERM;
	if (t.gen->form != PG_FORM_TINY && t.gen->form != PG_FORM_WORD)
		return term_of_rows(&t, q);
	word = q->first & from_cursor(q->cursor, 0, 1);
	return word ? lowest_bit(word) : PG_NO_TERM;
}

/* Where next_term() searches: the rows of this CPU's packet, of which the query has what is asked. */
__noinline int find_asked(void)
{
	struct pkt *p = this_pkt();
	struct tables t;
	struct query *q;

	if (!p)
		return 0;
	q = &p->query;
	if (!use_tables(&t, ONLY_LEAN(pg_tables), q->active))
		return 0;
	if (t.gen->form == PG_FORM_TINY)
		q->first = find_rows(&t, p, q->whole, PG_FORM_TINY, &q->rows) & ~PG_LEAF;
	else
		q->first = find_rows(&t, p, q->whole, PG_FORM_TREE, &q->rows);
	return 0;
}

/* What most packets ask ------------------------------------------------------------------------- */

/* A packet with a whole TCP or UDP header. */
struct ask {
	bool v6;
	const __be32 *saddr, *daddr; /* of IPv4 one word */
	__u32 ports; /* source << 16 | destination */
	__u32 udp; /* enum pg_port_proto */
	__u32 flags; /* TCP's */
	__u32 active;
};

/* As query_few(); TERM_UNSURE: the bitmaps of one of its terms know more than its record. */
static __always_inline __u64 ask_few(const struct tables *t, const struct ask *a, __u32 row,
				     __u64 best)
{
	__u32 sport = a->ports >> 16, dport = a->ports & 0xffff, bit = a->v6 * 2 + a->udp;

	NO_UNROLL for (int i = 0; i < PG_FEW; i++) {
		const struct pg_few *f = few_at(t, row, i);
		__u32 what = f->term, term = what & PG_FEW_TERM;

		barrier();
		if (term >= (best & PG_FEW_TERM))
			break;
		if (few_may_hold(f, a->saddr[a->v6 ? what >> PG_FEW_WORD_SHIFT & 3 : 0], dport, bit)) {
			const struct pg_term_record *rec = record(t, term);

			if (what & PG_FEW_SURE) {
				if (!a->v6 || words_before(f, a->saddr, rec->saddr))
					return sure(f);
			} else if (rec->rows) {
				return TERM_UNSURE;
			} else if (header_holds(rec, bit, sport, dport, a->flags) &&
				   addrs_hold(rec, a->v6, a->saddr, a->daddr)) {
				return term;
			}
		}
		if (what & PG_FEW_LAST)
			break;
	}
	return best;
}

/* Past the few that a leaf names, to the row they stand before. False: *best is TERM_UNSURE. */
static __always_inline bool pass_few(const struct tables *t, const struct ask *a, __u32 base,
				     __u32 *leaf, __u64 *best)
{
	if (!(*leaf & PG_FEW_LEAF))
		return true;
	*best = ask_few(t, a, *leaf, *best);
	*leaf = row_behind(t, *leaf, base);
	return (__u32)*best != TERM_UNSURE;
}

/* Where the rows of its dimensions begin. */
struct ask_rows {
	const void *proto, *saddr, *daddr, *sport, *dport, *detail, *iface;
	__u32 dims; /* PG_DIM_*: the last two, and sport, are looked at where these ask for them */
};

static __always_inline const void *row_start(const struct tables *t, __u32 row)
{
	return ROWS(t) + (row & (PG_ROW_WORDS * 8 - 8));
}

static __always_inline __u64 word_at(const void *row, __u32 offset)
{
	return *(const __u64 *)(row + offset);
}

/* The word at an offset, in bytes, of all rows' intersection. */
static __always_inline __u64 ask_word(const struct ask_rows *r, __u32 offset)
{
	__u64 word = word_at(r->proto, offset) & word_at(r->saddr, offset) & word_at(r->daddr, offset) &
		     word_at(r->dport, offset);

	if (r->dims & PG_DIM_SPORT)
		word &= word_at(r->sport, offset);
	if (r->dims & (PG_DIM_DETAIL | PG_DIM_IFACE))
		word &= word_at(r->detail, offset) & word_at(r->iface, offset);
	return word;
}

#define ASK_STEPS 8
static __always_inline __u64 ask_words(const struct ask_rows *r, __u32 pairs, __u64 best)
{
	__u32 limit = best & PG_FEW_TERM, base, i;
	__u64 summary = ask_word(r, 0), word;

	NO_UNROLL for (int n = 0; n < ASK_STEPS; n++) {
		if (!summary)
			return best;
		i = lowest_bit(summary);
		i += i & -pairs; /* a shift by it has no bounds that verifiers know */
		summary &= summary - 1;
		base = i * 64;
		if (base >= limit)
			return best;
		word = ask_word(r, i * 8 + 8);
		if (pairs && !word) {
			base += 64;
			word = ask_word(r, i * 8 + 16);
		}
		if (word) {
			base += lowest_bit(word);
			return base < limit ? base : best;
		}
	}
	return TERM_UNSURE;
}

/* Does the leaf of a packet's source name all terms that may hold, because each asks for a source? */
static __always_inline bool source_is_all(const struct pg_gen *gen, __u32 v6, __u32 leaf)
{
	return leaf & PG_FEW_LEAF && gen->saddr_base[v6 & 1] == gen->none && !gen->homes;
}

/*
 * The first term of INPUT that holds, as next_term() returns it. TERM_UNSURE: it is one for next_term(),
 * because the search is long, or goes through blocks of the HUGE form or few of source ports, or bitmaps
 * don't know all. `sports`: terms may ask for a source port.
 */
static __always_inline __u64 ask_input(const struct ask *a, bool sports)
{
	const __u32 v6 = a->v6, udp = a->udp, space = udp ? PG_SPACE_UDP : PG_SPACE_TCP;
	__u64 best = PG_NO_TERM;
	const struct pg_gen *gen;
	struct ask_rows r;
	struct tables t;
	__u32 leaf;
	bool alone;

	if (!use_tables(&t, ONLY_LEAN(pg_tables), a->active))
		return TERM_UNSURE;
	gen = t.gen;
	leaf = walk_addr(&t, gen->saddr, v6, a->saddr, PG_FORM_TREE);
	alone = source_is_all(gen, v6, leaf);
	if (!alone && (gen->form != PG_FORM_TREE || gen->verify))
		return TERM_UNSURE;
	if (!pass_few(&t, a, gen->saddr_base[v6], &leaf, &best) || alone)
		return best;
	r.saddr = row_start(&t, leaf);
	leaf = walk_addr(&t, gen->daddr, v6, a->daddr, PG_FORM_TREE);
	if (!pass_few(&t, a, gen->daddr_base[v6], &leaf, &best))
		return best;
	r.daddr = row_start(&t, leaf);
	leaf = walk_port(&t, gen->dport[space], PG_SPACE_TCP, a->ports, PG_FORM_TREE);
	if (!pass_few(&t, a, gen->dport_base[space], &leaf, &best))
		return best;
	r.dport = row_start(&t, leaf);
	r.proto = row_start(&t, gen->whole[v6][udp]);
	r.sport = r.detail = r.iface = r.proto;
	r.dims = sports ? gen->dims : gen->dims & ~PG_DIM_SPORT;
	if (r.dims & PG_DIM_SPORT) {
		leaf = walk_port(&t, gen->sport[space], PG_SPACE_TCP, a->ports >> 16, PG_FORM_TREE);
		if (leaf & PG_FEW_LEAF)
			return TERM_UNSURE;
		r.sport = row_start(&t, leaf);
	}
	if (r.dims & (PG_DIM_DETAIL | PG_DIM_IFACE)) {
		r.detail = row_start(&t, udp ? gen->detail[space] :
					       step(&t, gen->detail[space], a->flags));
		r.iface = row_start(&t, gen->iface[cfg.iface & (PG_MAX_IFACES - 1)]);
	}
	return ask_words(&r, gen->pairs & 1, best);
}

/*
 * `proto`: TCP flags, and above them enum pg_port_proto. Calls, with all that they need in their arguments,
 * where ask_input_of() does not inline it.
 */
__noinline __u64 ask_input_ip4(__be32 saddr, __be32 daddr, __u32 ports, __u32 proto, __u32 active)
{
	const struct ask a = { false, &saddr, &daddr, ports, proto >> 8 & 1, proto & 0xff, active };

	return ask_input(&a, true);
}

struct ip6_addr {
	__be32 word[4];
};

__noinline __u64 ask_input_ip6(const struct ip6_addr *saddr, const struct ip6_addr *daddr, __u32 ports,
			       __u32 proto, __u32 active)
{
	if (!saddr || !daddr)
		return TERM_UNSURE;
	const struct ask a = { true, saddr->word, daddr->word, ports, proto >> 8 & 1, proto & 0xff,
			       active };

	return ask_input(&a, true);
}
