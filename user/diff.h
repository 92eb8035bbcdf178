/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets about which two policies differ, grouped by what each of them says and by port: what
 * `replay --against` and `shadow` tell. Plain data, no kernel.
 */
#pragma once

#include <stdio.h>

#include "answer.h"

/* What one policy says of a packet. */
struct pg_diff_side {
	struct pg_place place; /* who decided */
	uint8_t verdict;       /* enum pg_verdict */
	uint8_t reason;	       /* enum pg_reason */
};

struct pg_diff_row {
	enum pg_dir dir;
	char iface[IFNAMSIZ]; /* "": not known */
	bool has_proto, has_port, has_source, v6;
	uint8_t proto;
	uint16_t port;	    /* the local end's */
	uint8_t source[16]; /* network order; IPv4 in the first four */
	struct pg_diff_side was, now;
	struct pg_count count;
	uint64_t first_frame; /* of a capture, from 1; 0: there is none */
};

struct pg_diff {
	struct pg_diff_row *row; /* owned; in the order in which they came, until sorted */
	size_t n, cap;
	uint32_t *bucket; /* 1 + row; owned */
	size_t mask;
	uint64_t packets; /* of all rows */
};

/*
 * Add `row`, or count it with the one that is the same but for count and first_frame. 0 or
 * -ENOMEM. The rulesets that its places point into are to live as long.
 */
int pg_diff_add(struct pg_diff *diff, const struct pg_diff_row *row);
/* By who decided before and now, then by packets, most first. Nothing can be added afterwards. */
void pg_diff_sort(struct pg_diff *diff);
void pg_diff_clear(struct pg_diff *diff);

/* A row of one frame: its port and what it is; who decided is the caller's to fill in. */
void pg_diff_row_from_trace(const struct pg_trace *trace, enum pg_dir dir, struct pg_diff_row *ret);

/* "drop by rule 3 of INPUT: -p tcp -j DROP" */
void pg_diff_side_print(struct pg_text *t, const struct pg_diff_side *side);
/* Sorted rows for people, `limit` of them at most; 0: all. */
void pg_view_diff(struct pg_text *t, const struct pg_diff *diff, size_t limit);
