/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m icmp and -m icmp6: a type and code by number or by iptables' names. */
#include <errno.h>
#include <string.h>

#include "addr.h"
#include "match.h"

/* code -1: any. Order is iptables', in which abbreviations are looked up. */
struct icmp_name {
	const char *name;
	uint8_t type;
	int16_t code;
};

/* iptables has no type 255: it stands for any. */
#define ICMP_ANY 255

static const struct icmp_name names4[] = {
	{ "any", ICMP_ANY, -1 },
	{ "echo-reply", 0, -1 },
	{ "pong", 0, -1 },
	{ "destination-unreachable", 3, -1 },
	{ "network-unreachable", 3, 0 },
	{ "host-unreachable", 3, 1 },
	{ "protocol-unreachable", 3, 2 },
	{ "port-unreachable", 3, 3 },
	{ "fragmentation-needed", 3, 4 },
	{ "source-route-failed", 3, 5 },
	{ "network-unknown", 3, 6 },
	{ "host-unknown", 3, 7 },
	{ "network-prohibited", 3, 9 },
	{ "host-prohibited", 3, 10 },
	{ "TOS-network-unreachable", 3, 11 },
	{ "TOS-host-unreachable", 3, 12 },
	{ "communication-prohibited", 3, 13 },
	{ "host-precedence-violation", 3, 14 },
	{ "precedence-cutoff", 3, 15 },
	{ "source-quench", 4, -1 },
	{ "redirect", 5, -1 },
	{ "network-redirect", 5, 0 },
	{ "host-redirect", 5, 1 },
	{ "TOS-network-redirect", 5, 2 },
	{ "TOS-host-redirect", 5, 3 },
	{ "echo-request", 8, -1 },
	{ "ping", 8, -1 },
	{ "router-advertisement", 9, -1 },
	{ "router-solicitation", 10, -1 },
	{ "time-exceeded", 11, -1 },
	{ "ttl-exceeded", 11, -1 },
	{ "ttl-zero-during-transit", 11, 0 },
	{ "ttl-zero-during-reassembly", 11, 1 },
	{ "parameter-problem", 12, -1 },
	{ "ip-header-bad", 12, 0 },
	{ "required-option-missing", 12, 1 },
	{ "timestamp-request", 13, -1 },
	{ "timestamp-reply", 14, -1 },
	{ "address-mask-request", 17, -1 },
	{ "address-mask-reply", 18, -1 },
};

static const struct icmp_name names6[] = {
	{ "destination-unreachable", 1, -1 },
	{ "no-route", 1, 0 },
	{ "communication-prohibited", 1, 1 },
	{ "beyond-scope", 1, 2 },
	{ "address-unreachable", 1, 3 },
	{ "port-unreachable", 1, 4 },
	{ "failed-policy", 1, 5 },
	{ "reject-route", 1, 6 },
	{ "packet-too-big", 2, -1 },
	{ "time-exceeded", 3, -1 },
	{ "ttl-exceeded", 3, -1 },
	{ "ttl-zero-during-transit", 3, 0 },
	{ "ttl-zero-during-reassembly", 3, 1 },
	{ "parameter-problem", 4, -1 },
	{ "bad-header", 4, 0 },
	{ "unknown-header-type", 4, 1 },
	{ "unknown-option", 4, 2 },
	{ "echo-request", 128, -1 },
	{ "ping", 128, -1 },
	{ "echo-reply", 129, -1 },
	{ "pong", 129, -1 },
	{ "router-solicitation", 133, -1 },
	{ "router-advertisement", 134, -1 },
	{ "neighbour-solicitation", 135, -1 },
	{ "neighbor-solicitation", 135, -1 },
	{ "neighbour-advertisement", 136, -1 },
	{ "neighbor-advertisement", 136, -1 },
	{ "redirect", 137, -1 },
};

static const char *family_name(const struct pg_match *m)
{
	return m->kind == PG_MATCH_ICMP ? "ICMP" : "ICMPv6";
}

static const struct icmp_name *names_of(const struct pg_match *m, size_t *ret_n)
{
	*ret_n = m->kind == PG_MATCH_ICMP ? ARRAY_SIZE(names4) : ARRAY_SIZE(names6);
	return m->kind == PG_MATCH_ICMP ? names4 : names6;
}

static void set_type(struct pg_match *m, uint32_t type, int code)
{
	m->icmp.type = (uint8_t)type;
	m->icmp.code_lo = code < 0 ? 0 : (uint8_t)code;
	m->icmp.code_hi = code < 0 ? 255 : (uint8_t)code;
	m->icmp.any = m->kind == PG_MATCH_ICMP && type == ICMP_ANY;
}

/* 1: found, 0: there is none, <0: more than one. */
static int by_name(struct pg_match *m, const char *text, const struct pg_arg *at,
		   struct pg_diag *diag)
{
	size_t n, len = strlen(text);
	const struct icmp_name *name = names_of(m, &n), *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (strncasecmp(name[i].name, text, len))
			continue;
		if (found)
			return pg_diag(diag, PG_DIAG_PARAM, at,
				       "Ambiguous %s type `%s': `%s' or `%s'?", family_name(m),
				       text, found->name, name[i].name);
		found = &name[i];
	}
	if (found)
		set_type(m, found->type, found->code);
	return found ? 1 : 0;
}

static int by_number(struct pg_match *m, const char *text, const struct pg_arg *at,
		     struct pg_diag *diag)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint32_t type, lo = 0, hi = 255;
	char buf[32];

	if (len < sizeof(buf))
		snprintf(buf, sizeof(buf), "%.*s", (int)len, text);
	if (len >= sizeof(buf) || pg_number_parse(buf, 255, &type) < 0)
		return pg_diag(diag, PG_DIAG_PARAM, at, "Unknown %s type `%s'", family_name(m),
			       text);
	if (slash && strcmp(slash, "/0:255")) {
		if (pg_number_parse(slash + 1, 255, &lo) < 0)
			return pg_diag(diag, PG_DIAG_PARAM, at, "Unknown %s code `%s'",
				       family_name(m), text);
		hi = lo;
	}
	set_type(m, type, lo == hi ? (int)lo : -1);
	return 0;
}

int pg_icmp_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r;

	if (use->seen)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%s: option \"--%s\" can only be used once.",
			       pg_match_rows[m->kind].name, pg_match_rows[m->kind].option[0].name);
	m->icmp.invert = use->invert;
	r = by_name(m, use->value, &use->at, diag);
	if (r)
		return r < 0 ? r : 0;
	return by_number(m, use->value, &use->at, diag);
}

int pg_icmp_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		  const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at, "%s: option \"--%s\" must be specified",
			       pg_match_rows[m->kind].name, pg_match_rows[m->kind].option[0].name);
	return 0;
}

void pg_icmp_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --%s ", m->icmp.invert ? " !" : "",
		    pg_match_rows[m->kind].option[0].name);
	if (m->icmp.any)
		pg_text_add(t, "any");
	else if (m->icmp.code_lo == m->icmp.code_hi)
		pg_text_add(t, "%u/%u", m->icmp.type, m->icmp.code_lo);
	else
		pg_text_add(t, "%u", m->icmp.type);
}

static const char *name_of(const struct pg_match *m)
{
	int code = m->icmp.code_lo == m->icmp.code_hi ? m->icmp.code_lo : -1;
	size_t n;
	const struct icmp_name *name = names_of(m, &n);

	for (size_t i = 0; i < n; i++)
		if (name[i].type == m->icmp.type && name[i].code == code)
			return name[i].name;
	return NULL;
}

void pg_icmp_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric)
{
	const char *base = m->kind == PG_MATCH_ICMP ? "icmp" : "ipv6-icmp";
	const char *name = numeric ? NULL : name_of(m), *invert = m->icmp.invert ? "!" : "";

	(void)rule;
	if (name) {
		pg_text_add(t, " %s %s%s", base, invert, name);
		return;
	}
	/* iptables leaves out the blank before "type" where nothing is inverted. */
	pg_text_add(t, " %s%s%stype %u", base, m->icmp.invert ? " " : "", invert, m->icmp.type);
	if (m->icmp.code_lo == m->icmp.code_hi)
		pg_text_add(t, " code %u", m->icmp.code_lo);
}
