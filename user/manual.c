/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <ctype.h>
#include <string.h>

#include "manual.h"
#include "pg_names.h"
#include "print.h"
#include "target.h"
#include "usage.h"

#define LINE 66 /* mandoc asks for lines below 80 bytes; a character may take eight */

/* A character as roff takes it; returns the bytes it had. */
static size_t add_char(struct pg_text *t, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	if (*c == '\\') {
		pg_text_add(t, "\\e");
	} else if (c[0] >= 0xe0 && c[1] && c[2]) {
		pg_text_add(t, "\\[u%04X]", (c[0] & 15U) << 12 | (c[1] & 63U) << 6 | (c[2] & 63U));
		return 3;
	} else {
		pg_text_addn(t, text, 1);
	}
	return 1;
}

static void add_chars(struct pg_text *t, const char *text, size_t len)
{
	for (const char *end = text + len; text < end;)
		text += add_char(t, text);
}

/* As arguments of a macro: none of its words may be taken for another macro. */
static void add_args(struct pg_text *t, const char *text, size_t len)
{
	size_t word;

	for (const char *end = text + len; text < end; text += word) {
		text += strspn(text, " ");
		word = strcspn(text, " ");
		if (word > (size_t)(end - text))
			word = (size_t)(end - text);
		if (!word)
			break;
		pg_text_add(t, " \\&");
		add_chars(t, text, word);
	}
}

/* Words in lines that are not too long, each sentence in lines of its own. */
static void add_prose(struct pg_text *t, const char *text)
{
	size_t line = t->len;

	while (*(text += strspn(text, " "))) {
		size_t len = strcspn(text, " ");
		bool sentence = t->len > line && strchr(".:?!", t->buf[t->len - 1]) &&
				isupper((unsigned char)*text);

		if (t->len > line && (sentence || t->len - line + len > LINE)) {
			pg_text_add(t, "\n");
			line = t->len;
		}
		if (t->oom)
			return;
		pg_text_add(t, "%s", t->len == line ? strchr(".'", *text) ? "\\&" : "" : " ");
		add_chars(t, text, len);
		text += len;
	}
	pg_text_add(t, "\n");
}

/* ".Op" for what stands in brackets would need a parser; the words in order say as much. */
static void add_usage(struct pg_text *t, const struct pg_cmd *cmd)
{
	pg_text_add(t, ".Ss %s\n.Bd -ragged -compact\n.Nm portguard Cm %s\n", cmd->name, cmd->name);
	if (cmd->args[0])
		add_prose(t, cmd->args);
	pg_text_add(t, ".Ed\n.Pp\n");
	add_prose(t, cmd->help);
	/* A heading has no full stop, a sentence has. */
	t->len--;
	pg_text_add(t, ".\n");
}

/* "-w, --wait [SECONDS]" → .Fl w , Fl Fl wait Ar … */
static void add_option_item(struct pg_text *t, const struct pg_usage *u, const char *head)
{
	const struct pg_usage_option *option = NULL;
	size_t len;

	pg_text_add(t, ".It");
	while ((len = pg_usage_name_len(head))) {
		option = pg_usage_find(u, head, len);
		pg_text_add(t, " Fl");
		add_args(t, head + 1, len - 1);
		head += len;
		if (strncmp(head, ", ", 2))
			break;
		pg_text_add(t, " ,");
		head += 2;
	}
	if (option && option->value) {
		pg_text_add(t, option->optional ? " Op Ar" : " Ar");
		add_args(t, option->value, strlen(option->value));
	}
	pg_text_add(t, "\n");
}

static void add_row(struct pg_text *t, const struct pg_usage *u, const struct pg_usage_row *row)
{
	if (pg_usage_name_len(row->head)) {
		add_option_item(t, u, row->head);
	} else {
		pg_text_add(t, ".It Cm");
		add_args(t, row->head, strlen(row->head));
		pg_text_add(t, "\n");
	}
	if (row->help)
		add_prose(t, row->help);
}

/* Lists begin and end where rows do; choices are a list inside of the row before them. */
static void add_rows(struct pg_text *t, const struct pg_usage *u)
{
	enum pg_usage_kind in = PG_USAGE_TEXT;

	for (size_t i = 0; i <= u->n_rows; i++) {
		enum pg_usage_kind kind = i < u->n_rows ? u->row[i].kind : PG_USAGE_TEXT;

		for (; in > kind; in--)
			pg_text_add(t, ".El\n");
		for (; in < kind; in++)
			pg_text_add(t, ".Bl -tag -width 12n\n");
		if (i < u->n_rows && kind == PG_USAGE_TEXT) {
			pg_text_add(t, ".Pp\n");
			add_prose(t, u->row[i].help);
		} else if (i < u->n_rows) {
			add_row(t, u, &u->row[i]);
		}
	}
}

void pg_manual_commands(struct pg_text *t, const struct pg_cmd *const *commands)
{
	for (; *commands; commands++) {
		struct pg_usage u;

		if (pg_usage_read(*commands, &u) < 0) {
			t->oom = true;
			return;
		}
		add_usage(t, *commands);
		add_rows(t, &u);
		pg_usage_free(&u);
	}
}

/* What is not enforced, or refused, has no place in the manual. */
static void add_options(struct pg_text *t, const struct pg_match_option *o)
{
	for (; o && o->name; o++) {
		if (o->unsupported)
			continue;
		pg_text_add(t, ".Fl \\&-");
		add_chars(t, o->name, strlen(o->name));
		pg_text_add(t, "%s\n", o->has_value ? " Ar value" : "");
	}
}

static void add_families(struct pg_text *t, unsigned families)
{
	if (families != PG_V46 && families)
		pg_text_add(t, "(IPv%c only)\n", families == PG_V4 ? '4' : '6');
}

void pg_manual_matches(struct pg_text *t, const struct pg_cmd *const *commands)
{
	(void)commands;
	for (size_t i = 0; i < _PG_MATCH_MAX; i++) {
		const struct pg_match_row *row = &pg_match_rows[i];

		pg_text_add(t, ".It Fl m Cm \\&%s\n", row->name);
		add_options(t, row->option);
		add_families(t, row->families);
	}
}

void pg_manual_targets(struct pg_text *t, const struct pg_cmd *const *commands)
{
	(void)commands;
	for (size_t i = 0; i < _PG_TARGET_MAX; i++) {
		const struct pg_target_row *row = &pg_target_rows[i];

		if (!row->name)
			continue;
		pg_text_add(t, ".It Fl j Cm \\&%s\n", row->name);
		add_options(t, row->option);
		if (row->only_table)
			pg_text_add(t, "(table %s only)\n", pg_table_name(row->only));
	}
}

/* Names and sentences of a list. */
struct pair {
	const char *name, *text;
};

void pg_manual_reasons(struct pg_text *t, const struct pg_cmd *const *commands)
{
#define X_PAIR(sym, name, help) { name, help },
	static const struct pair reasons[] = { PG_REASONS(X_PAIR) };

	(void)commands;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		size_t start;

		pg_text_add(t, ".It Cm \\&%s\n", reasons[i].name);
		start = t->len;
		add_prose(t, reasons[i].text);
		if (t->oom)
			return;
		t->buf[start] = (char)toupper((unsigned char)t->buf[start]);
		t->len--;
		pg_text_add(t, ".\n");
	}
}

void pg_manual_timeouts(struct pg_text *t, const struct pg_cmd *const *commands)
{
#define X_SECONDS(sym, name, seconds) { name, #seconds },
	static const struct pair timeouts[] = { PG_TIMEOUTS(X_SECONDS) };

	(void)commands;
	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++)
		pg_text_add(t, ".It Cm \\&%s Ta %s\n", timeouts[i].name, timeouts[i].text);
}
