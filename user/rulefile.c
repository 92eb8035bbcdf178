/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "iptables.h"
#include "lex.h"
#include "print.h"
#include "rulefile.h"

/* A file of PG_MAX_TERMS rules is under 2 MB; iptables-restore takes lines up to 10 KB. */
#define MAX_FILE (16U << 20)
#define MAX_LINE 10240

struct reader {
	const struct pg_rulefile_opts *opts;
	const char *name;
	const char *line; /* at hand, without its end */
	size_t n;
	unsigned number;
	bool in_table;
	char table[32];
	bool foreign; /* the table is not ours */
	unsigned n_foreign; /* lines left out, and the first of their tables */
	char first_foreign[32];
	struct pg_ruleset *set;
	size_t n_rules;
	char **chain; /* user chains declared, owned */
	size_t n_chain;
	struct pg_notes *notes;
	struct pg_diag diag;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int note(struct reader *rd, const char *fmt, ...) _printf_(2, 3);
static int note(struct reader *rd, const char *fmt, ...)
{
	_cleanup_(pg_text_free) struct pg_text t = {};
	char text[512], shown[512], **more;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pg_text_add(&t, "%s:%u: %s", rd->name, rd->number, pg_printable(text, shown, sizeof(shown)));
	more = reallocarray(rd->notes->text, rd->notes->n + 1, sizeof(*more));
	if (more)
		rd->notes->text = more;
	if (!more || t.oom)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	more[rd->notes->n++] = TAKE_PTR(t.buf);
	return 0;
}

static struct pg_arg at_byte(const struct reader *rd, size_t byte)
{
	return (struct pg_arg){ .text = "", .pos = { rd->number, (unsigned)byte + 1 } };
}

static bool is_chain(const void *arg, const char *name)
{
	const struct reader *rd = arg;

	for (size_t i = 0; i < rd->n_chain; i++)
		if (!strcmp(rd->chain[i], name))
			return true;
	return false;
}

static int add_chain(struct reader *rd, const char *name)
{
	char **more = reallocarray(rd->chain, rd->n_chain + 1, sizeof(*more));
	char *copy = strdup(name);

	if (more)
		rd->chain = more;
	if (!more || !copy) {
		free(copy);
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	}
	rd->chain[rd->n_chain++] = copy;
	return 0;
}

/* "*filter" */
static int read_table(struct reader *rd)
{
	static const char *const known[] = { "filter", "nat", "mangle", "raw", "security" };
	const struct pg_command flush = { .verb = PG_VERB_FLUSH };
	struct pg_arg at = at_byte(rd, 1);
	size_t n = rd->n - 1;
	bool found = false;

	while (n && is_blank(rd->line[n]))
		n--;
	snprintf(rd->table, sizeof(rd->table), "%.*s", (int)n, rd->line + 1);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		found |= n < sizeof(rd->table) && !strcmp(rd->table, known[i]);
	if (!found && !rd->opts->skip_tables)
		return pg_diag(&rd->diag, PG_DIAG_PARAM, &at, "unable to initialize table '%s'",
			       rd->table);
	rd->foreign = strcmp(rd->table, "filter") != 0;
	rd->in_table = true;
	if (rd->foreign || rd->opts->noflush)
		return 0;
	/* Also when the table comes a second time, as with iptables-restore. */
	rd->n_rules = 0;
	return pg_command_apply(&flush, rd->set, &rd->diag);
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
	if (!rd->n_foreign++)
		snprintf(rd->first_foreign, sizeof(rd->first_foreign), "%s", rd->table);
	return note(rd, "table `%s' is not enforced: %.*s", rd->table,
		    rd->n < 300 ? (int)rd->n : 300, rd->line);
}

static int built_in_policy(struct reader *rd, struct pg_chain *chain, const struct pg_args *args)
{
	const struct pg_arg *policy = &args->arg[1];
	struct pg_command cmd = {
		.verb = PG_VERB_POLICY,
		.chain = chain->name,
		.chain_at = *policy,
		.policy = policy->text,
	};
	size_t n;

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
	return pg_command_apply(&cmd, rd->set, &rd->diag);
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
	chain = args.n ? pg_ruleset_chain(rd->set, PG_TABLE_FILTER, args.arg[0].text) : NULL;
	if (args.n < 2 || args.n > 3) {
		r = pg_diag(&rd->diag, PG_DIAG_PARAM, args.n ? &args.arg[0] : NULL,
			    "a chain needs a name, a policy and counters, `:INPUT ACCEPT [0:0]'");
	} else if (chain) {
		r = built_in_policy(rd, chain, &args);
	} else if (strcmp(args.arg[1].text, "-")) {
		r = pg_diag(&rd->diag, PG_DIAG_FAILED, &args.arg[0],
			    "Bad built-in chain name `%s'", args.arg[0].text);
	} else {
		r = add_chain(rd, args.arg[0].text);
		if (!r)
			r = pg_diag(&rd->diag, PG_DIAG_UNSUPPORTED, &args.arg[0],
				    "user-defined chains (`%s') are not supported yet",
				    args.arg[0].text);
	}
	pg_args_free(&args);
	return r;
}

static int apply_rule(struct reader *rd, struct pg_command *cmd, const struct pg_arg *verb)
{
	bool adds = cmd->verb == PG_VERB_APPEND || cmd->verb == PG_VERB_INSERT;

	if (cmd->verb == PG_VERB_IGNORE)
		return 0;
	if (!pg_command_writes(cmd))
		return pg_diag(&rd->diag, PG_DIAG_PARAM, verb, "`%s' does not belong in a rule file",
			       verb->text);
	if (cmd->chain && is_chain(rd, cmd->chain))
		return pg_diag(&rd->diag, PG_DIAG_UNSUPPORTED, &cmd->chain_at,
			       "user-defined chains (`%s') are not supported yet", cmd->chain);
	if (adds)
		rd->n_rules += cmd->n_rules;
	if (rd->n_rules > PG_MAX_TERMS)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, verb, "more than %d rules", PG_MAX_TERMS);
	return pg_command_apply(cmd, rd->set, &rd->diag);
}

/* A line that was refused may have made a chain: `-N web`. Rules in it are no mistakes then. */
static int note_new_chain(struct reader *rd, const struct pg_args *args)
{
	for (size_t i = 0; i + 1 < args->n; i++)
		if (!strcmp(args->arg[i].text, "-N") ||
		    !strcmp(args->arg[i].text, "--new-chain"))
			return add_chain(rd, args->arg[i + 1].text);
	return 0;
}

/* "[5:300] -A INPUT …" */
static int read_rule(struct reader *rd)
{
	const struct pg_parse_from from = {
		.file = true,
		.family = rd->opts->family,
		.is_chain = is_chain,
		.arg = rd,
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
	if (r == -EOPNOTSUPP && note_new_chain(rd, &args) < 0)
		r = -ENOMEM;
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
	if (line_is(rd, "COMMIT")) {
		rd->in_table = false;
		return 0;
	}
	if (rd->foreign)
		return read_foreign(rd);
	r = rd->line[0] == ':' ? read_chain(rd) : read_rule(rd);
	if (r == -EOPNOTSUPP && rd->opts->skip_unsupported)
		return note(rd, "left out, %s: %.*s", rd->diag.text,
			    rd->n < 300 ? (int)rd->n : 300, rd->line);
	return r;
}

/* The policy that the file starts from. */
static int start_from(struct reader *rd)
{
	const struct pg_ruleset *base = rd->opts->base;

	rd->set = base ? pg_ruleset_dup(base) : pg_ruleset_new();
	if (!rd->set)
		return pg_diag(&rd->diag, PG_DIAG_FAILED, NULL, "out of memory");
	for (size_t i = 0; i < rd->set->n_chains; i++)
		rd->n_rules += rd->set->chain[i].n_rules;
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
		if (r < 0) {
			rd->diag.pos.line = rd->number;
			return pg_diag_report_line(&rd->diag, r, rd->name, rd->line, rd->n, err);
		}
	}
	return 0;
}

static int at_end(struct reader *rd, struct pg_err *err)
{
	int r = 0;

	if (rd->in_table)
		r = pg_fail(err, -EINVAL, "portguard: %s:%u: COMMIT expected at the end of table "
			    "`%s'", rd->name, rd->number + 1, rd->table);
	else if (rd->n_foreign && !rd->opts->skip_tables)
		r = pg_fail_exit(err, PG_EXIT_USAGE, -EOPNOTSUPP,
				 "portguard: %s: %u %s in tables that are not enforced (the first "
				 "in `%s'): --skip-tables goes on without them",
				 rd->name, rd->n_foreign, rd->n_foreign == 1 ? "rule" : "rules",
				 rd->first_foreign);
	if (r && err)
		err->complete = true;
	return r;
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
	for (size_t i = 0; i < rd.n_chain; i++)
		free(rd.chain[i]);
	free(rd.chain);
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

static void write_date(struct pg_text *t, const char *what)
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

void pg_rulefile_write(struct pg_text *t, const struct pg_ruleset *set, unsigned family,
		       unsigned flags)
{
	if (flags & PG_RULEFILE_DATES)
		write_date(t, "Generated by portguard v" PG_VERSION);
	pg_text_add(t, "*filter\n");
	for (size_t i = 0; i < PG_CHAIN_RAW_PREROUTING; i++)
		pg_text_add(t, ":%s %s [%" PRIu64 ":%" PRIu64 "]\n", set->chain[i].name,
			    pg_target_name(set->chain[i].policy), set->chain[i].packets,
			    set->chain[i].bytes);
	for (size_t i = 0; i < set->n_chains; i++)
		write_rules(t, &set->chain[i], family, flags);
	pg_text_add(t, "COMMIT\n");
	if (flags & PG_RULEFILE_DATES)
		write_date(t, "Completed");
}
