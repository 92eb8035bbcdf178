/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One hook of one slot: what is attached there, and changing it without a moment in which
 * nothing is. XDP and TCX attach by links, which are pinned as link_<slot>_<hook>; classic TC, on
 * kernels without TCX, by a filter whose program is pinned as prog_<slot>_<hook>. In any case the program
 * is pinned as code_<slot>_<hook>, too, for who asks what it costs. As one of several XDP programs: dp_multi.h.
 */
#pragma once

#include "dp_nic.h"

/* The two directions, and mark.bpf.c behind XDP: see dp_mark.h. */
enum pg_hook {
	PG_HOOK_IN = PG_DIR_IN,
	PG_HOOK_OUT = PG_DIR_OUT,
	PG_HOOK_MARK,
	_PG_HOOK_MAX
};

/* The program that is attached now, 0: none. ret_ifindex may be NULL. */
__u32 pg_hook_prog_id(const struct pg_dp *dp, __u32 slot, enum pg_hook at, unsigned *ret_ifindex);

/*
 * Attach prog_fd in `mode` (NATIVE and SKB for arrivals only, or TC) in place of what the slot has
 * there: the new one is in place before the old one goes. On failure the old one is still there.
 */
struct pg_hook_progs {
	int fd;
	int interim_fd; /* TC's, filters while XDP changes its mode, for an interface has only one XDP program */
	bool multi;	/* XDP as one of libxdp's dispatcher's; not from or to XDP that is attached otherwise */
};
int pg_hook_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_hook at,
		    enum pg_mode mode, const struct pg_hook_progs *progs, struct pg_err *err);

/* Is the slot's program for arrivals on this interface of this namespace? Of links only. */
bool pg_hook_is_on(const struct pg_dp *dp, __u32 slot, unsigned ifindex);

/* Give what the slot has there, in its mode, another program, in one step. -ENOENT, silently: nothing. */
int pg_hook_replace(struct pg_dp *dp, __u32 slot, enum pg_hook at, int prog_fd, struct pg_err *err);

/*
 * Take off all that is pinned, of an instance whose slots can't be read, and remove the pins. On failure that
 * of what is still attached stays.
 */
int pg_hook_remove_unknown(const struct pg_dp *dp, struct pg_err *err);

/*
 * Mend what a command left that died while it put one filter in the place of another. Fails where two filter and
 * the one in libxdp's dispatcher can't be taken off.
 */
int pg_hook_settle(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_hook at, struct pg_err *err);

/* Take off what the slot has there. -EXDEV: another network namespace has it, and it is no link. On failure it stays. */
int pg_hook_remove(struct pg_dp *dp, __u32 slot, enum pg_hook at, struct pg_err *err);

/* -EXDEV, with the words for it. */
int pg_hook_refuse_elsewhere(const struct pg_iface *f, struct pg_err *err);

static inline bool pg_is_xdp(__u32 mode)
{
	return mode == PG_MODE_NATIVE || mode == PG_MODE_SKB;
}

static inline struct pg_iface *pg_dp_slots(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_IFACES].mem;
}
