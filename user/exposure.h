/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which ports the policy lets the world reach. The answer is the program's own: a packet that opens a
 * connection (TCP's SYN, a UDP datagram) from arbitrary addresses runs through a private instance that
 * has the policy; limits and lists begin anew with each.
 */
#pragma once

#include "foreign.h"
#include "listener.h"
#include "mark.h"
#include "trial.h"

enum pg_reach {
	PG_REACH_UNKNOWN, /* nothing is attached in this network namespace, or it has no such address */
	PG_REACH_CLOSED,
	PG_REACH_SOME, /* not from anywhere, but from an address that a rule names */
	PG_REACH_OPEN,
};
const char *pg_reach_name(enum pg_reach reach);

/* One port; sorted by protocol and port. */
struct pg_port_mark {
	enum pg_port_proto proto;
	uint16_t port;
	enum pg_mark mark;
	enum pg_reach reach[2]; /* IPv4, IPv6: the wider of what its listeners are bound to */
	char to[64];		/* of a published one, "172.17.0.2:80"; "": not known */
};

struct pg_port_marks {
	struct pg_port_mark *row; /* owned: every port that has a listener, or a mark */
	size_t n;
	bool asked; /* a policy */
	bool partial; /* but not for all interfaces or addresses: what they close is UNKNOWN */
};

/*
 * `live` NULL or without an interface in this network namespace: nothing is asked, reach is UNKNOWN.
 * Costs the loading of one private instance (half a second), and some 10 µs for each port, family
 * and address: keep it for as long as policy, listeners and other rules are the same. Only sockets of
 * this network namespace count. 0 or negative with err filled; the caller clears in any case.
 */
int pg_port_marks_read(struct pg_dp *live, const struct pg_sockets *sockets,
		       const struct pg_foreign *foreign, struct pg_port_marks *ret,
		       struct pg_err *err);
void pg_port_marks_clear(struct pg_port_marks *marks);
/* NULL: there is nothing to say of it. */
const struct pg_port_mark *pg_port_marks_find(const struct pg_port_marks *marks,
					      enum pg_port_proto proto, uint16_t port);
