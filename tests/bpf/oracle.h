/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What iptables-legacy and ip6tables-legacy would do with a frame, found the slow way: one rule
 * after another, one condition after another, as net/ipv4/netfilter/ip_tables.c and
 * net/ipv6/netfilter/ip6_tables.c do it. Shares nothing with the program or the compiler, so that
 * an error in one of them shows as a difference.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ast.h"
#include "pg_names.h"

struct oracle_count {
	uint64_t packets, bytes;
};

struct oracle_result {
	enum pg_verdict verdict;
	enum pg_reason reason;
	bool asked;   /* reached the rules */
	size_t chain; /* PG_CHAIN_* or a user's: its number in the set */
	size_t rule;  /* from 1: that decided or asked for what is not there; 0: the policy, or none */
	size_t ip_len; /* when asked */
	bool v6;
	/* Only portguard, never the kernel, drops the packet before the rules for this. */
	bool stricter;
};

/* How many counters the first n_chains of a set have. */
size_t oracle_counts(const struct pg_ruleset *set, size_t n_chains);

/*
 * The frame arrives on `iface`, or is one that this machine sends there, which is whole then. `count`
 * has one element for each rule of a chain and one for its policy, chain after chain; what matched is
 * added. For arrivals under rules that jump nowhere, INPUT's are enough.
 */
void oracle_run(const struct pg_ruleset *set, const char *iface, enum pg_dir dir, const uint8_t *frame,
		size_t len, struct oracle_count *count, struct oracle_result *ret);
