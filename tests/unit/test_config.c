/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "pg_limits.h"

static char path[] = "/tmp/portguard-config-XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static int read_text(const char *text, struct pg_config *ret, struct pg_err *err)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) < 0, 0);
	assert_int_equal(fclose(f), 0);
	return pg_config_read(path, ret, err);
}

static void every_setting_is_read(void **state)
{
	struct pg_config c;
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(read_text("# all of them\n"
				   "state-dir = /sys/fs/bpf/other\npolicy = \"/etc/a rules\"\n"
				   "mode = tc\negress = false\nflows = 5000\n"
				   "track = on\ntcp-loose = no\ntcp-liberal = yes\nfragments = pass\n"
				   "timeouts {\n tcp_established = 3600\n udp = 7\n}\n"
				   "interface eth1 { mode = auto }\n"
				   "interface \"br-lan\" { egress = true multiprog = true }\n", &c, &err), 0);
	assert_string_equal(c.state_dir, "/sys/fs/bpf/other");
	assert_string_equal(c.policy, "/etc/a rules");
	assert_int_equal(c.attach.mode, PG_MODE_TC);
	assert_false(c.attach.egress);
	assert_int_equal(c.flows, 8192);
	assert_int_equal(c.flow_options,
			 PG_FLOW_OPT_TRACK | PG_FLOW_OPT_STRICT | PG_FLOW_OPT_LIBERAL);
	assert_int_equal(c.fragments, PG_FRAGMENTS_PASS);
	assert_int_equal(c.timeout_s[PG_TIMEOUT_TCP_ESTABLISHED], 3600);
	assert_int_equal(c.timeout_s[PG_TIMEOUT_UDP], 7);
	assert_int_equal(c.timeout_s[PG_TIMEOUT_ICMP], 0);
	assert_int_equal(pg_config_iface(&c, "eth1")->mode, PG_MODE_NONE);
	assert_false(pg_config_iface(&c, "eth1")->egress);
	assert_int_equal(pg_config_iface(&c, "br-lan")->mode, PG_MODE_TC);
	assert_true(pg_config_iface(&c, "br-lan")->egress);
	assert_true(pg_config_iface(&c, "br-lan")->multiprog && !c.attach.multiprog);
	assert_ptr_equal(pg_config_iface(&c, "eth2"), &c.attach);
	pg_config_free(&c);
}

static void settings_of_serve_are_read(void **state)
{
	struct pg_config c;
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(read_text("serve {\n listen = \"[::1]:80\"\n token = /t\n tls-cert = /c\n"
				   " tls-key = /k\n host = {a, \"b.c\"}\n max-ports = 131072\n"
				   " max-rules = 7\n user = x\n}\n", &c, &err), 0);
	assert_string_equal(c.serve.listen, "[::1]:80");
	assert_string_equal(c.serve.token, "/t");
	assert_string_equal(c.serve.tls_cert, "/c");
	assert_string_equal(c.serve.tls_key, "/k");
	assert_string_equal(c.serve.user, "x");
	assert_int_equal(c.serve.n_hosts, 2);
	assert_string_equal(c.serve.host[0], "a");
	assert_string_equal(c.serve.host[1], "b.c");
	assert_int_equal(c.serve.max_ports, 131072);
	assert_int_equal(c.serve.max_rules, 7);
	pg_config_free(&c);
}

static void nothing_said_is_the_defaults(void **state)
{
	static const char *const texts[] = { "", "# nothing\n", "timeouts { }\n" };
	struct pg_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pg_config c;

		assert_int_equal(read_text(texts[i], &c, &err), 0);
		assert_null(c.state_dir);
		assert_null(c.policy);
		assert_int_equal(c.attach.mode, PG_MODE_NONE);
		assert_true(c.attach.egress);
		assert_int_equal(c.flows, 0);
		assert_int_equal(c.flow_options, 0);
		assert_int_equal(c.fragments, PG_FRAGMENTS_AUTO);
		assert_int_equal(c.n_ifaces, 0);
		assert_null(c.serve.listen);
		assert_null(c.serve.token);
		assert_int_equal(c.serve.n_hosts, 0);
		assert_int_equal(c.serve.max_ports, 0);
		pg_config_free(&c);
	}
}

static void errors_say_where_and_what(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "mode = fast\n", ":1: mode is auto, native, skb or tc, not 'fast'" },
		{ "\n\ninterface eth0 {\n mode = fast\n}\n", ":4: mode is auto, native" },
		{ "fragments = some\n", ":1: fragments is auto, drop, pass or rules, not 'some'" },
		{ "track = off\n", ":1: track is auto or on, not 'off'" },
		{ "flows = 0\n", ":1: flows is a number from 1 to 16777216, not 0" },
		{ "flows = 16777217\n", ":1: flows is a number from" },
		{ "flows = many\n", ":1: invalid integer value" },
		{ "flows = 99999999999999999999\n", ":1: " },
		{ "timeouts { udp = -1 }\n", ":1: udp is a number from 1 to 31536000, not -1" },
		{ "timeouts { nothing = 1 }\n", ":1: no such option 'nothing'" },
		{ "colour = blue\n", ":1: no such option 'colour'" },
		{ "policy = rules\n", ":1: policy is a name that begins with '/'" },
		{ "policy = \"\"\n", ":1: policy is a name that begins with '/'" },
		{ "state-dir = pg\n", ":1: state-dir is a name that begins with '/'" },
		{ "egress = maybe\n", ":1: invalid boolean value" },
		{ "interface abcdefghijklmnop { }\n", ":1: an interface's name has 1 to 15 bytes" },
		{ "interface eth0 { }\ninterface eth0 { }\n", ":2: " },
		{ "serve {\n listen = here\n}\n", ":2: listen is an address and a port as in" },
		{ "serve { token = t }\n", ":1: token is a name that begins with '/'" },
		{ "serve { tls-key = \"\" }\n", ":1: tls-key is a name that begins with '/'" },
		{ "serve { max-ports = 131073 }\n", ":1: max-ports is a number from 1 to 131072" },
		{ "serve { max-rules = 0 }\n", ":1: max-rules is a number from 1 to 1000000" },
		{ "serve { port = 80 }\n", ":1: no such option 'port'" },
		{ "mode = tc mode\n", ": " },
		{ "mode\n", ": " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_config c = { .flows = 7 };
		struct pg_err err = { 0 };
		int r = read_text(rows[i].text, &c, &err);

		if (r >= 0 || c.flows != 7 || strncmp(err.text, path, strlen(path)) ||
		    !strstr(err.text, rows[i].said))
			fail_msg("%s: %d, '%s'", rows[i].text, r, err.text);
	}
}

static void the_state_directory_of_a_wrong_file_is_found(void **state)
{
	static const struct {
		const char *text, *dir;
	} rows[] = {
		{ "mode = nonsense\nstate-dir = \"/a b\"\n", "/a b" },
		{ "state-dir = /a\nmode = nonsense\n", "/a" },
		{ "flows = many\nhue = { 1, 2 }\nstate-dir = /a\n", "/a" },
		{ "serve {\n\tport = 80\n\thost = { a, b }\n}\ninterface eth0 {\n\tmode = fast\n}\n"
		  "state-dir = /a\n", "/a" },
		{ "state-dir = /a\nmode\n", "/a" },
		{ "state-dir = /a\npolicy = \"/x\nmode = tc\n", "/a" },
		{ "interface eth0 { state-dir = /b }\n", NULL },
		{ "state-dir = a\n", NULL },
		{ "mode\nstate-dir = /a\n", NULL },
		{ "mode = nonsense\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_config c = { 0 };
		struct pg_err err = { 0 };
		char *dir;

		if (read_text(rows[i].text, &c, &err) >= 0)
			fail_msg("%s: is not wrong", rows[i].text);
		dir = pg_config_salvage(path);
		if (!dir != !rows[i].dir || (dir && strcmp(dir, rows[i].dir)))
			fail_msg("%s: '%s'", rows[i].text, dir ? dir : "none");
		free(dir);
	}
	assert_null(pg_config_salvage("/nonexistent/portguard.conf"));
}

static void a_file_that_is_named_must_be_there(void **state)
{
	struct pg_config c;
	struct pg_err err = { 0 };

	(void)state;
	assert_int_equal(pg_config_read("/nonexistent/portguard.conf", &c, &err), -ENOENT);
	assert_string_equal(err.text, "cannot read '/nonexistent/portguard.conf': "
				      "No such file or directory");
	setenv("PORTGUARD_CONFIG", "/nonexistent/other.conf", 1);
	assert_int_equal(pg_config_read(NULL, &c, &err), -ENOENT);
	setenv("PORTGUARD_CONFIG", "", 1);
	assert_int_equal(pg_config_read(NULL, &c, &err), 0);
	pg_config_free(&c);
	unsetenv("PORTGUARD_CONFIG");
}

static void the_example_is_valid(void **state)
{
	struct pg_config c;
	struct pg_err err = { 0 };

	(void)state;
	if (pg_config_read("packaging/portguard.conf", &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.policy, "/etc/portguard/rules");
	pg_config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_is_read),
		cmocka_unit_test(settings_of_serve_are_read),
		cmocka_unit_test(nothing_said_is_the_defaults),
		cmocka_unit_test(errors_say_where_and_what),
		cmocka_unit_test(the_state_directory_of_a_wrong_file_is_found),
		cmocka_unit_test(a_file_that_is_named_must_be_there),
		cmocka_unit_test(the_example_is_valid),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
