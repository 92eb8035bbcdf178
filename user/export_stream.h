/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshot → what the page needs each second, as short as it can be: counters, not rates, and only the
 * ports that matter most now. Pure but for the FILE.
 */
#pragma once

#include "snapshot.h"
#include "top_drops.h"
#include "top_flows.h"

#define PG_STREAM_PORTS 300
#define PG_STREAM_DROPS 40
#define PG_STREAM_FLOWS 50

/* What goes with a snapshot. */
struct pg_stream_more {
	const char *host; /* this machine's name */
	const struct pg_flow_sample *flows;
	const struct pg_top_drops *drops;
	const char *marks_error; /* why ports have no marks; "": they have */
};

/* What the ports had counted the last time, by which the busiest are chosen. */
struct pg_stream {
	uint64_t packets[_PG_PORT_PROTO_MAX][PG_PORTS];
	bool begun; /* there was a last time */
};

/* One JSON document on one line: see docs/serve.md for its names. 0 or a negative errno with err filled. */
int pg_stream_write(FILE *f, struct pg_stream *stream, const struct pg_snapshot *snap,
		    const struct pg_stream_more *more, struct pg_err *err);
