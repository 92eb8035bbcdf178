/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Between the sources of connections that are taken over. Only dp_adopt*.c include this. */
#pragma once

#include "dp.h"

/* Is it among the flows, and has not expired? */
bool pg_dp_adopt_knows(struct pg_dp *dp, const struct pg_flow_key *key);
/* Put it there, and count it, also where there is no place. */
void pg_dp_adopt_one(struct pg_dp *dp, const struct pg_dp_flow *flow);

/* Those of nf_conntrack; none where it is not loaded or must not be read. */
void pg_dp_adopt_conntrack(struct pg_dp *dp);
