/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Capacities, each with the memory it costs. */
#pragma once

/*
 * Rules of one policy after expansion (a rule with `--ports` becomes two terms), 64 bytes each for
 * both generations: 16 MB. Blocks are what large bitmaps are made of.
 */
#define PG_MAX_TERMS (1U << 17)
#define PG_BLOCK_TERMS 4096U
#define PG_MAX_BLOCKS (PG_MAX_TERMS / PG_BLOCK_TERMS)
#define PG_TREE_TERMS 8192U /* up to so many, a row in one piece costs less to read than blocks */

/* Chains of one policy that can be jumped to, 8 bytes each; split rules are chains of their own. */
#define PG_MAX_CHAINS (1U << 14)

/*
 * Interfaces that FORWARD's rules can tell apart, and of how many kinds: 24 bytes each, and 8 for each
 * pair of kinds. An interface's place in the table is at most so far from where it is looked for first.
 */
#define PG_LINKS 4096U
#define PG_LINK_TRIES 16U
#define PG_LINK_CLASSES 64U

/* Chains that wait for a RETURN at once: the program's stack. */
#define PG_MAX_DEPTH 32

/* Conditions that no bitmap answers (a limit, a set, a length, …), 64 bytes each. */
#define PG_MAX_CHECKS (1U << 15) /* 2 MB, for both generations together */

/* What limits, quotas and the like remember, 16 bytes each, for both generations together. */
#define PG_STATES (1U << 15)

/*
 * Rule counters, 16 bytes a slot and shard. A policy change needs fresh slots while the old
 * policy still counts in its own, so there are twice PG_MAX_TERMS.
 */
#define PG_COUNTER_SLOTS (1U << 18) /* a power of two: the programs mask it */

/*
 * Interfaces of one instance; totals are kept for each. The last slot is no interface's: it holds
 * what interfaces counted that are no longer attached, so that the sum of all never goes back.
 */
#define PG_MAX_IFACES 64
#define PG_IFACE_PAST (PG_MAX_IFACES - 1)

/*
 * Counters are kept once per shard, and a shard belongs to one CPU while there are no more CPUs
 * than shards; above that CPUs share shards and count with atomics. One shard is 14 MB:
 * ports 9 MB, rules 4 MB, totals 1 MB. 11 shards stay under 160 MB.
 */
#define PG_MAX_SHARDS 11

/*
 * The compiled tables, both generations together; powers of two, because the programs mask their
 * indices. A node is 256 entries of 4 bytes; a row is 8 bytes for up to 64 terms, up to 520 bytes
 * for 4 096, and beyond that some bytes and the blocks that are not shared.
 */
#define PG_NODES (1U << 14)	/* 16 MB */
#define PG_ROW_WORDS (1U << 21) /* 16 MB */
/* No row's: words so far behind any row's start that the verifier takes the offset of one in it. */
#define PG_ROW_SLACK 520

/*
 * Terms that a row may name instead of having a bitmap: two cache lines at most. In the TREE form, where
 * a bitmap costs little, fewer.
 */
#define PG_FEW 8
#define PG_FEW_TREE 2

/* Values of a dimension up to which the TREE form has bitmaps only: 1 MB of them, and nodes for each. */
#define PG_TREE_BITMAPS 1024

/* Terms visited that the trace of one packet remembers. */
#define PG_TRACE_PATH 64

/* And steps of the classifier, 12 bytes each; a power of two. */
#define PG_TRACE_STEPS 4096U

/* Frames that one test run is fed, and their bytes: 54 MB with what is made of them, in a replay. */
#define PG_FEED_FRAMES (1U << 16)
#define PG_FEED_BYTES (1U << 25)
#define PG_FEED_MAX 4096U

/* Kinds of packets about which a policy that is tried differs, 100 bytes each, as they come. */
#define PG_DIFFERENCES 65536

/* IPv6 extension headers in one packet, the transport header not counted. */
#define PG_MAX_EXT_HEADERS 12

/* VLAN tags that rules see through; one more is dropped under its own reason. */
#define PG_MAX_VLANS 2

/* Addresses that `recent` remembers, 176 bytes each, and buckets of hashlimit, 72 each. */
#define PG_RECENTS 65536
#define PG_HASHLIMITS 65536
/* Flows that connlimit counts, each for every rule that it came by, and its lists: 170 bytes each. */
#define PG_CONNLIMITS 32768

/* Fragmented datagrams whose first fragment's verdict is kept, 136 bytes each: 1 MB. */
#define PG_FRAGMENTED 8192

/* Addresses of the host, for addrtype. */
#define PG_LOCALS 4096

/* Packets that LOG and NFLOG may report, per CPU and second, and at once; and the ring's bytes. */
#define PG_EVENT_RATE 1000
#define PG_EVENT_BURST 200
#define PG_EVENT_RING (1U << 20)

/*
 * The black box: drops that each CPU keeps, 80 bytes each, and how many of a rule may come at once;
 * behind that, one in so many jiffies, which is 12 to 125 a second.
 */
#define PG_BOX_DROPS 1024U
#define PG_BOX_BURST 256U
#define PG_BOX_STEP 8U

/*
 * Who may watch packets at once, what each is given of one, and the bytes that its ring has. Budgets
 * are by rule, modulo.
 */
#define PG_WATCHERS 4U
#define PG_WATCH_SNAP 9216U
#define PG_WATCH_RING (1U << 22)
#define PG_WATCH_BUDGETS 64U

/* ICMP errors that REJECT may send, per CPU and second, and at once (the kernel's own bounds). */
#define PG_REPLY_RATE 1000
#define PG_REPLY_BURST 50
/* The longest: Ethernet, two tags, IPv6 and ICMPv6 headers, and what they quote. */
#define PG_REPLY_MAX 1304

/*
 * Flows tracked, and TCP connections that are not established yet, which have a table of their own:
 * a flood of SYNs evicts others of its kind and no established connection. 152 bytes each, with
 * their share of the bucket: 38 and 9.5 MB. Powers of two.
 */
#define PG_FLOWS (1U << 18) /* unless `attach --flows` says so, from MIN to MAX */
#define PG_FLOWS_MIN (1U << 12)
#define PG_FLOWS_MAX (1U << 24)
#define PG_HALF_OPEN (1U << 16)
