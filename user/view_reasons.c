/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "names.h"
#include "view.h"
#include "view_table.h"

void pg_view_reasons(struct pg_text *t, const struct pg_snapshot *snap, unsigned width, bool all)
{
	static const struct pg_column columns[] = {
		{ "REASON", false, false },
		{ "PACKETS", true, false },
		{ "BYTES", true, false },
		{ "MEANING", false, true },
	};
	_cleanup_(pg_table_freep) struct pg_table *table =
		pg_table_new(columns, ARRAY_SIZE(columns));

	for (int r = 0; r < _PG_REASON_MAX; r++) {
		const struct pg_count *count = &snap->reason[r];

		if (!count->packets && !all)
			continue;
		pg_table_cell(table, "%s", pg_reason_name((enum pg_reason)r));
		pg_table_number(table, count->packets);
		pg_table_number(table, count->bytes);
		pg_table_cell(table, "%s", pg_reason_help((enum pg_reason)r));
	}
	pg_table_print(t, table, width);
}
