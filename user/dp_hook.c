// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp_hook.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>

/* From Linux 6.6's <linux/bpf.h>, which is newer than the distribution's. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)

/* Our places among a classic qdisc's filters: one for each instance on the interface. */
#define TC_PRIORITY 0x7067
#define TC_HANDLES 16

/* Pins ----------------------------------------------------------------------------------------- */

static const char *const dir_names[_PG_DIR_MAX] = { "in", "out" };

static int pin_name(const struct pg_dp *dp, char *buf, size_t size, const char *kind, __u32 slot,
		    enum pg_dir dir)
{
	return pg_dp_pin_path(dp, buf, size, "%s_%u_%s", kind, slot, dir_names[dir]);
}

static int open_pin(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_dir dir)
{
	char path[512];

	return pin_name(dp, path, sizeof(path), kind, slot, dir) ? -1 : bpf_obj_get(path);
}

static int make_pin(const struct pg_dp *dp, int fd, const char *kind, __u32 slot, enum pg_dir dir)
{
	char path[512];
	int r = pin_name(dp, path, sizeof(path), kind, slot, dir);

	if (r)
		return r;
	unlink(path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static void remove_pin(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_dir dir)
{
	char path[512];

	if (!pin_name(dp, path, sizeof(path), kind, slot, dir))
		unlink(path);
}

static int rename_pin(const struct pg_dp *dp, const char *from, const char *to, __u32 slot,
		      enum pg_dir dir)
{
	char old[512], new[512];
	int r = pin_name(dp, old, sizeof(old), from, slot, dir) ?:
		pin_name(dp, new, sizeof(new), to, slot, dir);

	if (r)
		return r;
	unlink(new);
	return rename(old, new) ? -errno : 0;
}

static void drop_link(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_dir dir)
{
	_close_ int link = open_pin(dp, kind, slot, dir);

	if (link >= 0)
		bpf_link_detach(link);
	remove_pin(dp, kind, slot, dir);
}

/* Classic TC ----------------------------------------------------------------------------------- */

static __u32 prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* The handle under which program `id` is attached; id 0: the first that is free. 0: none. */
static __u32 classic_handle(unsigned ifindex, enum pg_dir dir, __u32 id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = dir == PG_DIR_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);

	for (__u32 handle = 1; handle <= TC_HANDLES; handle++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = TC_PRIORITY);
		int r = bpf_tc_query(&hook, &opts);

		if (id ? !r && opts.prog_id == id : r)
			return handle;
	}
	return 0;
}

static void classic_detach(unsigned ifindex, enum pg_dir dir, __u32 id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = dir == PG_DIR_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = TC_PRIORITY,
		    .handle = id ? classic_handle(ifindex, dir, id) : 0);

	if (opts.handle)
		bpf_tc_detach(&hook, &opts);
}

/* The program is pinned before it is attached: a filter that nobody knows of can't be left. */
static int classic_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_dir dir,
			   int prog_fd, struct pg_err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = nic->ifindex,
		    .attach_point = dir == PG_DIR_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = TC_PRIORITY, .prog_fd = prog_fd);
	_close_ int old = open_pin(dp, "prog", slot, dir);
	__u32 old_id = prog_id(old);
	int r = bpf_tc_hook_create(&hook);

	if (r && r != -EEXIST)
		return pg_dp_fail(err, r, "cannot attach to TC");
	opts.handle = classic_handle(nic->ifindex, dir, 0);
	if (!opts.handle)
		return pg_dp_fail(err, -ENOSPC, "cannot attach to TC");
	r = make_pin(dp, prog_fd, "prog", slot, dir);
	if (!r)
		r = bpf_tc_attach(&hook, &opts);
	if (r) {
		if (old < 0 || make_pin(dp, old, "prog", slot, dir))
			remove_pin(dp, "prog", slot, dir);
		return pg_dp_fail(err, r, "cannot attach to TC");
	}
	classic_detach(nic->ifindex, dir, old_id);
	drop_link(dp, "link", slot, dir);
	return 0;
}

/* Links ---------------------------------------------------------------------------------------- */

/*
 * A refused link says only an errno. The older netlink way carries the driver's own words, so ask
 * that way, too, and take it off again should it succeed after all.
 */
static void explain_refusal(const struct pg_nic *nic, int prog_fd, __u32 flags, int r, char *buf,
			    size_t size)
{
	const char *words;

	pg_dp_libbpf_listen(false);
	if (!bpf_xdp_attach(nic->ifindex, prog_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL))
		bpf_xdp_detach(nic->ifindex, flags, NULL);
	words = pg_dp_libbpf_says();
	pg_printable(words[0] ? words : strerror(-r), buf, size);
	pg_dp_libbpf_listen(false);
}

static bool is_about_size(int r, const char *why)
{
	return r == -ERANGE || strstr(why, "MTU") || strstr(why, "mtu");
}

/* The part behind "; " is advice, which `auto` does not need. */
static int refused(const struct pg_nic *nic, enum pg_mode mode, int prog_fd, __u32 flags, int r,
		   struct pg_err *err)
{
	char why[256], advice[96] = "";

	if (r == -EPERM || r == -EACCES)
		return pg_dp_fail(err, r, nic->name);
	explain_refusal(nic, prog_fd, flags, r, why, sizeof(why));
	if (is_about_size(r, why))
		snprintf(advice, sizeof(advice), "; lower the MTU (now %u), or use --mode tc",
			 nic->mtu);
	else if (mode == PG_MODE_NATIVE)
		snprintf(advice, sizeof(advice), "; use --mode tc");
	return pg_fail(err, r, "%s: %s XDP refused%s%s: %s%s", nic->name,
		       mode == PG_MODE_NATIVE ? "native" : "skb-mode",
		       nic->driver[0] ? " by driver " : "", nic->driver, why, advice);
}

static int xdp_link(const struct pg_nic *nic, enum pg_mode mode, int prog_fd, struct pg_err *err)
{
	__u32 flags = mode == PG_MODE_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	int link = bpf_link_create(prog_fd, nic->ifindex, BPF_XDP, &opts);

	return link >= 0 ? link : refused(nic, mode, prog_fd, flags, -errno, err);
}

static int tcx_link(const struct pg_nic *nic, enum pg_dir dir, int prog_fd)
{
	int link;

	if (getenv("PORTGUARD_NO_TCX")) /* so that tests reach classic TC on newer kernels */
		return -EOPNOTSUPP;
	link = bpf_link_create(prog_fd, nic->ifindex, dir == PG_DIR_IN ? TCX_INGRESS : TCX_EGRESS,
			       NULL);
	return link < 0 ? -errno : link;
}

/* Make a new link the slot's; the old one, of whatever kind, goes when the new one is pinned. */
static int adopt_link(struct pg_dp *dp, unsigned ifindex, __u32 slot, enum pg_dir dir, int link,
		      struct pg_err *err)
{
	_close_ int classic = open_pin(dp, "prog", slot, dir);
	int r = make_pin(dp, link, "new", slot, dir);

	if (!r) {
		drop_link(dp, "link", slot, dir);
		r = rename_pin(dp, "new", "link", slot, dir);
	}
	if (r)
		return pg_dp_fail(err, r, "cannot pin the link");
	if (classic >= 0) {
		classic_detach(ifindex, dir, prog_id(classic));
		remove_pin(dp, "prog", slot, dir);
	}
	return 0;
}

static bool is_xdp(enum pg_mode mode)
{
	return mode == PG_MODE_NATIVE || mode == PG_MODE_SKB;
}

/*
 * From one XDP mode to the other: the interface takes one XDP program only, so TC filters in
 * between. If the new mode is refused, the old one is taken up again.
 */
static int change_xdp_mode(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot,
			   enum pg_mode mode, int prog_fd, int interim_fd, struct pg_err *err)
{
	enum pg_mode old_mode = pg_dp_slots(dp)[slot].mode;
	_close_ int interim = tcx_link(nic, PG_DIR_IN, interim_fd), link = -1, back = -1;
	int r;

	if (interim >= 0) {
		make_pin(dp, interim, "interim", slot, PG_DIR_IN);
		drop_link(dp, "link", slot, PG_DIR_IN);
	} else { /* takes the old link off by itself; the new one takes this off again */
		r = classic_install(dp, nic, slot, PG_DIR_IN, interim_fd, err);
		if (r)
			return r;
	}
	link = xdp_link(nic, mode, prog_fd, err);
	r = link < 0 ? link : adopt_link(dp, nic->ifindex, slot, PG_DIR_IN, link, err);
	if (link < 0) {
		back = xdp_link(nic, old_mode, prog_fd, NULL);
		if (back >= 0)
			adopt_link(dp, nic->ifindex, slot, PG_DIR_IN, back, NULL);
	}
	drop_link(dp, "interim", slot, PG_DIR_IN);
	return r;
}

/* What the slot has ---------------------------------------------------------------------------- */

__u32 pg_hook_prog_id(const struct pg_dp *dp, __u32 slot, enum pg_dir dir, unsigned *ret_ifindex)
{
	_close_ int link = open_pin(dp, "link", slot, dir), prog = -1;
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info), id;

	if (link >= 0) {
		/* The interface stands first in TCX's part of the union as in XDP's. */
		if (bpf_obj_get_info_by_fd(link, &info, &len) || !info.xdp.ifindex)
			return 0;
		if (ret_ifindex)
			*ret_ifindex = info.xdp.ifindex;
		return info.prog_id;
	}
	prog = open_pin(dp, "prog", slot, dir);
	id = prog_id(prog);
	/* Filters of another namespace can't be looked at from here. */
	if (id && f->netns == dp->netns && !classic_handle(f->ifindex, dir, id))
		return 0;
	if (id && ret_ifindex)
		*ret_ifindex = f->ifindex;
	return id;
}

int pg_hook_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_dir dir,
		    enum pg_mode mode, int prog_fd, int interim_fd, struct pg_err *err)
{
	bool attached = pg_hook_prog_id(dp, slot, dir, NULL);
	_close_ int link = -1;

	drop_link(dp, "interim", slot, dir); /* left by a command that died */
	if (is_xdp(mode)) {
		if (attached && is_xdp(pg_dp_slots(dp)[slot].mode))
			return change_xdp_mode(dp, nic, slot, mode, prog_fd, interim_fd, err);
		link = xdp_link(nic, mode, prog_fd, err);
		if (link < 0)
			return link;
	} else {
		link = tcx_link(nic, dir, prog_fd);
		if (link < 0)
			return classic_install(dp, nic, slot, dir, prog_fd, err);
	}
	return adopt_link(dp, nic->ifindex, slot, dir, link, err);
}

/* What is pinned names the filter, so it is the new one's before that is there. */
static int classic_swap(struct pg_dp *dp, __u32 slot, enum pg_dir dir, int prog_fd)
{
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = f->ifindex,
		    .attach_point = dir == PG_DIR_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = TC_PRIORITY, .prog_fd = prog_fd,
		    .flags = BPF_TC_F_REPLACE);
	_close_ int old = open_pin(dp, "prog", slot, dir);
	int r;

	opts.handle = old < 0 ? 0 : classic_handle(f->ifindex, dir, prog_id(old));
	if (!opts.handle)
		return -ENOENT;
	r = make_pin(dp, prog_fd, "prog", slot, dir) ?: bpf_tc_attach(&hook, &opts);
	if (r)
		make_pin(dp, old, "prog", slot, dir);
	return r;
}

int pg_hook_swap(struct pg_dp *dp, __u32 slot, enum pg_dir dir, int prog_fd, struct pg_err *err)
{
	_close_ int link = open_pin(dp, "link", slot, dir);
	int r;

	if (link >= 0)
		r = bpf_link_update(link, prog_fd, NULL) ? -errno : 0;
	else
		r = classic_swap(dp, slot, dir, prog_fd);
	return r && r != -ENOENT ? pg_dp_fail(err, r, "cannot replace the attached program") : r;
}

int pg_hook_remove(struct pg_dp *dp, __u32 slot, enum pg_dir dir)
{
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	_close_ int prog = open_pin(dp, "prog", slot, dir);

	if (prog >= 0 && f->netns != dp->netns)
		return -EXDEV;
	if (prog >= 0)
		classic_detach(f->ifindex, dir, prog_id(prog));
	remove_pin(dp, "prog", slot, dir);
	drop_link(dp, "link", slot, dir);
	drop_link(dp, "new", slot, dir);
	drop_link(dp, "interim", slot, dir);
	return 0;
}
