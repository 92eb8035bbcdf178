// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A rule file: read, printed, read again, compiled, linted. The first byte chooses how it is read.
 */
#include "fuzz.h"

#include "compile.h"
#include "lint.h"
#include "rulefile.h"

enum { COMPILED_MAX = 64 }; /* rules: tables of many take long, and are random tests' matter */

static struct pg_ruleset *read_rules(const char *text, size_t n, const struct pg_rulefile_opts *o)
{
	struct pg_err err = { 0 };
	struct pg_notes notes = { 0 };
	struct pg_ruleset *set = NULL;
	int r = pg_rulefile_parse(text, n, o, &set, &notes, &err);

	MUST(r <= 0);
	MUST(r < 0 ? err.text[0] && err.exit_code : set != NULL);
	for (size_t i = 0; i < notes.n; i++)
		must_be_printable(notes.text[i], strlen(notes.text[i]));
	pg_notes_free(&notes);
	return set;
}

/* What is printed is read as what was printed. */
static void round_trip(const struct pg_ruleset *set)
{
	const struct pg_rulefile_opts o = { .counters = true, .unenforced = true };
	struct pg_text first = { 0 }, second = { 0 };
	struct pg_ruleset *again;

	pg_rulefile_write(&first, set, 0, PG_RULEFILE_COUNTERS);
	again = read_rules(first.buf, first.len, &o);
	MUST(again);
	pg_rulefile_write(&second, again, 0, PG_RULEFILE_COUNTERS);
	MUST(first.len == second.len && !memcmp(first.buf, second.buf, first.len));
	pg_ruleset_free(again);
	pg_text_free(&first);
	pg_text_free(&second);
}

static void compile(struct pg_ruleset *set)
{
	static const char names[PG_MAX_IFACES][IFNAMSIZ] = { "eth0", "wan" };
	const struct pg_compile_opts o = { .ifnames = names };
	struct pg_tables *tables = NULL;
	struct pg_err err = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < set->n_chains; i++)
		n += set->chain[i].n_rules;
	if (n > COMPILED_MAX)
		return;
	if (pg_compile(set, &o, &tables, &err))
		MUST(err.text[0]);
	pg_tables_free(tables);
}

static void lint(const char *text, size_t n, unsigned family)
{
	struct pg_lint found = { 0 };
	struct pg_text t = { 0 };
	struct pg_err err = { 0 };

	if (!pg_lint_file(text, n, family, &found, &err)) {
		pg_lint_print(&t, &found, "rules");
		if (t.len)
			must_be_printable(t.buf, t.len);
	}
	pg_lint_free(&found);
	pg_text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t how = n ? data[0] : 0;
	const struct pg_rulefile_opts o = {
		.family = how & 1 ? PG_V4 : how & 2 ? PG_V6 : 0,
		.counters = how & 4,
		.skip_tables = how & 8,
		.skip_unsupported = how & 16,
		.unenforced = how & 32,
	};
	struct pg_ruleset *set;

	if (!n)
		return 0;
	set = read_rules((const char *)data + 1, n - 1, &o);
	if (set) {
		round_trip(set);
		if (how & 64)
			compile(set);
	}
	pg_ruleset_free(set);
	if (how & 128)
		lint((const char *)data + 1, n - 1, o.family);
	return 0;
}
