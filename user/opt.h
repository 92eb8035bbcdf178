/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Options as getopt_long() finds them, but over words with positions, and with a set of options
 * that grows while scanning (each -m brings its own).
 */
#pragma once

#include "match.h"

enum pg_opt_kind {
	PG_OPT_END,
	PG_OPT_WORD,	/* not an option */
	PG_OPT_GLOBAL,	/* one of iptables' own: letter */
	PG_OPT_MATCH,	/* one of a match: match, option */
	PG_OPT_TARGET,	/* one of the target: option */
	PG_OPT_UNKNOWN, /* or ambiguous, or with a value it does not take */
	PG_OPT_NO_VALUE /* the value is missing */
};

struct pg_opt {
	enum pg_opt_kind kind;
	char letter; /* '0' for --line-numbers */
	enum pg_match_kind match;
	const struct pg_match_option *option;
	const char *value;
	struct pg_arg name; /* the word the option stood in */
	struct pg_arg at;   /* value, or name */
};

struct pg_opt_scan {
	const struct pg_arg *arg;
	size_t n, next;
	const char *cluster; /* rest of "-nvx" */
	/* Matches loaded so far, first to last, each kind once. */
	enum pg_match_kind loaded[_PG_MATCH_MAX];
	size_t n_loaded;
	const struct pg_match_option *target; /* options of the target; NULL: none */
};

enum pg_opt_value { PG_OPT_NONE, PG_OPT_VALUE, PG_OPT_OPTIONAL };

/* Options of iptables' own; a NULL name ends them. */
struct pg_opt_global {
	const char *name; /* without dashes */
	char letter;	  /* '0': it has none */
	enum pg_opt_value value;
};
extern const struct pg_opt_global pg_opt_globals[];

void pg_opt_next(struct pg_opt_scan *scan, struct pg_opt *ret);
/* Read the same word again, after loading a match that may know it. */
void pg_opt_again(struct pg_opt_scan *scan);
void pg_opt_load(struct pg_opt_scan *scan, enum pg_match_kind kind);
/* The next word if it does not look like an option; NULL otherwise. */
const struct pg_arg *pg_opt_operand(struct pg_opt_scan *scan);
