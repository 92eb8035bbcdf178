// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp_mark.h"

#include <errno.h>
#include <string.h>

#include "mark.skel.h"

/*
 * Drivers whose native XDP lets a program write in front of a packet and hands that on with the skb, on all
 * kernels that portguard runs on. The others' XDP may refuse it, which only a packet would tell.
 */
static const char *const keepers[] = { "i40e",	  "ice",       "igb", "igc",  "ixgbe",
				       "ixgbevf", "mlx5_core", "nfp", "veth", "virtio_net" };

/*
 * In mode skb the kernel itself makes room. From Linux 6.9 on TC does not find it again behind a program that
 * takes frames of several pieces (see mend_head()): ours is loaded without there (pg_load_opts.mode), libxdp's
 * dispatcher is not. In its native mode a program behind ours may put metadata of its own in front.
 */
static int check(const struct pg_nic *nic, enum pg_mode mode, bool multi, struct pg_err *err)
{
	bool known = mode == PG_MODE_SKB;

	if (multi)
		return pg_fail(err, -EOPNOTSUPP,
			       "%s: target `MARK' needs mode tc, or no --multiprog: among libxdp's programs marks may be "
			       "lost",
			       nic->name);
	for (size_t i = 0; !known && i < ARRAY_SIZE(keepers); i++)
		known = !strcmp(nic->driver, keepers[i]);
	if (known)
		return 0;
	return pg_fail(err, -EOPNOTSUPP,
		       "%s: target `MARK' needs mode tc or skb here: driver %s is not known to hand on what native "
		       "XDP writes in front of a packet; first 'portguard attach %s --mode tc'",
		       nic->name, nic->driver[0] ? nic->driver : "(unknown)", nic->name);
}

static int load(const struct pg_dp *dp, const struct pg_nic *nic, struct mark_bpf **ret, struct pg_err *err)
{
	struct mark_bpf *skel;
	int r;

	pg_dp_libbpf_listen(dp->verbose);
	skel = mark_bpf__open();
	if (!skel)
		return pg_dp_fail(err, -errno, "cannot open the BPF program for marks");
	skel->rodata->here.ifindex = nic->ifindex;
	skel->rodata->here.netns = (__u32)dp->netns;
	r = mark_bpf__load(skel);
	if (r) {
		mark_bpf__destroy(skel);
		return pg_dp_fail(err, r, "cannot load the BPF program for marks");
	}
	*ret = skel;
	return 0;
}

int pg_mark_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode, bool multi,
		    struct pg_err *err)
{
	struct mark_bpf *skel = NULL;
	int r = check(nic, mode, multi, err) ?: pg_hook_settle(dp, nic, slot, PG_HOOK_MARK, err) ?:
		load(dp, nic, &skel, err);

	if (r)
		return r;
	r = pg_hook_install(dp, nic, slot, PG_HOOK_MARK, PG_MODE_TC,
			    &(struct pg_hook_progs){ bpf_program__fd(skel->progs.portguard_mark), -1, false }, err);
	mark_bpf__destroy(skel);
	return r;
}
