/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What others have attached, and what the kernel's BPF can do. Changes nothing. */
#include <errno.h>
#include <ftw.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/stat.h>

#include "dp_impl.h"

#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)
#define LINK_TCX 11 /* BPF_LINK_TYPE_TCX */
enum { PIN_DEPTH = 8, PINS_MAX = 4096 };

static void probe_kernel(struct pg_dp_kernel *ret)
{
	LIBBPF_OPTS(bpf_prog_query_opts, q);

	pg_dp_libbpf_listen(false);
	ret->loop = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_loop, NULL) == 1;
	ret->frags = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len, NULL) == 1;
	ret->tcx = !bpf_prog_query_opts(1, TCX_INGRESS, &q) || errno == EPERM;
}

const struct pg_dp_kernel *pg_dp_kernel(void)
{
	static struct pg_dp_kernel kernel;
	_fclose_ FILE *f = fopen("/proc/sys/net/core/bpf_jit_enable", "re");

	if (!kernel.loop) /* without it there is no instance to ask about every second */
		probe_kernel(&kernel);
	/* A setting. A kernel that has nothing but the compiler has no such file for who may not read it. */
	kernel.jit = !f || fgetc(f) != '0';
	return &kernel;
}

static void add(struct pg_dp_hooked *ret, size_t *n, enum pg_dp_hook hook, __u32 id)
{
	_close_ int fd = id ? bpf_prog_get_fd_by_id(id) : -1;
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	if (!id || *n == PG_DP_HOOKED_MAX)
		return;
	ret[*n] = (struct pg_dp_hooked){ .hook = hook, .id = id };
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len))
		pg_printable(info.name, ret[*n].name, sizeof(ret[*n].name));
	(*n)++;
}

static void add_xdp(unsigned ifindex, struct pg_dp_hooked *ret, size_t *n)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q))
		return;
	/* With one program only prog_id is sure to be filled. */
	if (q.attach_mode == XDP_ATTACHED_SKB && !q.skb_prog_id)
		q.skb_prog_id = q.prog_id;
	else if (q.attach_mode == XDP_ATTACHED_HW && !q.hw_prog_id)
		q.hw_prog_id = q.prog_id;
	else if (q.attach_mode == XDP_ATTACHED_DRV && !q.drv_prog_id)
		q.drv_prog_id = q.prog_id;
	add(ret, n, PG_DP_HOOK_XDP_NATIVE, q.drv_prog_id);
	add(ret, n, PG_DP_HOOK_XDP_SKB, q.skb_prog_id);
	add(ret, n, PG_DP_HOOK_XDP_HW, q.hw_prog_id);
}

static void add_tcx(unsigned ifindex, bool out, struct pg_dp_hooked *ret, size_t *n)
{
	__u32 id[PG_DP_HOOKED_MAX] = { 0 };
	LIBBPF_OPTS(bpf_prog_query_opts, q, .prog_ids = id, .prog_cnt = PG_DP_HOOKED_MAX);

	if (bpf_prog_query_opts((int)ifindex, out ? TCX_EGRESS : TCX_INGRESS, &q))
		return;
	for (__u32 i = 0; i < q.prog_cnt && i < PG_DP_HOOKED_MAX; i++)
		add(ret, n, out ? PG_DP_HOOK_TCX_OUT : PG_DP_HOOK_TCX_IN, id[i]);
}

/* The link by which a program is attached to this interface. */
static void find_links(unsigned ifindex, struct pg_dp_hooked *ret, size_t n)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = { 0 };
		__u32 len = sizeof(info);

		/* The interface stands first in TCX's part of the union as in XDP's. */
		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
		    (info.type != BPF_LINK_TYPE_XDP && info.type != LINK_TCX) ||
		    info.xdp.ifindex != ifindex)
			continue;
		for (size_t i = 0; i < n; i++)
			if (ret[i].id == info.prog_id)
				ret[i].link_id = id;
	}
}

/* Is the pinned object this program, or the link that holds it? */
static bool is_it(int fd, const char *kind, const struct pg_dp_hooked *p)
{
	struct bpf_prog_info prog = { 0 };
	struct bpf_link_info link = { 0 };
	__u32 prog_len = sizeof(prog), link_len = sizeof(link);

	if (strstr(kind, "bpf-prog"))
		return !bpf_obj_get_info_by_fd(fd, &prog, &prog_len) && prog.id == p->id;
	return strstr(kind, "link") && p->link_id &&
	       !bpf_obj_get_info_by_fd(fd, &link, &link_len) && link.id == p->link_id;
}

/* nftw() gives its function no argument. */
static struct {
	struct pg_dp_hooked *prog;
	size_t n, seen;
} pins;

static int see_pin(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char kind[32] = "", at[32];
	_close_ int fd = -1;

	(void)st;
	if (type != FTW_F || ftw->level > PIN_DEPTH)
		return 0;
	if (++pins.seen > PINS_MAX)
		return 1;
	fd = bpf_obj_get(path);
	snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
	if (fd < 0 || readlink(at, kind, sizeof(kind) - 1) < 0)
		return 0;
	for (size_t i = 0; i < pins.n; i++)
		if (is_it(fd, kind, &pins.prog[i]))
			pg_printable(path, pins.prog[i].pin, sizeof(pins.prog[i].pin));
	return 0;
}

size_t pg_dp_hooked(unsigned ifindex, struct pg_dp_hooked *ret)
{
	size_t n = 0;

	add_xdp(ifindex, ret, &n);
	add_tcx(ifindex, false, ret, &n);
	add_tcx(ifindex, true, ret, &n);
	if (!n)
		return 0;
	find_links(ifindex, ret, n);
	pins.prog = ret;
	pins.n = n;
	pins.seen = 0;
	nftw("/sys/fs/bpf", see_pin, 16, FTW_PHYS | FTW_MOUNT);
	return n;
}
