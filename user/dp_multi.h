/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XDP as one of several programs of libxdp's dispatcher. Each of these replaces a function of the
 * dispatcher (freplace) and is known to libxdp; what is known so of us is entry.bpf.c, which goes on
 * to the slot's program by its map's one element. That map is pinned as entry_<slot>_in.
 */
#pragma once

#include "dp_hook.h"

#define PG_ENTRY_PIN "entry_%u_in"

/* The name of the program that libxdp's dispatcher is. */
#define PG_DISPATCHER "xdp_dispatcher"

/* Is there such a map, whether or not its program is attached still? */
bool pg_multi_is(const struct pg_dp *dp, __u32 slot);

/* The slot's program, 0: it is not among the dispatcher's. ret_ifindex may be NULL. */
__u32 pg_multi_prog_id(const struct pg_dp *dp, __u32 slot, unsigned *ret_ifindex);

/*
 * Can a program join a dispatcher here? `try`: it is tried, in a network namespace of its own, which is
 * more than what kernel and build are known for.
 */
int pg_multi_check(const struct pg_dp *dp, const struct pg_nic *nic, bool try, struct pg_err *err);

/* After pg_multi_check(): join the dispatcher of the interface, in its mode, or be its first program. */
int pg_multi_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
		     int prog_fd, struct pg_err *err);

/* Another program, in one step. -ENOENT: there is none. */
int pg_multi_replace(const struct pg_dp *dp, __u32 slot, int prog_fd);

/*
 * Leave the dispatcher to the others. 0 also if there was none; -EXDEV: in another namespace. After any error it
 * is still known, so that the next command tries again.
 */
int pg_multi_remove(const struct pg_dp *dp, __u32 slot, struct pg_err *err);
/* So, of a map that is pinned there, whichever interface it is on; without words. */
int pg_multi_remove_anywhere(const char *path);
