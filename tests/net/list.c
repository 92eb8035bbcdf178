/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules of a file as `-L INPUT`, or with -S as `save` shows them, without a kernel and without
 * compiling them: list [-4|-6] [-n] [-S] FILE. Exit codes and messages are portguard's.
 */
#include <stdio.h>
#include <string.h>

#include "list.h"
#include "rulefile.h"

int main(int argc, char **argv)
{
	struct pg_rulefile_opts file = { .unenforced = true };
	struct pg_list_opts opts = { .chain = "INPUT" };
	struct pg_ruleset *set = NULL;
	struct pg_notes notes = {};
	struct pg_text t = {};
	struct pg_err err = {};
	bool rules = false;

	for (int i = 1; i < argc - 1; i++) {
		if (!strcmp(argv[i], "-4"))
			file.family = PG_V4;
		if (!strcmp(argv[i], "-6"))
			file.family = PG_V6;
		if (!strcmp(argv[i], "-n"))
			opts.numeric = true;
		if (!strcmp(argv[i], "-S"))
			rules = true;
	}
	if (argc < 2 || pg_rulefile_load(argv[argc - 1], &file, &set, &notes, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return err.exit_code ? err.exit_code : 1;
	}
	if (rules)
		pg_rulefile_write(&t, set, file.family, 0);
	else
		pg_list_print(&t, set, &opts);
	if (!t.oom)
		fwrite(t.buf, 1, t.len, stdout);
	pg_text_free(&t);
	pg_notes_free(&notes);
	pg_ruleset_free(set);
	return 0;
}
