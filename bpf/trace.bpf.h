/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was made of one packet, for replay and tests; the verifier prunes it without cfg.trace. */
#pragma once

/* The frame's length as replay gives it, where the frame itself was too long to hand over. */
static __always_inline void trace_frame_len(struct cursor *c)
{
	const struct pg_trace_map *t;

	if (!cfg.trace)
		return;
	t = ONLY(pg_trace);
	if (t && t->packet.frame_len)
		c->len = t->packet.frame_len;
}

/*
 * The classifier has searched from term `from` on. Global, so that the verifier looks at it once,
 * as what follows.
 */
__noinline int trace_search(__u32 from, __u32 term, __u32 kind)
{
	struct pg_trace_map *t = ONLY(pg_trace);
	struct pkt *p = this_pkt();
	struct pg_step *step;

	if (!t || !p)
		return 0;
	step = &t->step[t->n_steps & (PG_TRACE_STEPS - 1)];
	step->from = from;
	step->term = term;
	step->check = 0;
	step->kind = kind;
	step->stage = p->progress.stage;
	t->n_steps++;
	return 0;
}

/* What has come of the term that it found. */
__noinline int trace_outcome(__u32 kind, __u32 check)
{
	struct pg_trace_map *t = ONLY(pg_trace);
	struct pg_step *step;

	if (!t)
		return 0;
	step = &t->step[(t->n_steps - 1) & (PG_TRACE_STEPS - 1)];
	step->kind = kind;
	step->check = check;
	return 0;
}

/* A term that matched. */
static __always_inline void trace_term(struct pkt *p, __u32 term)
{
	__u32 i = p->n_path;

	if (!cfg.trace || i >= PG_TRACE_PATH)
		return;
	p->path[i] = term;
	p->n_path = i + 1;
}

/* The general path's way through the rules, after trace_packet(). */
static __always_inline void trace_path(const struct pkt *p)
{
	struct pg_trace_map *map;
	struct pg_trace *t;

	if (!cfg.trace)
		return;
	map = ONLY(pg_trace);
	if (!map)
		return;
	t = &map->packet;
	t->stage = p->progress.stage;
	t->n_path = p->n_path;
	__builtin_memcpy(t->path, p->path, sizeof(t->path));
}

static __always_inline void trace_packet(const struct cursor *c, const struct pkt *p,
					 const struct decision *d)
{
	struct pg_trace_map *map;
	struct pg_trace *t;

	if (!cfg.trace)
		return;
	map = ONLY(pg_trace);
	if (!map)
		return;
	t = &map->packet;
	__builtin_memcpy(t->saddr, p->saddr, sizeof(t->saddr));
	__builtin_memcpy(t->daddr, p->daddr, sizeof(t->daddr));
	t->frame_len = c->len;
	t->ip_len = p->bytes;
	t->term = d->term;
	t->ethertype = p->ethertype;
	t->l3_type = p->l3_type;
	__builtin_memcpy(t->vlan_id, p->vlan_id, sizeof(t->vlan_id));
	t->sport = p->sport;
	t->dport = p->dport;
	t->frag_offset = p->frag_offset;
	t->vlans = p->vlans;
	t->has_l3 = p->has_l3;
	t->has_proto = p->has_proto;
	t->has_ports = p->has_ports || p->has_icmp;
	t->has_flags = p->has_flags;
	t->proto = p->proto;
	t->tcp_flags = p->tcp_flags;
	t->frag = p->frag;
	t->verdict = d->verdict;
	t->reason = d->reason;
	t->n_path = 0;
	t->stage = c->dir == PG_DIR_OUT && !p->hook ? PG_STAGE_OUTPUT : p->hook;
	t->ct_state = p->ct_state;
}
