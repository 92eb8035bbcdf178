/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rules.h"

static int parse(const char *text, const struct pg_rulefile_opts *opts, struct pg_ruleset **ret_set,
		 struct pg_err *err)
{
	struct pg_notes notes = {};
	int r = pg_rulefile_parse(text, strlen(text), opts, ret_set, &notes, err);

	pg_notes_free(&notes);
	return r;
}

/* Written and read again, a policy is what it was. */
static void assert_round_trip(const char *name, const struct pg_ruleset *set, unsigned family,
			      unsigned flags)
{
	const struct pg_rulefile_opts opts = {
		.family = family,
		.counters = flags & PG_RULEFILE_COUNTERS,
	};
	struct pg_text once = {}, twice = {};
	struct pg_ruleset *again = NULL;
	struct pg_err err = {};

	pg_rulefile_write(&once, set, family, flags);
	if (parse(once.buf, &opts, &again, &err) < 0)
		fail_msg("%s: own output is refused: %s\n%s", name, err.text, once.buf);
	pg_rulefile_write(&twice, again, family, flags);
	if (strcmp(once.buf, twice.buf))
		fail_msg("%s:\n%s\n%s", name, once.buf, twice.buf);
	pg_text_free(&once);
	pg_text_free(&twice);
	pg_ruleset_free(again);
}

static void what_is_written_reads_back(void **state)
{
	struct pg_ruleset *set = POLICY(
		"-P INPUT DROP", "-A INPUT -c 1 2 -p tcp --dport 22 -j ACCEPT",
		"-A INPUT -c 18446744073709551615 18446744073709551615", "-A INPUT -4 -p udp",
		"-A INPUT -s ::1 -m comment --comment \"a \\\"b\\\" c\"", "-A INPUT ! -i + -f",
		"-A INPUT -p tcp ! --dport 0:65535", "-N web", "-N \303\251", "-t raw -N web",
		"-A INPUT -j web", "-A web -g \303\251", "-A web -j REJECT",
		"-A web -p tcp -j REJECT --reject-with tcp-reset",
		"-A web -j REJECT --reject-with no-route", "-A \303\251 -j RETURN",
		"-A web -j LOG --log-prefix \"a b\" --log-uid --log-level 1",
		"-A web -j NFLOG --nflog-group 3 --nflog-prefix x", "-A web -j MARK --or-mark 3",
		"-A FORWARD -i eth0 -o eth1 -j web", "-t raw -A OUTPUT -j web",
		"-t raw -A web -j NOTRACK", "-t raw -A web -j CT --notrack", "-P FORWARD DROP");

	(void)state;
	for (unsigned family = 0; family <= PG_V6; family++) {
		assert_round_trip("plain", set, family, 0);
		assert_round_trip("dates", set, family, PG_RULEFILE_DATES);
	}
	set->chain[PG_CHAIN_INPUT].packets = 5;
	set->chain[PG_CHAIN_INPUT].bytes = 300;
	for (unsigned family = 0; family <= PG_V6; family++)
		assert_round_trip("counters", set, family, PG_RULEFILE_COUNTERS);
	pg_ruleset_free(set);
}

static void a_family_gets_only_its_rules_without_marks(void **state)
{
	struct pg_ruleset *set = POLICY("-A INPUT -p tcp", "-A INPUT -4 -p udp", "-A INPUT -s ::1",
					"-A INPUT -6 -j DROP");
	struct pg_text t = {};

	(void)state;
	pg_rulefile_write(&t, set, PG_V4, 0);
	assert_string_equal(t.buf, "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n"
				   ":OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp\n-A INPUT -p udp\n"
				   "COMMIT\n");
	pg_text_free(&t);
	pg_rulefile_write(&t, set, PG_V6, 0);
	assert_string_equal(t.buf, "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n"
				   ":OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp\n-A INPUT -s ::1/128\n"
				   "-A INPUT -j DROP\nCOMMIT\n");
	pg_text_free(&t);
	pg_ruleset_free(set);
}

static void counters_are_taken_over_only_on_request(void **state)
{
	static const char text[] = "*filter\n:INPUT DROP [7:8]\n[5:300] -A INPUT -p tcp\nCOMMIT\n";
	struct pg_rulefile_opts opts = { .counters = true };
	struct pg_ruleset *set = NULL;
	struct pg_err err = {};

	(void)state;
	assert_int_equal(parse(text, &opts, &set, &err), 0);
	assert_true(set->chain[0].packets == 7 && set->chain[0].bytes == 8);
	assert_true(set->chain[0].rule[0].packets == 5 && set->chain[0].rule[0].bytes == 300);
	assert_true(set->chain[0].rule[0].slot == PG_NO_SLOT);
	pg_ruleset_free(set);
	opts.counters = false;
	assert_int_equal(parse(text, &opts, &set, &err), 0);
	assert_true(!set->chain[0].packets && !set->chain[0].rule[0].packets);
	pg_ruleset_free(set);
}

static void a_file_replaces_rules_or_adds_to_them(void **state)
{
	static const char text[] = "*filter\n-A INPUT -p udp\nCOMMIT\n";
	struct pg_ruleset *base = POLICY("-P INPUT DROP", "-A INPUT -p tcp"), *set = NULL;
	struct pg_rulefile_opts opts = { .base = base };
	struct pg_err err = {};
	struct pg_text t = {};

	(void)state;
	base->chain[0].rule[0].slot = 4;
	assert_int_equal(parse(text, &opts, &set, &err), 0);
	assert_string_equal(specs_of(set, &t), "-p udp\n");
	assert_int_equal(set->chain[0].policy, PG_TARGET_DROP);
	pg_ruleset_free(set);

	opts.noflush = true;
	assert_int_equal(parse(text, &opts, &set, &err), 0);
	assert_string_equal(specs_of(set, &t), "-p tcp\n-p udp\n");
	assert_int_equal(set->chain[0].rule[0].slot, 4);
	pg_ruleset_free(set);

	opts.noflush = false;
	assert_int_equal(parse("# nothing\n", &opts, &set, &err), 0);
	assert_string_equal(specs_of(set, &t), "-p tcp\n");
	pg_ruleset_free(set);
	pg_text_free(&t);
	pg_ruleset_free(base);
}

static void a_refused_file_leaves_the_result_alone(void **state)
{
	static const char *const texts[] = {
		"*filter\n-A INPUT -j ACCEPT\n-A INPUT -j NOPE\nCOMMIT\n",
		"*filter\n-A INPUT -j ACCEPT\n",
		"*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n",
		"*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\nrubbish",
	};
	const struct pg_rulefile_opts opts = { .name = "a\x1b[2Jb" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pg_ruleset *set = NULL;
		struct pg_err err = {};

		assert_true(parse(texts[i], &opts, &set, &err) < 0);
		assert_null(set);
		assert_true(err.complete && err.exit_code);
		assert_null(strchr(err.text, '\x1b'));
		assert_non_null(strstr(err.text, "a?[2Jb:"));
	}
}

static void size_is_limited(void **state)
{
	const size_t n = (16U << 20) + 1;
	const struct pg_rulefile_opts opts = { .name = "big" };
	struct pg_notes notes = {};
	struct pg_ruleset *set = NULL;
	struct pg_text many = {};
	struct pg_err err = {};
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', n);
	assert_int_equal(pg_rulefile_parse(text, n, &opts, &set, &notes, &err), -EFBIG);
	assert_int_equal(pg_rulefile_parse(text, n - 1, &opts, &set, &notes, &err), 0);
	free(text);
	pg_ruleset_free(set);
	set = NULL;

	pg_text_add(&many, "*filter\n");
	for (unsigned i = 0; i < PG_MAX_TERMS - 1; i++)
		pg_text_add(&many, "-A INPUT -p tcp --dport %u\n", i % 65536);
	assert_true(parse(many.buf, &opts, &set, &err) < 0); /* no COMMIT yet */
	pg_text_add(&many, "COMMIT\n");
	assert_int_equal(parse(many.buf, &opts, &set, &err), 0);
	pg_ruleset_free(set);
	set = NULL;
	pg_text_add(&many, "*filter\n");
	for (unsigned i = 0; i <= PG_MAX_TERMS; i++)
		pg_text_add(&many, "-A INPUT -p tcp --dport %u\n", i % 65536);
	pg_text_add(&many, "COMMIT\n");
	assert_true(parse(many.buf, &opts, &set, &err) < 0);
	assert_non_null(strstr(err.text, "more than 131071 rules"));
	pg_text_free(&many);
}

/* A dump loads, or is refused with the line and what is wrong with it; what loads reads back. */
static void try_dump(const char *path, const char *name, unsigned family)
{
	struct pg_rulefile_opts opts = { .family = family };
	struct pg_ruleset *set = NULL;
	struct pg_notes notes = {};
	struct pg_err err = {};
	bool whole = true; /* it does not jump to a chain that some other file makes */

	if (pg_rulefile_load(path, &opts, &set, &notes, &err) < 0) {
		whole = !strstr(err.text, "Couldn't load target");
		if (whole && !notes.n && !strstr(err.text, "not supported yet"))
			fail_msg("%s: no feature is named: %s", name, err.text);
		if (!err.complete || strncmp(err.text, "portguard: ", 11))
			fail_msg("%s: %s", name, err.text);
	} else {
		assert_round_trip(name, set, family, 0);
		pg_ruleset_free(set);
	}
	pg_notes_free(&notes);
	if (!whole)
		return;
	opts.skip_tables = opts.skip_unsupported = true;
	set = NULL;
	if (pg_rulefile_load(path, &opts, &set, &notes, &err) < 0)
		fail_msg("%s: cannot be loaded in part: %s", name, err.text);
	assert_round_trip(name, set, family, 0);
	pg_ruleset_free(set);
	pg_notes_free(&notes);
}

static void dumps_of_real_machines_load_or_say_why_not(void **state)
{
	const char *data = getenv("PG_TEST_DATA");
	char dir[4096], path[8192];
	struct dirent *entry;
	unsigned n = 0;
	DIR *d;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/rules", data ? data : "");
	d = data ? opendir(dir) : NULL;
	if (!d) {
		print_message("skipped: PG_TEST_DATA has no rules\n");
		skip();
	}
	while ((entry = readdir(d))) {
		bool v6 = strstr(entry->d_name, "v6") || strstr(entry->d_name, "6.rules");

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		try_dump(path, entry->d_name, v6 ? PG_V6 : PG_V4);
		n++;
	}
	closedir(d);
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(a_family_gets_only_its_rules_without_marks),
		cmocka_unit_test(counters_are_taken_over_only_on_request),
		cmocka_unit_test(a_file_replaces_rules_or_adds_to_them),
		cmocka_unit_test(a_refused_file_leaves_the_result_alone),
		cmocka_unit_test(size_is_limited),
		cmocka_unit_test(dumps_of_real_machines_load_or_say_why_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
