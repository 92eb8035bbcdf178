/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m iprange: addresses from one to another; -m mac: who sent the frame. */
#include <arpa/inet.h>
#include <string.h>

#include "addr.h"
#include "match_stateless.h"
#include "match_value.h"

enum { SRC_RANGE, DST_RANGE };

const struct pg_match_option pg_iprange_options[] = {
	{ "src-range", SRC_RANGE, true, false },
	{ "dst-range", DST_RANGE, true, false },
	{},
};

/* One end. A range without a dash is one address; both options must be of one family. */
static int parse_end(struct pg_match *m, const struct pg_match_use *use, const char *text,
		     uint8_t *ret, struct pg_diag *diag)
{
	unsigned families = m->iprange.family ? m->iprange.family : use->families;
	struct pg_addr addr;

	if (strchr(text, '/') || pg_addr_parse(text, families, &use->at, &addr, diag) < 0)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "iprange: Bad value for \"--%s\" option: \"%s\"",
			       pg_option_name(m->kind, use->id), text);
	m->iprange.family = addr.family;
	memcpy(ret, addr.addr, sizeof(addr.addr));
	return 0;
}

int pg_iprange_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	bool src = use->id == SRC_RANGE;
	uint8_t *lo = src ? m->iprange.src_lo : m->iprange.dst_lo;
	uint8_t *hi = src ? m->iprange.src_hi : m->iprange.dst_hi;
	_free_ char *copy = strdup(use->value);
	char *dash = copy ? strchr(copy, '-') : NULL;
	int r = pg_use_check(m, use, ~0U, diag);

	if (r < 0)
		return r;
	if (!copy)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (dash)
		*dash++ = '\0';
	r = parse_end(m, use, copy, lo, diag);
	if (!r)
		r = parse_end(m, use, dash ? dash : copy, hi, diag);
	if (r < 0)
		return r;
	*(src ? &m->iprange.src_set : &m->iprange.dst_set) = true;
	*(src ? &m->iprange.src_invert : &m->iprange.dst_invert) = use->invert;
	return 0;
}

int pg_iprange_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		     const struct pg_arg *at, struct pg_diag *diag)
{
	(void)m;
	(void)rule;
	if (!seen)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "iprange match: You must specify `--src-range' or `--dst-range'");
	return 0;
}

unsigned pg_iprange_holds(const struct pg_match *m)
{
	return m->iprange.family;
}

static void add_range(struct pg_text *t, const struct pg_match *m, const uint8_t *lo,
		      const uint8_t *hi)
{
	int af = m->iprange.family == PG_V4 ? AF_INET : AF_INET6;
	char first[INET6_ADDRSTRLEN], last[INET6_ADDRSTRLEN];

	inet_ntop(af, lo, first, sizeof(first));
	inet_ntop(af, hi, last, sizeof(last));
	pg_text_add(t, "%s-%s", first, last);
}

void pg_iprange_print(struct pg_text *t, const struct pg_match *m)
{
	if (m->iprange.src_set) {
		pg_text_add(t, "%s --src-range ", m->iprange.src_invert ? " !" : "");
		add_range(t, m, m->iprange.src_lo, m->iprange.src_hi);
	}
	if (m->iprange.dst_set) {
		pg_text_add(t, "%s --dst-range ", m->iprange.dst_invert ? " !" : "");
		add_range(t, m, m->iprange.dst_lo, m->iprange.dst_hi);
	}
}

void pg_iprange_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		     bool numeric)
{
	(void)rule;
	(void)numeric;
	if (m->iprange.src_set) {
		pg_text_add(t, " source IP range %s", m->iprange.src_invert ? "! " : "");
		add_range(t, m, m->iprange.src_lo, m->iprange.src_hi);
	}
	if (m->iprange.dst_set) {
		pg_text_add(t, " destination IP range %s", m->iprange.dst_invert ? "! " : "");
		add_range(t, m, m->iprange.dst_lo, m->iprange.dst_hi);
	}
}

/* -m mac --------------------------------------------------------------------------------------- */

const struct pg_match_option pg_mac_options[] = { { "mac-source", 0, true, false }, {} };

/* As iptables reads it: at most two characters a byte, none of them is 0. */
int pg_mac_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	const size_t n = sizeof(m->mac.addr);
	const char *text = use->value;
	int r = pg_use_check(m, use, ~0U, diag);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		char *end;

		m->mac.addr[i] = (uint8_t)strtoul(text, &end, 16);
		if (end - text > 2 || *end != (i + 1 < n ? ':' : '\0'))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "Invalid MAC address specified.");
		text = end + 1;
	}
	m->mac.invert = use->invert;
	return 0;
}

unsigned pg_mac_chains(const struct pg_match *m)
{
	(void)m;
	return ~(1U << PG_CHAIN_OUTPUT | 1U << PG_CHAIN_RAW_OUTPUT);
}

static void add_mac(struct pg_text *t, const uint8_t *addr)
{
	pg_text_add(t, "%02x:%02x:%02x:%02x:%02x:%02x", addr[0], addr[1], addr[2], addr[3], addr[4],
		    addr[5]);
}

void pg_mac_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --mac-source ", m->mac.invert ? " !" : "");
	add_mac(t, m->mac.addr);
}

void pg_mac_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		 bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " MAC %s", m->mac.invert ? "! " : "");
	add_mac(t, m->mac.addr);
}
