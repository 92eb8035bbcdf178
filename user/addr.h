/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses and protocols as iptables reads and writes them. No name service for addresses. */
#pragma once

#include "diag.h"

/*
 * "10.0.0.0/8", "10/8", "10.1.2.3/255.0.255.0", "fe80::/10", … of one of `families`. Bits outside
 * the mask are cleared.
 */
int pg_addr_parse(const char *text, unsigned families, const struct pg_arg *at,
		  struct pg_addr *ret, struct pg_diag *diag);
/* Whether no bit counts: any address of the family. */
bool pg_addr_is_any(const struct pg_addr *addr);
/* Number of leading one bits of a mask; -1: there are gaps, no prefix describes it. */
int pg_prefix_len(const uint8_t *mask, unsigned bytes);
/* Without regard to `!`, of two that are set: is every address of b one of a? */
bool pg_prefix_covers(const struct pg_addr *a, const struct pg_addr *b);
/* The same: both are of one family, and no address is one of each? */
bool pg_prefixes_differ(const struct pg_addr *a, const struct pg_addr *b);

/* By number or name; 0 is every protocol. -ENOENT: there is none of that name. */
int pg_proto_parse(const char *text, uint8_t *ret);

/*
 * A number as C writes it: decimal, 0x…, or octal with a leading 0, as iptables takes them;
 * blanks and a plus before it are accepted. -EINVAL or -ERANGE otherwise.
 */
int pg_number_parse(const char *text, uint32_t max, uint32_t *ret);
