// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* In place of dp_multi.c where libxdp is not there at build time. */
#include "dp_multi.h"

#include <errno.h>

bool pg_multi_is(const struct pg_dp *dp, __u32 slot)
{
	(void)dp, (void)slot;
	return false;
}

__u32 pg_multi_prog_id(const struct pg_dp *dp, __u32 slot, unsigned *ret_ifindex)
{
	(void)dp, (void)slot, (void)ret_ifindex;
	return 0;
}

int pg_multi_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
		     int prog_fd, struct pg_err *err)
{
	(void)dp, (void)slot, (void)mode, (void)prog_fd;
	return pg_fail(err, -EOPNOTSUPP,
		       "%s: this portguard was built without libxdp, which --multiprog needs: leave it out, "
		       "or use --mode tc",
		       nic->name);
}

int pg_multi_replace(const struct pg_dp *dp, __u32 slot, int prog_fd)
{
	(void)dp, (void)slot, (void)prog_fd;
	return -ENOENT;
}

int pg_multi_remove(const struct pg_dp *dp, __u32 slot)
{
	(void)dp, (void)slot;
	return 0;
}

void pg_multi_remove_anywhere(const char *path)
{
	(void)path;
}
