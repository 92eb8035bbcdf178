/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The targets: one row each in pg_target_rows[], which says all that the rule language knows of it.
 */
#pragma once

#include "match.h"

/* One use of an option, as a row's parse() gets it: given once, and not inverted. */
struct pg_target_use {
	const struct pg_match_option *option;
	const char *value; /* NULL for an option without one */
	struct pg_arg at;  /* value, or the option where it has none */
	unsigned families; /* that the rule is read for */
	struct pg_text *warning; /* what the user should know, though the rule is taken */
};

struct pg_target_row {
	const char *name;			/* NULL: it has none, as CHAIN */
	const struct pg_match_option *option;	/* ends with a NULL name; NULL: none */
	enum pg_table_id only;			/* the table it is for, if only_table */
	bool only_table;
	/* Gets arguments of zero bytes. NULL: they are right so. */
	void (*init)(union pg_target_args *args);
	int (*parse)(union pg_target_args *args, const struct pg_target_use *use,
		     struct pg_diag *diag);
	/* When the rule is complete: `seen` has a bit for each option given. May be NULL. */
	int (*check)(uint32_t seen, const struct pg_arg *at, struct pg_diag *diag);
	/* The families that its arguments leave; NULL: all. */
	unsigned (*holds)(const union pg_target_args *args);
	/* As iptables-save, for one family or (0) for both: " --log-level 7". */
	void (*print)(struct pg_text *t, const union pg_target_args *args, unsigned family);
	/* As iptables -L: " LOG level debug". */
	void (*list)(struct pg_text *t, const union pg_target_args *args, unsigned family,
		     bool numeric);
	/* For targets that own memory, as those of matches. */
	void (*clear)(union pg_target_args *args);
	int (*copy)(union pg_target_args *ret, const union pg_target_args *args);
	/* NULL: without arguments. */
	bool (*equal)(const union pg_target_args *a, const union pg_target_args *b);
};

extern const struct pg_target_row pg_target_rows[_PG_TARGET_MAX];

/* By the name of -j, and what that name alone says; PG_TARGET_NONE: not one of ours. */
enum pg_target pg_target_find(const char *name, union pg_target_args *ret_args);
/* Whether iptables has a target of that name. */
bool pg_target_known(const char *name);

/* What the kernel refuses: a target in a table, or beside a -p, that it is not for. */
int pg_target_check_place(const struct pg_rule *rule, enum pg_table_id table,
			  const struct pg_arg *at, struct pg_diag *diag);

/* A rule that holds for one family says so in its target, where that has a word for it. */
void pg_target_settle(struct pg_rule *rule);

/* The target of a rule as a value: pg_rule_clear() and its like call these. */
void pg_target_clear(struct pg_rule *rule);
int pg_target_copy(struct pg_rule *ret, const struct pg_rule *rule); /* 0 or -ENOMEM */
bool pg_target_equal(const struct pg_rule *a, const struct pg_rule *b);
unsigned pg_target_families(const struct pg_rule *rule);
