/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules as terms, which is what bitmaps can be made of. Plain data; compile.c's helper.
 */
#pragma once

#include <linux/types.h>

#include "ast.h"
#include "pg_abi.h"

/*
 * A term is a conjunction: one set of values per dimension. A rule is one term, except that
 * `--ports` (either side) makes two that cannot both hold.
 */
struct pg_range {
	uint16_t lo, hi;
};

struct pg_ranges {
	struct pg_range *r; /* sorted, disjoint; owned */
	size_t n;
};

/*
 * Some matches count or remember (limit, quota, …): what stands behind one of them in its rule must
 * not be asked before it. Such a rule is split into segments: each a term, whose action is to ask
 * the next one.
 */
struct pg_term {
	const struct pg_rule *rule;
	uint32_t chain, number;
	size_t from, to; /* the segment's matches */
	bool first, last; /* of the rule's segments */
	unsigned families;
	uint8_t asks;
	size_t n_checks, before; /* as in struct pg_term_record */
	/*
	 * Ports where the whole header is there, and where only the ports are: there the matches
	 * behind the first that needs the header are not reached, because it drops the packet.
	 */
	struct pg_ranges sport, dport, part_sport, part_dport;
	/* compile.c's: where the action leads */
	uint32_t span; /* of the next segment */
};

/* Where the segment that begins with match `from` ends. */
size_t pg_segment_end(const struct pg_rule *rule, size_t from);

/*
 * How many terms a segment makes; PG_TERMS_TOO_MANY for one with more `--ports` than anyone writes.
 */
#define PG_TERMS_TOO_MANY 0
unsigned pg_terms_of(const struct pg_rule *rule, size_t from, size_t to);

/*
 * Term `which` (below pg_terms_of()) of a segment of the rule that is number `number` (from 1) of
 * chain `chain`. 0 or -ENOMEM; the caller clears it in either case.
 */
int pg_term_make(const struct pg_rule *rule, uint32_t chain, uint32_t number, size_t from, size_t to,
		 unsigned which, struct pg_term *ret_term);
void pg_term_clear(struct pg_term *term);

/* The first match that looks at the transport header; NULL: none does. */
const struct pg_match *pg_first_l4_match(const struct pg_term *term);

/* Does it name source and destination ports (tcp, udp, udplite, sctp, dccp)? */
bool pg_match_has_ports(const struct pg_match *m);

/* The types and codes that all of a term's matches of `kind` allow, as type << 8 | code. */
int pg_icmp_ranges(const struct pg_term *term, enum pg_match_kind kind,
		   struct pg_ranges *ret_ranges);

/* Every number from 0 to 65535. */
bool pg_ranges_is_all(const struct pg_ranges *s);
