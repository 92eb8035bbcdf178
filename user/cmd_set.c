// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* set: named sets, in ipset's language. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "ipset.h"
#include "options.h"
#include "policy.h"
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

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* Messages as ipset's, whose place they take: with a version, and a hint after wrong usage. */
static int report(int r, unsigned line, struct pg_err *err)
{
	char text[sizeof(err->text)], where[32] = "";
	int code = err->exit_code;

	if (line)
		snprintf(where, sizeof(where), "Error in line %u: ", line);
	snprintf(text, sizeof(text), "%s", err->text);
	pg_fail_exit(err, code, r, "portguard v" PG_VERSION ": %s%.900s%s", where, text,
		     code == PG_EXIT_USAGE ? "\nTry `portguard set --help' for more information." :
					     "");
	err->complete = true;
	return r;
}

/* References ----------------------------------------------------------------------------------- */

/* For each set of the instance, how many of its rules name it. */
static int read_references(struct pg_dp *dp, const struct pg_set_info *infos, uint32_t *ret,
			   struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *rules = NULL;
	int r = pg_policy_read(dp, &rules, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < PG_SETS; i++) {
		ret[i] = 0;
		if (infos[i].type)
			ret[i] = pg_policy_set_references(rules, infos[i].name);
	}
	return 0;
}

/* Changing ------------------------------------------------------------------------------------- */

struct session {
	struct pg_dp_opts opts;
	struct pg_dp *dp; /* NULL: no instance yet */
	struct pg_sets *sets;
	bool put_off;  /* some expired entries were left for later */
	bool skip;     /* go on without what is not supported */
	char **left_out; /* sets of which nothing is taken */
	size_t n_left_out;
};

static void session_close(struct session *s)
{
	pg_sets_free(s->sets);
	pg_dp_close(s->dp);
	for (size_t i = 0; i < s->n_left_out; i++)
		free(s->left_out[i]);
	free(s->left_out);
	*s = (struct session){};
}

/* force: nothing that has expired may be in the way. */
static int session_open(struct session *s, bool force, struct pg_err *err)
{
	struct pg_set_info infos[PG_SETS];
	uint32_t references[PG_SETS] = {};
	struct pg_sets_base base = {};
	uint64_t now = now_ns();
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
	s->sets = pg_sets_new(infos, &base, now);
	if (!s->sets)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < PG_SETS; i++)
		s->sets->set[i].references = references[i];
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
	if (!is_dirty(s->sets))
		return 0;
	if (!s->dp) {
		int r;

		s->opts.mode = PG_DP_CREATE;
		r = pg_dp_open(&s->opts, &s->dp, err);
		if (r < 0)
			return r;
	}
	return pg_dp_sets_commit(s->dp, s->sets, err);
}

static int apply_create(struct session *s, const struct pg_ipset_cmd *cmd, unsigned line,
			struct pg_err *err)
{
	struct pg_ipset_cmd how = *cmd;
	char skipped[64];
	struct pg_set_info info;
	int r;

	how.skip_unsupported |= s->skip;
	r = pg_ipset_create(&how, &info, skipped, sizeof(skipped), err);
	if (r < 0)
		return r;
	if (skipped[0] && line)
		fprintf(stderr, "portguard: line %u: ", line);
	if (skipped[0])
		fprintf(stderr, "%sset %s without what is not supported: %s\n",
			line ? "" : "portguard: ", info.name, skipped);
	return pg_sets_create(s->sets, &info, cmd->exist, err);
}

static int apply_test(struct session *s, struct pg_set *set, const struct pg_ipset_cmd *cmd,
		      struct pg_ipset_range *range, bool *ret_in, struct pg_err *err)
{
	char elem[PG_IPSET_ELEM_MAX], shown[256];
	unsigned whole = set->info.family == PG_FAMILY_V4 ? 32 : 128;
	const char *as = cmd->second;
	struct pg_set_entry e;
	int r;

	pg_ipset_next(range, &e);
	r = pg_set_test(s->sets, set, &e, ret_in, err);
	if (r < 0 || cmd->quiet)
		return r;
	/* Ranges and networks as they were typed; the rest as it was understood. */
	if (set->info.type == PG_SET_HASH_IP_PORT || e.prefix == whole)
		as = pg_ipset_elem(elem, &set->info, &e);
	pg_printable(as, shown, sizeof(shown));
	if (*ret_in)
		fprintf(stderr, "Warning: %s is in set %s.\n", shown, set->info.name);
	else
		fprintf(stderr, "%s is NOT in set %s.\n", shown, set->info.name);
	return 0;
}

/* add, del and test. A positive result is test's exit code. */
static int apply_entries(struct session *s, const struct pg_ipset_cmd *cmd, struct pg_err *err)
{
	struct pg_set *set = pg_sets_find(s->sets, cmd->name);
	struct pg_ipset_cmd how = *cmd;
	struct pg_ipset_range range;
	struct pg_set_entry e;
	bool in;
	int r;

	if (!set)
		return pg_fail(err, -ENOENT, "The set with the given name does not exist");
	how.skip_unsupported |= s->skip;
	r = pg_ipset_entry(&how, &set->info, s->sets->now_ns, &range, err);
	if (r < 0)
		return r;
	if (cmd->verb == PG_IPSET_TEST) {
		r = apply_test(s, set, cmd, &range, &in, err);
		return r < 0 ? r : in ? 0 : PG_EXIT_FAILED;
	}
	while (!r && pg_ipset_next(&range, &e))
		r = cmd->verb == PG_IPSET_ADD ? pg_set_add(s->sets, set, &e, cmd->exist, err) :
						pg_set_del(s->sets, set, &e, cmd->exist, err);
	return r;
}

static int apply(struct session *s, const struct pg_ipset_cmd *cmd, unsigned line,
		 struct pg_err *err)
{
	switch (cmd->verb) {
	case PG_IPSET_CREATE:
		return apply_create(s, cmd, line, err);
	case PG_IPSET_DESTROY:
		return pg_sets_destroy(s->sets, cmd->name, err);
	case PG_IPSET_FLUSH:
		return pg_sets_flush(s->sets, cmd->name, err);
	case PG_IPSET_RENAME:
		return pg_sets_rename(s->sets, cmd->name, cmd->second, err);
	case PG_IPSET_SWAP:
		return pg_sets_swap(s->sets, cmd->name, cmd->second, err);
	case PG_IPSET_ADD:
	case PG_IPSET_DEL:
	case PG_IPSET_TEST:
		return apply_entries(s, cmd, err);
	default:
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "Command is invalid in restore mode.");
	}
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
		r = apply(s, cmd, 0, err);
		if (r != -ENOSPC || force || !s->put_off)
			break;
		session_close(s);
		s->opts = opts;
	}
	if (r < 0)
		return report(r, 0, err);
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

static bool is_left_out(const struct session *s, const char *name)
{
	for (size_t i = 0; name && i < s->n_left_out; i++)
		if (!strcmp(s->left_out[i], name))
			return true;
	return false;
}

/* A set of a type that portguard does not have: nothing of it is taken. */
static int leave_out(struct session *s, const char *name, unsigned line, struct pg_err *err)
{
	char shown[64], **more = reallocarray(s->left_out, s->n_left_out + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	s->left_out = more;
	more[s->n_left_out] = strdup(name);
	if (!more[s->n_left_out])
		return -ENOMEM;
	s->n_left_out++;
	fprintf(stderr, "portguard: line %u: without set %s: %s\n", line,
		pg_printable(name, shown, sizeof(shown)), err->text);
	return 0;
}

static int restore_line(struct session *s, char *text, unsigned line, bool exist,
			struct pg_err *err)
{
	const char *words[PG_IPSET_WORDS_MAX];
	struct pg_ipset_cmd cmd;
	size_t n;
	int r = pg_ipset_split(text, words, &n, err);

	if (r < 0 || !n)
		return r;
	r = pg_ipset_command(words, n, &cmd, err);
	if (r < 0)
		return r;
	cmd.exist |= exist;
	if (is_left_out(s, cmd.name) ||
	    (cmd.verb == PG_IPSET_SWAP && is_left_out(s, cmd.second)))
		return 0;
	r = apply(s, &cmd, line, err);
	if (r == -EOPNOTSUPP && s->skip && cmd.verb == PG_IPSET_CREATE)
		r = leave_out(s, cmd.name, line, err);
	return r;
}

static int restore_lines(struct session *s, char *text, size_t len, bool exist, struct pg_err *err)
{
	char *next = text;
	unsigned line = 0;
	int r = 0;

	while (!r && next < text + len) {
		char *start = next, *end = memchr(start, '\n', len - (size_t)(start - text));

		line++;
		if (!end)
			end = text + len;
		*end = '\0';
		next = end + 1;
		if (strlen(start) != (size_t)(end - start))
			r = pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "Line has a NUL byte");
		else
			r = restore_line(s, start, line, exist, err);
	}
	return r < 0 ? report(r, line, err) : r;
}

static int restore(struct session *s, const struct pg_ipset_cmd *cmd, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = {};
	/* All of it first: a slow writer must not hold up others at the lock. */
	int r = slurp(cmd->file, &text, err);

	if (!r)
		r = session_open(s, true, err);
	if (!r)
		r = restore_lines(s, text.buf, text.len, cmd->exist, err);
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
		.now_ns = now_ns(),
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_set_info info;
	_fclose_ FILE *f = NULL;
	uint32_t number;
	int r = pg_dp_open(&opts, &dp, err);

	if (r < 0 && r != -ENOENT)
		return r;
	if (cmd->name && pg_dp_set_find(dp, cmd->name, &number, &info) < 0)
		return report(pg_fail(err, -ENOENT, "The set with the given name does not exist"), 0,
			      err);
	if (cmd->file) {
		f = fopen(cmd->file, "we");
		if (!f)
			return pg_fail(err, -errno, "cannot open '%s': %s", cmd->file,
				       strerror(errno));
	}
	r = show_sets(dp, cmd->name, &show, f ? f : stdout, err);
	if (!r && f && (fflush(f) || ferror(f)))
		return pg_fail(err, -EIO, "cannot write '%s': %s", cmd->file, strerror(errno));
	return r;
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
		.skip = cmd->skip_unsupported,
	};

	if (cmd->wait_set && pg_wait_parse(cmd->wait, &s.opts.wait_s, err) < 0)
		return -EINVAL;
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
		return report(r, 0, err);
	r = run_command(ctx, &cmd, err);
	return r < 0 && cmd.quiet ? err->exit_code : r;
}
