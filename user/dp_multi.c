// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp_multi.h"

#include <errno.h>
#include <net/if.h>
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
	return pg_dp_pin_path(dp, buf, size, "entry_%u_in", slot);
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

static struct xdp_multiprog *dispatcher_of(unsigned ifindex)
{
	struct xdp_multiprog *mp;

	said[0] = '\0';
	libxdp_set_print(hear);
	pg_dp_libbpf_listen(false);
	mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	return libxdp_get_error(mp) ? NULL : mp;
}

static bool uses_map(int prog, __u32 map_id)
{
	__u32 id = 0, len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = 1, .map_ids = (uintptr_t)&id };

	return !bpf_obj_get_info_by_fd(prog, &info, &len) && id == map_id;
}

/* libxdp attaches programs anew whenever one of them comes or goes: ours is the one with our map. */
static struct xdp_program *find_entry(const struct xdp_multiprog *mp, int map)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	struct xdp_program *p = NULL;

	if (!mp || bpf_obj_get_info_by_fd(map, &info, &len))
		return NULL;
	while ((p = xdp_multiprog__next_prog(p, mp)) && !uses_map(xdp_program__fd(p), info.id))
		;
	return p;
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
	struct xdp_multiprog *mp;
	__u32 key = 0, id = 0;

	if (map < 0 || bpf_map_lookup_elem(map, &key, &id))
		return 0;
	if (f->netns == dp->netns) {
		mp = dispatcher_of(f->ifindex);
		/* Who may not look at others' programs sees at least whether there is one. */
		if (mp ? !find_entry(mp, map) :
			 errno != EPERM || bpf_xdp_query((int)f->ifindex, 0, &q) || !q.prog_id)
			id = 0;
		xdp_multiprog__close(mp);
	}
	if (id && ret_ifindex)
		*ret_ifindex = f->ifindex;
	return id;
}

static int take_off(unsigned ifindex, int map)
{
	struct xdp_multiprog *mp = dispatcher_of(ifindex);
	struct xdp_program *p = find_entry(mp, map);
	int r = p ? xdp_program__detach(p, (int)ifindex, xdp_multiprog__attach_mode(mp), 0) : 0;

	xdp_multiprog__close(mp);
	return r;
}

int pg_multi_remove(const struct pg_dp *dp, __u32 slot)
{
	_close_ int map = open_entry(dp, slot);
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	int r;

	if (map < 0)
		return 0;
	if (f->netns != dp->netns)
		return -EXDEV;
	r = take_off(f->ifindex, map);
	if (!r)
		remove_entry(dp, slot);
	return r;
}

void pg_multi_remove_anywhere(const char *path)
{
	_close_ int map = bpf_obj_get(path);
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; map >= 0 && i && i->if_index; i++)
		take_off(i->if_index, map);
	if_freenameindex(all);
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

static int attach(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum xdp_attach_mode mode,
		  struct xdp_program *prog, struct pg_err *err)
{
	char why[256];
	int r;

	if (libxdp_get_error(prog))
		return pg_dp_fail(err, (int)libxdp_get_error(prog), "cannot open the BPF program");
	xdp_program__set_run_prio(prog, RUN_PRIORITY);
	said[0] = '\0';
	r = xdp_program__attach(prog, nic->ifindex, mode, 0);
	if (!r && pg_multi_prog_id(dp, slot, NULL))
		return 0;
	if (!r) { /* libxdp has attached it alone */
		xdp_program__detach(prog, nic->ifindex, mode, 0);
		return refuse_kernel(nic, err);
	}
	if (strstr(pg_dp_verifier_says(), "changes packet data"))
		return refuse_dispatcher(nic, err);
	return pg_fail(err, r, "%s: libxdp's dispatcher refuses: %s", nic->name,
		       pg_printable(said[0] ? said : strerror(-r), why, sizeof(why)));
}

int pg_multi_install(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot, enum pg_mode mode,
		     int prog_fd, struct pg_err *err)
{
	struct entry_bpf *skel;
	struct xdp_program *prog;
	int r = pg_multi_remove(dp, slot); /* left by a command that died */

	if (r)
		return pg_dp_fail(err, r, "cannot leave libxdp's dispatcher");
	if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, NULL) != 1)
		return refuse_kernel(nic, err);
	libxdp_set_print(hear);
	pg_dp_libbpf_listen(dp->verbose);
	skel = entry_bpf__open();
	if (!skel)
		return pg_dp_fail(err, -errno, "cannot open the BPF program");
	if (pg_dp_has_frags())
		bpf_program__set_flags(skel->progs.portguard_entry, BPF_F_XDP_HAS_FRAGS);
	r = prepare(dp, slot, prog_fd, skel);
	if (r) {
		r = pg_dp_fail(err, r, "cannot pin a program");
	} else {
		prog = xdp_program__from_bpf_obj(skel->obj, "xdp");
		r = attach(dp, nic, slot, mode == PG_MODE_NATIVE ? XDP_MODE_NATIVE : XDP_MODE_SKB, prog, err);
		if (!libxdp_get_error(prog))
			xdp_program__close(prog);
	}
	if (r)
		remove_entry(dp, slot);
	entry_bpf__destroy(skel);
	return r;
}
