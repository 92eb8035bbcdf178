/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was dropped: the black box keeps the last drops of each CPU, and a watcher (`dump`) gets the
 * packets themselves, also those that passed. Most of a flood costs a look at one budget.
 */
#pragma once

static __always_inline __u32 fate(enum pg_dir dir, enum pg_verdict verdict, enum pg_reason reason)
{
	return reason | verdict << PG_FATE_VERDICT | (dir == PG_DIR_OUT) << PG_FATE_OUT;
}

/* The chain that it was at last, if any was asked. */
static __always_inline __u32 fate_stage(bool asked, const struct pkt *p)
{
	return asked ? 1U << PG_FATE_ASKED | (__u32)p->progress.stage << PG_FATE_STAGE : 0;
}

static __always_inline __u32 fast_stage(enum pg_dir dir)
{
	return 1U << PG_FATE_ASKED |
	       (dir == PG_DIR_OUT ? PG_STAGE_OUTPUT : PG_STAGE_FILTER) << PG_FATE_STAGE;
}

static __always_inline bool by_slot(__u8 reason)
{
	return reason == PG_REASON_RULE || reason == PG_REASON_POLICY;
}

/* The black box -------------------------------------------------------------------------------- */

static __always_inline struct pg_drop_budget *budget_of(struct pg_box *box, __u32 slot, __u8 reason)
{
	__u32 i = by_slot(reason) ? slot & (PG_BOX_RULES - 1) :
				    PG_BOX_RULES + (reason & (PG_BOX_BUDGETS - PG_BOX_RULES - 1));

	return &box->budget[i];
}

/* A time too far ahead is one of long ago: jiffies wrap around. */
static __always_inline bool take_budget(struct pg_drop_budget *b)
{
	__u32 now = bpf_jiffies64(), ahead = b->full_at - now;

	if (ahead > PG_BOX_BURST * PG_BOX_STEP)
		ahead = 0;
	if (ahead > (PG_BOX_BURST - 1) * PG_BOX_STEP) {
		b->skipped++;
		return false;
	}
	b->full_at = now + ahead + PG_BOX_STEP;
	return true;
}

static __always_inline void write_drop(struct pg_drop *d, const struct pkt *p, __u32 slot, __u32 fate)
{
	const struct pg_tables_map *map = ONLY(pg_tables);

	d->time_ns = bpf_ktime_get_ns();
	__builtin_memcpy(d->saddr, p->saddr, sizeof(d->saddr));
	__builtin_memcpy(d->daddr, p->daddr, sizeof(d->daddr));
	d->slot = slot;
	d->number = map ? map->ctl.gen[p->active & 1].number : 0;
	d->length = p->bytes;
	d->iface = cfg.iface;
	d->ifindex = cfg.ifindex;
	d->sport = p->sport;
	d->dport = p->dport;
	d->fate = fate;
	d->l3_type = p->l3_type;
	d->vlan = p->vlans ? PG_FLOW_TAGGED | p->vlan_id[0] : 0;
	d->proto = p->proto;
	d->tcp_flags = p->tcp_flags;
	d->has = (p->has_l3 ? PG_DROP_HAS_L3 : 0) | (p->has_proto ? PG_DROP_HAS_PROTO : 0) |
		 (p->has_ports ? PG_DROP_HAS_PORTS : 0) | (p->has_icmp ? PG_DROP_HAS_ICMP : 0) |
		 (p->has_flags ? PG_DROP_HAS_FLAGS : 0) |
		 (p->family == PG_FAMILY_V6 ? PG_DROP_V6 : 0);
}

static __always_inline void keep_drop(struct pg_box *box, struct pg_drop_budget *b,
				      const struct pkt *p, __u32 slot, __u32 fate)
{
	struct pg_drop *d = &box->drop[box->head & (PG_BOX_DROPS - 1)];

	write_drop(d, p, slot, fate);
	d->skipped = b->skipped;
	box->skipped += b->skipped;
	b->skipped = 0;
	__sync_fetch_and_add(&box->head, 1); /* behind all of it, for readers on other CPUs */
}

/* Watchers ------------------------------------------------------------------------------------- */

/* A packet's bytes, as many as any of the watchers wants. How many these are. */
static __always_inline __u32 watched_bytes(void *ctx, bool xdp, struct pg_watched *w)
{
	/* Not of n that it is not 0: from that Linux 6.1 does not learn that it is 1 at least. */
	__u32 last = (w->len < PG_WATCH_SNAP ? w->len : PG_WATCH_SNAP) - 1;

	barrier_var(last);
	if (last >= PG_WATCH_SNAP || (xdp ? bpf_xdp_load_bytes(ctx, 0, w->data, last + 1) :
					    bpf_skb_load_bytes(ctx, 0, w->data, last + 1)))
		return 0;
	return last + 1;
}

static __always_inline void fill_watched_xdp(struct xdp_md *ctx, struct pg_watched *w)
{
	w->len = cfg.frags ? bpf_xdp_get_buff_len(ctx) : ctx->data_end - ctx->data;
	w->vlan_proto = w->vlan_tci = 0;
}

static __always_inline void fill_watched_tc(struct __sk_buff *skb, struct pg_watched *w)
{
	w->len = skb->len;
	w->vlan_proto = skb->vlan_present ? bpf_ntohs(skb->vlan_proto) : 0;
	w->vlan_tci = skb->vlan_present ? skb->vlan_tci : 0;
}

/* Is this packet one for the watcher? Takes it from its budget. */
static __always_inline bool watcher_wants(const struct pg_watcher *w, struct pg_watch_share *share,
					  const struct pg_watched *packet)
{
	__u8 reason = packet->fate, verdict = packet->fate >> PG_FATE_VERDICT & 3;
	__u32 budget = (by_slot(reason) ? packet->slot : reason * 7 + 1) & (PG_WATCH_BUDGETS - 1);

	if (!(w->verdicts & 1U << verdict) || !(w->ifaces >> (packet->iface & 63) & 1))
		return false;
	share->seen++;
	if (w->sample > 1 && share->seen % w->sample)
		return false;
	if (!w->cost_ns || take_tokens(&share->full_at[budget], packet->time_ns, w->cost_ns,
				       w->burst_ns))
		return true;
	share->limited++;
	return false;
}

static __always_inline void give(const struct pg_watcher *w, struct pg_watch_share *share,
				 struct pg_watched *packet, __u32 watcher, __u32 n)
{
	void *ring = bpf_map_lookup_elem(&pg_watch_rings, &watcher);

	if (n > w->snap)
		n = w->snap;
	barrier_var(n); /* clang knows this bound, Linux 6.1 does not */
	if (n > PG_WATCH_SNAP)
		n = PG_WATCH_SNAP;
	if (!ring || bpf_ringbuf_output(ring, packet, sizeof(*packet) - PG_WATCH_SNAP + n, 0))
		share->lost++;
}

/* To every watcher that lives. False: nobody does any more who looks at what passes. */
static __always_inline bool give_all(void *ctx, bool xdp, struct pg_watch *watch,
				     struct pg_watch_cpu *cpu)
{
	__u32 n = 0;
	bool loaded = false, passing = false;

	NO_UNROLL for (__u32 i = 0; i < PG_WATCHERS; i++) {
		struct pg_watch_share *share = &cpu->share[i];
		const struct pg_watcher *w = &watch->watcher[i];

		if (!(watch->on & 1U << i))
			continue;
		if (w->until_ns <= cpu->packet.time_ns) {
			__sync_fetch_and_and(&watch->on, ~(1U << i));
			continue;
		}
		passing |= w->verdicts >> PG_VERDICT_ACCEPT & 1;
		if (!watcher_wants(w, share, &cpu->packet))
			continue;
		if (!loaded)
			n = watched_bytes(ctx, xdp, &cpu->packet);
		loaded = true;
		give(w, share, &cpu->packet, i, n);
	}
	return passing;
}

static __always_inline int watch_packet(void *ctx, bool xdp, __u32 slot, __u32 fate)
{
	__u32 id = bpf_get_smp_processor_id();
	struct pg_watch_cpu *cpu = bpf_map_lookup_elem(&pg_watch_cpus, &id);
	struct pg_tables_map *map = ONLY(pg_tables);
	struct pg_watch *watch = ONLY(pg_watch);
	const struct pkt *p = this_pkt();
	struct pg_gen *gen;

	if (!cpu || !watch || !map || !p)
		return 0;
	gen = &map->ctl.gen[p->active & 1];
	cpu->packet.time_ns = bpf_ktime_get_ns();
	cpu->packet.slot = slot;
	cpu->packet.number = gen->number;
	cpu->packet.fate = fate;
	cpu->packet.iface = cfg.iface;
	cpu->packet.ifindex = cfg.ifindex;
	cpu->packet.no_l2 = cfg.no_l2;
	if (xdp)
		fill_watched_xdp(ctx, &cpu->packet);
	else
		fill_watched_tc(ctx, &cpu->packet);
	if (!give_all(ctx, xdp, watch, cpu) && gen->needs & PG_NEED_WATCH)
		__sync_fetch_and_and(&gen->needs, ~PG_NEED_WATCH);
	return 0;
}

__noinline int watch_xdp(struct xdp_md *ctx, __u32 slot, __u32 fate)
{
	return watch_packet(ctx, true, slot, fate);
}

__noinline int watch_tc(struct __sk_buff *skb, __u32 slot, __u32 fate)
{
	return watch_packet(skb, false, slot, fate);
}

/* Ends ----------------------------------------------------------------------------------------- */

/* The fast path has left nothing behind of the packet: what it was, and fits. */
static __always_inline bool read_plain(void *data, void *end, struct pkt *p)
{
	const struct eth_header *eth = data;
	const struct ip4_header *ip4 = (void *)(eth + 1);
	const struct ip6_header *ip6 = (void *)(eth + 1);
	const struct tcp_header *l4;
	const struct pg_tables_map *map = ONLY(pg_tables);

	if ((void *)(ip4 + 1) + sizeof(struct udp_header) > end)
		return false;
	__builtin_memset(&p->found, 0, sizeof(p->found));
	p->active = map ? generation(&map->ctl) : 0;
	p->l3_type = bpf_ntohs(eth->type);
	p->has_l3 = p->has_proto = 1;
	if (p->l3_type == ETH_P_IP) {
		p->saddr[0] = ip4->saddr;
		p->daddr[0] = ip4->daddr;
		p->proto = ip4->protocol;
		p->bytes = bpf_ntohs(ip4->tot_len);
		l4 = (void *)(ip4 + 1);
	} else {
		if ((void *)(ip6 + 1) + sizeof(struct udp_header) > end)
			return false;
		p->family = PG_FAMILY_V6;
		__builtin_memcpy(p->saddr, ip6->saddr, sizeof(p->saddr));
		__builtin_memcpy(p->daddr, ip6->daddr, sizeof(p->daddr));
		p->proto = ip6->nexthdr;
		p->bytes = bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
		l4 = (void *)(ip6 + 1);
	}
	p->has_icmp = p->proto == IPPROTO_ICMP;
	p->has_ports = p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
	p->sport = bpf_ntohs(l4->source);
	p->dport = bpf_ntohs(l4->dest);
	if (p->has_icmp) {
		p->dport = p->sport & 0xff;
		p->sport >>= 8;
	}
	if (p->proto == IPPROTO_TCP && (void *)(l4 + 1) <= end) {
		p->tcp_flags = l4->flags;
		p->has_flags = 1;
	}
	return true;
}

static __always_inline struct pg_box *my_box(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&pg_box, &cpu);
}

static __always_inline bool somebody_watches(void)
{
	const struct pg_watch *watch = ONLY(pg_watch);

	return watch && watch->on;
}

/* Is a drop for the black box or for a watcher? *ret_keep: for the former, which its budget has paid. */
static __always_inline bool is_wanted(__u32 slot, __u32 fate, bool *ret_keep)
{
	struct pg_box *box = my_box();

	*ret_keep = box && take_budget(budget_of(box, slot, fate));
	return *ret_keep || somebody_watches();
}

/* True: a watcher wants it. */
static __always_inline bool record_drop(bool keep, const struct pkt *p, __u32 slot, __u32 fate)
{
	struct pg_box *box = my_box();

	barrier();
	if (keep && box)
		keep_drop(box, budget_of(box, slot, fate), p, slot, fate);
	return somebody_watches();
}

/* The general path's drops. */
static __always_inline bool record_full(__u32 slot, __u32 fate)
{
	const struct pkt *p;
	bool keep;

	if (!is_wanted(slot, fate, &keep))
		return false;
	p = this_pkt();
	return p && record_drop(keep, p, slot, fate);
}

/* The fast path's, of which struct pkt is not filled. */
static __always_inline bool record_plain(void *data, void *end, __u32 slot, __u32 fate, bool keep)
{
	struct pkt *p = this_pkt();

	return p && read_plain(data, end, p) && record_drop(keep, p, slot, fate);
}

/* Small, and apart: a packet that is dropped, and every packet while somebody watches. */
__noinline int drop_xdp(struct xdp_md *ctx, __u32 slot, __u32 fate)
{
	if (record_full(slot, fate))
		watch_xdp(ctx, slot, fate);
	return 0;
}

__noinline int drop_tc(struct __sk_buff *skb, __u32 slot, __u32 fate)
{
	if (record_full(slot, fate))
		watch_tc(skb, slot, fate);
	return 0;
}

__noinline int drop_plain_xdp(struct xdp_md *ctx, __u32 slot, __u32 fate, __u32 keep)
{
	if (record_plain((void *)(long)ctx->data, (void *)(long)ctx->data_end, slot, fate, keep))
		watch_xdp(ctx, slot, fate);
	return 0;
}

__noinline int drop_plain_tc(struct __sk_buff *skb, __u32 slot, __u32 fate, __u32 keep)
{
	if (record_plain((void *)(long)skb->data, (void *)(long)skb->data_end, slot, fate, keep))
		watch_tc(skb, slot, fate);
	return 0;
}

/* A packet that the fast path drops. Most of a flood is not kept, and needs no call. */
static __always_inline void dropped_plain(const struct cursor *c, __u32 slot, __u32 fate)
{
	bool keep;

	if (!is_wanted(slot, fate, &keep))
		return;
	if (c->xdp)
		drop_plain_xdp(c->ctx, slot, fate, keep);
	else
		drop_plain_tc(c->ctx, slot, fate, keep);
}

/* The general path's, as struct pkt has it: dropped, or somebody watches what passes. */
static __always_inline void ended(const struct cursor *c, void *ctx, __u32 slot, __u32 fate)
{
	bool passes = (fate >> PG_FATE_VERDICT & 3) == PG_VERDICT_ACCEPT;

	if (c->xdp)
		passes ? watch_xdp(ctx, slot, fate) : drop_xdp(ctx, slot, fate);
	else
		passes ? watch_tc(ctx, slot, fate) : drop_tc(ctx, slot, fate);
}
