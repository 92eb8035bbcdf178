/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A rule set of one family as lines of text: what the kernel and portguard are both given, each in
 * its own way. Chain 0 is INPUT; the others are user-defined ones, and raw's: PREROUTING and what it
 * leads to. There only DROP decides: with ACCEPT packets go on to INPUT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct rule_line {
	char *spec;	  /* what stands between chain and target, with a blank before it; owned */
	char *target;	  /* "-j ACCEPT", "-g web", "-j LOG --log-level 4", ""; owned */
	unsigned expands; /* rules that its comma lists make of it */
	unsigned number;  /* of a line that decides, from 1 over all chains; 0: packets go on */
	bool accepts;	  /* of one that decides */
};

struct rule_chain {
	char name[32];
	bool raw; /* of that table */
	struct rule_line *line;
	size_t n, cap;
};

struct rules {
	bool v6, drop; /* family; policy */
	bool tracks;   /* rules ask for connections' states */
	struct rule_chain *chain;
	size_t n;
	unsigned deciding; /* lines that decide */
	char *sets;	   /* ipset's restore format; NULL: none. Owned */
};

struct rules *rules_new(bool v6, bool drop);
void rules_free(struct rules *rules);
/* Index of the chain of that name; it is made when it is not there. */
size_t rules_chain(struct rules *rules, const char *name);
/* The same in table raw, and its PREROUTING. */
size_t rules_raw_chain(struct rules *rules, const char *name);
size_t rules_raw(struct rules *rules);
bool rules_has_raw(const struct rules *rules);
/* Takes over both texts. */
void rules_add(struct rules *rules, size_t chain, char *spec, char *target, unsigned expands);
/* As iptables-save writes it, but with comma lists; the caller frees it. */
char *rules_text(const struct rules *rules);
/* The line that a rule comes from: `index` counts from 0 in the chain, lists expanded. Or NULL. */
const struct rule_line *rules_line(const struct rules *rules, size_t chain, size_t index);
/* Rules of a chain, lists expanded. */
size_t rules_count(const struct rules *rules, size_t chain);
/* The user-defined chain that a target of a line in `chain` jumps or goes to; 0: none. */
size_t rules_jump(const struct rules *rules, size_t chain, const struct rule_line *line);
