/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A policy that is tried beside the one in force: see enum pg_role. With cfg.role ALONE the verifier
 * prunes all of it. Only the general path knows of it, so programs of the other roles have no other.
 */
#pragma once

/*
 * For programs of this role: Linux before 6.8 looks also at functions that nothing calls, and the other
 * roles have no such maps.
 */
static __always_inline struct pg_handoff *my_handoff(enum pg_role role)
{
	__u32 cpu = bpf_get_smp_processor_id();

	if (cfg.role != role)
		return NULL;
	return bpf_map_lookup_elem(&pg_handoff, &cpu);
}

/* The tried policy's program: what it has come to. */
__noinline int shadow_say(__u32 verdict, __u32 reason, __u32 slot)
{
	struct pg_handoff *h = my_handoff(PG_ROLE_SHADOW);

	if (!h)
		return 0;
	h->verdict = verdict;
	h->reason = reason;
	h->slot = slot;
	h->given = 1;
	return 0;
}

static __always_inline void fill_difference(struct pg_difference *key, const struct pkt *p,
					    enum pg_dir dir, const struct pg_handoff *now)
{
	__builtin_memset(key, 0, sizeof(*key));
	if (p->has_l3) {
		key->source[0] = p->saddr[0];
		key->v6 = p->family;
		if (p->family == PG_FAMILY_V6)
			__builtin_memcpy(key->source, p->saddr, 16);
	}
	if (p->has_ports) {
		key->port = dir == PG_DIR_IN ? p->dport : p->sport;
		key->has_port = 1;
	}
	key->proto = p->proto;
	key->has_proto = p->has_proto;
	key->iface = cfg.iface;
	key->dir = dir;
	key->now_verdict = now->verdict;
	key->now_reason = now->reason;
	key->now_slot = now->slot;
}

static __always_inline void count_atomically(struct pg_count *c, const struct pkt *p)
{
	__sync_fetch_and_add(&c->packets, p->packets);
	__sync_fetch_and_add(&c->bytes, p->bytes);
}

static __always_inline void count_own(struct pg_count *c, const struct pkt *p)
{
	c->packets += p->packets;
	c->bytes += p->bytes;
}

/* One that differs. Where the table is full, the loss is counted. */
static __always_inline void count_difference(struct pg_difference *key, const struct pkt *p,
					     struct pg_handoff *h)
{
	struct pg_count none = { 0 }, *c;

	c = bpf_map_lookup_elem(&pg_differences, key);
	if (!c) {
		bpf_map_update_elem(&pg_differences, key, &none, 1 /* BPF_NOEXIST */);
		c = bpf_map_lookup_elem(&pg_differences, key);
	}
	if (c)
		count_atomically(c, p);
	else
		count_own(&h->lost, p);
}

/* The filter's program, of the same packet; slots of any other generation would be those of other rules. */
__noinline int shadow_compare(__u32 dir, __u32 verdict, __u32 reason, __u32 slot)
{
	const struct pg_tables_map *map = ONLY(pg_tables);
	struct pg_handoff *h = my_handoff(PG_ROLE_BESIDE);
	struct pg_difference *key;
	struct pkt *p = this_pkt();

	if (!h || !p || !map || !h->given)
		return 0;
	h->given = 0;
	if (map->ctl.comparing != map->ctl.gen[p->active & 1].number + 1)
		return 0;
	count_own(&h->compared, p);
	if (h->verdict == verdict)
		return 0;
	count_own(&h->differ, p);
	key = (void *)p->out; /* not on the stack, which is short */
	fill_difference(key, p, dir, h);
	key->was_verdict = verdict;
	key->was_reason = reason;
	key->was_slot = slot;
	count_difference(key, p, h);
	return 0;
}

/* A slot, where one was counted in. */
static __always_inline __u32 decided_slot(const struct decision *d)
{
	return d->reason == PG_REASON_RULE || d->reason == PG_REASON_POLICY ? d->slot : 0;
}

static __always_inline void shadow(enum pg_dir dir, const struct decision *d)
{
	if (cfg.role == PG_ROLE_SHADOW)
		shadow_say(d->verdict, d->reason, decided_slot(d));
	else if (cfg.role == PG_ROLE_BESIDE)
		shadow_compare(dir, d->verdict, d->reason, decided_slot(d));
}
