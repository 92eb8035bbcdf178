/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is wrong with a rule file, or looks as if it were: all of it, with the places. Plain data, no
 * kernel, no privileges.
 */
#pragma once

#include "ast.h"

/* Names are promised: scripts read them. The severity is an error's, or a warning's. */
#define PG_LINTS(X)                                                                                \
	X(SYNTAX, "syntax", true)		 /* iptables would refuse the line, too */         \
	X(UNSUPPORTED, "unsupported", true)	 /* iptables can, portguard can't */               \
	X(CONTRADICTION, "contradiction", true)	 /* conditions that exclude each other */          \
	X(TOO_LARGE, "too-large", true)		 /* more than the tables have room for */          \
	X(NEVER_MATCHES, "never-matches", false) /* a condition that nothing satisfies */          \
	X(SHADOWED, "shadowed", false)		 /* an earlier rule takes all its packets */       \
	X(DUPLICATE, "duplicate", false)	 /* an earlier rule is the same */                 \
	X(UNUSED, "unused", false)		 /* a chain that no rule leads to */               \
	X(UNREACHABLE, "unreachable", false)	 /* a chain that no built-in chain leads to */     \
	X(NOT_ENFORCED, "not-enforced", false)	 /* kept, but portguard does nothing with it */    \
	X(LOCKOUT, "lockout", false)		 /* nobody can get in any more */                  \
	X(NO_NEIGHBOURS, "no-neighbour-discovery", false) /* IPv6 stops working */

#define PG_ENUM_LINT(sym, name, error) PG_LINT_##sym,
enum pg_lint_code { PG_LINTS(PG_ENUM_LINT) _PG_LINT_MAX };

const char *pg_lint_name(enum pg_lint_code code);
bool pg_lint_is_error(enum pg_lint_code code);

struct pg_lint_problem {
	struct pg_pos pos;
	enum pg_lint_code code;
	char *text; /* owned; one line, fit for a terminal */
};

/* By line and column. */
struct pg_lint {
	struct pg_lint_problem *problem; /* owned */
	size_t n;
	bool oom; /* the list is not whole */
};
void pg_lint_free(struct pg_lint *lint);
bool pg_lint_has_errors(const struct pg_lint *lint);

/* family as in struct pg_rulefile_opts. Fails only where the file can't be read as text at all. */
int pg_lint_file(const char *text, size_t n, unsigned family, struct pg_lint *ret,
		 struct pg_err *err);

/* "NAME:LINE:COLUMN: SEVERITY: MESSAGE [CODE]", a line for each. */
void pg_lint_print(struct pg_text *t, const struct pg_lint *lint, const char *name);
