/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "serve_ask.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

void pg_ask_begin(struct pg_ask *ask, enum pg_doc doc)
{
	*ask = (struct pg_ask){ .doc = doc };
}

int pg_ask_add(struct pg_ask *ask, const char *name, const char *value)
{
	size_t len = strlen(name) + 1, more = strlen(value) + 1;

	if (len > sizeof(ask->text) - ask->n || more > sizeof(ask->text) - ask->n - len)
		return -E2BIG;
	memcpy(ask->text + ask->n, name, len);
	memcpy(ask->text + ask->n + len, value, more);
	ask->n += (uint32_t)(len + more);
	return 0;
}

static int read_flow_filter(struct pg_question *q, const char *name, const char *value,
			    struct pg_err *err)
{
	int r = pg_flow_filter(&q->flows, name, value, err);

	if (!r && q->flows.top > PG_ASK_FLOWS_MAX)
		return pg_fail(err, -EINVAL, "top takes at most %d", PG_ASK_FLOWS_MAX);
	return r;
}

static int read_port_filter(struct pg_question *q, const char *name, const char *value,
			    struct pg_err *err)
{
	if (!strcmp(name, "sort"))
		return pg_port_sort_from_str(value, &q->ports.sort) < 0 ?
			       pg_fail(err, -EINVAL, "sort takes port, packets, bytes or dropped") :
			       0;
	if (strcmp(name, "port"))
		return -ENOENT;
	if (q->ports.n_filter == ARRAY_SIZE(q->filter))
		return pg_fail(err, -EINVAL, "too many ports");
	if (pg_port_filter_from_str(value, &q->filter[q->ports.n_filter]) < 0)
		return pg_fail(err, -EINVAL, "invalid port `%s' specified", value);
	q->ports.n_filter++;
	return 0;
}

static int read_state_filter(struct pg_question *q, const char *name, const char *value,
			     struct pg_err *err)
{
	struct pg_flow_ports ports;

	if (strcmp(name, "port"))
		return -ENOENT;
	if (q->states.n == ARRAY_SIZE(q->range))
		return pg_fail(err, -EINVAL, "too many ports");
	if (pg_flow_ports_from_str(value, &ports) < 0)
		return pg_fail(err, -EINVAL, "invalid port/service `%s' specified", value);
	q->range[q->states.n].lo = ports.lo;
	q->range[q->states.n++].hi = ports.hi;
	return 0;
}

static int read_drop_filter(struct pg_question *q, const char *name, const char *value, struct pg_err *err)
{
	if (strcmp(name, "last"))
		return -ENOENT;
	return pg_parse_u32(value, 1, PG_ASK_DROPS_MAX, &q->last_drops) < 0 ?
		       pg_fail(err, -EINVAL, "last takes a number from 1 to %d", PG_ASK_DROPS_MAX) : 0;
}

static int read_filter(enum pg_doc doc, struct pg_question *q, const char *name, const char *value,
		       struct pg_err *err)
{
	switch (doc) {
	case PG_DOC_FLOWS:
		return read_flow_filter(q, name, value, err);
	case PG_DOC_PORTS:
		return read_port_filter(q, name, value, err);
	case PG_DOC_STATES:
		return read_state_filter(q, name, value, err);
	case PG_DOC_DROPS:
		return read_drop_filter(q, name, value, err);
	default:
		return -ENOENT;
	}
}

static int read_question(const struct pg_ask *ask, size_t n, struct pg_question *ret,
			 struct pg_err *err)
{
	const char *p = ask->text, *end;

	*ret = (struct pg_question){ .flows = { .by = PG_FLOW_BY_BYTES, .top = PG_ASK_FLOWS },
				     .last_drops = PG_ASK_DROPS };
	ret->ports.filter = ret->filter;
	ret->states.port = ret->range;
	if (n < offsetof(struct pg_ask, text) || ask->doc >= _PG_DOC_MAX ||
	    ask->n != n - offsetof(struct pg_ask, text) || (ask->n && p[ask->n - 1]))
		return pg_fail(err, -EINVAL, "not a question");
	for (end = p + ask->n; p < end;) {
		const char *value = p + strlen(p) + 1;
		int r;

		if (value >= end)
			return pg_fail(err, -EINVAL, "not a question");
		r = read_filter((enum pg_doc)ask->doc, ret, p, value, err);
		if (r == -ENOENT)
			return pg_fail(err, -EINVAL, "there is no filter '%s' here", p);
		if (r)
			return r;
		p = value + strlen(value) + 1;
	}
	return 0;
}

int pg_ask_read(const struct pg_ask *ask, size_t n, struct pg_question *ret, struct pg_err *err)
{
	int r = read_question(ask, n, ret, err);
	struct pg_err shown;

	if (r) { /* what was wrong is repeated to who asked, whose terminal may take it for orders */
		shown = *err;
		pg_printable(shown.text, err->text, sizeof(err->text));
	}
	return r;
}
