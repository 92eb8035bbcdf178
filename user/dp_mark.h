/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * MARK where XDP filters: while rules in force, or to which the programs may go back, set marks of arrivals,
 * mark.bpf.c is attached to TC's way in, and gives skbs what XDP wrote in front of their packets.
 */
#pragma once

#include "dp_hook.h"

/*
 * Attach it for a slot that XDP of `mode` is to filter, or another in its place. -EOPNOTSUPP: what
 * is in front of a packet would not come so far. Nothing is changed then.
 */
int pg_mark_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
		    bool multi, struct pg_err *err);
