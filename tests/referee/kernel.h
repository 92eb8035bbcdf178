/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * iptables-legacy as the referee: random rules in the raw table of this network namespace, frames
 * sent to it over a veth pair, and NFLOG rules that tell what became of each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/gen.h"

struct kernel;

/* What happened to one frame. */
struct kernel_verdict {
	bool seen;	/* by the first rule: otherwise dropped by the IP layer before */
	bool decided;	/* not: dropped on the spot by a match (hotdrop) */
	size_t rule;	/* from 1, of struct gen_rules; 0: the policy */
};

struct kernel_count {
	uint64_t packets, bytes;
};

/* The sender's end of the pair is `from` in the namespace at that path; `to` is in ours. */
struct kernel *kernel_open(const char *from_netns, const char *from, const char *to);
void kernel_close(struct kernel *k);
/* Ethernet address of the receiving end. */
const char *kernel_mac(const struct kernel *k);

/* Load those of the rules that hold for the family. */
void kernel_load(struct kernel *k, const struct gen_rules *rules, bool v6);
/* Frames are numbered by their source address, from 1. */
void kernel_send(struct kernel *k, uint32_t number, const uint8_t *frame, size_t len);
/* The verdicts on frames 1..n, in ret[0..n-1], once all of them are in. */
void kernel_verdicts(struct kernel *k, bool v6, struct kernel_verdict *ret, uint32_t n);
/* Counters of the loaded rules, in their order; returns how many. */
size_t kernel_counts(struct kernel *k, bool v6, struct kernel_count *ret, size_t max);
