/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Policies for unit tests, in iptables' words. Include after cmocka.h. */
#pragma once

#include <string.h>

#include "iptables.h"
#include "lex.h"
#include "print.h"
#include "rulefile.h"

/* Run one line ("-A INPUT -j DROP") on the policy; 0, or the exit code with err filled. */
static inline int run_line(struct pg_ruleset *set, const char *line, struct pg_err *err)
{
	const struct pg_parse_from from = { .file = false };
	struct pg_pos pos = { 0, 1 };
	struct pg_command cmd = {};
	struct pg_args args = {};
	struct pg_diag diag;
	int r;

	assert_int_equal(pg_lex(line, strlen(line), pos, &args, &diag), 0);
	r = pg_command_parse(args.arg, args.n, &from, &cmd, &diag);
	if (!r)
		r = pg_command_apply(&cmd, set, &diag);
	if (r < 0)
		pg_diag_report(&diag, r, err);
	pg_command_free(&cmd);
	pg_args_free(&args);
	return r < 0 ? err->exit_code : 0;
}

/* A policy from lines that must all succeed; NULL ends them. */
static inline struct pg_ruleset *policy_of(const char *const *line)
{
	struct pg_ruleset *set = pg_ruleset_new();
	struct pg_err err = {};

	assert_non_null(set);
	for (; *line; line++)
		if (run_line(set, *line, &err))
			fail_msg("%s: %s", *line, err.text);
	return set;
}

/* The rules of INPUT, one specification a line. */
static inline char *specs_of(const struct pg_ruleset *set, struct pg_text *t)
{
	const struct pg_chain *chain = &set->chain[PG_CHAIN_INPUT];

	pg_text_free(t);
	pg_text_addn(t, "", 0);
	for (size_t i = 0; i < chain->n_rules; i++) {
		pg_rule_print(t, &chain->rule[i], 0);
		pg_text_add(t, "\n");
	}
	assert_false(t->oom);
	return t->buf;
}

#define POLICY(...) policy_of((const char *const[]){ __VA_ARGS__, NULL })
