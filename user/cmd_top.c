/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The dashboard: reads, draws, and carries out what keys ask for. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "options.h"
#include "term.h"
#include "top.h"
#include "top_change.h"
#include "top_read.h"
#include "view.h"

static int run_top(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_top = {
	.name = "top",
	.args = "[VIEW] [--interval SECONDS] [--filter TEXT] [--total] [--cost] [--ascii] "
		"[--monochrome] [--batch [-n N] [--size WxH] [--port PORT[/PROTO]]]",
	.help = "Watch ports, flows, states, rules and drops live; `?' shows the keys",
	.details =
		"VIEW is ports (the first), flows, states, rules, drops or overview.\n"
		"  --interval SECONDS  between two readings, 0.2 to 60; 1 unless said\n"
		"  --filter TEXT       only rows that have all its words\n"
		"  --total             what was counted, not what it is per second\n"
		"  --cost              have the kernel measure what the programs cost meanwhile, as `m' does\n"
		"  --ascii             draw with ASCII only, as where the locale is not UTF-8\n"
		"  --monochrome        no colours, as with NO_COLOR\n"
		"  --batch             print frames as text, without a terminal\n"
		"  -n N                that many frames, one unless said; 0: until Ctrl-C\n"
		"  --size WxH          of a frame, 80x24 unless said\n"
		"  --port PORT[/PROTO] the page of one port\n",
	.run = run_top,
};

#define USAGE(err, ...) pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, __VA_ARGS__)

struct options {
	enum pg_top_view view;
	unsigned interval_ms, frames, width, height;
	const char *filter;
	bool total, ascii, mono, batch, has_port, cost;
	bool for_batch; /* something that goes with --batch only */
	struct pg_port_filter port;
};

enum { OPT_BATCH = 0x200, OPT_SIZE, OPT_TOTAL, OPT_ASCII, OPT_MONO, OPT_PORT, OPT_FILTER, OPT_COST };

static int set_interval(struct options *o, const char *text, struct pg_err *err)
{
	double s;
	char *end;

	errno = 0;
	s = strtod(text, &end);
	if (*end || end == text || errno || !(s >= 0.2 && s <= 60))
		return USAGE(err, "--interval takes seconds from 0.2 to 60, not '%s'", text);
	o->interval_ms = (unsigned)(s * 1000 + 0.5);
	return 0;
}

static int set_size(struct options *o, const char *text, struct pg_err *err)
{
	char buf[32];
	char *x;

	snprintf(buf, sizeof(buf), "%s", text);
	x = strchr(buf, 'x');
	if (x)
		*x = '\0';
	if (!x || pg_parse_u32(buf, 20, 1000, &o->width) < 0 ||
	    pg_parse_u32(x + 1, 5, 1000, &o->height) < 0)
		return USAGE(err, "--size takes WIDTHxHEIGHT, from 20x5 to 1000x1000, not '%s'", text);
	return 0;
}

static int set_port(struct options *o, const char *text, struct pg_err *err)
{
	if (pg_port_filter_from_str(text, &o->port) < 0 || o->port.lo != o->port.hi)
		return USAGE(err, "--port takes one port, 443 or 53/udp, not '%s'", text);
	o->has_port = true;
	return 0;
}

/* 0, or PG_OPT_HELP, or negative. */
static int take_option(struct options *o, int c, struct pg_err *err)
{
	o->for_batch |= c == 'n' || c == OPT_SIZE || c == OPT_PORT;
	switch (c) {
	case 'i':
		return set_interval(o, optarg, err);
	case 'n':
		return pg_parse_u32(optarg, 0, UINT32_MAX, &o->frames) < 0 ?
			       USAGE(err, "-n takes a number of frames, not '%s'", optarg) : 0;
	case OPT_BATCH:
		o->batch = true;
		return 0;
	case OPT_SIZE:
		return set_size(o, optarg, err);
	case OPT_TOTAL:
		o->total = true;
		return 0;
	case OPT_COST:
		o->cost = true;
		return 0;
	case OPT_ASCII:
		o->ascii = true;
		return 0;
	case OPT_MONO:
		o->mono = true;
		return 0;
	case OPT_PORT:
		return set_port(o, optarg, err);
	case OPT_FILTER:
		o->filter = optarg;
		return 0;
	case PG_OPT_HELP:
		return c;
	default:
		return -EINVAL;
	}
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "batch", no_argument, NULL, OPT_BATCH },
		{ "size", required_argument, NULL, OPT_SIZE },
		{ "total", no_argument, NULL, OPT_TOTAL },
		{ "cost", no_argument, NULL, OPT_COST },
		{ "ascii", no_argument, NULL, OPT_ASCII },
		{ "monochrome", no_argument, NULL, OPT_MONO },
		{ "port", required_argument, NULL, OPT_PORT },
		{ "filter", required_argument, NULL, OPT_FILTER },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_top, argc, argv, ":i:n:", longs, err)) != -1)
		r = take_option(o, c, err);
	if (r)
		return r;
	if (optind < argc && pg_top_view_from_str(argv[optind++], &o->view) < 0)
		return USAGE(err, "there is no view '%s': ports, flows, states, rules, drops or overview",
			     argv[optind - 1]);
	if (optind < argc)
		return USAGE(err, "Bad argument `%s'", argv[optind]);
	if (o->for_batch && !o->batch)
		return USAGE(err, "-n, --size and --port go with --batch only");
	return 0;
}

/* One screen ---------------------------------------------------------------------------------- */

static void begin(struct pg_top *top, const struct options *o)
{
	pg_top_init(top, o->ascii || !pg_term_has_unicode());
	top->view = o->view;
	top->cumulative = o->total;
	snprintf(top->filter, sizeof(top->filter), "%s", o->filter ? o->filter : "");
	if (o->has_port) {
		top->detail = true;
		top->port = (struct pg_port_id){ o->port.any_proto ? PG_PORT_TCP : o->port.proto,
						 o->port.lo };
	}
}

static int draw(struct pg_top_reader *reader, struct pg_top *top, struct pg_frame *f, unsigned width,
		unsigned height, struct pg_err *err)
{
	char clock[16] = "";
	struct pg_top_model model = {
		.snap = pg_top_reader_snap(reader),
		.history = reader->history,
		.flows = reader->flows.sampler.sample.time_ns ? &reader->flows.sampler.sample : NULL,
		.drops = pg_top_reader_drops(reader),
		.measuring = reader->cost_fd >= 0,
		.clock = clock,
	};
	struct tm tm;

	if (localtime_r(&reader->wall.tv_sec, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	if (!pg_frame_make(f, width, height, top->ascii))
		return pg_fail(err, -ENOMEM, "out of memory");
	pg_top_draw(f, top, &model);
	return 0;
}

/* Without a terminal -------------------------------------------------------------------------- */

static int print_frame(struct pg_top_reader *reader, struct pg_top *top, const struct options *o,
		       struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	_cleanup_(pg_frame_free) struct pg_frame f = { 0 };
	int r = draw(reader, top, &f, o->width, o->height, err);

	if (r < 0)
		return r;
	pg_frame_text(&t, &f, false);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf ? t.buf : "", 1, t.len, stdout);
	return fflush(stdout) ? pg_fail(err, -errno, "cannot write: %s", strerror(errno)) : 0;
}

/* Rates need two readings, so the first frame comes after the second. */
static int batch(struct pg_top_reader *reader, const struct options *o, struct pg_err *err)
{
	const struct timespec pause = { o->interval_ms / 1000, o->interval_ms % 1000 * 1000000L };
	struct pg_top top;
	sigset_t set;
	int r, sig = -1;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	begin(&top, o);
	r = pg_top_read(reader, &top, err);
	for (unsigned i = 0; !r && (!o->frames || i < o->frames); i++) {
		sig = sigtimedwait(&set, NULL, &pause);
		if (sig > 0)
			break;
		if (i)
			fputc('\n', stdout);
		r = pg_top_read(reader, &top, err);
		if (!r)
			r = print_frame(reader, &top, o, err);
	}
	return r;
}

/* With one ------------------------------------------------------------------------------------ */

static void say(struct pg_top *top, const struct pg_err *err)
{
	pg_printable(err->text, top->message, sizeof(top->message));
}

static int show(struct pg_top_reader *reader, struct pg_top *top, struct pg_err *err)
{
	_cleanup_(pg_frame_free) struct pg_frame f = { 0 };
	unsigned width, height;
	int r;

	pg_term_size(&width, &height);
	r = draw(reader, top, &f, width, height, err);
	if (!r)
		pg_term_show(&f);
	return r;
}

/* What needs more than drawing. Problems become a message on the screen. */
static void carry_out(struct pg_ctx *ctx, struct pg_top_reader *reader, struct pg_top *top,
		      enum pg_top_action action)
{
	struct pg_err why = { 0 }, ignored;
	int r = 0;

	switch (action) {
	case PG_TOP_ALLOW:
	case PG_TOP_DENY:
		r = pg_top_prepare(ctx, top, &why);
		break;
	case PG_TOP_APPLY:
		snprintf(top->message, sizeof(top->message), "Working…");
		(void)show(reader, top, &ignored);
		top->message[0] = '\0';
		r = pg_top_apply(ctx, top, &why);
		break;
	case PG_TOP_CONFIRM:
	case PG_TOP_ROLLBACK:
		r = pg_top_settle(ctx, top, action == PG_TOP_CONFIRM, &why);
		break;
	case PG_TOP_COST:
		r = pg_top_measure(reader, &why);
		break;
	case PG_TOP_REDRAW:
		pg_term_redraw();
		break;
	case PG_TOP_SUSPEND:
		pg_term_suspend();
		break;
	default:
		break;
	}
	if (r < 0)
		say(top, &why);
}

static uint64_t now_ms(void)
{
	return pg_clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* Another view needs other things at once; what is frozen stays as it is. */
static bool is_due(const struct pg_top *top, enum pg_top_action action, uint64_t now, uint64_t next)
{
	switch (action) {
	case PG_TOP_READ:
	case PG_TOP_APPLY:
	case PG_TOP_CONFIRM:
	case PG_TOP_ROLLBACK:
	case PG_TOP_SUSPEND:
		return !top->frozen;
	default:
		return !top->frozen && now >= next;
	}
}

static int interact(struct pg_ctx *ctx, struct pg_top_reader *reader, const struct options *o,
		    struct pg_err *err)
{
	struct pg_top top;
	enum pg_top_action action = PG_TOP_READ;
	uint64_t next = 0;
	int r = 0;

	begin(&top, o);
	while (!r && action != PG_TOP_QUIT) {
		uint64_t now = now_ms();
		struct pg_key key;

		if (is_due(&top, action, now, next)) {
			/* Between two samples only what another view lacks is read. */
			r = now >= next ? pg_top_read(reader, &top, err) :
					  pg_top_read_more(reader, &top, err);
			if (now >= next)
				next = now + o->interval_ms;
		}
		if (!r)
			r = show(reader, &top, err);
		action = PG_TOP_NOTHING;
		now = now_ms();
		if (!r)
			r = pg_term_key(top.frozen ? 1000 : now < next ? (int)(next - now) : 0, &key);
		if (r <= 0)
			continue;
		r = 0;
		action = pg_top_key(&top, &key);
		carry_out(ctx, reader, &top, action);
	}
	return r;
}

static int on_terminal(struct pg_ctx *ctx, struct pg_top_reader *reader, const struct options *o,
		       struct pg_err *err)
{
	const char *no_color = getenv("NO_COLOR");
	int r = pg_term_open(!o->mono && !(no_color && *no_color), err);

	if (r < 0)
		return r;
	r = interact(ctx, reader, o, err);
	pg_term_close();
	if (r == -EIO)
		return pg_fail(err, r, "the terminal is gone");
	if (r != -EINTR)
		return r;
	/* Whoever waits for us shall see by what we ended. */
	signal(pg_term_signal(), SIG_DFL);
	raise(pg_term_signal());
	return 0;
}

static int run_top(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	struct options o = { .interval_ms = 1000, .frames = 1, .width = 80, .height = 24 };
	_cleanup_(pg_top_reader_close) struct pg_top_reader reader = { 0 };
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	if (ctx->json)
		return USAGE(err, "a screen is no JSON: `ports --json' and its like have what it shows");
	setlocale(LC_CTYPE, "");
	r = pg_top_reader_open(&reader, ctx, (uint64_t)o.interval_ms * 1000000, err);
	if (!r && o.cost)
		r = pg_top_measure(&reader, err);
	if (r < 0)
		return r;
	return o.batch ? batch(&reader, &o, err) : on_terminal(ctx, &reader, &o, err);
}
