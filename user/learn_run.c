/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "learn_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "flow_read.h"
#include "policy.h"
#include "trial.h"

#define SEEN_MAX 200000U

static const struct pg_flow_query every_flow;

static int no_memory(struct pg_err *err)
{
	return pg_fail(err, -ENOMEM, "out of memory");
}

/* Seeing ------------------------------------------------------------------------------------------------ */

static bool listens(const struct pg_study *study, const struct pg_flow_row *row)
{
	for (size_t i = 0; i < study->sockets.n; i++) {
		const struct pg_socket_row *s = &study->sockets.row[i];

		if (s->proto == PG_PORT_UDP && row->proto == IPPROTO_UDP && s->port == row->port[1] &&
		    !s->netns)
			return true;
	}
	return false;
}

static void judge(const struct pg_study *study, const struct pg_flow_row *row, struct pg_seen *ret)
{
	ret->row = *row;
	ret->way = pg_learn_way(&ret->row, &study->locals, study->sockets.n ? &study->sockets : NULL);
	ret->proof = pg_learn_proof(&ret->row, ret->way == PG_WAY_IN && listens(study, &ret->row));
}

static size_t hash_key(const struct pg_flow_key *key)
{
	const uint8_t *b = (const void *)key;
	uint64_t h = 1469598103934665603ULL;

	for (size_t i = 0; i < sizeof(*key); i++)
		h = (h ^ b[i]) * 1099511628211ULL;
	return (size_t)(h >> 16);
}

/* Where in the table the flow of this key is, or belongs. */
static uint32_t *find(const struct pg_study *study, const struct pg_flow_key *key)
{
	size_t mask = study->n_buckets - 1, at = hash_key(key) & mask;

	while (study->bucket[at] &&
	       memcmp(&study->seen[study->bucket[at] - 1].row.key, key, sizeof(*key)))
		at = (at + 1) & mask;
	return &study->bucket[at];
}

static int grow(struct pg_study *study)
{
	size_t cap = study->cap ? 2 * study->cap : 256;
	struct pg_seen *all;

	if (study->n_seen < study->cap)
		return 0;
	all = reallocarray(study->seen, cap, sizeof(*all));
	if (!all)
		return -ENOMEM;
	study->seen = all;
	study->cap = cap;
	free(study->bucket);
	study->n_buckets = 2 * cap;
	study->bucket = calloc(study->n_buckets, sizeof(*study->bucket));
	if (!study->bucket)
		return -ENOMEM;
	for (size_t i = 0; i < study->n_seen; i++)
		*find(study, &all[i].row.key) = (uint32_t)i + 1;
	return 0;
}

/* A flow that is seen again counts as what it proves most. */
static int take_flow(void *arg, const struct pg_flow_row *row)
{
	struct pg_study *study = arg;
	struct pg_seen seen;
	uint32_t *at;

	if (!row->here)
		return 0;
	judge(study, row, &seen);
	if (seen.way == PG_WAY_INSIDE)
		return 0;
	if (row->age_ns > study->oldest_ns)
		study->oldest_ns = row->age_ns;
	if (study->n_seen == SEEN_MAX) {
		study->cut = true;
		return pg_learn_add(&study->learn, &seen.row, seen.way, seen.proof);
	}
	if (grow(study) < 0)
		return -ENOMEM;
	at = find(study, &row->key);
	if (!*at)
		*at = (uint32_t)++study->n_seen;
	else if (seen.proof < study->seen[*at - 1].proof)
		return 0;
	study->seen[*at - 1] = seen;
	return 0;
}

int pg_study_flows(struct pg_study *study, struct pg_dp *dp, struct pg_err *err)
{
	int r = pg_flows_each(dp, &every_flow, take_flow, study, err);

	return r == -ENOMEM ? no_memory(err) : r;
}

int pg_study_learn(struct pg_study *study, struct pg_err *err)
{
	for (size_t i = 0; i < study->n_seen; i++) {
		const struct pg_seen *seen = &study->seen[i];

		if (pg_learn_add(&study->learn, &seen->row, seen->way, seen->proof) < 0)
			return no_memory(err);
	}
	return 0;
}

int pg_study_states(struct pg_study *study, struct pg_dp *dp, struct pg_err *err)
{
	const struct pg_port_states *states = pg_dp_port_states(dp);
	_free_ struct pg_count *in = calloc(PG_PORTS, sizeof(*in)), *out = calloc(PG_PORTS, sizeof(*out));

	if (!in || !out)
		return no_memory(err);
	pg_dp_ports_read(dp, PG_DIR_IN, PG_PORT_UDP, in);
	pg_dp_ports_read(dp, PG_DIR_OUT, PG_PORT_UDP, out);
	for (size_t i = 0; i < study->sockets.n; i++) {
		const struct pg_socket_row *s = &study->sockets.row[i];
		bool tcp = s->proto == PG_PORT_TCP;
		uint64_t n;

		if (s->netns || s->loopback || (!tcp && s->port >= PG_OWN_PORTS))
			continue;
		n = tcp			       ? states[s->port].count[PG_FROM_SYN_RECEIVED_TO_ESTABLISHED] :
		    out[s->port].packets ? in[s->port].packets :
					     0;
		if (n && pg_learn_add_unknown(&study->learn, tcp ? IPPROTO_TCP : IPPROTO_UDP, s->port, n) < 0)
			return no_memory(err);
	}
	return 0;
}

/* Captures ---------------------------------------------------------------------------------------------- */

static int run_captures(struct pg_dp *dp, const struct pg_study *study, char **path, size_t n,
			struct pg_err *err)
{
	struct pg_replay *replay = calloc(1, sizeof(*replay));
	int r = replay ? pg_replay_init(replay, dp, err) : no_memory(err);

	if (!r)
		replay->locals = &study->locals;
	for (size_t i = 0; i < n && r >= 0; i++) {
		_cleanup_(pg_capture_closep) struct pg_capture *capture = NULL;

		r = pg_capture_open(path[i], &capture, err);
		if (r >= 0)
			r = pg_replay_capture(replay, capture, err);
	}
	if (replay)
		pg_replay_clear(replay);
	free(replay);
	return r < 0 ? r : 0;
}

/* Its flows are the captures' own, not those that this host has now. */
static int open_private(const struct pg_ruleset *set, const char *iface, struct pg_dp **ret_dp,
			struct pg_err *err)
{
	const struct pg_private_opts opts = {
		.iface = iface,
		.progs = PG_PROG_TC_IN | PG_PROG_TC_OUT,
		.fed = true,
	};
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *copy = set ? pg_ruleset_dup(set) :
								     pg_ruleset_new();
	int r;

	if (!copy)
		return no_memory(err);
	pg_policy_disown(copy);
	r = pg_dp_open_private(&opts, ret_dp, err);
	if (!r)
		r = pg_policy_commit(*ret_dp, copy, err);
	if (!r)
		r = pg_dp_flow_options_set(*ret_dp, PG_FLOW_OPT_TRACK, err);
	return r ? r : pg_dp_flow_forget(*ret_dp, err);
}

int pg_study_captures(struct pg_study *study, char **path, size_t n, const char *iface,
		      struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = open_private(NULL, iface, &dp, err);

	if (!r)
		r = run_captures(dp, study, path, n, err);
	if (r)
		return r;
	return pg_study_flows(study, dp, err);
}

int pg_study_replay(const struct pg_study *study, char **path, size_t n, const char *iface,
		    const struct pg_ruleset *set, struct pg_snapshot **ret, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = open_private(set, iface, &dp, err);

	if (!r)
		r = run_captures(dp, study, path, n, err);
	return r ? r : pg_snapshot_read(dp, NULL, PG_SNAP_PORTS, NULL, ret, err);
}

/* What a policy would have dropped ------------------------------------------------------------------------ */

int pg_study_dropped(const struct pg_study *study, struct pg_dp *live, const struct pg_ruleset *set,
		     const char *iface, struct pg_learn *ret_dropped, uint64_t *ret_proven,
		     struct pg_err *err)
{
	_cleanup_(pg_trial_clear) struct pg_trial trial = { 0 };
	int r = pg_trial_open(&trial, live, set, iface ? iface : "", err);

	*ret_proven = 0;
	trial.locals = &study->locals;
	for (size_t i = 0; !r && i < study->n_seen; i++) {
		const struct pg_seen *seen = &study->seen[i];
		const struct pg_rule *by;
		bool drops = false;

		r = pg_trial_flow(&trial, &seen->row, &drops, &by, err);
		if (r || !drops)
			continue;
		*ret_proven += seen->proof == PG_PROOF_TALK;
		if (pg_learn_add(ret_dropped, &seen->row, seen->way, PG_PROOF_TALK) < 0)
			r = no_memory(err);
	}
	if (!r)
		pg_learn_settle(ret_dropped, NULL);
	return r;
}

void pg_study_clear(struct pg_study *study)
{
	pg_locals_clear(&study->locals);
	pg_sockets_clear(&study->sockets);
	pg_learn_clear(&study->learn);
	free(study->seen);
	free(study->bucket);
	*study = (struct pg_study){ 0 };
}
