/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Captured frames through the program of a private instance. */
#pragma once

#include <stdio.h>

#include "answer.h"
#include "capture.h"
#include "diff.h"
#include "dp.h"
#include "export_json.h"
#include "local.h"

/* What a frame's line says of it, while it waits. */
struct pg_replay_fed {
	uint64_t number;
	int64_t sec;
	uint32_t nsec;
	enum pg_dir dir;
};

/* The policy that a replay is held against. */
struct pg_replay_old {
	struct pg_dp *dp; /* NULL: none */
	struct pg_term_map map;
	struct pg_diff diff;
};

struct pg_replay {
	struct pg_dp *dp;
	const struct pg_locals *locals;
	struct pg_term_map map;
	FILE *verdicts; /* NULL: not asked for */
	struct pg_replay_sums sums;
	struct pg_count short_frames; /* below 14 bytes, which the kernel doesn't run */
	char warning[256];	      /* why the first frame that the kernel refused was; "" */
	struct pg_replay_old old;
	struct pg_replay_fed *fed; /* frames that wait to be run together, PG_FEED_FRAMES */
	uint8_t *buf;		      /* for a frame that was cut short, pg_dp_run_max() */
};

/* dp is the caller's. 0 or -ENOMEM with err filled. */
int pg_replay_init(struct pg_replay *replay, struct pg_dp *dp, struct pg_err *err);
void pg_replay_clear(struct pg_replay *replay);

/* All frames of one capture. */
int pg_replay_capture(struct pg_replay *replay, struct pg_capture *capture, struct pg_err *err);

/* Count one frame that was run, as the tables and JSON of a replay do. */
void pg_replay_count(struct pg_replay_sums *sums, const struct pg_trace *trace);

/* The line that says what the columns are, and one frame's. trace NULL: it was not run. */
void pg_verdict_header(FILE *f);
void pg_verdict_line(FILE *f, uint64_t number, const struct pg_frame *frame, enum pg_dir dir,
		     const struct pg_trace *trace, const struct pg_term_map *map);

/* Summary for people. `snap` is of the private instance. */
void pg_view_replay(struct pg_text *t, const struct pg_replay_sums *sums,
		    const struct pg_snapshot *snap, unsigned width);
/* What differs from the policy before, and nothing else. */
void pg_view_against(struct pg_text *t, const struct pg_replay_sums *sums,
		     const struct pg_diff *diff);
