/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The only code that increments a counter. Indices are pg_abi.h's, one part per shard. */
#pragma once

/* What became of a packet. */
struct decision {
	enum pg_verdict verdict;
	enum pg_reason reason;
	__u32 slot; /* to count in; unused when the packet was dropped for a missing header */
	__u32 term; /* or PG_TRACE_NO_TERM */
};

static __always_inline __u32 shard_of(const struct pkt *p)
{
	if (cfg.shards == 1)
		return 0;
	return cfg.atomic ? p->cpu % cfg.shards : p->cpu;
}

static __always_inline void add_u64(__u64 *counter, __u64 n)
{
	if (cfg.atomic)
		__sync_fetch_and_add(counter, n);
	else
		*counter += n; /* a shard has one CPU, and softirqs don't interrupt each other */
}

static __always_inline void add(struct pg_count *c, const struct pkt *p)
{
	if (!c)
		return;
	add_u64(&c->packets, p->packets);
	add_u64(&c->bytes, p->bytes);
}

static __always_inline void count_rule(__u32 slot, const struct pkt *p)
{
	__u32 i = pg_slot_index(shard_of(p), slot);

	add(bpf_map_lookup_elem(&pg_rule_counts, &i), p);
}

/*
 * Flags of what one packet becomes on the wire: segmentation puts FIN and PSH on the last segment
 * and CWR on the first (net/ipv4/tcp_offload.c tcp_gso_segment()).
 */
static __always_inline void count_flags(__u32 shard, __u16 port, const struct pkt *p)
{
	__u32 i = pg_flags_index(shard, port);
	struct pg_flags *f = bpf_map_lookup_elem(&pg_port_flags, &i);
	const __u8 once = 1 << PG_FLAG_FIN | 1 << PG_FLAG_PSH | 1 << PG_FLAG_CWR;

	if (!f)
		return;
#pragma unroll
	for (int bit = 0; bit < _PG_FLAG_MAX; bit++)
		if (p->tcp_flags & 1 << bit)
			add_u64(&f->count[bit], once & 1 << bit ? 1 : p->packets);
}

/* The port is the local end's: destination on arrival, source on departure. */
static __always_inline void count_port(__u32 shard, enum pg_dir dir, enum pg_verdict verdict,
				       const struct pkt *p)
{
	__u32 proto = p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP, i;
	__u16 port = dir == PG_DIR_IN ? p->dport : p->sport;
	__u64 *drops;

	if (!p->has_ports || (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP))
		return;
	i = pg_port_index(shard, dir, proto, port);
	add(bpf_map_lookup_elem(&pg_port_counts, &i), p);
	if (dir == PG_DIR_IN && verdict == PG_VERDICT_DROP) {
		i = pg_drop_index(shard, proto, port);
		drops = bpf_map_lookup_elem(&pg_port_drops, &i);
		if (drops)
			add_u64(drops, p->packets);
	}
	if (p->has_flags)
		count_flags(shard, port, p);
}

/* A packet's end: once for every packet, whatever became of it. */
static __always_inline void count_packet(enum pg_dir dir, const struct decision *d,
					 const struct pkt *p)
{
	__u32 shard = shard_of(p), i;

	i = pg_total_index(shard, cfg.iface, dir, d->verdict, d->reason);
	add(bpf_map_lookup_elem(&pg_totals, &i), p);
	/* A header with a wrong checksum says nothing about ports. */
	if (d->reason != PG_REASON_BAD_CHECKSUM)
		count_port(shard, dir, d->verdict, p);
	if (d->reason == PG_REASON_RULE || (dir == PG_DIR_IN && d->reason == PG_REASON_POLICY))
		count_rule(d->slot, p);
}
