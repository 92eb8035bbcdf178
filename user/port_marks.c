/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "port_marks.h"

#include <errno.h>
#include <string.h>

#define MINUTE_NS 60000000000ULL

/* FNV-1a of all that listens. */
static uint64_t hash_listeners(const struct pg_snapshot *snap)
{
	uint64_t hash = 14695981039346656037ULL;

	for (size_t i = 0; i < snap->n_port; i++) {
		const struct pg_port_row *row = &snap->port[i];

		if (!row->has_listener)
			continue;
		hash = (hash ^ (uint64_t)(row->port << 1 | row->proto)) * 1099511628211ULL;
		for (const char *p = row->listener.address; *p; p++)
			hash = (hash ^ (uint8_t)*p) * 1099511628211ULL;
	}
	return hash;
}

bool pg_marks_due(struct pg_marks_age *age, const struct pg_snapshot *snap, uint64_t now_ns)
{
	uint64_t listeners = hash_listeners(snap);
	bool other = age->instance != snap->instance || age->generation != snap->policy.generation;

	if (age->due_ns && !other && now_ns < age->due_ns &&
	    (listeners == age->listeners || now_ns < age->again_ns))
		return false;
	*age = (struct pg_marks_age){
		.due_ns = now_ns + 10 * MINUTE_NS,
		.again_ns = now_ns + MINUTE_NS,
		.instance = snap->instance,
		.listeners = listeners,
		.generation = snap->policy.generation,
	};
	return true;
}

int pg_marks_ask(struct pg_dp *dp, struct pg_port_marks *ret, struct pg_err *err)
{
	_cleanup_(pg_sockets_clear) struct pg_sockets sockets = { 0 };
	_cleanup_(pg_foreign_clear) struct pg_foreign foreign = { 0 };
	int r = pg_sockets_read(false, &sockets, err);

	*ret = (struct pg_port_marks){ 0 };
	if (!r && pg_foreign_read(&foreign))
		r = pg_fail(err, -EIO, "cannot read other rules");
	if (!r)
		r = pg_port_marks_read(dp, &sockets, &foreign, ret, err);
	if (r)
		pg_port_marks_clear(ret);
	return r;
}

static int compare(const struct pg_port_mark *m, const struct pg_port_row *row)
{
	return m->proto != row->proto ? (int)m->proto - (int)row->proto : (int)m->port - (int)row->port;
}

/* Marks the rows that there are; how many marks have none. */
static size_t mark_rows(const struct pg_port_marks *marks, struct pg_snapshot *snap)
{
	size_t missing = 0, at = 0;

	for (size_t k = 0; k < marks->n; k++) {
		const struct pg_port_mark *m = &marks->row[k];

		while (at < snap->n_port && compare(m, &snap->port[at]) > 0)
			at++;
		if (at < snap->n_port && !compare(m, &snap->port[at]))
			snap->port[at].mark = m->mark;
		else
			missing += m->mark != PG_MARK_NONE;
	}
	return missing;
}

int pg_marks_apply(const struct pg_port_marks *marks, const struct pg_services *services,
		   struct pg_snapshot *snap)
{
	size_t missing = mark_rows(marks, snap), from = snap->n_port, to = from + missing;
	struct pg_port_row *all = missing ? reallocarray(snap->port, to, sizeof(*all)) : NULL;

	if (!missing)
		return 0;
	if (!all)
		return -ENOMEM;
	snap->port = all;
	snap->n_port = to;
	/* From behind; as soon as all have their place, the rest stays where it is. */
	for (size_t k = marks->n; to > from; k--) {
		const struct pg_port_mark *m = &marks->row[k - 1];

		while (from && compare(m, &all[from - 1]) < 0)
			all[--to] = all[--from];
		if (m->mark == PG_MARK_NONE || (from && !compare(m, &all[from - 1])))
			continue;
		all[--to] = (struct pg_port_row){ .proto = m->proto, .port = m->port, .mark = m->mark };
		snprintf(all[to].service, sizeof(all[to].service), "%s",
			 pg_service_name(services, m->proto, m->port));
	}
	return 0;
}
