/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m time: dates, hours, and days of the week and the month. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "match_stateful.h"
#include "match_value.h"

enum {
	OPT_DATESTART,
	OPT_DATESTOP,
	OPT_TIMESTART,
	OPT_TIMESTOP,
	OPT_MONTHDAYS,
	OPT_WEEKDAYS,
	OPT_KERNELTZ,
	OPT_UTC,
	OPT_LOCALTZ,
	OPT_CONTIGUOUS,
};

const struct pg_match_option pg_time_options[] = {
	{ "datestart", OPT_DATESTART, true, false },
	{ "datestop", OPT_DATESTOP, true, false },
	{ "timestart", OPT_TIMESTART, true, false },
	{ "timestop", OPT_TIMESTOP, true, false },
	{ "monthdays", OPT_MONTHDAYS, true, false },
	{ "weekdays", OPT_WEEKDAYS, true, false },
	{ "kerneltz", OPT_KERNELTZ, false, false },
	{ "utc", OPT_UTC, false, false },
	{ "localtz", OPT_LOCALTZ, false, false }, /* --kerneltz of old */
	{ "contiguous", OPT_CONTIGUOUS, false, false },
	{},
};

#define ALL_MONTHDAYS 0xfffffffeU
#define ALL_WEEKDAYS 0xfeU
#define LAST_SECOND (24 * 60 * 60 - 1)

static const char *const weekdays[] = { NULL,  "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

void pg_time_init(struct pg_match *m)
{
	m->time = calloc(1, sizeof(*m->time));
	if (!m->time)
		return;
	m->time->date_stop = INT32_MAX;
	m->time->daytime_stop = LAST_SECOND;
	m->time->monthdays = ALL_MONTHDAYS;
	m->time->weekdays = ALL_WEEKDAYS;
}

/*
 * A number and what must follow it: `after`, or the end of the text, which sets *text to NULL.
 * Nothing at all is 0. false: something else follows.
 */
static bool take_number(const char **text, char after, unsigned long *ret)
{
	char *end;

	*ret = strtoul(*text, &end, 10);
	if (*end && *end != after)
		return false;
	*text = *end ? end + 1 : NULL;
	return true;
}

/* YYYY[-MM[-DD[Thh[:mm[:ss]]]]]; what is missing is the first of its kind. */
static bool read_date(const char *text, struct tm *tm)
{
	unsigned long v[6] = { 0, 1, 1 };
	static const char after[] = "--T::";
	static const unsigned long max[] = { 2038, 12, 31, 23, 59, 59 };

	for (unsigned i = 0; text && i < ARRAY_SIZE(v); i++)
		if (!take_number(&text, after[i], &v[i]) || v[i] > max[i])
			return false;
	if (text || v[0] < 1970)
		return false;
	*tm = (struct tm){ .tm_year = (int)v[0] - 1900, .tm_mon = (int)v[1] - 1,
			   .tm_mday = (int)v[2], .tm_hour = (int)v[3], .tm_min = (int)v[4],
			   .tm_sec = (int)v[5] };
	return true;
}

static int parse_date(const struct pg_match_use *use, int64_t *ret, struct pg_diag *diag)
{
	struct tm tm;

	/* The 31st of February is the 2nd or 3rd of March, month 0 December of the year before. */
	if (read_date(use->value, &tm)) {
		*ret = timegm(&tm);
		if (*ret >= 0)
			return 0;
	}
	return pg_diag(diag, PG_DIAG_PARAM, &use->at,
		       "Invalid date \"%s\" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]",
		       use->value);
}

/* hh:mm[:ss] */
static int parse_daytime(const struct pg_match_use *use, uint32_t *ret, struct pg_diag *diag)
{
	static const unsigned long max[] = { 23, 59, 59 };
	const char *text = use->value, *part = text;
	unsigned long v[3] = {};

	for (unsigned i = 0; text && i < ARRAY_SIZE(v); i++) {
		part = text;
		/* Seconds end the text. */
		if (!take_number(&text, i < 2 ? ':' : '\0', &v[i]) || v[i] > max[i] ||
		    (!i && !text))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "invalid time \"%s\" specified, should be hh:mm[:ss] format "
				       "and within the boundaries",
				       part);
	}
	*ret = (uint32_t)(v[0] * 3600 + v[1] * 60 + v[2]);
	return 0;
}

/* Takes the next word of a comma list, cut to the room in buf; false at the end of the list. */
static bool next_word(const char **list, char *buf, size_t size)
{
	size_t len = strcspn(*list, ",");

	if (!**list)
		return false;
	snprintf(buf, size, "%.*s", (int)len, *list);
	*list += len + ((*list)[len] == ',');
	return true;
}

/* iptables sees two places of each day. Day 0 is no day. */
static int parse_monthdays(struct pg_match *m, const struct pg_match_use *use,
			   struct pg_diag *diag)
{
	const char *list = use->value;
	uint32_t days = 0;
	char word[3], *end;

	while (next_word(&list, word, sizeof(word))) {
		unsigned long day = strtoul(word, &end, 10);

		if (*end || day > 31)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "%s is not a valid day for --monthdays", word);
		days |= 1U << day;
	}
	m->time->monthdays = (use->invert ? ~days : days) & ALL_MONTHDAYS;
	return 0;
}

/* Numbers, or names of which two letters count and iptables sees three. */
static int parse_weekdays(struct pg_match *m, const struct pg_match_use *use,
			  struct pg_diag *diag)
{
	const char *list = use->value;
	uint32_t days = 0;
	char word[4], *end;

	while (next_word(&list, word, sizeof(word))) {
		unsigned long day = strtoul(word, &end, 0);

		if (!*end && !day)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "No, the week does NOT begin with Sunday.");
		if (*end)
			for (day = 1; day < ARRAY_SIZE(weekdays); day++)
				if (!strncmp(weekdays[day], word, 2))
					break;
		if (*end && day == ARRAY_SIZE(weekdays))
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "%s is not a valid day specifier", word);
		/* A number above 7 is silently no day. */
		if (day < ARRAY_SIZE(weekdays))
			days |= 1U << day;
	}
	m->time->weekdays = (uint8_t)((use->invert ? ~days : days) & ALL_WEEKDAYS);
	return 0;
}

int pg_time_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << OPT_MONTHDAYS | 1U << OPT_WEEKDAYS, diag);

	if (r < 0)
		return r;
	if (!m->time)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	switch (use->id) {
	case OPT_DATESTART:
		return parse_date(use, &m->time->date_start, diag);
	case OPT_DATESTOP:
		return parse_date(use, &m->time->date_stop, diag);
	case OPT_TIMESTART:
		return parse_daytime(use, &m->time->daytime_start, diag);
	case OPT_TIMESTOP:
		return parse_daytime(use, &m->time->daytime_stop, diag);
	case OPT_MONTHDAYS:
		return parse_monthdays(m, use, diag);
	case OPT_WEEKDAYS:
		return parse_weekdays(m, use, diag);
	case OPT_KERNELTZ:
	case OPT_LOCALTZ:
		m->time->kerneltz = true;
		return 0;
	case OPT_CONTIGUOUS:
		m->time->contiguous = true;
		return 0;
	}
	return 0;
}

int pg_time_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		  const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	if (!m->time)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (m->time->contiguous && m->time->daytime_start < m->time->daytime_stop)
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "time: --contiguous only makes sense when stoptime is smaller than "
			       "starttime");
	return pg_option_exclude(m, OPT_UTC, OPT_KERNELTZ, seen, at, diag) ?:
	       pg_option_exclude(m, OPT_LOCALTZ, OPT_UTC, seen, at, diag);
}

/* Numbers for the days of the month, with 1st, 2nd, … for -L, where 11st is iptables' own. */
static void print_days(struct pg_text *t, uint32_t days, bool week, bool ordinal)
{
	static const char *const endings[] = { "th", "st", "nd", "rd" };
	const char *comma = " ";

	for (unsigned day = 1; day <= 31; day++) {
		if (!(days & 1U << day))
			continue;
		pg_text_add(t, "%s", comma);
		comma = ",";
		if (week)
			pg_text_add(t, "%s", weekdays[day]);
		else
			pg_text_add(t, "%u%s", day,
				    !ordinal ? "" : endings[day % 10 < 4 ? day % 10 : 0]);
	}
}

static void print_date(struct pg_text *t, const char *before, int64_t date, char between)
{
	time_t seconds = (time_t)date;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	pg_text_add(t, "%s %04d-%02d-%02d%c%02d:%02d:%02d", before, tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, between, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void print_daytime(struct pg_text *t, const char *before, uint32_t time)
{
	pg_text_add(t, "%s %02u:%02u:%02u", before, time / 3600, time / 60 % 60, time % 60);
}

static bool all_day(const struct pg_time *time)
{
	return !time->daytime_start && time->daytime_stop == LAST_SECOND;
}

/*
 * Two things iptables prints so that they cannot be read back: no day at all, as an option without
 * a value, for which a number stands here that it takes for no day; and the end of 1970-01-01
 * 00:00, which it leaves out.
 */
void pg_time_print(struct pg_text *t, const struct pg_match *m)
{
	const struct pg_time *time = m->time;

	if (!all_day(time)) {
		print_daytime(t, " --timestart", time->daytime_start);
		print_daytime(t, " --timestop", time->daytime_stop);
	}
	if (time->monthdays != ALL_MONTHDAYS) {
		pg_text_add(t, " --monthdays%s", time->monthdays ? "" : " 0");
		print_days(t, time->monthdays, false, false);
	}
	if (time->weekdays != ALL_WEEKDAYS) {
		pg_text_add(t, " --weekdays%s", time->weekdays ? "" : " 8");
		print_days(t, time->weekdays, true, false);
	}
	if (time->date_start)
		print_date(t, " --datestart", time->date_start, 'T');
	print_date(t, " --datestop", time->date_stop, 'T');
	if (time->kerneltz)
		pg_text_add(t, " --kerneltz");
	if (time->contiguous)
		pg_text_add(t, " --contiguous");
}

void pg_time_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric)
{
	const struct pg_time *time = m->time;

	(void)rule;
	(void)numeric;
	pg_text_add(t, " TIME");
	if (!all_day(time)) {
		print_daytime(t, " from", time->daytime_start);
		print_daytime(t, " to", time->daytime_stop);
	}
	if (time->weekdays != ALL_WEEKDAYS) {
		pg_text_add(t, " on%s", time->weekdays ? "" : " ");
		print_days(t, time->weekdays, true, false);
	}
	if (time->monthdays != ALL_MONTHDAYS) {
		pg_text_add(t, " on%s", time->monthdays ? "" : " ");
		print_days(t, time->monthdays, false, true);
	}
	if (time->date_start)
		print_date(t, " starting from", time->date_start, ' ');
	if (time->date_stop != INT32_MAX)
		print_date(t, " until date", time->date_stop, ' ');
	if (!time->kerneltz)
		pg_text_add(t, " UTC");
	if (time->contiguous)
		pg_text_add(t, " contiguous");
}

void pg_time_clear(struct pg_match *m)
{
	free(m->time);
	m->time = NULL;
}

int pg_time_copy(struct pg_match *ret, const struct pg_match *m)
{
	ret->time = malloc(sizeof(*ret->time));
	if (!ret->time)
		return -ENOMEM;
	*ret->time = *m->time;
	return 0;
}

bool pg_time_equal(const struct pg_match *a, const struct pg_match *b)
{
	const struct pg_time *x = a->time, *y = b->time;

	return x->date_start == y->date_start && x->date_stop == y->date_stop &&
	       x->daytime_start == y->daytime_start && x->daytime_stop == y->daytime_stop &&
	       x->monthdays == y->monthdays && x->weekdays == y->weekdays &&
	       x->kerneltz == y->kerneltz && x->contiguous == y->contiguous;
}
