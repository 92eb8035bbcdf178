/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m limit, and rates as -m hashlimit has them, too. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "match_stateful.h"
#include "match_value.h"

enum { OPT_LIMIT, OPT_BURST };

const struct pg_match_option pg_limit_options[] = {
	{ "limit", OPT_LIMIT, true, false },
	{ "limit-burst", OPT_BURST, true, false },
	{},
};

#define SCALE 10000
#define DEFAULT_BURST 5
#define BURST_MAX 10000

static const struct {
	const char *name, *shown;
	uint32_t s;
} units[] = {
	{ "day", "day", 24 * 60 * 60 },
	{ "hour", "hour", 60 * 60 },
	{ "minute", "min", 60 },
	{ "second", "sec", 1 },
};
#define SECOND (ARRAY_SIZE(units) - 1)

int pg_rate_parse(const char *text, uint32_t scale, uint64_t *ret_avg, uint32_t *ret_unit_s)
{
	const char *slash = strchr(text, '/');
	size_t i = SECOND;
	/* What iptables' atoi() makes of it, signs and overflow included. */
	uint32_t n = (uint32_t)strtol(text, NULL, 10);

	if (slash) {
		size_t len = strlen(slash + 1);

		for (i = 0; i < ARRAY_SIZE(units) && len; i++)
			if (!strncasecmp(units[i].name, slash + 1, len))
				break;
		if (!len || i == ARRAY_SIZE(units))
			return -EINVAL;
	}
	if (!n)
		return -EINVAL;
	*ret_avg = (uint64_t)scale * units[i].s / n;
	*ret_unit_s = units[i].s;
	return *ret_avg ? 0 : -ERANGE;
}

uint32_t pg_rate_print(struct pg_text *t, uint64_t avg, uint32_t scale)
{
	size_t i;

	/*
	 * The smallest unit in which a whole number of packets gives this avg again. iptables of
	 * limit takes one too small where the remainder is as large as the number, and then reads
	 * another avg: 14405/hour becomes 4/sec.
	 */
	for (i = 1; i < ARRAY_SIZE(units); i++) {
		uint64_t unit = (uint64_t)scale * units[i].s;

		if (avg > unit || unit / avg <= unit % avg)
			break;
	}
	i--;
	pg_text_add(t, " %" PRIu64 "/%s", (uint64_t)scale * units[i].s / avg, units[i].shown);
	return units[i].s;
}

void pg_limit_init(struct pg_match *m)
{
	m->limit.avg = SCALE * 60 * 60 / 3;
	m->limit.burst = DEFAULT_BURST;
}

int pg_limit_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 0, diag);
	uint32_t unit_s;
	uint64_t avg;

	if (r < 0)
		return r;
	if (use->id == OPT_BURST)
		return pg_value_number(m, use, 0, BURST_MAX, &m->limit.burst, diag);
	r = pg_rate_parse(use->value, SCALE, &avg, &unit_s);
	if (r == -ERANGE)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Rate too fast \"%s\"", use->value);
	if (r < 0)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "bad rate \"%s\"'", use->value);
	m->limit.avg = (uint32_t)avg;
	return 0;
}

/* The kernel's credits for so many units of time, in 32 bits that may overflow. */
static uint32_t credits(uint32_t units_of_time)
{
	/* HZ times what a jiffy earns: the same for 250 and 1000 jiffies a second. */
	const uint32_t per_second = 32000;

	if (units_of_time > UINT32_MAX / per_second)
		return units_of_time / SCALE * per_second;
	return units_of_time * per_second / SCALE;
}

/* What the kernel refuses: a bucket whose size in credits overflows to less than one packet's. */
int pg_limit_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		   const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	(void)seen;
	if (m->limit.burst && credits(m->limit.avg * m->limit.burst) >= credits(m->limit.avg))
		return 0;
	return pg_diag(diag, PG_DIAG_FAILED, at, "Numerical result out of range.");
}

void pg_limit_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, " --limit");
	pg_rate_print(t, m->limit.avg, SCALE);
	if (m->limit.burst != DEFAULT_BURST)
		pg_text_add(t, " --limit-burst %u", m->limit.burst);
}

void pg_limit_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		   bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, " limit: avg");
	pg_rate_print(t, m->limit.avg, SCALE);
	pg_text_add(t, " burst %u", m->limit.burst);
}
