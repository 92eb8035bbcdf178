/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What views that go on say of ports, beside counters: whom the policy lets in, and when to ask it again. */
#pragma once

#include "exposure.h"
#include "snapshot.h"

/* For what the marks were asked for. Zeroed: for nothing yet. */
struct pg_marks_age {
	uint64_t due_ns, again_ns, instance, listeners;
	uint32_t generation;
};
/*
 * Is it time to ask, and is that done now? It costs half a second: so where the policy is another one, a
 * minute after the last time where other sockets listen, and every ten minutes.
 */
bool pg_marks_due(struct pg_marks_age *age, const struct pg_snapshot *snap, uint64_t now_ns);

/* What the policy says of this host's ports now. On failure, err says why and *ret is empty. */
int pg_marks_ask(struct pg_dp *dp, struct pg_port_marks *ret, struct pg_err *err);

/* Set the rows' marks, and add rows for ports with a mark that have neither traffic nor a listener. */
int pg_marks_apply(const struct pg_port_marks *marks, const struct pg_services *services,
		   struct pg_snapshot *snap);
