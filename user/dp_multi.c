// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp_multi.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <xdp/libxdp.h>

#include "entry.skel.h"

/* Before what has libxdp's default, 50. */
#define RUN_PRIORITY 10

static char said[256]; /* libxdp's last warning */

static int hear(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBXDP_WARN) {
		vsnprintf(said, sizeof(said), fmt, ap);
		said[strcspn(said, "\n")] = '\0';
	}
	return 0;
}

static int entry_path(const struct pg_dp *dp, char *buf, size_t size, __u32 slot)
{
	return pg_dp_pin_path(dp, buf, size, PG_ENTRY_PIN, slot);
}

static int open_entry(const struct pg_dp *dp, __u32 slot)
{
	char path[512];

	return entry_path(dp, path, sizeof(path), slot) ? -1 : bpf_obj_get(path);
}

static void remove_entry(const struct pg_dp *dp, __u32 slot)
{
	char path[512];

	if (!entry_path(dp, path, sizeof(path), slot))
		unlink(path);
}

/*
 * The interface's programs as libxdp knows them, to be closed. -ENOENT: it has none, or is gone. Where a
 * dispatcher's programs can't be read, libxdp takes it for a program of its own: nothing is known of ours then.
 */
static int dispatcher_of(unsigned ifindex, struct xdp_multiprog **ret)
{
	struct xdp_multiprog *mp = NULL;
	int r;

	said[0] = '\0';
	libxdp_set_print(hear);
	pg_dp_libbpf_listen(false);
	mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	r = (int)libxdp_get_error(mp);
	if (r)
		return r == -ENODEV ? -ENOENT : r;
	if (xdp_multiprog__is_legacy(mp) &&
	    !strcmp(xdp_program__name(xdp_multiprog__main_prog(mp)) ?: "", PG_DISPATCHER)) {
		xdp_multiprog__close(mp);
		return -EIO;
	}
	*ret = mp;
	return 0;
}

/* 0: no; 1: yes. */
static int uses_map(int prog, __u32 map_id)
{
	__u32 id = 0, len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = 1, .map_ids = (uintptr_t)&id };

	return bpf_obj_get_info_by_fd(prog, &info, &len) ? -errno : id == map_id;
}

/*
 * Ours among the dispatcher's programs, which is the one with our map: libxdp attaches all anew whenever
 * one of them comes or goes. -ENOENT: it is not there.
 */
static int find_entry(const struct xdp_multiprog *mp, int map, struct xdp_program **ret)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	struct xdp_program *p = NULL;
	int r = 0;

	if (bpf_obj_get_info_by_fd(map, &info, &len))
		return -errno;
	do
		p = xdp_multiprog__next_prog(p, mp);
	while (p && !(r = uses_map(xdp_program__fd(p), info.id)));
	if (r < 0 || !p)
		return r ?: -ENOENT;
	*ret = p;
	return 0;
}

/* 0: ours is attached to the interface, or was until now if it is to `leave`; -ENOENT: it is not. */
static int look_for_entry(unsigned ifindex, int map, bool leave)
{
	struct xdp_multiprog *mp = NULL;
	struct xdp_program *p = NULL;
	int r = dispatcher_of(ifindex, &mp);

	if (r)
		return r;
	r = find_entry(mp, map, &p);
	if (!r && leave)
		r = xdp_program__detach(p, (int)ifindex, xdp_multiprog__attach_mode(mp), 0);
	xdp_multiprog__close(mp);
	return r;
}

static int take_off(unsigned ifindex, int map)
{
	int r = look_for_entry(ifindex, map, true);

	return r == -ENOENT ? 0 : r;
}

bool pg_multi_is(const struct pg_dp *dp, __u32 slot)
{
	_close_ int map = open_entry(dp, slot);

	return map >= 0;
}

__u32 pg_multi_prog_id(const struct pg_dp *dp, __u32 slot, unsigned *ret_ifindex)
{
	_close_ int map = open_entry(dp, slot);
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	__u32 key = 0, id = 0;
	int r;

	if (map < 0 || bpf_map_lookup_elem(map, &key, &id))
		return 0;
	if (f->netns == dp->netns) {
		r = look_for_entry(f->ifindex, map, false);
		/* Who may not look at others' programs sees at least whether there is one. */
		if (r == -ENOENT || (r && (bpf_xdp_query((int)f->ifindex, 0, &q) || !q.prog_id)))
			id = 0;
	}
	if (id && ret_ifindex)
		*ret_ifindex = f->ifindex;
	return id;
}

/* What libxdp has said of it, or else the error's name. */
static const char *libxdp_says(int r, char *buf, size_t size)
{
	return pg_printable(said[0] ? said : strerror(-r), buf, size);
}

int pg_multi_remove(const struct pg_dp *dp, __u32 slot, struct pg_err *err)
{
	_close_ int map = open_entry(dp, slot);
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	char name[IFNAMSIZ], why[256];
	int r;

	if (map < 0)
		return 0;
	if (f->netns != dp->netns)
		return pg_hook_refuse_elsewhere(f, err);
	r = take_off(f->ifindex, map);
	if (r)
		return pg_fail(err, r, "%s: cannot leave libxdp's dispatcher: %s",
			       pg_printable(f->name, name, sizeof(name)), libxdp_says(r, why, sizeof(why)));
	remove_entry(dp, slot);
	return 0;
}

int pg_multi_remove_anywhere(const char *path)
{
	_close_ int map = bpf_obj_get(path);
	struct if_nameindex *all = if_nameindex();
	int r = 0;

	for (struct if_nameindex *i = all; map >= 0 && i && i->if_index; i++) {
		int left = take_off(i->if_index, map);

		if (left)
			r = left;
	}
	if_freenameindex(all);
	return r;
}

int pg_multi_replace(const struct pg_dp *dp, __u32 slot, int prog_fd)
{
	_close_ int map = open_entry(dp, slot);
	__u32 key = 0;

	if (map < 0)
		return -ENOENT;
	return bpf_map_update_elem(map, &key, &prog_fd, BPF_ANY) ? -errno : 0;
}

/* Its map has our program before anybody runs it, and its name, so that who comes later finds it. */
static int prepare(struct pg_dp *dp, __u32 slot, int prog_fd, struct entry_bpf *skel)
{
	int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "pg_entry", 4, 4, 1, NULL), r;
	char path[512];
	__u32 key = 0;

	if (map < 0)
		return -errno;
	r = entry_path(dp, path, sizeof(path), slot);
	if (!r && (bpf_map_update_elem(map, &key, &prog_fd, BPF_ANY) || bpf_obj_pin(map, path)))
		r = -errno;
	r = r ?: bpf_map__reuse_fd(skel->maps.pg_entry, map);
	close(map);
	return r;
}

static int refuse_kernel(const struct pg_nic *nic, struct pg_err *err)
{
	return pg_fail(err, -EOPNOTSUPP,
		       "%s: this kernel can't replace functions of BPF programs (freplace), which libxdp's "
		       "dispatcher needs: leave out --multiprog, or use --mode tc",
		       nic->name);
}

/* Newer kernels want a function to say that it changes packets where its replacement does, as a tail call may. */
static int refuse_dispatcher(const struct pg_nic *nic, struct pg_err *err)
{
	return pg_fail(err, -EOPNOTSUPP,
		       "%s: on this kernel no program that may change packets can join the dispatcher of a "
		       "libxdp before 1.5.5: update libxdp, leave out --multiprog, or use --mode tc",
		       nic->name);
}

static int open_skel(const struct pg_dp *dp, struct entry_bpf **ret, struct pg_err *err)
{
	struct entry_bpf *skel = NULL;

	libxdp_set_print(hear);
	pg_dp_libbpf_listen(dp->verbose);
	skel = entry_bpf__open();
	if (!skel)
		return pg_dp_fail(err, -errno, "cannot open the BPF program");
	if (pg_dp_has_frags())
		bpf_program__set_flags(skel->progs.portguard_entry, BPF_F_XDP_HAS_FRAGS);
	*ret = skel;
	return 0;
}

/* Where it cannot be one of several, libxdp attaches it alone. */
static int join(const struct pg_nic *nic, unsigned ifindex, enum xdp_attach_mode mode, struct entry_bpf *skel,
		struct pg_err *err)
{
	struct xdp_program *prog = xdp_program__from_bpf_obj(skel->obj, "xdp");
	char why[256];
	int r = (int)libxdp_get_error(prog);

	if (r)
		return pg_dp_fail(err, r, "cannot open the BPF program");
	xdp_program__set_run_prio(prog, RUN_PRIORITY);
	said[0] = '\0';
	r = xdp_program__attach(prog, (int)ifindex, mode, 0);
	if (!r) {
		r = look_for_entry(ifindex, bpf_map__fd(skel->maps.pg_entry), false);
		if (r) {
			xdp_program__detach(prog, (int)ifindex, mode, 0);
			r = refuse_kernel(nic, err);
		}
	} else if (strstr(pg_dp_verifier_says(), "changes packet data")) {
		r = refuse_dispatcher(nic, err);
	} else {
		r = pg_fail(err, r, "%s: libxdp's dispatcher refuses: %s", nic->name,
			    libxdp_says(r, why, sizeof(why)));
	}
	xdp_program__close(prog);
	return r;
}

/* Joins a dispatcher of the loopback interface of this network namespace, and leaves it. */
static int rehearse(const struct pg_dp *dp, const struct pg_nic *nic, struct pg_err *err)
{
	const unsigned lo = 1;
	struct entry_bpf *skel = NULL;
	int r = open_skel(dp, &skel, err);

	if (r)
		return r;
	r = join(nic, lo, XDP_MODE_SKB, skel, err);
	if (!r)
		r = take_off(lo, bpf_map__fd(skel->maps.pg_entry));
	entry_bpf__destroy(skel);
	return r;
}

int pg_multi_check(const struct pg_dp *dp, const struct pg_nic *nic, bool try, struct pg_err *err)
{
	_close_ int home = -1;
	int r;

	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) != 1)
		return refuse_kernel(nic, err);
	if (!try)
		return 0;
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWNET))
		return pg_dp_fail(err, -errno, "cannot make a network namespace to try libxdp's dispatcher in");
	r = rehearse(dp, nic, err);
	if (setns(home, CLONE_NEWNET))
		r = pg_dp_fail(err, -errno, "cannot return from the network namespace in which libxdp's dispatcher was tried");
	return r;
}

int pg_multi_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
		     int prog_fd, struct pg_err *err)
{
	struct entry_bpf *skel = NULL;
	int r = pg_multi_remove(dp, slot, err); /* left by a command that died */

	r = r ?: open_skel(dp, &skel, err);
	if (r)
		return r;
	r = prepare(dp, slot, prog_fd, skel);
	if (r)
		r = pg_dp_fail(err, r, "cannot pin a program");
	else
		r = join(nic, nic->ifindex, mode == PG_MODE_NATIVE ? XDP_MODE_NATIVE : XDP_MODE_SKB, skel, err);
	if (r)
		remove_entry(dp, slot);
	entry_bpf__destroy(skel);
	return r;
}
