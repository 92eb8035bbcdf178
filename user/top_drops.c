/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "top_drops.h"

#include <string.h>
#include <time.h>

#include "drops.h"

/* The local end is the one that ports are counted by: the destination on arrival, the source on departure. */
static void fill(const struct pg_drop_row *from, struct pg_top_drop *to)
{
	const struct pg_drop *d = &from->drop;
	struct tm tm;

	memset(to, 0, sizeof(*to));
	if (localtime_r(&from->when.tv_sec, &tm))
		strftime(to->when, sizeof(to->when), "%H:%M:%S", &tm);
	to->time_ms = (uint64_t)from->when.tv_sec * 1000 + (uint64_t)from->when.tv_nsec / 1000000;
	memcpy(to->iface, from->fate.iface, sizeof(to->iface));
	to->reason = from->fate.reason;
	pg_fate_who(&from->fate, to->who, sizeof(to->who));
	pg_drop_proto(d, to->proto, sizeof(to->proto));
	for (int end = 0; end < 2; end++)
		pg_drop_end(d, end, to->end[end], sizeof(to->end[end]));
	if (d->has & PG_DROP_HAS_FLAGS)
		pg_flow_flags_text(d->tcp_flags, to->flags);
	to->length = d->length;
	to->port = -1;
	if (!(d->has & PG_DROP_HAS_PORTS) || (d->proto != 6 && d->proto != 17))
		return;
	to->port = from->fate.out ? d->sport : d->dport;
	to->port_proto = d->proto == 6 ? PG_PORT_TCP : PG_PORT_UDP;
}

int pg_top_drops_take(struct pg_drops *from, struct pg_top_drops *to, struct pg_err *err)
{
	_cleanup_(pg_drop_list_clear) struct pg_drop_list list = { 0 };
	int r = pg_drops_take(from, PG_TOP_LAST_DROPS, false, &list, err);

	if (r)
		return r;
	for (size_t i = 0; i < list.n; i++) {
		struct pg_top_drop row;

		fill(&list.row[i], &row);
		pg_top_drops_add(to, &row);
	}
	to->missed += list.missed;
	return 0;
}
