/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Read the policy, change it in memory, commit: for the commands that do so. */
#pragma once

#include "cmd.h"
#include "policy.h"
#include "rulefile.h"

struct pg_edit {
	struct pg_dp_opts opts;
	struct pg_dp *dp;	/* NULL: there is no instance (yet) */
	struct pg_ruleset *set; /* the policy in force, never NULL */
	/*
	 * What a commit ends that need not be confirmed: always the flows that its new rules with
	 * `-j DROP --kill` forbid; with kill_all, those that any of its rules and policies do.
	 */
	bool kill_all, kill_ssh; /* also the SSH connection that one is on */
	bool quiet; /* the terminal is in use: no pg_edit_warn() by the commit */
};

/*
 * For writing, this takes the instance's lock; it is held until the edit is closed. An instance
 * that does not exist is made by the commit, so that a command which fails before leaves nothing.
 */
int pg_edit_open(const struct pg_ctx *ctx, bool write, int wait_s, struct pg_edit *ret,
		 struct pg_err *err);
/* With confirm_s as pg_policy_commit_for() has it. */
int pg_edit_commit_for(struct pg_edit *edit, struct pg_ruleset *set, uint32_t confirm_s,
		       struct pg_err *err);
int pg_edit_commit(struct pg_edit *edit, struct pg_ruleset *set, struct pg_err *err);
/*
 * What is not as one expects now that flows are tracked, a line each on standard error: connections
 * that were not taken over; with `begins`, interfaces whose departures are not seen.
 */
void pg_edit_warn(struct pg_dp *dp, bool begins);
/* To people: that it waits now, and for what. */
void pg_edit_say_waiting(const struct pg_ruleset *set, uint32_t confirm_s);

/* A file's text as a policy. What was left out of it, and warnings, go to standard error. */
int pg_edit_parse(const struct pg_text *text, const struct pg_rulefile_opts *opts,
		  struct pg_ruleset **ret_set, struct pg_err *err);
void pg_edit_close(struct pg_edit *edit);
