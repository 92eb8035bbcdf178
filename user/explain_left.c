/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What hashlimit and recent remember of a packet's address: read, as the programs find it. */
#include <inttypes.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

#include "checks.h"
#include "explain.h"

static void mask(__be32 *addr, unsigned bits)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = bits > 32 * i ? bits - 32 * i : 0;

		addr[i] &= n >= 32 ? ~0U : n ? htonl(~0U << (32 - n)) : 0;
	}
}

static enum pg_family family_of(const struct pg_trace *trace)
{
	return trace->l3_type == ETHERTYPE_IPV6 ? PG_FAMILY_V6 : PG_FAMILY_V4;
}

static bool has_ports(const struct pg_trace *trace)
{
	return trace->has_ports && trace->proto != IPPROTO_ICMP && trace->proto != IPPROTO_ICMPV6;
}

static void hashlimit(struct pg_text *t, struct pg_dp *dp, const struct pg_check *c,
		      const struct pg_trace *trace, uint64_t now_ns)
{
	const bool bytes = c->v[7] == PG_HASHLIMIT_BYTES;
	struct pg_hashlimit_key key = { .name = c->u64[2], .family = family_of(trace) };
	struct pg_bucket b = { 0 };
	struct pg_state *s = &b.state;
	uint64_t used, all, unit = bytes ? 16 : 1, cost = c->u64[0] ?: 1;

	if (c->v[6] & PG_HASHLIMIT_SIP) {
		memcpy(key.src, trace->saddr, sizeof(key.src));
		mask(key.src, c->bytes[28 + 4]);
	}
	if (c->v[6] & PG_HASHLIMIT_DIP) {
		memcpy(key.dst, trace->daddr, sizeof(key.dst));
		mask(key.dst, c->bytes[28 + 5]);
	}
	if (has_ports(trace)) {
		key.sport = c->v[6] & PG_HASHLIMIT_SPT ? trace->sport : 0;
		key.dport = c->v[6] & PG_HASHLIMIT_DPT ? trace->dport : 0;
	}
	/* Without one it is full, and with one that has expired. */
	if (pg_dp_hashlimit_read(dp, &key, &b) && now_ns > b.asked_ns &&
	    now_ns - b.asked_ns >= c->v[10] * 1000000ULL)
		b = (struct pg_bucket){ 0 };
	if (c->v[7] & PG_HASHLIMIT_RATE) {
		pg_text_add(t, "hashlimit: %s", s->rate & PG_STATE_OVER ? "over its rate" : "within its rate");
		return;
	}
	all = bytes ? PG_HASHLIMIT_SECOND : c->u64[1];
	used = s->value > now_ns ? s->value - now_ns : 0;
	used = used < all ? all - used : 0;
	if (bytes) {
		used += (s->rate < c->u64[1] ? c->u64[1] - s->rate : 0) * PG_HASHLIMIT_SECOND;
		all += c->u64[1] * PG_HASHLIMIT_SECOND;
	}
	used = used / cost * unit;
	all = all / cost * unit;
	pg_text_add(t, "hashlimit: %" PRIu64 " of %" PRIu64 " %s left", used, all, bytes ? "bytes" : "packets");
}

static void recent(struct pg_text *t, struct pg_dp *dp, const struct pg_check *c,
		   const struct pg_trace *trace, uint64_t now_ns)
{
	struct pg_recent_key key = { .name = c->u64[0], .family = family_of(trace) };
	struct pg_recent_entry e;
	uint32_t last;

	memcpy(key.addr, c->v[5] & PG_RECENT_DEST ? trace->daddr : trace->saddr, sizeof(key.addr));
	for (int i = 0; i < 4; i++)
		key.addr[i] &= c->addr[6 + i];
	if (!pg_dp_recent_read(dp, &key, &e)) {
		pg_text_add(t, "recent: not in the list");
		return;
	}
	last = e.stamp[(e.next + PG_RECENT_STAMPS - 1U) % PG_RECENT_STAMPS];
	pg_text_add(t, "recent: seen %u times%s, last %u s ago", e.stamps,
		    e.stamps == PG_RECENT_STAMPS ? " or more" : "",
		    (uint32_t)((((now_ns >> PG_RECENT_SHIFT) - last) << PG_RECENT_SHIFT) / 1000000000));
}

bool pg_left_print(struct pg_text *t, struct pg_dp *dp, const struct pg_match *m,
		   const struct pg_trace *trace, uint64_t now_ns)
{
	struct pg_check c;

	if ((m->kind != PG_MATCH_HASHLIMIT && m->kind != PG_MATCH_RECENT) || !trace->has_l3 ||
	    pg_match_make_checks(m, PG_NO_SLOT, NULL, &c, NULL))
		return false;
	if (m->kind == PG_MATCH_HASHLIMIT)
		hashlimit(t, dp, &c, trace, now_ns);
	else
		recent(t, dp, &c, trace, now_ns);
	return true;
}
