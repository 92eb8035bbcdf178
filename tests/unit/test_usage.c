/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "completion.h"
#include "manual.h"
#include "names.h"
#include "usage.h"

static const struct pg_cmd go = {
	.name = "go",
	.args = "IFACE… | --all [--mode auto|tc] [-n N] [-4|-6] [-f | --follow] [PORT[-PORT]] "
		"[on|off] [-w [SECONDS]] [--file FILE]",
	.help = "Do it",
	.details =
		"Prose of\n"
		"two lines.\n"
		"  --all               everything; it's\n"
		"                      all of it\n"
		"  --mode MODE         how:\n"
		"         auto         by itself\n"
		"         tc           .with a dot\n"
		"  -n, --number N      how many\n"
		"  -w [SECONDS]        wait\n"
		"  on                  is a word\n"
		"A last line.\n",
};
static const struct pg_cmd *const commands[] = { &go, NULL };

static int setup(void **state)
{
	static struct pg_usage usage;

	*state = &usage;
	return pg_usage_read(&go, &usage);
}

static int teardown(void **state)
{
	pg_usage_free(*state);
	return 0;
}

static void rows_are_prose_options_and_choices(void **state)
{
	static const struct {
		enum pg_usage_kind kind;
		const char *head, *help;
	} rows[] = {
		{ PG_USAGE_TEXT, NULL, "Prose of two lines." },
		{ PG_USAGE_ROW, "--all", "everything; it's all of it" },
		{ PG_USAGE_ROW, "--mode MODE", "how:" },
		{ PG_USAGE_CHOICE, "auto", "by itself" },
		{ PG_USAGE_CHOICE, "tc", ".with a dot" },
		{ PG_USAGE_ROW, "-n, --number N", "how many" },
		{ PG_USAGE_ROW, "-w [SECONDS]", "wait" },
		{ PG_USAGE_ROW, "on", "is a word" },
		{ PG_USAGE_TEXT, NULL, "A last line." },
	};
	const struct pg_usage *u = *state;

	assert_int_equal(u->n_rows, ARRAY_SIZE(rows));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(u->row[i].kind, rows[i].kind);
		assert_string_equal(u->row[i].help, rows[i].help);
		if (rows[i].head)
			assert_string_equal(u->row[i].head, rows[i].head);
		else
			assert_null(u->row[i].head);
	}
}

static void options_have_their_values(void **state)
{
	static const struct {
		const char *name, *value;
		bool optional, has_help;
	} rows[] = {
		{ "--all", NULL, false, true },	     { "--mode", "auto|tc", false, true },
		{ "-n", "N", false, true },	     { "--number", "N", false, true },
		{ "-w", "SECONDS", true, true },     { "-4", NULL, false, false },
		{ "-6", NULL, false, false },	     { "-f", NULL, false, false },
		{ "--follow", NULL, false, false },  { "--file", "FILE", false, false },
	};
	const struct pg_usage *u = *state;

	assert_int_equal(u->n_options, ARRAY_SIZE(rows));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct pg_usage_option *o =
			pg_usage_find(u, rows[i].name, strlen(rows[i].name));

		assert_non_null(o);
		assert_int_equal(!!o->help, rows[i].has_help);
		assert_int_equal(o->optional, rows[i].optional);
		if (rows[i].value)
			assert_string_equal(o->value, rows[i].value);
		else
			assert_null(o->value);
	}
}

static void words_stand_without_options(void **state)
{
	const struct pg_usage *u = *state;

	assert_int_equal(u->n_words, 3);
	assert_string_equal(u->word[0], "IFACE");
	assert_string_equal(u->word[1], "PORT");
	assert_string_equal(u->word[2], "on|off");
}

static void only_names_are_names(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		{ "--all", 5 },	   { "--skip-tables x", 13 }, { "-w", 2 },	{ "-w [S", 2 },
		{ "-exist", 6 },   { "-!, -exist", 2 },	      { "-PORT", 0 },	{ "-", 0 },
		{ "--", 0 },	   { "PORT", 0 },	      { "-4|-6", 2 },	{ "-|x", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (pg_usage_name_len(rows[i].text) != rows[i].len)
			fail_msg("%s: %zu", rows[i].text, pg_usage_name_len(rows[i].text));
}

static void has(const struct pg_text *t, const char *line)
{
	if (!strstr(t->buf, line))
		fail_msg("'%s' is not in:\n%s", line, t->buf);
}

static void shells_are_told_of_values_and_help(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_completion_bash(&t, commands);
	assert_false(t.oom);
	has(&t, "\t--mode) _portguard_words 'auto tc'; return ;;\n");
	has(&t, "\t--file) _portguard_files; return ;;\n");
	has(&t, "\tm:vlan) echo '--vlan-id ' ;;\n");
	pg_text_free(&t);
	pg_completion_fish(&t, commands);
	assert_false(t.oom);
	has(&t, "complete -c portguard -n '__fish_seen_subcommand_from go' -l all -d 'everything; "
		"it\\'s all of it'\n");
	pg_text_free(&t);
}

static void the_manual_nests_choices(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_manual_commands(&t, commands);
	assert_false(t.oom);
	has(&t, ".It Fl \\&-mode Ar \\&auto|tc\nhow:\n.Bl -tag -width 12n\n.It Cm \\&auto\nby itself\n"
		".It Cm \\&tc\n\\&.with a dot\n.El\n.It Fl \\&n , Fl \\&-number Ar \\&N\n");
	has(&t, ".It Fl \\&w Op Ar \\&SECONDS\nwait\n");
	pg_text_free(&t);
}

/* One sentence: begun with a capital, ended with a full stop, and with no other in it. */
static void the_manual_has_a_sentence_for_every_reason(void **state)
{
	struct pg_text t = { 0 };

	(void)state;
	pg_manual_reasons(&t, commands);
	assert_false(t.oom);
	for (enum pg_reason r = 0; r < _PG_REASON_MAX; r++) {
		char item[64], *text, *end, want[512];

		snprintf(item, sizeof(item), ".It Cm \\&%s\n", pg_reason_name(r));
		text = strstr(t.buf, item);
		assert_non_null(text);
		text += strlen(item);
		end = strstr(text, "\n.It ") ?: strrchr(text, '\n');
		assert_int_equal(end[-1], '.');
		assert_null(memmem(text, (size_t)(end - text), ". ", 2));
		snprintf(want, sizeof(want), "%.*s", (int)(end - text - 1), text);
		for (char *c = want; *c; c++)
			*c = *c == '\n' ? ' ' : *c;
		assert_true(want[0] >= 'A' && want[0] <= 'Z');
		assert_string_equal(want + 1, pg_reason_help(r) + 1);
	}
	pg_text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_prose_options_and_choices),
		cmocka_unit_test(options_have_their_values),
		cmocka_unit_test(words_stand_without_options),
		cmocka_unit_test(only_names_are_names),
		cmocka_unit_test(shells_are_told_of_values_and_help),
		cmocka_unit_test(the_manual_nests_choices),
		cmocka_unit_test(the_manual_has_a_sentence_for_every_reason),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
