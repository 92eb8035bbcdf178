/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* "443/tcp from 10.0.0.0/8 on eth0" → rules, and where they belong. Pure. */
#pragma once

#include "parse.h"

/*
 * PORTS[/PROTOCOL] [from ADDRESS] [on IFACE]: one command for each protocol. Without a protocol
 * that is tcp and udp, except where a service has a port in only one of them.
 */
#define PG_SHORT_MAX 2
struct pg_short {
	struct pg_command cmd[PG_SHORT_MAX];
	size_t n;
};

/* words[0..n): what stands behind "allow" or "deny". target: ACCEPT or DROP. */
int pg_short_parse(char *const *word, size_t n, enum pg_target target, struct pg_short *ret,
		   struct pg_diag *diag);
void pg_short_free(struct pg_short *s);

/*
 * Put the rules into INPUT where they take effect: ahead of the first rule that would decide about
 * all of their packets, otherwise at the end. The same rule with the other target is replaced; a
 * rule that is there already stays. Appends to `log`, a line for each, the command that iptables
 * would have been given. *ret_changed: whether anything is to be committed.
 */
int pg_short_add(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		 bool *ret_changed, struct pg_diag *diag);
/* Take them out; fails if there is none of them. */
int pg_short_remove(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		    struct pg_diag *diag);
