/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policies as text in iptables-save's format. Plain data, no kernel, no privileges.
 */
#pragma once

#include "ast.h"

/* What a reader says beside its result: one line each, without a newline, fit for a terminal. */
struct pg_notes {
	char **text; /* owned */
	size_t n;
};
void pg_notes_free(struct pg_notes *notes);
/* "portguard: TEXT" for each, on `f`. */
void pg_notes_print(const struct pg_notes *notes, FILE *f);

/*
 * What is wrong with a file, for who wants to know all of it: with one of these a reader goes on
 * behind a line that it cannot take, and leaves it out.
 */
enum pg_problem {
	PG_PROBLEM_SYNTAX,
	PG_PROBLEM_UNSUPPORTED, /* iptables can, portguard can't */
	PG_PROBLEM_TABLE,	/* a line of a table that is not enforced */
	PG_PROBLEM_WARNING,
};
struct pg_problems {
	void (*found)(void *arg, enum pg_problem what, struct pg_pos pos, const char *text,
		      const char *line, size_t n);
	void *arg;
};

struct pg_rulefile_opts {
	const struct pg_problems *problems; /* NULL: the first that is wrong ends it */
	const char *name; /* for messages; NULL: <stdin> */
	unsigned family;  /* PG_V4, PG_V6: as iptables-restore or ip6tables-restore; 0: both */
	bool counters;	  /* take over [packets:bytes]; otherwise they are 0 */
	bool skip_tables; /* go on without tables that are not enforced */
	bool skip_unsupported; /* and without lines that use what is not supported */
	bool unenforced; /* take also rules that are understood and cannot be enforced: to print them */
	const char *table; /* read this table's lines only; NULL: all */
	/*
	 * What is in force; NULL: the empty policy. The file's table takes the place of its rules,
	 * with `noflush` (iptables-restore -n) it adds to them. Policies stay unless it says others.
	 */
	const struct pg_ruleset *base;
	bool noflush;
};

/*
 * Read a policy from n bytes of text. All or nothing. `notes` says what was left out, or
 * all the lines that the file is refused for because portguard cannot do what they ask, and what is
 * kept without being enforced; the caller prints it in any case, and frees it. What the file brings has PG_NO_SLOT; what `base` brings keeps its slot.
 */
int pg_rulefile_parse(const char *text, size_t n, const struct pg_rulefile_opts *opts,
		      struct pg_ruleset **ret_set, struct pg_notes *notes, struct pg_err *err);

/* Append what a path has; "-" or NULL: standard input. The text is not NULL then. */
int pg_rulefile_slurp(const char *path, struct pg_text *ret, struct pg_err *err);

/* The two together. opts->name is filled in by path. */
int pg_rulefile_load(const char *path, const struct pg_rulefile_opts *opts,
		     struct pg_ruleset **ret_set, struct pg_notes *notes, struct pg_err *err);

#define PG_RULEFILE_COUNTERS (1U << 0) /* [packets:bytes] before every rule */
#define PG_RULEFILE_DATES (1U << 1)    /* the comments that say who wrote it, and when */

/* "# WHAT on DATE" */
void pg_rulefile_write_date(struct pg_text *t, const char *what);
/* One table, from its "*filter" to "COMMIT", also if it is empty. */
void pg_rulefile_write_table(struct pg_text *t, const struct pg_ruleset *set,
			     enum pg_table_id table, unsigned family, unsigned flags);
/*
 * Append the policy to t: table filter, and raw before it where it is used. family PG_V4 or PG_V6: only the rules that hold for it, without -4 or
 * -6, as iptables-restore or ip6tables-restore takes it; 0: all of it. Check t->oom.
 */
void pg_rulefile_write(struct pg_text *t, const struct pg_ruleset *set, unsigned family,
		       unsigned flags);
