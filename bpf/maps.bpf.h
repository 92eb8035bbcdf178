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
	bool atomic;	 /* more CPUs than shards: count with atomics */
	bool frags;	 /* the kernel hands over multi-buffer frames, and has their length */
	bool no_l2;	 /* the interface has no Ethernet header (tun, wireguard) */
	bool trace;	 /* fill pg_trace (replay, tests) */
	bool skip_csum;	 /* do not verify the IPv4 header checksum (benchmark only) */
	__u32 fast;	 /* enum pg_fast: which copy of the fast path */
	__u32 netns;	 /* inode number of the interface's network namespace */
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
ARRAY(pg_trace, struct pg_trace);

#undef ARRAY

/* The one element of an array. */
#define ONLY(name)                                                                                 \
	({                                                                                         \
		__u32 zero_ = 0;                                                                   \
		bpf_map_lookup_elem(&name, &zero_);                                                \
	})

/* Flows ---------------------------------------------------------------------------------------- */

/* Written by the programs; by the command for connections that were there before it. */
#define FLOW_TABLE(name, entries)                                                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_LRU_HASH);                                               \
		__uint(max_entries, entries);                                                      \
		__type(key, struct pg_flow_key);                                                   \
		__type(value, struct pg_flow);                                                     \
	} name SEC(".maps")

FLOW_TABLE(pg_flows, PG_FLOWS);
/* TCP until PG_FLOW_ASSURED. */
FLOW_TABLE(pg_half_open, PG_HALF_OPEN);

#undef FLOW_TABLE
/* End of flows --------------------------------------------------------------------------------- */
