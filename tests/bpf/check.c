/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oracle.h"

struct check_counters {
	struct pg_totals totals;
	struct pg_count ports[_PG_DIR_MAX][_PG_PORT_PROTO_MAX][PG_PORTS];
	__u64 drops[_PG_PORT_PROTO_MAX][PG_PORTS];
	struct pg_flags flags[PG_PORTS];
};

const char *check_reading(const struct pg_trace *t, char *buf, size_t size)
{
	struct pg_text text = { 0 };

	for (unsigned i = 0; i < t->vlans && i < 3; i++)
		pg_text_add(&text, "vlan %u ", t->vlan_id[i]);
	if (t->has_l3)
		pg_text_add(&text, t->l3_type == 0x0800 ? "ip4" : "ip6");
	else
		pg_text_add(&text, "%04x", t->l3_type);
	if (t->has_proto)
		pg_text_add(&text, " p%u", t->proto);
	if (t->frag == PG_FRAG_FIRST)
		pg_text_add(&text, " first");
	if (t->frag == PG_FRAG_ATOMIC)
		pg_text_add(&text, " atomic");
	if (t->frag == PG_FRAG_LATER)
		pg_text_add(&text, " later@%u", t->frag_offset);
	if (t->has_ports)
		pg_text_add(&text, " %u>%u", t->sport, t->dport);
	if (t->has_flags)
		pg_text_add(&text, " f%02x", t->tcp_flags);
	assert_false(text.oom);
	snprintf(buf, size, "%s", text.buf);
	pg_text_free(&text);
	return buf;
}

/* What was given back: ten megabytes are used again rather than mapped and cleared anew for each frame. */
static struct check_counters *spare[2];

struct check_counters *check_counters_read(struct harness *h)
{
	struct check_counters *c = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(spare) && !c; i++) {
		c = spare[i];
		spare[i] = NULL;
	}
	if (!c)
		c = malloc(sizeof(*c));
	assert_non_null(c);
	pg_dp_totals_read(h->dp, &c->totals);
	for (enum pg_dir dir = 0; dir < _PG_DIR_MAX; dir++)
		for (enum pg_port_proto proto = 0; proto < _PG_PORT_PROTO_MAX; proto++)
			pg_dp_ports_read(h->dp, dir, proto, c->ports[dir][proto]);
	for (enum pg_port_proto proto = 0; proto < _PG_PORT_PROTO_MAX; proto++)
		pg_dp_drops_read(h->dp, proto, c->drops[proto]);
	pg_dp_flags_read(h->dp, c->flags);
	return c;
}

void check_counters_free(struct check_counters *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(spare); i++) {
		if (spare[i])
			continue;
		spare[i] = c;
		return;
	}
	free(c);
}

static void bump(struct pg_count *c, const struct pg_trace *t)
{
	c->packets++;
	c->bytes += t->ip_len;
}

/* What the packet should have moved, added to the counters before it. */
static void expect(struct check_counters *c, enum pg_dir dir, const struct pg_trace *t)
{
	unsigned port = dir == PG_DIR_IN ? t->dport : t->sport;
	enum pg_port_proto proto = t->proto == 6 ? PG_PORT_TCP : PG_PORT_UDP;

	bump(&c->totals.count[0][dir][t->verdict][t->reason], t);
	if (!t->has_ports || (t->proto != 6 && t->proto != 17))
		return;
	bump(&c->ports[dir][proto][port], t);
	if (dir == PG_DIR_IN && t->verdict == PG_VERDICT_DROP)
		c->drops[proto][port]++;
	for (int bit = 0; t->has_flags && bit < _PG_FLAG_MAX; bit++)
		c->flags[port].count[bit] += t->tcp_flags >> bit & 1;
}

void check_counters_moved(const char *name, struct check_counters *before,
			  const struct check_counters *after, enum pg_dir dir,
			  const struct pg_trace *trace)
{
	expect(before, dir, trace);
	if (memcmp(&before->totals, &after->totals, sizeof(after->totals)))
		fail_msg("%s: totals did not move as they should", name);
	if (memcmp(before->ports, after->ports, sizeof(after->ports)))
		fail_msg("%s: port counters did not move as they should", name);
	if (memcmp(before->drops, after->drops, sizeof(after->drops)))
		fail_msg("%s: drops per port did not move as they should", name);
	if (memcmp(before->flags, after->flags, sizeof(after->flags)))
		fail_msg("%s: flag counters did not move as they should", name);
}

/* Reasons that a frame which ends early can have, beside those of the whole frame. */
static bool is_about_length(enum pg_reason reason)
{
	return reason == PG_REASON_SHORT_HEADER || reason == PG_REASON_TRUNCATED;
}

static bool is_about_headers(enum pg_reason reason)
{
	return reason == PG_REASON_BAD_VERSION || reason == PG_REASON_BAD_IHL ||
	       reason == PG_REASON_BAD_LENGTH || reason == PG_REASON_TOO_MANY_VLANS;
}

/* The frame's length without its padding; all of it where it is not an IP packet. */
static size_t ip_end(const uint8_t *frame, size_t len, const struct pg_trace *whole)
{
	size_t l3 = 14 + 4 * (size_t)whole->vlans;

	if (!whole->has_l3 || whole->l3_type == 0x0806 || whole->vlans > 2)
		return 0;
	if (whole->l3_type == 0x0800)
		return l3 + (frame[l3 + 2] << 8 | frame[l3 + 3]);
	if (frame[l3 + 4] || frame[l3 + 5] || frame[l3 + 6])
		return l3 + 40 + (frame[l3 + 4] << 8 | frame[l3 + 5]);
	return l3 + 40 > len ? len : l3 + 40; /* as much as there is */
}

void check_prefixes(const char *name, struct harness *h, const uint8_t *frame, size_t len)
{
	struct oracle_count *count = calloc(harness_input(h)->n_rules + 1, sizeof(*count));
	uint8_t *copy = malloc(len);
	struct pg_trace whole, t;
	struct oracle_result o;
	size_t end;

	assert_true(count && copy);
	harness_run(h, PG_DIR_IN, frame, len, &whole);
	end = ip_end(frame, len, &whole);
	for (size_t n = 14; n <= len; n++) {
		/* Of its own memory, so that reading on is reading something else. */
		memcpy(copy, frame, n);
		memset(copy + n, 0xee, len - n);
		harness_run(h, PG_DIR_IN, copy, n, &t);
		oracle_run(h->set, h->iface, PG_DIR_IN, copy, n, count, &o);
		if (t.verdict != o.verdict || t.reason != o.reason ||
		    (o.asked && harness_rule(h, &t) != o.rule))
			fail_msg("%s: of %zu bytes the first %zu: verdict %u reason %u rule %zu, "
				 "not verdict %u reason %u rule %zu", name, len, n, t.verdict,
				 t.reason, harness_rule(h, &t), o.verdict, o.reason, o.rule);
		if (n >= end)
			continue;
		if (t.verdict != PG_VERDICT_DROP || t.has_ports || t.has_flags)
			fail_msg("%s: of %zu bytes the first %zu are read as a whole packet", name,
				 len, n);
		if (!is_about_length(t.reason) && !is_about_headers(t.reason))
			fail_msg("%s: of %zu bytes the first %zu: reason %u", name, len, n, t.reason);
	}
	free(copy);
	free(count);
}
