/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Expressions in tcpdump's language, compiled and run by libpcap. */
#pragma once

#include <stdint.h>

#include "util.h"

struct pg_filter;

/* words[n] are joined by blanks; none: everything is wanted. Messages are libpcap's. */
int pg_filter_compile(char *const *word, size_t n, struct pg_filter **ret_filter,
		      struct pg_err *err);
/* `len` bytes of a packet that had wire_len. no_l2: it begins with the IP header. */
bool pg_filter_wants(const struct pg_filter *filter, bool no_l2, const void *data, uint32_t len,
		     uint32_t wire_len);
void pg_filter_free(struct pg_filter *filter);
static inline void pg_filter_freep(struct pg_filter **filter)
{
	pg_filter_free(*filter);
}
