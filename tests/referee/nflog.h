/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel's NFLOG rules of one group say about each packet. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct nflog;

/* Ends the process with a message when the kernel has no NFLOG. */
struct nflog *nflog_open(unsigned group);
void nflog_close(struct nflog *log);

/*
 * Calls `seen` for every message: the rule's prefix, and the lower four bytes of the packet's
 * Ethernet source address. Returns after at least one message or after timeout_ms; the number of
 * messages.
 */
size_t nflog_read(struct nflog *log, int timeout_ms,
		  void (*seen)(void *data, const char *prefix, uint32_t number), void *data);
