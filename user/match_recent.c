/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m recent: lists of addresses and when they were seen. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "match_host.h"
#include "match_stateful.h"
#include "match_value.h"

enum {
	/* As enum pg_recent_op. */
	OPT_SET,
	OPT_RCHECK,
	OPT_UPDATE,
	OPT_REMOVE,
	OPT_SECONDS,
	OPT_REAP,
	OPT_HITCOUNT,
	OPT_RTTL,
	OPT_NAME,
	OPT_RSOURCE,
	OPT_RDEST,
	OPT_MASK,
};
#define OPS (1U << OPT_SET | 1U << OPT_RCHECK | 1U << OPT_UPDATE | 1U << OPT_REMOVE)

const struct pg_match_option pg_recent_options[] = {
	{ "set", OPT_SET, false, false },
	{ "rcheck", OPT_RCHECK, false, false },
	{ "update", OPT_UPDATE, false, false },
	{ "remove", OPT_REMOVE, false, false },
	{ "seconds", OPT_SECONDS, true, false },
	{ "reap", OPT_REAP, false, false },
	{ "hitcount", OPT_HITCOUNT, true, false },
	{ "rttl", OPT_RTTL, false, false },
	{ "name", OPT_NAME, true, false },
	{ "rsource", OPT_RSOURCE, false, false },
	{ "rdest", OPT_RDEST, false, false },
	{ "mask", OPT_MASK, true, false },
	{},
};

#define NAME_MAX_LEN 199 /* XT_RECENT_NAME_LEN - 1; iptables cuts off the rest */
#define HITCOUNT_MAX 65535

static const struct {
	const char *option, *listed;
} ops[] = {
	[PG_RECENT_SET] = { "set", "SET" },
	[PG_RECENT_CHECK] = { "rcheck", "CHECK" },
	[PG_RECENT_UPDATE] = { "update", "UPDATE" },
	[PG_RECENT_REMOVE] = { "remove", "REMOVE" },
};

void pg_recent_init(struct pg_match *m)
{
	m->recent = calloc(1, sizeof(*m->recent));
	if (m->recent)
		m->recent->name = strdup("DEFAULT");
}

static int parse_name(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_name_check(m, use, "name", diag);

	if (r < 0)
		return r;
	free(m->recent->name);
	m->recent->name = strndup(use->value, NAME_MAX_LEN);
	if (!m->recent->name)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	return 0;
}

int pg_recent_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	struct pg_recent *recent = m->recent;
	int r = pg_use_check(m, use, OPS, diag);

	if (r < 0)
		return r;
	if (!recent || !recent->name)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	switch (use->id) {
	case OPT_SECONDS:
		return pg_value_number(m, use, 1, UINT32_MAX, &recent->seconds, diag);
	case OPT_REAP:
		recent->reap = true;
		return 0;
	case OPT_HITCOUNT:
		return pg_value_number(m, use, 0, UINT32_MAX, &recent->hitcount, diag);
	case OPT_RTTL:
		recent->rttl = true;
		return 0;
	case OPT_NAME:
		return parse_name(m, use, diag);
	case OPT_RSOURCE:
	case OPT_RDEST:
		recent->dest = use->id == OPT_RDEST;
		return 0;
	case OPT_MASK:
		return pg_host_parse(use->value, use, recent->mask, &recent->family, diag);
	}
	recent->op = (enum pg_recent_op)use->id;
	recent->invert = use->invert;
	return 0;
}

/* What goes past iptables' parser and the kernel refuses. */
static int check_kernel(const struct pg_recent *recent, const struct pg_arg *at,
			struct pg_diag *diag)
{
	if (recent->hitcount > HITCOUNT_MAX)
		return pg_diag(diag, PG_DIAG_FAILED, at, "recent: hitcount (%u) is larger than %u",
			       recent->hitcount, HITCOUNT_MAX);
	if ((recent->op == PG_RECENT_SET || recent->op == PG_RECENT_REMOVE) &&
	    (recent->seconds || recent->hitcount))
		return pg_diag(diag, PG_DIAG_FAILED, at,
			       "recent: --seconds and --hitcount only go with --rcheck and "
			       "--update");
	if (!pg_name_is_file(recent->name))
		return pg_diag(diag, PG_DIAG_FAILED, at, "recent: no list can have the name `%s'",
			       recent->name);
	return 0;
}

int pg_recent_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		    const struct pg_arg *at, struct pg_diag *diag)
{
	int r = 0;

	(void)rule;
	if (!m->recent || !m->recent->name)
		return pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (!(seen & OPS))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "recent: you must specify one of `--set', `--rcheck' `--update' or "
			       "`--remove'");
	for (unsigned a = OPT_SET; a < OPT_REMOVE; a++)
		for (unsigned b = a + 1; b <= OPT_REMOVE && !r; b++)
			r = pg_option_exclude(m, a, b, seen, at, diag);
	if (!r && m->recent->reap && !(seen & 1U << OPT_SECONDS))
		return pg_diag(diag, PG_DIAG_PARAM, at,
			       "recent: option \"--reap\" also requires \"--seconds\".");
	return r ?: pg_option_exclude(m, OPT_RTTL, OPT_SET, seen, at, diag)
		 ?: pg_option_exclude(m, OPT_RTTL, OPT_REMOVE, seen, at, diag)
		 ?: check_kernel(m->recent, at, diag);
}

unsigned pg_recent_holds(const struct pg_match *m)
{
	return m->recent->family ? m->recent->family : PG_V46;
}

void pg_recent_settle(struct pg_match *m, struct pg_rule *rule)
{
	unsigned families = pg_rule_families(rule);

	if (m->recent->family || families == PG_V46)
		return;
	m->recent->family = (uint8_t)families;
	memset(m->recent->mask, 0xff, families == PG_V4 ? 4 : 16);
}

static const char *mask_text(const struct pg_recent *recent, char *buf, size_t size)
{
	return inet_ntop(recent->family == PG_V4 ? AF_INET : AF_INET6, recent->mask, buf,
			 (socklen_t)size);
}

void pg_recent_print(struct pg_text *t, const struct pg_match *m)
{
	const struct pg_recent *recent = m->recent;
	char mask[INET6_ADDRSTRLEN];

	pg_text_add(t, "%s --%s", recent->invert ? " !" : "", ops[recent->op].option);
	if (recent->seconds)
		pg_text_add(t, " --seconds %u", recent->seconds);
	if (recent->reap)
		pg_text_add(t, " --reap");
	if (recent->hitcount)
		pg_text_add(t, " --hitcount %u", recent->hitcount);
	if (recent->rttl)
		pg_text_add(t, " --rttl");
	pg_text_add(t, " --name ");
	pg_name_print(t, recent->name);
	if (recent->family)
		pg_text_add(t, " --mask %s", mask_text(recent, mask, sizeof(mask)));
	pg_text_add(t, recent->dest ? " --rdest" : " --rsource");
}

void pg_recent_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		    bool numeric)
{
	const struct pg_recent *recent = m->recent;
	char mask[INET6_ADDRSTRLEN];

	(void)rule;
	(void)numeric;
	pg_text_add(t, "%s recent: %s", recent->invert ? " !" : "", ops[recent->op].listed);
	if (recent->seconds)
		pg_text_add(t, " seconds: %u", recent->seconds);
	if (recent->reap)
		pg_text_add(t, " reap");
	if (recent->hitcount)
		pg_text_add(t, " hit_count: %u", recent->hitcount);
	if (recent->rttl)
		pg_text_add(t, " TTL-Match");
	pg_text_add(t, " name: %s side: %s", recent->name, recent->dest ? "dest" : "source");
	if (recent->family)
		pg_text_add(t, " mask: %s", mask_text(recent, mask, sizeof(mask)));
}

void pg_recent_clear(struct pg_match *m)
{
	if (m->recent)
		free(m->recent->name);
	free(m->recent);
	m->recent = NULL;
}

int pg_recent_copy(struct pg_match *ret, const struct pg_match *m)
{
	ret->recent = malloc(sizeof(*ret->recent));
	if (!ret->recent)
		return -ENOMEM;
	*ret->recent = *m->recent;
	ret->recent->name = strdup(m->recent->name);
	if (ret->recent->name)
		return 0;
	pg_recent_clear(ret);
	return -ENOMEM;
}

bool pg_recent_equal(const struct pg_match *a, const struct pg_match *b)
{
	const struct pg_recent *x = a->recent, *y = b->recent;

	return x->op == y->op && x->invert == y->invert && x->dest == y->dest &&
	       x->rttl == y->rttl && x->reap == y->reap && x->seconds == y->seconds &&
	       x->hitcount == y->hitcount && x->family == y->family &&
	       !memcmp(x->mask, y->mask, sizeof(x->mask)) && !strcmp(x->name, y->name);
}
