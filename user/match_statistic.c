/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m statistic: some packets of all; -m quota: the first so many bytes. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "match_stateful.h"
#include "match_value.h"

enum { OPT_MODE, OPT_PROBABILITY, OPT_EVERY, OPT_PACKET };

const struct pg_match_option pg_statistic_options[] = {
	{ "mode", OPT_MODE, true, false },
	{ "probability", OPT_PROBABILITY, true, false },
	{ "every", OPT_EVERY, true, false },
	{ "packet", OPT_PACKET, true, false },
	{},
};
const struct pg_match_option pg_quota_options[] = { { "quota", 0, true, false }, {} };

#define ONE 0x80000000U /* probability 1 */

static int parse_probability(struct pg_match *m, const struct pg_match_use *use,
			     struct pg_diag *diag)
{
	char *end;
	double v = strtod(use->value, &end);

	if (end == use->value || *end || !(v >= 0 && v <= 1))
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "statistic: bad value for option \"--probability\", or out of range "
			       "(0-1).");
	m->statistic.probability = (uint32_t)(v * ONE + 0.5);
	return 0;
}

int pg_statistic_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << OPT_PROBABILITY | 1U << OPT_EVERY, diag);

	if (r < 0)
		return r;
	m->statistic.invert |= use->invert;
	switch (use->id) {
	case OPT_MODE:
		m->statistic.nth = !strcmp(use->value, "nth");
		if (m->statistic.nth || !strcmp(use->value, "random"))
			return 0;
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Bad mode \"%s\"", use->value);
	case OPT_PROBABILITY:
		return parse_probability(m, use, diag);
	case OPT_EVERY:
		return pg_value_number(m, use, 1, UINT32_MAX, &m->statistic.every, diag);
	}
	return pg_value_number(m, use, 0, UINT32_MAX, &m->statistic.packet, diag);
}

static int check_also(const struct pg_match *m, unsigned id, unsigned other, uint32_t seen,
		      const struct pg_arg *at, struct pg_diag *diag)
{
	if (!(seen & 1U << id) || seen & 1U << other)
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, at, "statistic: option \"--%s\" also requires \"--%s\".",
		       pg_option_name(m->kind, id), pg_option_name(m->kind, other));
}

int pg_statistic_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (!m->statistic.nth && !(seen & 1U << OPT_PROBABILITY))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "--probability must be specified when using random mode");
	if (m->statistic.nth && !(seen & (1U << OPT_EVERY | 1U << OPT_PACKET)))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "--every and --packet must be specified when using nth mode");
	/* --packet 0 goes with any --every, and without one is told so below. */
	if (m->statistic.nth && m->statistic.packet && m->statistic.packet >= m->statistic.every &&
	    !(seen & 1U << OPT_PROBABILITY))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "the --packet p must be 0 <= p <= n-1");
	return pg_option_need(m, OPT_MODE, seen, at, diag)
		       ?: pg_option_exclude(m, OPT_PROBABILITY, OPT_EVERY, seen, at, diag)
		       ?: pg_option_exclude(m, OPT_PROBABILITY, OPT_PACKET, seen, at, diag)
		       ?: check_also(m, OPT_EVERY, OPT_PACKET, seen, at, diag)
		       ?: check_also(m, OPT_PACKET, OPT_EVERY, seen, at, diag);
}

static void print_statistic(struct pg_text *t, const struct pg_match *m, const char *dashes)
{
	const char *invert = m->statistic.invert ? " !" : "";

	pg_text_add(t, " %smode %s", dashes, m->statistic.nth ? "nth" : "random");
	if (!m->statistic.nth)
		pg_text_add(t, "%s %sprobability %.11f", invert, dashes,
			    (double)m->statistic.probability / ONE);
	else
		pg_text_add(t, "%s %severy %u", invert, dashes, m->statistic.every);
}

void pg_statistic_print(struct pg_text *t, const struct pg_match *m)
{
	print_statistic(t, m, "--");
	if (m->statistic.nth)
		pg_text_add(t, " --packet %u", m->statistic.packet);
}

void pg_statistic_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " statistic");
	print_statistic(t, m, "");
	if (m->statistic.nth && m->statistic.packet)
		pg_text_add(t, " packet %u", m->statistic.packet);
}

/* -m quota ------------------------------------------------------------------------------------ */

int pg_quota_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U, diag);
	const char *text = use->value;
	char *end;

	if (r < 0)
		return r;
	while (isspace((unsigned char)*text))
		text++;
	errno = 0;
	m->quota.bytes = strtoull(text, &end, 0);
	m->quota.invert = use->invert;
	if (*text != '-' && end != text && !*end && !errno)
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, &use->at,
		       "quota: bad value for option \"--quota\", or out of range (0-%" PRIu64 ").",
		       UINT64_MAX);
}

int pg_quota_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		   const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	return pg_option_need(m, 0, seen, at, diag);
}

void pg_quota_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --quota %" PRIu64, m->quota.invert ? " !" : "", m->quota.bytes);
}

/* As iptables, which does not show whether it is inverted. */
void pg_quota_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		   bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " quota: %" PRIu64 " bytes", m->quota.bytes);
}
