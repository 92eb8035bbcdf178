/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * BPF_PROG_TEST_RUN, and the mutator in front of what it runs. The command has no use for any of
 * it, so it is here and not behind the door in dp.h.
 */
#pragma once

#include "rules.h"

#define BENCH_FRAME_MAX 128

struct bench_frame {
	unsigned char bytes[BENCH_FRAME_MAX];
	size_t len;
};

/* What a TCP header says beside its ports. */
struct bench_segment {
	uint8_t flags; /* PKT_SYN, … */
	uint32_t seq, ack;
};

/* An Ethernet frame with the flow's headers, a whole TCP header and no data; 64 bytes at least. */
void bench_frame_segment(struct bench_frame *ret, const struct bench_flow *flow, bool ipv6,
			 const struct bench_segment *segment);
/* The same, a SYN. */
void bench_frame_build(struct bench_frame *ret, const struct bench_flow *flow, bool ipv6);

/* The programs that do nothing; -1 and err where they can't be loaded. Loaded once. */
int bench_empty_fd(struct pg_err *err);
int bench_empty_tc_fd(struct pg_err *err);

/* A program that counts packets in a LRU hash of `flows` entries, and nothing else. */
struct bench_hash;
int bench_hash_new(uint32_t flows, struct bench_hash **ret, struct pg_err *err);
void bench_hash_free(struct bench_hash *hash);
int bench_hash_fd(const struct bench_hash *hash);

struct bench_mutator;
/* A program that makes each run another of the flows and tail-calls `target`; -1: the empty one. */
int bench_mutator_new(const struct bench_flows *flows, int target, struct bench_mutator **ret,
		      struct pg_err *err);
void bench_mutator_free(struct bench_mutator *m);
int bench_mutator_fd(const struct bench_mutator *m);

struct bench_run {
	int prog; /* fd */
	struct bench_frame frame;
	/*
	 * Of an interface in network namespace `netns` (an fd): the program's frames go up the
	 * stack as if they had been received there. 0: they go nowhere.
	 */
	int ifindex, netns;
};
/*
 * `repeat` runs. Nanoseconds each, and what the program said the last time (not told of frames
 * that went up the stack).
 */
int bench_run(const struct bench_run *run, unsigned repeat, unsigned *ret_ns, unsigned *ret_verdict,
	      struct pg_err *err);

/* Run the bench on this CPU alone: counters of its own, and caches that stay warm. */
int bench_pin_cpu(struct pg_err *err);
