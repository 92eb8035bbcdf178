/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where flows are kept: pg_flows, places of which eight each make a bucket. The bucket itself, a cache
 * line, has a tag of the hash of the flow in each. A flow is in the one bucket that its hash names or in none.
 *
 *	flow_find()	its place, into pkt.flow; one that has expired is freed on the way
 *	flow_insert()	a place for a new one, filled from pkt.flow
 *	flow_promote()	from the half-open connections to the flows
 *	free_place()
 *
 * Two CPUs may be at one bucket, and at one flow, at any time. A place belongs to who changes its
 * tag by compare-and-swap: from what it was to BUSY, then it is filled, then the tag is written whole.
 * Whoever works on a flow has compared its key, read its status, and seen its tag again after that, and
 * changes the status by compare-and-swap; that of a flow that took the place meanwhile has another count
 * of reuse. Who has claimed a place for a new flow looks whether another CPU makes the same one: one of
 * them gives way, and its packet goes on in the other's entry. What may go wrong is that a packet is
 * counted in an entry that ends or was replaced in this moment, or in none if the other CPU takes its time.
 */
#pragma once

static __always_inline struct pg_flow_bucket *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&pg_flow_buckets, &index);
}

static __always_inline __u32 place_of(__u32 bucket, __u32 way)
{
	return pg_flow_place(bucket, way, cfg.flow_buckets + PG_HALF_OPEN_BUCKETS);
}

static __always_inline struct pg_flow *flow_at(__u32 bucket, __u32 way)
{
	__u32 place = place_of(bucket, way);

	return bpf_map_lookup_elem(&pg_flows, &place);
}

static __always_inline struct pg_flow_trouble *trouble_at(__u32 bucket, __u32 way)
{
	__u32 place = place_of(bucket, way);

	return bpf_map_lookup_elem(&pg_flow_trouble, &place);
}

static __always_inline __u32 bucket_of(const struct flow_pkt *f, bool half_open)
{
	__u32 hash = f->hash >> 32;

	return half_open ? cfg.flow_buckets + (hash & (PG_HALF_OPEN_BUCKETS - 1)) :
			   hash & (cfg.flow_buckets - 1);
}

static __always_inline bool is_half_open(const struct flow_pkt *f)
{
	return f->bucket >= cfg.flow_buckets;
}

static __always_inline const struct pg_flow_ctl *flow_ctl(void)
{
	return ONLY_LEAN(pg_flow_ctl);
}

static __always_inline struct pg_flow_stats *flow_stats(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&pg_flow_stats, &cpu);
}

/*
 * Ticks of CLOCK_MONOTONIC_COARSE, which the command can read, too. It steps with the jiffies, and
 * those are a load where the clock is a call.
 */
static __always_inline __u32 flow_tick(void)
{
	struct pg_flow_stats *stats = flow_stats();
	__u64 jiffies = bpf_jiffies64();

	if (!stats)
		return 0;
	if (stats->jiffies != jiffies) {
		stats->tick = bpf_ktime_get_coarse_ns() >> PG_FLOW_TICK_SHIFT;
		stats->jiffies = jiffies;
	}
	return stats->tick;
}

static __always_inline bool after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/* What of status is an end's. */
static __always_inline __u64 of_end(__u64 bit, __u32 end)
{
	return bit << (end & 1);
}

static __always_inline __u32 end_state(__u64 status, __u32 end)
{
	return status >> (PG_FLOW_END_SHIFT + 4 * (end & 1)) & 15;
}

/* Transitions ---------------------------------------------------------------------------------- */

#define TRANSITION(from, to) [PG_END_##from][PG_END_##to] = PG_FROM_##from##_TO_##to + 1,
static const __u8 transition_of[16][16] = { PG_TRANSITIONS(TRANSITION) };
#undef TRANSITION

static __always_inline __u64 a_move(__u32 from, __u32 to)
{
	return from << 4 | to;
}

/* `moves`: from << 4 | to, a byte each; no state is left for itself, so 0 is none. */
__noinline int count_moves(__u32 port, __u64 moves)
{
	struct pg_port_states *states = bpf_map_lookup_elem(&pg_port_states, &port);

	if (!states)
		return 0;
	NO_UNROLL for (int i = 0; i < 8 && moves; i++, moves >>= 8) {
		__u32 number = transition_of[moves >> 4 & 15][moves & 15] - 1;

		barrier_var(number);
		if (number < _PG_TRANSITION_MAX)
			__sync_fetch_and_add(&states->count[number], 1);
	}
	return 0;
}

/* Ends in TIME_WAIT leave it when their flow is forgotten. */
static __always_inline __u64 moves_of_leaving(__u64 status)
{
	__u64 moves = 0;

	if (end_state(status, 0) == PG_END_TIME_WAIT)
		moves = a_move(PG_END_TIME_WAIT, PG_END_CLOSED);
	if (end_state(status, 1) == PG_END_TIME_WAIT)
		moves = moves << 8 | a_move(PG_END_TIME_WAIT, PG_END_CLOSED);
	return moves;
}

/* The port that was opened to. */
static __always_inline __u32 opened_port(const struct pg_flow_key *key, __u64 status)
{
	return status & PG_FLOW_OPENER ? key->port[0] : key->port[1];
}

static __always_inline void count_leaving(const struct pg_flow *flow)
{
	__u64 status = flow->status, moves = moves_of_leaving(status);

	if (moves)
		count_moves(opened_port(&flow->key, status), moves);
}

/* Finding -------------------------------------------------------------------------------------- */

static __always_inline bool same_key(const struct pg_flow_key *a, const struct pg_flow_key *b)
{
	const __u64 *x = (const void *)a->addr, *y = (const void *)b->addr;

	if ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]))
		return false;
	return a->port[0] == b->port[0] && a->port[1] == b->port[1] && a->space == b->space &&
	       a->proto == b->proto && (a->vlan == b->vlan || !a->vlan || !b->vlan);
}

static __always_inline bool same_tag(__u32 a, __u32 b)
{
	return !((a ^ b) & ~PG_TAG_TIMEOUT);
}

static __always_inline bool is_busy(__u32 tag)
{
	return (tag & PG_TAG_TIMEOUT) == PG_TAG_BUSY;
}

/*
 * The timeout in the tag is its state's. A SYN that comes again does not prolong the life of what
 * nobody has answered.
 */
static __always_inline __s32 ticks_left(const struct pg_flow *flow, __u32 tag, __u32 last, __u32 tick,
					const struct pg_flow_ctl *ctl)
{
	__u32 timeout = ctl->timeout[tag & PG_TAG_TIMEOUT];

	if ((tag & PG_TAG_TIMEOUT) == PG_TIMEOUT_TCP_SYN_SENT)
		last = flow->first;
	if (timeout > ctl->timeout[PG_TIMEOUT_TCP_UNACKNOWLEDGED] && flow->key.proto == IPPROTO_TCP &&
	    pg_flow_has_unacked(flow))
		timeout = ctl->timeout[PG_TIMEOUT_TCP_UNACKNOWLEDGED];
	if (timeout > ctl->timeout[PG_TIMEOUT_TCP_MAX_RETRANS] &&
	    flow->status & (PG_FLOW_NO_WINDOW | PG_FLOW_NO_WINDOW << 1))
		timeout = ctl->timeout[PG_TIMEOUT_TCP_MAX_RETRANS];
	return (__s32)(timeout - (tick - last));
}

static __always_inline bool has_expired(const struct pg_flow *flow, __u32 tag, __u32 last, __u32 tick,
					const struct pg_flow_ctl *ctl)
{
	return ticks_left(flow, tag, last, tick, ctl) <= 0;
}

/* False: another CPU has changed the place. */
static __always_inline bool free_place(struct pg_flow_bucket *b, __u32 way, __u32 tag,
				       const struct pg_flow *flow)
{
	if (__sync_val_compare_and_swap(&b->tag[way & 7].tag, tag, 0) != tag)
		return false;
	count_leaving(flow);
	return true;
}

static __always_inline bool find_in(struct flow_pkt *f, __u32 index, const struct pg_flow_ctl *ctl)
{
	struct pg_flow_bucket *b = bucket_at(index);
	struct pg_flow_stats *stats;
	struct pg_flow *flow;

	if (!b)
		return false;
	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[i].tag;

		if (!same_tag(tag, f->tag) || is_busy(tag))
			continue;
		flow = flow_at(index, i);
		if (!flow || !same_key(&flow->key, &f->key))
			continue;
		if (has_expired(flow, tag, b->tag[i].last, f->tick, ctl)) {
			stats = flow_stats();
			if (free_place(b, i, tag, flow) && stats)
				stats->collected[index >= cfg.flow_buckets]++;
			return false;
		}
		f->way = i;
		f->bucket = index;
		return true;
	}
	return false;
}

/* f->found, and if it is, f->bucket and f->way. */
__noinline int flow_find(struct pkt *p)
{
	const struct pg_flow_ctl *ctl = flow_ctl();
	struct flow_pkt *f;

	if (!p || !ctl)
		return 0;
	f = &p->flow;
	f->tick = flow_tick();
	f->hash = pg_flow_hash(&f->key, ctl->seed);
	f->tag = pg_flow_tag_of(f->hash);
	f->found = find_in(f, bucket_of(f, false), ctl);
	barrier();
	if (!f->found && f->proto == IPPROTO_TCP)
		f->found = find_in(f, bucket_of(f, true), ctl);
	barrier();
	if (!f->found && f->proto == IPPROTO_TCP) /* promoted between the two */
		f->found = find_in(f, bucket_of(f, false), ctl);
	return f->found;
}

/* TCP's state of the flow in one bucket, or as flow_peek(). */
static __always_inline int peek_in(const struct pg_flow_key *key, __u32 index, __u32 tag_of,
				   const struct pg_flow_ctl *ctl)
{
	struct pg_flow_bucket *b = bucket_at(index);
	struct pg_flow *flow;

	if (!b)
		return -1;
	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[i].tag;

		if (!same_tag(tag, tag_of) || is_busy(tag))
			continue;
		flow = flow_at(index, i);
		if (!flow || !same_key(&flow->key, key))
			continue;
		if ((tag & PG_TAG_TIMEOUT) == PG_TIMEOUT_KILLED ||
		    has_expired(flow, tag, b->tag[i].last, flow_tick(), ctl))
			return -1;
		return flow->status & PG_FLOW_TCP_STATE;
	}
	return -1;
}

/* Is there a flow of this key? Its enum pg_tcp_state; -1: no. Nothing is changed. */
__noinline int flow_peek(const struct pg_flow_key *key)
{
	const struct pg_flow_ctl *ctl = flow_ctl();
	__u64 hash;
	int state;

	if (!key || !ctl)
		return -1;
	hash = pg_flow_hash(key, ctl->seed);
	state = peek_in(key, hash >> 32 & (cfg.flow_buckets - 1), pg_flow_tag_of(hash), ctl);
	if (state >= 0 || key->proto != IPPROTO_TCP)
		return state;
	return peek_in(key, cfg.flow_buckets + (hash >> 32 & (PG_HALF_OPEN_BUCKETS - 1)),
		       pg_flow_tag_of(hash), ctl);
}

/* Making --------------------------------------------------------------------------------------- */

/* Times that a place is lost to another CPU before the flow is refused. */
#define CLAIM_TRIES 3

/* Ticks left of what is in a place. A look at the flow is a cache miss: only where its timeout may be shortened. */
static __always_inline __s32 ticks_left_at(const struct pg_flow_bucket *b, __u32 index, __u32 way, __u32 tag,
					   __u32 tick, const struct pg_flow_ctl *ctl)
{
	const struct pg_flow *flow = NULL;

	if ((tag & PG_TAG_TIMEOUT) == PG_TIMEOUT_TCP_ESTABLISHED)
		flow = flow_at(index, way);
	if (flow)
		return ticks_left(flow, tag, b->tag[way & 7].last, tick, ctl);
	return (__s32)(ctl->timeout[tag & PG_TAG_TIMEOUT] - (tick - b->tag[way & 7].last));
}

/*
 * The place that can be spared most: a free one, or the one of least pg_flow_worth(); but for another flow
 * none that is kept (PG_KEPT). Into f->way and f->claimed, its tag. False: there is none.
 */
static __always_inline bool choose(struct flow_pkt *f, const struct pg_flow_bucket *b, __u32 index,
				   const struct pg_flow_ctl *ctl)
{
	const bool half_open = index >= cfg.flow_buckets;
	__s32 least = 0x7fffffff;

	f->way = PG_FLOW_WAYS;
	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[i].tag;
		__s32 left;

		if (!tag) {
			f->way = i;
			f->claimed = 0;
			return true;
		}
		if (is_busy(tag))
			continue;
		left = ticks_left_at(b, index, i, tag, f->tick, ctl);
		if (left > 0 && PG_KEPT(half_open) & 1U << (tag & PG_TAG_TIMEOUT))
			continue;
		left = pg_flow_worth(half_open, left, f->tick - b->tag[i].last);
		if (left >= least)
			continue;
		least = left;
		f->way = i;
		f->claimed = tag;
	}
	barrier();
	return f->way < PG_FLOW_WAYS;
}

/* Whatever was there is gone. */
static __always_inline void count_claimed(const struct flow_pkt *f, __u32 last,
					  const struct pg_flow *flow, bool half_open,
					  const struct pg_flow_ctl *ctl)
{
	struct pg_flow_stats *stats = flow_stats();

	if (!f->claimed || !stats || !flow)
		return;
	if (has_expired(flow, f->claimed, last, f->tick, ctl))
		stats->collected[half_open]++;
	else
		stats->evicted[half_open]++;
	count_leaving(flow);
}

/* Looks at a place that another CPU is filling, some 100 ns each: it may have to wait for its memory. */
#define TWIN_TRIES 64

/* Is a place that has our tag known to be a flow with another key? */
static __always_inline bool is_another(const struct flow_pkt *f, const struct pg_flow_bucket *b, __u32 index,
				       __u32 way)
{
	const struct pg_flow *flow = flow_at(index, way);

	return !is_busy(*(volatile __u32 *)&b->tag[way & 7].tag) && flow && !same_key(&flow->key, &f->key);
}

/*
 * Of the place that was claimed: does another CPU make the same flow, or has it? Then ours is given
 * back, and theirs is to be seen. Of two that are at it each sees the other or is seen; who is in front
 * waits whether the other has not seen it. A function of its own, which the verifier looks at once.
 */
__noinline int flow_give_way(struct pkt *p, __u32 index)
{
	struct pg_flow_bucket *b = bucket_at(index);
	__u32 way, i, tag;
	struct flow_pkt *f;
	struct pg_flow *flow;

	if (!p || !b)
		return 0;
	f = &p->flow;
	way = f->way & 7;
	f->twin = 0;
	NO_UNROLL for (i = 0; i < PG_FLOW_WAYS; i++)
		if (i != way && same_tag(*(volatile __u32 *)&b->tag[i].tag, f->tag))
			break;
	barrier_var(i);
	if (i >= PG_FLOW_WAYS)
		return 0;
	f->twin = i < way && !is_another(f, b, index, i);
	/* Read again: comparing leads Linux 6.1 also where a way below 8 is more than 7. */
	barrier();
	way = f->way & 7;
	if (f->twin)
		__sync_lock_test_and_set(&b->tag[way].tag, 0);
	NO_UNROLL for (int n = 0; n < TWIN_TRIES; n++) {
		tag = *(volatile __u32 *)&b->tag[i].tag;
		if (!is_busy(tag))
			break;
		bpf_ktime_get_ns();
		bpf_ktime_get_ns();
		bpf_ktime_get_ns();
	}
	flow = flow_at(index, i);
	if (f->twin || !same_tag(tag, f->tag) || is_busy(tag) || !flow || !same_key(&flow->key, &f->key))
		return f->twin;
	__sync_lock_test_and_set(&b->tag[way].tag, 0);
	f->twin = 1;
	return 1;
}

/* f->bucket and f->way, whose tag is BUSY now; or f->twin. */
static __always_inline bool claim(struct pkt *p, bool half_open)
{
	struct flow_pkt *f = &p->flow;
	const struct pg_flow_ctl *ctl = flow_ctl();
	struct pg_flow_stats *stats = flow_stats();
	__u32 index = bucket_of(f, half_open);
	struct pg_flow_bucket *b = bucket_at(index);

	f->twin = 0;
	if (!b || !ctl || !stats)
		return false;
	NO_UNROLL for (int i = 0; i < CLAIM_TRIES; i++) {
		__u32 way;

		if (!choose(f, b, index, ctl))
			break;
		barrier();
		way = f->way & 7;
		if (__sync_val_compare_and_swap(&b->tag[way].tag, f->claimed, f->tag | PG_TAG_BUSY) !=
		    f->claimed)
			continue;
		count_claimed(f, b->tag[way].last, flow_at(index, way), half_open, ctl);
		if (flow_give_way(p, index))
			return false;
		f->bucket = index;
		return true;
	}
	stats->refused[half_open] += !(f->old & PG_FLOW_ASSURED); /* one that is promoted asks again and again */
	return false;
}

/* Make the place everybody's. Its content must be written before: xchg orders that. */
static __always_inline void publish(const struct flow_pkt *f, struct pg_flow_bucket *b, __u32 way,
				    __u32 last)
{
	b->tag[way].last = last;
	__sync_lock_test_and_set(&b->tag[way].tag, f->tag | (f->timeout & PG_TAG_TIMEOUT));
}

/* Should two CPUs have made the flow in spite of give_way(), the one in front stays. */
static __always_inline void drop_twin(const struct flow_pkt *f, struct pg_flow_bucket *b)
{
	struct pg_flow *flow;
	bool found = false;

	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[i].tag;

		if (!same_tag(tag, f->tag) || is_busy(tag))
			continue;
		flow = flow_at(f->bucket, i);
		if (!flow || !same_key(&flow->key, &f->key))
			continue;
		if (found)
			__sync_val_compare_and_swap(&b->tag[i].tag, tag, 0);
		found = true;
	}
}

static __always_inline __u64 next_reuse(__u64 status)
{
	return ((status >> PG_FLOW_REUSE_SHIFT) + 1) << PG_FLOW_REUSE_SHIFT;
}

/* A new flow, as pkt.flow has it. 0: there was no room, or another CPU has made it: f->twin. */
__noinline int flow_insert(struct pkt *p, __u32 half_open)
{
	struct pg_flow_stats *stats = flow_stats();
	struct pg_flow_trouble *trouble;
	struct pg_flow_bucket *b;
	struct pg_flow *flow;
	struct flow_pkt *f;
	__u32 from, way;

	if (!p || !stats || !claim(p, half_open & 1))
		return 0;
	f = &p->flow;
	barrier();
	way = f->way & 7;
	b = bucket_at(f->bucket);
	flow = flow_at(f->bucket, way);
	trouble = trouble_at(f->bucket, way);
	if (!b || !flow || !trouble)
		return 0;
	from = f->from & 1;
	flow->key = f->key;
	flow->first = f->tick;
	flow->last_end = f->end;
	flow->last_win = flow->last_scale = 0;
	flow->iface = cfg.iface;
	flow->rtt[0] = flow->rtt[1] = 0;
	if (f->status & PG_FLOW_TIMING)
		flow->last_end = bpf_ktime_get_ns() >> 10;
	flow->sent[from].packets = p->packets;
	flow->sent[from].bytes = p->bytes;
	flow->sent[from ^ 1].packets = flow->sent[from ^ 1].bytes = 0;
	flow->win[from] = f->snd;
	flow->win[from ^ 1] = f->rcv;
	trouble->end[0] = trouble->end[1] = 0;
	flow->status = f->status | next_reuse(flow->status);
	publish(f, b, way, f->tick);
	drop_twin(f, b);
	stats->created[half_open & 1]++;
	return 1;
}

/* Whoever takes counters from an entry that is given up takes each of them once. */
static __always_inline void move_counters(__u32 from, __u32 from_way, __u32 to, __u32 way)
{
	struct pg_flow *old = flow_at(from, from_way), *new = flow_at(to, way);
	struct pg_flow_trouble *had = trouble_at(from, from_way), *has = trouble_at(to, way);

	if (!old || !new || !had || !has)
		return;
	NO_UNROLL for (__u32 end = 0; end < 2; end++) {
		__sync_fetch_and_add(&new->sent[end].packets,
				     __sync_lock_test_and_set(&old->sent[end].packets, 0));
		__sync_fetch_and_add(&new->sent[end].bytes,
				     __sync_lock_test_and_set(&old->sent[end].bytes, 0));
		__sync_fetch_and_add(&has->end[end], __sync_lock_test_and_set(&had->end[end], 0));
	}
}

/* Is the place not this flow's any more, nor another's? */
static __always_inline bool is_given_up(__u32 tag, const struct flow_pkt *f)
{
	return !tag || (is_busy(tag) && same_tag(tag, f->tag));
}

/*
 * The packet was counted in a half-open connection that another CPU has promoted meanwhile: it is to
 * be seen in the flow.
 */
__noinline int flow_follow(struct pkt *p)
{
	struct pg_flow_bucket *to;
	struct flow_pkt *f;
	struct pg_flow *flow;

	if (!p)
		return 0;
	f = &p->flow;
	to = bucket_at(bucket_of(f, false));
	if (!to)
		return 0;
	NO_UNROLL for (__u32 i = 0; i < PG_FLOW_WAYS; i++) {
		__u32 tag = *(volatile __u32 *)&to->tag[i].tag;

		if (!same_tag(tag, f->tag) || is_busy(tag))
			continue;
		flow = flow_at(bucket_of(f, false), i);
		if (flow && same_key(&flow->key, &f->key)) {
			move_counters(f->bucket, f->way, bucket_of(f, false), i);
			return 1;
		}
	}
	return 0;
}

/* Makes the place nobody's, but not free yet. False: it is not this flow's. */
static __always_inline bool give_up(struct pg_flow_bucket *b, __u32 way, const struct flow_pkt *f)
{
	NO_UNROLL for (int i = 0; i < CLAIM_TRIES; i++) {
		__u32 tag = *(volatile __u32 *)&b->tag[way & 7].tag;

		if (!same_tag(tag, f->tag) || is_busy(tag))
			return false;
		if (__sync_val_compare_and_swap(&b->tag[way & 7].tag, tag, tag | PG_TAG_BUSY) == tag)
			return true;
	}
	return false;
}

/*
 * From the half-open connections, where f->bucket and f->way are, to the flows, where no flood of
 * SYNs reaches it. Where there is no room it stays. Another CPU may be at a packet of it: what that
 * has done to the status before the old place is given up is taken along; what it counts after that, it
 * finds by flow_follow().
 */
__noinline int flow_promote(struct pkt *p)
{
	struct pg_flow_bucket *from, *to;
	struct pg_flow_trouble *trouble;
	struct pg_flow *old, *new;
	__u64 reuse, status, now;
	__u32 from_bucket, from_way;
	struct flow_pkt *f;

	if (!p)
		return 0;
	f = &p->flow;
	from_bucket = f->bucket;
	from_way = f->way & 7;
	from = bucket_at(from_bucket);
	old = flow_at(from_bucket, from_way);
	if (!from || !old || !claim(p, false))
		return 0;
	barrier();
	to = bucket_at(f->bucket);
	new = flow_at(f->bucket, f->way);
	trouble = trouble_at(f->bucket, f->way);
	if (!to || !new || !trouble)
		return 0;
	reuse = next_reuse(new->status);
	*new = *old;
	status = (new->status & ~(15ULL << PG_FLOW_REUSE_SHIFT)) | reuse;
	new->status = status;
	__builtin_memset(new->sent, 0, sizeof(new->sent));
	trouble->end[0] = trouble->end[1] = 0;
	publish(f, to, f->way & 7, f->tick);
	drop_twin(f, to);
	if (!give_up(from, from_way, f))
		return 1;
	now = (*(volatile __u64 *)&old->status & ~(15ULL << PG_FLOW_REUSE_SHIFT)) | reuse;
	if (now != status)
		__sync_val_compare_and_swap(&new->status, status, now);
	move_counters(from_bucket, from_way, f->bucket, f->way);
	__sync_lock_test_and_set(&from->tag[from_way].tag, 0);
	return 1;
}
