/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Changes of state of TCP's ends, counted: plain data. */
#pragma once

#include "pg_abi.h"
#include "util.h"

struct pg_state_matrix {
	uint64_t count[_PG_END_MAX][_PG_END_MAX]; /* [from][to] */
};

struct pg_state_port {
	uint16_t port; /* of the end that was opened to */
	struct pg_state_matrix matrix;
};

struct pg_states {
	struct pg_state_matrix total;
	struct pg_state_port *port; /* those with any, ascending */
	size_t n_ports;
	uint64_t odd[_PG_ODD_MAX]; /* packets with flags that no TCP sends */
};
void pg_states_clear(struct pg_states *states);

/* Some ports only; n 0: all. */
struct pg_states_range {
	uint16_t lo, hi;
};
struct pg_states_opts {
	struct pg_states_range *port;
	size_t n;
};
bool pg_states_wanted(const struct pg_states_opts *opts, uint16_t port);

/*
 * A matrix, from in rows and to in columns, where there is room for it, and otherwise a line for each
 * change. With ports asked for, one for each of them; otherwise the whole machine's.
 */
void pg_view_states(struct pg_text *t, const struct pg_states *states, unsigned width,
		    const struct pg_states_opts *opts);
