/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, and who writes it.
 *
 * The tables of both generations are one large value, so that one lookup is enough for all of them;
 * what follows are loads and masks. Counters are one large value per shard for the same reason. The
 * command makes all maps, with an element for each shard or CPU.
 */
#pragma once

/*
 * Set by the command before loading; constants to the verifier, which prunes what they switch off.
 */
const volatile struct {
	__u32 shards;	 /* that counters have */
	__u32 iface;	 /* slot of the interface this copy is attached to */
	__u32 ifindex;	 /* and its index */
	bool atomic;	 /* more CPUs than shards: count with atomics */
	bool frags;	 /* the kernel hands over multi-buffer frames, and has their length */
	bool no_l2;	 /* the interface has no Ethernet header (tun, wireguard) */
	bool trace;	 /* fill pg_trace (replay, tests) */
	bool skip_csum;	 /* do not verify the IPv4 header checksum (benchmark only) */
	__u32 fast;	 /* enum pg_fast: which copy of the fast path */
	__u32 space;	 /* number of the interface's network namespace: see pg_flow_key */
	__u32 netns;	 /* its inode number */
	__u32 flow_buckets; /* that pg_flow_buckets has for flows */
	__u32 role;	 /* enum pg_role */
} cfg = { .shards = 1 };

#define ARRAY(name, value_type)                                                                    \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

/* Written by the command. */
ARRAY(pg_tables, struct pg_tables_map);

/* Written by the programs, one element for each shard. */
ARRAY(pg_shards, struct pg_shard);

/* The packet at hand, one element for each CPU: its programs don't interrupt each other. */
ARRAY(pg_scratch, struct pkt);

/* One packet's reading: written by the programs when cfg.trace, read by the command. */
ARRAY(pg_trace, struct pg_trace_map);

/* Limits, quotas and the like: the command gives each its start, the programs go on from there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PG_STATES);
	__type(key, __u32);
	__type(value, struct pg_state);
} pg_states SEC(".maps");

/* Written by the programs. The kernel forgets what was not used for the longest time. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PG_RECENTS);
	__type(key, struct pg_recent_key);
	__type(value, struct pg_recent_entry);
} pg_recents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PG_HASHLIMITS);
	__type(key, struct pg_hashlimit_key);
	__type(value, struct pg_bucket);
} pg_hashlimits SEC(".maps");

/* Written by the programs, likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PG_FRAGMENTED);
	__type(key, struct pg_fragment_key);
	__type(value, struct pg_fragment);
} pg_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PG_CONNLIMITS);
	__type(key, struct pg_connlimit_key);
	__type(value, struct pg_connlimit);
} pg_connlimits SEC(".maps");

/* Written by the command. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PG_LOCALS);
	__type(key, struct pg_local_key);
	__type(value, struct pg_local);
} pg_locals SEC(".maps");

/* Events of LOG and NFLOG: written by the programs, read by `portguard log`. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PG_EVENT_RING);
} pg_events SEC(".maps");

/* By CPU: the token bucket of its events, and how many were lost. */
ARRAY(pg_event_rate, struct pg_state);

/* By CPU: the token bucket of REJECT's ICMP errors. */
ARRAY(pg_reply_rate, struct pg_state);

/* The black box, by CPU. Written by the programs. */
ARRAY(pg_box, struct pg_box);

/* Who watches packets. Written by the command. */
ARRAY(pg_watch, struct pg_watch);

/* By CPU. Written by the programs. */
ARRAY(pg_watch_cpus, struct pg_watch_cpu);

/* A ring for each watcher, made by it. */
struct watch_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PG_WATCH_RING);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PG_WATCHERS);
	__type(key, __u32);
	__array(values, struct watch_ring);
} pg_watch_rings SEC(".maps");

#undef ARRAY

/* The one element of an array. */
#define ONLY(name)                                                                                 \
	({                                                                                         \
		__u32 zero_ = 0;                                                                   \
		bpf_map_lookup_elem(&name, &zero_);                                                \
	})

/* The same where the stack has no room for the key. Everywhere, it doubles the verifier's work. */
const volatile __u32 only_key = 0;
#define ONLY_LEAN(name) bpf_map_lookup_elem(&name, (const void *)&only_key)

/* This CPU's packet. Never NULL: the map has an element for every possible CPU. */
static __always_inline struct pkt *this_pkt(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&pg_scratch, &cpu);
}

/* Shadow: made only while a policy is tried ----------------------------------------------------- */

/* By CPU: from the first program to the second. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pg_handoff);
} pg_handoff SEC(".maps");

/* Written by the second. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PG_DIFFERENCES);
	__type(key, struct pg_difference);
	__type(value, struct pg_count);
} pg_differences SEC(".maps");

/* Of the first: the second. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pg_next SEC(".maps");

/* Made only where frames are fed. Written by the command, and what is made of frames by portguard_feed. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pg_feed);
} pg_feed SEC(".maps");

/* The filter, by enum pg_dir, for what feeds it. Not pg_next, which programs of all kinds name. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, _PG_DIR_MAX);
	__type(key, __u32);
	__type(value, __u32);
} pg_fed SEC(".maps");
/* End of shadow --------------------------------------------------------------------------------- */

/* Named sets ----------------------------------------------------------------------------------- */

/*
 * Both by set number. A set's entries are in one of them, by its kind: whole addresses in a hash,
 * prefixes in a trie. The command makes the inner maps, each as large as its set needs it; what
 * stands here is only what the verifier must know of them. Sizes and not types: of a type that is
 * only named behind two pointers clang describes no more than the name.
 */
struct set_hash {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct pg_set_key));
	__uint(value_size, sizeof(struct pg_set_value));
};
struct set_net {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct pg_set_net_key));
	__uint(value_size, sizeof(struct pg_set_value));
};

/* Written by the command. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PG_SETS);
	__type(key, __u32);
	__array(values, struct set_hash);
} pg_sets_hash SEC(".maps");

/* Written by the command. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PG_SETS);
	__type(key, __u32);
	__array(values, struct set_net);
} pg_sets_net SEC(".maps");

/* Set by the command before loading, as cfg: the kernel has bpf_ktime_get_coarse_ns (5.11). */
const volatile bool set_coarse_clock = false;
/* End of named sets */

/* Flows ---------------------------------------------------------------------------------------- */

/*
 * Buckets of flows and, behind them, of half-open connections. Written by the programs; by the
 * command for connections that were there before it, and where it removes some.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, (PG_FLOWS + PG_HALF_OPEN) / PG_FLOW_WAYS);
	__type(key, __u32);
	__type(value, struct pg_flow_bucket);
} pg_flow_buckets SEC(".maps");

/* By pg_flow_place(), as the next one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PG_FLOWS + PG_HALF_OPEN);
	__type(key, __u32);
	__type(value, struct pg_flow);
} pg_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PG_FLOWS + PG_HALF_OPEN);
	__type(key, __u32);
	__type(value, struct pg_flow_trouble);
} pg_flow_trouble SEC(".maps");

/* Written by the command. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pg_flow_ctl);
} pg_flow_ctl SEC(".maps");

/* By CPU; by the command where it collects. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pg_flow_stats);
} pg_flow_stats SEC(".maps");

/* By TCP port. Written by the programs, and by the command where it collects. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PG_PORTS);
	__type(key, __u32);
	__type(value, struct pg_port_states);
} pg_port_states SEC(".maps");
/* End of flows --------------------------------------------------------------------------------- */
