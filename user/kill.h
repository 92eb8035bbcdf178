/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ending connections: those that somebody names, and those that a policy forbids. */
#pragma once

#include "cmd.h"
#include "dp.h"
#include "flows.h"

struct pg_kill_result {
	size_t flows;	/* forgotten; what still comes of them is dropped */
	size_t closed;	/* sockets of this host */
	size_t failed;	/* sockets that could not be closed; the first one's reason: */
	int error;	/* a negative errno */
	size_t elsewhere; /* flows of other network namespaces, whose sockets are left alone */
	bool spared; /* the SSH connection that one is on was among them */
};

/* `portguard flows --kill`: all that the query finds. `force`: also one's own SSH connection. */
int pg_kill_command(const struct pg_ctx *ctx, const struct pg_flow_query *query, bool force,
		    int wait_s, struct pg_err *err);

/*
 * After a commit: end the flows that `set`, the policy in force, would not have let begin. Each
 * one's first packet, and the answer to it, are run through the programs in a private instance,
 * without what limits and recent lists remember. `all`: whichever rule or policy drops them;
 * otherwise only those that a rule with `-j DROP --kill` drops. Says on standard output what was done.
 */
int pg_kill_forbidden(struct pg_dp *dp, const struct pg_ruleset *set, bool all, bool force,
		      struct pg_err *err);
/* Are there rules with `-j DROP --kill`? `fresh`: only those that no commit has given a counter. */
bool pg_kill_wanted(const struct pg_ruleset *set, bool fresh);
