/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One rule set and its frames through the kernel and portguard, and what differs. */
#pragma once

#include "bpf/harness.h"
#include "captures.h"
#include "explained.h"
#include "kernel.h"
#include "rules.h"

/* The same rules, frames and counters three times. */
enum judged { JUDGED_XDP, JUDGED_GENERAL, JUDGED_TC, _JUDGED_MAX };

struct judge {
	struct kernel *kernel;
	struct harness portguard[_JUDGED_MAX]; /* its fast path, without it, TC */
	struct explained explained;
	char iface[IFNAMSIZ];
	bool windows;	  /* some segments are out of their receiver's */
	bool sctp;	  /* associations are among the connections */
	bool replays;	  /* a tracking rule set meets the captures from their begin to their end */
	bool with_oracle; /* the rule set is one that tests/bpf/oracle.c knows */
	char where[160];  /* how to run it again, for messages */
	/* What happened so far. */
	unsigned long verdicts, by_rule, by_policy, hotdrops, before, skipped, differences, rule_sets;
	unsigned long rules, rules_hit;
	double kernel_s, portguard_s, frames_s, load_s;
};

/* Ends the process after a few differences. */
void judge_rules(struct judge *j, struct gen *g, const struct rules *rules,
		 const struct captures *captures, size_t n_frames);
void judge_report(const struct judge *j);
