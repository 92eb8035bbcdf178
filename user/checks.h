/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Matches that no bitmap answers, as the checks that the programs make. Plain data; compile.c's
 * helper.
 */
#pragma once

#include "ast.h"
#include "pg_abi.h"

/* How many checks a match makes: 0 for what bitmaps answer and for comments. */
size_t pg_match_checks(const struct pg_match *m);

/* Does asking it do something (to a limit, a list, the packet), so that its place in the rule matters? */
bool pg_match_remembers(const struct pg_match *m);

/* How many of pg_states a rule's checks use. */
size_t pg_rule_states(const struct pg_rule *rule);

/* Where the n-th of them begins, for a rule that is new. */
void pg_rule_state_start(const struct pg_rule *rule, size_t n, struct pg_state *ret);

/* PG_NEED_* of a match. */
uint32_t pg_match_needs(const struct pg_match *m);

/* What a set of that name is; see dp.h. -ENOENT: there is none. */
struct pg_set_ref {
	uint32_t id;
	bool net; /* a set of networks, not of addresses */
	uint8_t dims; /* 2: an address and a port */
};
struct pg_check_sets {
	int (*find)(void *arg, const char *name, struct pg_set_ref *ret);
	void *arg;
};

/*
 * What a match asks for that no check answers for these families, as a message says it ("option
 * `--x' is not supported yet"). Such a rule can be read and printed, but not be compiled. NULL: nothing.
 */
const char *pg_match_unenforced(const struct pg_match *m, unsigned families);

/*
 * The checks of a match, pg_match_checks() of them. `state`: the first of pg_states that the match
 * may use; it uses one per check that remembers. -EOPNOTSUPP, -ENOENT with a message in err.
 */
int pg_match_make_checks(const struct pg_match *m, uint32_t state, const struct pg_check_sets *sets, struct pg_check *ret,
			 struct pg_err *err);

/* The name of a recent list or a hashlimit table as the programs know it: its FNV-1a hash. */
uint64_t pg_name_hash(const char *name);
