/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * LOG and NFLOG: one event for each packet, to whoever reads the ring. Bounded: at most
 * PG_EVENT_RATE a second (and PG_EVENT_BURST at once) on each CPU, and what is beyond that or finds
 * the ring full is counted.
 */
#pragma once

static __always_inline void count_lost(struct pg_state *rate)
{
	__sync_fetch_and_add(&rate->lost, 1);
}

static __always_inline void log_how(struct pg_event *e, const struct pg_check *arg,
				    const struct pg_check *next)
{
	e->level = arg->log_level;
	e->flags = arg->log_flags;
	e->nflog = arg->invert & PG_LOG_NFLOG;
	e->group = arg->state;
	__builtin_memcpy(e->prefix, arg->bytes, PG_LOG_PREFIX_HEAD);
	if (arg->invert & PG_LOG_LONG)
		__builtin_memcpy(e->prefix + PG_LOG_PREFIX_HEAD, next->bytes,
				 sizeof(e->prefix) - PG_LOG_PREFIX_HEAD);
	else
		__builtin_memset(e->prefix + PG_LOG_PREFIX_HEAD, 0,
				 sizeof(e->prefix) - PG_LOG_PREFIX_HEAD);
}

static __always_inline void log_data(struct loop *loop, struct pg_event *e, const struct pkt *p)
{
	__u32 n = p->frame_len < sizeof(e->data) ? p->frame_len : sizeof(e->data);

	e->len = p->frame_len;
	e->l3 = p->l3;
	e->no_l2 = cfg.no_l2;
	e->vlan_proto = p->vlans ? p->ethertype : 0;
	e->vlan_id = p->vlans ? p->vlan_id[0] : 0;
	e->captured = n;
	if (!load_some(loop->ctx, loop->xdp, 0, e->data, n, sizeof(e->data)))
		e->captured = 0;
}

static __always_inline void log_packet(struct loop *loop, const struct pkt *p,
				       const struct pg_term_record *rec,
				       const struct pg_check *arg, const struct pg_check *next)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pg_state *rate = bpf_map_lookup_elem(&pg_event_rate, &cpu);
	__u64 now = bpf_ktime_get_coarse_ns();
	struct pg_event *e;

	if (cfg.trace || !rate)
		return;
	if (!take_tokens(&rate->value, now, 1000000000ULL / PG_EVENT_RATE,
			 1000000000ULL / PG_EVENT_RATE * PG_EVENT_BURST)) {
		count_lost(rate);
		return;
	}
	e = bpf_ringbuf_reserve(&pg_events, sizeof(*e), 0);
	if (!e) {
		count_lost(rate);
		return;
	}
	e->time_ns = now;
	e->slot = rec->slot;
	e->iface = cfg.iface;
	e->ifindex = cfg.ifindex;
	e->mark = p->mark;
	__builtin_memset(e->unused, 0, sizeof(e->unused));
	log_how(e, arg, next);
	log_data(loop, e, p);
	bpf_ringbuf_submit(e, 0);
}
