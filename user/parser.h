/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What parse.c, verb.c and settle.c share: a rule while it is being read. Nobody else's. */
#pragma once

#include "opt.h"
#include "parse.h"

/* Options that may be given once and that not every verb takes, in iptables' order of reporting. */
#define PG_RESTRICTED "nsdpjvxio0cf"

/* What a rule needs besides pg_match while it is being read. */
struct pg_loaded {
	uint32_t seen; /* options given */
	struct pg_arg at;
};

/* An address option: text of a list. */
struct pg_hosts {
	struct pg_arg at;
	bool set, invert;
};

struct pg_parser {
	const struct pg_parse_from *from;
	struct pg_opt_scan scan;
	struct pg_opt opt; /* the option at hand */
	bool invert;	   /* a ! stands before it */
	struct pg_arg invert_at;
	uint32_t given; /* bit per letter of PG_RESTRICTED */
	struct pg_arg given_at[sizeof(PG_RESTRICTED)];
	const char *table;
	struct pg_arg table_at, family_at, interval_at;
	bool interval; /* -W was given */
	struct pg_hosts src, dst;
	struct pg_arg proto_at;
	bool proto_used; /* its match is loaded */
	struct pg_rule rule;
	struct pg_loaded *loaded; /* beside rule.match */
	uint32_t target_seen;	  /* options of the target given */
	struct pg_command cmd;
	struct pg_diag *diag;
};

#define FAIL(p, at, ...) pg_diag((p)->diag, PG_DIAG_PARAM, at, __VA_ARGS__)

/* verb.c: 1 if the option at hand is a verb, which then was taken. */
int pg_parse_verb(struct pg_parser *p);
char pg_verb_letter(enum pg_verb verb);

/* settle.c: when everything is read: check the whole and make the rules, one per address pair. */
int pg_parse_settle(struct pg_parser *p);
unsigned pg_parse_families(const struct pg_parser *p);
