/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * LOG and NFLOG: one event for each packet, to whoever reads the ring. Bounded: at most
 * PG_EVENT_RATE a second (and PG_EVENT_BURST at once) on each CPU, and what is beyond that or finds
 * the ring full is counted.
 */
#pragma once

static __always_inline bool may_log(__u64 now)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pg_state *s = bpf_map_lookup_elem(&pg_event_rate, &cpu);

	if (!s)
		return false;
	if (take_tokens(&s->value, now, 1000000000ULL / PG_EVENT_RATE,
			1000000000ULL / PG_EVENT_RATE * PG_EVENT_BURST))
		return true;
	__sync_fetch_and_add(&s->unused, 1);
	return false;
}

static __always_inline void log_packet(struct loop *loop, const struct pkt *p, __u32 term,
				       const struct pg_term_record *rec,
				       const struct pg_check *arg)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct pg_event *e;
	__u32 n;

	if (cfg.trace || !may_log(now))
		return;
	e = bpf_ringbuf_reserve(&pg_events, sizeof(*e), 0);
	if (!e) {
		__u32 cpu = bpf_get_smp_processor_id();
		struct pg_state *s = bpf_map_lookup_elem(&pg_event_rate, &cpu);

		if (s)
			__sync_fetch_and_add(&s->unused, 1);
		return;
	}
	e->time_ns = now;
	e->slot = rec->slot;
	e->term = term;
	e->ifindex = cfg.ifindex;
	e->mark = p->mark;
	e->level = arg->bytes[0];
	e->flags = arg->bytes[1];
	e->nflog = arg->bytes[2];
	e->group = arg->v[1];
	__builtin_memcpy(e->prefix, arg->bytes + 8, sizeof(e->prefix));
	e->len = p->frame_len;
	e->l3 = p->l3;
	n = p->frame_len < sizeof(e->data) ? p->frame_len : sizeof(e->data);
	e->captured = n;
	barrier_var(n);
	n &= 255;
	if (!n || n > sizeof(e->data) ||
	    (loop->xdp ? bpf_xdp_load_bytes(loop->ctx, 0, e->data, n) :
			 bpf_skb_load_bytes(loop->ctx, 0, e->data, n)))
		e->captured = 0;
	bpf_ringbuf_submit(e, 0);
}
