/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lex.h"

/* Words joined by '|', each with its column: "1:-A|4:INPUT". */
static char *words_of(const char *text, char *buf, size_t size)
{
	struct pg_pos pos = { 3, 1 };
	struct pg_args args = {};
	struct pg_diag diag;
	size_t at = 0;

	buf[0] = '\0';
	if (pg_lex(text, strlen(text), pos, &args, &diag) < 0) {
		snprintf(buf, size, "%u: %s", diag.pos.column, diag.text);
		return buf;
	}
	for (size_t i = 0; i < args.n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%u:%s", i ? "|" : "",
				       args.arg[i].pos.column, args.arg[i].text);
	pg_args_free(&args);
	return buf;
}

static void words_are_split_as_iptables_restore_does(void **state)
{
	static const struct {
		const char *name, *text, *words;
	} rows[] = {
		{ "nothing", "", "" },
		{ "blanks", " \t ", "" },
		{ "plain words", "-A INPUT -j DROP", "1:-A|4:INPUT|10:-j|13:DROP" },
		{ "several blanks and tabs", " -A\t\tINPUT ", "2:-A|6:INPUT" },
		{ "quotes keep blanks", "-c \"a b\" x", "1:-c|4:a b|10:x" },
		{ "empty quotes are a word", "a \"\" b", "1:a|3:|6:b" },
		{ "the closing quote ends the word", "\"a\"b", "1:a|4:b" },
		{ "a quote may begin inside a word", "x\"a b\"", "1:xa b" },
		{ "backslash in quotes", "\"a\\\"b\\\\c\"", "1:a\"b\\c" },
		{ "backslash elsewhere is itself", "a\\ b", "1:a\\|4:b" },
		{ "single quotes are themselves", "'a b'", "1:'a|4:b'" },
		{ "open quote", "a \"b c", "3: quote is not closed" },
		{ "quote open at a backslash", "\"a\\", "1: quote is not closed" },
		{ "escape character", "a \x1b[2J", "3: control character (byte 0x1b) in a rule" },
	};
	char buf[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(words_of(rows[i].text, buf, sizeof(buf)), rows[i].words))
			fail_msg("%s: %s", rows[i].name, buf);
}

static void a_nul_byte_is_no_end(void **state)
{
	struct pg_pos pos = { 1, 1 };
	struct pg_args args = {};
	struct pg_diag diag;

	(void)state;
	assert_int_equal(pg_lex("ab\0cd", 5, pos, &args, &diag), -EINVAL);
	assert_int_equal(diag.pos.column, 3);
	assert_null(args.arg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_split_as_iptables_restore_does),
		cmocka_unit_test(a_nul_byte_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
