/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "names.h"
#include "options.h"
#include "view_table.h"

static int run_set_timeout(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_set_timeout = {
	.name = "set-timeout",
	.args = "[NAME [SECONDS | default]]… [-w [SECONDS]] [--json]",
	.help = "Say how long connections are remembered when nothing comes, or change that",
	.details =
		"Names are those of nf_conntrack's sysctls: tcp_established, udp_stream, generic, … or in\n"
		"full, nf_conntrack_tcp_timeout_established; '-' is as good as '_'. Without any, all are\n"
		"listed. What is set holds at once, also for connections that are there, and stays with the\n"
		"instance.\n"
		PG_HELP_WAIT,
	.run = run_set_timeout,
};

#define X_DEFAULT(sym, name, seconds) (seconds),
static const uint32_t defaults[] = { PG_TIMEOUTS(X_DEFAULT) };

/* "tcp-established", "nf_conntrack_tcp_timeout_established", "net.netfilter.nf_…" → ours */
static bool plain_name(const char *text, char *buf, size_t size)
{
	static const char *const noise[] = { "net.netfilter.", "nf_conntrack_", "timeout_" };
	char *at;

	if (strlen(text) >= size)
		return false;
	strcpy(buf, text);
	for (char *p = buf; *p; p++)
		if (*p == '-')
			*p = '_';
	for (size_t i = 0; i < ARRAY_SIZE(noise); i++) {
		at = strstr(buf, noise[i]);
		if (at)
			memmove(at, at + strlen(noise[i]), strlen(at + strlen(noise[i])) + 1);
	}
	/* nf_conntrack_udp_timeout */
	at = strstr(buf, "_timeout");
	if (at && !at[strlen("_timeout")])
		*at = '\0';
	return true;
}

static int find(const char *text, enum pg_timeout *ret, struct pg_err *err)
{
	char name[64];

	if (plain_name(text, name, sizeof(name))) {
		for (unsigned i = 0; i < _PG_TIMEOUT_MAX; i++) {
			if (strcasecmp(name, pg_timeout_name(i)))
				continue;
			*ret = (enum pg_timeout)i;
			return 0;
		}
	}
	return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
			    "there is no timeout '%s'; `portguard set-timeout' lists them", text);
}

struct change {
	enum pg_timeout timeout;
	uint32_t seconds;
};

static int parse_change(char **word, struct change *ret, struct pg_err *err)
{
	int r = find(word[0], &ret->timeout, err);

	if (r < 0)
		return r;
	ret->seconds = defaults[ret->timeout];
	if (strcmp(word[1], "default") &&
	    pg_parse_u32(word[1], 1, PG_TIMEOUT_MAX_S, &ret->seconds) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "a timeout is 1 to %u seconds, or 'default', not '%s'",
				    PG_TIMEOUT_MAX_S, word[1]);
	return 0;
}

static uint32_t seconds_of(struct pg_dp *dp, enum pg_timeout timeout)
{
	return dp ? pg_dp_timeout_get(dp, timeout) : defaults[timeout];
}

static void list_json(struct pg_dp *dp)
{
	printf("{\"timeouts\":[");
	for (unsigned i = 0; i < _PG_TIMEOUT_MAX; i++)
		printf("%s{\"name\":\"%s\",\"seconds\":%u,\"default\":%u}", i ? "," : "",
		       pg_timeout_name(i), seconds_of(dp, (enum pg_timeout)i), defaults[i]);
	printf("]}\n");
}

static int list(const struct pg_ctx *ctx, struct pg_dp *dp, struct pg_err *err)
{
	static const struct pg_column columns[] = {
		{ "TIMEOUT", false, false }, { "SECONDS", true, false }, { "DEFAULT", true, false },
	};
	_cleanup_(pg_table_freep) struct pg_table *table = NULL;
	_cleanup_(pg_text_free) struct pg_text t = { 0 };

	if (ctx->json) {
		list_json(dp);
		return 0;
	}
	table = pg_table_new(columns, ARRAY_SIZE(columns));
	for (unsigned i = 0; i < _PG_TIMEOUT_MAX; i++) {
		pg_table_cell(table, "%s", pg_timeout_name(i));
		pg_table_number(table, seconds_of(dp, (enum pg_timeout)i));
		pg_table_number(table, defaults[i]);
	}
	pg_table_print(&t, table, 0);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	return 0;
}

/* All of it is right before any of it is done. What has expired by now would live again by a longer one. */
static int set(struct pg_dp *dp, char **word, int n, struct pg_err *err)
{
	for (int pass = 0; pass < 2; pass++) {
		if (pass)
			pg_dp_flows_collect(dp);
		for (int i = 0; i < n; i += 2) {
			struct change change;
			int r = parse_change(word + i, &change, err);

			if (r < 0)
				return r;
			if (pass)
				pg_dp_timeout_set(dp, change.timeout, change.seconds);
		}
	}
	return 0;
}

static int get(const struct pg_ctx *ctx, struct pg_dp *dp, const char *name, struct pg_err *err)
{
	enum pg_timeout timeout;
	int r = find(name, &timeout, err);

	if (r < 0)
		return r;
	if (ctx->json)
		printf("{\"name\":\"%s\",\"seconds\":%u,\"default\":%u}\n", pg_timeout_name(timeout),
		       seconds_of(dp, timeout), defaults[timeout]);
	else
		printf("%u\n", seconds_of(dp, timeout));
	return 0;
}

static int parse_options(int argc, char **argv, int *wait_s, struct pg_err *err)
{
	static const struct option longs[] = { { "wait", optional_argument, NULL, 'w' }, { 0 } };
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_set_timeout, argc, argv, ":w::", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c != 'w' || pg_wait_parse(pg_optional_number(argc, argv), wait_s, err) < 0)
			return -EINVAL;
	}
	if (argc - optind > 1 && (argc - optind) % 2)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "'%s' needs seconds", argv[argc - 1]);
	return 0;
}

static int run_set_timeout(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
		.pending = true,
	};
	struct change first;
	int r = parse_options(argc, argv, &opts.wait_s, err), n = argc - optind, words = optind;

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (n > 1) {
		/* Nothing is made for a command that is wrong. */
		r = parse_change(argv + words, &first, err);
		if (r < 0)
			return r;
		opts.mode = PG_DP_CREATE;
	}
	r = pg_dp_open(&opts, &dp, err);
	if (r < 0 && (n > 1 || r != -ENOENT))
		return r;
	if (!n)
		return list(ctx, dp, err);
	return n == 1 ? get(ctx, dp, argv[words], err) : set(dp, argv + words, n, err);
}
