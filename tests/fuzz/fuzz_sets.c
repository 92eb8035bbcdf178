// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A file of ipset's commands; what comes of it is saved, and restored from that. */
#include "fuzz.h"

#include "setfile.h"
#include "view_set.h"

enum { NOW_NS = 1000000000, FILE_MAX = 4096 };

/* The sets that a file makes; 0 or a negative errno. */
static int read_sets(char *text, size_t n, bool skip, struct pg_setfile *ret)
{
	struct pg_err err = { 0 };
	int r;

	*ret = (struct pg_setfile){ .sets = pg_sets_new(NULL, &(struct pg_sets_base){ 0 }, NOW_NS),
				    .skip = skip };
	MUST(ret->sets);
	r = pg_setfile_read(ret, text, n, skip, &err);
	if (r < 0)
		MUST(err.text[0] && err.exit_code);
	return r;
}

/* Its entries in order: those of the layer, which lies on nothing. */
static void show(FILE *f, const struct pg_set *set, enum pg_set_format format)
{
	const struct pg_set_show how = { .format = format, .sorted = true, .now_ns = NOW_NS };
	struct pg_set_view view = { .info = &set->info };

	view.entry = calloc(set->n + 1, sizeof(*view.entry));
	for (size_t i = 0; i < set->n; i++)
		if (set->entry[i].change == PG_SET_PUT)
			view.entry[view.n++] = set->entry[i];
	qsort(view.entry, view.n, sizeof(*view.entry), pg_ipset_compare);
	pg_set_show(f, &view, &how);
	free(view.entry);
}

static char *save(const struct pg_setfile *file, enum pg_set_format format, size_t *ret_n)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_n);

	for (size_t i = 0; i < PG_SETS; i++)
		if (file->sets->set[i].info.type)
			show(f, &file->sets->set[i], format);
	fclose(f);
	return text;
}

/* Does it allow a set of millions? To fill one by a range takes as long as that takes, and finds nothing. */
static bool is_slow(const char *text)
{
	static const char option[] = "maxelem";
	const char *at = text;

	while ((at = strstr(at, option))) {
		at += strlen(option);
		at += strspn(at, " \t");
		if (strspn(at, "0123456789xXabcdefABCDEF") > 5)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pg_setfile file, again;
	char *text, *saved, *copy, *second;
	size_t n_saved, n_second, n_copy;

	if (!n || n > FILE_MAX)
		return 0;
	text = malloc(n);
	memcpy(text, data + 1, n - 1);
	text[n - 1] = '\0'; /* as the reader of files has it */
	if (is_slow(text)) {
		free(text);
		return 0;
	}
	if (!read_sets(text, n - 1, data[0] & 1, &file)) {
		saved = save(&file, PG_SET_SAVE, &n_saved);
		copy = save(&file, PG_SET_SAVE, &n_copy);
		MUST(!read_sets(copy, n_copy, false, &again));
		second = save(&again, PG_SET_SAVE, &n_second);
		MUST(n_saved == n_second && !memcmp(saved, second, n_saved));
		pg_setfile_free(&again);
		free(second);
		free(copy);
		free(saved);
		saved = save(&file, PG_SET_JSON, &n_saved);
		free(saved);
	}
	pg_setfile_free(&file);
	free(text);
	return 0;
}
