/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Other filters, as the distribution packages them, with the same rules. XDP programs are run as
 * portguard's are; what belongs to the stack gets the frames sent up a veth of a network namespace
 * of its own, which is not the machine's and ends with the bench.
 */
#pragma once

#include "kern.h"

enum bench_peer_kind {
	BENCH_STACK_FOREIGN,  /* no rules; frames for another host, which IP drops first thing */
	BENCH_STACK_LOCAL,    /* no rules; frames for this host, which have no route */
	BENCH_XDP_FILTER,     /* all features, as it loads by default; has the rules' ports, and drops */
	BENCH_XDP_FILTER_TCP, /* the program that looks at TCP ports and at nothing else */
	BENCH_NFT_LINEAR,
	BENCH_NFT_HOSTS, /* a hash of whole addresses and ports */
	BENCH_NFT_PREFIXES,
	BENCH_IPTABLES,
	_BENCH_PEER_MAX
};

const char *bench_peer_name(enum bench_peer_kind kind);
/* It looks at all that the rules ask for: addresses and ports. */
bool bench_peer_compares(enum bench_peer_kind kind);
/* The rows to subtract: BENCH_STACK_*, or the kind itself where that is the empty program. */
enum bench_peer_kind bench_peer_base(enum bench_peer_kind kind);

/* An XDP program; otherwise frames go up the stack. */
bool bench_peer_is_xdp(enum bench_peer_kind kind);

struct bench_peer;
/* Fails where the tool is not there, or cannot do it; err says so. */
int bench_peer_open(enum bench_peer_kind kind, const struct bench_rules *rules,
		    struct bench_peer **ret, struct pg_err *err);
void bench_peer_close(struct bench_peer *peer);
/* An XDP program's fd; -1: frames go up the stack. */
int bench_peer_prog(const struct bench_peer *peer);
/* Fill in where frames go up the stack. */
void bench_peer_place(const struct bench_peer *peer, struct bench_run *run);
/* Packets that the rules have counted. */
int bench_peer_counted(const struct bench_peer *peer, uint64_t *ret, struct pg_err *err);
