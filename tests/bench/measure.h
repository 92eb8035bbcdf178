/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rows that are measured in turn: each round runs every row once, so that what the machine does
 * meanwhile hits all alike, and the median of the rounds counts. What is told is the difference to
 * the row's base in the same round.
 */
#pragma once

#include "dp.h"
#include "kern.h"
#include "peers.h"

#define BENCH_ROUNDS_MAX 99

enum bench_group {
	BENCH_HOOKS = 1,
	BENCH_REPEAT = 2,
	BENCH_SPREAD = 4,
	BENCH_CLASSBENCH = 8,
	BENCH_PEERS = 16,
	BENCH_COMMIT = 32,
	BENCH_FLOWS = 64,
	BENCH_ALL = 127
};

struct bench_opts {
	uint32_t rounds, repeat, max_rules, max_flows;
	unsigned groups;  /* enum bench_group */
	const char *data; /* a folder that has classbench/; NULL: none */
};

/* Who counts: rules and what each must have counted in the end. */
struct bench_subject {
	struct pg_dp *dp;		 /* portguard; or */
	struct bench_peer *peer;	 /* NULL: nobody counts */
	const struct bench_rules *rules; /* the group's */
	uint64_t *expect;		 /* rules->n, and the policy's */
};

struct bench_row {
	enum bench_group group;
	char set[32]; /* "random", or a ClassBench set's name */
	char tool[48], packets[16];
	unsigned rules, flows; /* flows: of BENCH_FLOWS only */
	bool ipv6;
	/* LESSER: does not look at all that the rules ask for, and is not compared with. */
	enum { BENCH_IS_BASE, BENCH_IS_OURS, BENCH_IS_PEER, BENCH_IS_LESSER } what;
	char why_not[256]; /* it is not measured; "": it is */
	/* Until the group is done: */
	struct bench_run run;
	struct bench_mutator *mutator; /* owned; NULL: the packet repeats */
	size_t n_packets;	       /* that the mutator has */
	/* Each packet of a measurement begins a flow: forget those before it. NULL: they stay. */
	struct pg_dp *forget;
	size_t base;		       /* index of the row that is subtracted */
	struct bench_subject *subject; /* NULL: nobody counts */
	const size_t *expect;	       /* of each packet, the rule; n_expect of them */
	size_t n_expect;
	unsigned verdict; /* what the program must say */
	/* Filled in by measuring: */
	unsigned repeat;
	uint64_t sent;
	unsigned ns[BENCH_ROUNDS_MAX];
	double median, over;
};

struct bench_table {
	struct bench_row *row; /* owned */
	size_t n, cap;
};

/* Why a row is not measured: the first line of a reason, which may have more. */
void bench_row_refuse(struct bench_row *row, const char *why_not);

/* A copy of `row` at the end; its index. No memory ends the bench. */
size_t bench_table_add(struct bench_table *t, const struct bench_row *row);
void bench_table_free(struct bench_table *t);

/* Measure the rows from `from` on, which then let go of what they own. */
int bench_measure(struct bench_table *t, size_t from, const struct bench_opts *opts,
		  struct pg_err *err);

/* What the rows must have made a subject count is what it has counted. */
int bench_subject_check(const struct bench_subject *s, const char *what, struct pg_err *err);
/* A private portguard or another filter with these rules. Failing, `err` says what it can't do. */
int bench_subject_portguard(struct bench_subject *s, const struct bench_rules *rules,
			    const struct pg_private_opts *opts, struct pg_err *err);
/* The same from a text in iptables-save's format; of `rules` only their number is asked for. */
int bench_subject_text(struct bench_subject *s, const struct bench_rules *rules, const char *text,
		       size_t len, const struct pg_private_opts *opts, struct pg_err *err);
int bench_subject_peer(struct bench_subject *s, enum bench_peer_kind kind,
		       const struct bench_rules *rules, struct pg_err *err);
void bench_subject_close(struct bench_subject *s);

/* The groups. Each adds its rows, measures and checks them. */
int bench_hooks(struct bench_table *t, const struct bench_opts *opts, struct pg_err *err);
int bench_scale(struct bench_table *t, const struct bench_opts *opts, struct pg_err *err);
int bench_classbench(struct bench_table *t, const struct bench_opts *opts, struct pg_err *err);

/* All flows as `flows --json` writes them. */
struct bench_listing {
	unsigned flows; /* 0: none were measured */
	double ms;
};
int bench_flows(struct bench_table *t, struct bench_listing *ret, const struct bench_opts *opts,
		struct pg_err *err);

/* Compiling and committing. */
struct bench_commit {
	unsigned rules;
	double parse_ms, compile_ms, commit_ms;
	double peak_mb;	  /* by which the process grew while it compiled */
	double tables_mb; /* in the kernel, of this policy */
	char why_not[256];
};
#define BENCH_COMMITS 2
int bench_commits(struct bench_commit *ret, const struct bench_opts *opts, struct pg_err *err);
