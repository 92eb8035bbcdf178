/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conditions that no bitmap answers: what depends on the past (limits, quotas, recent), on the
 * clock, or on values too many for a table. The kernel's match of the same name is the reference of
 * each. Everything they ask of the packet is in struct pkt.
 */
#pragma once

enum check_result {
	CHECK_FAILS,
	CHECK_HOLDS,
	CHECK_DROPS,	       /* what iptables calls hotdrop */
	CHECK_HOLDS_AND_DROPS, /* likewise, but the rule goes on, and counts if the rest holds */
	CHECK_WAITS,	       /* for the connection's state */
	CHECK_AGAIN,	       /* has got one step further, and is to be asked again */
};

static __always_inline enum check_result holds(bool yes)
{
	return yes ? CHECK_HOLDS : CHECK_FAILS;
}

#include "walk.bpf.h"

/* Other CPUs may change a state at the same moment; whoever loses that often gives in. */
#define MAX_TRIES 8

/*
 * A token bucket as one number, the time at which it is full again (the generic cell rate
 * algorithm): xt_limit's credits, without their jiffies. `cost` and `burst` in ns.
 */
static __always_inline bool take_tokens(__u64 *full_at, __u64 now, __u64 cost, __u64 burst)
{
	NO_UNROLL for (int i = 0; i < MAX_TRIES; i++) {
		__u64 was = *(volatile __u64 *)full_at;
		__u64 from = was > now ? was : now;

		if (from + cost - now > burst)
			return false;
		if (__sync_val_compare_and_swap(full_at, was, from + cost) == was)
			return true;
	}
	return false;
}

static __always_inline struct pg_state *state_of(const struct pg_check *c)
{
	__u32 i = c->state;

	return bpf_map_lookup_elem(&pg_states, &i);
}

static __always_inline enum check_result check_limit(const struct pg_check *c)
{
	struct pg_state *s = state_of(c);

	return holds(s && take_tokens(&s->value, bpf_ktime_get_coarse_ns(), c->u64[0], c->u64[1]));
}

/* xt_quota.c: what does not fit any more takes the rest with it. The state is what was used. */
static __always_inline enum check_result check_quota(const struct pg_check *c, const struct pkt *p)
{
	struct pg_state *s = state_of(c);
	bool fits = false;

	NO_UNROLL for (int i = 0; s && i < MAX_TRIES; i++) {
		__u64 was = *(volatile __u64 *)&s->value, used;

		fits = c->u64[0] - was >= p->bytes && was <= c->u64[0];
		used = fits ? was + p->bytes : c->u64[0];
		if (__sync_val_compare_and_swap(&s->value, was, used) == was)
			break;
	}
	return holds(fits != c->invert);
}

/* xt_statistic.c: a packet matches when the counter passes 0; --packet says how far that is. */
static __always_inline enum check_result check_nth(const struct pg_check *c)
{
	struct pg_state *s = state_of(c);
	bool hit = false;

	NO_UNROLL for (int i = 0; s && i < MAX_TRIES; i++) {
		__u64 was = *(volatile __u64 *)&s->value;
		__u64 is = was == c->v[0] ? 0 : was + 1;

		hit = is == 0;
		if (__sync_val_compare_and_swap(&s->value, was, is) == was)
			break;
	}
	return holds(hit != c->invert);
}

static __always_inline enum check_result check_random(const struct pg_check *c)
{
	return holds(((bpf_get_prandom_u32() & 0x7fffffff) < c->v[0]) != c->invert);
}

/* The first `bits` bits of an address, in place. */
static __always_inline void mask_addr(__be32 *addr, __u32 bits)
{
#pragma unroll
	for (__u32 i = 0; i < 4; i++) {
		__u32 n = bits > 32 * i ? bits - 32 * i : 0;

		addr[i] &= n >= 32 ? ~0U : n ? bpf_htonl(~0U << (32 - n & 31)) : 0;
	}
}

/*
 * xt_hashlimit.c rateinfo_recalc() with XT_HASHLIMIT_RATE_MATCH: over is what comes behind an
 * interval that was over the rate, and what is too much within one. False: it is over.
 */
static __always_inline bool within_rate(struct pg_state *s, const struct pg_check *c, __u64 now,
					__u64 cost)
{
	__u64 begun = *(volatile __u64 *)&s->value, age = now - begun, had;
	__u64 interval_ms = c->v[9] * 1000ULL;

	if (!begun) {
		__sync_val_compare_and_swap(&s->value, 0, now);
	} else if (age >= interval_ms * 1000000 &&
		   __sync_val_compare_and_swap(&s->value, begun, now) == begun) {
		had = s->rate & ~PG_STATE_OVER;
		s->rate = had * interval_ms > age / 1000000 * c->u64[0] ? PG_STATE_OVER : 0;
	}
	had = __sync_fetch_and_add(&s->rate, cost) + cost;
	return had <= c->u64[1]; /* PG_STATE_OVER is more than any */
}

/*
 * xt_hashlimit.c hashlimit_byte_cost(): a second's worth at once, which is also the most that a packet costs.
 * Where that is not enough, the bucket is filled at one go, as often as --hashlimit-burst says in the bucket's
 * whole life.
 */
static __always_inline bool take_bytes(struct pg_state *s, const struct pg_check *c, __u64 now, __u32 bytes)
{
	__u64 cost = c->u64[0] * ((bytes >> 4) + 1); /* by sixteens (xt_hashlimit_len_to_chunks()) */
	__u64 used;

	if (cost > PG_HASHLIMIT_SECOND)
		cost = PG_HASHLIMIT_SECOND;
	if (take_tokens(&s->value, now, cost, PG_HASHLIMIT_SECOND))
		return true;
	used = *(volatile __u64 *)&s->rate;
	if (used >= c->u64[1] || __sync_val_compare_and_swap(&s->rate, used, used + 1) != used)
		return false;
	*(volatile __u64 *)&s->value = now + cost;
	return true;
}

/*
 * A bucket that nobody has asked for --hashlimit-htable-expire is as good as gone. In the kernel it
 * goes when --hashlimit-htable-gcinterval is over next.
 */
static __always_inline void expire_bucket(struct pg_bucket *b, __u64 now, __u64 expire_ns)
{
	__u64 was = *(volatile __u64 *)&b->asked_ns;

	if ((__s64)(now - was) <= 0) /* most of a flood come within one tick */
		return;
	if (__sync_val_compare_and_swap(&b->asked_ns, was, now) != was || !was || now - was < expire_ns)
		return; /* !was: it is new */
	b->state.value = 0;
	b->state.rate = 0;
}

/* xt_hashlimit.c: one bucket for each combination of what the mode names. */
static __always_inline enum check_result check_hashlimit(const struct pg_check *c, struct pkt *p)
{
	struct pg_hashlimit_key *key = (void *)p->out; /* not on the stack, which is short */
	struct pg_bucket fresh = { 0 }, *b;
	__u64 now;
	__u32 modes = c->v[6];
	struct pg_state *s;

	__builtin_memset(key, 0, sizeof(*key));
	key->name = c->u64[2];
	key->family = p->family;
	if (modes & PG_HASHLIMIT_SIP) {
		copy_addr(key->src, p, false);
		mask_addr(key->src, c->bytes[28 + 4]);
	}
	if (modes & PG_HASHLIMIT_DIP) {
		copy_addr(key->dst, p, true);
		mask_addr(key->dst, c->bytes[28 + 5]);
	}
	if (modes & (PG_HASHLIMIT_SPT | PG_HASHLIMIT_DPT)) {
		__u32 ports = p->field[PG_FIELD_PORTS - PG_FIELD_ESP_SPI];

		if (!(p->have >> (PG_FIELD_PORTS - PG_FIELD_ESP_SPI) & 1))
			return CHECK_DROPS; /* hotdrop: the ports are cut off */
		key->sport = modes & PG_HASHLIMIT_SPT ? ports >> 16 : 0;
		key->dport = modes & PG_HASHLIMIT_DPT ? ports & 0xffff : 0;
	}
	b = bpf_map_lookup_elem(&pg_hashlimits, key);
	if (!b) {
		bpf_map_update_elem(&pg_hashlimits, key, &fresh, 1 /* BPF_NOEXIST */);
		b = bpf_map_lookup_elem(&pg_hashlimits, key);
	}
	if (!b)
		return holds(c->invert);
	/* Only now: what stands across a call may go to the stack. */
	now = bpf_ktime_get_coarse_ns();
	expire_bucket(b, now, c->v[10] * 1000000ULL);
	s = &b->state;
	if (c->v[7] & PG_HASHLIMIT_RATE)
		return holds(within_rate(s, c, now,
					 c->v[7] & PG_HASHLIMIT_BYTES ? p->bytes : p->packets) !=
			     c->invert);
	if (c->v[7] == PG_HASHLIMIT_BYTES)
		return holds(take_bytes(s, c, now, p->bytes) != c->invert);
	return holds(take_tokens(&s->value, now, c->u64[0], c->u64[1]) != c->invert);
}

/* Enough of its last stamps are young enough. */
static __always_inline bool recent_enough(const struct pg_recent_entry *e,
					  const struct pg_check *c, __u32 now)
{
	__u32 hits = 0;

	NO_UNROLL for (__u32 i = 0; i < PG_RECENT_STAMPS; i++) {
		if (i >= e->stamps)
			break;
		if (c->v[3] && now - e->stamp[i] > c->v[3] * 1000000000ULL >> PG_RECENT_SHIFT)
			continue;
		if (!c->v[4] || ++hits >= c->v[4])
			return true;
	}
	return false;
}

static __always_inline void recent_stamp(struct pg_recent_entry *e, __u32 now, __u8 ttl)
{
	__u32 i = e->next & (PG_RECENT_STAMPS - 1);

	e->stamp[i] = now;
	e->next = i + 1;
	if (e->stamps < e->next)
		e->stamps = e->next;
	e->ttl = ttl;
}

/* xt_recent.c recent_mt() */
static __always_inline enum check_result check_recent(const struct pg_check *c, struct pkt *p)
{
	/* Not on the stack, which is short. */
	struct pg_recent_key *key = (void *)p->out;
	struct pg_recent_entry *fresh = (void *)(p->out + sizeof(*key)), *e;
	__u32 op = c->v[2], flags = c->v[5], now = bpf_ktime_get_coarse_ns() >> PG_RECENT_SHIFT;
	bool yes = c->invert;

	key->name = c->u64[0];
	key->family = p->family;
	copy_addr(key->addr, p, flags & PG_RECENT_DEST);
#pragma unroll
	for (int i = 0; i < 4; i++)
		key->addr[i] &= c->addr[6 + i];
	e = bpf_map_lookup_elem(&pg_recents, key);
	if (e && flags & PG_RECENT_TTL && e->ttl && p->ttl && e->ttl != p->ttl)
		e = NULL;
	if (!e) {
		if (op != PG_RECENT_SET)
			return holds(yes);
		__builtin_memset(fresh, 0, sizeof(*fresh));
		recent_stamp(fresh, now, p->ttl);
		bpf_map_update_elem(&pg_recents, key, fresh, 0);
		return holds(!yes);
	}
	if (op == PG_RECENT_SET || op == PG_RECENT_REMOVE || recent_enough(e, c, now))
		yes = !yes;
	if (op == PG_RECENT_REMOVE)
		bpf_map_delete_elem(&pg_recents, key);
	if (op == PG_RECENT_SET || (op == PG_RECENT_UPDATE && yes))
		recent_stamp(e, now, p->ttl);
	return holds(yes);
}

/* Day of the month from days since 1970, as civil calendars have it; March begins the year. */
static __always_inline __u32 month_day(__u32 days)
{
	__u32 in_era = (days + 719468) % 146097;
	__u32 year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	__u32 in_year = in_era - (365 * year + year / 4 - year / 100);
	__u32 month = (5 * in_year + 2) / 153;

	return in_year - (153 * month + 2) / 5 + 1;
}

/* xt_time.c time_mt() */
static __always_inline enum check_result check_time(const struct pg_check *c)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	__u64 now = bpf_ktime_get_tai_ns() / 1000000000;
	__u32 second, days, weekday;

	if (!map)
		return CHECK_FAILS;
	now -= map->ctl.tai_offset + (__s32)c->v[9];
	if ((__s64)now < c->s64[0] || (__s64)now > c->s64[1])
		return CHECK_FAILS;
	second = now % 86400;
	if (c->v[4] < c->v[5]) {
		if (second < c->v[4] || second > c->v[5])
			return CHECK_FAILS;
	} else {
		if (second < c->v[4] && second > c->v[5])
			return CHECK_FAILS;
		/* Past midnight of a contiguous night it is still the day on which it began. */
		if (c->v[8] && second <= c->v[5])
			now -= 86400;
	}
	days = now / 86400;
	weekday = (days + 3) % 7 + 1; /* 1970-01-01 was a Thursday; 1 is Monday */
	if (!(c->v[7] >> weekday & 1))
		return CHECK_FAILS;
	return holds(c->v[6] == 0xfffffffe || c->v[6] >> month_day(days) & 1);
}

/* xt_addrtype.c match_type6(): all that is named must hold, but one of LOCAL, ANYCAST, UNREACHABLE. */
static __always_inline bool is_type6(void *ctx, struct pkt *p, bool dest, __u32 types, __u32 type)
{
	const __be32 *addr = dest ? p->daddr : p->saddr;
	bool multicast = bpf_ntohl(addr[0]) >> 24 == 0xff;
	bool zero = !(addr[0] | addr[1] | addr[2]);
	bool mapped = !(addr[0] | addr[1]) && addr[2] == bpf_htonl(0xffff);
	bool any = zero && !addr[3];

	if ((types & 1 << RTN_MULTICAST && !multicast) || (types & 1 << RTN_UNSPEC && !any) ||
	    (types & 1 << RTN_UNICAST && (multicast || any || mapped)))
		return false;
	types &= 1 << RTN_LOCAL | 1 << RTN_ANYCAST | 1 << RTN_UNREACHABLE;
	if (!types || types >> (type & 15) & 1)
		return true;
	return types & 1 << RTN_UNREACHABLE && is_unreachable6(ctx, p, dest);
}

static __always_inline bool is_type(void *ctx, struct pkt *p, bool dest, __u32 types, __u32 ifindex)
{
	__u32 type = addr_type(p, dest, ifindex);

	/*
	 * The copy is as old as the policy: an address that the host got since must not shut it out. What is
	 * only asked about a packet has read them a moment ago.
	 */
	if (!cfg.trace && cfg.role != PG_ROLE_FED && dest && type == RTN_UNICAST &&
	    p->progress.stage == PG_STAGE_FILTER && is_new_here(ctx, p))
		type = RTN_LOCAL;
	if (p->family == PG_FAMILY_V6)
		return is_type6(ctx, p, dest, types, type);
	return types >> (type & 15) & 1;
}

static __always_inline enum check_result check_addrtype(void *ctx, const struct pg_check *c,
							struct pkt *p)
{
	__u32 in = p->departs ? p->other_ifindex : cfg.ifindex, out = p->departs ? cfg.ifindex : p->other_ifindex;
	__u32 ifindex = c->v[2] & PG_ADDRTYPE_IN ? in : c->v[2] & PG_ADDRTYPE_OUT ? out : 0;

	if (c->v[0] && is_type(ctx, p, false, c->v[0], ifindex) == (c->invert & 1))
		return CHECK_FAILS;
	if (c->v[1] && is_type(ctx, p, true, c->v[1], ifindex) == (c->invert >> 1 & 1))
		return CHECK_FAILS;
	return CHECK_HOLDS;
}

static __always_inline enum check_result check_mac(const struct pg_check *c, const struct pkt *p)
{
	bool same = true;

	if (!p->has_l2)
		return CHECK_FAILS;
#pragma unroll
	for (int i = 0; i < 6; i++)
		same &= p->smac[i] == c->bytes[i];
	return holds(same != c->invert);
}

static __always_inline enum check_result check_range(const struct pg_check *c,
						     const struct pkt *p, bool dest)
{
	__be32 addr[4];
	__u64 hi, lo;
	bool in;

	copy_addr(addr, p, dest);
	hi = (__u64)bpf_ntohl(addr[0]) << 32 | bpf_ntohl(addr[1]);
	lo = (__u64)bpf_ntohl(addr[2]) << 32 | bpf_ntohl(addr[3]);
	in = (hi > c->u64[0] || (hi == c->u64[0] && lo >= c->u64[1])) &&
	     (hi < c->u64[2] || (hi == c->u64[2] && lo <= c->u64[3]));
	return holds(in != c->invert);
}

/* False: the packet has no such field. */
static __always_inline bool field_of(const struct pkt *p, __u32 field, __u32 *ret)
{
	__u32 i = (field - PG_FIELD_ESP_SPI) & 15;

	switch (field) {
	case PG_FIELD_LENGTH:
		*ret = p->ip_len;
		return true;
	case PG_FIELD_TTL:
		/* ip_forward() and ip6_forward() take one away before they ask. */
		*ret = p->ttl - (p->progress.stage == PG_STAGE_FORWARD && !p->departs);
		return true;
	case PG_FIELD_TOS:
		*ret = p->tos;
		return true;
	case PG_FIELD_PKTTYPE:
		*ret = p->pkttype;
		return true;
	case PG_FIELD_MARK:
		*ret = p->mark;
		return true;
	case PG_FIELD_VLAN:
		*ret = p->vlan_id[0];
		return p->vlans;
	}
	*ret = p->field[i];
	return p->have >> i & 1;
}

/* An option that is not there satisfies its inversion (xt_tcpmss.c), a header that isn't nothing. */
static __always_inline enum check_result check_field(const struct pg_check *c, const struct pkt *p)
{
	__u32 v;

	if (c->v[0] >= PG_FIELD_ESP_SPI && p->cut >> (c->v[0] - PG_FIELD_ESP_SPI & 15) & 1)
		return CHECK_DROPS;
	if (!field_of(p, c->v[0], &v))
		return holds(c->v[0] == PG_FIELD_MSS && c->invert && p->l4_state == PG_L4_FULL);
	return holds((v >= c->v[1] && v <= c->v[2]) != c->invert);
}

static __always_inline enum check_result check_bits(const struct pg_check *c, const struct pkt *p)
{
	__u32 v;

	if (!field_of(p, c->v[0], &v))
		return CHECK_FAILS;
	return holds(((v & c->v[1]) == c->v[2]) != c->invert);
}

#include "ct.bpf.h"

static __always_inline enum check_result check_holds(const struct pg_check *c, struct pkt *p,
						     const struct loop *loop)
{
	switch (c->kind) {
	case PG_CHECK_STATE:
		if (!p->ct_state)
			return CHECK_WAITS;
		return holds(!!(p->ct_state & c->v[0]) != c->invert);
	case PG_CHECK_SET:
		return holds(set_contains(c->v[0], c->v[2], p, c->v[1]) != c->invert);
	case PG_CHECK_LIMIT:
		return check_limit(c);
	case PG_CHECK_HASHLIMIT:
		return check_hashlimit(c, p);
	case PG_CHECK_RECENT:
		return check_recent(c, p);
	case PG_CHECK_QUOTA:
		return check_quota(c, p);
	case PG_CHECK_NTH:
		return check_nth(c);
	case PG_CHECK_RANDOM:
		return check_random(c);
	case PG_CHECK_TIME:
		return check_time(c);
	case PG_CHECK_CT_ADDR:
		return check_ct_addr(c, p);
	case PG_CHECK_CT_FIELD:
		return check_ct_field(c, p);
	case PG_CHECK_CONNBYTES:
		return check_connbytes(c, p);
	case PG_CHECK_CONNLIMIT:
		return check_connlimit(c, p);
	case PG_CHECK_RPFILTER:
		return holds(comes_from_there(loop->ctx, p, c->v[0]) != c->invert);
	case PG_CHECK_ADDRTYPE:
		return check_addrtype(loop->ctx, c, p);
	case PG_CHECK_OPTION:
		return check_option(loop, c, p);
	case PG_CHECK_DCCP_TYPE:
		return check_dccp_type(loop, c, p);
	case PG_CHECK_CHUNKS:
		return check_chunks(loop, c, p);
	case PG_CHECK_RT_COUNT:
		return check_rt_count(c, p);
	case PG_CHECK_RT_ADDR:
		return check_rt_addr(loop, c, p);
	case PG_CHECK_MAC:
		return check_mac(c, p);
	case PG_CHECK_SRC_RANGE:
		return check_range(c, p, false);
	case PG_CHECK_DST_RANGE:
		return check_range(c, p, true);
	case PG_CHECK_FIELD:
		return check_field(c, p);
	case PG_CHECK_BITS:
		return check_bits(c, p);
	}
	return CHECK_FAILS;
}
