/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m connbytes: how much a packet's connection has carried, the packet included. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "match_stateful.h"
#include "match_value.h"

enum { BYTES, DIR, MODE };

const struct pg_match_option pg_connbytes_options[] = {
	{ "connbytes", BYTES, true, false },
	{ "connbytes-dir", DIR, true, false },
	{ "connbytes-mode", MODE, true, false },
	{},
};

static const char *const dirs[] = {
	[PG_CONNBYTES_ORIGINAL] = "original",
	[PG_CONNBYTES_REPLY] = "reply",
	[PG_CONNBYTES_BOTH] = "both",
};
static const char *const modes[] = {
	[PG_CONNBYTES_PACKETS] = "packets",
	[PG_CONNBYTES_BYTES] = "bytes",
	[PG_CONNBYTES_AVERAGE] = "avgpkt",
};

static int parse_number(const char **text, uint64_t *ret)
{
	char *end;

	while (isspace((unsigned char)**text))
		(*text)++;
	if (**text == '-')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(*text, &end, 0);
	if (end == *text || errno)
		return -EINVAL;
	*text = end;
	return 0;
}

/* "5", which is 5 and more, "5:7", ":7", "5:". */
static int parse_count(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	uint64_t v[2] = { 0, UINT64_MAX };
	const char *text = use->value;
	int n = 0;

	for (;; text++) {
		if (n == 2)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "connbytes: Too many components for option \"--connbytes\" (max: 2)");
		if (*text && *text != ':' && parse_number(&text, &v[n]) < 0)
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "connbytes: bad value for option \"--connbytes\" near \"%s\", or out of "
				       "range (0-%" PRIu64 ").", text, UINT64_MAX);
		n++;
		if (!*text)
			break;
		if (*text != ':')
			return pg_diag(diag, PG_DIAG_PARAM, &use->at,
				       "connbytes: Argument to \"--connbytes\" has unexpected characters near "
				       "\"%s\".", text);
	}
	if (v[1] < v[0])
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "%" PRIu64 " should be less than %" PRIu64, v[0], v[1]);
	m->connbytes.lo = v[0];
	m->connbytes.hi = v[1];
	m->connbytes.invert = use->invert && v[0] != v[1]; /* it is by their order that the kernel knows */
	return 0;
}

static int parse_name(const struct pg_match_use *use, const char *const *names, size_t n, uint8_t *ret,
		      struct pg_diag *diag)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(names[i], use->value)) {
			*ret = i;
			return 0;
		}
	return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Unknown --connbytes-%s `%s'",
		       use->id == DIR ? "dir" : "mode", use->value);
}

int pg_connbytes_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_use_check(m, use, 1U << BYTES, diag);

	if (r < 0)
		return r;
	if (use->id == DIR)
		return parse_name(use, dirs, ARRAY_SIZE(dirs), &m->connbytes.dir, diag);
	if (use->id == MODE)
		return parse_name(use, modes, ARRAY_SIZE(modes), &m->connbytes.mode, diag);
	return parse_count(m, use, diag);
}

int pg_connbytes_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag)
{
	(void)rule;
	return pg_option_need(m, BYTES, seen, at, diag) ?: pg_option_need(m, DIR, seen, at, diag) ?:
	       pg_option_need(m, MODE, seen, at, diag);
}

/* iptables leaves out an upper end of 0, too, and then reads no end. */
static void add_count(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%" PRIu64, m->connbytes.lo);
	if (m->connbytes.hi != UINT64_MAX)
		pg_text_add(t, ":%" PRIu64, m->connbytes.hi);
}

void pg_connbytes_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --connbytes ", m->connbytes.invert ? " !" : "");
	add_count(t, m);
	pg_text_add(t, " --connbytes-mode %s --connbytes-dir %s", modes[m->connbytes.mode],
		    dirs[m->connbytes.dir]);
}

void pg_connbytes_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, "%s connbytes ", m->connbytes.invert ? " !" : "");
	add_count(t, m);
	pg_text_add(t, " connbytes mode %s connbytes direction %s", modes[m->connbytes.mode],
		    dirs[m->connbytes.dir]);
}
