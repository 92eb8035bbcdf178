/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real rule files as rule sets for the referee. */
#pragma once

#include "rules.h"

struct dump {
	struct rules *rules; /* what can be judged; NULL: nothing of it */
	unsigned lines;	     /* rules of chains that packets meet there */
	unsigned refused;    /* by iptables here: kernel or tool lack what they ask */
	unsigned unknown;    /* refused by portguard */
	unsigned states;     /* left out, or not: ask for connections */
};

/* How connections are seen, in a family; without, rules that ask for them are left out. */
struct dump_tracking {
	char *const *host; /* frames of these pass before any rule, as what a host itself sends does */
	size_t n;
	bool peers; /* not theirs, but those to them */
};

/*
 * The chain of filter whose rules are asked, and whether raw's come before them. Packets of the referee's
 * arrive and end here, so the rules of FORWARD and OUTPUT are made INPUT's, those of raw's OUTPUT
 * PREROUTING's: that the right chain is asked is for tests/net/test_forward.sh and test_output.sh to
 * see. Where such a rule names the interface that a packet leaves by and none that it comes in by, the former
 * becomes the latter, otherwise it is left out of the rule.
 */
struct dump_part {
	const char *hook; /* "INPUT", "FORWARD", "OUTPUT" */
	bool raw;
};

/*
 * Reads a file the way iptables-legacy or ip6tables-legacy reads it in this network namespace, whose tables
 * filter and raw are empty afterwards. `iface` takes the place of the interface that the file names most
 * often. Rates and ages become so slow that no clock decides. `tracking`: of both families, or NULL.
 * false: the file has no rules for that part.
 */
bool dump_read(const char *path, const struct dump_part *part, const char *iface,
	       const struct dump_tracking *tracking, struct dump *ret);
