/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "options.h"

void pg_cmd_usage(const struct pg_cmd *cmd)
{
	printf("Usage: portguard %s%s%s\n\n%s\n%s%s", cmd->name, cmd->args[0] ? " " : "", cmd->args,
	       cmd->help, cmd->details ? "\n" : "", cmd->details ? cmd->details : "");
}

int pg_getopt(const struct pg_cmd *cmd, int argc, char **argv, const char *shorts,
	      const struct option *longs, struct pg_err *err)
{
	int c;

	/* getopt's own messages would name argv[0] and show the text unfiltered. */
	opterr = 0;
	c = getopt_long(argc, argv, shorts, longs, NULL);
	if (c == '?' && (optopt == 'h' || !strcmp(argv[optind - 1], "--help"))) {
		pg_cmd_usage(cmd);
		return PG_OPT_HELP;
	}
	if (c == ':') {
		pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "option \"%s\" requires an argument",
			     argv[optind - 1]);
		return '?';
	}
	if (c == '?') {
		/* A short one may stand among others: -xyz. */
		char one[3] = { '-', (char)optopt, '\0' };
		bool is_short = optopt > 0 && optopt < 0x80 && isgraph(optopt);

		pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "unknown option \"%s\"",
			     is_short ? one : argv[optind - 1]);
	}
	return c;
}

int pg_open_following(const struct pg_ctx *ctx, enum pg_dp_open_mode mode, const char *so,
		      struct pg_dp **ret_dp, struct pg_err *err)
{
	const struct pg_dp_opts how = {
		.state_dir = ctx->state_dir,
		.mode = mode,
		.verbose = ctx->verbose,
	};
	int r = pg_dp_open(&how, ret_dp, err);

	return r == -ENOENT ? pg_fail(err, r, "nothing is attached in %s, so %s", pg_state_dir(ctx), so) :
			      r;
}

int pg_family_option(int c, unsigned *family, struct pg_err *err)
{
	unsigned want = c == '4' ? PG_V4 : PG_V6;

	if (c != '4' && c != '6')
		return -EINVAL;
	if (*family && *family != want)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Cannot use -4 with -6");
	*family = want;
	return 0;
}

int pg_file_option(int c, struct pg_rulefile_opts *opts, struct pg_err *err)
{
	switch (c) {
	case PG_OPT_SKIP_TABLES:
		opts->skip_tables = true;
		return 0;
	case PG_OPT_SKIP_UNSUPPORTED:
		/* A table that is not enforced is an unsupported feature, too. */
		opts->skip_unsupported = opts->skip_tables = true;
		return 0;
	default:
		return pg_family_option(c, &opts->family, err);
	}
}

const char *pg_optional_number(int argc, char **argv)
{
	if (optarg)
		return optarg;
	if (optind < argc && argv[optind][0] &&
	    !argv[optind][strspn(argv[optind], "0123456789.")])
		return argv[optind++];
	return NULL;
}

int pg_wait_parse(const char *text, int *ret_wait_s, struct pg_err *err)
{
	uint32_t seconds;

	if (!text) {
		*ret_wait_s = -1;
		return 0;
	}
	if (pg_parse_u32(text, 0, INT_MAX, &seconds) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "wait seconds not numeric");
	*ret_wait_s = (int)seconds;
	return 0;
}

int pg_wait_option(const struct pg_cmd *cmd, int argc, char **argv, int *ret_wait_s,
		   struct pg_err *err)
{
	static const struct option longs[] = { { "wait", optional_argument, NULL, 'w' }, { 0 } };
	int c;

	optind = 0;
	while ((c = pg_getopt(cmd, argc, argv, ":w::", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c != 'w' || pg_wait_parse(pg_optional_number(argc, argv), ret_wait_s, err) < 0)
			return -EINVAL;
	}
	if (optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "%s takes no '%s'", cmd->name,
				    argv[optind]);
	return 0;
}

int pg_open_pending(const struct pg_cmd *cmd, const struct pg_ctx *ctx, int argc, char **argv,
		    const char *none, struct pg_dp **ret_dp, struct pg_err *err)
{
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.verbose = ctx->verbose,
		.pending = true,
	};
	int r = pg_wait_option(cmd, argc, argv, &opts.wait_s, err);

	if (r)
		return r;
	r = pg_dp_open(&opts, ret_dp, err);
	return r == -ENOENT ? pg_fail(err, r, "%s", none) : r;
}

size_t pg_names_once(char **name, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < kept && strcmp(name[j], name[i]))
			j++;
		if (j == kept)
			name[kept++] = name[i];
	}
	return kept;
}
