/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ipset's commands, one or a file of them, applied to sets in memory. Pure but for what they say on
 * standard error. Functions return 0 or a negative errno and then have filled `err`.
 */
#pragma once

#include "ipset.h"

struct pg_setfile {
	struct pg_sets *sets; /* owned */
	bool skip;	 /* go on without what is not supported */
	char **left_out; /* sets of which nothing is taken */
	size_t n_left_out;
};
void pg_setfile_free(struct pg_setfile *s);

/* Messages as ipset's, whose place they take: with a version, and a hint after wrong usage. */
int pg_set_report(int r, unsigned line, struct pg_err *err);

/* One command; `line` 0: not of a file. PG_EXIT_FAILED: a test's answer is no. */
int pg_setfile_apply(struct pg_setfile *s, const struct pg_ipset_cmd *cmd, unsigned line,
		     struct pg_err *err);

/*
 * All commands of a file, which is written to. `exist`: what is there already is no error. The
 * message has the line; where one fails, the sets must not be used.
 */
int pg_setfile_read(struct pg_setfile *s, char *text, size_t len, bool exist, struct pg_err *err);
