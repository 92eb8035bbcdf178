/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "diag.h"

#define TRY_HELP "Try `portguard -h' or 'portguard --help' for more information."

/* How much of a line is shown, and how much of that before the error. */
#define SHOW_BYTES 160
#define SHOW_BEFORE 100

int pg_diag(struct pg_diag *diag, enum pg_diag_kind kind, const struct pg_arg *at, const char *fmt,
	    ...)
{
	char text[sizeof(diag->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*diag = (struct pg_diag){ .kind = kind };
	if (at)
		diag->pos = at->pos;
	pg_printable(text, diag->text, sizeof(diag->text));
	return kind == PG_DIAG_UNSUPPORTED ? -EOPNOTSUPP : -EINVAL;
}

int pg_diag_exit_code(const struct pg_diag *diag)
{
	switch (diag->kind) {
	case PG_DIAG_PARAM:
	case PG_DIAG_BARE:
	case PG_DIAG_UNSUPPORTED:
		return PG_EXIT_USAGE;
	case PG_DIAG_NO_TABLE:
	case PG_DIAG_TABLE:
		return PG_EXIT_VERSION;
	case PG_DIAG_FAILED:
		break;
	}
	return PG_EXIT_FAILED;
}

int pg_diag_report(const struct pg_diag *diag, int r, struct pg_err *err)
{
	const char *prefix = "", *suffix = "";

	switch (diag->kind) {
	case PG_DIAG_PARAM:
		prefix = "portguard v" PG_VERSION ": ";
		suffix = "\n" TRY_HELP;
		break;
	case PG_DIAG_BARE:
		suffix = "\n" TRY_HELP;
		break;
	case PG_DIAG_NO_TABLE:
		prefix = "portguard v" PG_VERSION ": ";
		suffix = "\nPerhaps iptables or your kernel needs to be upgraded.";
		break;
	case PG_DIAG_TABLE:
	case PG_DIAG_FAILED:
	case PG_DIAG_UNSUPPORTED:
		prefix = "portguard: ";
		break;
	}
	pg_fail_exit(err, pg_diag_exit_code(diag), r, "%s%s%s", prefix, diag->text, suffix);
	if (err)
		err->complete = true;
	return r;
}

/* Characters of a printable text: what is not the continuation of a UTF-8 sequence. */
static size_t width(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

/* n bytes as something that can be shown: tabs are blanks, so that a caret finds its place. */
static void show(const char *bytes, size_t n, char *buf, size_t size)
{
	char raw[SHOW_BYTES + 1];

	if (n > SHOW_BYTES)
		n = SHOW_BYTES;
	for (size_t i = 0; i < n; i++)
		raw[i] = bytes[i] == '\t' ? ' ' : bytes[i] ? bytes[i] : '\x01';
	raw[n] = '\0';
	pg_printable(raw, buf, size);
}

int pg_diag_report_line(const struct pg_diag *diag, int r, const char *name, const char *line,
			size_t n, struct pg_err *err)
{
	char before[SHOW_BYTES + 1], whole[SHOW_BYTES + 1], file[256];
	unsigned column = diag->pos.column ? diag->pos.column : 1;
	size_t at = column - 1 < n ? column - 1 : n, from = 0;

	pg_printable(name, file, sizeof(file));
	/* The error must be in view, and a view must not begin inside a character. */
	if (at > SHOW_BEFORE && n > SHOW_BYTES) {
		from = at - SHOW_BEFORE;
		while (from < at && (line[from] & 0xc0) == 0x80)
			from++;
	}
	show(line + from, at - from, before, sizeof(before));
	show(line + from, n - from, whole, sizeof(whole));
	pg_fail_exit(err, pg_diag_exit_code(diag), r, "portguard: %s:%u:%u: %s\n%s%s\n%*s^", file,
		     diag->pos.line, column, diag->text, from ? "…" : "", whole,
		     (int)(width(before) + (from ? 1 : 0)), "");
	if (err)
		err->complete = true;
	return r;
}
