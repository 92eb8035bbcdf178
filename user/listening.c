/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "listening.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "json_put.h"
#include "options.h"

static void listening_clear(struct pg_listening *l)
{
	pg_sockets_clear(&l->sockets);
	pg_foreign_clear(&l->foreign);
	pg_port_marks_clear(&l->marks);
	pg_services_free(l->services);
}

static bool wanted(const struct pg_ports_opts *opts, enum pg_port_proto proto, uint16_t port)
{
	const struct pg_port_row row = { .proto = proto, .port = port };

	return pg_ports_wanted(opts, &row);
}

static bool has_socket(const struct pg_listening *l, const struct pg_port_mark *m)
{
	for (size_t i = 0; i < l->sockets.n && !l->sockets.row[i].netns; i++)
		if (!l->sockets.row[i].connected && l->sockets.row[i].proto == m->proto &&
		    l->sockets.row[i].port == m->port)
			return true;
	return false;
}

/* An IPv6 socket that is bound to nothing takes IPv4, too, unless it was told not to. */
static bool is_of_family(const struct pg_socket_row *s, unsigned family)
{
	if (!family || family == (s->family == PG_FAMILY_V6 ? PG_V6 : PG_V4))
		return true;
	return family == PG_V4 && s->wildcard && !s->v6only;
}

bool pg_listening_next(const struct pg_listening *l, unsigned family, const struct pg_ports_opts *opts,
		       size_t *at, struct pg_listening_row *ret)
{
	for (; *at < l->sockets.n; (*at)++) {
		const struct pg_socket_row *s = &l->sockets.row[*at];

		if (s->connected || !wanted(opts, s->proto, s->port) || !is_of_family(s, family))
			continue;
		*ret = (struct pg_listening_row){ .socket = s };
		if (!s->netns)
			ret->mark = pg_port_marks_find(&l->marks, s->proto, s->port);
		(*at)++;
		return true;
	}
	for (; *at < l->sockets.n + l->marks.n; (*at)++) {
		const struct pg_port_mark *m = &l->marks.row[*at - l->sockets.n];

		if (m->mark == PG_MARK_NONE || has_socket(l, m) || !wanted(opts, m->proto, m->port))
			continue;
		*ret = (struct pg_listening_row){ .mark = m };
		(*at)++;
		return true;
	}
	return false;
}

/* JSON ---------------------------------------------------------------------------------------------- */

static void put_socket(struct json_object *o, const struct pg_socket_row *s, bool *oom)
{
	struct json_object *who = json_object_new_object();

	pg_json_text(o, "address", s->who.address, oom);
	pg_json_text(o, "family", s->family == PG_FAMILY_V6 ? "ipv6" : "ipv4", oom);
	pg_json_number(o, "uid", s->uid, oom);
	if (s->ifindex)
		pg_json_number(o, "ifindex", s->ifindex, oom);
	pg_json_number(who, "pid", s->who.pid, oom);
	pg_json_text(who, "comm", s->who.comm, oom);
	pg_json_number(who, "holders", s->processes, oom);
	pg_json_put(o, "process", who, oom);
	if (s->netns) {
		pg_json_number(o, "netns", s->netns, oom);
		pg_json_text(o, "netns_name", s->where, oom);
	}
}

static struct json_object *put_row(const struct pg_listening *l, const struct pg_listening_row *row,
				   bool *oom)
{
	enum pg_port_proto proto = row->socket ? row->socket->proto : row->mark->proto;
	uint16_t port = row->socket ? row->socket->port : row->mark->port;
	struct json_object *o = json_object_new_object();

	pg_json_text(o, "proto", pg_port_proto_name(proto), oom);
	pg_json_number(o, "port", port, oom);
	pg_json_text(o, "service", pg_service_name(l->services, proto, port), oom);
	if (row->socket)
		put_socket(o, row->socket, oom);
	if (!row->mark)
		return o;
	pg_json_text(o, "reach_ipv4", pg_reach_name(row->mark->reach[0]), oom);
	pg_json_text(o, "reach_ipv6", pg_reach_name(row->mark->reach[1]), oom);
	pg_json_text(o, "mark", pg_mark_name(row->mark->mark), oom);
	if (row->mark->to[0])
		pg_json_text(o, "published_to", row->mark->to, oom);
	return o;
}

int pg_json_listening(FILE *f, const struct pg_listening *l, unsigned family,
		      const struct pg_ports_opts *opts, struct pg_err *err)
{
	struct json_object *doc = json_object_new_object(), *list = json_object_new_array();
	struct pg_listening_row row;
	bool oom = false;

	pg_json_bool(doc, "policy_asked", l->marks.asked, &oom);
	pg_json_bool(doc, "partial", l->sockets.partial, &oom);
	pg_json_put(doc, "listening", list, &oom);
	for (size_t at = 0; pg_listening_next(l, family, opts, &at, &row) && !oom;)
		json_object_array_add(list, put_row(l, &row, &oom));
	return pg_json_end(f, doc, oom, err);
}

/* Reading -------------------------------------------------------------------------------------------- */

static int read_all(struct pg_dp *dp, struct pg_listening *l, struct pg_err *err)
{
	int r = pg_sockets_read(true, &l->sockets, err);

	if (r)
		return r;
	l->services = pg_services_read();
	if (!l->services || pg_foreign_read(&l->foreign) < 0)
		return pg_fail(err, -ENOMEM, "out of memory");
	return pg_port_marks_read(dp, &l->sockets, &l->foreign, &l->marks, err);
}

int pg_listening_show(const struct pg_ctx *ctx, unsigned family, const struct pg_ports_opts *opts,
		      struct pg_err *err)
{
	const struct pg_dp_opts open = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(listening_clear) struct pg_listening l = { 0 };
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_listening_row row;
	struct winsize size = { 0 };
	struct pg_err why = { 0 };
	char shown[sizeof(why.text)];
	size_t at;
	int r = pg_dp_open(&open, &dp, &why);

	/* Who may not look at the instance still sees who listens. */
	if (r < 0 && r != -ENOENT)
		fprintf(stderr, "portguard: the policy is not asked: %s\n",
			pg_printable(why.text, shown, sizeof(shown)));
	r = read_all(dp, &l, err);
	if (r < 0)
		return r;
	if (ctx->json)
		return pg_json_listening(stdout, &l, family, opts, err);
	if (l.sockets.partial)
		fputs("portguard: not all network namespaces could be entered\n", stderr);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){ 0 };
	pg_view_listening(&t, &l, family, opts, size.ws_col);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	at = 0;
	if (!pg_listening_next(&l, family, opts, &at, &row))
		fputs("portguard: nobody listens there\n", stderr);
	return 0;
}
