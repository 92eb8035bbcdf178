/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may ask portguard serve, what a question may be, and the stream's document. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "export_stream.h"
#include "port_marks.h"
#include "serve_ask.h"
#include "serve_check.h"

static void addresses_to_listen_on(void **state)
{
	static const struct {
		const char *text, *shown; /* NULL: refused */
		bool loopback;
	} rows[] = {
		{ "127.0.0.1:9180", "127.0.0.1:9180", true },
		{ "127.9.9.9:1", "127.9.9.9:1", true },
		{ "9180", "127.0.0.1:9180", true },
		{ "localhost:80", "127.0.0.1:80", true },
		{ "[::1]:9180", "[::1]:9180", true },
		{ "0.0.0.0:9180", "0.0.0.0:9180", false },
		{ "[::]:9180", "[::]:9180", false },
		{ "192.0.2.1:443", "192.0.2.1:443", false },
		{ "[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", false },
		{ "192.0.2.1", NULL, false },
		{ "192.0.2.1:", NULL, false },
		{ "192.0.2.1:65536", NULL, false },
		{ "::1:9180", NULL, false },
		{ "[::1]9180", NULL, false },
		{ "[::1", NULL, false },
		{ "example.org:80", NULL, false },
		{ ":80", NULL, false },
		{ "", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_listen l;
		int r = pg_listen_parse(rows[i].text, &l);

		if (r != (rows[i].shown ? 0 : -EINVAL))
			fail_msg("'%s': %d", rows[i].text, r);
		if (r)
			continue;
		assert_string_equal(l.text, rows[i].shown);
		assert_int_equal(l.loopback, rows[i].loopback);
	}
}

static void hosts_that_are_ours(void **state)
{
	static const char *const names[] = { "fw.example.org" };
	static const struct {
		const char *host;
		bool ours;
	} rows[] = {
		{ "127.0.0.1:9180", true }, { "127.0.0.1", true }, { "[::1]:9180", true },
		{ "[::1]", true }, { "LocalHost:9180", true }, { "192.0.2.1:443", true },
		{ "fw.example.org", true }, { "FW.example.org:9180", true },
		{ "evil.example.org", false }, { "evil.fw.example.org", false },
		{ "127.0.0.1.evil.example.org", false }, { "localhost.evil.org:9180", false },
		{ "[evil]", false }, { "[::1", false }, { "::1", false }, { "", false }, { ":9180", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (pg_host_is_ours(rows[i].host, names, 1) != rows[i].ours)
			fail_msg("'%s'", rows[i].host);
}

static void tokens(void **state)
{
	(void)state;
	assert_true(pg_token_equal("0123456789abcdef", "0123456789abcdef"));
	assert_false(pg_token_equal("0123456789abcdef", "0123456789abcdeF"));
	assert_false(pg_token_equal("0123456789abcdef", "0123456789abcde"));
	assert_false(pg_token_equal("0123456789abcdef", "0123456789abcdef0"));
	assert_false(pg_token_equal("0123456789abcdef", ""));
}

/* Ask with filters, name after value, up to NULL. */
static int ask(enum pg_doc doc, struct pg_question *ret, struct pg_err *err, ...)
{
	static struct pg_ask question; /* the answer points into it */
	const char *name;
	va_list ap;

	pg_ask_begin(&question, doc);
	va_start(ap, err);
	while ((name = va_arg(ap, const char *)))
		assert_int_equal(pg_ask_add(&question, name, va_arg(ap, const char *)), 0);
	va_end(ap);
	return pg_ask_read(&question, offsetof(struct pg_ask, text) + question.n, ret, err);
}

static void questions(void **state)
{
	struct pg_question q;
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(ask(PG_DOC_FLOWS, &q, &err, NULL), 0);
	assert_int_equal(q.flows.top, PG_ASK_FLOWS);
	assert_int_equal(q.flows.by, PG_FLOW_BY_BYTES);
	assert_int_equal(ask(PG_DOC_FLOWS, &q, &err, "port", "443", "iface", "eth0", "top", "5", NULL), 0);
	assert_int_equal(q.flows.top, 5);
	assert_int_equal(q.flows.port.lo, 443);
	assert_string_equal(q.flows.iface, "eth0");
	assert_int_equal(ask(PG_DOC_FLOWS, &q, &err, "top", "100001", NULL), -EINVAL);
	assert_string_equal(err.text, "top takes at most 100000");
	assert_int_equal(ask(PG_DOC_FLOWS, &q, &err, "kill", "", NULL), -EINVAL);
	assert_string_equal(err.text, "there is no filter 'kill' here");
	assert_int_equal(ask(PG_DOC_STATUS, &q, &err, "top", "5", NULL), -EINVAL);
	assert_int_equal(ask(PG_DOC_PORTS, &q, &err, "sort", "bytes", "port", "53/udp", NULL), 0);
	assert_int_equal(q.ports.sort, PG_SORT_BYTES);
	assert_int_equal(q.ports.n_filter, 1);
	assert_int_equal(ask(PG_DOC_DROPS, &q, &err, "last", "5", NULL), 0);
	assert_int_equal(q.last_drops, 5);
	assert_int_equal(ask(PG_DOC_DROPS, &q, &err, "last", "0", NULL), -EINVAL);
	assert_int_equal(ask(PG_DOC_STATES, &q, &err, "port", "1-2", "port", "9", NULL), 0);
	assert_int_equal(q.states.n, 2);
	assert_int_equal(q.states.port[0].hi, 2);
}

static void what_is_no_question(void **state)
{
	struct pg_ask bad = { .doc = _PG_DOC_MAX };
	const size_t head = offsetof(struct pg_ask, text);
	struct pg_question q;
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(pg_ask_read(&bad, head, &q, &err), -EINVAL);
	bad.doc = PG_DOC_FLOWS;
	assert_int_equal(pg_ask_read(&bad, head - 1, &q, &err), -EINVAL);
	bad.n = 4;
	assert_int_equal(pg_ask_read(&bad, head, &q, &err), -EINVAL); /* did not come */
	memcpy(bad.text, "port", 4);
	assert_int_equal(pg_ask_read(&bad, head + 4, &q, &err), -EINVAL); /* has no end */
	bad.n = 5;
	assert_int_equal(pg_ask_read(&bad, head + 5, &q, &err), -EINVAL); /* has no value */
	assert_int_equal(ask(PG_DOC_FLOWS, &q, &err, "\033[31m", "1", NULL), -EINVAL);
	assert_string_equal(err.text, "there is no filter '?[31m' here");
	assert_int_equal(ask(PG_DOC_PORTS, &q, &err, "port", "\033[31m", NULL), -EINVAL);
	assert_null(strchr(err.text, '\033'));
}

static void a_question_has_its_bounds(void **state)
{
	char value[1100] = { 0 };
	struct pg_question q;
	struct pg_err err = { 0 };
	struct pg_ask full;

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	pg_ask_begin(&full, PG_DOC_FLOWS);
	assert_int_equal(pg_ask_add(&full, "iface", value), -E2BIG);
	value[sizeof(full.text) - 7] = '\0';
	assert_int_equal(pg_ask_add(&full, "iface", value), 0);
	assert_int_equal(full.n, sizeof(full.text));
	assert_int_equal(pg_ask_read(&full, sizeof(full), &q, &err), 0);
	assert_int_equal(pg_ask_add(&full, "", ""), -E2BIG);
}

/* Stream --------------------------------------------------------------------------------------- */

static struct json_object *stream(struct pg_stream *last, const struct pg_snapshot *snap)
{
	static uint32_t open[_PG_PORT_PROTO_MAX * PG_PORTS];
	static struct pg_top_drops drops;
	static struct pg_flow_row flow = { .proto = 6, .family = PG_FAMILY_V4, .port = { 40000, 443 },
					   .state = PG_TCP_ESTABLISHED, .count = { { 1, 100 }, { 2, 200 } },
					   .rate = { { 1, 10 }, { 2, 20 } } };
	const struct pg_flow_sample flows = { .open = open, .list = { .row = &flow, .n = 1 } };
	const struct pg_stream_more more = { "ho\"st\n", &flows, &drops, "" };
	const struct pg_top_drop drop = { .time_ms = 77, .iface = "e\"\n", .who = "<b>INPUT</b> 1",
					  .proto = "tcp", .end = { "192.0.2.1:1", "192.0.2.2:22" },
					  .length = 40 };
	struct json_object *doc;
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	open[PG_PORT_TCP * PG_PORTS + 443] = 17;
	for (drops.n = 0; drops.n < PG_STREAM_DROPS + 5;)
		pg_top_drops_add(&drops, &drop);
	assert_non_null(f);
	assert_int_equal(pg_stream_write(f, last, snap, &more, NULL), 0);
	fclose(f);
	assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* one line, or it would be no event */
	doc = json_tokener_parse(text);
	free(text);
	assert_non_null(doc);
	return doc;
}

static int first_port(struct json_object *doc)
{
	struct json_object *ports = json_object_object_get(doc, "ports");
	int port = json_object_get_int(
		json_object_array_get_idx(json_object_array_get_idx(ports, 0), 1));

	json_object_put(doc);
	return port;
}

static void the_busiest_ports_come_first(void **state)
{
	static struct pg_port_row rows[400];
	static struct pg_stream last;
	struct pg_snapshot snap = { .exists = true, .port = rows, .n_port = ARRAY_SIZE(rows),
				    .rules = pg_ruleset_new() };
	struct json_object *doc, *port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = (struct pg_port_row){ .proto = PG_PORT_TCP, .port = (uint16_t)(i + 100),
						.in = { i, i } };
	rows[343].has_listener = true;
	rows[343].out_dropped = 6;
	snprintf(rows[343].listener.comm, sizeof(rows[343].listener.comm), "ng\"nx\n");
	doc = stream(&last, &snap);
	assert_int_equal(json_object_get_int(json_object_object_get(doc, "n_ports")), 400);
	assert_int_equal(json_object_array_length(json_object_object_get(doc, "ports")),
			 PG_STREAM_PORTS);
	assert_string_equal(json_object_get_string(json_object_object_get(doc, "host")), "ho\"st?");
	port = json_object_array_get_idx(json_object_object_get(doc, "ports"), 0);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 14)), 0); /* no event before */
	assert_int_equal(first_port(doc), 499);
	rows[5].in.packets += 2; /* busy now, though others were busier before */
	doc = stream(&last, &snap);
	port = json_object_array_get_idx(json_object_object_get(doc, "ports"), 1);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 1)), 443);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 10)), 17);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(
				    json_object_array_get_idx(port, 11), 1)), "ng\"nx?");
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 13)), 6);
	port = json_object_array_get_idx(json_object_object_get(doc, "ports"), 0);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 14)), 2);
	assert_int_equal(first_port(doc), 105);
	rows[7].in.packets = 3; /* less than before: counted anew */
	assert_int_equal(first_port(stream(&last, &snap)), 107);
	pg_ruleset_free(snap.rules);
}

static const char *text_at(struct json_object *row, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(row, i));
}

static void drops_marks_talkers_and_cost(void **state)
{
	static struct pg_stream last;
	struct pg_port_row row = { .proto = PG_PORT_UDP, .port = 53, .mark = PG_MARK_UNUSED };
	struct pg_iface_row iface = { .cost = { { .runs = 3, .ns = 600, .known = true } } };
	struct pg_snapshot snap = { .exists = true, .port = &row, .n_port = 1, .iface = &iface, .n_iface = 1,
				    .rules = pg_ruleset_new() };
	struct json_object *doc = stream(&last, &snap), *list, *item;

	(void)state;
	list = json_object_object_get(doc, "last_drops");
	assert_int_equal(json_object_array_length(list), PG_STREAM_DROPS);
	item = json_object_array_get_idx(list, 0);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(item, 0)), PG_STREAM_DROPS + 5);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(item, 1)), 77);
	assert_string_equal(text_at(item, 2), "e\"?");
	assert_string_equal(text_at(item, 4), "<b>INPUT</b> 1");
	assert_string_equal(text_at(item, 7), "192.0.2.2:22");
	item = json_object_array_get_idx(json_object_object_get(doc, "ports"), 0);
	assert_string_equal(text_at(item, 12), "unused");
	item = json_object_array_get_idx(json_object_object_get(doc, "talkers"), 0);
	assert_string_equal(text_at(item, 3), "ESTABLISHED");
	assert_int_equal(json_object_get_int(json_object_array_get_idx(item, 5)), 200);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(item, 13)), 20);
	item = json_object_array_get_idx(json_object_object_get(doc, "ifaces"), 0);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(item, 9)), 3);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(item, 10)), 600);
	json_object_put(doc);
	pg_ruleset_free(snap.rules);
}

static struct pg_port_mark mark(enum pg_port_proto proto, uint16_t port, enum pg_mark mark)
{
	return (struct pg_port_mark){ .proto = proto, .port = port, .mark = mark };
}

static void marks_come_to_their_ports(void **state)
{
	struct pg_port_mark marks[] = {
		mark(PG_PORT_TCP, 22, PG_MARK_NONE), mark(PG_PORT_TCP, 25, PG_MARK_CLOSED),
		mark(PG_PORT_TCP, 80, PG_MARK_NONE), mark(PG_PORT_TCP, 8443, PG_MARK_UNUSED),
		mark(PG_PORT_UDP, 53, PG_MARK_PUBLISHED),
	};
	const struct pg_port_marks all = { .row = marks, .n = ARRAY_SIZE(marks) };
	static const struct {
		enum pg_port_proto proto;
		uint16_t port;
		enum pg_mark mark;
	} wanted[] = {
		{ PG_PORT_TCP, 22, PG_MARK_NONE },    { PG_PORT_TCP, 25, PG_MARK_CLOSED },
		{ PG_PORT_TCP, 443, PG_MARK_NONE },   { PG_PORT_TCP, 8443, PG_MARK_UNUSED },
		{ PG_PORT_UDP, 53, PG_MARK_PUBLISHED }, { PG_PORT_UDP, 123, PG_MARK_NONE },
	};
	struct pg_services *services = pg_services_read();
	struct pg_snapshot snap = { .n_port = 4, .port = calloc(4, sizeof(*snap.port)) };

	(void)state;
	assert_non_null(snap.port);
	snap.port[0].port = 22;
	snap.port[1].port = 25;
	snap.port[2].port = 443;
	snap.port[3] = (struct pg_port_row){ .proto = PG_PORT_UDP, .port = 123 };
	assert_int_equal(pg_marks_apply(&all, services, &snap), 0);
	assert_int_equal(snap.n_port, ARRAY_SIZE(wanted));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_int_equal(snap.port[i].proto, wanted[i].proto);
		assert_int_equal(snap.port[i].port, wanted[i].port);
		assert_int_equal(snap.port[i].mark, wanted[i].mark);
	}
	assert_int_equal(pg_marks_apply(&all, services, &snap), 0); /* once is enough */
	assert_int_equal(snap.n_port, ARRAY_SIZE(wanted));
	free(snap.port);
	pg_services_free(services);
}

static void marks_are_asked_for_when_it_is_time(void **state)
{
	const uint64_t second = 1000000000;
	struct pg_port_row row = { .port = 22, .has_listener = true };
	struct pg_snapshot snap = { .port = &row, .n_port = 1, .instance = 1, .policy.generation = 1 };
	struct pg_marks_age age = { 0 };

	(void)state;
	assert_true(pg_marks_due(&age, &snap, 10 * second));
	assert_false(pg_marks_due(&age, &snap, 11 * second));
	snap.policy.generation++;
	assert_true(pg_marks_due(&age, &snap, 12 * second));
	row.port = 23; /* somebody else listens: not at once */
	assert_false(pg_marks_due(&age, &snap, 13 * second));
	assert_true(pg_marks_due(&age, &snap, 73 * second));
	assert_false(pg_marks_due(&age, &snap, 74 * second));
	assert_true(pg_marks_due(&age, &snap, 700 * second));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_marks_talkers_and_cost),
		cmocka_unit_test(marks_come_to_their_ports),
		cmocka_unit_test(marks_are_asked_for_when_it_is_time),
		cmocka_unit_test(addresses_to_listen_on),
		cmocka_unit_test(hosts_that_are_ours),
		cmocka_unit_test(tokens),
		cmocka_unit_test(questions),
		cmocka_unit_test(what_is_no_question),
		cmocka_unit_test(a_question_has_its_bounds),
		cmocka_unit_test(the_busiest_ports_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
