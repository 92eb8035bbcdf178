/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `test --explain` says of each frame, held against what decided it, and summed up by rule
 * against the kernel's counters. Of some frames the conditions are asked for, too.
 */
#pragma once

#include "bpf/harness.h"

struct explained {
	struct harness probe;	  /* runs the questions */
	unsigned long *matched;	  /* by chain and rule of the policy at hand */
	unsigned long *dropped;
	size_t n;
	unsigned long frames, rows, asked; /* since the beginning */
};

/* Ends the process where there is no memory; false: as harness_open_with(). */
bool explained_open(struct explained *e, const struct pg_private_opts *opts, struct pg_err *err);
void explained_close(struct explained *e);

/* A policy begins: that of `p`. */
void explained_begin(struct explained *e, const struct harness *p);
/*
 * The frame that `p`, without a fast path, has just run. NULL: the explanation names the rule that
 * decided; else what is wrong with it.
 */
const char *explained_frame(struct explained *e, const struct harness *p, const struct pg_trace *trace,
			    const void *frame, size_t len, bool ask);
/* Could a rule of the policy have counted so many packets? */
bool explained_counts(const struct explained *e, const struct harness *p, const struct pg_rule *rule,
		      unsigned long packets);
