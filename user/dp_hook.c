// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp_multi.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

/* From Linux 6.6's <linux/bpf.h>, which is newer than the distribution's. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)
#define TCX_FIRST (1U << 3) /* BPF_F_BEFORE, and nothing to be before of */

/* Our places among a classic qdisc's filters: one for each instance on the interface, two where it marks behind XDP. */
#define TC_PRIORITY 0x7067
#define TC_HANDLES 16

/* Pins ----------------------------------------------------------------------------------------- */

static const char *const hook_names[_PG_HOOK_MAX] = { "in", "out", "mark" };

static int pin_name(const struct pg_dp *dp, char *buf, size_t size, const char *kind, __u32 slot,
		    enum pg_hook at)
{
	return pg_dp_pin_path(dp, buf, size, "%s_%u_%s", kind, slot, hook_names[at]);
}

static int open_pin(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_hook at)
{
	char path[512];

	return pin_name(dp, path, sizeof(path), kind, slot, at) ? -1 : bpf_obj_get(path);
}

static int make_pin(const struct pg_dp *dp, int fd, const char *kind, __u32 slot, enum pg_hook at)
{
	char path[512];
	int r = pin_name(dp, path, sizeof(path), kind, slot, at);

	if (r)
		return r;
	unlink(path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static void remove_pin(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_hook at)
{
	char path[512];

	if (!pin_name(dp, path, sizeof(path), kind, slot, at))
		unlink(path);
}

static int rename_pin(const struct pg_dp *dp, const char *from, const char *to, __u32 slot,
		      enum pg_hook at)
{
	char old[512], new[512];
	int r = pin_name(dp, old, sizeof(old), from, slot, at) ?:
		pin_name(dp, new, sizeof(new), to, slot, at);

	if (r)
		return r;
	unlink(new);
	return rename(old, new) ? -errno : 0;
}

static void drop_link(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_hook at)
{
	_close_ int link = open_pin(dp, kind, slot, at);

	if (link >= 0)
		bpf_link_detach(link);
	remove_pin(dp, kind, slot, at);
}

/* Classic TC ----------------------------------------------------------------------------------- */

static __u32 prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* The handle under which program `id` is attached; id 0: the first that is free. 0: none. */
static __u32 classic_handle(unsigned ifindex, enum pg_hook at, __u32 id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = at == PG_HOOK_OUT ? BPF_TC_EGRESS : BPF_TC_INGRESS);

	for (__u32 handle = 1; handle <= TC_HANDLES; handle++) {
		LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = TC_PRIORITY);
		int r = bpf_tc_query(&hook, &opts);

		if (id ? !r && opts.prog_id == id : r)
			return handle;
	}
	return 0;
}

static int classic_detach(unsigned ifindex, enum pg_hook at, __u32 id)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = at == PG_HOOK_OUT ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = TC_PRIORITY,
		    .handle = id ? classic_handle(ifindex, at, id) : 0);

	return opts.handle ? bpf_tc_detach(&hook, &opts) : 0;
}

/*
 * A program is pinned before it is attached, as next_* where another is there, so that a filter that
 * nobody knows of can't be left: what a command that died has not finished is finished here.
 */
static void classic_settle(const struct pg_dp *dp, unsigned ifindex, __u32 slot, enum pg_hook at)
{
	_close_ int next = open_pin(dp, "next", slot, at);
	__u32 id = prog_id(next);

	if (id && classic_handle(ifindex, at, id))
		rename_pin(dp, "next", "prog", slot, at);
	else if (id)
		remove_pin(dp, "next", slot, at);
}

/* Is the slot's filter on the interface? One that is only pinned was taken off by a command that died. */
static bool classic_is_on(const struct pg_dp *dp, unsigned ifindex, __u32 slot, enum pg_hook at)
{
	_close_ int prog = -1;
	__u32 id;

	classic_settle(dp, ifindex, slot, at);
	prog = open_pin(dp, "prog", slot, at);
	id = prog_id(prog);
	return id && classic_handle(ifindex, at, id);
}

/* Where there is a program of ours, the new one takes its place in one step. */
static int classic_install(struct pg_dp *dp, unsigned ifindex, __u32 slot, enum pg_hook at,
			   int prog_fd, struct pg_err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex,
		    .attach_point = at == PG_HOOK_OUT ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .priority = TC_PRIORITY, .prog_fd = prog_fd);
	_close_ int old = -1;
	__u32 old_id;
	int r = bpf_tc_hook_create(&hook);

	if (r && r != -EEXIST)
		return pg_dp_fail(err, r, "cannot attach to TC");
	classic_settle(dp, ifindex, slot, at);
	old = open_pin(dp, "prog", slot, at);
	old_id = prog_id(old);
	if (old_id)
		opts.handle = classic_handle(ifindex, at, old_id);
	if (opts.handle)
		opts.flags = BPF_TC_F_REPLACE;
	else
		opts.handle = classic_handle(ifindex, at, 0);
	if (!opts.handle)
		return pg_dp_fail(err, -ENOSPC, "cannot attach to TC");
	r = make_pin(dp, prog_fd, "next", slot, at);
	if (!r)
		r = bpf_tc_attach(&hook, &opts);
	if (!r)
		r = rename_pin(dp, "next", "prog", slot, at);
	if (r) {
		remove_pin(dp, "next", slot, at);
		return pg_dp_fail(err, r, "cannot attach to TC");
	}
	drop_link(dp, "link", slot, at);
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

/* Marks come first: a program that ends the chain, or writes to the packet, would lose them. */
static int tcx_link(const struct pg_nic *nic, enum pg_hook at, int prog_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = at == PG_HOOK_MARK ? TCX_FIRST : 0);
	int link;

	if (getenv("PORTGUARD_NO_TCX")) /* so that tests reach classic TC on newer kernels */
		return -EOPNOTSUPP;
	link = bpf_link_create(prog_fd, nic->ifindex, at == PG_HOOK_OUT ? TCX_EGRESS : TCX_INGRESS, &opts);
	return link < 0 ? -errno : link;
}

static void drop_classic(const struct pg_dp *dp, unsigned ifindex, __u32 slot, enum pg_hook at)
{
	_close_ int classic = open_pin(dp, "prog", slot, at);

	if (classic >= 0)
		classic_detach(ifindex, at, prog_id(classic));
	remove_pin(dp, "prog", slot, at);
}

/* Make a new link the slot's; the old one, of whatever kind, goes when the new one is pinned. */
static int adopt_link(struct pg_dp *dp, unsigned ifindex, __u32 slot, enum pg_hook at, int link,
		      struct pg_err *err)
{
	int r = make_pin(dp, link, "new", slot, at);

	if (!r) {
		drop_link(dp, "link", slot, at);
		r = rename_pin(dp, "new", "link", slot, at);
	}
	if (r)
		return pg_dp_fail(err, r, "cannot pin the link");
	drop_classic(dp, ifindex, slot, at);
	return 0;
}

/*
 * A command died in adopt_link(), or behind it: while the old link filters the new one goes, otherwise
 * it becomes the slot's, which may not know the mode yet.
 */
int pg_hook_settle(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_hook at, struct pg_err *err)
{
	_close_ int link = open_pin(dp, "link", slot, at), left = open_pin(dp, "new", slot, at);
	_close_ int interim = open_pin(dp, "interim", slot, at);
	bool classic = classic_is_on(dp, nic->ifindex, slot, at);
	struct pg_iface *f = &pg_dp_slots(dp)[slot];
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info), is = f->mode;
	int r = 0;

	if (link >= 0)
		bpf_obj_get_info_by_fd(link, &info, &len);
	if (at == PG_HOOK_IN && (info.xdp.ifindex || classic))
		r = pg_multi_remove(dp, slot, err); /* TC filters: it was not joined yet, or was to be left */
	if (r)
		return r;
	if (info.xdp.ifindex) {
		drop_link(dp, "new", slot, at);
		drop_link(dp, "interim", slot, at);
	} else if (left >= 0 || interim >= 0) {
		remove_pin(dp, "link", slot, at);
		len = sizeof(info);
		if (rename_pin(dp, left >= 0 ? "new" : "interim", "link", slot, at) ||
		    bpf_obj_get_info_by_fd(left >= 0 ? left : interim, &info, &len))
			return 0;
	} else if (at == PG_HOOK_IN && !classic && pg_multi_is(dp, slot)) {
		info.type = BPF_LINK_TYPE_XDP;
	} else {
		return 0;
	}
	if (at != PG_HOOK_IN)
		return 0;
	if (info.type != BPF_LINK_TYPE_XDP)
		is = PG_MODE_TC;
	else if (!bpf_xdp_query(nic->ifindex, 0, &q))
		is = q.attach_mode == XDP_ATTACHED_SKB ? PG_MODE_SKB : PG_MODE_NATIVE;
	if (is == f->mode)
		return 0;
	f->mode = is;
	snprintf(f->mode_reason, sizeof(f->mode_reason), "%sby a command that was ended",
		 pg_multi_is(dp, slot) ? "in libxdp's dispatcher, " : "");
	return 0;
}

/* No XDP mode holds: what filters in between becomes the slot's. A classic filter, without a link, is so already. */
static void stay_on_tc(struct pg_dp *dp, __u32 slot, bool by_link)
{
	struct pg_iface *f = &pg_dp_slots(dp)[slot];

	if (by_link)
		rename_pin(dp, "interim", "link", slot, PG_HOOK_IN);
	f->mode = PG_MODE_TC;
	snprintf(f->mode_reason, sizeof(f->mode_reason), "XDP could not be attached again");
}

/* Attach, and make it the slot's; not left behind where that fails. */
static int xdp_hook(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode, int prog_fd,
		    struct pg_err *err)
{
	_close_ int link = xdp_link(nic, mode, prog_fd, err);
	int r = link < 0 ? link : adopt_link(dp, nic->ifindex, slot, PG_HOOK_IN, link, err);

	if (link >= 0 && r) {
		bpf_link_detach(link);
		remove_pin(dp, "new", slot, PG_HOOK_IN);
	}
	return r;
}

/*
 * From one XDP mode to the other: the interface takes one XDP program only, so TC filters in
 * between. If the new mode is refused, the old one is taken up again.
 */
static int change_xdp_mode(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot,
			   enum pg_mode mode, int prog_fd, int interim_fd, struct pg_err *err)
{
	enum pg_mode old_mode = pg_dp_slots(dp)[slot].mode;
	_close_ int interim = tcx_link(nic, PG_HOOK_IN, interim_fd);
	int r;

	if (interim >= 0) {
		r = make_pin(dp, interim, "interim", slot, PG_HOOK_IN);
		if (r)
			return pg_dp_fail(err, r, "cannot pin the link");
		drop_link(dp, "link", slot, PG_HOOK_IN);
	} else { /* takes the old link off by itself; the new one takes this off again */
		r = classic_install(dp, nic->ifindex, slot, PG_HOOK_IN, interim_fd, err);
		if (r)
			return r;
	}
	r = xdp_hook(dp, nic, slot, mode, prog_fd, err);
	if (r && xdp_hook(dp, nic, slot, old_mode, prog_fd, NULL))
		stay_on_tc(dp, slot, interim >= 0);
	else
		drop_link(dp, "interim", slot, PG_HOOK_IN);
	return r;
}

/* What the slot has ---------------------------------------------------------------------------- */

__u32 pg_hook_prog_id(const struct pg_dp *dp, __u32 slot, enum pg_hook at, unsigned *ret_ifindex)
{
	_close_ int link = open_pin(dp, "link", slot, at), prog = -1;
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
	id = at == PG_HOOK_IN ? pg_multi_prog_id(dp, slot, ret_ifindex) : 0;
	if (id)
		return id;
	if (dp->writable && f->netns == dp->netns)
		classic_settle(dp, f->ifindex, slot, at);
	prog = open_pin(dp, "prog", slot, at);
	id = prog_id(prog);
	/* Filters of another namespace can't be looked at from here. */
	if (id && f->netns == dp->netns && !classic_handle(f->ifindex, at, id))
		return 0;
	if (id && ret_ifindex)
		*ret_ifindex = f->ifindex;
	return id;
}

bool pg_hook_is_on(const struct pg_dp *dp, __u32 slot, unsigned ifindex)
{
	_close_ int link = open_pin(dp, "link", slot, PG_HOOK_IN);
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	LIBBPF_OPTS(bpf_prog_query_opts, tcx);
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info), ids[64];

	if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &len) || !info.prog_id)
		return false;
	if (info.type == BPF_LINK_TYPE_XDP)
		return !bpf_xdp_query(ifindex, 0, &xdp) &&
		       (xdp.drv_prog_id == info.prog_id || xdp.skb_prog_id == info.prog_id ||
			xdp.prog_id == info.prog_id);
	tcx.prog_ids = ids;
	tcx.prog_cnt = ARRAY_SIZE(ids);
	if (bpf_prog_query_opts((int)ifindex, TCX_INGRESS, &tcx))
		return false;
	for (__u32 i = 0; i < tcx.prog_cnt && i < ARRAY_SIZE(ids); i++)
		if (ids[i] == info.prog_id)
			return true;
	return false;
}

/* Where TC filters already, packets pass both for a moment. */
static int join_dispatcher(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
			   int prog_fd, struct pg_err *err)
{
	int r = pg_multi_install(dp, nic, slot, mode, prog_fd, err);

	if (r)
		return r;
	drop_link(dp, "link", slot, PG_HOOK_IN);
	drop_classic(dp, nic->ifindex, slot, PG_HOOK_IN);
	return 0;
}

static int install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_hook at,
		   enum pg_mode mode, const struct pg_hook_progs *progs, struct pg_err *err)
{
	bool attached = pg_hook_prog_id(dp, slot, at, NULL);
	int prog_fd = progs->fd, interim_fd = progs->interim_fd;
	_close_ int link = -1;

	drop_link(dp, "interim", slot, at); /* left by a command that died */
	if (progs->multi)
		return join_dispatcher(dp, nic, slot, mode, prog_fd, err);
	if (pg_is_xdp(mode)) {
		if (attached && pg_is_xdp(pg_dp_slots(dp)[slot].mode))
			return change_xdp_mode(dp, nic, slot, mode, prog_fd, interim_fd, err);
		link = xdp_link(nic, mode, prog_fd, err);
		if (link < 0)
			return link;
	} else {
		link = tcx_link(nic, at, prog_fd);
		if (link < 0)
			return classic_install(dp, nic->ifindex, slot, at, prog_fd, err);
	}
	return adopt_link(dp, nic->ifindex, slot, at, link, err);
}

/* A link does not lead to its program without CAP_SYS_ADMIN: for what it costs, this does. */
static void pin_code(struct pg_dp *dp, __u32 slot, enum pg_hook at, int prog_fd)
{
	remove_pin(dp, "code", slot, at);
	make_pin(dp, prog_fd, "code", slot, at);
}

int pg_hook_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_hook at,
		    enum pg_mode mode, const struct pg_hook_progs *progs, struct pg_err *err)
{
	int r = install(dp, nic, slot, at, mode, progs, err);

	if (!r && at == PG_HOOK_IN && !progs->multi) {
		r = pg_multi_remove(dp, slot, err);
		if (r) { /* never two */
			drop_link(dp, "link", slot, at);
			drop_classic(dp, nic->ifindex, slot, at);
		}
	}
	if (!r)
		pin_code(dp, slot, at, progs->fd);
	return r;
}

int pg_hook_replace(struct pg_dp *dp, __u32 slot, enum pg_hook at, int prog_fd, struct pg_err *err)
{
	_close_ int link = open_pin(dp, "link", slot, at);

	if (link < 0 && link != -ENOENT)
		return pg_dp_fail(err, link, "cannot open the link's pin");
	if (link < 0) {
		_close_ int prog = open_pin(dp, "prog", slot, at);
		int r = at == PG_HOOK_IN ? pg_multi_replace(dp, slot, prog_fd) : -ENOENT;

		if (!r)
			pin_code(dp, slot, at, prog_fd);
		if (prog < 0 || r != -ENOENT)
			return r;
		return classic_install(dp, pg_dp_slots(dp)[slot].ifindex, slot, at, prog_fd, err);
	}
	if (bpf_link_update(link, prog_fd, NULL))
		return pg_dp_fail(err, -errno, "cannot replace the program");
	pin_code(dp, slot, at, prog_fd);
	return 0;
}

bool pg_dp_cost_read(const struct pg_dp *dp, __u32 slot, enum pg_dir dir, struct pg_dp_cost *ret)
{
	_close_ int fd = open_pin(dp, "code", slot, (enum pg_hook)dir);
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	*ret = (struct pg_dp_cost){ .ns = info.run_time_ns, .runs = info.run_cnt, .known = true };
	return true;
}

int pg_hook_refuse_elsewhere(const struct pg_iface *f, struct pg_err *err)
{
	char name[IFNAMSIZ];

	return pg_fail(err, -EXDEV,
		       "%s is in another network namespace, and what is attached to it can be reached only from "
		       "there",
		       pg_printable(f->name, name, sizeof(name)));
}

int pg_hook_remove(struct pg_dp *dp, __u32 slot, enum pg_hook at, struct pg_err *err)
{
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	_close_ int prog = -1;
	__u32 id;
	int r;

	if (f->netns == dp->netns)
		classic_settle(dp, f->ifindex, slot, at);
	prog = open_pin(dp, "prog", slot, at);
	id = prog_id(prog);
	if (prog >= 0 && f->netns != dp->netns)
		return pg_hook_refuse_elsewhere(f, err);
	/* Nobody would find the filter again without its pin. */
	if (prog != -ENOENT && !id)
		return pg_dp_fail(err, prog < 0 ? prog : -errno, "cannot look at the TC filter");
	r = at == PG_HOOK_IN ? pg_multi_remove(dp, slot, err) : 0;
	if (r)
		return r;
	r = id ? classic_detach(f->ifindex, at, id) : 0;
	if (r && r != -ENODEV)
		return pg_dp_fail(err, r, "cannot take the TC filter off");
	remove_pin(dp, "prog", slot, at);
	remove_pin(dp, "code", slot, at);
	drop_link(dp, "link", slot, at);
	drop_link(dp, "new", slot, at);
	drop_link(dp, "interim", slot, at);
	return 0;
}

/* A classic filter may be on any interface, and which one only the slots would say. */
static void classic_detach_anywhere(const char *path)
{
	_close_ int prog = bpf_obj_get(path);
	struct if_nameindex *list = if_nameindex();
	__u32 id = prog_id(prog);

	for (size_t i = 0; list && id && list[i].if_index; i++) {
		for (enum pg_hook at = PG_HOOK_IN; at <= PG_HOOK_OUT; at++)
			if (classic_handle(list[i].if_index, at, id))
				classic_detach(list[i].if_index, at, id);
	}
	if (list)
		if_freenameindex(list);
}

int pg_hook_remove_unknown(const struct pg_dp *dp, struct pg_err *err)
{
	static const char *const links[] = { "link_", "new_", "interim_" };
	DIR *dir = opendir(dp->path);
	struct dirent *e;
	int r = 0;

	while (dir && (e = readdir(dir))) {
		bool link = false;
		char path[512];

		for (size_t i = 0; i < ARRAY_SIZE(links); i++)
			link |= !strncmp(e->d_name, links[i], strlen(links[i]));
		if (e->d_name[0] == '.' || pg_dp_pin_path(dp, path, sizeof(path), "%s", e->d_name))
			continue;
		if (link) {
			_close_ int fd = bpf_obj_get(path);

			if (fd >= 0)
				bpf_link_detach(fd);
		} else if (!strncmp(e->d_name, "prog_", 5) || !strncmp(e->d_name, "next_", 5)) {
			classic_detach_anywhere(path);
		} else if (!strncmp(e->d_name, "entry_", 6)) {
			int left = pg_multi_remove_anywhere(path);

			if (left) {
				r = left;
				continue;
			}
		}
		unlink(path);
	}
	if (dir)
		closedir(dir);
	return r ? pg_dp_fail(err, r, "cannot leave libxdp's dispatcher") : 0;
}
