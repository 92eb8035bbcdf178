/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "completion.h"
#include "manual.h"
#include "options.h"

static int run_completion(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);
static int run_manual(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.help = "Print what makes a shell complete portguard's command line",
	.details = "For this shell: . <(portguard completion bash). An installed portguard needs none of it.\n",
	.run = run_completion,
};

const struct pg_cmd pg_cmd_manual = {
	.name = "manual",
	.args = "commands|matches|targets|reasons|timeouts",
	.help = "Print a part of the manual, in mdoc, that is made from portguard's own tables",
	.details = "`portguard manual reasons | mandoc -mdoc` shows it; portguard(8) has all of it.\n",
	.run = run_manual,
};

struct part {
	const char *name;
	void (*print)(struct pg_text *t, const struct pg_cmd *const *commands);
};

static int print_part(const struct pg_cmd *cmd, const struct part *part, size_t n,
		      const struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct option longs[] = { { 0 } };
	struct pg_text t = { 0 };
	int r = 0;

	optind = 0;
	r = pg_getopt(cmd, argc, argv, ":", longs, err);
	if (r != -1)
		return r == PG_OPT_HELP ? 0 : -EINVAL;
	for (size_t i = 0; i < n && argc - optind == 1; i++) {
		if (strcmp(part[i].name, argv[optind]))
			continue;
		part[i].print(&t, ctx->commands);
		if (t.oom)
			r = pg_fail(err, -ENOMEM, "out of memory");
		else
			r = fwrite(t.buf, 1, t.len, stdout) == t.len ? 0 : -EIO;
		pg_text_free(&t);
		return r;
	}
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "%s takes one of %s", cmd->name, cmd->args);
}

static int run_completion(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct part shells[] = {
		{ "bash", pg_completion_bash },
		{ "zsh", pg_completion_zsh },
		{ "fish", pg_completion_fish },
	};

	return print_part(&pg_cmd_completion, shells, ARRAY_SIZE(shells), ctx, argc, argv, err);
}

static int run_manual(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct part parts[] = {
		{ "commands", pg_manual_commands }, { "matches", pg_manual_matches },
		{ "targets", pg_manual_targets },   { "reasons", pg_manual_reasons },
		{ "timeouts", pg_manual_timeouts },
	};

	return print_part(&pg_cmd_manual, parts, ARRAY_SIZE(parts), ctx, argc, argv, err);
}
