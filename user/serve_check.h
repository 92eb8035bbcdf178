/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who may ask `portguard serve`. Pure. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "util.h"

struct pg_listen {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t len;
	char text[64]; /* "127.0.0.1:9180", "[::1]:9180": as in a URL */
	bool loopback;
};
/* "ADDR:PORT", "[ADDR]:PORT", "localhost:PORT" or "PORT"; addresses are numbers. 0 or -EINVAL. */
int pg_listen_parse(const char *text, struct pg_listen *ret);
/* Fills text and loopback from addr. */
void pg_listen_describe(struct pg_listen *l);

/*
 * May this be the Host of a request? A page of another site can have its name point here (DNS
 * rebinding), but it cannot make the browser call us by an address or by a name of ours: localhost,
 * and those in `name`.
 */
bool pg_host_is_ours(const char *host, const char *const *name, size_t n);

/* The same time whatever is wrong with `given`. */
bool pg_token_equal(const char *token, const char *given);
