/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet must have to satisfy a rule, read from the rule's text: so frames can be made that
 * hit it, or miss it by one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/gen.h"
#include "rules.h"

enum want_field {
	WANT_PROTO,
	WANT_SPORT,
	WANT_DPORT,
	WANT_FLAGS, /* value in lo, mask in hi */
	WANT_TYPE,
	WANT_CODE,
	WANT_TTL,
	WANT_TOS, /* value in lo, mask in hi */
	WANT_LENGTH,
	WANT_MSS,
	WANT_SPI, /* of ESP or AH */
	WANT_FRAGID,
	WANT_LATER, /* -f */
	WANT_RT_TYPE,
	WANT_SEGLEFT,
	WANT_DCCP_TYPE,
	WANT_CHUNK,
	WANT_TCP_OPTION,
	WANT_PKTTYPE,
	WANT_NUMBER, /* of the frame, from its source address */
	WANT_AH,     /* a header of IPv6 */
	_WANT_MAX
};

struct want_range {
	bool set, invert;
	uint32_t lo, hi;
};

struct want_addr {
	bool set, invert, masked; /* masked: hi is a mask */
	uint8_t lo[16], hi[16];
};

struct want {
	struct want_range range[_WANT_MAX];
	struct want_addr addr[2]; /* source, destination */
};

/* Adds what a rule asks to `want`, one of the values of each list. What is there already stays. */
void want_add(struct want *want, struct gen *g, const struct rules *rules, const char *spec);
