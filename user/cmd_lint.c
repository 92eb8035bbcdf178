/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "export_json.h"
#include "options.h"
#include "rulefile.h"

static int run_lint(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_lint = {
	.name = "lint",
	.args = "FILE [-4|-6] [--json]",
	.help = "Say what is wrong with a file in iptables-save's format, and what looks wrong",
	.details =
		"  -4, -6  read the file as iptables-restore or ip6tables-restore would\n"
		"Needs no privileges. Exit status 1: the file has errors; warnings do not count.\n",
	.run = run_lint,
};

static int parse_options(int argc, char **argv, unsigned *family, struct pg_err *err)
{
	static const struct option longs[] = {
		PG_LONG_FAMILY,
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_lint, argc, argv, ":46", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (pg_family_option(c, family, err) < 0)
			return -EINVAL;
	}
	if (argc - optind != 1)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "lint takes one file");
	return 0;
}

static int show(const struct pg_ctx *ctx, const struct pg_lint *lint, const char *path,
		struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = {};
	char name[256];

	if (ctx->json)
		return pg_json_lint(stdout, lint, err);
	pg_lint_print(&t, lint,
		      pg_printable(strcmp(path, "-") ? path : "<stdin>", name, sizeof(name)));
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (t.len)
		fwrite(t.buf, 1, t.len, stdout);
	return 0;
}

static int run_lint(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = {};
	_cleanup_(pg_lint_free) struct pg_lint lint = {};
	unsigned family = 0;
	int r = parse_options(argc, argv, &family, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	r = pg_rulefile_slurp(argv[optind], &text, err);
	if (!r)
		r = pg_lint_file(text.buf, text.len, family, &lint, err);
	if (!r)
		r = show(ctx, &lint, argv[optind], err);
	if (r < 0)
		return r;
	return pg_lint_has_errors(&lint) ? PG_EXIT_FAILED : 0;
}
