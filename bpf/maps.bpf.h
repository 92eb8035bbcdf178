/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every map, and who writes it. Tables are one large value each: a constant key costs one bounds
 * check for all of it, and a walk is then loads and masks only. Counters are arrays by element,
 * one part per shard, which the command sums through mmap.
 */
#pragma once

/*
 * Set by the command before loading; constants to the verifier, which prunes what they switch off.
 */
const volatile struct {
	__u32 node_mask;   /* entries of pg_nodes, less one */
	__u32 row_mask;	   /* words of pg_rows, less one */
	__u32 shards;	   /* that counters have */
	__u32 iface;	   /* slot of the interface this copy is attached to */
	bool atomic;	   /* more CPUs than shards: count with atomics */
	bool frags;	   /* the kernel hands over multi-buffer frames, and has their length */
	bool no_l2;	   /* the interface has no Ethernet header (tun, wireguard) */
	bool trace;	   /* fill pg_trace (replay, tests) */
	bool skip_csum;	   /* do not verify the IPv4 header checksum (benchmark only) */
} cfg = {
	.node_mask = 256 * PG_NODES - 1,
	.row_mask = PG_ROW_WORDS - 1,
	.shards = 1,
};

#define TABLE(name, bytes)                                                                         \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__uint(value_size, bytes);                                                         \
	} name SEC(".maps")

#define COUNTERS(name, value_type, entries)                                                        \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

/* Written by the command. Sizes of the tables are what the instance was made with. */
TABLE(pg_ctl, sizeof(struct pg_ctl));
TABLE(pg_nodes, 4 * 256 * PG_NODES);
TABLE(pg_rows, 8 * PG_ROW_WORDS);
TABLE(pg_actions, sizeof(struct pg_action) * 2 * PG_MAX_TERMS);
COUNTERS(pg_ifaces, struct pg_iface, PG_MAX_IFACES);

/* Written by the programs; the command multiplies the size by the number of shards. */
COUNTERS(pg_rule_counts, struct pg_count, PG_COUNTER_SLOTS);
COUNTERS(pg_port_counts, struct pg_count, _PG_DIR_MAX * _PG_PORT_PROTO_MAX * PG_PORTS);
COUNTERS(pg_port_drops, __u64, _PG_PORT_PROTO_MAX * PG_PORTS);
COUNTERS(pg_port_flags, struct pg_flags, PG_PORTS);
COUNTERS(pg_totals, struct pg_count,
	 PG_MAX_IFACES * _PG_DIR_MAX * _PG_VERDICT_MAX * PG_TOTALS_REASONS);

/* The packet at hand, one for each CPU: its programs don't interrupt each other. */
COUNTERS(pg_scratch, struct pkt, 1);

/* One packet's reading: written by the programs when cfg.trace, read by the command. */
TABLE(pg_trace, sizeof(struct pg_trace));

#undef TABLE
#undef COUNTERS

/* The one value of a table. Never NULL in an array map with one element. */
#define TABLE_OF(name)                                                                             \
	({                                                                                         \
		__u32 zero_ = 0;                                                                   \
		bpf_map_lookup_elem(&name, &zero_);                                                \
	})
