/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stands between IPv6 and the transport header: -m ah, esp (both also IPv4's), frag, rt. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "match_stateless.h"
#include "match_value.h"

/* A range that holds for every value, as if it had not been given. */
static bool is_any(const struct pg_u32_range *range)
{
	return !range->invert && !range->lo && range->hi == UINT32_MAX;
}

static int parse_range(struct pg_match *m, const struct pg_match_use *use, struct pg_u32_range *ret,
		       struct pg_diag *diag)
{
	int r = pg_value_range(m, use, UINT32_MAX, ret, diag);

	if (!r && is_any(ret)) {
		ret->hi = 0;
		ret->set = false;
	}
	return r;
}

static int parse_number(struct pg_match *m, const struct pg_match_use *use,
			struct pg_u32_range *ret, struct pg_diag *diag)
{
	int r = pg_value_number(m, use, 0, UINT32_MAX, &ret->lo, diag);

	if (r < 0)
		return r;
	ret->hi = ret->lo;
	ret->set = true;
	ret->invert = use->invert;
	return 0;
}

/* iptables leaves out an inverted range of everything, and so turns never into always. */
static void print_range(struct pg_text *t, const char *option, const struct pg_u32_range *range)
{
	if (range->set)
		pg_range_print(t, option, range);
}

static void print_flag(struct pg_text *t, const char *option, bool set)
{
	if (set)
		pg_text_add(t, " --%s", option);
}

static void list_range(struct pg_text *t, const char *what, const struct pg_u32_range *range)
{
	if (!range->set)
		return;
	pg_text_add(t, "%s%s:", what, range->lo == range->hi ? "" : "s");
	pg_range_list(t, range);
}

static void list_flag(struct pg_text *t, const char *what, bool set)
{
	if (set)
		pg_text_add(t, " %s", what);
}

/* -m esp --------------------------------------------------------------------------------------- */

const struct pg_match_option pg_esp_options[] = { { "espspi", 0, true, false }, {} };

int pg_esp_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, ~0U, diag);

	return r < 0 ? r : parse_range(m, use, &m->range, diag);
}

void pg_esp_print(struct pg_text *t, const struct pg_match *m)
{
	print_range(t, "espspi", &m->range);
}

void pg_esp_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		 bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " esp");
	list_range(t, " spi", &m->range);
}

/* -m ah ---------------------------------------------------------------------------------------- */

const struct pg_match_option pg_ah_options[] = {
	{ "ahspi", PG_AH_SPI, true, false },
	{ "ahlen", PG_AH_LEN, true, false },
	{ "ahres", PG_AH_RES, false, false },
	{},
};

int pg_ah_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << PG_AH_SPI | 1U << PG_AH_LEN, diag);

	if (r < 0)
		return r;
	switch (use->id) {
	case PG_AH_SPI:
		return parse_range(m, use, &m->ah.spi, diag);
	case PG_AH_LEN:
		r = parse_number(m, use, &m->ah.len, diag);
		/* To the kernel, 0 is no length to ask for; iptables shows it only inverted. */
		m->ah.len.set = m->ah.len.lo || m->ah.len.invert;
		return r;
	}
	m->ah.res = true;
	return 0;
}

unsigned pg_ah_holds(const struct pg_match *m)
{
	return m->ah.len.set || m->ah.res ? PG_V6 : PG_V46;
}

void pg_ah_print(struct pg_text *t, const struct pg_match *m)
{
	print_range(t, "ahspi", &m->ah.spi);
	print_range(t, "ahlen", &m->ah.len);
	print_flag(t, "ahres", m->ah.res);
}

void pg_ah_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " ah ");
	list_range(t, "spi", &m->ah.spi);
	list_range(t, "length", &m->ah.len);
	list_flag(t, "reserved", m->ah.res);
}

/* -m frag -------------------------------------------------------------------------------------- */

enum { FRAG_ID, FRAG_LEN, FRAG_RES, FRAG_FIRST, FRAG_MORE, FRAG_LAST };

const struct pg_match_option pg_frag_options[] = {
	{ "fragid", FRAG_ID, true, false },
	{ "fraglen", FRAG_LEN, true, false },
	{ "fragres", FRAG_RES, false, false },
	{ "fragfirst", FRAG_FIRST, false, false },
	{ "fragmore", FRAG_MORE, false, false },
	{ "fraglast", FRAG_LAST, false, false },
	{},
};

int pg_frag_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << FRAG_ID | 1U << FRAG_LEN, diag);

	if (r < 0)
		return r;
	switch (use->id) {
	case FRAG_ID:
		return parse_range(m, use, &m->frag.id, diag);
	case FRAG_LEN:
		return parse_number(m, use, &m->frag.len, diag);
	case FRAG_RES:
		m->frag.res = true;
		break;
	case FRAG_FIRST:
		m->frag.first = true;
		break;
	case FRAG_MORE:
		m->frag.more = true;
		break;
	case FRAG_LAST:
		m->frag.last = true;
		break;
	}
	return 0;
}

int pg_frag_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		  const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	return pg_option_exclude(m, FRAG_MORE, FRAG_LAST, seen, at, diag);
}

void pg_frag_print(struct pg_text *t, const struct pg_match *m)
{
	print_range(t, "fragid", &m->frag.id);
	print_range(t, "fraglen", &m->frag.len);
	print_flag(t, "fragres", m->frag.res);
	print_flag(t, "fragfirst", m->frag.first);
	print_flag(t, "fragmore", m->frag.more);
	print_flag(t, "fraglast", m->frag.last);
}

void pg_frag_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " frag ");
	list_range(t, "id", &m->frag.id);
	list_range(t, " length", &m->frag.len);
	list_flag(t, "reserved", m->frag.res);
	list_flag(t, "first", m->frag.first);
	list_flag(t, "more", m->frag.more);
	list_flag(t, "last", m->frag.last);
}

/* -m rt ---------------------------------------------------------------------------------------- */

enum { RT_TYPE, RT_SEGSLEFT, RT_LEN, RT_RES, RT_ADDRS, RT_NONSTRICT };

const struct pg_match_option pg_rt_options[] = {
	{ "rt-type", RT_TYPE, true, false },
	{ "rt-segsleft", RT_SEGSLEFT, true, false },
	{ "rt-len", RT_LEN, true, false },
	{ "rt-0-res", RT_RES, false, false },
	{ "rt-0-addrs", RT_ADDRS, true, false },
	{ "rt-0-not-strict", RT_NONSTRICT, false, false },
	{},
};

#define RT_ADDRS_MAX 16 /* IP6T_RT_HOPS */

static int parse_addrs(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	_free_ char *copy = strdup(use->value);

	m->rt.addrs = calloc(RT_ADDRS_MAX, sizeof(*m->rt.addrs));
	if (!copy || !m->rt.addrs)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	for (char *next = copy, *one; (one = strsep(&next, ","));) {
		if (m->rt.n_addrs == RT_ADDRS_MAX)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "too many addresses specified");
		if (inet_pton(AF_INET6, one, m->rt.addrs[m->rt.n_addrs]) != 1)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at, "bad address: %s", one);
		m->rt.n_addrs++;
	}
	return 0;
}

/* Options of type 0 must follow the one that asks for it. */
static int need_type0(const struct pg_match *m, const struct pg_match_use *use,
		      struct pg_diag *diag)
{
	const struct pg_u32_range *type = &m->rt.type;

	if (type->set && !type->lo && !type->invert)
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "`--rt-type 0' required before `--%s'",
		       pg_option_name(m->kind, use->id));
}

int pg_rt_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << RT_TYPE | 1U << RT_SEGSLEFT | 1U << RT_LEN, diag);

	if (!r && (use->id == RT_RES || use->id == RT_ADDRS))
		r = need_type0(m, use, diag);
	if (r < 0)
		return r;
	switch (use->id) {
	case RT_TYPE:
		return parse_number(m, use, &m->rt.type, diag);
	case RT_SEGSLEFT:
		return parse_range(m, use, &m->rt.segsleft, diag);
	case RT_LEN:
		return parse_number(m, use, &m->rt.len, diag);
	case RT_RES:
		m->rt.res = true;
		return 0;
	case RT_ADDRS:
		return parse_addrs(m, use, diag);
	}
	if (!m->rt.n_addrs)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "`--rt-0-addr ...' required before `--rt-0-not-strict'");
	m->rt.nonstrict = true;
	return 0;
}

static void add_addrs(struct pg_text *t, const struct pg_match *m)
{
	for (unsigned i = 0; i < m->rt.n_addrs; i++) {
		char text[INET6_ADDRSTRLEN];

		inet_ntop(AF_INET6, m->rt.addrs[i], text, sizeof(text));
		pg_text_add(t, "%s%s", i ? "," : "", text);
	}
}

void pg_rt_print(struct pg_text *t, const struct pg_match *m)
{
	print_range(t, "rt-type", &m->rt.type);
	print_range(t, "rt-segsleft", &m->rt.segsleft);
	print_range(t, "rt-len", &m->rt.len);
	print_flag(t, "rt-0-res", m->rt.res);
	if (m->rt.n_addrs) {
		pg_text_add(t, " --rt-0-addrs ");
		add_addrs(t, m);
	}
	print_flag(t, "rt-0-not-strict", m->rt.nonstrict);
}

void pg_rt_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " rt");
	list_range(t, " type", &m->rt.type);
	list_range(t, " segsleft", &m->rt.segsleft);
	list_range(t, " length", &m->rt.len);
	list_flag(t, "reserved", m->rt.res);
	if (m->rt.n_addrs) {
		pg_text_add(t, " 0-addrs ");
		add_addrs(t, m);
	}
	list_flag(t, "0-not-strict", m->rt.nonstrict);
}

void pg_rt_clear(struct pg_match *m)
{
	free(m->rt.addrs);
	m->rt.addrs = NULL;
}

int pg_rt_copy(struct pg_match *ret, const struct pg_match *m)
{
	if (!m->rt.addrs)
		return 0;
	ret->rt.addrs = calloc(RT_ADDRS_MAX, sizeof(*ret->rt.addrs));
	if (!ret->rt.addrs)
		return -ENOMEM;
	memcpy(ret->rt.addrs, m->rt.addrs, m->rt.n_addrs * sizeof(*m->rt.addrs));
	return 0;
}

static bool range_equal(const struct pg_u32_range *a, const struct pg_u32_range *b)
{
	return a->set == b->set && a->invert == b->invert && a->lo == b->lo && a->hi == b->hi;
}

bool pg_rt_equal(const struct pg_match *a, const struct pg_match *b)
{
	if (!range_equal(&a->rt.type, &b->rt.type) ||
	    !range_equal(&a->rt.segsleft, &b->rt.segsleft) ||
	    !range_equal(&a->rt.len, &b->rt.len) || a->rt.res != b->rt.res ||
	    a->rt.nonstrict != b->rt.nonstrict || a->rt.n_addrs != b->rt.n_addrs)
		return false;
	return !a->rt.n_addrs ||
	       !memcmp(a->rt.addrs, b->rt.addrs, a->rt.n_addrs * sizeof(*a->rt.addrs));
}
