/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <string.h>

#include "dp.h"

/*
 * The interface of this name in our network namespace, among the PG_MAX_IFACES that
 * pg_dp_ifaces() gives, one that is there before one that is gone; NULL: it is not attached.
 */
static inline const struct pg_dp_iface *pg_iface_find(const struct pg_dp_iface *iface,
						      const char *name)
{
	const struct pg_dp_iface *gone = NULL;

	for (size_t i = 0; i < PG_MAX_IFACES; i++) {
		if (!iface[i].abi.netns || !iface[i].here ||
		    strncmp(iface[i].abi.name, name, sizeof(iface[i].abi.name)))
			continue;
		if (!iface[i].gone)
			return &iface[i];
		gone = &iface[i];
	}
	return gone;
}

/* Attached, but its departures are not seen (--no-egress). */
static inline bool pg_dp_iface_is_deaf(const struct pg_dp_iface *iface)
{
	return iface->abi.netns && iface->abi.mode != PG_MODE_NONE && !iface->gone &&
	       !iface->egress_prog_id;
}
