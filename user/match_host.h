/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses, prefix lengths and names as the options of matches take them. Addresses are read more
 * loosely than those of -s and -d: "10" is 0.0.0.10.
 */
#pragma once

#include "match.h"

/* One address of use->families; no name service is asked. Sets *ret_family to PG_V4 or PG_V6. */
int pg_host_parse(const char *text, const struct pg_match_use *use, uint8_t *ret_addr,
		  uint8_t *ret_family, struct pg_diag *diag);
/*
 * A prefix length: a number, or a mask written as an address, which must have no gaps (iptables
 * takes one with gaps for the whole address). *ret_family: PG_V4 or PG_V6 for such a mask, else 0.
 */
int pg_prefix_parse(const struct pg_match *m, const char *text, unsigned families,
		    const struct pg_match_use *use, uint8_t *ret_len, uint8_t *ret_family,
		    struct pg_diag *diag);

/* No length of a prefix: the whole address, of whichever family. */
#define PG_PREFIX_WHOLE 255
/* Families in which a prefix can be that long. */
unsigned pg_prefix_families(uint8_t len);

/* Refuses what a file or a terminal could not hold. `what` for the message: "name". */
int pg_name_check(const struct pg_match *m, const struct pg_match_use *use, const char *what,
		  struct pg_diag *diag);
/* Whether the kernel takes a name for a file of its own under /proc. */
bool pg_name_is_file(const char *name);
/* Bare as iptables prints it, quoted where it could not be read back. */
void pg_name_print(struct pg_text *t, const char *name);
