// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Flows as the command sees them: pg_flows in memory that the programs change at any moment. Whoever
 * changes a place here does it as they do, by compare-and-swap of its tag.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "dp_impl.h"
#include "netlink.h"

#define NSEC_PER_SEC 1000000000ULL

#define DEFAULT_TIMEOUT(sym, name, seconds) seconds,
static const __u32 default_timeouts[] = { PG_TIMEOUTS(DEFAULT_TIMEOUT) };

/* Time ----------------------------------------------------------------------------------------- */

static __u64 now_ns(void)
{
	return pg_clock_ns(CLOCK_MONOTONIC_COARSE);
}

static __u32 tick_of(__u64 ns)
{
	return (__u32)(ns >> PG_FLOW_TICK_SHIFT);
}

/* The moment of a tick that lies less than a year from now. */
static __u64 ns_of(__u32 tick, __u64 now)
{
	__s64 distance = (__s32)(tick - tick_of(now));

	return ((now >> PG_FLOW_TICK_SHIFT) + (__u64)distance) << PG_FLOW_TICK_SHIFT;
}

static __u32 ticks_of_s(__u32 seconds)
{
	return (__u32)((seconds * NSEC_PER_SEC + (1 << PG_FLOW_TICK_SHIFT) - 1) >>
		       PG_FLOW_TICK_SHIFT);
}

/* Settings ------------------------------------------------------------------------------------- */

static struct pg_flow_ctl *flow_ctl(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_FLOW_CTL].mem;
}

void pg_dp_flow_init(struct pg_dp *dp)
{
	struct pg_flow_ctl *ctl = flow_ctl(dp);

	if (getrandom(&ctl->seed, sizeof(ctl->seed), GRND_NONBLOCK) != sizeof(ctl->seed))
		ctl->seed = now_ns() * 0x9e3779b97f4a7c15ULL; /* early at boot: better than none */
	for (size_t i = 0; i < ARRAY_SIZE(ctl->timeout); i++)
		ctl->timeout[i] = i < _PG_TIMEOUT_MAX ? ticks_of_s(default_timeouts[i]) : 0;
}

__u32 pg_dp_timeout_get(const struct pg_dp *dp, enum pg_timeout timeout)
{
	return (__u32)(((__u64)flow_ctl(dp)->timeout[timeout] << PG_FLOW_TICK_SHIFT) / NSEC_PER_SEC);
}

void pg_dp_timeout_set(struct pg_dp *dp, enum pg_timeout timeout, __u32 seconds)
{
	if (seconds > PG_TIMEOUT_MAX_S)
		seconds = PG_TIMEOUT_MAX_S;
	__atomic_store_n(&flow_ctl(dp)->timeout[timeout], ticks_of_s(seconds), __ATOMIC_RELAXED);
}

__u32 pg_dp_flow_options(const struct pg_dp *dp)
{
	return __atomic_load_n(&flow_ctl(dp)->options, __ATOMIC_RELAXED);
}

int pg_dp_flow_options_set(struct pg_dp *dp, __u32 options, struct pg_err *err)
{
	bool begins = options & PG_FLOW_OPT_TRACK && !pg_dp_policy_tracks(dp);
	int r = begins ? pg_dp_flow_forget(dp, err) : 0;

	if (!r && begins)
		r = pg_dp_flow_adopt(dp, false, err);
	if (r)
		return r;
	__atomic_store_n(&flow_ctl(dp)->options, options, __ATOMIC_RELAXED);
	pg_dp_policy_track(dp);
	/* Once more, for those that opened in between; what is in force already does not fail by it. */
	if (begins)
		pg_dp_flow_adopt(dp, true, NULL);
	return 0;
}

void pg_dp_flow_settings_copy(struct pg_dp *dp, const struct pg_dp *from)
{
	*flow_ctl(dp) = *flow_ctl(from);
}

/* Namespaces ----------------------------------------------------------------------------------- */

static const struct pg_iface *slots(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_IFACES].mem;
}

bool pg_dp_flow_has_space(const struct pg_dp *dp)
{
	for (__u32 i = 0; i < PG_MAX_IFACES; i++)
		if (slots(dp)[i].netns == dp->netns)
			return true;
	return false;
}

__u32 pg_dp_flow_space(const struct pg_dp *dp)
{
	bool used[PG_MAX_IFACES] = { false };
	__u32 space = 0;

	for (__u32 i = 0; i < PG_MAX_IFACES; i++) {
		if (slots(dp)[i].netns == dp->netns)
			return slots(dp)[i].space % PG_MAX_IFACES;
		if (slots(dp)[i].netns)
			used[slots(dp)[i].space % PG_MAX_IFACES] = true;
	}
	while (space < PG_MAX_IFACES - 1 && used[space])
		space++;
	return space;
}

/* Places --------------------------------------------------------------------------------------- */

static struct pg_flow_bucket *buckets(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_FLOW_BUCKETS].mem;
}

static __u32 bucket_count(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_FLOW_BUCKETS].entries;
}

static __u32 flow_buckets(const struct pg_dp *dp)
{
	return bucket_count(dp) - PG_HALF_OPEN_BUCKETS;
}

static __u32 bucket_of(const struct pg_dp *dp, __u64 hash, bool half_open)
{
	return half_open ? flow_buckets(dp) + (hash >> 32 & (PG_HALF_OPEN_BUCKETS - 1)) :
			   hash >> 32 & (flow_buckets(dp) - 1);
}

static __u32 tag_at(const struct pg_flow_bucket *b, __u32 way)
{
	return __atomic_load_n(&b->tag[way].tag, __ATOMIC_ACQUIRE);
}

static bool is_busy(__u32 tag)
{
	return (tag & PG_TAG_TIMEOUT) == PG_TAG_BUSY;
}

static bool same_key(const struct pg_flow_key *a, const struct pg_flow_key *b)
{
	return !memcmp(a->addr, b->addr, sizeof(a->addr)) && a->port[0] == b->port[0] &&
	       a->port[1] == b->port[1] && a->space == b->space && a->proto == b->proto &&
	       (a->vlan == b->vlan || !a->vlan || !b->vlan);
}

static __u8 end_state(__u64 status, __u32 end)
{
	return status >> (PG_FLOW_END_SHIFT + 4 * end) & 15;
}

/* As flow_table.bpf.h: ends in TIME_WAIT leave it when their flow is forgotten. */
static void count_leaving(const struct pg_dp *dp, const struct pg_flow *flow)
{
	struct pg_port_states *states = dp->map[PG_MAP_PORT_STATES].mem;
	__u64 status = flow->status;
	__u16 port = flow->key.port[!(status & PG_FLOW_OPENER)];

	for (__u32 end = 0; end < 2; end++)
		if (end_state(status, end) == PG_END_TIME_WAIT)
			__atomic_fetch_add(&states[port].count[PG_FROM_TIME_WAIT_TO_CLOSED], 1,
					   __ATOMIC_RELAXED);
}

/* A place in the tables. */
struct place {
	struct pg_flow_bucket *b;
	__u32 way, tag;
	bool half_open;
};

/* In pg_flows and pg_flow_trouble. */
static __u32 index_of(const struct pg_dp *dp, const struct place *at)
{
	return pg_flow_place((__u32)(at->b - buckets(dp)), at->way, bucket_count(dp));
}

static struct pg_flow *flow_at(const struct pg_dp *dp, const struct place *at)
{
	return (struct pg_flow *)dp->map[PG_MAP_FLOWS].mem + index_of(dp, at);
}

static struct pg_flow_trouble *trouble_at(const struct pg_dp *dp, const struct place *at)
{
	return (struct pg_flow_trouble *)dp->map[PG_MAP_FLOW_TROUBLE].mem + index_of(dp, at);
}

static bool free_place(const struct pg_dp *dp, const struct place *at)
{
	__u32 tag = at->tag;

	if (!__atomic_compare_exchange_n(&at->b->tag[at->way].tag, &tag, 0, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return false;
	count_leaving(dp, flow_at(dp, at));
	return true;
}

static bool find_in(const struct pg_dp *dp, const struct pg_flow_key *key, bool half_open,
		    struct place *ret)
{
	__u64 hash = pg_flow_hash(key, flow_ctl(dp)->seed);
	struct pg_flow_bucket *b = &buckets(dp)[bucket_of(dp, hash, half_open)];

	for (__u32 way = 0; way < PG_FLOW_WAYS; way++) {
		struct place at = { b, way, tag_at(b, way), half_open };

		if (!((at.tag ^ pg_flow_tag_of(hash)) & ~PG_TAG_TIMEOUT) && !is_busy(at.tag) &&
		    same_key(&flow_at(dp, &at)->key, key)) {
			*ret = at;
			return true;
		}
	}
	return false;
}

static bool find_place(const struct pg_dp *dp, const struct pg_flow_key *key, struct place *ret)
{
	return find_in(dp, key, false, ret) || find_in(dp, key, true, ret);
}

/* Reading -------------------------------------------------------------------------------------- */

/* As has_expired() of the programs: the timeout that holds, and from when on it counts. */
static enum pg_timeout timeout_of(const struct pg_dp *dp, const struct pg_flow *flow, __u32 tag,
				  __u32 last, __u32 *ret_since)
{
	const __u32 *timeout = flow_ctl(dp)->timeout;
	enum pg_timeout holds = tag & PG_TAG_TIMEOUT;

	*ret_since = holds == PG_TIMEOUT_TCP_SYN_SENT ? flow->first : last;
	if (flow->key.proto != IPPROTO_TCP)
		return holds;
	if (timeout[holds] > timeout[PG_TIMEOUT_TCP_UNACKNOWLEDGED] && pg_flow_has_unacked(flow))
		holds = PG_TIMEOUT_TCP_UNACKNOWLEDGED;
	if (timeout[holds] > timeout[PG_TIMEOUT_TCP_MAX_RETRANS] &&
	    flow->status & (PG_FLOW_NO_WINDOW | PG_FLOW_NO_WINDOW << 1))
		holds = PG_TIMEOUT_TCP_MAX_RETRANS;
	return holds;
}

static void unpack_end(const struct pg_flow *flow, __u64 trouble, __u32 end,
		       struct pg_dp_flow_end *ret)
{
	*ret = (struct pg_dp_flow_end){
		.port = flow->key.port[end],
		.state = end_state(flow->status, end),
		.flags = (__u8)(flow->status >> (PG_FLOW_FLAGS_SHIFT + 8 * end)),
		.scale = flow->status >> (PG_FLOW_SCALE_SHIFT + 4 * end) & 15,
		.sent = flow->sent[end],
		.retransmits = trouble >> PG_TROUBLE_RETRANSMITS & 0xffffff,
		.out_of_order = trouble >> PG_TROUBLE_OUT_OF_ORDER & 0xffffff,
		.zero_windows = (__u32)(trouble >> PG_TROUBLE_ZERO_WINDOWS),
		.win = flow->win[end],
	};
	memcpy(ret->addr, flow->key.addr[end], sizeof(ret->addr));
}

/* What a struct pg_dp_flow has no member of its own for. */
static const __u64 unnamed_status = ~(PG_FLOW_TCP_STATE | PG_FLOW_SEEN_REPLY | PG_FLOW_ASSURED |
				      PG_FLOW_OPENER | PG_FLOW_PICKED_UP |
				      255ULL << PG_FLOW_END_SHIFT | 255ULL << PG_FLOW_SCALE_SHIFT |
				      0xffffULL << PG_FLOW_FLAGS_SHIFT |
				      15ULL << PG_FLOW_REUSE_SHIFT);

/* TCP's, or with SCTP its own. */
static __u8 pair_state(const struct pg_flow *flow, __u64 status, __u8 proto)
{
	return flow->key.proto == proto ? status & PG_FLOW_TCP_STATE : 0;
}

static void unpack(const struct pg_dp *dp, const struct pg_flow *flow, const __u64 *trouble,
		   __u32 tag, __u32 last, bool half_open, __u64 now, struct pg_dp_flow *ret)
{
	__u8 opener = !!(flow->status & PG_FLOW_OPENER);
	enum pg_timeout timeout;
	__u32 since;

	timeout = timeout_of(dp, flow, tag, last, &since);
	*ret = (struct pg_dp_flow){
		.key = flow->key,
		.family = flow->key.space & PG_FLOW_V6 ? PG_FAMILY_V6 : PG_FAMILY_V4,
		.opener = opener,
		.tcp_state = pair_state(flow, flow->status, IPPROTO_TCP),
		.sctp_state = pair_state(flow, flow->status, IPPROTO_SCTP),
		.half_open = half_open,
		.seen_reply = flow->status & PG_FLOW_SEEN_REPLY,
		.assured = flow->status & PG_FLOW_ASSURED,
		.picked_up = flow->status & PG_FLOW_PICKED_UP,
		.killed = (tag & PG_TAG_TIMEOUT) == PG_TIMEOUT_KILLED,
		.rtt_us = { pg_rtt_us(flow->rtt[0]), pg_rtt_us(flow->rtt[1]) },
		.first_ns = ns_of(flow->first, now),
		.last_ns = ns_of(last, now),
		.expires_ns = ns_of(since, now) + ((__u64)flow_ctl(dp)->timeout[timeout]
						   << PG_FLOW_TICK_SHIFT),
		.timeout = timeout,
		.iface = flow->iface,
		.vlan = flow->key.vlan ? (int)(flow->key.vlan & (PG_FLOW_TAGGED - 1)) : -1,
		.status = flow->status & unnamed_status,
		.last_end = flow->last_end,
		.last_win = flow->last_win,
		.last_scale = flow->last_scale,
	};
	unpack_end(flow, trouble[opener], opener, &ret->end[0]);
	unpack_end(flow, trouble[!opener], !opener, &ret->end[1]);
}

static __u32 place_number(const struct pg_dp *dp, const struct place *at)
{
	return (__u32)(at->b - buckets(dp)) * PG_FLOW_WAYS + at->way;
}

/* False: it is not there any more, or another flow is. */
static bool read_place(const struct pg_dp *dp, const struct place *at, __u64 now,
		       struct pg_dp_flow *ret)
{
	struct pg_flow_trouble trouble = *trouble_at(dp, at);
	struct pg_flow flow = *flow_at(dp, at);
	__u32 last = at->b->tag[at->way].last;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((tag_at(at->b, at->way) ^ at->tag) & ~PG_TAG_TIMEOUT || is_busy(at->tag))
		return false;
	unpack(dp, &flow, trouble.end, at->tag, last, at->half_open, now, ret);
	ret->place = place_number(dp, at);
	ret->id = at->tag & ~PG_TAG_TIMEOUT;
	return true;
}

bool pg_dp_flow_get(struct pg_dp *dp, const struct pg_flow_key *key, struct pg_dp_flow *ret)
{
	struct place at;

	return find_place(dp, key, &at) && read_place(dp, &at, now_ns(), ret);
}

/* Calls `fn` for every place that is taken. */
typedef int place_fn(struct pg_dp *dp, const struct place *at, void *arg);
static int walk_some(struct pg_dp *dp, __u32 from, __u32 to, place_fn *fn, void *arg)
{
	int r;

	for (__u32 i = from; i < to; i++) {
		struct pg_flow_bucket *b = &buckets(dp)[i];

		for (__u32 way = 0; way < PG_FLOW_WAYS; way++) {
			struct place at = { b, way, tag_at(b, way), i >= flow_buckets(dp) };

			if (!at.tag || is_busy(at.tag))
				continue;
			r = fn(dp, &at, arg);
			if (r)
				return r;
		}
	}
	return 0;
}

static int walk_places(struct pg_dp *dp, place_fn *fn, void *arg)
{
	return walk_some(dp, 0, bucket_count(dp), fn, arg);
}

struct walk {
	pg_dp_flow_fn *fn;
	void *arg;
	__u64 now_ns;
	struct pg_dp_flow *flow; /* of a glance */
};

static int show_place(struct pg_dp *dp, const struct place *at, void *arg)
{
	const struct walk *walk = arg;
	struct pg_dp_flow flow;

	if (!read_place(dp, at, walk->now_ns, &flow) || flow.expires_ns <= walk->now_ns)
		return 0;
	return walk->fn(walk->arg, &flow);
}

int pg_dp_flows_walk(struct pg_dp *dp, pg_dp_flow_fn *fn, void *arg)
{
	struct walk walk = { fn, arg, now_ns(), NULL };

	return walk_places(dp, show_place, &walk);
}

static bool has_expired(const struct pg_dp *dp, const struct place *at, __u32 tick)
{
	const struct pg_flow *flow = flow_at(dp, at);
	__u32 since;
	enum pg_timeout timeout =
		timeout_of(dp, flow, at->tag, at->b->tag[at->way].last, &since);

	return (__s32)(tick - since) >= (__s32)flow_ctl(dp)->timeout[timeout];
}

/* What need not be looked at closer: its timeout is not over, whichever of them holds. */
static bool is_young(const struct pg_dp *dp, __u32 tag, __u32 last, __u32 tick)
{
	const __u32 *timeout = flow_ctl(dp)->timeout;
	__u32 idle = tick - last, holds = tag & PG_TAG_TIMEOUT;

	return holds != PG_TIMEOUT_TCP_SYN_SENT && idle < timeout[holds] &&
	       idle < timeout[PG_TIMEOUT_TCP_UNACKNOWLEDGED] &&
	       idle < timeout[PG_TIMEOUT_TCP_MAX_RETRANS];
}

static int glance(struct pg_dp *dp, const struct place *at, void *arg)
{
	const struct pg_flow *flow = flow_at(dp, at);
	const struct walk *walk = arg;
	struct pg_dp_flow *ret = walk->flow;
	__u64 status = flow->status;

	if (!is_young(dp, at->tag, at->b->tag[at->way].last, tick_of(walk->now_ns)) &&
	    has_expired(dp, at, tick_of(walk->now_ns)))
		return 0;
	ret->key = flow->key;
	ret->family = flow->key.space & PG_FLOW_V6 ? PG_FAMILY_V6 : PG_FAMILY_V4;
	ret->opener = !!(status & PG_FLOW_OPENER);
	ret->tcp_state = pair_state(flow, status, IPPROTO_TCP);
	ret->sctp_state = pair_state(flow, status, IPPROTO_SCTP);
	ret->half_open = at->half_open;
	ret->seen_reply = status & PG_FLOW_SEEN_REPLY;
	ret->assured = status & PG_FLOW_ASSURED;
	ret->killed = (at->tag & PG_TAG_TIMEOUT) == PG_TIMEOUT_KILLED;
	ret->first_ns = ns_of(flow->first, walk->now_ns);
	ret->iface = flow->iface;
	ret->place = place_number(dp, at);
	ret->id = at->tag & ~PG_TAG_TIMEOUT;
	for (__u32 i = 0; i < 2; i++) {
		__u32 end = ret->opener ^ i;

		memcpy(ret->end[i].addr, flow->key.addr[end], sizeof(ret->end[i].addr));
		ret->end[i].port = flow->key.port[end];
		ret->end[i].state = end_state(status, end);
		ret->end[i].sent = flow->sent[end];
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if ((tag_at(at->b, at->way) ^ at->tag) & ~PG_TAG_TIMEOUT)
		return 0;
	return walk->fn(walk->arg, ret);
}

__u32 pg_dp_flow_places(const struct pg_dp *dp)
{
	return bucket_count(dp) * PG_FLOW_WAYS;
}

int pg_dp_flows_glance(struct pg_dp *dp, __u32 from, __u32 n, pg_dp_flow_fn *fn, void *arg)
{
	struct pg_dp_flow flow = { 0 };
	struct walk walk = { fn, arg, now_ns(), &flow };
	__u32 all = bucket_count(dp), to = (from + n) / PG_FLOW_WAYS;

	return walk_some(dp, from / PG_FLOW_WAYS, to < all ? to : all, glance, &walk);
}

static int count_place(struct pg_dp *dp, const struct place *at, void *arg)
{
	struct pg_dp_flow_info *info = arg;

	if (!has_expired(dp, at, tick_of(now_ns())))
		info->count[at->half_open]++;
	return 0;
}

void pg_dp_flow_info(struct pg_dp *dp, struct pg_dp_flow_info *ret)
{
	pg_dp_flow_stats(dp, ret);
	walk_places(dp, count_place, ret);
}

void pg_dp_flow_stats(struct pg_dp *dp, struct pg_dp_flow_info *ret)
{
	const struct pg_map *stats = &dp->map[PG_MAP_FLOW_STATS];

	*ret = (struct pg_dp_flow_info){
		.capacity = { flow_buckets(dp) * PG_FLOW_WAYS, PG_HALF_OPEN },
		.memory_bytes = dp->map[PG_MAP_FLOW_BUCKETS].bytes + dp->map[PG_MAP_FLOWS].bytes +
				dp->map[PG_MAP_FLOW_TROUBLE].bytes,
		.tracking = pg_dp_policy_tracks(dp),
	};
	for (__u32 cpu = 0; cpu < stats->entries; cpu++) {
		const __u64 *from = (const __u64 *)((const struct pg_flow_stats *)stats->mem + cpu);
		__u64 *to = (__u64 *)&ret->stats;

		for (size_t i = 0; i < sizeof(ret->stats) / sizeof(*to); i++)
			to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
	ret->stats.jiffies = ret->stats.tick = 0;
}

const struct pg_port_states *pg_dp_port_states(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_PORT_STATES].mem;
}

void pg_dp_states_read(const struct pg_dp *dp, struct pg_port_states *ret)
{
	const struct pg_port_states *ports = pg_dp_port_states(dp);

	*ret = (struct pg_port_states){ 0 };
	for (__u32 port = 0; port < PG_PORTS; port++)
		for (size_t i = 0; i < ARRAY_SIZE(ret->count); i++)
			ret->count[i] += __atomic_load_n(&ports[port].count[i], __ATOMIC_RELAXED);
}

/* Removing ------------------------------------------------------------------------------------- */

bool pg_dp_flow_kill(struct pg_dp *dp, const struct pg_flow_key *key)
{
	struct place at;

	/* Its timeout may change while we look. */
	for (int tries = 0; tries < 100 && find_place(dp, key, &at); tries++)
		if (free_place(dp, &at))
			return true;
	return false;
}

bool pg_dp_flow_end(struct pg_dp *dp, const struct pg_flow_key *key)
{
	const __u32 killed = PG_TIMEOUT_KILLED;
	struct place at;

	for (int tries = 0; tries < 100 && find_place(dp, key, &at); tries++) {
		if ((at.tag & PG_TAG_TIMEOUT) == killed)
			return true;
		at.b->tag[at.way].last = tick_of(now_ns());
		if (__atomic_compare_exchange_n(&at.b->tag[at.way].tag, &at.tag,
						(at.tag & ~PG_TAG_TIMEOUT) | killed, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static int collect_place(struct pg_dp *dp, const struct place *at, void *arg)
{
	struct pg_flow_stats *stats = dp->map[PG_MAP_FLOW_STATS].mem;
	__u32 *n = arg;

	if (has_expired(dp, at, tick_of(now_ns())) && free_place(dp, at)) {
		__atomic_fetch_add(&stats->collected[at->half_open], 1, __ATOMIC_RELAXED);
		++*n;
	}
	return 0;
}

__u32 pg_dp_flows_collect(struct pg_dp *dp)
{
	__u32 n = 0;

	walk_places(dp, collect_place, &n);
	return n;
}

static int forget_place(struct pg_dp *dp, const struct place *at, void *arg)
{
	const __u32 *space = arg;

	if (!space || (flow_at(dp, at)->key.space & ~PG_FLOW_V6) == *space)
		free_place(dp, at);
	return 0;
}

void pg_dp_flow_forget_space(struct pg_dp *dp, __u32 space)
{
	walk_places(dp, forget_place, &space);
}

int pg_dp_flow_forget(struct pg_dp *dp, struct pg_err *err)
{
	(void)err;
	walk_places(dp, forget_place, NULL);
	return 0;
}

/* Making --------------------------------------------------------------------------------------- */

static __u64 pack_end(const struct pg_dp_flow_end *e, __u32 end)
{
	return (__u64)e->state << (PG_FLOW_END_SHIFT + 4 * end) |
	       (__u64)(e->scale & 15) << (PG_FLOW_SCALE_SHIFT + 4 * end) |
	       (__u64)e->flags << (PG_FLOW_FLAGS_SHIFT + 8 * end);
}

static __u64 pack_status(const struct pg_dp_flow *from)
{
	__u64 status = (from->status & unnamed_status) | from->tcp_state | from->sctp_state;

	if (from->opener)
		status |= PG_FLOW_OPENER;
	if (from->seen_reply)
		status |= PG_FLOW_SEEN_REPLY;
	if (from->assured)
		status |= PG_FLOW_ASSURED;
	if (from->picked_up)
		status |= PG_FLOW_PICKED_UP;
	return status | pack_end(&from->end[0], from->opener) |
	       pack_end(&from->end[1], !from->opener);
}

static __u16 pack_rtt(__u32 us)
{
	__u32 shift = 0;

	for (; us >= 4096; us >>= 1)
		shift++;
	return (__u16)(us < 2048 ? us : 2048 + (shift << 10) + ((us - 2048) >> 1));
}

static __u64 pack_trouble(const struct pg_dp_flow_end *e)
{
	return (__u64)(e->retransmits & 0xffffff) << PG_TROUBLE_RETRANSMITS |
	       (__u64)(e->out_of_order & 0xffffff) << PG_TROUBLE_OUT_OF_ORDER |
	       (__u64)(e->zero_windows & 0xffff) << PG_TROUBLE_ZERO_WINDOWS;
}

static void pack(const struct pg_dp_flow *from, struct pg_flow *ret, __u64 *ret_trouble)
{
	*ret = (struct pg_flow){
		.key = from->key,
		.status = pack_status(from),
		.first = tick_of(from->first_ns),
		.last_end = from->last_end,
		.last_win = from->last_win,
		.last_scale = from->last_scale,
		.iface = (__u8)from->iface,
		.rtt = { pack_rtt(from->rtt_us[0]), pack_rtt(from->rtt_us[1]) },
	};
	for (__u32 i = 0; i < 2; i++) {
		__u32 end = from->opener ^ i;

		ret->sent[end] = from->end[i].sent;
		ret->win[end] = from->end[i].win;
		ret_trouble[end] = pack_trouble(&from->end[i]);
	}
}

enum pg_timeout pg_dp_flow_timeout(const struct pg_dp_flow *flow)
{
	if (flow->killed)
		return PG_TIMEOUT_KILLED;
	switch (flow->key.proto) {
	case IPPROTO_TCP:
		if (flow->tcp_state == PG_TCP_ESTABLISHED && !flow->seen_reply)
			return PG_TIMEOUT_TCP_UNACKNOWLEDGED;
		return (enum pg_timeout)flow->tcp_state;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return flow->assured ? PG_TIMEOUT_UDP_STREAM : PG_TIMEOUT_UDP;
	case IPPROTO_SCTP:
		return (enum pg_timeout)(PG_TIMEOUT_SCTP_ESTABLISHED +
					 (flow->sctp_state ?: PG_SCTP_CLOSED) -
					 PG_SCTP_ESTABLISHED);
	case IPPROTO_GRE:
		return flow->seen_reply ? PG_TIMEOUT_GRE_STREAM : PG_TIMEOUT_GRE;
	case IPPROTO_ICMP:
		return PG_TIMEOUT_ICMP;
	case IPPROTO_ICMPV6:
		return PG_TIMEOUT_ICMPV6;
	}
	return PG_TIMEOUT_GENERIC;
}

/* As choose() of the programs. */
static bool choose(const struct pg_dp *dp, struct place *at, __u32 tick)
{
	const __u32 *timeout = flow_ctl(dp)->timeout;
	__s32 least = INT32_MAX;
	bool found = false;

	for (__u32 way = 0; way < PG_FLOW_WAYS; way++) {
		__u32 tag = tag_at(at->b, way), holds = tag & PG_TAG_TIMEOUT;
		__u32 idle = tick - at->b->tag[way].last;
		__s32 left = pg_flow_worth(at->half_open, (__s32)(timeout[holds] - idle), idle);
		const struct place here = { at->b, way, tag, at->half_open };

		if (is_busy(tag))
			continue;
		if (!tag || has_expired(dp, &here, tick))
			left = tag ? 0 : -1;
		else if (PG_KEPT(at->half_open) & 1U << holds)
			continue;
		if (found && left >= least)
			continue;
		found = true;
		least = left;
		at->way = way;
		at->tag = tag;
	}
	return found;
}

/* Times that a place is lost to a program before the flow is refused. */
#define CLAIM_TRIES 3

static bool claim(const struct pg_dp *dp, const struct pg_flow_key *key, bool half_open,
		  struct place *ret)
{
	struct pg_flow_stats *stats = dp->map[PG_MAP_FLOW_STATS].mem;
	__u64 hash = pg_flow_hash(key, flow_ctl(dp)->seed);
	struct place at = { &buckets(dp)[bucket_of(dp, hash, half_open)], 0, 0, half_open };
	__u32 tick = tick_of(now_ns());

	for (int i = 0; i < CLAIM_TRIES && choose(dp, &at, tick); i++) {
		__u32 tag = at.tag;
		bool expired = tag && has_expired(dp, &at, tick);

		if (!__atomic_compare_exchange_n(&at.b->tag[at.way].tag, &tag,
						 pg_flow_tag_of(hash) | PG_TAG_BUSY, false,
						 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			continue;
		if (at.tag) {
			__atomic_fetch_add(expired ? &stats->collected[half_open] :
						     &stats->evicted[half_open],
					   1, __ATOMIC_RELAXED);
			count_leaving(dp, flow_at(dp, &at));
		}
		at.tag = pg_flow_tag_of(hash);
		*ret = at;
		return true;
	}
	return false;
}

void pg_dp_flow_refuse(struct pg_dp *dp, __u32 n)
{
	struct pg_flow_stats *stats = dp->map[PG_MAP_FLOW_STATS].mem;

	__atomic_fetch_add(&stats->refused[PG_FLOW_TABLE], n, __ATOMIC_RELAXED);
}

int pg_dp_flow_put(struct pg_dp *dp, const struct pg_dp_flow *flow)
{
	struct pg_flow packed, *place;
	__u64 trouble[2];
	struct place at;

	pg_dp_flow_kill(dp, &flow->key);
	if (!claim(dp, &flow->key, flow->half_open, &at))
		return -ENOSPC;
	place = flow_at(dp, &at);
	pack(flow, &packed, trouble);
	packed.status |= ((place->status >> PG_FLOW_REUSE_SHIFT) + 1) << PG_FLOW_REUSE_SHIFT;
	*place = packed;
	memcpy(trouble_at(dp, &at)->end, trouble, sizeof(trouble));
	at.b->tag[at.way].last = tick_of(flow->last_ns);
	__atomic_store_n(&at.b->tag[at.way].tag, at.tag | pg_dp_flow_timeout(flow), __ATOMIC_RELEASE);
	return 0;
}

/* Keys ----------------------------------------------------------------------------------------- */

/* As comes_behind() in the programs: by words as they are read here. */
static bool comes_behind(__be32 (*addr)[4], const __u16 *port)
{
	for (int i = 0; i < 4; i++)
		if (addr[0][i] != addr[1][i])
			return addr[0][i] > addr[1][i];
	return port[0] > port[1];
}

__u8 pg_dp_flow_key(const struct pg_dp *dp, const struct pg_flow_packet *p, struct pg_flow_key *ret)
{
	__be32 addr[2][4] = { 0 };
	__u16 port[2] = { p->port[0], p->port[1] };
	size_t bytes = p->family == PG_FAMILY_V4 ? 4 : 16;
	__u8 from, swap;

	memcpy(addr[0], p->addr[0], bytes);
	memcpy(addr[1], p->addr[1], bytes);
	from = p->query ? p->answer : comes_behind(addr, port);
	swap = p->query ? 0 : from; /* a query's are no ends' ports */
	*ret = (struct pg_flow_key){
		.port = { port[swap], port[!swap] },
		.space = (__u8)(pg_dp_flow_space(dp) | (p->family == PG_FAMILY_V6 ? PG_FLOW_V6 : 0)),
		.proto = p->proto,
	};
	memcpy(ret->addr[0], addr[from], sizeof(addr[0]));
	memcpy(ret->addr[1], addr[!from], sizeof(addr[1]));
	return from;
}

void pg_dp_flow_new(const struct pg_flow_key *key, __u8 opener, struct pg_dp_flow *ret)
{
	__u64 now = now_ns();

	*ret = (struct pg_dp_flow){ .key = *key, .opener = opener, .first_ns = now, .last_ns = now };
	if (key->proto == IPPROTO_TCP) /* its windows are not known */
		ret->status = PG_FLOW_LIBERAL | PG_FLOW_LIBERAL << 1;
}

int pg_dp_flow_establish(struct pg_dp *dp, enum pg_family family, const __be32 addr[2][4],
			 const __u16 port[2])
{
	const struct pg_flow_packet sent = {
		.family = family,
		.proto = IPPROTO_TCP,
		.addr = { addr[0], addr[1] },
		.port = { port[0], port[1] },
	};
	struct pg_flow_key key;
	struct pg_dp_flow flow;
	__u8 from = pg_dp_flow_key(dp, &sent, &key);

	pg_dp_flow_new(&key, !from, &flow);
	flow.tcp_state = PG_TCP_ESTABLISHED;
	flow.end[0].state = flow.end[1].state = PG_END_ESTABLISHED;
	flow.seen_reply = flow.assured = true;
	return pg_dp_flow_put(dp, &flow);
}
