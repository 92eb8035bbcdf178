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
	uint64_t time_ns;    /* when the walk began; 0: there was none */
	struct pg_flow_list list; /* in order */
	uint32_t count[_PG_FLOW_TABLE_MAX]; /* of all that there are */
	uint64_t word[_PG_FLOW_WORD_MAX];   /* likewise, by state */
	uint32_t *open; /* owned: connections by protocol and port of this host's end */
};
static inline uint32_t pg_flow_sample_open(const struct pg_flow_sample *s, enum pg_port_proto proto,
					   uint16_t port)
{
	return s && s->open ? s->open[proto * PG_PORTS + port] : 0;
}

/* This host's addresses, sorted. */
struct pg_own_addresses {
	uint8_t (*addr)[17]; /* owned: enum pg_family, then the address, IPv4 in the first four */
	size_t n;
};
/* Of this process' network namespace, as they are now. 0 or a negative errno. */
int pg_own_addresses_read(struct pg_own_addresses *ret);

struct pg_flow_seen;
struct pg_sampler {
	struct pg_flow_sample sample; /* of the last complete walk */
	struct pg_flow_sample next;
	struct pg_flow_seen *seen; /* owned: what was seen of each flow the last time, by place */
	uint32_t places;
	uint64_t now_ns;  /* of the rows that are added; a walk that takes its time sets it */
	struct pg_own_addresses own; /* owned */
};

/* Each walk: begin, all rows, end. 0 or -ENOMEM, which ends a walk without a sample. */
int pg_sampler_begin(struct pg_sampler *s, uint64_t now_ns, uint32_t places);
/* `wanted`: it is one for the list, which `query` (.by, .top) orders. Sets its rate. */
int pg_sampler_add(struct pg_sampler *s, const struct pg_flow_query *query, struct pg_flow_row *row,
		   bool wanted);
void pg_sampler_end(struct pg_sampler *s, const struct pg_flow_query *query);
/*
 * The first n rows of the list as they are now, and their order: between two walks, and of all after one of
 * glances, of which rows lack the rest. `again` is pg_flows_again(). 0 or a negative errno.
 */
typedef int pg_sampler_again_fn(void *arg, struct pg_flow_row *row, size_t n, bool *ret_gone);
int pg_sampler_refresh(struct pg_sampler *s, const struct pg_flow_query *query, size_t n,
		       pg_sampler_again_fn *again, void *arg, uint64_t now_ns);
void pg_sampler_clear(struct pg_sampler *s);

/* Is the connection open, so that a port has it? Not: half-open, closed, or without an answer. */
bool pg_flow_is_open(const struct pg_flow_row *row);
