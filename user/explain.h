/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole way of one packet through a policy: every rule that was considered, from the steps that
 * the classifier noted, and which condition of a rule was the first that did not hold. Which tables
 * did not hold a step does not say; so the rule's conditions, one more each time, become rules of a
 * policy of their own, which is run. Plain data, no kernel.
 */
#pragma once

#include "answer.h"
#include "dp.h"

enum pg_outcome {
	PG_OUTCOME_MATCHED,
	PG_OUTCOME_FAILED,
	PG_OUTCOME_DROPPED, /* it asked for what the packet has not: that dropped it */
};

/* One condition of a rule: a part of it that holds or does not. */
enum pg_part {
	PG_PART_NONE,
	PG_PART_FAMILY, /* -4, -6 */
	PG_PART_SRC,
	PG_PART_DST,
	PG_PART_IN,
	PG_PART_OUT,
	PG_PART_PROTO,
	PG_PART_FRAGMENT,
	PG_PART_SPORT, /* of match `at`, as those that follow */
	PG_PART_DPORT,
	PG_PART_FLAGS,
	PG_PART_MATCH, /* all of it */
};
struct pg_condition {
	enum pg_part part;
	size_t at;
};

/* Of one rule. */
#define PG_CONDITIONS_MAX 512U

struct pg_considered {
	struct pg_place place;
	enum pg_stage stage;
	enum pg_outcome outcome;
	struct pg_condition failed; /* FAILED; NONE: one of `from` to `to`, pg_explain_probe() asks which */
	size_t from, to;	    /* matches, as indices: those that were asked together */
	size_t first_probe;	    /* pg_explain_probe()'s; how many there are follows from the rule */
};

struct pg_explain {
	struct pg_considered *row; /* owned; in order */
	size_t n, cap;
	bool cut; /* there was more than the program has noted */
};

/*
 * From the steps of one run. 0, -ENOMEM, or -EBADMSG where the steps and the tables do not go
 * together. The caller clears it in either case.
 */
int pg_explain_make(const struct pg_term_map *map, const struct pg_step *step, size_t n,
		    struct pg_explain *ret);
void pg_explain_clear(struct pg_explain *explain);

/*
 * A policy whose rules are the conditions that are in question, of rows from `from` on until there
 * are `max` of them; *ret_next is the row behind. Each rule counts the packets for which it holds.
 * NULL: no memory.
 */
struct pg_ruleset *pg_explain_probe(struct pg_explain *explain, size_t from, size_t max,
				    size_t *ret_next);
/* The rule of such a policy at place `i` of its stage has counted: for pg_explain_settle(). */
typedef bool pg_probe_held(void *arg, enum pg_stage stage, size_t i);
/* What is known once it has run. */
void pg_explain_settle(struct pg_explain *explain, size_t from, size_t next, pg_probe_held *held,
		       void *arg);

/* "-m tcp --dport 22"; nothing for NONE. */
void pg_condition_print(struct pg_text *t, const struct pg_rule *rule,
			const struct pg_condition *condition);
const char *pg_outcome_name(enum pg_outcome outcome);

/* What a list has of the packet's address, before it came. */
struct pg_left {
	const struct pg_match *match; /* of the policy that is asked */
	char text[96];
};
/* "hashlimit: 2 of 5 packets left". False: it is another match, or the packet has no address. */
bool pg_left_print(struct pg_text *t, struct pg_dp *dp, const struct pg_match *m,
		   const struct pg_trace *trace, uint64_t now_ns);

/* What a probe found beside the answer. */
struct pg_explained {
	const struct pg_left *left;
	size_t n_left;
	const struct pg_explain *explain;
	const struct pg_state *remembered; /* by pg_rule.state */
	uint64_t now_ns;
	const struct pg_dp_flow *flow; /* the packet's, before it came; NULL: none */
};
/* For people: what the parser has read, fragment, flow, and every rule that was considered. */
void pg_view_explained(struct pg_text *t, const struct pg_answer *answer,
		       const struct pg_explained *explained);
/* What a rule's limits have left, with ", " between them; "": it has none. */
void pg_rule_remembered_print(struct pg_text *t, const struct pg_rule *rule,
			      const struct pg_explained *explained);

/* What a limit, a quota or a counter has left: "3 of 5 packets left". False: it has nothing of the kind. */
bool pg_remembered_print(struct pg_text *t, const struct pg_match *m, const struct pg_state *state,
			 uint64_t now_ns);
