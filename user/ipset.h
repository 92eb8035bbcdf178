/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The language of ipset: its commands, as on a command line or in a file that `ipset save` wrote,
 * and the text of sets and entries. Pure.
 *
 * Functions return 0 or a negative errno and then have filled `err` with ipset's words and exit
 * code; -EOPNOTSUPP is for what ipset can and portguard can't.
 */
#pragma once

#include "sets.h"

enum pg_ipset_verb {
	PG_IPSET_CREATE,
	PG_IPSET_ADD,
	PG_IPSET_DEL,
	PG_IPSET_TEST,
	PG_IPSET_DESTROY,
	PG_IPSET_LIST,
	PG_IPSET_SAVE,
	PG_IPSET_RESTORE,
	PG_IPSET_FLUSH,
	PG_IPSET_RENAME,
	PG_IPSET_SWAP,
	PG_IPSET_HELP,
	PG_IPSET_VERSION,
	_PG_IPSET_VERB_MAX
};

enum pg_ipset_output { PG_IPSET_DEFAULT, PG_IPSET_PLAIN, PG_IPSET_AS_SAVE, PG_IPSET_XML };

/* A command; its texts are the caller's words. */
struct pg_ipset_cmd {
	enum pg_ipset_verb verb;
	bool exist, quiet, sorted, names, terse;
	bool skip_unsupported; /* --skip-unsupported, portguard's own */
	const char *wait;      /* value of -w; NULL: not given, or without one: see wait_set */
	bool wait_set;
	enum pg_ipset_output output;
	const char *file;
	const char *name;   /* of a set; NULL: none given, which means all */
	const char *second; /* type, entry, or name of another set */
	const char **option; /* what is left */
	size_t n_options;
};

#define PG_IPSET_WORDS_MAX 64

/*
 * A line of a file into words, in place. A word may stand in double quotes. Returns their number,
 * 0 for an empty line, a comment or the COMMIT of old files; at most PG_IPSET_WORDS_MAX.
 */
int pg_ipset_split(char *line, const char **words, size_t *ret_n, struct pg_err *err);

/*
 * Words (n of them, without a program's name) into a command. `words` is put in another order.
 * In a file, names of sets that blanks or quotes would break apart are refused anyway.
 */
int pg_ipset_command(const char **words, size_t n, struct pg_ipset_cmd *ret, struct pg_err *err);

/*
 * The set that a CREATE makes. With cmd->skip_unsupported, options that portguard does not have
 * are left out, and ret_skipped (at least 64 bytes) names them; otherwise it is "".
 */
int pg_ipset_create(const struct pg_ipset_cmd *cmd, struct pg_set_info *ret, char *ret_skipped,
		    size_t size, struct pg_err *err);

/* The entries that one ADD, DEL or TEST names. */
struct pg_ipset_range {
	struct pg_set_entry entry; /* what all have in common */
	bool many;		   /* IPv4: the addresses from ip to ip_last; otherwise entry's */
	bool as_nets;		   /* in blocks as large as they can be */
	uint64_t ip, ip_last, ip_step;
	uint32_t port, port_first, port_last;
};

/* For a set as it is. `now_ns` is when timeouts begin. */
int pg_ipset_entry(const struct pg_ipset_cmd *cmd, const struct pg_set_info *info, uint64_t now_ns,
		   struct pg_ipset_range *ret, struct pg_err *err);
/* The next entry; false: no more. */
bool pg_ipset_next(struct pg_ipset_range *range, struct pg_set_entry *ret);

/* "1.2.3.4,tcp:80". Room for the longest is PG_IPSET_ELEM_MAX. Returns buf. */
#define PG_IPSET_ELEM_MAX 128
const char *pg_ipset_elem(char *buf, const struct pg_set_info *info,
			  const struct pg_set_entry *entry);
/* "family inet hashsize 1024 maxelem 65536 timeout 60" */
void pg_ipset_header(struct pg_text *t, const struct pg_set_info *info);
/* "inet" */
const char *pg_ipset_family(const struct pg_set_info *info);
/* The order of -sorted, for qsort(). */
int pg_ipset_compare(const void *a, const void *b);
