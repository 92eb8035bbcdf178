/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "lex.h"

struct lexer {
	const char *text;
	size_t n, at;
	struct pg_pos pos; /* of text[0] */
	char *out;	   /* where the next byte of a word goes */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static struct pg_arg here(const struct lexer *lx, size_t at)
{
	return (struct pg_arg){
		.pos = { lx->pos.line, lx->pos.column + (unsigned)at },
	};
}

static int check_bytes(const struct lexer *lx, struct pg_diag *diag)
{
	for (size_t i = 0; i < lx->n; i++) {
		struct pg_arg at = here(lx, i);

		if (is_control(lx->text[i]))
			return pg_diag(diag, PG_DIAG_PARAM, &at,
				       "control character (byte 0x%02x) in a rule",
				       (unsigned char)lx->text[i]);
	}
	return 0;
}

/* The quoted part that opens at lx->at. */
static int quoted_part(struct lexer *lx, struct pg_diag *diag)
{
	struct pg_arg open = here(lx, lx->at);

	for (lx->at++; lx->at < lx->n; lx->at++) {
		char c = lx->text[lx->at];

		if (c == '"') {
			lx->at++;
			return 0;
		}
		if (c == '\\' && lx->at + 1 < lx->n)
			c = lx->text[++lx->at];
		*lx->out++ = c;
	}
	return pg_diag(diag, PG_DIAG_PARAM, &open, "quote is not closed");
}

static int word(struct lexer *lx, struct pg_arg *ret, struct pg_diag *diag)
{
	*ret = here(lx, lx->at);
	ret->text = lx->out;
	while (lx->at < lx->n && !is_blank(lx->text[lx->at])) {
		if (lx->text[lx->at] == '"') {
			int r = quoted_part(lx, diag);

			if (r < 0)
				return r;
			break; /* the closing quote ends the word */
		}
		*lx->out++ = lx->text[lx->at++];
	}
	*lx->out++ = '\0';
	return 0;
}

int pg_lex(const char *text, size_t n, struct pg_pos pos, struct pg_args *ret, struct pg_diag *diag)
{
	struct lexer lx = { .text = text, .n = n, .pos = pos };
	struct pg_args args = {};
	int r;

	r = check_bytes(&lx, diag);
	if (r < 0)
		return r;
	/* A word needs one byte of the line and a terminator: twice the line is enough. */
	args.text = malloc(2 * n + 2);
	args.arg = calloc(n + 1, sizeof(*args.arg));
	if (!args.text || !args.arg) {
		r = pg_diag(diag, PG_DIAG_FAILED, NULL, "out of memory");
		goto fail;
	}
	lx.out = args.text;
	for (;;) {
		while (lx.at < n && is_blank(text[lx.at]))
			lx.at++;
		if (lx.at == n)
			break;
		r = word(&lx, &args.arg[args.n], diag);
		if (r < 0)
			goto fail;
		args.n++;
	}
	*ret = args;
	return 0;
fail:
	pg_args_free(&args);
	return r;
}

void pg_args_free(struct pg_args *args)
{
	free(args->arg);
	free(args->text);
	*args = (struct pg_args){};
}
