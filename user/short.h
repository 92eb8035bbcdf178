/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* "443/tcp from 10.0.0.0/8 on eth0" → rules, and where they belong. Pure. */
#pragma once

#include "parse.h"

enum pg_short_kind { PG_SHORT_ALLOW, PG_SHORT_DENY, PG_SHORT_LIMIT };

/*
 * PORTS[/PROTOCOL] [from ADDRESS] [on IFACE]: for each protocol the commands that make the rules.
 * Without a protocol that is tcp and udp, except where a service has a port in only one of them.
 * A limit is an ACCEPT behind two rules that watch new connections: one notes where they come from,
 * the next drops those of who opened too many. The two are made for allow and deny as well, which
 * take them away.
 */
#define PG_SHORT_MAX 2
#define PG_SHORT_WATCH 2
struct pg_short_rules {
	struct pg_command watch[PG_SHORT_WATCH], decide;
};
struct pg_short {
	enum pg_short_kind kind;
	struct pg_short_rules part[PG_SHORT_MAX];
	size_t n;
};

/* words[0..n): what stands behind "allow", "deny" or "limit". */
int pg_short_parse(char *const *word, size_t n, enum pg_short_kind kind, struct pg_short *ret,
		   struct pg_diag *diag);
void pg_short_free(struct pg_short *s);

/*
 * Put the rules into INPUT where they take effect: ahead of the first rule that would decide about
 * all of their packets, otherwise at the end; a denial also ahead of what lets some of them in, but for
 * the same ports allowed to an address, which the log then names. The same rule with the other target is replaced; a
 * rule that is there already stays; of allow, deny and limit, the last one replaces the others.
 * Appends to `log`, a line for each, the command that iptables would have been given. *ret_changed: whether anything is to be committed.
 */
int pg_short_add(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		 bool *ret_changed, struct pg_diag *diag);
/* Take them out; fails if there is none of them. */
int pg_short_remove(const struct pg_short *s, struct pg_ruleset *set, struct pg_text *log,
		    struct pg_diag *diag);
