/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Snapshot → text, for people. Pure: no kernel, no terminal. `width` is the terminal's, 0 where
 * there is none and lines may be as long as they need. Text is fitted to the width by folding it;
 * numbers are always printed in full, even where they make a line too long.
 */
#pragma once

#include "snapshot.h"

enum pg_port_sort {
	PG_SORT_PORT,
	PG_SORT_PACKETS, /* in and out, most first, as all that follow */
	PG_SORT_BYTES,
	PG_SORT_DROPPED,
	_PG_SORT_MAX
};
/* 0 or -EINVAL. */
int pg_port_sort_from_str(const char *text, enum pg_port_sort *ret);

/* Ports to show. */
struct pg_port_filter {
	bool any_proto;
	enum pg_port_proto proto;
	uint16_t lo, hi;
};
/* "443", "443/tcp", "8000-8010/udp" (':' is as good as '-'), "tcp", "udp". 0 or -EINVAL. */
int pg_port_filter_from_str(const char *text, struct pg_port_filter *ret);

struct pg_ports_opts {
	enum pg_port_sort sort;
	const struct pg_port_filter *filter; /* any of them; n_filter 0: every port */
	size_t n_filter;
	size_t limit; /* rows of the table; 0: all */
};
/* Is this row one of those asked for? */
bool pg_ports_wanted(const struct pg_ports_opts *opts, const struct pg_port_row *row);
/* Sorts a table of n pointers to rows. */
void pg_ports_sort(const struct pg_port_row **row, size_t n, enum pg_port_sort sort);

void pg_view_ports(struct pg_text *t, const struct pg_snapshot *snap, unsigned width,
		   const struct pg_ports_opts *opts);
/* Only reasons that have counted something, unless `all`. */
void pg_view_reasons(struct pg_text *t, const struct pg_snapshot *snap, unsigned width, bool all);
void pg_view_rules(struct pg_text *t, const struct pg_snapshot *snap, unsigned width);
void pg_view_status(struct pg_text *t, const struct pg_snapshot *snap, unsigned width);
