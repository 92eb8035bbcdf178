/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `ports --listening`: what people ask netstat and lsof, and whom the policy lets in. */
#pragma once

#include "cmd.h"
#include "exposure.h"
#include "view.h"

struct pg_listening {
	struct pg_sockets sockets;
	struct pg_foreign foreign;
	struct pg_port_marks marks;
	struct pg_services *services;
};

/* A socket, or a port that has a mark and no socket of ours: exactly one is NULL or both are given. */
struct pg_listening_row {
	const struct pg_socket_row *socket;
	const struct pg_port_mark *mark; /* of this network namespace's ports */
};
/*
 * Row i of those that are asked for; false: there are no more. *at is 0 at first. `family` PG_V4, PG_V6 or 0.
 */
bool pg_listening_next(const struct pg_listening *l, unsigned family, const struct pg_ports_opts *opts,
		       size_t *at, struct pg_listening_row *ret);

void pg_view_listening(struct pg_text *t, const struct pg_listening *l, unsigned family,
		       const struct pg_ports_opts *opts, unsigned width);
int pg_json_listening(FILE *f, const struct pg_listening *l, unsigned family,
		      const struct pg_ports_opts *opts, struct pg_err *err);

int pg_listening_show(const struct pg_ctx *ctx, unsigned family, const struct pg_ports_opts *opts,
		      struct pg_err *err);
