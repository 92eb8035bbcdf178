/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real rule files as rule sets for the referee. */
#pragma once

#include "rules.h"

struct dump {
	struct rules *rules; /* what can be judged; NULL: nothing of it */
	unsigned lines;	     /* rules of chains that packets to this host meet */
	unsigned refused;    /* by iptables here: kernel or tool lack what they ask */
	unsigned unknown;    /* refused by portguard */
	unsigned states;     /* left out: ask for connections, which raw knows nothing about */
};

/*
 * Reads the filter table of a file the way iptables-legacy or ip6tables-legacy reads it in this
 * network namespace, whose filter table is empty afterwards. `iface` takes the place of the
 * interface that the file names most often. Rates and ages become so slow that no clock decides.
 */
void dump_read(const char *path, const char *iface, struct dump *ret);
