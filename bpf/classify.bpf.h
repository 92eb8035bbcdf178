/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* struct pkt → decision, by the terms that it matches: at once, or a step at a time. */
#pragma once

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

static __always_inline void copy_addrs(__be32 *saddr, __be32 *daddr, const struct pkt *p)
{
	saddr[0] = p->saddr[0];
	daddr[0] = p->daddr[0];
	if (p->family == PG_FAMILY_V6) {
		__builtin_memcpy(saddr, p->saddr, 16);
		__builtin_memcpy(daddr, p->daddr, 16);
	}
}

static __always_inline void fill_query(struct query *q, const struct pkt *p, __u32 active)
{
	copy_addrs(q->saddr, q->daddr, p);
	q->sport = p->sport;
	q->dport = p->dport;
	q->v6 = p->family & 1;
	q->tcp = p->proto == IPPROTO_TCP;
	q->flags = p->tcp_flags;
	q->active = active;
}

#define FAST_TRIES 8

/* What the tables are asked about, where find_asked() and next_term() find it. */
static __always_inline struct query *keep_asked(const struct pkt *p, __u32 active, __u32 cursor)
{
	struct pkt *kept = this_pkt();

	if (!kept)
		return NULL;
	copy_addrs(kept->saddr, kept->daddr, p);
	kept->sport = p->sport;
	kept->dport = p->dport;
	kept->family = p->family;
	kept->proto = p->proto;
	kept->l4_state = p->l4_state;
	kept->space = p->space;
	kept->tcp_flags = p->tcp_flags;
	kept->has_flags = p->has_flags;
	kept->hook = p->hook;
	fill_query(&kept->query, p, active);
	kept->query.whole = p->has_ports;
	kept->query.cursor = cursor;
	return &kept->query;
}

/*
 * `inlined`: IPv4 without the call, whose return is dear where mitigations make it so. In all copies there is
 * no room for that, and for IPv6 and source ports none on the stack.
 */
static __always_inline __u64 ask_input_of(const struct tables *t, const struct pkt *p, bool inlined)
{
	__u32 udp = p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP;
	__u32 flags = p->proto == IPPROTO_TCP ? p->tcp_flags : 0;
	__u32 ports = p->sport << 16 | p->dport, proto = udp << 8 | flags;
	struct ip6_addr saddr, daddr; /* copies: or else all of struct pkt would have to be in memory */

	if (p->family == PG_FAMILY_V4 && inlined && !(t->gen->dims & PG_DIM_SPORT)) {
		const struct ask a = { false, p->saddr, p->daddr, ports, udp, flags, t->active };

		return ask_input(&a, false);
	}
	if (p->family == PG_FAMILY_V4)
		return ask_input_ip4(p->saddr[0], p->daddr[0], ports, proto, t->active);
	copy_addrs(saddr.word, daddr.word, p);
	return ask_input_ip6(&saddr, &daddr, ports, proto, t->active);
}

static __always_inline __u64 ask_tables(const struct tables *t, const struct pkt *p, __u32 cursor,
					bool inlined)
{
	__u64 found = TERM_UNSURE;
	struct query *q;

	/* OUTPUT begins at the first term, too, where INPUT has none. */
	if (p->has_ports && p->hook != PG_STAGE_OUTPUT)
		found = ask_input_of(t, p, inlined);
	if ((__u32)found != TERM_UNSURE)
		return found;
	q = keep_asked(p, t->active, cursor);
	find_asked();
	NO_UNROLL for (int i = 0; q && i < FAST_TRIES; i++) {
		found = next_term(q);
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
static __always_inline __u64 first_term(const struct tables *t, const struct pkt *p, __u32 cursor,
					bool inlined)
{
	struct rows r;
	__u64 word;

	if (t->gen->form == PG_FORM_TINY)
		word = find_rows(t, p, p->has_ports, PG_FORM_TINY, &r);
	else if (t->gen->form == PG_FORM_WORD)
		word = find_rows(t, p, p->has_ports, PG_FORM_WORD, &r);
	else
		return ask_tables(t, p, cursor, inlined);
	word &= from_cursor(cursor, 0, 1);
	return word ? t->gen->outcome[pg_lowest_hash(word)] : PG_NO_TERM;
}

/* `inlined`: see ask_input_of(). */
static __always_inline bool classify_fast(const struct pkt *p, struct decision *d, bool inlined)
{
	struct tables t;

	if (!find_tables(&t, d))
		return d->reason != PG_REASON_INTERNAL && !(t.gen->needs & PG_NEED_WATCH) &&
		       !may_be_forwarded(&t, p);
	if (t.gen->needs & (PG_NEED_RAW | PG_NEED_WATCH) || may_be_forwarded(&t, p))
		return false;
	return fast_take(&t, first_term(&t, p, 0, inlined), PG_STAGE_FILTER, d);
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
	return fast_take(&t, first_term(&t, p, t.gen->base[PG_STAGE_OUTPUT].span.start, false),
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
	find_asked();
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
