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

/*
 * What a set is asked, on its way to set_answer(): one for each CPU, as programs don't interrupt each
 * other. Every copy of the programs has its own.
 */
struct set_question {
	__be32 addr[4]; /* of the first dimension; behind an IPv4 address undefined */
	__u16 port;	/* of the second; of ICMP type << 8 | code */
	__u8 family, proto, l4_state;
	__u8 has_ports, has_icmp;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct set_question);
} pg_set_scratch SEC(".maps");

/* Set by the command before loading, as cfg: the kernel has bpf_ktime_get_coarse_ns (5.11). */
const volatile bool set_coarse_clock = false;
/* End of named sets */
