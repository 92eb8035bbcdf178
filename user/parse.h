/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Words → what they ask for. One parser for the command line and for the lines of a file.
 */
#pragma once

#include "diag.h"

enum pg_verb {
	PG_VERB_NONE,
	PG_VERB_APPEND,
	PG_VERB_INSERT,
	PG_VERB_DELETE,
	PG_VERB_DELETE_NUM,
	PG_VERB_REPLACE,
	PG_VERB_CHECK,
	PG_VERB_LIST,
	PG_VERB_LIST_RULES,
	PG_VERB_FLUSH,
	PG_VERB_ZERO,
	PG_VERB_ZERO_NUM,
	PG_VERB_NEW_CHAIN,
	PG_VERB_DELETE_CHAIN,
	PG_VERB_DELETE_CHAINS, /* -X without a name */
	PG_VERB_RENAME_CHAIN,
	PG_VERB_POLICY,
	/* These say all: nothing else of the command is read. */
	PG_VERB_HELP,
	PG_VERB_VERSION,
	PG_VERB_IGNORE, /* a line of the other family, in a file read for one */
	_PG_VERB_MAX
};

/* Where the words come from. */
struct pg_parse_from {
	bool file;
	enum pg_table_id table; /* file: its table at hand */
	unsigned family; /* PG_V4, PG_V6: read as iptables or ip6tables would; 0: both */
};

struct pg_command {
	enum pg_verb verb;
	bool zero;	    /* -Z beside -L or -S; zero_num its rule, 0: all */
	unsigned zero_num;
	const char *chain;  /* into the words; NULL: all chains */
	struct pg_arg chain_at;
	unsigned num;	    /* rule number; 0: none given */
	const char *policy; /* into the words */
	const char *new_name; /* -E: likewise */
	struct pg_arg new_name_at;
	struct pg_arg target_at; /* what -j or -g named */
	enum pg_table_id table;
	bool file; /* more lines follow: loops are looked for at the end of all */
	struct pg_rule *rule; /* owned: one for each pair of addresses */
	size_t n_rules;
	bool has_counters;  /* -c: in rule[], or for a policy here */
	uint64_t packets, bytes;
	unsigned families;  /* -4, -6; 0: neither */
	unsigned verbose;
	bool numeric, exact, line_numbers;
	int wait_s; /* 0: do not wait, -1: for ever */
	struct pg_text warning; /* what the user should know though nothing is wrong; empty: nothing */
};

/* Fails with -EOPNOTSUPP for what iptables can and portguard can't, otherwise -EINVAL. */
int pg_command_parse(const struct pg_arg *arg, size_t n, const struct pg_parse_from *from,
		     struct pg_command *ret, struct pg_diag *diag);
void pg_command_free(struct pg_command *cmd);
