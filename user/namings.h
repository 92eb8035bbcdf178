/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * hashlimit's tables and recent's lists go by names, and the first rule that says a name says what the table
 * is like, to whoever names it later (net/netfilter/xt_hashlimit.c htable_find_get(), xt_recent.c
 * recent_mt_check()). First is the order of the kernel's table: INPUT, FORWARD, OUTPUT, then the others by name.
 */
#pragma once

#include "ast.h"

/* Of a policy that stays as it is meanwhile. NULL: no memory. */
struct pg_namings *pg_namings_new(const struct pg_ruleset *set);
void pg_namings_free(struct pg_namings *namings);

/* A match with the settings of its table. */
struct pg_named_match {
	struct pg_match match; /* owns nothing */
	struct pg_hashlimit hashlimit;
	struct pg_recent recent;
};
/* `m`, or `room` where its table is another's; valid as long as both. */
const struct pg_match *pg_namings_settle(const struct pg_namings *namings, unsigned families,
					 const struct pg_match *m, struct pg_named_match *room);
