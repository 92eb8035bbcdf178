/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "util.h"

static void numbers_are_whole_and_in_range(void **state)
{
	static const struct {
		const char *name, *text;
		uint64_t min, max;
		int r;
		uint64_t value;
	} rows[] = {
		{ "decimal", "80", 0, 65535, 0, 80 },
		{ "hexadecimal", "0x50", 0, 65535, 0, 80 },
		{ "capital hexadecimal", "0XfF", 0, 255, 0, 255 },
		{ "zero", "0", 0, 1, 0, 0 },
		{ "leading zeros are decimal", "0010", 0, 100, 0, 10 },
		{ "largest", "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "upper bound is included", "65535", 0, 65535, 0, 65535 },
		{ "lower bound is included", "1", 1, 2, 0, 1 },
		{ "empty", "", 0, 1, -EINVAL, 0 },
		{ "trailing letters", "80abc", 0, 65535, -EINVAL, 0 },
		{ "negative", "-1", 0, 65535, -EINVAL, 0 },
		{ "plus", "+1", 0, 65535, -EINVAL, 0 },
		{ "blank before", " 1", 0, 65535, -EINVAL, 0 },
		{ "blank after", "1 ", 0, 65535, -EINVAL, 0 },
		{ "only 0x", "0x", 0, 65535, -EINVAL, 0 },
		{ "above the range", "65536", 0, 65535, -ERANGE, 0 },
		{ "below the range", "0", 1, 65535, -ERANGE, 0 },
		{ "overflow by one", "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "overflow onto a port", "18446744073709551696", 0, 65535, -ERANGE, 0 },
		{ "overflow and letters", "99999999999999999999x", 0, 65535, -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t v = 12345;
		int r = pg_parse_u64(rows[i].text, rows[i].min, rows[i].max, &v);

		if (r != rows[i].r || v != (r ? 12345 : rows[i].value))
			fail_msg("%s: %d, %llu", rows[i].name, r, (unsigned long long)v);
	}
}

static void narrow_numbers_keep_their_bounds(void **state)
{
	uint32_t w = 7;
	uint16_t h = 7;
	uint8_t b = 7;

	(void)state;
	assert_int_equal(pg_parse_u32("4294967296", 0, UINT32_MAX, &w), -ERANGE);
	assert_int_equal(pg_parse_u16("65536", 0, UINT16_MAX, &h), -ERANGE);
	assert_int_equal(pg_parse_u8("256", 0, UINT8_MAX, &b), -ERANGE);
	assert_true(w == 7 && h == 7 && b == 7);
	assert_int_equal(pg_parse_u32("4294967295", 0, UINT32_MAX, &w), 0);
	assert_int_equal(pg_parse_u16("65535", 0, UINT16_MAX, &h), 0);
	assert_int_equal(pg_parse_u8("255", 0, UINT8_MAX, &b), 0);
	assert_true(w == UINT32_MAX && h == UINT16_MAX && b == UINT8_MAX);
}

static void printable_text_has_no_control_characters(void **state)
{
	static const struct {
		const char *name, *text, *shown;
	} rows[] = {
		{ "plain text stays", "web tier", "web tier" },
		{ "UTF-8 stays", "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "escape sequence", "a\x1b[2Jb", "a?[2Jb" },
		{ "newline, tab, DEL", "a\nb\tc\x7f", "a?b?c?" },
		{ "C1 in UTF-8 is one mark", "a\xc2\x9b" "b", "a?b" },
		{ "stray byte", "a\x9b" "b", "a?b" },
		{ "overlong slash", "\xc0\xaf", "??" },
		{ "surrogate", "\xed\xa0\x80", "???" },
		{ "cut sequence", "a\xe2\x82", "a??" },
		{ "no-break space stays", "\xc2\xa0", "\xc2\xa0" },
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(pg_printable(rows[i].text, buf, sizeof(buf)), rows[i].shown))
			fail_msg("%s: '%s'", rows[i].name, buf);
}

static void printable_text_is_cut_between_characters(void **state)
{
	char buf[4];

	(void)state;
	assert_string_equal(pg_printable("abcdef", buf, sizeof(buf)), "abc");
	assert_string_equal(pg_printable("ab\xc3\xa9", buf, sizeof(buf)), "ab");
	assert_string_equal(pg_printable("a\xc3\xa9", buf, sizeof(buf)), "a\xc3\xa9");
	assert_string_equal(pg_printable("x", buf, 1), "");
}

static void text_grows_and_stays_terminated(void **state)
{
	struct pg_text t = {};

	(void)state;
	pg_text_addn(&t, "", 0);
	assert_string_equal(t.buf, "");
	for (int i = 0; i < 1000; i++)
		pg_text_add(&t, "%d,", i % 10);
	assert_false(t.oom);
	assert_int_equal(t.len, 2000);
	assert_int_equal(strlen(t.buf), 2000);
	assert_memory_equal(t.buf + 1998, "9,", 3);
	pg_text_free(&t);
	assert_null(t.buf);
	pg_text_free(&t);
}

static void errors_carry_code_and_text(void **state)
{
	struct pg_err err = { .complete = true };

	(void)state;
	assert_int_equal(pg_fail(&err, -ENOENT, "no %s", "such"), -ENOENT);
	assert_int_equal(err.exit_code, PG_EXIT_FAILED);
	assert_string_equal(err.text, "no such");
	assert_false(err.complete);
	assert_int_equal(pg_fail_exit(&err, PG_EXIT_USAGE, -EINVAL, "x"), -EINVAL);
	assert_int_equal(err.exit_code, PG_EXIT_USAGE);
	assert_int_equal(pg_fail(NULL, -EIO, "nobody asks"), -EIO);
}

static void a_moment_has_one_date(void **state)
{
	const uint64_t moment = pg_clock_ns(CLOCK_MONOTONIC);
	const time_t now = (time_t)(pg_clock_ns(CLOCK_REALTIME) / 1000000000);
	struct timespec first = pg_wall_time(moment), next;

	(void)state;
	assert_true(first.tv_sec >= now - 1 && first.tv_sec <= now);
	for (int i = 0; i < 10000; i++) {
		next = pg_wall_time(moment);
		assert_int_equal(next.tv_sec, first.tv_sec);
		assert_int_equal(next.tv_nsec, first.tv_nsec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_and_in_range),
		cmocka_unit_test(narrow_numbers_keep_their_bounds),
		cmocka_unit_test(printable_text_has_no_control_characters),
		cmocka_unit_test(printable_text_is_cut_between_characters),
		cmocka_unit_test(text_grows_and_stays_terminated),
		cmocka_unit_test(errors_carry_code_and_text),
		cmocka_unit_test(a_moment_has_one_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
