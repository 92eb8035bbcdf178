/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows for the dashboard: who talks most, and how many connections each port has, from one walk over
 * all of them now and then. Pure: who walks gives each row.
 */
#pragma once

#include "flows.h"

/* How many are kept of those that are asked for. */
#define PG_FLOW_SAMPLE_TOP 512

struct pg_flow_sample {
	uint64_t time_ns;    /* of the walk; 0: there was none */
	double elapsed_s;    /* since one before; 0: there was none */
	struct pg_flow_list list; /* in order; .since is of elapsed_s */
	uint32_t count[_PG_FLOW_TABLE_MAX]; /* of all that there are */
	uint32_t *open; /* owned: connections by protocol and port of this host's end */
};
static inline uint32_t pg_flow_sample_open(const struct pg_flow_sample *s, enum pg_port_proto proto,
					   uint16_t port)
{
	return s ? s->open[proto * PG_PORTS + port] : 0;
}

/* This host's addresses, sorted. */
struct pg_own_addresses {
	uint8_t (*addr)[17]; /* owned: enum pg_family, then the address, IPv4 in the first four */
	size_t n;
};
/* Of this process' network namespace, as they are now. 0 or a negative errno. */
int pg_own_addresses_read(struct pg_own_addresses *ret);

/* What the last walk has seen of each flow. */
struct pg_flow_seen;
struct pg_sampler {
	struct pg_flow_sample sample; /* of the last complete walk */
	struct pg_flow_sample next;
	struct pg_flow_seen *seen, *seeing; /* owned */
	size_t n_seen, cap_seen, n_seeing, cap_seeing;
	uint64_t seen_ns; /* when it was; half a second at least before the next one */
	struct pg_own_addresses own; /* owned */
};

/* Each walk: begin, all rows, end. 0 or -ENOMEM, which ends a walk without a sample. */
int pg_sampler_begin(struct pg_sampler *s, uint64_t now_ns);
/* `wanted`: it is one for the list, which `query` (.by, .top) orders. */
int pg_sampler_add(struct pg_sampler *s, const struct pg_flow_query *query,
		   const struct pg_flow_row *row, bool wanted);
void pg_sampler_end(struct pg_sampler *s, const struct pg_flow_query *query);
void pg_sampler_clear(struct pg_sampler *s);

/* Is the connection open, so that a port has it? Not: half-open, closed, or without an answer. */
bool pg_flow_is_open(const struct pg_flow_row *row);
