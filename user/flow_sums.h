/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How many flows there are, by state and by port of this host. */
#pragma once

#include "dp.h"
#include "flows.h"

struct pg_flow_sums {
	uint64_t word[_PG_FLOW_WORD_MAX];
	/* TCP: ESTABLISHED; UDP: answered. Only ends that have an address of this host's. */
	uint32_t open[_PG_PORT_PROTO_MAX][PG_PORTS];
};

/* 0 or a negative errno with err filled. */
int pg_flow_sums_read(struct pg_dp *dp, struct pg_flow_sums *ret, struct pg_err *err);
