/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What -L, -S and -v print, as iptables 1.8.9 prints it. Pure. */
#pragma once

#include "ast.h"

struct pg_list_opts {
	enum pg_table_id table;
	const char *chain; /* NULL: all of the table */
	unsigned num;	   /* that rule only, without headings; 0: all */
	unsigned family;   /* only the rules that hold for it, without -4 or -6; 0: all */
	bool numeric, verbose, exact, line_numbers;
};

/* -L. A service name is looked up where `numeric` is not set; a host name never. */
void pg_list_print(struct pg_text *t, const struct pg_ruleset *set,
		   const struct pg_list_opts *opts);
/* -S */
void pg_list_rules_print(struct pg_text *t, const struct pg_ruleset *set,
			 const struct pg_list_opts *opts);
/* "Chain INPUT (policy ACCEPT" or "Chain web (2 references": what begins a chain's heading. */
void pg_list_heading(struct pg_text *t, const struct pg_ruleset *set, const struct pg_chain *chain);
/* The line that -A -v and its like print for a rule. */
void pg_list_one(struct pg_text *t, const struct pg_rule *rule);
