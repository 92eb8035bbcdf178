/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving up what a process does not need, for good. */
#pragma once

#include <sys/types.h>

#include "util.h"

enum pg_jail {
	/* Talks to the network through sockets that are open already. No files, no new sockets. */
	PG_JAIL_WEB,
	/*
	 * Reads the pins of an instance and /proc. Keeps CAP_DAC_OVERRIDE (pins and other users'
	 * /proc/PID/fd are closed to others; a link's pin can be opened only as if to write) and
	 * CAP_SYS_PTRACE (to see which socket is whose) as far as it has them; opens files for
	 * reading only, and of bpf(2) may only open pins and look.
	 */
	PG_JAIL_READER,
	/*
	 * Loads programs and runs packets through them, for a reader. Keeps what that takes (CAP_BPF,
	 * CAP_PERFMON, CAP_NET_ADMIN) beside the reader's, and may what that may; of bpf(2) also make and fill
	 * maps, load programs and run them, but not attach or pin them.
	 */
	PG_JAIL_MARKER,
};

struct pg_jail_user {
	uid_t uid;
	gid_t gid;
};
/* NULL: nobody. 0 or a negative errno with err filled. */
int pg_jail_user(const char *name, struct pg_jail_user *ret, struct pg_err *err);

/*
 * Become that user if we are root, drop all other capabilities, groups and the way back, and install a
 * seccomp filter: calls that it does not allow fail with EPERM. 0 or a negative errno with err
 * filled, after which the process must end.
 */
int pg_jail_enter(enum pg_jail jail, const struct pg_jail_user *user, struct pg_err *err);
