/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which addresses are the capturing host's own: by them a captured frame arrives or departs.
 */
#pragma once

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "pg_abi.h"
#include "util.h"

struct pg_local_net {
	uint8_t bytes; /* of the address: 4 or 16 */
	uint8_t addr[16], mask[16];
};

struct pg_locals {
	struct pg_local_net *net; /* owned */
	size_t n;
};

/* Append the nets of "ADDR[/LEN],…". 0 or a negative errno with err filled. */
int pg_locals_add(struct pg_locals *locals, const char *text, struct pg_err *err);
void pg_locals_clear(struct pg_locals *locals);

/*
 * PG_DIR_OUT where an Ethernet frame's source address (IP, or ARP's sender) is local and its
 * destination (ARP's target) is not; otherwise, also where there is no address, PG_DIR_IN.
 */
enum pg_dir pg_locals_dir(const struct pg_locals *locals, const uint8_t *frame, size_t len);

/* Is an address of 4 or 16 bytes one of them? */
bool pg_locals_has(const struct pg_locals *locals, const uint8_t *addr, unsigned bytes);
/* Append what this host's interfaces have now. 0 or negative with err filled. */
int pg_locals_add_own(struct pg_locals *locals, struct pg_err *err);
