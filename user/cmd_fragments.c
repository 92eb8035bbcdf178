/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "json_put.h"
#include "names.h"
#include "options.h"

static int run_set_fragments(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_set_fragments = {
	.name = "set-fragments",
	.args = "[auto|drop|pass|rules] [-w [SECONDS]] [--json]",
	.help = "What becomes of fragments behind a datagram's first; alone: say what is set",
	.details =
		"Rules about ports and the like are asked about the first fragment, the others follow it:\n"
		"what iptables does where conntrack is loaded. One that comes before its first is\n"
		"  auto                dropped where the chain's policy is DROP, else accepted; but where a\n"
		"                      rule has -f or -m frag, `rules' (the default)\n"
		"  drop                dropped\n"
		"  pass                accepted\n"
		"  rules               and every fragment is asked about as it is: iptables without conntrack\n"
		"Fragments that this machine sends always follow their first: OUTPUT is about the whole.\n"
		PG_HELP_WAIT,
	.run = run_set_fragments,
};

static int setting_from_str(const char *text, enum pg_fragments *ret, struct pg_err *err)
{
	for (enum pg_fragments f = 0; f < _PG_FRAGMENTS_MAX; f++) {
		if (!strcmp(text, pg_fragments_name(f))) {
			*ret = f;
			return 0;
		}
	}
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
			    "set-fragments takes auto, drop, pass or rules, not '%s'", text);
}

/* *ret_text: the setting, or NULL. */
static int read_options(int argc, char **argv, const char **ret_text, int *ret_wait_s,
			struct pg_err *err)
{
	static const struct option longs[] = { { "wait", optional_argument, NULL, 'w' }, { 0 } };
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_set_fragments, argc, argv, "w::", longs, err)) != -1) {
		if (c != 'w')
			return c == PG_OPT_HELP ? PG_OPT_HELP : -EINVAL;
		r = pg_wait_parse(optarg ? optarg : pg_optional_number(argc, argv), ret_wait_s, err);
	}
	if (!r && argc - optind > 1)
		r = pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "set-fragments takes one word");
	*ret_text = argv[optind];
	return r;
}

static int show(const struct pg_ctx *ctx, const struct pg_dp *dp, struct pg_err *err)
{
	const char *setting = pg_fragments_name(pg_dp_fragments(dp));
	struct json_object *doc;
	bool oom = false;

	if (!ctx->json) {
		printf("%s\n", setting);
		return 0;
	}
	doc = json_object_new_object();
	pg_json_text(doc, "fragments", setting, &oom);
	return pg_json_end(stdout, doc, oom, err);
}

static int run_set_fragments(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_dp_opts opts = { .state_dir = ctx->state_dir, .verbose = ctx->verbose };
	enum pg_fragments setting = PG_FRAGMENTS_AUTO;
	const char *text = NULL;
	int r = read_options(argc, argv, &text, &opts.wait_s, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (text)
		r = setting_from_str(text, &setting, err);
	if (r)
		return r;
	opts.mode = text ? PG_DP_CREATE : PG_DP_READ;
	r = pg_dp_open(&opts, &dp, err);
	if (r && !(r == -ENOENT && !text))
		return r;
	if (!text)
		return show(ctx, dp, err);
	pg_dp_set_fragments(dp, setting);
	return 0;
}
