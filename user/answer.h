/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the program made of one packet, in terms of the policy's rules. Plain data, no kernel. */
#pragma once

#include "ast.h"
#include "compile.h"

/* Which rule each term of the compiled policy comes from. */
struct pg_term_map {
	const struct pg_ruleset *set;
	const struct pg_tables *tables;
	/* The first rule of raw's PREROUTING is not the policy's own: it is not to be seen. */
	bool notrack_first;
};

struct pg_place {
	const struct pg_chain *chain; /* NULL: no chain was asked */
	uint32_t num;		      /* 0: the chain's policy */
	const struct pg_rule *rule;   /* NULL: likewise */
};

/* Who decided: of a packet dropped for a header that is cut off, the rule that asked for it. */
void pg_answer_place(const struct pg_term_map *map, const struct pg_trace *trace,
		     struct pg_place *ret);

struct pg_answer {
	struct pg_trace trace;
	enum pg_dir dir;
	struct pg_place decided;
	struct pg_place path[PG_TRACE_PATH]; /* rules that matched, in order, also the last */
	size_t n_path;
	bool path_cut; /* there were more */
};
void pg_answer_make(const struct pg_term_map *map, enum pg_dir dir, const struct pg_trace *trace,
		    struct pg_answer *ret);

/* "-p tcp -m tcp --dport 22 -j DROP", "-P INPUT DROP"; nothing where no chain was asked. */
void pg_place_print(struct pg_text *t, const struct pg_place *place);
/* The same for a terminal: comments and names come from rule files, and may have control characters. */
void pg_place_add(struct pg_text *t, const struct pg_place *place);

/* "ACCEPT", "DROP", "REJECT" */
const char *pg_answer_verdict(const struct pg_answer *answer);
/* "NEW", …; "-": nobody asked */
const char *pg_ct_state_name(unsigned state);

/* For people: the verdict, the way to it, and the packet. `iface` NULL: none that has a name. */
void pg_view_answer(struct pg_text *t, const struct pg_answer *answer, const char *iface);
