/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m conntrack, and -m state, which is its --ctstate under an older name. */
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "addr.h"
#include "match_host.h"
#include "match_stateful.h"
#include "match_value.h"
#include "print.h"

/* Ids are enum pg_ct_part. */
const struct pg_match_option pg_conntrack_options[] = {
	{ "ctstate", PG_CT_PART_STATE, true, false },
	{ "ctproto", PG_CT_PART_PROTO, true, false },
	{ "ctorigsrc", PG_CT_PART_ORIGSRC, true, false },
	{ "ctorigdst", PG_CT_PART_ORIGDST, true, false },
	{ "ctreplsrc", PG_CT_PART_REPLSRC, true, false },
	{ "ctrepldst", PG_CT_PART_REPLDST, true, false },
	{ "ctorigsrcport", PG_CT_PART_ORIGSRCPORT, true, false },
	{ "ctorigdstport", PG_CT_PART_ORIGDSTPORT, true, false },
	{ "ctreplsrcport", PG_CT_PART_REPLSRCPORT, true, false },
	{ "ctrepldstport", PG_CT_PART_REPLDSTPORT, true, false },
	{ "ctstatus", PG_CT_PART_STATUS, true, false },
	{ "ctexpire", PG_CT_PART_EXPIRE, true, false },
	{ "ctdir", PG_CT_PART_DIR, true, false },
	{},
};
const struct pg_match_option pg_state_options[] = {
	{ "state", PG_CT_PART_STATE, true, false },
	{},
};

struct bit_name {
	const char *name;
	uint16_t bit;
};

/* In iptables' order of printing. Any beginning of a name will do, in either case. */
static const struct bit_name states[] = {
	{ "INVALID", PG_CT_INVALID },
	{ "NEW", PG_CT_NEW },
	{ "RELATED", PG_CT_RELATED },
	{ "ESTABLISHED", PG_CT_ESTABLISHED },
	{ "UNTRACKED", PG_CT_UNTRACKED },
	{ "SNAT", PG_CT_SNAT },
	{ "DNAT", PG_CT_DNAT },
};
#define N_PLAIN_STATES 5 /* the first ones, which -m state knows */

static const struct bit_name statuses[] = {
	{ "NONE", 0 }, { "EXPECTED", 1 }, { "SEEN_REPLY", 2 }, { "ASSURED", 4 }, { "CONFIRMED", 8 },
};

/* Bits of a comma list; *ret_bad: the text from the first wrong word on, or NULL. */
static uint16_t parse_bits(const char *text, const struct bit_name *name, size_t n,
			   const char **ret_bad)
{
	uint16_t bits = 0;

	for (;; text++) {
		size_t len = strcspn(text, ","), i;

		for (i = 0; i < n && len; i++)
			if (!strncasecmp(name[i].name, text, len))
				break;
		*ret_bad = text;
		if (!len || i == n)
			return 0;
		bits |= name[i].bit;
		text += len;
		if (!*text)
			break;
	}
	*ret_bad = NULL;
	return bits;
}

static int parse_states(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	bool plain = m->kind == PG_MATCH_STATE;
	size_t n = plain ? N_PLAIN_STATES : ARRAY_SIZE(states);
	const char *bad;

	m->conntrack.states = parse_bits(use->value, states, n, &bad);
	if (!bad)
		return 0;
	if (plain && !*bad)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "\"--state\" requires a list of states with no spaces, e.g. "
			       "ESTABLISHED,RELATED");
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Bad %s \"%s\"",
		       plain ? "state" : "ctstate", bad);
}

static int parse_addr(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_addr *addr = &m->conntrack.more->addr[use->id - PG_CT_PART_ORIGSRC];
	_free_ char *host = strndup(use->value, strcspn(use->value, "/"));
	const char *slash = strchr(use->value, '/');
	uint8_t family, len, mask_family;
	int r;

	if (!host)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	r = pg_host_parse(host, use, addr->addr, &family, diag);
	if (r < 0)
		return r;
	len = family == PG_V4 ? 32 : 128;
	if (slash)
		r = pg_prefix_parse(m, slash + 1, family, use, &len, &mask_family, diag);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < len; i++)
		addr->mask[i / 8] |= (uint8_t)(0x80U >> i % 8);
	addr->set = true;
	addr->family = family;
	return 0;
}

/* As getaddrinfo() reads a service, but without its 65536 for 0. */
static int parse_port(const char *text, const struct pg_arg *at, uint16_t *ret,
		      struct pg_diag *diag)
{
	const char *digits = text;
	struct servent *service;
	unsigned long v;
	char *end;

	while (isspace((unsigned char)*digits))
		digits++;
	digits += *digits == '+';
	if (isdigit((unsigned char)*digits)) {
		v = strtoul(digits, &end, 10);
		if (!*end && v <= 65535) {
			*ret = (uint16_t)v;
			return 0;
		}
	}
	service = getservbyname(text, NULL);
	if (!service)
		return pg_diag(diag, PG_DIAG_PARAM, at, "Port \"%s\" does not resolve to anything.",
			       text);
	*ret = ntohs((uint16_t)service->s_port);
	return 0;
}

/* "5", "5:7", ":7", "5:", ":"; may be reversed, and nothing at all is 0. */
static int parse_ports(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_port_range *port = &m->conntrack.more->port[use->id - PG_CT_PART_ORIGSRCPORT];
	_free_ char *low = strndup(use->value, strcspn(use->value, ":"));
	const char *colon = strchr(use->value, ':');
	int r = 0;

	if (!low)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (colon && strchr(colon + 1, ':'))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "conntrack: Too many components for option \"--%s\" (max: 2)",
			       pg_option_name(m->kind, use->id));
	port->lo = 0;
	if (*low)
		r = parse_port(low, &use->at, &port->lo, diag);
	port->hi = colon ? 65535 : port->lo;
	if (!r && colon && colon[1])
		r = parse_port(colon + 1, &use->at, &port->hi, diag);
	return r;
}

static int parse_dir(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	m->conntrack.more->reply = !strcasecmp(use->value, "REPLY");
	if (m->conntrack.more->reply || !strcasecmp(use->value, "ORIGINAL"))
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, &use->at,
		       "conntrack: Bad value for \"--ctdir\" option: \"%s\"", use->value);
}

static int parse_status(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	const char *bad;

	m->conntrack.more->status =
		(uint8_t)parse_bits(use->value, statuses, ARRAY_SIZE(statuses), &bad);
	if (!bad)
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Bad ctstatus \"%s\"", bad);
}

static int parse_expire(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_u32_range range = {};
	int r = pg_value_range(m, use, UINT32_MAX, &range, diag);

	m->conntrack.more->expire_lo = range.lo;
	m->conntrack.more->expire_hi = range.hi;
	return r;
}

static int parse_part(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	switch ((enum pg_ct_part)use->id) {
	case PG_CT_PART_PROTO:
		if (!pg_proto_parse(use->value, &m->conntrack.more->proto))
			return 0;
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "unknown protocol \"%s\" specified",
			       use->value);
	case PG_CT_PART_ORIGSRC:
	case PG_CT_PART_ORIGDST:
	case PG_CT_PART_REPLSRC:
	case PG_CT_PART_REPLDST:
		return parse_addr(m, use, diag);
	case PG_CT_PART_ORIGSRCPORT:
	case PG_CT_PART_ORIGDSTPORT:
	case PG_CT_PART_REPLSRCPORT:
	case PG_CT_PART_REPLDSTPORT:
		return parse_ports(m, use, diag);
	case PG_CT_PART_STATUS:
		return parse_status(m, use, diag);
	case PG_CT_PART_EXPIRE:
		return parse_expire(m, use, diag);
	case PG_CT_PART_DIR:
		return parse_dir(m, use, diag);
	default:
		return 0;
	}
}

int pg_conntrack_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, ~(1U << PG_CT_PART_DIR), diag);

	if (r < 0)
		return r;
	if (use->id == PG_CT_PART_STATE) {
		r = parse_states(m, use, diag);
	} else {
		if (!m->conntrack.more)
			m->conntrack.more = calloc(1, sizeof(*m->conntrack.more));
		if (!m->conntrack.more)
			return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
		r = parse_part(m, use, diag);
	}
	m->conntrack.given |= 1U << use->id;
	if (use->invert)
		m->conntrack.inverted |= 1U << use->id;
	return r;
}

int pg_conntrack_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (m->kind == PG_MATCH_STATE)
		return pg_option_need(m, PG_CT_PART_STATE, seen, at, diag);
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "conntrack: At least one option is required");
	return 0;
}

unsigned pg_conntrack_holds(const struct pg_match *m)
{
	unsigned families = PG_V46;

	for (size_t i = 0; i < 4 && m->conntrack.more; i++)
		if (m->conntrack.more->addr[i].set)
			families &= m->conntrack.more->addr[i].family;
	return families;
}

static void print_bits(struct pg_text *t, unsigned bits, const struct bit_name *name, size_t n)
{
	const char *comma = "";

	for (size_t i = 0; i < n; i++) {
		if (!(bits & name[i].bit) && (bits || name[i].bit))
			continue;
		pg_text_add(t, "%s%s", comma, name[i].name);
		comma = ",";
	}
}

static void print_addr(struct pg_text *t, const struct pg_addr *addr)
{
	size_t start = t->len;
	char *slash;

	pg_addr_print(t, addr);
	slash = t->oom ? NULL : strchr(t->buf + start, '/');
	if (slash && !strcmp(slash, addr->family == PG_V4 ? "/32" : "/128")) {
		*slash = '\0';
		t->len = (size_t)(slash - t->buf);
	}
}

static void print_value(struct pg_text *t, const struct pg_match *m, enum pg_ct_part part)
{
	const struct pg_conntrack *more = m->conntrack.more;

	switch (part) {
	case PG_CT_PART_STATE:
		print_bits(t, m->conntrack.states, states, ARRAY_SIZE(states));
		break;
	case PG_CT_PART_PROTO:
		pg_text_add(t, "%u", more->proto);
		break;
	case PG_CT_PART_STATUS:
		print_bits(t, more->status, statuses, ARRAY_SIZE(statuses));
		break;
	case PG_CT_PART_EXPIRE:
		pg_text_add(t, "%u", more->expire_lo);
		if (more->expire_hi != more->expire_lo)
			pg_text_add(t, ":%u", more->expire_hi);
		break;
	case PG_CT_PART_DIR:
		pg_text_add(t, more->reply ? "REPLY" : "ORIGINAL");
		break;
	default:
		if (part < PG_CT_PART_ORIGSRCPORT) {
			print_addr(t, &more->addr[part - PG_CT_PART_ORIGSRC]);
		} else {
			const struct pg_port_range *port =
				&more->port[part - PG_CT_PART_ORIGSRCPORT];

			pg_text_add(t, "%u", port->lo);
			if (port->hi != port->lo)
				pg_text_add(t, ":%u", port->hi);
		}
	}
}

/* -S and -L differ in the dashes alone. */
static void print_parts(struct pg_text *t, const struct pg_match *m, const char *dashes)
{
	for (unsigned part = 0; part < _PG_CT_PART_MAX; part++) {
		if (!(m->conntrack.given & 1U << part))
			continue;
		pg_text_add(t, "%s %s%s ", m->conntrack.inverted & 1U << part ? " !" : "", dashes,
			    pg_option_name(m->kind, part));
		print_value(t, m, (enum pg_ct_part)part);
	}
}

void pg_conntrack_print(struct pg_text *t, const struct pg_match *m)
{
	print_parts(t, m, "--");
}

void pg_conntrack_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric)
{
	(void)rule;
	(void)numeric;
	print_parts(t, m, "");
}

void pg_conntrack_clear(struct pg_match *m)
{
	free(m->conntrack.more);
	m->conntrack.more = NULL;
}

int pg_conntrack_copy(struct pg_match *ret, const struct pg_match *m)
{
	if (!m->conntrack.more)
		return 0;
	ret->conntrack.more = malloc(sizeof(*m->conntrack.more));
	if (!ret->conntrack.more)
		return -ENOMEM;
	memcpy(ret->conntrack.more, m->conntrack.more, sizeof(*m->conntrack.more));
	return 0;
}

/* Both were zero bytes before members were set, so they may be compared as bytes. */
bool pg_conntrack_equal(const struct pg_match *a, const struct pg_match *b)
{
	if (a->conntrack.states != b->conntrack.states ||
	    a->conntrack.given != b->conntrack.given ||
	    a->conntrack.inverted != b->conntrack.inverted ||
	    !a->conntrack.more != !b->conntrack.more)
		return false;
	return !a->conntrack.more ||
	       /* Made zeroed, padding, too. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	       !memcmp(a->conntrack.more, b->conntrack.more, sizeof(*a->conntrack.more));
}
