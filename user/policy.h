/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The policy of an instance: between the ruleset (plain data) and the door (tables and a text).
 */
#pragma once

#include "ast.h"
#include "dp.h"

/*
 * The policy in force with its counters as they are now; an empty ACCEPT policy where none was
 * committed or dp is NULL. The caller frees it.
 */
int pg_policy_read(struct pg_dp *dp, struct pg_ruleset **ret_set, struct pg_err *err);

/*
 * The counters of a policy that was read from this instance and is still in force, as they are now; or was until the
 * caller's own commit, with the lock still held.
 */
void pg_policy_count(struct pg_dp *dp, struct pg_ruleset *set);

/*
 * What is stored with a policy's tables: the counter of each chain and rule, and the text. Pure.
 * Encode: -ENOMEM, silently. Decode: the counters themselves are 0; -EBADMSG: it is damaged. The
 * caller frees the set.
 */
int pg_policy_encode(const struct pg_ruleset *set, struct pg_text *ret_text);
int pg_policy_decode(const void *data, size_t n, struct pg_ruleset **ret_set, struct pg_err *err);

/*
 * Compile and commit. Rules and chains whose `slot` is PG_NO_SLOT get a fresh counter that starts
 * at their packets and bytes; others go on counting where they are. On success `set` has every
 * slot filled in.
 */
int pg_policy_commit(struct pg_dp *dp, struct pg_ruleset *set, struct pg_err *err);
/* The policy in force once more, because interfaces came or went. What a rollback leads to stays. */
int pg_policy_renew(struct pg_dp *dp, struct pg_ruleset *set, struct pg_err *err);
/* With confirm_s: what was in force comes back then, unless pg_dp_confirm() is called before. */
int pg_policy_commit_for(struct pg_dp *dp, struct pg_ruleset *set, uint32_t confirm_s,
			 struct pg_err *err);
/* The same for who has read what is in force (`old`, another than `set`), and locked it before. */
int pg_policy_commit_over(struct pg_dp *dp, struct pg_ruleset *set, const struct pg_ruleset *old,
			  uint32_t confirm_s, struct pg_err *err);

/*
 * The policy before the one in force, with the counters it still has. To go back to it is to commit
 * it: interfaces and sets may have changed since. -ENOENT: there is none. The caller frees it.
 */
int pg_policy_read_previous(struct pg_dp *dp, struct pg_ruleset **ret_set, struct pg_err *err);

/*
 * The policy of generation `number`, if that is the one in force or the other one that is still
 * stored; -ESTALE, without a message, if not. The caller frees it.
 */
int pg_policy_read_number(struct pg_dp *dp, uint32_t number, struct pg_ruleset **ret_set,
			  struct pg_err *err);

/* The policy that the one that is tried in `shadow` is compared with; counters are 0. The caller frees it. */
int pg_policy_read_beside(struct pg_dp *dp, struct pg_dp *shadow, struct pg_ruleset **ret_set,
			  struct pg_err *err);

/*
 * The tables of a policy for this instance's interfaces, as a commit makes them: for who wants to
 * know which rule a term is. Counter slots may be unassigned. The caller frees them.
 */
int pg_policy_compile(struct pg_dp *dp, const struct pg_ruleset *set,
		      struct pg_tables **ret_tables, struct pg_err *err);

/*
 * Forget counters and states, so that a commit gives every rule new ones: for the policy of one
 * instance in another.
 */
void pg_policy_disown(struct pg_ruleset *set);

/*
 * Commit in `dp` a policy whose counters and states are of another instance, `live` (NULL: none). What
 * its rules remember there (limits, quotas, lists, and the flows that connlimit counts) goes with it.
 * Counters are given up. `no_flows`: there are no other flows then, not even the host's own.
 */
int pg_policy_commit_copy(struct pg_dp *dp, struct pg_ruleset *set, struct pg_dp *live,
			  bool no_flows, struct pg_err *err);

/* How many conditions ask for the named set (-m set); NULL: for any set. */
uint32_t pg_policy_set_references(const struct pg_ruleset *rules, const char *name);

/*
 * For a set that a file made of the policy, `old` (restore): rules without slots that are in `old` too take its
 * slots, each at most once, first to first; one that has counters of its own only the state. Built-in chains keep their policy's counter.
 */
void pg_policy_inherit(struct pg_ruleset *set, const struct pg_ruleset *old);
