/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet that LOG or NFLOG reported → the line that the kernel's own LOG prints
 * (net/netfilter/nf_log_syslog.c). Pure; nothing in it is trusted, and no control character gets
 * through.
 */
#pragma once

#include "pg_abi.h"
#include "util.h"

/* "PREFIXIN=eth0 OUT= MAC=… SRC=… … ", with the blank at its end that the kernel's has. */
void pg_logline(struct pg_text *t, const struct pg_event *e, const char *ifname);

/* The same packet's essentials, for JSON. A text that does not exist is "". */
struct pg_logfields {
	char src[46], dst[46];
	int proto; /* -1: none */
	int sport, dport; /* -1: none */
	char flags[9]; /* letters: FSRPAUEC */
	bool has_flags;
	uint32_t length; /* of the IP packet */
};
void pg_logfields(const struct pg_event *e, struct pg_logfields *ret);
