/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules and packets to measure with, as plain data: written in the words of each tool, and answered
 * by a search of our own, which says how often each rule should have been counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct bench_prefix {
	uint8_t addr[16]; /* IPv4 uses the first four; bits beyond `len` are zero */
	uint8_t len;
};

struct bench_ports {
	uint16_t lo, hi; /* both included */
};

struct bench_rule {
	struct bench_prefix src, dst;
	struct bench_ports sport, dport; /* 0 to 65535: not asked for */
	uint8_t proto;			 /* 0: any */
};

struct bench_flow {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint8_t proto;
};

/* All of one family. A packet that no rule matches meets the policy, which drops. */
struct bench_rules {
	bool ipv6;
	struct bench_rule *rule; /* owned */
	size_t n, cap;
};

struct bench_flows {
	bool ipv6;
	struct bench_flow *flow; /* owned */
	size_t n, cap;
};

void bench_rules_free(struct bench_rules *rules);
void bench_flows_free(struct bench_flows *flows);
/* -ENOMEM, or 0. */
int bench_rules_add(struct bench_rules *rules, const struct bench_rule *rule);
int bench_flows_add(struct bench_flows *flows, const struct bench_flow *flow);

#define BENCH_ALL_PORTS ((struct bench_ports){ 0, 65535 })
static inline bool bench_asks_ports(const struct bench_ports *p)
{
	return p->lo != 0 || p->hi != 65535;
}

/* A generator whose numbers are the same in every run, on every machine. */
struct bench_random {
	uint64_t state;
};
uint32_t bench_random(struct bench_random *r);

/*
 * `n` rules -p tcp -s <random> --dport <random>, prefixes /24 to /32, with `ipv6` /48 to /128. The
 * last one is another: bench_last_flow() meets it and none before it.
 */
int bench_rules_random(struct bench_rules *ret, bool ipv6, size_t n);
struct bench_flow bench_last_flow(bool ipv6);

/* For each rule in random order a packet made for it, and over again until there are `n`. */
int bench_flows_spread(struct bench_flows *ret, const struct bench_rules *rules, size_t n);
/* The same with the prefixes' own addresses as sources, for who knows only whole addresses. */
int bench_flows_exact(struct bench_flows *ret, const struct bench_rules *rules, size_t n);
/* Packets of random addresses and ports, TCP and UDP. */
int bench_flows_random(struct bench_flows *ret, bool ipv6, size_t n);

/*
 * ret[i]: the number of the rule that flow i meets, from 0; rules->n: the policy. The caller frees.
 */
int bench_expect(const struct bench_rules *rules, const struct bench_flows *flows, size_t **ret);

/* In iptables' words, for table filter and INPUT or raw and PREROUTING. */
void bench_write_iptables(struct pg_text *t, const struct bench_rules *rules, const char *table,
			  const char *chain);
/* A netdev table "bench" whose ingress chain is on `iface`, a rule each. */
void bench_write_nft(struct pg_text *t, const struct bench_rules *rules, const char *iface);
/*
 * The same as one rule and one set of (source, destination port): a hash of whole addresses (each
 * prefix' own), or with `prefixes` nft's set of intervals.
 */
void bench_write_nft_set(struct pg_text *t, const struct bench_rules *rules, const char *iface,
			 bool prefixes);

/* The length of a name: BENCH_ADDR_MAX is enough for any prefix. */
#define BENCH_ADDR_MAX 64
const char *bench_prefix_str(const struct bench_prefix *p, bool ipv6, char *buf);
