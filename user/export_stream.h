/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshot → what the page needs each second, as short as it can be: counters, not rates, and only the
 * ports that matter most now. Pure but for the FILE.
 */
#pragma once

#include "flow_sums.h"
#include "snapshot.h"

#define PG_STREAM_PORTS 300

/* What the ports had counted the last time, by which the busiest are chosen. */
struct pg_stream {
	uint64_t packets[_PG_PORT_PROTO_MAX][PG_PORTS];
};

/*
 * One JSON document on one line: see docs/serve.md for its names. `host` is this machine's name,
 * `now_ms` the time since 1970.
 * 0 or a negative errno with err filled.
 */
int pg_stream_write(FILE *f, struct pg_stream *stream, const struct pg_snapshot *snap,
		    const struct pg_flow_sums *sums, const char *host, uint64_t now_ms,
		    struct pg_err *err);
