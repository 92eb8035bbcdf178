/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A set as `ipset list` and `ipset save` show it, in each of their formats and as JSON. */
#pragma once

#include "ipset.h"

enum pg_set_format { PG_SET_PLAIN, PG_SET_SAVE, PG_SET_XML, PG_SET_JSON };

struct pg_set_show {
	enum pg_set_format format;
	bool names, terse, sorted;
	bool first; /* of all that are shown */
	uint64_t now_ns;
};

struct pg_set_view {
	const struct pg_set_info *info;
	struct pg_set_entry *entry; /* in force */
	size_t n;
	uint32_t references;
	uint64_t memory_bytes;
};

/* What stands around all sets. */
void pg_set_show_begin(FILE *f, const struct pg_set_show *show);
void pg_set_show(FILE *f, const struct pg_set_view *view, const struct pg_set_show *show);
void pg_set_show_end(FILE *f, const struct pg_set_show *show);
