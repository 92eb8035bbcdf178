/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The only code that increments a counter. */
#pragma once

/* What became of a packet. */
struct decision {
	enum pg_verdict verdict;
	enum pg_reason reason;
	__u32 slot; /* to count in; unused when the packet was dropped for a missing header */
	__u32 term; /* or PG_TRACE_NO_TERM */
	__u32 track; /* the fast path's: enum track */
};

/* Whether the packet's flow is to be tracked, and may be only what a rule was told that it is. */
enum track { TRACK_NOT, TRACK, TRACK_ESTABLISHED };

/*
 * Where this CPU counts. `atomic` is cfg.atomic where it is not a constant: each reading of a cfg
 * field costs two instructions that the verifier does not take away.
 */
struct counter {
	struct pg_shard *shard; /* NULL: never, while the map is what cfg says */
	bool atomic;
};

static __always_inline struct counter my_counter(bool atomic)
{
	__u32 shard = bpf_get_smp_processor_id();

	if (atomic)
		shard %= cfg.shards;
	return (struct counter){ bpf_map_lookup_elem(&pg_shards, &shard), atomic };
}

static __always_inline void add_u64(const struct counter *to, __u64 *counter, __u64 n)
{
	if (to->atomic)
		__sync_fetch_and_add(counter, n);
	else
		*counter += n; /* a shard has one CPU, and softirqs don't interrupt each other */
}

static __always_inline void add(const struct counter *to, struct pg_count *c, const struct pkt *p)
{
	add_u64(to, &c->packets, p->packets);
	add_u64(to, &c->bytes, p->bytes);
}

static __always_inline void count_rule(__u32 slot, const struct pkt *p)
{
	struct counter to = my_counter(cfg.atomic);

	if (to.shard)
		add(&to, &to.shard->rule[slot & (PG_COUNTER_SLOTS - 1)], p);
}

/* Flags that no TCP sends together, under the first of their names. */
static __always_inline void count_odd_flags(__u8 flags, __u32 packets)
{
	const __u8 fin = 1 << PG_FLAG_FIN, syn = 1 << PG_FLAG_SYN, rst = 1 << PG_FLAG_RST,
		   psh = 1 << PG_FLAG_PSH, ack = 1 << PG_FLAG_ACK, urg = 1 << PG_FLAG_URG;
	__u32 cpu = bpf_get_smp_processor_id(), odd;
	struct pg_flow_stats *stats;

	flags &= fin | syn | rst | psh | ack | urg;
	if (!flags)
		odd = PG_ODD_NULL;
	else if ((flags & (syn | fin)) == (syn | fin))
		odd = PG_ODD_SYN_FIN;
	else if ((flags & (syn | rst)) == (syn | rst))
		odd = PG_ODD_SYN_RST;
	else if ((flags & (fin | psh | urg | ack)) == (fin | psh | urg))
		odd = PG_ODD_XMAS;
	else if ((flags & (fin | ack)) == fin)
		odd = PG_ODD_FIN_NO_ACK;
	else
		return;
	stats = bpf_map_lookup_elem(&pg_flow_stats, &cpu);
	if (stats)
		stats->odd_flags[odd] += packets; /* its CPU's, as a shard that is not shared */
}

/*
 * The flags that few packets have. Segmentation puts FIN on the last segment and CWR on the first
 * (net/ipv4/tcp_offload.c tcp_gso_segment()). A call, because it would be in every copy of the fast path.
 */
__noinline int count_rare_flags(__u32 port, __u32 flags, __u32 packets)
{
	struct counter to = my_counter(cfg.atomic);
	struct pg_rare_flags *rare;

	count_odd_flags(flags, packets);
	if (!to.shard)
		return 0;
	rare = &to.shard->rare[port & (PG_PORTS - 1)];
	if (flags & 1 << PG_FLAG_FIN)
		add_u64(&to, &rare->fin, 1);
	if (flags & 1 << PG_FLAG_RST)
		add_u64(&to, &rare->rst, packets);
	if (flags & 1 << PG_FLAG_URG)
		add_u64(&to, &rare->urg, packets);
	if (flags & 1 << PG_FLAG_ECE)
		add_u64(&to, &rare->ece, packets);
	if (flags & 1 << PG_FLAG_CWR)
		add_u64(&to, &rare->cwr, 1);
	return 0;
}

/* Flags of what one packet becomes on the wire, with PSH on the last segment. */
static __always_inline void count_flags(const struct counter *to, struct pg_tcp_port *c, __u32 port,
					const struct pkt *p)
{
	const __u8 ack = 1 << PG_FLAG_ACK, syn = 1 << PG_FLAG_SYN, psh = 1 << PG_FLAG_PSH;

	if (p->tcp_flags & ack)
		add_u64(to, &c->ack, p->packets);
	if (p->tcp_flags == ack) /* what most packets have */
		return;
	if (p->tcp_flags & syn)
		add_u64(to, &c->syn, p->packets);
	if (p->tcp_flags & psh)
		add_u64(to, &c->psh, 1);
	if (p->tcp_flags & ~(ack | syn | psh) || !(p->tcp_flags & ~psh))
		count_rare_flags(port, p->tcp_flags, p->packets);
}

/* What clang knows of a number that was swapped, verifiers before 7.0 don't: they are shown it. */
static __always_inline __u32 port_index(__u16 port)
{
	__u32 index = port;

	asm("" : "+r"(index));
	return index & (PG_PORTS - 1);
}

/* The port is the local end's: destination on arrival, source on departure. */
static __always_inline void count_port(const struct counter *to, enum pg_dir dir,
				       enum pg_verdict verdict, const struct pkt *p)
{
	__u32 port = port_index(dir == PG_DIR_IN ? p->dport : p->sport);
	struct pg_port *c = p->proto == IPPROTO_TCP ? &to->shard->tcp[port].port :
						      &to->shard->udp[port];

	add(to, &c->count[dir], p);
	if (dir == PG_DIR_IN && verdict != PG_VERDICT_ACCEPT)
		add_u64(to, &c->dropped, p->packets);
	if (dir == PG_DIR_OUT && verdict != PG_VERDICT_ACCEPT)
		add_u64(to, &to->shard->out_dropped[p->proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP]
						   [port], p->packets);
	if (p->has_flags)
		count_flags(to, &to->shard->tcp[port], port, p);
}

/*
 * A packet's end: once for every packet, whatever became of it. `reason` is d->reason, which some
 * callers know.
 */
static __always_inline void count_packet(enum pg_dir dir, enum pg_reason reason, bool atomic,
					 const struct decision *d, const struct pkt *p)
{
	struct counter to = my_counter(atomic);

	if (!to.shard)
		return;
	add(&to,
	    &to.shard->total[cfg.iface & (PG_MAX_IFACES - 1)][dir][d->verdict & (PG_TOTALS_VERDICTS - 1)]
			    [reason & (PG_TOTALS_REASONS - 1)],
	    p);
	if (reason == PG_REASON_RULE || reason == PG_REASON_POLICY)
		add(&to, &to.shard->rule[d->slot & (PG_COUNTER_SLOTS - 1)], p);
	if (p->has_ports && (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP))
		count_port(&to, dir, d->verdict, p);
}
