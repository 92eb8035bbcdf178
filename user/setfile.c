/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "setfile.h"

#include <errno.h>
#include <string.h>

void pg_setfile_free(struct pg_setfile *s)
{
	pg_sets_free(s->sets);
	for (size_t i = 0; i < s->n_left_out; i++)
		free(s->left_out[i]);
	free(s->left_out);
	*s = (struct pg_setfile){};
}

/* Messages as ipset's, whose place they take: with a version, and a hint after wrong usage. */
int pg_set_report(int r, unsigned line, struct pg_err *err)
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

static int apply_create(struct pg_setfile *s, const struct pg_ipset_cmd *cmd, unsigned line,
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

static int apply_test(struct pg_setfile *s, struct pg_set *set, const struct pg_ipset_cmd *cmd,
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
static int apply_entries(struct pg_setfile *s, const struct pg_ipset_cmd *cmd, struct pg_err *err)
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

int pg_setfile_apply(struct pg_setfile *s, const struct pg_ipset_cmd *cmd, unsigned line,
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

static bool is_left_out(const struct pg_setfile *s, const char *name)
{
	for (size_t i = 0; name && i < s->n_left_out; i++)
		if (!strcmp(s->left_out[i], name))
			return true;
	return false;
}

/* A set of a type that portguard does not have: nothing of it is taken. */
static int leave_out(struct pg_setfile *s, const char *name, unsigned line, struct pg_err *err)
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

static int restore_line(struct pg_setfile *s, char *text, unsigned line, bool exist,
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
	r = pg_setfile_apply(s, &cmd, line, err);
	if (r == -EOPNOTSUPP && s->skip && cmd.verb == PG_IPSET_CREATE)
		r = leave_out(s, cmd.name, line, err);
	return r;
}

int pg_setfile_read(struct pg_setfile *s, char *text, size_t len, bool exist, struct pg_err *err)
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
	return r < 0 ? pg_set_report(r, line, err) : r;
}
