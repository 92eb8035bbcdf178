// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* set: named sets, in ipset's language. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "options.h"
#include "outfile.h"
#include "policy.h"
#include "setfile.h"
#include "view_set.h"

static int run_set(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_set = {
	.name = "set",
	.args = "[OPTIONS] create|add|del|test|list|save|restore|flush|destroy|rename|swap …",
	.help = "Named sets of addresses for -m set, with ipset's commands",
	.details =
		"  create NAME TYPE    hash:ip, hash:net or hash:ip,port [family inet|inet6]\n"
		"                      [timeout SECONDS] [maxelem N] [hashsize N] [netmask BITS]\n"
		"  add NAME ENTRY      [timeout SECONDS] [nomatch]\n"
		"  del NAME ENTRY      or test NAME ENTRY, rename FROM TO, swap NAME NAME\n"
		"  list [NAME]         or save [NAME], flush [NAME], destroy [NAME]\n"
		"  restore             what `ipset save` or `portguard set save` wrote, from standard\n"
		"                      input or -file; all of it or nothing\n"
		"An entry is ADDRESS, ADDRESS/BITS, FROM-TO; with ports ADDRESS,[PROTO:]PORT[-PORT],\n"
		"ADDRESS,icmp:TYPE/CODE or ADDRESS,PROTO:0.\n"
		"  -!, -exist          what is there already, or is gone already, is no error\n"
		"  -q, -quiet          say nothing\n"
		"  -s, -sorted         entries in order\n"
		"  -n, -name           list names only\n"
		"  -t, -terse          list without entries\n"
		"  -o, -output MODE    of list: plain, save or xml\n"
		"  -f, -file FILE      instead of standard input or output\n"
		"  --skip-unsupported  restore without sets and options that portguard does not have;\n"
		"                      says which\n"
		"  -w [SECONDS]        how long to wait for another portguard's lock; as long as it takes\n",
	.run = run_set,
};

#define FILE_MAX ((size_t)1 << 30)

/* References ----------------------------------------------------------------------------------- */

static int add_references(struct pg_dp *dp, const struct pg_set_info *infos, uint32_t *sum,
			  struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *rules = NULL;
	int r = pg_policy_read(dp, &rules, err);

	for (size_t i = 0; !r && i < PG_SETS; i++)
		if (infos[i].type)
			sum[i] += pg_policy_set_references(rules, infos[i].name);
	return r;
}

/*
 * To each set of the instance, how many of its rules name it. Those of a policy that is tried do, too:
 * it has the same sets, by the same numbers.
 */
static int read_references(struct pg_dp *dp, const struct pg_set_info *infos, uint32_t *sum,
			   struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *tried = NULL;
	int r = add_references(dp, infos, sum, err);
	__s64 since;

	if (r || pg_dp_shadow_state(dp, &since) != PG_SHADOW_ON)
		return r;
	r = pg_dp_shadow_open(dp, &tried, err);
	if (r)
		return r == -ENOENT ? 0 : r; /* it has just been ended */
	return add_references(tried, infos, sum, err);
}

/* Changing ------------------------------------------------------------------------------------- */

struct session {
	struct pg_dp_opts opts;
	struct pg_dp *dp; /* NULL: no instance yet */
	struct pg_setfile file;
	bool put_off; /* some expired entries were left for later */
};

static void session_close(struct session *s)
{
	pg_setfile_free(&s->file);
	pg_dp_close(s->dp);
	*s = (struct session){};
}

/* force: nothing that has expired may be in the way. */
static int session_open(struct session *s, bool force, struct pg_err *err)
{
	struct pg_set_info infos[PG_SETS];
	uint32_t references[PG_SETS] = {};
	struct pg_sets_base base = {};
	uint64_t now = pg_clock_ns(CLOCK_MONOTONIC);
	int r = pg_dp_open(&s->opts, &s->dp, err);

	if (r < 0 && r != -ENOENT)
		return r;
	r = 0;
	if (s->dp) {
		if (s->opts.mode != PG_DP_READ)
			r = pg_dp_sets_collect(s->dp, now, force, &s->put_off, err);
		pg_dp_sets_base(s->dp, &base);
	}
	pg_dp_sets_read(s->dp, infos);
	if (!r && s->dp)
		r = read_references(s->dp, infos, references, err);
	if (r < 0)
		return r;
	s->file.sets = pg_sets_new(infos, &base, now);
	if (!s->file.sets)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < PG_SETS; i++)
		s->file.sets->set[i].references = references[i];
	return 0;
}

static bool is_dirty(const struct pg_sets *sets)
{
	for (size_t i = 0; i < PG_SETS; i++)
		if (sets->set[i].dirty)
			return true;
	return false;
}

static int session_commit(struct session *s, struct pg_err *err)
{
	bool created = !s->dp;
	int r;

	if (!is_dirty(s->file.sets))
		return 0;
	if (created) {
		s->opts.mode = PG_DP_CREATE;
		r = pg_dp_open(&s->opts, &s->dp, err);
		if (r < 0)
			return r;
	}
	r = pg_dp_sets_commit(s->dp, s->file.sets, err);
	if (r < 0 && created)
		pg_dp_destroy(s->dp, NULL);
	return r;
}

/* What has expired but was left alone may be what makes a set full: then once more without it. */
static int change(struct session *s, const struct pg_ipset_cmd *cmd, struct pg_err *err)
{
	struct pg_dp_opts opts = s->opts;
	int r;

	if (cmd->verb == PG_IPSET_TEST)
		s->opts.mode = PG_DP_READ;
	for (bool force = false;; force = true) {
		r = session_open(s, force, err);
		if (r < 0)
			return r;
		r = pg_setfile_apply(&s->file, cmd, 0, err);
		if (r != -ENOSPC || force || !s->put_off)
			break;
		session_close(s);
		s->opts = opts;
	}
	if (r < 0)
		return pg_set_report(r, 0, err);
	return r ? r : session_commit(s, err);
}

/* restore -------------------------------------------------------------------------------------- */

static int slurp(const char *path, struct pg_text *ret, struct pg_err *err)
{
	_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	static char buf[1 << 16];
	ssize_t got;

	if (fd < 0)
		return pg_fail(err, -errno, "cannot open '%s': %s", path ? path : "<stdin>",
			       strerror(errno));
	pg_text_addn(ret, "", 0);
	while (!ret->oom && ret->len <= FILE_MAX && (got = read(fd, buf, sizeof(buf))) != 0) {
		if (got > 0)
			pg_text_addn(ret, buf, (size_t)got);
		else if (errno != EINTR)
			return pg_fail(err, -errno, "cannot read '%s': %s",
				       path ? path : "<stdin>", strerror(errno));
	}
	if (ret->oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (ret->len > FILE_MAX)
		return pg_fail(err, -EFBIG, "'%s' is too large", path ? path : "<stdin>");
	return 0;
}

static int restore(struct session *s, const struct pg_ipset_cmd *cmd, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = {};
	/* All of it first: a slow writer must not hold up others at the lock. */
	int r = slurp(cmd->file, &text, err);

	if (!r)
		r = session_open(s, true, err);
	if (!r)
		r = pg_setfile_read(&s->file, text.buf, text.len, cmd->exist, err);
	return r ? r : session_commit(s, err);
}

/* list and save -------------------------------------------------------------------------------- */

struct gathering {
	struct pg_set_view *view;
	size_t cap;
	uint64_t now_ns;
};

static int gather(void *arg, const struct pg_set_entry *e)
{
	struct gathering *g = arg;
	struct pg_set_view *v = g->view;

	if (pg_set_expired(e, g->now_ns))
		return 0;
	if (v->n == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 1024;
		struct pg_set_entry *more = reallocarray(v->entry, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		v->entry = more;
		g->cap = cap;
	}
	v->entry[v->n++] = *e;
	return 0;
}

static enum pg_set_format format_of(const struct pg_ctx *ctx, const struct pg_ipset_cmd *cmd)
{
	if (ctx->json)
		return PG_SET_JSON;
	if (cmd->verb == PG_IPSET_SAVE || cmd->output == PG_IPSET_AS_SAVE)
		return PG_SET_SAVE;
	return cmd->output == PG_IPSET_XML ? PG_SET_XML : PG_SET_PLAIN;
}

static int show_set(struct pg_dp *dp, uint32_t number, struct pg_set_view *view,
		    const struct pg_set_show *show, FILE *f, struct pg_err *err)
{
	struct gathering g = { .view = view, .now_ns = show->now_ns };
	int r = 0;

	view->memory_bytes = pg_dp_set_memory(dp, number);
	view->n = 0;
	view->entry = NULL;
	if (!show->names)
		r = pg_dp_set_walk(dp, number, gather, &g, err);
	if (!r) {
		if (show->sorted && view->n)
			qsort(view->entry, view->n, sizeof(*view->entry), pg_ipset_compare);
		pg_set_show(f, view, show);
	}
	free(view->entry);
	return r;
}

static int show_sets(struct pg_dp *dp, const char *name, const struct pg_set_show *how, FILE *f,
		     struct pg_err *err)
{
	struct pg_set_info infos[PG_SETS];
	uint32_t references[PG_SETS] = {};
	struct pg_set_show show = *how;
	int r = 0;

	pg_dp_sets_read(dp, infos);
	if (dp && !show.names)
		r = read_references(dp, infos, references, err);
	show.first = true;
	pg_set_show_begin(f, &show);
	for (uint32_t i = 0; !r && i < PG_SETS; i++) {
		struct pg_set_view view = { .info = &infos[i], .references = references[i] };

		if (!infos[i].type || (name && strcmp(infos[i].name, name) != 0))
			continue;
		r = show_set(dp, i, &view, &show, f, err);
		show.first = false;
	}
	if (!r)
		pg_set_show_end(f, &show);
	return r;
}

static int list(const struct pg_ctx *ctx, const struct pg_ipset_cmd *cmd, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	const struct pg_set_show show = {
		.format = format_of(ctx, cmd),
		.names = cmd->names,
		.terse = cmd->terse,
		.sorted = cmd->sorted,
		.now_ns = pg_clock_ns(CLOCK_MONOTONIC),
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_set_info info;
	_cleanup_(pg_outfile_close) struct pg_outfile out = { 0 };
	uint32_t number;
	int r = pg_dp_open(&opts, &dp, err);

	if (r < 0 && r != -ENOENT)
		return r;
	if (cmd->name && pg_dp_set_find(dp, cmd->name, &number, &info) < 0)
		return pg_set_report(
			pg_fail(err, -ENOENT, "The set with the given name does not exist"), 0, err);
	if (!cmd->file)
		return show_sets(dp, cmd->name, &show, stdout, err);
	r = pg_outfile_open(cmd->file, &out, err);
	if (!r)
		r = show_sets(dp, cmd->name, &show, out.f, err);
	return r ?: pg_outfile_commit(&out, err);
}

/* The command ---------------------------------------------------------------------------------- */

static int run_command(const struct pg_ctx *ctx, const struct pg_ipset_cmd *cmd,
		       struct pg_err *err)
{
	_cleanup_(session_close) struct session s = {
		.opts = {
			.state_dir = ctx->state_dir,
			.mode = PG_DP_WRITE,
			.wait_s = -1, /* as ipset does, which fail2ban and others rely on */
			.verbose = ctx->verbose,
		},
		.file.skip = cmd->skip_unsupported,
	};

	if (cmd->wait_set && pg_wait_parse(cmd->wait, &s.opts.wait_s, err) < 0)
		return -EINVAL;
	/* Members are no policy: who bans does not wait until somebody confirms one. */
	s.opts.pending = cmd->verb == PG_IPSET_ADD || cmd->verb == PG_IPSET_DEL ||
			 cmd->verb == PG_IPSET_TEST || cmd->verb == PG_IPSET_FLUSH;
	switch (cmd->verb) {
	case PG_IPSET_HELP:
		pg_cmd_usage(&pg_cmd_set);
		return 0;
	case PG_IPSET_VERSION:
		printf("portguard v" PG_VERSION "\n");
		return 0;
	case PG_IPSET_LIST:
	case PG_IPSET_SAVE:
		return list(ctx, cmd, err);
	case PG_IPSET_RESTORE:
		return restore(&s, cmd, err);
	default:
		return change(&s, cmd, err);
	}
}

static int run_set(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	_free_ const char **words = calloc((size_t)argc, sizeof(*words));
	struct pg_ipset_cmd cmd;
	int r;

	if (!words)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (int i = 1; i < argc; i++) {
		words[i - 1] = argv[i];
		if (i == 1 && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
			pg_cmd_usage(&pg_cmd_set);
			return 0;
		}
	}
	r = pg_ipset_command(words, (size_t)argc - 1, &cmd, err);
	if (r < 0)
		return pg_set_report(r, 0, err);
	r = run_command(ctx, &cmd, err);
	return r < 0 && cmd.quiet ? err->exit_code : r;
}
