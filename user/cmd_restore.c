/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "compile.h"
#include "edit.h"
#include "options.h"
#include "print.h"

static int run_restore(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_restore = {
	.name = "restore",
	.args = "[-c] [-n] [-4|-6] [-T TABLE] [-t|--test] [--print] [--skip-tables] "
		"[--skip-unsupported] [-w [SECONDS]] [FILE]",
	.help = "Make a file in iptables-save's format the policy, all of it or nothing",
	.details =
		"  -c, --counters      take over the file's counters; otherwise rules that stay keep theirs\n"
		"  -n, --noflush       add to the policy in force\n"
		"  -4, -6              read the file as iptables-restore or ip6tables-restore would\n"
		"  -T, --table TABLE   read only that table's lines\n"
		"  -t, --test          change nothing; needs no privileges\n"
		"  --print             print the policy as it was understood\n"
		PG_HELP_FILE PG_HELP_WAIT,
	.run = run_restore,
};

struct options {
	struct pg_rulefile_opts file;
	bool test, print;
	int wait_s;
	const char *path; /* NULL: standard input */
};

enum { OPT_PRINT = 0x200 };

/* 0, or PG_OPT_HELP, or negative. */
static int take_option(int c, int argc, char **argv, struct options *o, struct pg_err *err)
{
	switch (c) {
	case 'c':
		o->file.counters = true;
		return 0;
	case 'n':
		o->file.noflush = true;
		return 0;
	case 'T':
		o->file.table = optarg;
		return 0;
	case 't':
		o->test = true;
		return 0;
	case OPT_PRINT:
		o->print = true;
		return 0;
	case 'w':
		return pg_wait_parse(pg_optional_number(argc, argv), &o->wait_s, err);
	case PG_OPT_HELP:
		return c;
	default:
		return pg_file_option(c, &o->file, err);
	}
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "counters", no_argument, NULL, 'c' },
		{ "noflush", no_argument, NULL, 'n' },
		{ "table", required_argument, NULL, 'T' },
		{ "test", no_argument, NULL, 't' },
		{ "print", no_argument, NULL, OPT_PRINT },
		PG_LONG_FILE,
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_restore, argc, argv, ":cn46T:tw::", longs, err)) != -1)
		r = take_option(c, argc, argv, o, err);
	if (r)
		return r;
	if (argc - optind > 1)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "restore takes one file, not '%s'",
				    argv[optind + 1]);
	if (optind < argc)
		o->path = strcmp(argv[optind], "-") ? argv[optind] : NULL;
	return 0;
}

static int parse(const struct options *o, const struct pg_text *text, const struct pg_ruleset *base,
		 struct pg_ruleset **ret_set, struct pg_err *err)
{
	struct pg_rulefile_opts opts = o->file;

	opts.base = base;
	opts.name = o->path;
	return pg_edit_parse(text, &opts, ret_set, err);
}

static int print_set(const struct options *o, const struct pg_ruleset *set, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = {};

	pg_rulefile_write(&t, set, o->file.family, o->file.counters ? PG_RULEFILE_COUNTERS : 0);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	return 0;
}

static size_t rules_of(const struct pg_ruleset *set, unsigned family)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n_chains; i++)
		for (size_t k = 0; k < set->chain[i].n_rules; k++)
			n += !!(pg_rule_families(&set->chain[i].rule[k]) & family);
	return n;
}

/*
 * Chains and their policies are of both families here, and a file of one takes the place of all: ip6tables-restore
 * behind iptables-restore, as many a machine boots, is `restore -n -6` behind `restore -4`.
 */
static void warn_of_other_family(const struct options *o, const struct pg_ruleset *old, const struct pg_ruleset *set)
{
	unsigned other = PG_V46 & ~o->file.family;
	char own = o->file.family == PG_V4 ? '4' : '6', its = o->file.family == PG_V4 ? '6' : '4';
	size_t was = rules_of(old, other), is = rules_of(set, other); /* a table that is not in the file stays */

	if (was > is)
		fprintf(stderr,
			"portguard: restore -%c took the place of all rules, of which %zu held for IPv%c; restore -n -%c "
			"adds to them\n",
			own, was - is, its, own);
	for (size_t i = 0; i < PG_CHAINS_BUILTIN; i++)
		if (old->chain[i].policy != set->chain[i].policy)
			fprintf(stderr, "portguard: the policy of %s is %s now, for IPv%c, too\n", set->chain[i].name,
				pg_target_name(set->chain[i].policy), its);
}

/* The counters of a file read with -c are what it says; otherwise rules that stay keep theirs. */
static int commit(const struct pg_ctx *ctx, const struct options *o, const struct pg_text *text,
		  struct pg_ruleset **ret_set, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_edit_close) struct pg_edit edit = {};
	int r = pg_edit_open(ctx, true, o->wait_s, &edit, err);

	if (!r)
		r = parse(o, text, edit.set, &set, err);
	if (r < 0)
		return r;
	if (!o->file.counters)
		pg_policy_inherit(set, edit.set);
	r = pg_edit_commit(&edit, set, err);
	if (r < 0)
		return r;
	if (o->file.family && set)
		warn_of_other_family(o, edit.set, set);
	*ret_set = TAKE_PTR(set);
	return 0;
}

static int run_restore(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_text_free) struct pg_text text = {};
	struct options o = {};
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	/* All of it first: a slow writer must not hold up others at the lock. */
	r = pg_rulefile_slurp(o.path, &text, err);
	if (r < 0)
		return r;
	if (o.test)
		r = parse(&o, &text, NULL, &set, err) ?: pg_compile_test(set, NULL, err);
	else
		r = commit(ctx, &o, &text, &set, err);
	if (r < 0)
		return r;
	return o.print ? print_set(&o, set, err) : 0;
}
