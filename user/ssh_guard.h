/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Would a policy drop the SSH connection that the command is typed on? */
#pragma once

#include "policy.h"

/*
 * Run the connection's next packet, and the first packet of another one like it, through the
 * programs with `set` as the policy, in a private instance. `dp` is the instance that the policy is
 * for. Fails (exit 1) with words that name the rule if the connection would be dropped; a new one
 * that would be is only warned of: ret_warning then has a line.
 * Without an SSH connection, or one that arrives where nothing is attached, there is nothing to do.
 */
int pg_ssh_guard(struct pg_dp *dp, const struct pg_ruleset *set, struct pg_text *ret_warning,
		 struct pg_err *err);

/* What SSH_CONNECTION says. Addresses: IPv4 in the first four bytes. */
struct pg_ssh {
	enum pg_family family;
	uint8_t client[16], server[16];
	uint16_t client_port, server_port;
};
/* "CLIENT PORT SERVER PORT"; false: it is not that. */
bool pg_ssh_parse(const char *text, struct pg_ssh *ret);
/* The connection that this command is typed on; false: it is typed on none. */
bool pg_ssh_find(struct pg_ssh *ret);
