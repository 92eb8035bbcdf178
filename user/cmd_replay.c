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
	.args = "CAPTURE… [--policy FILE] [--against FILE] [--local ADDR[/LEN],…] [--iface NAME] "
		"[--verdicts FILE|-] [--json]",
	.help = "Run the frames of a capture through the program, in private; nothing attached "
		"is touched",
	.details =
		"  --policy FILE       in iptables-save's format; without it everything is accepted\n"
		"  --against FILE      what differs from this policy, by rule and port; exit 1 if anything does,\n"
		"                      2 if they could not be compared. Without --policy, the policy in force\n"
		"                      is compared with it\n"
		"  --local ADDR,…      this host's addresses or prefixes: frames from them depart\n"
		"  --iface NAME        the interface that frames arrive on, for rules with -i\n"
		"  --verdicts FILE     one line a frame, tab-separated; - is standard output\n",
	.run = run_replay,
};

struct options {
	const char *policy, *against, *iface, *verdicts; /* NULL: not given */
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
			o->against = optarg;
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

static int load_file(const char *path, struct pg_ruleset **ret_set, struct pg_err *err)
{
	const struct pg_rulefile_opts opts = { 0 };
	struct pg_notes notes = { 0 };
	int r = pg_rulefile_load(path, &opts, ret_set, &notes, err);

	pg_notes_print(&notes, stderr);
	pg_notes_free(&notes);
	return r;
}

/* A policy in a private instance of its own. */
struct stage {
	struct pg_dp *dp;
	struct pg_ruleset *set;
	struct pg_tables *tables; /* which rule each of its terms comes from */
};

static void stage_clear(struct stage *stage)
{
	pg_tables_free(stage->tables);
	pg_ruleset_free(stage->set);
	pg_dp_close(stage->dp);
}

/* The flows of a capture are its own, not those that this host has now. */
static int stage_commit(struct stage *stage, struct pg_dp *live, const struct options *o,
			struct pg_err *err)
{
	const struct pg_private_opts opts = {
		.iface = o->iface,
		.sets = live,
		.fragments = pg_dp_fragments(live),
		.fed = true,
		.progs = o->locals.n ? PG_PROG_TC_IN | PG_PROG_TC_OUT : PG_PROG_XDP,
	};
	int r = pg_dp_open_private(&opts, &stage->dp, err);

	if (!r)
		r = pg_policy_commit(stage->dp, stage->set, err);
	if (!r)
		r = pg_dp_flow_forget(stage->dp, err);
	return r ? r : pg_policy_compile(stage->dp, stage->set, &stage->tables, err);
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

	pg_diff_sort(&replay->old.diff);
	if (ctx->json) {
		r = pg_json_replay(stdout, &replay->sums, replay->old.dp ? &replay->old.diff : NULL,
				   snap, err);
	} else {
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
			size.ws_col = 0;
		if (replay->old.dp)
			pg_view_against(&t, &replay->sums, &replay->old.diff);
		else
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

/* Without a file: what is in force if there is something to compare it with, or else ACCEPT. */
static int load_policies(struct pg_dp *live, const struct options *o, struct stage *now,
			 struct stage *old, struct pg_err *err)
{
	int r = o->policy ? load_file(o->policy, &now->set, err) :
			    pg_policy_read(o->against ? live : NULL, &now->set, err);

	if (!r && !o->policy)
		pg_policy_disown(now->set);
	return !r && o->against ? load_file(o->against, &old->set, err) : r;
}

static int replay(struct pg_ctx *ctx, const struct options *o, char **path, size_t n,
		  struct pg_err *err)
{
	_cleanup_(stage_clear) struct stage now = { 0 }, old = { 0 };
	_cleanup_(pg_dp_closep) struct pg_dp *live = NULL;
	_free_ struct pg_replay *run = malloc(sizeof(*run));
	int r;

	if (!run)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = o->against && !o->policy ? open_live(ctx, &live, err) : 0;
	if (!r)
		r = load_policies(live, o, &now, &old, err);
	if (!r && !live && (pg_policy_set_references(now.set, NULL) ||
			    (old.set && pg_policy_set_references(old.set, NULL))))
		r = open_live(ctx, &live, err);
	if (!r)
		r = stage_commit(&now, live, o, err);
	if (!r && o->against)
		r = stage_commit(&old, live, o, err);
	if (r < 0)
		return r;
	r = pg_replay_init(run, now.dp, err);
	if (r < 0)
		return r;
	run->locals = &o->locals;
	run->map = (struct pg_term_map){ .set = now.set, .tables = now.tables };
	run->old.dp = old.dp;
	run->old.map = (struct pg_term_map){ .set = old.set, .tables = old.tables };
	r = replay_captures(ctx, o, run, path, n, err);
	if (!r && run->old.diff.packets)
		r = PG_EXIT_FAILED;
	else if (!r && old.dp && run->sums.skipped)
		r = PG_EXIT_USAGE;
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
	/* 1 is for those that differ. */
	if (r < 0 && r != -EPERM && o.against && err->exit_code == PG_EXIT_FAILED)
		err->exit_code = PG_EXIT_USAGE;
	pg_locals_clear(&o.locals);
	return r == PG_OPT_HELP ? 0 : r;
}
