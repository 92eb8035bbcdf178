/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "usage.h"

#define ELLIPSIS "…"

void pg_usage_free(struct pg_usage *usage)
{
	for (size_t i = 0; i < usage->n_rows; i++) {
		free(usage->row[i].head);
		free(usage->row[i].help);
	}
	for (size_t i = 0; i < usage->n_options; i++) {
		free(usage->option[i].name);
		free(usage->option[i].value);
	}
	for (size_t i = 0; i < usage->n_words; i++)
		free(usage->word[i]);
	free(usage->row);
	free(usage->option);
	free(usage->word);
	*usage = (struct pg_usage){ 0 };
}

size_t pg_usage_name_len(const char *head)
{
	size_t len = 1;

	if (head[0] != '-')
		return 0;
	if (head[1] == '-') {
		for (len = 2; islower((unsigned char)head[len]) || isdigit((unsigned char)head[len]) ||
			      (head[len] == '-' && len > 2);)
			len++;
		return len > 2 ? len : 0;
	}
	while (islower((unsigned char)head[len]))
		len++;
	if (len == 1 && head[1] && !strchr(" []|,", head[1]))
		len++;
	/* "-PORT" is what follows PORT. */
	return len > 1 && !isalnum((unsigned char)head[len]) ? len : 0;
}

struct pg_usage_option *pg_usage_find(const struct pg_usage *usage, const char *name, size_t len)
{
	for (size_t i = 0; i < usage->n_options; i++)
		if (!strncmp(usage->option[i].name, name, len) && !usage->option[i].name[len])
			return &usage->option[i];
	return NULL;
}

/* One more element of zero bytes; NULL: out of memory. */
static void *grow(void *array, size_t *n, size_t size)
{
	char *larger = reallocarray(*(void **)array, *n + 1, size);

	if (!larger)
		return NULL;
	*(void **)array = larger;
	memset(larger + *n * size, 0, size);
	return larger + (*n)++ * size;
}

/* Rows ----------------------------------------------------------------------------------------- */

static const char *gap_in(const char *text, const char *end)
{
	for (; text + 1 < end; text++)
		if (text[0] == ' ' && text[1] == ' ')
			return text;
	return NULL;
}

/* Adds a line to help. */
static int join(char **help, const char *text, size_t len)
{
	char *joined = NULL;

	if (!*help)
		*help = strndup(text, len);
	else if (asprintf(&joined, "%s %.*s", *help, (int)len, text) < 0)
		return -ENOMEM;
	if (joined) {
		free(*help);
		*help = joined;
	}
	return *help ? 0 : -ENOMEM;
}

static int read_line(struct pg_usage *usage, const char *line, const char *end)
{
	size_t indent = strspn(line, " ");
	const char *text = line + indent, *gap = gap_in(text, end), *help;
	struct pg_usage_row *last = usage->n_rows ? &usage->row[usage->n_rows - 1] : NULL;
	bool choice = indent > 2 && last && last->kind != PG_USAGE_TEXT;
	struct pg_usage_row *row;

	if (text >= end)
		return 0;
	if (last && (indent ? indent > 2 && !gap : last->kind == PG_USAGE_TEXT))
		return join(&last->help, text, (size_t)(end - text));
	row = grow(&usage->row, &usage->n_rows, sizeof(*row));
	if (!row)
		return -ENOMEM;
	if (!indent)
		return join(&row->help, text, (size_t)(end - text));
	row->kind = choice ? PG_USAGE_CHOICE : PG_USAGE_ROW;
	row->head = strndup(text, (size_t)((gap ? gap : end) - text));
	if (!row->head)
		return -ENOMEM;
	help = gap ? gap + strspn(gap, " ") : end;
	return help < end ? join(&row->help, help, (size_t)(end - help)) : 0;
}

/* Options -------------------------------------------------------------------------------------- */

static int set_value(struct pg_usage_option *option, const char *text, size_t len, bool optional)
{
	free(option->value);
	option->value = strndup(text, len);
	option->optional = optional;
	return option->value ? 0 : -ENOMEM;
}

static struct pg_usage_option *add_option(struct pg_usage *usage, const char *name, size_t len)
{
	struct pg_usage_option *option = pg_usage_find(usage, name, len);

	if (option)
		return option;
	option = grow(&usage->option, &usage->n_options, sizeof(*option));
	if (option && !(option->name = strndup(name, len)))
		usage->n_options--;
	return option && option->name ? option : NULL;
}

/* "-w, --wait [SECONDS]": all its names have the value that stands last. */
static int read_head(struct pg_usage *usage, const struct pg_usage_row *row)
{
	size_t first = usage->n_options, len;
	const char *at = row->head;

	while ((len = pg_usage_name_len(at))) {
		struct pg_usage_option *option = add_option(usage, at, len);

		if (!option)
			return -ENOMEM;
		option->help = row->help;
		at += len;
		if (strncmp(at, ", ", 2))
			break;
		at += 2;
	}
	at += strspn(at, " ");
	len = strcspn(at + (*at == '['), "] ");
	for (size_t i = first; *at && i < usage->n_options; i++)
		if (set_value(&usage->option[i], at + (*at == '['), len, *at == '[') < 0)
			return -ENOMEM;
	return 0;
}

/* Up to a blank, a bracket or a '|' that begins another option. */
static size_t token_len(const char *at)
{
	size_t len = 0;

	while (at[len] && !strchr(" []", at[len]) &&
	       !(at[len] == '|' && pg_usage_name_len(at + len + 1)))
		len++;
	return len;
}

static int add_word(struct pg_usage *usage, const char *text, size_t len)
{
	char **word;

	while (len > strlen(ELLIPSIS) && !strncmp(text + len - strlen(ELLIPSIS), ELLIPSIS,
						  strlen(ELLIPSIS)))
		len -= strlen(ELLIPSIS);
	if (!isalnum((unsigned char)*text))
		return 0;
	word = grow(&usage->word, &usage->n_words, sizeof(*word));
	if (!word)
		return -ENOMEM;
	*word = strndup(text, len);
	return *word ? 0 : -ENOMEM;
}

/* An option in `args`, and its value if one follows; *at is moved behind it. */
static int read_option(struct pg_usage *usage, const char **at, size_t len)
{
	struct pg_usage_option *option = add_option(usage, *at, len);
	const char *next = *at + len;
	bool optional;

	if (!option)
		return -ENOMEM;
	*at = next;
	if (*next != ' ')
		return 0;
	next += strspn(next, " ");
	optional = *next == '[';
	next += optional;
	len = token_len(next);
	if (!len || *next == '-' || *next == '|' || !isalnum((unsigned char)*next))
		return 0;
	*at = next + len;
	/* `details` may name the value by one word where `args` lists what it can be. */
	if (option->value && !memchr(next, '|', len))
		return 0;
	return set_value(option, next, len, optional);
}

static int read_args(struct pg_usage *usage, const char *at)
{
	int r = 0;

	while (*at && !r) {
		size_t name = pg_usage_name_len(at), len = token_len(at);

		if (name) {
			r = read_option(usage, &at, name);
		} else if (len) {
			r = add_word(usage, at, len);
			at += len;
		} else {
			at++;
		}
	}
	return r;
}

int pg_usage_read(const struct pg_cmd *cmd, struct pg_usage *ret)
{
	struct pg_usage usage = { 0 };
	int r = 0;

	for (const char *line = cmd->details, *end; !r && line && *line; line = end + (*end != 0)) {
		end = strchrnul(line, '\n');
		r = read_line(&usage, line, end);
	}
	for (size_t i = 0; !r && i < usage.n_rows; i++)
		if (usage.row[i].kind == PG_USAGE_ROW)
			r = read_head(&usage, &usage.row[i]);
	if (!r)
		r = read_args(&usage, cmd->args);
	if (r < 0)
		pg_usage_free(&usage);
	else
		*ret = usage;
	return r;
}
