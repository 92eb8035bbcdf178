/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Terms that are at home in one of their addresses (pg_abi.h): rules from anywhere to a long prefix
 * and from a long prefix to anywhere, one among the other, make rows in which nearly every word has
 * bits, and any two of them share few. But an address is in few of the long prefixes: so those terms
 * are named there, and left out of all other rows. compile.c's helper.
 */
#pragma once

#include "terms.h"

/*
 * home[i], 0 before, becomes PG_DIM_SADDR or PG_DIM_DADDR for those of n terms that are at home there.
 * Nowhere are more than PG_FEW of one dimension at home. 0 or -ENOMEM.
 */
int pg_find_homes(const struct pg_term *term, const struct pg_term_record *record, size_t n,
		  __u8 *home);
