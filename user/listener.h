/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which process waits on which port: listening TCP sockets and bound UDP sockets, connected ones too where
 * the port is none that a client was given, of this process' network namespace or of all that processes are in.
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

/* One socket. */
struct pg_socket_row {
	enum pg_port_proto proto;
	uint16_t port;
	enum pg_family family;
	uint8_t addr[16]; /* network order; IPv4 in the first four */
	struct pg_listener who;
	unsigned processes; /* that hold it, as far as they can be seen */
	unsigned uid, ifindex; /* ifindex 0: bound to no interface */
	bool wildcard, loopback, v6only;
	bool connected; /* a UDP socket that waits for one sender only */
	uint64_t netns; /* inode number; 0: ours */
	char where[48]; /* of another namespace: its name, its container, or a process in it */
	char proxy[64]; /* of docker-proxy: what it hands over to, "172.17.0.2:80" */
};

struct pg_sockets {
	struct pg_socket_row *row; /* by namespace (ours first), protocol, port, width of address */
	size_t n;
	bool partial; /* there were namespaces that could not be entered, or too many */
};

/* As pg_listeners_read(), every socket; `all`: also of other network namespaces. */
int pg_sockets_read(bool all, struct pg_sockets *ret, struct pg_err *err);
void pg_sockets_clear(struct pg_sockets *sockets);
