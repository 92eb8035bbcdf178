/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshots, one after the other → rates and their last minute. Pure. A counter that is lower than it
 * was has begun anew, so what it shows has been counted since; a rule's counter is only compared with
 * that of the same rule; and with another instance everything begins anew.
 */
#pragma once

#include "snapshot.h"

#define PG_HISTORY 60 /* samples that are kept: a minute at one a second */

enum pg_port_metric {
	PG_METRIC_IN_PACKETS, PG_METRIC_OUT_PACKETS, PG_METRIC_IN_BYTES, PG_METRIC_OUT_BYTES,
	PG_METRIC_DROPPED, PG_METRIC_SYN, PG_METRIC_RST, _PG_METRIC_MAX
};
/* What a row of the snapshot has counted. */
uint64_t pg_port_metric(const struct pg_port_row *row, enum pg_port_metric metric);

/* All rates are by second. */
struct pg_rate {
	double packets, bytes;
};

/* Packets per second in and out, oldest first, in a ring; what was not written since is 0. */
struct pg_series {
	float value[PG_HISTORY];
	uint32_t tick; /* of the last one written */
};

struct pg_port_rate {
	uint64_t last[_PG_METRIC_MAX];
	uint32_t tick; /* at which the rates were true; later they are 0 */
	float rate[_PG_METRIC_MAX];
	struct pg_series series;
};

struct pg_rule_rate {
	uint64_t hash; /* of the rule; 0: a chain's policy */
	uint32_t slot;
	struct pg_count last;
	struct pg_rate rate;
};

struct pg_iface_rate {
	uint64_t netns;
	uint32_t ifindex;
	struct pg_count last[_PG_DIR_MAX];
	uint64_t last_dropped[_PG_DIR_MAX];
	struct pg_rate rate[_PG_DIR_MAX];
	double dropped[_PG_DIR_MAX];
	struct pg_dp_cost last_cost[_PG_DIR_MAX];
	double ns_per_run[_PG_DIR_MAX]; /* 0: it is not measured, or has not run yet */
};

struct pg_state_rate {
	struct pg_state_matrix last;
	double rate[_PG_END_MAX][_PG_END_MAX];
};

struct pg_history {
	uint64_t instance, time_ns; /* of the last snapshot; time 0: there was none */
	uint64_t interval_ns;	    /* that a sample stands for */
	double elapsed_s;	    /* that the rates are of; 0: there are none yet */
	uint32_t tick;		    /* number of the last sample */
	uint32_t *port_at;	    /* owned; by protocol and port: 1 + where among the ports */
	struct pg_port_rate *port;  /* owned */
	size_t n_ports, cap_ports;
	struct pg_rule_rate *rule; /* owned; as in the snapshot: each chain's policy, then its rules */
	size_t n_rules;
	uint32_t generation;
	struct pg_iface_rate *iface; /* owned; as in the snapshot */
	size_t n_ifaces;
	struct pg_count last_verdict[_PG_DIR_MAX][_PG_VERDICT_MAX];
	struct pg_count last_reason[_PG_REASON_MAX], last_dropped[_PG_REASON_MAX];
	struct pg_rate verdict[_PG_DIR_MAX][_PG_VERDICT_MAX];
	struct pg_rate reason[_PG_REASON_MAX];
	struct pg_rate dropped[_PG_REASON_MAX]; /* by reason, dropped and rejected */
	struct pg_series accepts, drops; /* arrivals, packets */
	struct pg_state_rate states;	 /* of all ports; with snapshots that have them */
	struct pg_state_rate port_states; /* of states_port */
	int states_port;		 /* -1: none */
	uint64_t states_ns; /* of the last snapshot that had them; 0: there was none */
};

/* `interval_ns`: how often a snapshot is taken. NULL: no memory. */
struct pg_history *pg_history_new(uint64_t interval_ns);
void pg_history_free(struct pg_history *h);

/* snap->time_ns must grow. 0 or -ENOMEM, which leaves the history usable, but perhaps with gaps. */
int pg_history_add(struct pg_history *h, const struct pg_snapshot *snap);

/*
 * A snapshot between two samples: what was counted since is no rate yet, but for states, which have a
 * time of their own. What is of another policy or has other interfaces is a sample after all.
 */
int pg_history_refresh(struct pg_history *h, const struct pg_snapshot *snap);

/* NULL: it has not been seen. */
const struct pg_port_rate *pg_history_port(const struct pg_history *h, enum pg_port_proto proto,
					   uint16_t port);
/* A port's rate now; 0 for NULL. */
double pg_port_rate(const struct pg_history *h, const struct pg_port_rate *port,
		    enum pg_port_metric metric);
/* The last n samples, oldest first. n is PG_HISTORY at most. */
void pg_series_read(const struct pg_history *h, const struct pg_series *series, float *ret,
		    unsigned n);
/* States of this port are wanted as rates from now on; -1: of none. */
void pg_history_watch_states(struct pg_history *h, int port);
