/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing pcapng: a section, a block for each interface, packets with comments. Pure but for the FILE,
 * whose ferror() tells what went wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Link types, as https://www.tcpdump.org/linktypes.html has them. */
#define PG_LINK_ETHERNET 1U
#define PG_LINK_RAW_IP 101U

/* What a packet block is made of. */
struct pg_pcapng_packet {
	uint32_t iface; /* the number of its interface block, from 0 */
	uint64_t time_ns; /* since 1970 */
	const void *data;
	uint32_t len, wire_len;
	bool out;
	const char *comment; /* UTF-8 */
};

/* The section's begin; once, first. `application` wrote it, and `os` is where. */
void pg_pcapng_begin(FILE *f, const char *application, const char *os);
/* The first one that is written has number 0. */
void pg_pcapng_iface(FILE *f, const char *name, uint32_t link_type, uint32_t snap);
void pg_pcapng_packet(FILE *f, const struct pg_pcapng_packet *packet);
/* What one interface gave in the end, and what is to be told about it. */
void pg_pcapng_stats(FILE *f, uint32_t iface, uint64_t time_ns, uint64_t delivered,
		     const char *comment);
