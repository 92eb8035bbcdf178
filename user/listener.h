/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which process waits on which port: listening TCP sockets and bound, unconnected UDP sockets of
 * this process' network namespace.
 */
#pragma once

#include <stddef.h>

#include "snapshot.h"

struct pg_listener_row {
	enum pg_port_proto proto;
	uint16_t port;
	struct pg_listener who;
};

struct pg_listeners {
	struct pg_listener_row *row; /* one for each protocol and port, sorted by them */
	size_t n;
};

/*
 * Of several sockets on one port the one with the widest address is kept (0.0.0.0, then ::, then
 * any other). Processes that we may not look into have pid 0. 0 or a negative errno with err
 * filled; on failure `ret` is empty.
 */
int pg_listeners_read(struct pg_listeners *ret, struct pg_err *err);
void pg_listeners_clear(struct pg_listeners *listeners);
