/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m connlimit: how many flows an address, or a network, may have at a time. */
#include "addr.h"
#include "match_host.h"
#include "match_stateful.h"
#include "match_value.h"

enum { OPT_UPTO, OPT_ABOVE, OPT_MASK, OPT_SADDR, OPT_DADDR };

const struct pg_match_option pg_connlimit_options[] = {
	{ "connlimit-upto", OPT_UPTO, true, false },
	{ "connlimit-above", OPT_ABOVE, true, false },
	{ "connlimit-mask", OPT_MASK, true, false },
	{ "connlimit-saddr", OPT_SADDR, false, false },
	{ "connlimit-daddr", OPT_DADDR, false, false },
	{},
};

void pg_connlimit_init(struct pg_match *m)
{
	m->connlimit.mask = PG_PREFIX_WHOLE;
}

int pg_connlimit_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << OPT_UPTO | 1U << OPT_ABOVE, diag);
	uint32_t len;

	if (r < 0)
		return r;
	switch (use->id) {
	case OPT_UPTO:
	case OPT_ABOVE:
		m->connlimit.upto = (use->id == OPT_UPTO) != use->invert;
		return pg_value_number(m, use, 0, UINT32_MAX, &m->connlimit.limit, diag);
	case OPT_MASK:
		/* iptables takes what is a length for IPv6 only for IPv4's whole address. */
		if (use->families == PG_V4 && !pg_number_parse(use->value, 128, &len) && len > 32) {
			m->connlimit.mask = 32;
			return 0;
		}
		return pg_prefix_parse(m, use->value, use->families, use, &m->connlimit.mask,
				       &m->connlimit.mask_family, diag);
	}
	m->connlimit.dest = use->id == OPT_DADDR;
	return 0;
}

int pg_connlimit_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (!(seen & (1U << OPT_UPTO | 1U << OPT_ABOVE)))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "You must specify \"--connlimit-above\" or \"--connlimit-upto\".");
	return pg_option_exclude(m, OPT_UPTO, OPT_ABOVE, seen, at, diag) ?:
	       pg_option_exclude(m, OPT_SADDR, OPT_DADDR, seen, at, diag);
}

unsigned pg_connlimit_holds(const struct pg_match *m)
{
	if (m->connlimit.mask_family)
		return m->connlimit.mask_family;
	return pg_prefix_families(m->connlimit.mask);
}

void pg_connlimit_settle(struct pg_match *m, struct pg_rule *rule)
{
	unsigned families = pg_rule_families(rule);

	if (m->connlimit.mask_family)
		rule->narrowed &= m->connlimit.mask_family;
	m->connlimit.mask_family = 0;
	if (m->connlimit.mask == PG_PREFIX_WHOLE && families != PG_V46)
		m->connlimit.mask = families == PG_V4 ? 32 : 128;
}

void pg_connlimit_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, " --connlimit-%s %u", m->connlimit.upto ? "upto" : "above",
		    m->connlimit.limit);
	if (m->connlimit.mask != PG_PREFIX_WHOLE)
		pg_text_add(t, " --connlimit-mask %u", m->connlimit.mask);
	pg_text_add(t, " --connlimit-%caddr", m->connlimit.dest ? 'd' : 's');
}

void pg_connlimit_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " #conn %s", m->connlimit.dest ? "dst" : "src");
	if (m->connlimit.mask != PG_PREFIX_WHOLE)
		pg_text_add(t, "/%u", m->connlimit.mask);
	pg_text_add(t, " %s %u", m->connlimit.upto ? "<=" : ">", m->connlimit.limit);
}
