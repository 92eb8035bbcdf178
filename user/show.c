/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "options.h"
#include "show.h"

#define WATCH_DEFAULT_MS 1000
#define WATCH_MIN_MS 100
#define WATCH_MAX_S 3600

int pg_watch_parse(const char *text, unsigned *ret_ms, struct pg_err *err)
{
	double seconds;
	char *end;

	if (!text) {
		*ret_ms = WATCH_DEFAULT_MS;
		return 0;
	}
	errno = 0;
	seconds = strtod(text, &end);
	/* The comparisons are false for NaN. */
	if (*end || end == text || errno ||
	    !(seconds * 1000 >= WATCH_MIN_MS && seconds <= WATCH_MAX_S))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--watch takes seconds from 0.1 to %d, not '%s'", WATCH_MAX_S,
				    text);
	*ret_ms = (unsigned)(seconds * 1000);
	return 0;
}

int pg_show_options(const struct pg_cmd *cmd, int argc, char **argv, unsigned *ret_watch_ms,
		    struct pg_err *err)
{
	static const struct option longs[] = {
		{ "watch", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(cmd, argc, argv, ":", longs, err)) != -1) {
		if (c == PG_OPT_HELP)
			return c;
		if (c != 'w' ||
		    pg_watch_parse(pg_optional_number(argc, argv), ret_watch_ms, err) < 0)
			return -EINVAL;
	}
	if (optind < argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Bad argument `%s'",
				    argv[optind]);
	return 0;
}

static int read_snapshot(const struct pg_ctx *ctx, const struct pg_view *view,
			 struct pg_snapshot **ret_snap, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = pg_dp_open(&opts, &dp, err);

	if (r < 0 && r != -ENOENT)
		return r;
	return pg_snapshot_read(dp, dp ? pg_dp_state_dir(dp) : pg_state_dir(ctx), view->what,
				view->flows, ret_snap, err);
}

static struct winsize terminal_size(void)
{
	struct winsize size = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){ 0 };
	return size;
}

/* Where line number n (from 0) ends: after its newline, or at the end. */
static const char *lines_end(const char *text, unsigned n)
{
	while (n-- && *text) {
		const char *end = strchr(text, '\n');

		text = end ? end + 1 : text + strlen(text);
	}
	return text;
}

/*
 * Over the last frame, in one write so that nothing flickers: every line is cleared behind its
 * end, and below the last one the rest of the screen. What has no room is counted.
 */
static void put_frame(const struct pg_text *t, unsigned rows)
{
	const char *text = t->buf ? t->buf : "", *cut = text + t->len;
	size_t left = 0;

	if (rows > 1)
		cut = lines_end(text, rows - 2);
	for (const char *p = cut; *p; p++)
		left += *p == '\n';
	if (left == 1) {
		/* The line that would say so has room for it. */
		cut = text + t->len;
		left = 0;
	}

	/* A line that is too long all the same is cut by the terminal, or it would take two. */
	fputs("\033[?7l\033[H", stdout);
	for (const char *p = text; p < cut;) {
		const char *end = strchrnul(p, '\n');

		fwrite(p, 1, (size_t)(end - p), stdout);
		fputs("\033[K\n", stdout);
		p = *end ? end + 1 : end;
	}
	if (left)
		printf("… %zu more lines\033[K", left);
	fputs("\033[J\033[?7h", stdout);
}

static int show_once(const struct pg_ctx *ctx, const struct pg_view *view, bool frame,
		     struct pg_err *err)
{
	_cleanup_(pg_snapshot_freep) struct pg_snapshot *snap = NULL;
	struct winsize size = terminal_size();
	struct pg_text t = { 0 };
	int r = read_snapshot(ctx, view, &snap, err);

	if (r < 0)
		return r;
	if (snap->listener_error[0] && !frame)
		fprintf(stderr, "portguard: listeners are not shown: %s\n", snap->listener_error);
	if (ctx->json) {
		r = view->json(stdout, snap, view->arg, err);
	} else {
		view->text(&t, snap, size.ws_col, view->arg);
		if (t.oom)
			r = pg_fail(err, -ENOMEM, "out of memory");
		else if (frame)
			put_frame(&t, size.ws_row);
		else
			fwrite(t.buf ? t.buf : "", 1, t.len, stdout);
		pg_text_free(&t);
	}
	if (r < 0)
		return r;
	if (fflush(stdout))
		return pg_fail(err, -errno, "cannot write: %s", strerror(errno));
	return 0;
}

static int watch(const struct pg_ctx *ctx, const struct pg_view *view, unsigned watch_ms,
		 struct pg_err *err)
{
	const struct timespec interval = { watch_ms / 1000, watch_ms % 1000 * 1000000L };
	bool frame = !ctx->json && isatty(STDOUT_FILENO);
	sigset_t set;
	int r, sig;

	/* Blocked, they wait until a frame is complete: the screen is left in order. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);

	if (frame)
		fputs("\033[2J", stdout);
	do {
		r = show_once(ctx, view, frame, err);
		if (r < 0)
			return r;
		/* A terminal that changed its size wants a new frame at once. */
		sig = sigtimedwait(&set, NULL, &interval);
		if (sig < 0 && !frame && !ctx->json)
			fputc('\n', stdout);
	} while (sig < 0 || sig == SIGWINCH);
	if (frame)
		fputc('\n', stdout);
	return 0;
}

int pg_show(const struct pg_ctx *ctx, const struct pg_view *view, unsigned watch_ms,
	    struct pg_err *err)
{
	return watch_ms ? watch(ctx, view, watch_ms, err) : show_once(ctx, view, false, err);
}
