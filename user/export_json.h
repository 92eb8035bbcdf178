/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshot → JSON with the names that docs promise. One document each, on one line. Pure but for
 * the FILE. 0, or -ENOMEM, or -EIO when the file took no more; err is filled.
 */
#pragma once

#include <stdio.h>
#include <time.h>

#include "answer.h"
#include "diff.h"
#include "explain.h"
#include "lint.h"
#include "shadow.h"
#include "snapshot.h"
#include "view.h"

int pg_json_status(FILE *f, const struct pg_snapshot *snap, struct pg_err *err);
int pg_json_ports(FILE *f, const struct pg_snapshot *snap, const struct pg_ports_opts *opts,
		  struct pg_err *err);
int pg_json_reasons(FILE *f, const struct pg_snapshot *snap, struct pg_err *err);
int pg_json_rules(FILE *f, const struct pg_snapshot *snap, struct pg_err *err);
int pg_json_states(FILE *f, const struct pg_states *states, const struct pg_states_opts *opts,
		   struct pg_err *err);
/* A list of problems. */
int pg_json_lint(FILE *f, const struct pg_lint *lint, struct pg_err *err);

/* One packet that LOG or NFLOG reported. */
struct pg_log_record {
	const struct pg_event *event;
	struct timespec when;
	const char *ifname;
	const char *table, *chain; /* NULL: the rule is no longer there */
	size_t rule; /* counted from 1 */
};
int pg_json_log(FILE *f, const struct pg_log_record *record, struct pg_err *err);

/* What a replay has counted beside the snapshot of its private instance. */
struct pg_replay_sums {
	uint64_t frames, skipped, cut;
	uint64_t verdict[_PG_VERDICT_MAX];
	uint64_t reason[_PG_REASON_MAX];
	uint64_t ethertype[65536]; /* [0]: frames with an 802.3 length instead */
	uint64_t vlans[4];	   /* by number of tags, 3 for more than two */
	uint64_t l4[256];
	uint64_t frag[_PG_FRAG_MAX];
};
/* `diff` NULL: there was no second policy. */
int pg_json_replay(FILE *f, const struct pg_replay_sums *sums, const struct pg_diff *diff,
		   const struct pg_snapshot *snap, struct pg_err *err);

/* iface NULL: none that has a name; explained NULL: nobody asked for that. */
int pg_json_answer(FILE *f, const struct pg_answer *answer, const char *iface,
		   const struct pg_explained *explained, struct pg_err *err);

/* What a policy that is tried would do otherwise. */
int pg_json_shadow(FILE *f, const struct pg_shadow *shadow, struct pg_err *err);
