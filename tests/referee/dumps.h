/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real rule files as rule sets for the referee. */
#pragma once

#include "rules.h"

struct dump {
	struct rules *rules; /* what can be judged; NULL: nothing of it */
	unsigned lines;	     /* rules of chains that packets to this host meet */
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
 * Reads the filter table of a file the way iptables-legacy or ip6tables-legacy reads it in this
 * network namespace, whose filter table is empty afterwards. `iface` takes the place of the
 * interface that the file names most often. Rates and ages become so slow that no clock decides.
 * `tracking`: of both
 * families, or NULL.
 */
void dump_read(const char *path, const char *iface, const struct dump_tracking *tracking, struct dump *ret);
