/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random rules as text, and random frames, many of them broken on purpose. Addresses and ports
 * come from small pools, so that rules and frames meet. The same seed gives the same of both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gen {
	uint64_t state;
};

/* One rule of the generator's: what iptables takes after `-A CHAIN`, but for the target. */
struct gen_rule {
	unsigned families;   /* PG_V4 and PG_V6: whose iptables takes it */
	unsigned narrowed;   /* by -4 or -6, which `spec` leaves out; PG_V46: not */
	unsigned expands;    /* rules that its comma lists make of it */
	const char *target;  /* "ACCEPT", "DROP" or NULL */
	char spec[768];
};

struct gen_rules {
	bool drop; /* the policy */
	size_t n;
	struct gen_rule rule[];
};

uint32_t gen_below(struct gen *g, uint32_t n);

/* 1..max rules. The caller frees it. */
struct gen_rules *gen_rules(struct gen *g, size_t max);
/* An iptables-save file of them; the caller frees it. */
char *gen_rules_text(const struct gen_rules *rules);

struct gen_frame_opts {
	bool v6;
	bool plain;	 /* untagged IP of the family, for a kernel without VLAN devices */
	const char *dst; /* Ethernet address; NULL: the builder's */
	uint32_t number; /* see pkt.h's eth.number */
};

/* Returns the frame's length, at least 14 and at most 1514 bytes. */
size_t gen_frame(struct gen *g, const struct gen_frame_opts *opts, uint8_t *buf, size_t size);
