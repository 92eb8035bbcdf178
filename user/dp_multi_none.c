// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* In place of dp_multi.c where libxdp is not there at build time. */
#include "dp_multi.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

/* Of a portguard with libxdp, that this one took the place of. */
bool pg_multi_is(const struct pg_dp *dp, __u32 slot)
{
	char path[512];

	return !pg_dp_pin_path(dp, path, sizeof(path), PG_ENTRY_PIN, slot) && !access(path, F_OK);
}

__u32 pg_multi_prog_id(const struct pg_dp *dp, __u32 slot, unsigned *ret_ifindex)
{
	(void)dp, (void)slot, (void)ret_ifindex;
	return 0;
}

int pg_multi_check(const struct pg_dp *dp, const struct pg_nic *nic, bool try, struct pg_err *err)
{
	(void)dp, (void)try;
	return pg_fail(err, -EOPNOTSUPP,
		       "%s: this portguard was built without libxdp, which --multiprog needs: leave it out, "
		       "or use --mode tc",
		       nic->name);
}

int pg_multi_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
		     int prog_fd, struct pg_err *err)
{
	(void)slot, (void)mode, (void)prog_fd;
	return pg_multi_check(dp, nic, false, err);
}

int pg_multi_replace(const struct pg_dp *dp, __u32 slot, int prog_fd)
{
	(void)dp, (void)slot, (void)prog_fd;
	return -ENOENT;
}

int pg_multi_remove(const struct pg_dp *dp, __u32 slot, struct pg_err *err)
{
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	char path[512], name[IFNAMSIZ];

	if (!pg_multi_is(dp, slot))
		return 0;
	if (f->netns != dp->netns)
		return pg_hook_refuse_elsewhere(f, err);
	if (!bpf_xdp_query((int)f->ifindex, 0, &q) && q.attach_mode != XDP_ATTACHED_NONE)
		return pg_fail(err, -EOPNOTSUPP,
			       "%s: one of libxdp's dispatcher's programs, and this portguard was built without "
			       "libxdp: detach it with one that has it, or take them all off: `xdp-loader unload -a'",
			       pg_printable(f->name, name, sizeof(name)));
	if (!pg_dp_pin_path(dp, path, sizeof(path), PG_ENTRY_PIN, slot))
		unlink(path);
	return 0;
}

int pg_multi_remove_anywhere(const char *path)
{
	(void)path;
	return 0;
}
