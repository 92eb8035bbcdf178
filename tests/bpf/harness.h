/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A private instance of portguard for tests: rules in, frames through, verdicts and counters out.
 * What fails here is the test's fault or the machine's, so it ends the process with a message.
 */
#pragma once

#include "dp.h"
#include "policy.h"

struct harness {
	char iface[IFNAMSIZ];
	struct pg_dp *dp;
	struct pg_ruleset *set;	  /* the policy in force */
	struct pg_tables *tables; /* compiled once more, for the names of its terms */
};

/* false: BPF is not permitted here; err says why. */
bool harness_open_with(struct harness *h, const struct pg_private_opts *opts, struct pg_err *err);
/* The same with all else as usual. */
bool harness_open(struct harness *h, const char *iface, struct pg_err *err);
/* The same without the fast path. */
bool harness_open_general(struct harness *h, const char *iface, struct pg_err *err);
void harness_close(struct harness *h);

/* A policy as iptables-save text; counters start from 0. Ends the process if it is refused. */
void harness_load(struct harness *h, const char *text);
/* The same as iptables-restore or ip6tables-restore would read it: PG_V4, PG_V6. */
void harness_load_as(struct harness *h, unsigned family, const char *text);
/* The instance's sets, as text for `ipset restore`; NULL: none. No policy may need them any more. */
void harness_load_sets(struct harness *h, const char *text);
/* No connection is known any more. */
void harness_forget_flows(struct harness *h);
/* Commit a ruleset, which the harness owns from then on. */
void harness_take(struct harness *h, struct pg_ruleset *set);

void harness_run(struct harness *h, enum pg_dir dir, const void *frame, size_t len,
		 struct pg_trace *ret);
/* The same where the kernel may not take the frame in a test run: false, then. */
bool harness_try_run(struct harness *h, enum pg_dir dir, const void *frame, size_t len,
		     struct pg_trace *ret);
/* An arrival through the program for TC ingress. */
bool harness_try_run_tc(struct harness *h, const void *frame, size_t len, struct pg_trace *ret);
/* The rule whose term the trace names: its number, from 1, and its chain; 0: none. */
size_t harness_decided(const struct harness *h, const struct pg_trace *trace,
		       const struct pg_chain **ret_chain);
/* Number of the rule of INPUT whose term the trace names, from 1; 0: none. */
size_t harness_rule(const struct harness *h, const struct pg_trace *trace);
/* Of rule `number` of INPUT; 0: of its policy. */
struct pg_count harness_count(const struct harness *h, size_t number);
const struct pg_chain *harness_input(const struct harness *h);
