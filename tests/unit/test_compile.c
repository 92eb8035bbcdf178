/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which form tables get, and the words that `status` has for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "compile.h"
#include "rules.h"

static struct pg_tables *compile(struct pg_text *text, struct pg_err *err)
{
	static const char ifnames[PG_MAX_IFACES][IFNAMSIZ];
	const struct pg_compile_opts opts = { .ifnames = ifnames };
	const struct pg_rulefile_opts from = { .name = "rules" };
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	struct pg_tables *tables = NULL;
	struct pg_notes notes = {};

	pg_text_add(text, "COMMIT\n");
	assert_false(text->oom);
	if (pg_rulefile_parse(text->buf, text->len, &from, &set, &notes, err))
		fail_msg("%s", err->text);
	pg_notes_free(&notes);
	pg_text_free(text);
	pg_compile(set, &opts, &tables, err);
	return tables;
}

static unsigned below(unsigned n)
{
	static unsigned long long state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

/* Each with a port of its own, as far as there are. */
static struct pg_tables *of_prefixes(unsigned n)
{
	struct pg_tables *tables;
	struct pg_text t = {};
	struct pg_err err = {};

	pg_text_add(&t, "*filter\n");
	for (unsigned i = 0; i < n; i++)
		pg_text_add(&t, "-A INPUT -s 10.%u.%u.0/24 -p tcp --dport %u -j DROP\n",
			    i / 256 % 256, i % 256, 1 + i % 65535);
	tables = compile(&t, &err);
	if (!tables)
		fail_msg("%s", err.text);
	return tables;
}

/* Masks with gaps and ranges across each other: each of many sets of rules holds for some packet.
 */
static struct pg_tables *of_gaps(unsigned n)
{
	struct pg_tables *tables;
	struct pg_text t = {};
	struct pg_err err = {};

	pg_text_add(&t, "*filter\n");
	for (unsigned i = 0; i < n; i++)
		pg_text_add(&t,
			    "-A INPUT -s 10.%u.%u.%u/255.%u.%u.%u -p tcp --dport %u:%u -j DROP\n",
			    below(256), below(256), below(256), below(256), below(256), below(256),
			    below(100), 100 + below(65000));
	tables = compile(&t, &err);
	if (!tables)
		fail_msg("%s", err.text);
	return tables;
}

static void the_form_is_told_in_words(void **state)
{
	static const struct {
		unsigned rules;
		const char *name;
	} rows[] = {
		{ 0, "empty" },
		{ 1, "bitmaps in the leaves" },
		{ PG_TINY_TERMS, "bitmaps in the leaves" },
		{ PG_TINY_TERMS + 1, "one-word bitmaps" },
		{ 64, "one-word bitmaps" },
		{ 65, "two-level bitmaps and rows of few" },
		{ PG_TREE_TERMS, "two-level bitmaps and rows of few" },
		{ PG_TREE_TERMS + 1, "three-level bitmaps and rows of few" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pg_tables *tables = of_prefixes(rows[i].rules);

		assert_int_equal(tables->gen.terms, rows[i].rules);
		assert_string_equal(pg_form_name(tables->gen.form, tables->gen.verify),
				    rows[i].name);
		pg_tables_free(tables);
	}
}

/* What would need more than all memory of the tables is verified, and needs next to none. */
static void tables_that_have_no_room_get_the_robust_form(void **state)
{
	static const unsigned sizes[] = { 1000, PG_TREE_TERMS + 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct pg_tables *tables = of_gaps(sizes[i]);

		assert_true(tables->gen.verify);
		assert_string_equal(
			pg_form_name(tables->gen.form, tables->gen.verify),
			"robust: rules are verified one by one, their tables have no room");
		assert_int_equal(tables->gen.terms, sizes[i]);
		assert_true(tables->n_nodes < 16);
		assert_true(tables->n_row_words < PG_ROW_WORDS / 64);
		pg_tables_free(tables);
	}
}

/* Between them: more than two levels have room for, although the rules are few. */
static void the_form_that_shares_more_comes_before_it(void **state)
{
	struct pg_tables *tables = of_gaps(300);

	(void)state;
	assert_int_equal(tables->gen.form, PG_FORM_HUGE);
	assert_false(tables->gen.verify);
	assert_true(tables->n_nodes <= PG_NODES / 2);
	assert_true(tables->n_row_words <= PG_ROW_WORDS / 2);
	pg_tables_free(tables);
}

static void more_terms_than_there_may_be_are_refused(void **state)
{
	struct pg_text t = {};
	struct pg_err err = {};

	(void)state;
	pg_text_add(&t, "*filter\n");
	for (unsigned i = 0; i < PG_MAX_TERMS / 2; i++)
		pg_text_add(&t, "-A INPUT -p tcp -m multiport --ports 80 -j DROP\n");
	assert_null(compile(&t, &err));
	assert_non_null(strstr(err.text, "policy too large: more than 131072 rules"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_form_is_told_in_words),
		cmocka_unit_test(tables_that_have_no_room_get_the_robust_form),
		cmocka_unit_test(the_form_that_shares_more_comes_before_it),
		cmocka_unit_test(more_terms_than_there_may_be_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
