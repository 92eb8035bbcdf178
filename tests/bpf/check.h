/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every packet test asserts beside its own row: that exactly the counters moved that the
 * packet's reading names, and that no prefix of its frame is taken for more than it is.
 */
#pragma once

#include "harness.h"

/*
 * A trace as one line, so that a row can say what a frame should be read as:
 * "vlan 5 ip4 p6 first 40000>80 f02": tags, l3 (an EtherType where it is not IP with addresses),
 * protocol, fragment ("later@185"), ports or ICMP type and code, TCP flags.
 */
const char *check_reading(const struct pg_trace *t, char *buf, size_t size);

/* All counters of a private instance but the rules'. */
struct check_counters;
struct check_counters *check_counters_read(struct harness *h);
void check_counters_free(struct check_counters *c);

/*
 * Fails the cmocka test with `name` unless `trace` is all that was counted between both. It is added to
 * `before`, which is like `after` then.
 */
void check_counters_moved(const char *name, struct check_counters *before,
			  const struct check_counters *after, enum pg_dir dir,
			  const struct pg_trace *trace);

/*
 * Every prefix from 14 bytes up to the whole arriving frame, held against the oracle: verdict,
 * reason and rule are the same. What is more, a prefix that ends before the IP packet does is
 * dropped as short or truncated, or for what is wrong with a header that is there, and no port or
 * flag is read from it.
 */
void check_prefixes(const char *name, struct harness *h, const uint8_t *frame, size_t len);
