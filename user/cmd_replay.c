/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "options.h"
#include "policy.h"
#include "replay.h"
#include "rulefile.h"

static int run_replay(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_replay = {
	.name = "replay",
	.args = "CAPTURE… [--policy FILE] [--local ADDR[/LEN],…] [--iface NAME] "
		"[--verdicts FILE|-] [--json]",
	.help = "Run the frames of a capture through the program, in private; nothing attached "
		"is touched",
	.details =
		"  --policy FILE       in iptables-save's format; without it everything is accepted\n"
		"  --local ADDR,…      this host's addresses or prefixes: frames from them depart\n"
		"  --iface NAME        the interface that frames arrive on, for rules with -i\n"
		"  --verdicts FILE     one line a frame, tab-separated; - is standard output\n",
	.run = run_replay,
};

struct options {
	const char *policy, *iface, *verdicts; /* NULL: not given */
	struct pg_locals locals;
};

static int set_iface(const char *name, const char **ret, struct pg_err *err)
{
	if (strlen(name) >= IFNAMSIZ)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "interface name `%s' must be shorter than IFNAMSIZ (%d)", name,
				    IFNAMSIZ - 1);
	*ret = name;
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "against", required_argument, NULL, 'a' },
		{ "local", required_argument, NULL, 'l' },
		{ "iface", required_argument, NULL, 'i' },
		{ "verdicts", required_argument, NULL, 'v' },
		{ 0 },
	};
	int c, r = 0;

	optind = 0;
	while (!r && (c = pg_getopt(&pg_cmd_replay, argc, argv, ":", longs, err)) != -1) {
		switch (c) {
		case 'p':
			o->policy = optarg;
			break;
		case 'a':
			r = pg_fail_exit(err, PG_EXIT_USAGE, -EOPNOTSUPP,
					 "--against is not supported by this version");
			break;
		case 'l':
			r = pg_locals_add(&o->locals, optarg, err);
			break;
		case 'i':
			r = set_iface(optarg, &o->iface, err);
			break;
		case 'v':
			o->verdicts = optarg;
			break;
		case PG_OPT_HELP:
			r = c;
			break;
		default:
			r = -EINVAL;
		}
	}
	return r;
}

static int check_options(const struct pg_ctx *ctx, int argc, const struct options *o,
			 struct pg_err *err)
{
	if (optind == argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "replay needs a capture file");
	if (ctx->json && o->verdicts && !strcmp(o->verdicts, "-"))
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--json and '--verdicts -' both need standard output");
	return 0;
}

static int load_policy(const char *path, struct pg_ruleset **ret_set, struct pg_err *err)
{
	const struct pg_rulefile_opts opts = { 0 };
	struct pg_notes notes = { 0 };
	int r;

	if (!path) {
		*ret_set = pg_ruleset_new();
		return *ret_set ? 0 : pg_fail(err, -ENOMEM, "out of memory");
	}
	r = pg_rulefile_load(path, &opts, ret_set, &notes, err);
	pg_notes_print(&notes, stderr);
	pg_notes_free(&notes);
	return r;
}

/*
 * Commit the policy, and keep beside it which rule each of its terms comes from. The flows of a
 * capture are its own, not those that this host has now.
 */
static int commit(struct pg_dp *dp, struct pg_ruleset *set, struct pg_tables **ret_tables,
		  struct pg_err *err)
{
	int r = pg_policy_commit(dp, set, err);

	if (!r)
		r = pg_dp_flow_forget(dp, err);
	return r ? r : pg_policy_compile(dp, set, ret_tables, err);
}

/* The instance whose named sets the policy may ask for; NULL where there is none. */
static int open_live(const struct pg_ctx *ctx, struct pg_dp **ret_dp, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	int r = pg_dp_open(&opts, ret_dp, err);

	return r == -ENOENT ? 0 : r;
}

static int open_verdicts(const char *path, FILE **ret_file, struct pg_err *err)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "we") : stdout;

	if (!f)
		return pg_fail(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	setvbuf(f, NULL, _IOFBF, 1U << 16);
	pg_verdict_header(f);
	*ret_file = f;
	return 0;
}

/* Every byte must have arrived before we say that all is well. */
static int close_verdicts(FILE *f, struct pg_err *err)
{
	bool failed = ferror(f);

	failed |= f == stdout ? fflush(f) : fclose(f);
	return failed ? pg_fail(err, -EIO, "cannot write verdicts: %s", strerror(errno)) : 0;
}

/* Stops at the first capture that cannot be read; what was run until then is still shown. */
static int run_captures(struct pg_replay *replay, char **path, size_t n, struct pg_err *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++) {
		_cleanup_(pg_capture_closep) struct pg_capture *capture = NULL;

		r = pg_capture_open(path[i], &capture, err);
		if (r >= 0)
			r = pg_replay_capture(replay, capture, err);
	}
	if (replay->warning[0])
		fprintf(stderr, "portguard: %" PRIu64 " frames were not run, the first: %s\n",
			replay->sums.skipped, replay->warning);
	return r;
}

static int show(const struct pg_ctx *ctx, struct pg_replay *replay, struct pg_err *err)
{
	_cleanup_(pg_snapshot_freep) struct pg_snapshot *snap = NULL;
	struct pg_count *shorts;
	struct winsize size = { 0 };
	struct pg_text t = { 0 };
	int r = pg_snapshot_read(replay->dp, NULL, PG_SNAP_PORTS | PG_SNAP_STATES, NULL, &snap, err);

	if (r < 0)
		return r;
	/* The program has not seen these. */
	shorts = &snap->reason[PG_REASON_SHORT_HEADER];
	shorts->packets += replay->short_frames.packets;
	shorts->bytes += replay->short_frames.bytes;

	if (ctx->json) {
		r = pg_json_replay(stdout, &replay->sums, snap, err);
	} else {
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
			size.ws_col = 0;
		pg_view_replay(&t, &replay->sums, snap, size.ws_col);
		if (t.oom)
			r = pg_fail(err, -ENOMEM, "out of memory");
		else
			fwrite(t.buf, 1, t.len, stdout);
		pg_text_free(&t);
	}
	if (r >= 0 && fflush(stdout))
		r = pg_fail(err, -errno, "cannot write: %s", strerror(errno));
	return r;
}

static int replay_captures(struct pg_ctx *ctx, const struct options *o, struct pg_replay *replay,
			   char **path, size_t n, struct pg_err *err)
{
	struct pg_err show_err = { 0 };
	int r = 0, shown = 0, closed = 0;

	if (o->verdicts)
		r = open_verdicts(o->verdicts, &replay->verdicts, err);
	if (r < 0)
		return r;
	r = run_captures(replay, path, n, err);
	if (replay->verdicts)
		closed = close_verdicts(replay->verdicts, &show_err);
	/* With `--verdicts -` standard output is the verdicts', and nothing else's. */
	if (closed >= 0 && replay->verdicts != stdout && (r >= 0 || replay->sums.frames))
		shown = show(ctx, replay, &show_err);
	if (r >= 0 && (closed < 0 || shown < 0)) {
		*err = show_err;
		r = closed < 0 ? closed : shown;
	}
	return r;
}

static int replay(struct pg_ctx *ctx, const struct options *o, char **path, size_t n,
		  struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL, *live = NULL;
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_tables_freep) struct pg_tables *tables = NULL;
	_free_ struct pg_replay *run = malloc(sizeof(*run));
	int r;

	if (!run)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = load_policy(o->policy, &set, err);
	if (r < 0)
		return r;
	if (pg_policy_set_references(set, NULL))
		r = open_live(ctx, &live, err);
	if (r < 0)
		return r;
	r = pg_dp_open_private(&(struct pg_private_opts){ .iface = o->iface,
							  .sets = live,
							  .progs = PG_PROG_XDP | PG_PROG_TC_OUT },
			       &dp, err);
	if (r < 0)
		return r;
	r = commit(dp, set, &tables, err);
	if (r < 0)
		return r;
	r = pg_replay_init(run, dp, err);
	if (r < 0)
		return r;
	run->locals = &o->locals;
	run->map = (struct pg_term_map){ .set = set, .tables = tables };
	r = replay_captures(ctx, o, run, path, n, err);
	pg_replay_clear(run);
	return r;
}

static int run_replay(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	struct options o = { 0 };
	int r = parse_options(argc, argv, &o, err);

	if (!r)
		r = check_options(ctx, argc, &o, err);
	if (!r)
		r = replay(ctx, &o, argv + optind, (size_t)(argc - optind), err);
	pg_locals_clear(&o.locals);
	return r == PG_OPT_HELP ? 0 : r;
}
