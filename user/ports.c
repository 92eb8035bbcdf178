/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * -m tcp, udp, udplite, sctp, dccp: ports, TCP's flags and options, DCCP's types and options; the
 * chunks of SCTP are in match_sctp.c. -m multiport: lists of ports.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "match_stateless.h"
#include "match_value.h"
#include "print.h"

enum {
	OPT_SPORT,
	OPT_DPORT,
	OPT_FLAGS,
	OPT_SYN,
	OPT_OPTION,
	OPT_TYPES, /* of dccp's packets */
	OPT_CHUNKS,
};
/* Of multiport: enum pg_multiport_side. */

#define PORT_OPTIONS                                                                               \
	{ "source-port", OPT_SPORT, true, false }, { "sport", OPT_SPORT, true, false },            \
		{ "destination-port", OPT_DPORT, true, false },                                    \
		{ "dport", OPT_DPORT, true, false }

const struct pg_match_option pg_tcp_options[] = {
	PORT_OPTIONS,
	{ "syn", OPT_SYN, false, false },
	{ "tcp-flags", OPT_FLAGS, true, false },
	{ "tcp-option", OPT_OPTION, true, false },
	{},
};
const struct pg_match_option pg_udp_options[] = { PORT_OPTIONS, {} };
const struct pg_match_option pg_sctp_options[] = {
	PORT_OPTIONS,
	{ "chunk-types", OPT_CHUNKS, true, false },
	{},
};
const struct pg_match_option pg_dccp_options[] = {
	PORT_OPTIONS,
	{ "dccp-types", OPT_TYPES, true, false },
	{ "dccp-option", OPT_OPTION, true, false },
	{},
};
const struct pg_match_option pg_multiport_options[] = {
	{ "source-ports", PG_MULTIPORT_SRC, true, false },
	{ "source-port", PG_MULTIPORT_SRC, true, false },
	{ "sports", PG_MULTIPORT_SRC, true, false },
	{ "sport", PG_MULTIPORT_SRC, true, false },
	{ "destination-ports", PG_MULTIPORT_DST, true, false },
	{ "destination-port", PG_MULTIPORT_DST, true, false },
	{ "dports", PG_MULTIPORT_DST, true, false },
	{ "dport", PG_MULTIPORT_DST, true, false },
	{ "ports", PG_MULTIPORT_EITHER, true, false },
	{ "port", PG_MULTIPORT_EITHER, true, false },
	{},
};

/* The six flags iptables can name; in this order it prints them. */
static const struct {
	const char *name;
	uint8_t bits;
} tcp_flags[] = {
	{ "FIN", 0x01 }, { "SYN", 0x02 }, { "RST", 0x04 },  { "PSH", 0x08 },
	{ "ACK", 0x10 }, { "URG", 0x20 }, { "ALL", 0x3f },  { "NONE", 0 },
};
#define N_SINGLE_FLAGS 6

/* By their numbers; the last one stands for all that follow. */
static const char *const dccp_types[] = {
	"REQUEST",  "RESPONSE", "DATA",	 "ACK",	    "DATAACK", "CLOSEREQ",
	"CLOSE",    "RESET",	"SYNC",	 "SYNCACK", "INVALID",
};
#define DCCP_INVALID (ARRAY_SIZE(dccp_types) - 1)
#define DCCP_TYPES 16

#define SYN_MASK 0x17 /* FIN,SYN,RST,ACK */
#define SYN_COMP 0x02

const char *pg_service_proto(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return pg_proto_name(proto);
	}
	return NULL;
}

int pg_port_parse(const char *text, const char *proto, int radix, const struct pg_arg *at,
		  uint16_t *ret, struct pg_diag *diag)
{
	struct servent *service;
	uint32_t v;

	/* udp's and dccp's options read 010 as ten, tcp's and multiport's as eight. */
	while (radix == 10 && text[0] == '0' && text[1] >= '0' && text[1] <= '9')
		text++;
	if (!pg_number_parse(text, 65535, &v)) {
		*ret = (uint16_t)v;
		return 0;
	}
	service = proto && *text ? getservbyname(text, *proto ? proto : NULL) : NULL;
	if (!service)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       proto && !*proto ? "Port \"%s\" does not resolve to anything." :
						  "invalid port/service `%s' specified",
			       text);
	*ret = ntohs((uint16_t)service->s_port);
	return 0;
}

static const char *match_proto(const struct pg_match *m)
{
	return pg_proto_name(pg_match_rows[m->kind].protos[0]);
}

static int parse_range(const struct pg_match *m, const struct pg_match_use *use,
		       struct pg_port_range *ret, struct pg_diag *diag)
{
	bool own = m->kind == PG_MATCH_TCP || m->kind == PG_MATCH_SCTP;
	/* udp's and dccp's options take any protocol's service, `ssh' for one, which is TCP's alone; listings do not. */
	const char *colon = strchr(use->value, ':'), *proto = own ? match_proto(m) : "";
	int radix = own ? 0 : 10, r = 0;
	struct pg_port_range range = { .hi = 65535, .invert = use->invert };
	char low[64];

	if (!colon) {
		r = pg_port_parse(use->value, proto, radix, &use->at, &range.lo, diag);
		range.hi = range.lo;
		goto out;
	}
	snprintf(low, sizeof(low), "%.*s", (int)(colon - use->value), use->value);
	if (*low)
		r = pg_port_parse(low, proto, radix, &use->at, &range.lo, diag);
	if (!r && colon[1])
		r = pg_port_parse(colon + 1, proto, radix, &use->at, &range.hi, diag);
	if (!r && range.lo > range.hi)
		r = pg_diag(diag, PG_DIAG_PARAM, &use->at, "invalid portrange (min > max)");
out:
	if (!r)
		*ret = range;
	return r;
}

static int parse_flag_list(const char *text, const struct pg_arg *at, uint8_t *ret,
			   struct pg_diag *diag)
{
	uint8_t bits = 0;

	while (*text) {
		size_t len = strcspn(text, ","), i;

		for (i = 0; i < ARRAY_SIZE(tcp_flags); i++)
			if (strlen(tcp_flags[i].name) == len &&
			    !strncasecmp(tcp_flags[i].name, text, len))
				break;
		if (len && i == ARRAY_SIZE(tcp_flags))
			return pg_diag(diag, PG_DIAG_PARAM, at, "Unknown TCP flag `%.*s'", (int)len,
				       text);
		if (len)
			bits |= tcp_flags[i].bits;
		text += len + (text[len] == ',');
	}
	*ret = bits;
	return 0;
}

static int parse_flags(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	uint8_t mask = SYN_MASK, comp = SYN_COMP;
	int r;

	if (use->seen & (1U << OPT_FLAGS | 1U << OPT_SYN))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "Only one of `--syn' or `--tcp-flags'  allowed");
	if (use->id == OPT_FLAGS) {
		if (!use->n_rest || use->rest[0].text[0] == '-' || use->rest[0].text[0] == '!')
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "--tcp-flags requires two args.");
		r = parse_flag_list(use->value, &use->at, &mask, diag);
		if (!r)
			r = parse_flag_list(use->rest[0].text, &use->rest[0], &comp, diag);
		if (r < 0)
			return r;
		*use->ret_taken = 1;
	}
	/* Nothing asked of no flag always holds. */
	if (!mask && !comp && !use->invert)
		return 0;
	m->ports.flags_set = true;
	m->ports.flags_invert = use->invert;
	m->ports.flags_mask = mask;
	m->ports.flags_comp = comp;
	return 0;
}

static int parse_option(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_u32_range *option = &m->ports.option;
	int r = 0;

	if (m->kind == PG_MATCH_DCCP) {
		r = pg_use_check(m, use, 1U << OPT_OPTION, diag);
		if (!r)
			r = pg_value_number(m, use, 1, 255, &option->lo, diag);
	} else if (use->seen & 1U << OPT_OPTION) {
		r = pg_diag(diag, PG_DIAG_PARAM, &use->at, "Only one `--tcp-option' allowed");
	} else if (pg_number_parse(use->value, 255, &option->lo) < 0 || !option->lo) {
		r = pg_diag(diag, PG_DIAG_PARAM, &use->at, "Bad TCP option \"%s\"", use->value);
	}
	option->hi = option->lo;
	option->set = true;
	option->invert = use->invert;
	return r;
}

static int parse_dccp_types(struct pg_match *m, const struct pg_match_use *use,
			    struct pg_diag *diag)
{
	_free_ char *copy = strdup(use->value);
	char *rest = NULL;
	int r = pg_use_check(m, use, 1U << OPT_TYPES, diag);

	if (r < 0)
		return r;
	if (!copy)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	for (char *one = strtok_r(copy, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
		size_t i = 0;

		while (i < ARRAY_SIZE(dccp_types) && strcasecmp(dccp_types[i], one))
			i++;
		if (i == ARRAY_SIZE(dccp_types))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Unknown DCCP type `%s'",
				       one);
		m->ports.dccp_types |= (uint16_t)((i == DCCP_INVALID ? ~0U : 1U) << i);
	}
	m->ports.dccp_types_set = true;
	m->ports.dccp_types_invert = use->invert;
	return 0;
}

static bool is_default(const struct pg_port_range *range)
{
	return !range->invert && range->lo == 0 && range->hi == 65535;
}

void pg_ports_init(struct pg_match *m)
{
	m->ports.sport.hi = 65535;
	m->ports.dport.hi = 65535;
}

int pg_ports_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	const char *name = pg_match_rows[m->kind].name;
	int r;

	switch (use->id) {
	case OPT_FLAGS:
	case OPT_SYN:
		return parse_flags(m, use, diag);
	case OPT_OPTION:
		return parse_option(m, use, diag);
	case OPT_TYPES:
		return parse_dccp_types(m, use, diag);
	case OPT_CHUNKS:
		return pg_chunks_parse(m, use, use->seen & 1U << OPT_CHUNKS, diag);
	}
	if (use->seen & 1U << use->id) {
		const char *option = use->id == OPT_SPORT ? "source-port" : "destination-port";

		if (m->kind == PG_MATCH_TCP || m->kind == PG_MATCH_SCTP)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Only one `--%s' allowed",
				       option);
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: option \"--%s\" can only be used once.", name, option);
	}
	r = parse_range(m, use, use->id == OPT_SPORT ? &m->ports.sport : &m->ports.dport, diag);
	/* iptables tells it from no option at all; with tcp and udp it does not. */
	if (!r && (m->kind == PG_MATCH_SCTP || m->kind == PG_MATCH_DCCP)) {
		m->ports.sport_whole |= use->id == OPT_SPORT && is_default(&m->ports.sport);
		m->ports.dport_whole |= use->id == OPT_DPORT && is_default(&m->ports.dport);
	}
	return r;
}

static void print_range(struct pg_text *t, const char *option, const struct pg_port_range *range,
			bool whole)
{
	if (is_default(range) && !whole)
		return;
	pg_text_add(t, "%s --%s %u", range->invert ? " !" : "", option, range->lo);
	if (range->lo != range->hi)
		pg_text_add(t, ":%u", range->hi);
}

static void print_flag_list(struct pg_text *t, uint8_t bits)
{
	const char *comma = "";

	if (!bits)
		pg_text_add(t, "NONE");
	for (size_t i = 0; i < N_SINGLE_FLAGS; i++) {
		if (!(bits & tcp_flags[i].bits))
			continue;
		pg_text_add(t, "%s%s", comma, tcp_flags[i].name);
		comma = ",";
	}
}

static void add_dccp_types(struct pg_text *t, const struct pg_match *m, bool numeric)
{
	const char *comma = "";

	for (size_t i = 0; i < DCCP_TYPES; i++) {
		if (!(m->ports.dccp_types & 1U << i))
			continue;
		if (numeric)
			pg_text_add(t, "%s%zu", comma, i);
		else if (i <= DCCP_INVALID)
			pg_text_add(t, "%s%s", comma, dccp_types[i]);
		comma = ",";
	}
}

/* No type at all is a word that iptables prints and cannot read again. */
static void print_dccp_types(struct pg_text *t, const struct pg_match *m)
{
	if (!m->ports.dccp_types_set)
		return;
	pg_text_add(t, "%s --dccp-types ", m->ports.dccp_types_invert ? " !" : "");
	if (!m->ports.dccp_types)
		pg_text_add(t, "\"\"");
	add_dccp_types(t, m, false);
}

void pg_ports_print(struct pg_text *t, const struct pg_match *m)
{
	print_range(t, "sport", &m->ports.sport, m->ports.sport_whole);
	print_range(t, "dport", &m->ports.dport, m->ports.dport_whole);
	print_dccp_types(t, m);
	if (m->ports.chunks)
		pg_chunks_print(t, m->ports.chunks);
	if (m->ports.option.set)
		pg_range_print(t, pg_option_name(m->kind, OPT_OPTION), &m->ports.option);
	if (!m->ports.flags_set)
		return;
	pg_text_add(t, "%s --tcp-flags ", m->ports.flags_invert ? " !" : "");
	print_flag_list(t, m->ports.flags_mask);
	pg_text_add(t, " ");
	print_flag_list(t, m->ports.flags_comp);
}

static void list_port(struct pg_text *t, uint16_t port, const char *proto, bool numeric)
{
	struct servent *service = numeric || !proto ? NULL : getservbyport(htons(port), proto);

	if (service) {
		char name[64];

		pg_text_add(t, "%s", pg_printable(service->s_name, name, sizeof(name)));
		return;
	}
	pg_text_add(t, "%u", port);
}

static void list_range(struct pg_text *t, const char *what, const struct pg_port_range *range,
		       const char *proto, bool numeric)
{
	if (is_default(range))
		return;
	pg_text_add(t, " %s%s:%s", what, range->lo == range->hi ? "" : "s",
		    range->invert ? "!" : "");
	list_port(t, range->lo, proto, numeric);
	if (range->lo == range->hi)
		return;
	pg_text_add(t, ":");
	list_port(t, range->hi, proto, numeric);
}

void pg_ports_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		   bool numeric)
{
	(void)rule;
	pg_text_add(t, " %s", pg_match_rows[m->kind].name);
	list_range(t, "spt", &m->ports.sport, match_proto(m), numeric);
	list_range(t, "dpt", &m->ports.dport, match_proto(m), numeric);
	if (m->ports.dccp_types_set) {
		pg_text_add(t, " %s", m->ports.dccp_types_invert ? "! " : "");
		add_dccp_types(t, m, numeric);
	}
	if (m->ports.chunks)
		pg_chunks_list(t, m->ports.chunks, numeric);
	if (m->ports.option.set) {
		pg_text_add(t, " option=");
		pg_range_list(t, &m->ports.option);
	}
	if (!m->ports.flags_set)
		return;
	pg_text_add(t, " flags:%s", m->ports.flags_invert ? "!" : "");
	if (numeric) {
		pg_text_add(t, "0x%02X/0x%02X", m->ports.flags_mask, m->ports.flags_comp);
		return;
	}
	print_flag_list(t, m->ports.flags_mask);
	pg_text_add(t, "/");
	print_flag_list(t, m->ports.flags_comp);
}

void pg_ports_clear(struct pg_match *m)
{
	free(m->ports.chunks);
	m->ports.chunks = NULL;
}

int pg_ports_copy(struct pg_match *ret, const struct pg_match *m)
{
	if (!m->ports.chunks)
		return 0;
	ret->ports.chunks = malloc(sizeof(*ret->ports.chunks));
	if (!ret->ports.chunks)
		return -ENOMEM;
	*ret->ports.chunks = *m->ports.chunks;
	return 0;
}

static bool range_equal(const struct pg_port_range *a, const struct pg_port_range *b)
{
	return a->lo == b->lo && a->hi == b->hi && a->invert == b->invert;
}

bool pg_ports_equal(const struct pg_match *a, const struct pg_match *b)
{
	const struct pg_u32_range *x = &a->ports.option, *y = &b->ports.option;

	if (!range_equal(&a->ports.sport, &b->ports.sport) ||
	    !range_equal(&a->ports.dport, &b->ports.dport) ||
	    a->ports.flags_set != b->ports.flags_set)
		return false;
	if (a->ports.sport_whole != b->ports.sport_whole ||
	    a->ports.dport_whole != b->ports.dport_whole)
		return false;
	if (x->set != y->set || x->lo != y->lo || x->invert != y->invert)
		return false;
	if (a->ports.dccp_types_set != b->ports.dccp_types_set ||
	    a->ports.dccp_types != b->ports.dccp_types ||
	    a->ports.dccp_types_invert != b->ports.dccp_types_invert)
		return false;
	if (!pg_chunks_equal(a->ports.chunks, b->ports.chunks))
		return false;
	return !a->ports.flags_set || (a->ports.flags_invert == b->ports.flags_invert &&
				       a->ports.flags_mask == b->ports.flags_mask &&
				       a->ports.flags_comp == b->ports.flags_comp);
}

/* -m multiport --------------------------------------------------------------------------------- */

static const char *const long_sides[] = {
	[PG_MULTIPORT_SRC] = "source-ports",
	[PG_MULTIPORT_DST] = "destination-ports",
	[PG_MULTIPORT_EITHER] = "ports",
};
static const char *const short_sides[] = {
	[PG_MULTIPORT_SRC] = "sports",
	[PG_MULTIPORT_DST] = "dports",
	[PG_MULTIPORT_EITHER] = "ports",
};

static int multiport_proto(const struct pg_rule *rule, const struct pg_arg *at,
			   struct pg_diag *diag)
{
	if (!rule->proto)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or "
			       "`-p dccp'");
	if (rule->proto_invert || !pg_service_proto(rule->proto))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
	return 0;
}

/* One element of a list: a port or a range. */
static int parse_element(struct pg_match *m, const struct pg_match_use *use, char *text,
			 unsigned *slots, struct pg_diag *diag)
{
	const char *proto = pg_service_proto(use->rule->proto);
	struct pg_port_range *range;
	char *colon = strchr(text, ':');
	int r;

	*slots += colon ? 2 : 1;
	if (*slots > PG_MULTIPORT_MAX)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "too many ports specified");
	range = &m->multiport.range[m->multiport.n++];
	if (colon)
		*colon++ = '\0';
	r = pg_port_parse(text, proto, 0, &use->at, &range->lo, diag);
	range->hi = range->lo;
	if (r < 0 || !colon)
		return r;
	r = pg_port_parse(colon, proto, 0, &use->at, &range->hi, diag);
	if (!r && range->lo >= range->hi)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "invalid portrange specified");
	return r;
}

int pg_multiport_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	_free_ char *list = strdup(use->value);
	unsigned slots = 0;
	int r;

	if (!list)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	for (unsigned side = 0; side < ARRAY_SIZE(long_sides); side++) {
		if (!(use->seen & 1U << side))
			continue;
		if (side == use->id)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "multiport: option \"--%s\" can only be used once.",
				       long_sides[side]);
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "multiport: option \"--%s\" cannot be used together with \"--%s\".",
			       long_sides[side < use->id ? side : use->id],
			       long_sides[side < use->id ? use->id : side]);
	}
	r = multiport_proto(use->rule, &use->at, diag);
	if (r < 0)
		return r;
	m->multiport.side = use->id;
	m->multiport.invert = use->invert;
	for (char *next = list, *element; (element = strsep(&next, ","));) {
		r = parse_element(m, use, element, &slots, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

int pg_multiport_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag)
{
	(void)m;
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at, "multiport expection an option");
	return multiport_proto(rule, at, diag);
}

void pg_multiport_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --%s ", m->multiport.invert ? " !" : "",
		    short_sides[m->multiport.side]);
	for (unsigned i = 0; i < m->multiport.n; i++) {
		const struct pg_port_range *range = &m->multiport.range[i];

		pg_text_add(t, "%s%u", i ? "," : "", range->lo);
		if (range->lo != range->hi)
			pg_text_add(t, ":%u", range->hi);
	}
}

void pg_multiport_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric)
{
	const char *proto = pg_service_proto(rule->proto);

	pg_text_add(t, " multiport %s %s", short_sides[m->multiport.side],
		    m->multiport.invert ? " !" : "");
	for (unsigned i = 0; i < m->multiport.n; i++) {
		const struct pg_port_range *range = &m->multiport.range[i];

		pg_text_add(t, "%s", i ? "," : "");
		list_port(t, range->lo, proto, numeric);
		if (range->lo == range->hi)
			continue;
		pg_text_add(t, ":");
		list_port(t, range->hi, proto, numeric);
	}
}

bool pg_multiport_equal(const struct pg_match *a, const struct pg_match *b)
{
	if (a->multiport.side != b->multiport.side || a->multiport.invert != b->multiport.invert ||
	    a->multiport.n != b->multiport.n)
		return false;
	for (unsigned i = 0; i < a->multiport.n; i++)
		if (!range_equal(&a->multiport.range[i], &b->multiport.range[i]))
			return false;
	return true;
}
