/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rule text → words, quoted as iptables-restore has it. */
#pragma once

#include "diag.h"

struct pg_args {
	struct pg_arg *arg; /* owned */
	size_t n;
	char *text; /* owned: what the words point into */
};

/*
 * Split n bytes that stand at `pos` of their file. Words are separated by blanks. A double quote
 * opens a part in which blanks count and a backslash takes the next byte as it is; the closing
 * quote ends the word. Elsewhere backslashes and single quotes mean themselves.
 * Fails for a quote that is not closed and for control characters.
 */
int pg_lex(const char *text, size_t n, struct pg_pos pos, struct pg_args *ret,
	   struct pg_diag *diag);
void pg_args_free(struct pg_args *args);
