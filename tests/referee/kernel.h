/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * iptables-legacy as the referee: rules in this network namespace, frames sent to it over a veth
 * pair, and NFLOG rules that tell what became of each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frames.h"
#include "rules.h"

struct kernel;

/* What happened to one frame. */
struct kernel_verdict {
	bool seen;	 /* by the first rule: otherwise dropped by the IP layer before */
	bool decided;	 /* not: dropped on the spot by a match (hotdrop) */
	unsigned number; /* of struct rule_line; 0: the policy */
	unsigned state;	 /* PG_CT_*, where rules ask for states; 0: nothing was said */
};

struct kernel_count {
	uint64_t packets, bytes;
};

/* The sender's end of the pair is `from` in the namespace at that path; `to` is in ours. */
struct kernel *kernel_open(const char *from_netns, const char *from, const char *to);
void kernel_close(struct kernel *k);
/* Ethernet address of the receiving end. */
const char *kernel_mac(const struct kernel *k);

/* false: iptables refuses the rules, and has said why. */
bool kernel_load(struct kernel *k, const struct rules *rules);
/* Frames 1..n, numbered so by their source address, in this order. */
void kernel_run(struct kernel *k, bool v6, const struct frame *frame, size_t n,
		struct kernel_verdict *ret);
/* Counters of all rules: chain after chain, comma lists expanded. The caller frees them. */
struct kernel_count *kernel_counts(struct kernel *k, const struct rules *rules, size_t *ret_n);
