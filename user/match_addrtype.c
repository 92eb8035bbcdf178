/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m addrtype: what the routing table says an address is; -m pkttype: what the frame was. */
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "match_stateless.h"
#include "match_value.h"

enum { SRC_TYPE, DST_TYPE, LIMIT_IN, LIMIT_OUT };

const struct pg_match_option pg_addrtype_options[] = {
	{ "src-type", SRC_TYPE, true, false },
	{ "dst-type", DST_TYPE, true, false },
	{ "limit-iface-in", LIMIT_IN, false, false },
	{ "limit-iface-out", LIMIT_OUT, false, false },
	{},
};

/* By RTN_*; also the order in which abbreviations are looked up. */
static const char *const types[] = {
	"UNSPEC",    "UNICAST",	    "LOCAL",	"BROADCAST", "ANYCAST", "MULTICAST",
	"BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",     "NAT",	"XRESOLVE",
};

#define TYPE(name) (1U << RTN_##name)
#define NOT_IN_IPV6                                                                                \
	(TYPE(BROADCAST) | TYPE(BLACKHOLE) | TYPE(PROHIBIT) | TYPE(THROW) | TYPE(NAT) |            \
	 TYPE(XRESOLVE))

static bool add_type(const char *text, size_t len, uint16_t *mask)
{
	for (size_t i = 0; len && i < ARRAY_SIZE(types); i++) {
		if (strncasecmp(types[i], text, len))
			continue;
		*mask |= (uint16_t)(1U << i);
		return true;
	}
	return false;
}

static int parse_types(const struct pg_match_use *use, uint16_t *ret, struct pg_diag *diag)
{
	const char *text = use->value, *comma;
	uint16_t mask = 0;

	for (; (comma = strchr(text, ',')); text = comma + 1)
		if (!add_type(text, (size_t)(comma - text), &mask))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at, "addrtype: bad type `%s'",
				       text);
	if (!add_type(text, strlen(text), &mask))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "addrtype: bad type \"%s\"", text);
	*ret = mask;
	return 0;
}

int pg_addrtype_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_addrtype *a = &m->addrtype;
	int r = pg_use_check(m, use, 1U << SRC_TYPE | 1U << DST_TYPE, diag);

	if (r < 0)
		return r;
	switch (use->id) {
	case SRC_TYPE:
		a->src_invert = use->invert;
		return parse_types(use, &a->src, diag);
	case DST_TYPE:
		a->dst_invert = use->invert;
		return parse_types(use, &a->dst, diag);
	case LIMIT_IN:
		a->limit_in = true;
		return 0;
	}
	a->limit_out = true;
	return 0;
}

int pg_addrtype_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		      const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (!(seen & (1U << SRC_TYPE | 1U << DST_TYPE)))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "addrtype: you must specify --src-type or --dst-type");
	return pg_option_exclude(m, LIMIT_IN, LIMIT_OUT, seen, at, diag);
}

unsigned pg_addrtype_holds(const struct pg_match *m)
{
	return (m->addrtype.src | m->addrtype.dst) & NOT_IN_IPV6 ? PG_V4 : PG_V46;
}

unsigned pg_addrtype_chains(const struct pg_match *m)
{
	unsigned chains = ~0U;

	if (m->addrtype.limit_in)
		chains &= ~(1U << PG_CHAIN_OUTPUT | 1U << PG_CHAIN_RAW_OUTPUT);
	if (m->addrtype.limit_out)
		chains &= ~(1U << PG_CHAIN_INPUT | 1U << PG_CHAIN_RAW_PREROUTING);
	return chains;
}

static void add_types(struct pg_text *t, uint16_t mask)
{
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (!(mask & 1U << i))
			continue;
		pg_text_add(t, "%s%s", comma, types[i]);
		comma = ",";
	}
}

static void print_types(struct pg_text *t, const char *option, bool invert, uint16_t mask)
{
	if (!mask)
		return;
	pg_text_add(t, "%s --%s ", invert ? " !" : "", option);
	add_types(t, mask);
}

void pg_addrtype_print(struct pg_text *t, const struct pg_match *m)
{
	print_types(t, "src-type", m->addrtype.src_invert, m->addrtype.src);
	print_types(t, "dst-type", m->addrtype.dst_invert, m->addrtype.dst);
	if (m->addrtype.limit_in)
		pg_text_add(t, " --limit-iface-in");
	if (m->addrtype.limit_out)
		pg_text_add(t, " --limit-iface-out");
}

static void list_types(struct pg_text *t, const char *what, bool invert, uint16_t mask)
{
	if (!mask)
		return;
	pg_text_add(t, " %s %s", what, invert ? "!" : "");
	add_types(t, mask);
}

void pg_addrtype_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		      bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " ADDRTYPE match");
	list_types(t, "src-type", m->addrtype.src_invert, m->addrtype.src);
	list_types(t, "dst-type", m->addrtype.dst_invert, m->addrtype.dst);
	if (m->addrtype.limit_in)
		pg_text_add(t, " limit-in");
	if (m->addrtype.limit_out)
		pg_text_add(t, " limit-out");
}

/* -m pkttype ----------------------------------------------------------------------------------- */

const struct pg_match_option pg_pkttype_options[] = { { "pkt-type", 0, true, false }, {} };

/* The first name of a type is the one that is printed. */
static const struct {
	const char *name;
	uint8_t type;
} packets[] = {
	{ "unicast", PACKET_HOST },	   { "broadcast", PACKET_BROADCAST },
	{ "multicast", PACKET_MULTICAST }, { "otherhost", PACKET_OTHERHOST },
	{ "host", PACKET_HOST },	   { "bcast", PACKET_BROADCAST },
	{ "mcast", PACKET_MULTICAST },
};

static const char *packet_name(const struct pg_match *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(packets); i++)
		if (packets[i].type == m->pkttype.type)
			return packets[i].name;
	return "?";
}

int pg_pkttype_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, ~0U, diag);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
		if (strcasecmp(packets[i].name, use->value))
			continue;
		m->pkttype.type = packets[i].type;
		m->pkttype.invert = use->invert;
		return 0;
	}
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Bad packet type '%s'", use->value);
}

void pg_pkttype_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --pkt-type %s", m->pkttype.invert ? " !" : "", packet_name(m));
}

void pg_pkttype_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		     bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " PKTTYPE %s= %s", m->pkttype.invert ? "!" : "", packet_name(m));
}
