/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The last packets that were dropped, in words, for the dashboard. Plain data. */
#pragma once

#include <net/if.h>

#include "diag.h"
#include "pg_abi.h"

struct pg_top_drop {
	char when[16]; /* "20:15:03" */
	uint64_t time_ms; /* since 1970 */
	char iface[IFNAMSIZ];
	enum pg_reason reason;
	char who[48]; /* that decided: "INPUT 3", "INPUT policy", "-" */
	char proto[16];
	char end[2][64]; /* source, destination: "10.0.0.1:443" */
	char flags[9];	 /* "SA"; "": not TCP */
	uint32_t length;
	int32_t port; /* of this host, in tcp or udp: what `a' and `d' work on; -1: none */
	enum pg_port_proto port_proto;
};

/* The newest of them. Zeroed it is empty. */
#define PG_TOP_LAST_DROPS 256
struct pg_top_drops {
	struct pg_top_drop row[PG_TOP_LAST_DROPS];
	uint64_t n; /* that were added */
	uint64_t missed;
};

static inline void pg_top_drops_add(struct pg_top_drops *drops, const struct pg_top_drop *row)
{
	drops->row[drops->n++ % PG_TOP_LAST_DROPS] = *row;
}
/* The i-th newest, from 0. */
static inline const struct pg_top_drop *pg_top_drops_row(const struct pg_top_drops *drops, size_t i)
{
	return &drops->row[(drops->n - 1 - i) % PG_TOP_LAST_DROPS];
}

/* What came to the black box since the last time. 0 or a negative errno. */
struct pg_drops;
int pg_top_drops_take(struct pg_drops *from, struct pg_top_drops *to, struct pg_err *err);
