/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The matches: one row each in pg_match_rows[], which says all that the rule language knows of it.
 * A new match is a new row.
 */
#pragma once

#include "diag.h"

/* An option of a match. Several names may share an id: then they are the same option. */
struct pg_match_option {
	const char *name; /* without dashes */
	uint8_t id;
	bool has_value;
	bool unsupported; /* iptables has it, portguard does not */
};

/* One use of an option, as a row's parse() gets it. */
struct pg_match_use {
	uint8_t id;
	bool invert;
	uint32_t seen;	   /* bit per id: given before in this match */
	const char *value; /* NULL for an option without one */
	struct pg_arg at;  /* value, or the option where it has none */
	/* Words after the value; an option may take some: then parse() advances *ret_taken. */
	const struct pg_arg *rest;
	size_t n_rest;
	size_t *ret_taken;
	const struct pg_rule *rule; /* so far */
	unsigned families;	    /* that the rule is read for */
};

struct pg_match_row {
	const char *name;
	const struct pg_match_option *option; /* ends with a NULL name */
	/* Protocols that `-p` must give (one of them, not inverted); 0-terminated. NULL: any. */
	const uint8_t *protos;
	unsigned any_proto; /* families that need none of `protos` */
	/* One of its options loads it where `-p` gives protos[0]. */
	bool implied;
	unsigned families; /* that the match exists for */
	uint32_t only6;	   /* bit per id: options that it has for IPv6 only */
	/* Of those, the ones that what stands in the match leaves; NULL: all. */
	unsigned (*holds)(const struct pg_match *m);
	/* Built-in chains, as bits 1 << PG_CHAIN_*, that may lead to it; NULL: all. */
	unsigned (*chains)(const struct pg_match *m);
	/* Takes its options before other matches that have the same names. */
	bool first;
	/* Gets a match of zero bytes. Where it allocates and fails, what it owns stays NULL. */
	void (*init)(struct pg_match *m);
	int (*parse)(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag);
	/* When the rule is complete: `seen` has a bit for each option given. May be NULL. */
	int (*check)(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		     const struct pg_arg *at, struct pg_diag *diag);
	/*
	 * When addresses and -4 or -6 are known, once for each rule that comes of the command: what
	 * the families of a rule decide. May take some from rule->narrowed.
	 */
	void (*settle)(struct pg_match *m, struct pg_rule *rule);
	/* As iptables-save: " --dport 80". */
	void (*print)(struct pg_text *t, const struct pg_match *m);
	/* As iptables -L: " tcp dpt:80"; names instead of numbers unless numeric. */
	void (*list)(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		     bool numeric);
	/*
	 * For kinds that own memory. clear() frees it, all of which may be NULL; copy() gets a
	 * byte-wise copy of m and gives it memory of its own: 0, or -ENOMEM with nothing owned.
	 */
	void (*clear)(struct pg_match *m);
	int (*copy)(struct pg_match *ret, const struct pg_match *m);
	/*
	 * Whether -D takes one for the other. NULL: when their bytes are the same; a parser then
	 * sets members one by one, because a struct assigned as a whole brings its padding.
	 */
	bool (*equal)(const struct pg_match *a, const struct pg_match *b);
};

extern const struct pg_match_row pg_match_rows[_PG_MATCH_MAX];

/* By the name of -m; -1: not one of ours. */
int pg_match_find(const char *name);
/* Whether iptables has a match of that name. */
bool pg_match_known(const char *name);

/* icmp.c */
int pg_icmp_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag);
int pg_icmp_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		  const struct pg_arg *at, struct pg_diag *diag);
void pg_icmp_print(struct pg_text *t, const struct pg_match *m);
void pg_icmp_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		  bool numeric);

/* ports.c */
/* The protocol whose services -p's rule names: "tcp", "udp", …; NULL: none. */
const char *pg_service_proto(uint8_t proto);
/*
 * A port by number or name of a service, `proto`'s ("": of whatever protocol); radix 10, or 0 for numbers as C
 * writes them.
 */
int pg_port_parse(const char *text, const char *proto, int radix, const struct pg_arg *at,
		  uint16_t *ret, struct pg_diag *diag);
extern const struct pg_match_option pg_tcp_options[], pg_udp_options[], pg_sctp_options[],
	pg_dccp_options[], pg_multiport_options[];
void pg_ports_init(struct pg_match *m);
void pg_ports_clear(struct pg_match *m);
int pg_ports_copy(struct pg_match *ret, const struct pg_match *m);
bool pg_ports_equal(const struct pg_match *a, const struct pg_match *b);
bool pg_multiport_equal(const struct pg_match *a, const struct pg_match *b);
int pg_ports_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag);
void pg_ports_print(struct pg_text *t, const struct pg_match *m);
void pg_ports_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		   bool numeric);
int pg_multiport_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag);
int pg_multiport_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen,
		       const struct pg_arg *at, struct pg_diag *diag);
void pg_multiport_print(struct pg_text *t, const struct pg_match *m);
void pg_multiport_list(struct pg_text *t, const struct pg_match *m, const struct pg_rule *rule,
		       bool numeric);
