/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the table of commands says, as data: help, the manual and shell completion are made of it.
 * A command describes itself by `args` and `details` (cmd.h), in which
 *
 *   Some prose.                                          begins in the first column
 *     -w, --wait [SECONDS]  what it does; goes on        two blanks, the names, their value, two
 *                           in deeper lines              or more blanks, help
 *     on                    a word, likewise
 *           native          deeper and with a gap: a choice of the row above
 */
#pragma once

#include "cmd.h"

enum pg_usage_kind { PG_USAGE_TEXT, PG_USAGE_ROW, PG_USAGE_CHOICE };

struct pg_usage_row {
	enum pg_usage_kind kind;
	char *head; /* "-w, --wait [SECONDS]"; NULL for prose */
	char *help; /* its lines joined by blanks, or NULL */
};

/* Every name of an option once, from `details` and from `args`. */
struct pg_usage_option {
	char *name;  /* with its dashes */
	char *value; /* "FILE", "auto|native|skb|tc"; NULL: it takes none */
	bool optional; /* the value is */
	const char *help; /* of its row; NULL: it has none */
};

struct pg_usage {
	struct pg_usage_row *row;
	size_t n_rows;
	struct pg_usage_option *option;
	size_t n_options;
	char **word; /* what stands without an option: "IFACE", "on" */
	size_t n_words;
};

/* 0, or -ENOMEM with nothing owned. */
int pg_usage_read(const struct pg_cmd *cmd, struct pg_usage *ret);
void pg_usage_free(struct pg_usage *usage);
/* NULL: there is no such option. The name has its dashes. */
struct pg_usage_option *pg_usage_find(const struct pg_usage *usage, const char *name, size_t len);
/* The bytes at the start of `head` that are the name of an option; 0: none is there. */
size_t pg_usage_name_len(const char *head);
