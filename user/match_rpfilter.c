/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m rpfilter: does the way back to the sender lead through the interface the packet came in by? */
#include "match_stateless.h"
#include "match_value.h"

enum { LOOSE, VALIDMARK, ACCEPT_LOCAL, INVERT };

const struct pg_match_option pg_rpfilter_options[] = {
	{ "loose", LOOSE, false, false },
	{ "validmark", VALIDMARK, false, false },
	{ "accept-local", ACCEPT_LOCAL, false, false },
	{ "invert", INVERT, false, false },
	{},
};

int pg_rpfilter_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 0, diag);

	if (r < 0)
		return r;
	switch (use->id) {
	case LOOSE:
		m->rpfilter.loose = true;
		break;
	case VALIDMARK:
		m->rpfilter.validmark = true;
		break;
	case ACCEPT_LOCAL:
		m->rpfilter.accept_local = true;
		break;
	case INVERT:
		m->rpfilter.invert = true;
		break;
	}
	return 0;
}

/* Of those that we have: xt_rpfilter is for PREROUTING of raw and mangle. */
unsigned pg_rpfilter_chains(const struct pg_match *m)
{
	(void)m;
	return 1U << PG_CHAIN_RAW_PREROUTING;
}

static void add_options(struct pg_text *t, const struct pg_match *m, const char *prefix)
{
	const bool set[] = { m->rpfilter.loose, m->rpfilter.validmark, m->rpfilter.accept_local,
			     m->rpfilter.invert };

	for (size_t i = 0; i < ARRAY_SIZE(set); i++)
		if (set[i])
			pg_text_add(t, " %s%s", prefix, pg_rpfilter_options[i].name);
}

void pg_rpfilter_print(struct pg_text *t, const struct pg_match *m)
{
	add_options(t, m, "--");
}

void pg_rpfilter_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		      bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " rpfilter");
	add_options(t, m, "");
}
