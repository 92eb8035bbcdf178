/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* -m set: whether addresses and ports are in a set. Whether there is such a set is asked later. */
#include <string.h>

#include "match_host.h"
#include "match_stateful.h"

enum { OPT_MATCH_SET, OPT_OTHER };

#define DIRS_MAX 6 /* IPSET_DIM_MAX */

const struct pg_match_option pg_set_options[] = {
	{ "match-set", OPT_MATCH_SET, true, false },
	{ "set", OPT_MATCH_SET, true, false }, /* its name of old */
	{ "return-nomatch", OPT_OTHER, false, true },
	{ "update-counters", OPT_OTHER, false, true },
	{ "update-subcounters", OPT_OTHER, false, true },
	{ "packets-eq", OPT_OTHER, true, true },
	{ "packets-lt", OPT_OTHER, true, true },
	{ "packets-gt", OPT_OTHER, true, true },
	{ "bytes-eq", OPT_OTHER, true, true },
	{ "bytes-lt", OPT_OTHER, true, true },
	{ "bytes-gt", OPT_OTHER, true, true },
	{},
};

/* "src,dst"; like iptables, a word may go on after its first three letters. */
static int parse_dirs(struct pg_match *m, const struct pg_arg *arg, struct pg_diag *diag)
{
	const char *text = arg->text;
	unsigned n = 0, dirs = 0;

	for (;; text++) {
		bool src = !strncmp(text, "src", 3);

		if (n == DIRS_MAX)
			return pg_diag(diag, PG_DIAG_PARAM, arg,
				       "Can't be more src/dst options than %u.", DIRS_MAX);
		if (!src && strncmp(text, "dst", 3))
			return pg_diag(diag, PG_DIAG_PARAM, arg,
				       "You must spefify (the comma separated list of) 'src' or "
				       "'dst'.");
		dirs |= (unsigned)src << n++;
		text += strcspn(text, ",");
		if (!*text)
			break;
	}
	m->set.n_dirs = (uint8_t)n;
	m->set.dirs = (uint8_t)dirs;
	return 0;
}

int pg_set_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag)
{
	int r = pg_name_check(m, use, "name", diag);

	if (r < 0)
		return r;
	if (use->seen)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "--match-set can be specified only once");
	if (!use->n_rest || use->rest[0].text[0] == '-' || use->rest[0].text[0] == '!')
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "--match-set requires two args.");
	if (strlen(use->value) > PG_SET_NAME_MAX)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at,
			       "setname `%s' too long, max %d characters.", use->value,
			       PG_SET_NAME_MAX);
	if (!*use->value)
		return pg_diag(diag, PG_DIAG_PARAM, &use->at, "Set %s doesn't exist.", use->value);
	snprintf(m->set.name, sizeof(m->set.name), "%s", use->value);
	m->set.invert = use->invert;
	*use->ret_taken = 1;
	return parse_dirs(m, &use->rest[0], diag);
}

int pg_set_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		 const struct pg_arg *at, struct pg_diag *diag)
{
	(void)m;
	(void)rule;
	if (seen)
		return 0;
	return pg_diag(diag, PG_DIAG_PARAM, at,
		       "You must specify `--match-set' with proper arguments");
}

static void print_dirs(struct pg_text *t, const struct pg_match *m)
{
	for (unsigned i = 0; i < m->set.n_dirs; i++)
		pg_text_add(t, "%s%s", i ? "," : " ", m->set.dirs & 1U << i ? "src" : "dst");
}

void pg_set_print(struct pg_text *t, const struct pg_match *m)
{
	pg_text_add(t, "%s --match-set ", m->set.invert ? " !" : "");
	pg_name_print(t, m->set.name);
	print_dirs(t, m);
}

void pg_set_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		 bool numeric)
{
	(void)rule;
	(void)numeric;
	pg_text_add(t, "%s match-set %s", m->set.invert ? " !" : "", m->set.name);
	print_dirs(t, m);
}
