/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is wrong with a rule, before anyone knows whether it stood in a file or on a command line.
 */
#pragma once

#include "ast.h"

/* One word of a rule. Positions point at the word's first byte. */
struct pg_arg {
	const char *text;
	struct pg_pos pos;
};

enum pg_diag_kind {
	PG_DIAG_PARAM,	     /* iptables' parameter problem: version prefix, usage hint, exit 2 */
	PG_DIAG_BARE,	     /* the same without a prefix: "Bad argument `foo'" */
	PG_DIAG_NO_TABLE,    /* version prefix, iptables' hint, exit 3 */
	PG_DIAG_TABLE,	     /* a table that iptables has and portguard does not: exit 3 */
	PG_DIAG_FAILED,	     /* the operation failed, exit 1 */
	PG_DIAG_UNSUPPORTED, /* iptables can, portguard can't: exit 2 */
};

struct pg_diag {
	enum pg_diag_kind kind;
	struct pg_pos pos; /* column 0: the line as a whole */
	char text[512];	   /* fit for a terminal */
};

/* Fill diag; returns -EOPNOTSUPP for the last kind, otherwise -EINVAL. `at` may be NULL. */
int pg_diag(struct pg_diag *diag, enum pg_diag_kind kind, const struct pg_arg *at, const char *fmt,
	    ...) _printf_(4, 5);

int pg_diag_exit_code(const struct pg_diag *diag);

/* As iptables prints it for a command line. Returns r. */
int pg_diag_report(const struct pg_diag *diag, int r, struct pg_err *err);

/*
 * For a file: name:line:column, the line (n bytes, without its end) and a caret. Returns r.
 */
int pg_diag_report_line(const struct pg_diag *diag, int r, const char *name, const char *line,
			size_t n, struct pg_err *err);
