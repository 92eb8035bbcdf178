/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "chains.h"
#include "checks.h"
#include "iptables.h"
#include "lex.h"
#include "print.h"
#include "rulefile.h"

/* A file of (PG_MAX_TERMS - 1) rules is under 2 MB; iptables-restore takes lines up to 10 KB. */
#define MAX_FILE (16U << 20)
#define MAX_LINE 10240

struct reader {
	const struct pg_rulefile_opts *opts;
	const char *name;
	const char *line; /* at hand, without its end */
	size_t n;
	unsigned number;
	bool in_table;
	char name_of_table[32];
	enum pg_table_id table;
	bool foreign; /* the table is not ours */
	bool skipped; /* the table is not the one wanted */
	unsigned n_foreign; /* lines of other tables, and the first of these tables */
	char first_foreign[32];
	unsigned n_unsupported, first_unsupported; /* lines, and the first one's number */
	struct pg_ruleset *set;
	size_t n_rules;
	struct pg_notes *notes;
	struct pg_diag diag;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int add_note(struct reader *rd, struct pg_text *t)
{
	char **more = reallocarray(rd->notes->text, rd->notes->n + 1, sizeof(*more));

	if (more)
		rd->notes->text = more;
	if (!more || t->oom)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	more[rd->notes->n++] = TAKE_PTR(t->buf);
	return 0;
}

/* True: somebody wants to know all that is wrong, and is told. */
static bool tell(struct reader *rd, enum pg_problem what, unsigned column, const char *text)
{
	const struct pg_problems *to = rd->opts->problems;
	struct pg_pos pos = { rd->number, column ? column : 1 };

	if (to)
		to->found(to->arg, what, pos, text, rd->line, rd->n);
	return to;
}

/* "FILE:LINE:COLUMN: TEXT", of the line at hand. */
static int note(struct reader *rd, unsigned column, const char *fmt, ...) _printf_(3, 4);
static int note(struct reader *rd, unsigned column, const char *fmt, ...)
{
	_cleanup_(pg_text_free) struct pg_text t = {};
	char text[512], shown[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pg_text_add(&t, "%s:%u:%u: %s", rd->name, rd->number, column ? column : 1,
		    pg_printable(text, shown, sizeof(shown)));
	return add_note(rd, &t);
}

/* How much of the line at hand goes into a note. */
static int shown_length(const struct reader *rd)
{
	return rd->n < 300 ? (int)rd->n : 300;
}

static struct pg_arg at_byte(const struct reader *rd, size_t byte)
{
	return (struct pg_arg){ .text = "", .pos = { rd->number, (unsigned)byte + 1 } };
}

/* The line at hand is of a table that is not ours. */
static void count_foreign(struct reader *rd)
{
	if (!rd->n_foreign++)
		snprintf(rd->first_foreign, sizeof(rd->first_foreign), "%s", rd->name_of_table);
}

/* *ret: ours; false: iptables has the table, or nobody. */
static bool find_table(const char *name, enum pg_table_id *ret)
{
	for (enum pg_table_id table = 0; table < _PG_TABLE_MAX; table++) {
		if (!strcmp(name, pg_table_name(table))) {
			*ret = table;
			return true;
		}
	}
	return false;
}

static void count_rules(struct reader *rd)
{
	rd->n_rules = 0;
	for (size_t i = 0; i < rd->set->n_chains; i++)
		rd->n_rules += rd->set->chain[i].n_rules;
}

/* "*filter" */
static int read_table(struct reader *rd)
{
	static const char *const known[] = { "nat", "mangle", "security" };
	const char *wanted = rd->opts->table;
	size_t n = rd->n - 1;
	bool found = false;

	while (n && is_blank(rd->line[n]))
		n--;
	snprintf(rd->name_of_table, sizeof(rd->name_of_table), "%.*s", (int)n, rd->line + 1);
	rd->in_table = true;
	rd->skipped = wanted && strcmp(wanted, rd->name_of_table);
	rd->foreign = n >= sizeof(rd->name_of_table) || !find_table(rd->name_of_table, &rd->table);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		found |= !strcmp(rd->name_of_table, known[i]);
	if (rd->skipped)
		return 0;
	if (rd->foreign && !found) {
		count_foreign(rd);
		if (rd->opts->problems)
			return pg_diag(&rd->diag, PG_DIAG_NO_TABLE, NULL,
				       "unable to initialize table '%s'", rd->name_of_table);
		return note(rd, 2, "unable to initialize table '%s'", rd->name_of_table);
	}
	if (rd->foreign || rd->opts->noflush)
		return 0;
	/* Also when the table comes a second time, as with iptables-restore. */
	pg_table_clear(rd->set, rd->table);
	count_rules(rd);
	return 0;
}

/* "[packets:bytes]" at the beginning of text; *ret_n: its length. */
static bool read_counters(const char *text, size_t n, uint64_t *ret_packets, uint64_t *ret_bytes,
			  size_t *ret_n)
{
	const char *colon = memchr(text, ':', n), *end = memchr(text, ']', n);
	char packets[32], bytes[32];

	if (!n || text[0] != '[' || !colon || !end || colon > end ||
	    (size_t)(colon - text) > sizeof(packets) || (size_t)(end - colon) > sizeof(bytes))
		return false;
	snprintf(packets, sizeof(packets), "%.*s", (int)(colon - text - 1), text + 1);
	snprintf(bytes, sizeof(bytes), "%.*s", (int)(end - colon - 1), colon + 1);
	*ret_n = (size_t)(end - text) + 1;
	return !pg_parse_u64(packets, 0, UINT64_MAX, ret_packets) &&
	       !pg_parse_u64(bytes, 0, UINT64_MAX, ret_bytes);
}

/* A line of a table that is not enforced counts if it would do something. */
static int read_foreign(struct reader *rd)
{
	if (rd->line[0] == ':') {
		const char *policy = memchr(rd->line, ' ', rd->n);
		size_t rest = policy ? rd->n - (size_t)(policy - rd->line) : 0;

		if (rest < 2 || policy[1] == '-' || (rest >= 7 && !strncmp(policy, " ACCEPT", 7)))
			return 0;
	}
	count_foreign(rd);
	if (rd->opts->problems) {
		char text[80];

		snprintf(text, sizeof(text), "table `%s' is not enforced", rd->name_of_table);
		tell(rd, PG_PROBLEM_TABLE, 1, text);
		return 0;
	}
	return note(rd, 1, "table `%s' is not enforced: %.*s", rd->name_of_table,
		    shown_length(rd), rd->line);
}

static int built_in_policy(struct reader *rd, struct pg_chain *chain, const struct pg_args *args)
{
	const struct pg_arg *policy = &args->arg[1];
	struct pg_command cmd = {
		.verb = PG_VERB_POLICY,
		.chain = chain->name,
		.chain_at = *policy,
		.policy = policy->text,
		.table = rd->table,
	};
	size_t n;

	if (!strcmp(policy->text, "-"))
		return 0;
	if (args->n > 2) {
		const char *text = args->arg[2].text;

		if (!read_counters(text, strlen(text), &cmd.packets, &cmd.bytes, &n) || text[n])
			return pg_diag(&rd->diag, PG_DIAG_PARAM, &args->arg[2],
				       "invalid policy counters `%s'", text);
		if (!rd->opts->counters)
			cmd.packets = cmd.bytes = 0;
	}
	if (strcmp(cmd.policy, "ACCEPT") && strcmp(cmd.policy, "DROP"))
		return pg_diag(&rd->diag, PG_DIAG_FAILED, policy, "bad policy `%s' for chain `%s'",
			       cmd.policy, chain->name);
	chain->pos = args->arg[0].pos;
	return pg_command_apply(&cmd, rd->set, &rd->diag);
}

/* A user's chain: made, or emptied where the file adds to what there is. */
static int declare_chain(struct reader *rd, const struct pg_args *args)
{
	const struct pg_arg *name = &args->arg[0];
	struct pg_chain *chain = pg_ruleset_chain(rd->set, rd->table, name->text);
	int r = pg_chain_name_check(name, &rd->diag);

	if (r < 0)
		return r;
	if (chain && !rd->opts->noflush)
		return pg_diag(&rd->diag, PG_DIAG_PARAM, name,
			       "error creating chain '%s':File exists", name->text);
	if (strcmp(args->arg[1].text, "-"))
		return pg_diag(&rd->diag, PG_DIAG_FAILED, name, "Bad built-in chain name `%s'",
			       name->text);
	if (chain)
		pg_chain_flush(chain);
	else
		chain = pg_chain_add(rd->set, rd->table, name->text);
	if (!chain)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	chain->pos = name->pos;
	return 0;
}

/* ":INPUT DROP [0:0]" or ":mychain - [0:0]" */
static int read_chain(struct reader *rd)
{
	struct pg_pos pos = { rd->number, 2 };
	struct pg_args args = {};
	struct pg_chain *chain;
	int r = pg_lex(rd->line + 1, rd->n - 1, pos, &args, &rd->diag);

	if (r < 0)
		return r;
	chain = args.n ? pg_ruleset_chain(rd->set, rd->table, args.arg[0].text) : NULL;
	if (args.n < 2 || args.n > 3)
		r = pg_diag(&rd->diag, PG_DIAG_PARAM, args.n ? &args.arg[0] : NULL,
			    "a chain needs a name, a policy and counters, `:INPUT ACCEPT [0:0]'");
	else if (chain && pg_chain_is_builtin(rd->set, chain))
		r = built_in_policy(rd, chain, &args);
	else
		r = declare_chain(rd, &args);
	pg_args_free(&args);
	return r;
}

/* What can be read but not compiled is named like what can't be read. */
static int check_enforced(struct reader *rd, const struct pg_command *cmd)
{
	/* The others of an address list have the same matches. */
	for (size_t i = 0; !rd->opts->unenforced && cmd->n_rules && i < cmd->rule[0].n_match; i++) {
		const struct pg_match *m = &cmd->rule[0].match[i];
		const struct pg_arg at = { .text = "", .pos = m->pos };
		unsigned families = pg_rule_families(&cmd->rule[0]) & (rd->opts->family ?: PG_V46);
		const char *why = pg_match_unenforced(m, families);

		if (why)
			return pg_diag(&rd->diag, PG_DIAG_UNSUPPORTED, &at, "%s", why);
	}
	return 0;
}

static int apply_rule(struct reader *rd, struct pg_command *cmd, const struct pg_arg *verb)
{
	bool adds = cmd->verb == PG_VERB_APPEND || cmd->verb == PG_VERB_INSERT;
	int r = 0;

	if (cmd->verb == PG_VERB_IGNORE)
		return 0;
	if (!pg_command_writes(cmd))
		return pg_diag(&rd->diag, PG_DIAG_PARAM, verb, "`%s' does not belong in a rule file",
			       verb->text);
	r = check_enforced(rd, cmd);
	if (r < 0)
		return r;
	if (adds)
		rd->n_rules += cmd->n_rules;
	if (rd->n_rules > (PG_MAX_TERMS - 1))
		return pg_diag(&rd->diag, PG_DIAG_FAILED, verb, "more than %d rules", (PG_MAX_TERMS - 1));
	if (cmd->warning.oom)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	if (cmd->warning.len && !tell(rd, PG_PROBLEM_WARNING, cmd->target_at.pos.column,
				      cmd->warning.buf))
		r = note(rd, cmd->target_at.pos.column, "warning: %s", cmd->warning.buf);
	return r ? r : pg_command_apply(cmd, rd->set, &rd->diag);
}

/* "[5:300] -A INPUT …" */
static int read_rule(struct reader *rd)
{
	const struct pg_parse_from from = {
		.file = true,
		.table = rd->table,
		.family = rd->opts->family,
	};
	struct pg_pos pos = { rd->number, 1 };
	struct pg_command cmd = {};
	struct pg_args args = {};
	uint64_t packets = 0, bytes = 0;
	size_t skip = 0;
	int r;

	if (rd->line[0] == '[' && !read_counters(rd->line, rd->n, &packets, &bytes, &skip)) {
		struct pg_arg at = at_byte(rd, 0);

		return pg_diag(&rd->diag, PG_DIAG_PARAM, &at,
			       "invalid counters, `[packets:bytes]' expected");
	}
	pos.column += (unsigned)skip;
	r = pg_lex(rd->line + skip, rd->n - skip, pos, &args, &rd->diag);
	if (r < 0)
		return r;
	r = pg_command_parse(args.arg, args.n, &from, &cmd, &rd->diag);
	for (size_t i = 0; !r && rd->opts->counters && !cmd.has_counters && i < cmd.n_rules; i++) {
		cmd.rule[i].packets = packets;
		cmd.rule[i].bytes = bytes;
	}
	if (!r)
		r = apply_rule(rd, &cmd, &args.arg[0]);
	pg_command_free(&cmd);
	pg_args_free(&args);
	return r;
}

static bool line_is(const struct reader *rd, const char *text)
{
	size_t n = rd->n;

	while (n && is_blank(rd->line[n - 1]))
		n--;
	return n == strlen(text) && !memcmp(rd->line, text, n);
}

static bool is_comment(const struct reader *rd)
{
	size_t i = 0;

	while (i < rd->n && is_blank(rd->line[i]))
		i++;
	return i < rd->n && rd->line[i] == '#';
}

/* What is not supported is named line by line, so that one run shows all of it. */
static int note_unsupported(struct reader *rd)
{
	char text[sizeof(rd->diag.text)];

	if (tell(rd, PG_PROBLEM_UNSUPPORTED, rd->diag.pos.column, rd->diag.text))
		return 0;
	if (!rd->n_unsupported++)
		rd->first_unsupported = rd->number;
	snprintf(text, sizeof(text), "%s", rd->diag.text); /* note() may need the diag */
	return note(rd, rd->diag.pos.column, "%s%s: %.*s",
		    rd->opts->skip_unsupported ? "left out, " : "", text, shown_length(rd),
		    rd->line);
}

/* Here the kernel looks at a table as a whole. */
static int commit_table(struct reader *rd)
{
	struct pg_arg at = at_byte(rd, 0);

	rd->in_table = false;
	return rd->foreign || rd->skipped ? 0 : pg_chains_check(rd->set, &at, &rd->diag);
}

static int read_line(struct reader *rd)
{
	int r;

	if (rd->n > MAX_LINE)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "line is longer than %d bytes",
			       MAX_LINE);
	if (line_is(rd, "") || is_comment(rd))
		return 0;
	if (rd->line[0] == '*' && !rd->in_table)
		return read_table(rd);
	if (!rd->in_table)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL,
			       "a table (`*filter') must come before this");
	if (line_is(rd, "COMMIT"))
		return commit_table(rd);
	if (rd->skipped)
		return 0;
	if (rd->foreign)
		return read_foreign(rd);
	r = rd->line[0] == ':' ? read_chain(rd) : read_rule(rd);
	return r == -EOPNOTSUPP ? note_unsupported(rd) : r;
}

/* The policy that the file starts from. */
static int start_from(struct reader *rd)
{
	const struct pg_ruleset *base = rd->opts->base;

	rd->set = base ? pg_ruleset_dup(base) : pg_ruleset_new();
	if (!rd->set)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	count_rules(rd);
	return 0;
}

static int read_lines(struct reader *rd, const char *text, size_t n, struct pg_err *err)
{
	size_t at = 0;

	while (at < n) {
		const char *end = memchr(text + at, '\n', n - at);
		int r;

		rd->number++;
		rd->line = text + at;
		rd->n = end ? (size_t)(end - rd->line) : n - at;
		at += rd->n + 1;
		if (rd->n && rd->line[rd->n - 1] == '\r')
			rd->n--;
		r = read_line(rd);
		if (r < 0 && tell(rd, PG_PROBLEM_SYNTAX, rd->diag.pos.column, rd->diag.text))
			continue;
		if (r < 0) {
			rd->diag.pos.line = rd->number;
			return pg_diag_report_line(&rd->diag, r, rd->name, rd->line, rd->n, err);
		}
	}
	return 0;
}

/* The file is refused for what the notes have named. */
static int refuse(struct reader *rd, bool foreign, bool unsupported, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = {};
	int r;

	if (foreign)
		pg_text_add(&t, "%u %s in tables that are not enforced (the first in `%s'): "
			    "--skip-tables goes on without them", rd->n_foreign,
			    rd->n_foreign == 1 ? "line" : "lines", rd->first_foreign);
	if (foreign && unsupported)
		pg_text_add(&t, "; ");
	if (unsupported)
		pg_text_add(&t, "%u %s what portguard does not support (the first is line %u): "
			    "--skip-unsupported goes on without them", rd->n_unsupported,
			    rd->n_unsupported == 1 ? "line uses" : "lines use",
			    rd->first_unsupported);
	r = pg_fail_exit(err, PG_EXIT_USAGE, -EOPNOTSUPP, "portguard: %s: %s", rd->name,
			 t.buf ? t.buf : "");
	if (err)
		err->complete = true;
	return r;
}

static int at_end(struct reader *rd, struct pg_err *err)
{
	bool foreign = rd->n_foreign && !rd->opts->skip_tables;
	bool unsupported = rd->n_unsupported && !rd->opts->skip_unsupported;
	int r;

	if (rd->opts->problems && rd->in_table) {
		rd->number++;
		rd->n = 0;
		tell(rd, PG_PROBLEM_SYNTAX, 1, "COMMIT expected at the end of the table");
	}
	if (rd->opts->problems)
		return 0;
	if (rd->in_table) {
		r = pg_fail(err, -EINVAL, "portguard: %s:%u: COMMIT expected at the end of table "
			    "`%s'", rd->name, rd->number + 1, rd->name_of_table);
		if (err)
			err->complete = true;
		return r;
	}
	if (foreign || unsupported)
		return refuse(rd, foreign, unsupported, err);
	return 0;
}

int pg_rulefile_parse(const char *text, size_t n, const struct pg_rulefile_opts *opts,
		      struct pg_ruleset **ret_set, struct pg_notes *notes, struct pg_err *err)
{
	struct reader rd = { .opts = opts, .notes = notes };
	char name[256];
	int r;

	rd.name = pg_printable(opts->name ? opts->name : "<stdin>", name, sizeof(name));
	if (n > MAX_FILE)
		return pg_fail(err, -EFBIG, "%s is larger than %u MB", rd.name, MAX_FILE >> 20);
	r = start_from(&rd);
	if (r < 0)
		r = pg_diag_report(&rd.diag, r, err);
	if (!r)
		r = read_lines(&rd, text, n, err);
	if (!r)
		r = at_end(&rd, err);
	if (!r)
		*ret_set = TAKE_PTR(rd.set);
	pg_ruleset_free(rd.set);
	return r;
}

int pg_rulefile_slurp(const char *path, struct pg_text *ret, struct pg_err *err)
{
	bool from_stdin = !path || !strcmp(path, "-");
	_close_ int fd = from_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	char buf[16384], shown[256];
	ssize_t got;

	pg_printable(from_stdin ? "<stdin>" : path, shown, sizeof(shown));
	if (fd < 0)
		return pg_fail(err, -errno, "cannot open '%s': %s", shown, strerror(errno));
	pg_text_addn(ret, "", 0);
	/* Past the limit there is no use in reading on; pg_rulefile_parse() says so. */
	while (!ret->oom && ret->len <= MAX_FILE && (got = read(fd, buf, sizeof(buf))) != 0) {
		if (got > 0)
			pg_text_addn(ret, buf, (size_t)got);
		else if (errno != EINTR)
			return pg_fail(err, -errno, "cannot read '%s': %s", shown, strerror(errno));
	}
	return ret->oom ? pg_fail(err, -ENOMEM, "out of memory") : 0;
}

int pg_rulefile_load(const char *path, const struct pg_rulefile_opts *opts,
		     struct pg_ruleset **ret_set, struct pg_notes *notes, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text text = {};
	struct pg_rulefile_opts named = *opts;
	int r = pg_rulefile_slurp(path, &text, err);

	if (r < 0)
		return r;
	named.name = path && strcmp(path, "-") ? path : NULL;
	return pg_rulefile_parse(text.buf, text.len, &named, ret_set, notes, err);
}

void pg_notes_free(struct pg_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		free(notes->text[i]);
	free(notes->text);
	*notes = (struct pg_notes){};
}

void pg_notes_print(const struct pg_notes *notes, FILE *f)
{
	for (size_t i = 0; i < notes->n; i++)
		fprintf(f, "portguard: %s\n", notes->text[i]);
}

void pg_rulefile_write_date(struct pg_text *t, const char *what)
{
	time_t now = time(NULL);
	char date[64] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	pg_text_add(t, "# %s on %s\n", what, date);
}

static void write_rules(struct pg_text *t, const struct pg_chain *chain, unsigned family,
			unsigned flags)
{
	for (size_t i = 0; i < chain->n_rules; i++) {
		const struct pg_rule *rule = &chain->rule[i];
		size_t end;

		if (family && !(pg_rule_families(rule) & family))
			continue;
		if (flags & PG_RULEFILE_COUNTERS)
			pg_text_add(t, "[%" PRIu64 ":%" PRIu64 "] ", rule->packets, rule->bytes);
		pg_text_add(t, "-A %s ", chain->name);
		end = t->len;
		pg_rule_print(t, rule, family);
		if (!t->oom && t->len == end)
			t->len--; /* a rule without conditions or target */
		pg_text_add(t, "\n");
	}
}

void pg_rulefile_write_table(struct pg_text *t, const struct pg_ruleset *set,
			     enum pg_table_id table, unsigned family, unsigned flags)
{
	pg_text_add(t, "*%s\n", pg_table_name(table));
	for (size_t i = 0; i < set->n_chains; i++) {
		const struct pg_chain *chain = &set->chain[i];

		if (chain->table == table && pg_chain_is_builtin(set, chain))
			pg_text_add(t, ":%s %s [%" PRIu64 ":%" PRIu64 "]\n", chain->name,
				    pg_target_name(chain->policy), chain->packets, chain->bytes);
		else if (chain->table == table)
			pg_text_add(t, ":%s - [0:0]\n", chain->name);
	}
	for (size_t i = 0; i < set->n_chains; i++)
		if (set->chain[i].table == table)
			write_rules(t, &set->chain[i], family, flags);
	pg_text_add(t, "COMMIT\n");
}

/* iptables-save leaves out tables that nobody has used. */
static bool is_used(const struct pg_ruleset *set, enum pg_table_id table)
{
	bool used = false;

	for (size_t i = 0; i < set->n_chains; i++) {
		const struct pg_chain *chain = &set->chain[i];

		if (chain->table == table)
			used |= chain->n_rules || chain->policy != PG_TARGET_ACCEPT;
	}
	return used;
}

void pg_rulefile_write(struct pg_text *t, const struct pg_ruleset *set, unsigned family,
		       unsigned flags)
{
	if (flags & PG_RULEFILE_DATES)
		pg_rulefile_write_date(t, "Generated by portguard v" PG_VERSION);
	if (is_used(set, PG_TABLE_RAW))
		pg_rulefile_write_table(t, set, PG_TABLE_RAW, family, flags);
	pg_rulefile_write_table(t, set, PG_TABLE_FILTER, family, flags);
	if (flags & PG_RULEFILE_DATES)
		pg_rulefile_write_date(t, "Completed");
}
