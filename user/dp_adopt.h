/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between the sources of connections that are taken over. Only dp_adopt*.c include this. */
#pragma once

#include "dp.h"

/* Keys of flows, by their hash: several sources may know one connection. */
struct pg_adopt_keys {
	__u64 *hash;
	size_t n, cap;
};

struct pg_adoption {
	struct pg_dp *dp;
	struct pg_adopt_keys met, homeless; /* all; those without a place */
	bool oom;
	bool listening[PG_PORTS]; /* local ports: who connects to them opened the connection */
};

/* Is it among the flows, and has not expired? */
bool pg_dp_adopt_knows(struct pg_adoption *a, const struct pg_flow_key *key);
/* Put one there that is not. */
void pg_dp_adopt_one(struct pg_adoption *a, const struct pg_dp_flow *flow);

/* Those of nf_conntrack. 0, also where it is not loaded or must not be read, or a negative errno. */
int pg_dp_adopt_conntrack(struct pg_adoption *a);
