/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What deserves a look about a port: how who listens and what the policy says go together. */
#pragma once

enum pg_mark {
	PG_MARK_NONE,
	PG_MARK_CLOSED,	   /* somebody listens for the world, and the policy lets nobody in */
	PG_MARK_UNUSED,	   /* a rule opens it to the world, and nobody listens */
	PG_MARK_PUBLISHED, /* its packets go elsewhere: a container's */
	_PG_MARK_MAX
};
const char *pg_mark_name(enum pg_mark mark); /* "none", "closed", … */
