/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Capacities, each with the memory it costs. */
#pragma once

/* Rules of one policy after expansion (a rule with `--ports` becomes two terms). */
#define PG_MAX_TERMS 4096

/*
 * Rule counters, 16 bytes a slot and shard. A policy change needs fresh slots while the old
 * policy still counts in its own, so there are more than twice PG_MAX_TERMS.
 */
#define PG_COUNTER_SLOTS 16384 /* a power of two: the programs mask it */

/*
 * Interfaces of one instance; totals are kept for each. The last slot is no interface's: it holds
 * what interfaces counted that are no longer attached, so that the sum of all never goes back.
 */
#define PG_MAX_IFACES 64
#define PG_IFACE_PAST (PG_MAX_IFACES - 1)

/*
 * Counters are kept once per shard, and a shard belongs to one CPU while there are no more CPUs
 * than shards; above that CPUs share shards and count with atomics. One shard is 9.8 MB:
 * ports 4 MB, drops 1 MB, flags 4 MB, rules 256 KB, totals 512 KB. 15 shards stay under 160 MB.
 */
#define PG_MAX_SHARDS 15

/*
 * The compiled tables, both generations together; powers of two, because the programs mask their
 * indices. A node is 256 entries of 4 bytes, a row is 8 bytes for up to 64 terms and up to 520
 * bytes for 4 096.
 */
#define PG_NODES (1U << 14)	/* 16 MB */
#define PG_ROW_WORDS (1U << 20) /* 8 MB */

/* IPv6 extension headers in one packet, the transport header not counted. */
#define PG_MAX_EXT_HEADERS 12

/* VLAN tags that rules see through; one more is dropped under its own reason. */
#define PG_MAX_VLANS 2

/* Rules that match one packet and let it go on (no target), per policy. */
#define PG_MAX_PASSING 64

/*
 * Flows tracked, and TCP connections that are not established yet, which have a table of their own:
 * a flood of SYNs evicts others of its kind and no established connection. The kernel makes both
 * whole at once: an entry takes 160 bytes, with its share of the buckets 176, so 11.5 MB each.
 */
#define PG_FLOWS 65536
#define PG_HALF_OPEN 65536
#define PG_FLOW_BYTES 176
