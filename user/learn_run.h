/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `learn` sees: an instance's flows, or those that captures make in a private one. */
#pragma once

#include "ast.h"
#include "dp.h"
#include "learn.h"
#include "replay.h"

/* A connection that was seen. */
struct pg_seen {
	struct pg_flow_row row;
	enum pg_way way;
	enum pg_proof proof;
};

struct pg_study {
	struct pg_locals locals;
	struct pg_sockets sockets; /* of a running instance */
	struct pg_learn learn;
	struct pg_seen *seen; /* owned; SEEN_MAX at most */
	size_t n_seen, cap;
	bool cut; /* there were more */
	uint64_t oldest_ns; /* age of the oldest flow when it was seen */
	uint64_t watched_s;
	uint32_t *bucket; /* of `seen` by their keys, 1-based; 0: empty */
	size_t n_buckets;
};

/* Take the flows that the instance has now, each once. 0 or negative with err filled, as all. */
int pg_study_flows(struct pg_study *study, struct pg_dp *dp, struct pg_err *err);
/* Connections whose flows are gone, as far as states, or datagrams both ways, were counted by port. */
int pg_study_states(struct pg_study *study, struct pg_dp *dp, struct pg_err *err);
/* When all were taken: what they teach. */
int pg_study_learn(struct pg_study *study, struct pg_err *err);
/* All flows of the captures. */
int pg_study_captures(struct pg_study *study, char **path, size_t n, const char *iface,
		      struct pg_err *err);
/* Which of what was seen the policy would not have let begin, as offers. `live`: whose sets it asks. */
int pg_study_dropped(const struct pg_study *study, struct pg_dp *live, const struct pg_ruleset *set,
		     const char *iface, struct pg_learn *ret_dropped, uint64_t *ret_proven,
		     struct pg_err *err);
/* The captures through the policy: the snapshot, with ports, of the instance that has judged them. */
int pg_study_replay(const struct pg_study *study, char **path, size_t n, const char *iface,
		    const struct pg_ruleset *set, struct pg_snapshot **ret, struct pg_err *err);
void pg_study_clear(struct pg_study *study);
