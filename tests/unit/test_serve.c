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
	static struct pg_flow_sums sums;
	struct json_object *doc;
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	sums.open[PG_PORT_TCP][443] = 17;
	assert_non_null(f);
	assert_int_equal(pg_stream_write(f, last, snap, &sums, "ho\"st\n", 1234, NULL), 0);
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
	snprintf(rows[343].listener.comm, sizeof(rows[343].listener.comm), "ng\"nx\n");
	doc = stream(&last, &snap);
	assert_int_equal(json_object_get_int(json_object_object_get(doc, "n_ports")), 400);
	assert_int_equal(json_object_array_length(json_object_object_get(doc, "ports")),
			 PG_STREAM_PORTS);
	assert_string_equal(json_object_get_string(json_object_object_get(doc, "host")), "ho\"st?");
	assert_int_equal(first_port(doc), 499);
	rows[5].in.packets += 2; /* busy now, though others were busier before */
	doc = stream(&last, &snap);
	port = json_object_array_get_idx(json_object_object_get(doc, "ports"), 1);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 1)), 443);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(port, 10)), 17);
	assert_string_equal(json_object_get_string(json_object_array_get_idx(
				    json_object_array_get_idx(port, 11), 1)), "ng\"nx?");
	assert_int_equal(first_port(doc), 105);
	rows[7].in.packets = 3; /* less than before: counted anew */
	assert_int_equal(first_port(stream(&last, &snap)), 107);
	pg_ruleset_free(snap.rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
