/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "answer.h"
#include "diff.h"
#include "names.h"
#include "print.h"

void pg_diff_side_print(struct pg_text *t, const struct pg_diff_side *side)
{
	const struct pg_place *by = &side->place;
	bool plain = side->reason == PG_REASON_RULE || side->reason == PG_REASON_POLICY;
	char name[sizeof(by->chain->name)];

	pg_text_add(t, "%s", pg_verdict_name((enum pg_verdict)side->verdict));
	if (!by->chain) {
		pg_text_add(t, ": %s", plain ? "as its first fragment, or by a rule that is gone" :
					       pg_reason_name((enum pg_reason)side->reason));
		return;
	}
	pg_text_add(t, by->rule ? " by rule %u of " : " by the policy of ", by->num);
	pg_text_add(t, "%s%s", by->chain->table == PG_TABLE_RAW ? "raw " : "",
		    pg_printable(by->chain->name, name, sizeof(name)));
	if (!plain)
		pg_text_add(t, ", %s", pg_reason_name((enum pg_reason)side->reason));
	if (!by->rule)
		return;
	pg_text_add(t, ": ");
	pg_place_add(t, by);
}

static bool same_sides(const struct pg_diff_row *a, const struct pg_diff_row *b)
{
	return a->was.place.chain == b->was.place.chain && a->was.place.num == b->was.place.num &&
	       a->was.verdict == b->was.verdict && a->was.reason == b->was.reason &&
	       a->now.place.chain == b->now.place.chain && a->now.place.num == b->now.place.num &&
	       a->now.verdict == b->now.verdict && a->now.reason == b->now.reason;
}

static void add_row(struct pg_text *t, const struct pg_diff_row *row)
{
	const char *proto = row->has_proto ? pg_proto_name(row->proto) : NULL;
	char source[INET6_ADDRSTRLEN] = "?", iface[IFNAMSIZ];

	pg_text_add(t, "  %10llu packets %12llu bytes  %-3s ", row->count.packets, row->count.bytes,
		    row->dir == PG_DIR_IN ? "in" : "out");
	if (proto)
		pg_text_add(t, " %s", proto);
	else if (row->has_proto)
		pg_text_add(t, " protocol %u", row->proto);
	if (row->has_port)
		pg_text_add(t, " port %u", row->port);
	if (row->iface[0])
		pg_text_add(t, " %s %s", row->dir == PG_DIR_IN ? "on" : "out of",
			    pg_printable(row->iface, iface, sizeof(iface)));
	if (row->has_source)
		pg_text_add(t, " from %s",
			    inet_ntop(row->v6 ? AF_INET6 : AF_INET, row->source, source,
				      sizeof(source)));
	if (row->first_frame)
		pg_text_add(t, ", first frame %" PRIu64, row->first_frame);
	pg_text_addn(t, "\n", 1);
}

void pg_view_diff(struct pg_text *t, const struct pg_diff *diff, size_t limit)
{
	size_t n = limit && limit < diff->n ? limit : diff->n;

	for (size_t i = 0; i < n; i++) {
		const struct pg_diff_row *row = &diff->row[i];

		if (!i || !same_sides(row - 1, row)) {
			pg_text_add(t, "%swas ", i ? "\n" : "");
			pg_diff_side_print(t, &row->was);
			pg_text_add(t, "\nnow ");
			pg_diff_side_print(t, &row->now);
			pg_text_addn(t, "\n", 1);
		}
		add_row(t, row);
	}
	if (n < diff->n)
		pg_text_add(t, "… and %zu more lines (--json has them all)\n", diff->n - n);
}
