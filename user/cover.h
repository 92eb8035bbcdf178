/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which packets a rule is for, as far as that can be told from its text; lint.c's helper. */
#pragma once

#include "terms.h"

struct pg_cover {
	const struct pg_rule *rule;
	unsigned families;
	bool pure;    /* the same packet always gets the same answer: no limit, no counter */
	bool decides; /* and what it matches goes no further in this chain */
	bool complex; /* `--ports`: the ranges below are not known */
	bool no_ports; /* in every packet some condition on ports fails */
	struct pg_ranges sport, dport, icmp[_PG_FAMILY_MAX];
	uint16_t states; /* PG_CT_* that all its conditions on states leave */
};

/* 0 or -ENOMEM; the caller clears it in either case. */
int pg_cover_make(const struct pg_rule *rule, struct pg_cover *ret);
void pg_cover_clear(struct pg_cover *c);

/* Every packet that `b` matches is matched by `a`. False where that is not sure. */
bool pg_covers(const struct pg_cover *a, const struct pg_cover *b);
bool pg_ranges_have(const struct pg_ranges *s, uint16_t n);
/* The states that one match leaves; all of them where it asks for more or for other things. */
uint16_t pg_match_states(const struct pg_match *m);
/* No conditions but a comment. */
bool pg_rule_takes_all(const struct pg_rule *rule);
