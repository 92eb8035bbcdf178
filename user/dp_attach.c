// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Interfaces: choosing a hook, attaching to it, and knowing what became of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "dp_impl.h"

/* From Linux 6.6's <linux/bpf.h>, which is newer than the distribution's. */
#define TCX_INGRESS ((enum bpf_attach_type)46)
#define TCX_EGRESS ((enum bpf_attach_type)47)

/* Our place among a classic qdisc's filters, where there is no TCX. */
#define TC_HANDLE 1
#define TC_PRIORITY 0x7067

struct nic {
	char name[IFNAMSIZ];
	unsigned ifindex, mtu;
	char driver[32]; /* "" unknown */
	bool ethernet;	 /* frames begin with an Ethernet header */
	bool loopback;
};

/* What we attach to ---------------------------------------------------------------------------- */

static int nic_find(const char *name, struct nic *ret, struct pg_err *err)
{
	_close_ int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo drv = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { 0 };
	char shown[64];

	*ret = (struct nic){ 0 };
	ret->ifindex = strlen(name) < IFNAMSIZ ? if_nametoindex(name) : 0;
	if (!ret->ifindex)
		return pg_fail(err, -ENODEV, "no such interface: '%s'",
			       pg_printable(name, shown, sizeof(shown)));
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (sock < 0 || ioctl(sock, SIOCGIFHWADDR, &ifr))
		return pg_dp_fail(err, -errno, "cannot ask the interface for its type");
	ret->loopback = ifr.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	ret->ethernet = ret->loopback || ifr.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	if (!ioctl(sock, SIOCGIFMTU, &ifr))
		ret->mtu = ifr.ifr_mtu;
	ifr.ifr_data = (void *)&drv;
	if (!ioctl(sock, SIOCETHTOOL, &ifr))
		snprintf(ret->driver, sizeof(ret->driver), "%s", drv.driver);
	return 0;
}

/* Why native XDP is not even to be tried; NULL: try it. */
static const char *why_tc(const struct nic *nic)
{
	if (!nic->ethernet)
		return "the interface has no Ethernet header";
	if (nic->loopback)
		return "loopback has no native XDP";
	if (!strcmp(nic->driver, "veth"))
		return "veth: native XDP would split its peer's GSO packets";
	return NULL;
}

/* Slots and pins ------------------------------------------------------------------------------- */

static struct pg_iface *slots(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_IFACES].mem;
}

static const char *const dir_names[_PG_DIR_MAX] = { "in", "out" };

static int open_pin(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_dir dir)
{
	char path[512];

	if (pg_dp_pin_path(dp, path, sizeof(path), "%s_%u_%s", kind, slot, dir_names[dir]))
		return -1;
	return bpf_obj_get(path);
}

static int make_pin(const struct pg_dp *dp, int fd, const char *kind, __u32 slot, enum pg_dir dir)
{
	char path[512];
	int r = pg_dp_pin_path(dp, path, sizeof(path), "%s_%u_%s", kind, slot, dir_names[dir]);

	if (r)
		return r;
	unlink(path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

static void remove_pin(const struct pg_dp *dp, const char *kind, __u32 slot, enum pg_dir dir)
{
	char path[512];

	if (!pg_dp_pin_path(dp, path, sizeof(path), "%s_%u_%s", kind, slot, dir_names[dir]))
		unlink(path);
}

/* Program id behind a hook of a slot, and the interface its link is on now; 0: none. */
static __u32 attached_prog(const struct pg_dp *dp, __u32 slot, enum pg_dir dir,
			   unsigned *ret_ifindex)
{
	_close_ int link = open_pin(dp, "link", slot, dir), prog = -1;
	struct bpf_prog_info prog_info = { 0 };
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	if (link >= 0) {
		/* The interface stands first in TCX's part of the union as in XDP's. */
		if (bpf_obj_get_info_by_fd(link, &info, &len) || !info.xdp.ifindex)
			return 0;
		*ret_ifindex = info.xdp.ifindex;
		return info.prog_id;
	}
	prog = open_pin(dp, "prog", slot, dir);
	len = sizeof(prog_info);
	if (prog < 0 || bpf_obj_get_info_by_fd(prog, &prog_info, &len))
		return 0;
	*ret_ifindex = slots(dp)[slot].ifindex;
	return prog_info.id;
}

int pg_dp_ifaces(struct pg_dp *dp, struct pg_dp_iface *ret, struct pg_err *err)
{
	(void)err;
	for (__u32 i = 0; i < PG_MAX_IFACES; i++) {
		struct pg_dp_iface *f = &ret[i];
		unsigned in = 0, out = 0;

		*f = (struct pg_dp_iface){ .abi = slots(dp)[i] };
		if (!f->abi.netns)
			continue;
		f->abi.name[sizeof(f->abi.name) - 1] = '\0';
		f->abi.mode_reason[sizeof(f->abi.mode_reason) - 1] = '\0';
		f->here = f->abi.netns == dp->netns;
		f->ingress_prog_id = attached_prog(dp, i, PG_DIR_IN, &in);
		f->egress_prog_id = attached_prog(dp, i, PG_DIR_OUT, &out);
		f->gone = !f->ingress_prog_id || in != f->abi.ifindex;
	}
	return 0;
}

static int slot_of(const struct pg_dp *dp, const char *ifname)
{
	for (int i = 0; i < PG_MAX_IFACES; i++)
		if (slots(dp)[i].netns == dp->netns && !strncmp(slots(dp)[i].name, ifname, IFNAMSIZ))
			return i;
	return -1;
}

static int free_slot(const struct pg_dp *dp)
{
	for (int i = 0; i < PG_IFACE_PAST; i++)
		if (!slots(dp)[i].netns)
			return i;
	return -1;
}

/*
 * A new interface's totals begin at nothing, though another had the slot before: what that one
 * counted goes to the past. Nothing counts in a free slot.
 */
static void retire_totals(struct pg_dp *dp, __u32 slot)
{
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		struct pg_shard *shard = pg_dp_shard(dp, s);
		struct pg_count *from = &shard->total[slot][0][0][0];
		struct pg_count *to = &shard->total[PG_IFACE_PAST][0][0][0];

		for (size_t i = 0; i < sizeof(shard->total[slot]) / sizeof(*from); i++) {
			to[i].packets += from[i].packets;
			to[i].bytes += from[i].bytes;
			from[i] = (struct pg_count){ 0 };
		}
	}
}

int pg_dp_reserve(struct pg_dp *dp, const char *ifname, struct pg_err *err)
{
	struct nic nic;
	int slot, r = nic_find(ifname, &nic, err);

	if (r)
		return r;
	slot = slot_of(dp, ifname);
	if (slot >= 0)
		return 0;
	slot = free_slot(dp);
	if (slot < 0)
		return pg_fail(err, -ENOSPC, "%s: this instance has %d interfaces already",
			       nic.name, PG_IFACE_PAST);
	retire_totals(dp, slot);
	slots(dp)[slot] = (struct pg_iface){ .ifindex = nic.ifindex, .mode = PG_MODE_NONE };
	snprintf(slots(dp)[slot].name, IFNAMSIZ, "%s", nic.name);
	slots(dp)[slot].netns = dp->netns;
	return 0;
}

/* Detaching ------------------------------------------------------------------------------------ */

static void detach_legacy_tc(const struct pg_iface *f, enum pg_dir dir)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = f->ifindex,
		    .attach_point = dir == PG_DIR_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	bpf_tc_detach(&hook, &opts);
}

static void detach_hook(struct pg_dp *dp, __u32 slot, enum pg_dir dir)
{
	_close_ int link = open_pin(dp, "link", slot, dir);
	_close_ int prog = open_pin(dp, "prog", slot, dir);

	if (link >= 0)
		bpf_link_detach(link);
	if (prog >= 0)
		detach_legacy_tc(&slots(dp)[slot], dir);
	remove_pin(dp, "link", slot, dir);
	remove_pin(dp, "prog", slot, dir);
}

static void detach_slot(struct pg_dp *dp, __u32 slot)
{
	detach_hook(dp, slot, PG_DIR_IN);
	detach_hook(dp, slot, PG_DIR_OUT);
	slots(dp)[slot] = (struct pg_iface){ 0 };
}

int pg_dp_detach(struct pg_dp *dp, const char *ifname, struct pg_err *err)
{
	int slot = slot_of(dp, ifname);
	char shown[64];

	if (slot < 0)
		return pg_fail(err, -ENOENT, "'%s' is not attached",
			       pg_printable(ifname, shown, sizeof(shown)));
	detach_slot(dp, slot);
	return 0;
}

int pg_dp_destroy(struct pg_dp *dp, struct pg_err *err)
{
	static const char *const texts[] = { "policy_0", "policy_1" };
	char path[512];

	for (__u32 i = 0; i < PG_MAX_IFACES; i++)
		if (slots(dp)[i].netns)
			detach_slot(dp, i);
	/* pg_tables first: from here on there is no instance, only leftovers. */
	for (size_t i = 0; i < _PG_MAP_MAX + ARRAY_SIZE(texts); i++) {
		const char *name = i < _PG_MAP_MAX ? pg_map_names[i] : texts[i - _PG_MAP_MAX];

		if (!pg_dp_pin_path(dp, path, sizeof(path), "%s", name) && unlink(path) &&
		    errno != ENOENT)
			return pg_dp_fail(err, -errno, "cannot remove a pinned map");
	}
	return pg_dp_remove_dir(dp, err);
}

/* Attaching ------------------------------------------------------------------------------------ */

static void prog_name(__u32 id, char *buf, size_t size)
{
	_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		info.name[0] = '\0';
	pg_printable(info.name[0] ? info.name : "unnamed", buf, size);
}

/* Take another's XDP link off the interface. */
static int force_off_link(unsigned ifindex)
{
	__u32 id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = { 0 };
		__u32 len = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
		    info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex)
			return bpf_link_detach(fd) ? -errno : 0;
	}
	return -ENOENT;
}

/* Nobody else's XDP program may be on the interface; with `force` it is taken off. */
static int refuse_foreign(const struct nic *nic, bool force, struct pg_err *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	char name[64];
	__u32 id;

	if (bpf_xdp_query(nic->ifindex, 0, &q))
		return 0; /* a kernel that can't tell refuses by itself */
	id = q.prog_id ?: q.drv_prog_id ?: q.skb_prog_id ?: q.hw_prog_id;
	if (!id)
		return 0;
	if (force && (!bpf_xdp_detach(nic->ifindex, 0, NULL) || !force_off_link(nic->ifindex)))
		return 0;
	prog_name(id, name, sizeof(name));
	return pg_fail(err, -EBUSY,
		       "%s: another XDP program is attached: %s, id %u; take it off, or use "
		       "--force to replace it or --mode tc to run beside it",
		       nic->name, name, id);
}

/*
 * A refused link says only an errno. The older netlink way carries the driver's own words, so ask
 * that way, too, and take it off again should it succeed after all.
 */
static void explain_refusal(const struct nic *nic, int prog_fd, __u32 flags, int r, char *buf,
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

static int attach_xdp(struct pg_dp *dp, const struct nic *nic, __u32 slot, enum pg_mode mode,
		      int prog_fd, struct pg_err *err)
{
	__u32 flags = mode == PG_MODE_NATIVE ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	_close_ int link = bpf_link_create(prog_fd, nic->ifindex, BPF_XDP, &opts);
	char why[256], hint[96] = "";
	int r;

	if (link >= 0) {
		r = make_pin(dp, link, "link", slot, PG_DIR_IN);
		return r ? pg_dp_fail(err, r, "cannot pin the XDP link") : 0;
	}
	r = -errno;
	if (r == -EPERM || r == -EACCES)
		return pg_dp_fail(err, r, nic->name);
	explain_refusal(nic, prog_fd, flags, r, why, sizeof(why));
	if (nic->mtu > 1500 && mode == PG_MODE_NATIVE)
		snprintf(hint, sizeof(hint), "; lower the MTU (now %u), or use --mode tc",
			 nic->mtu);
	else if (mode == PG_MODE_NATIVE)
		snprintf(hint, sizeof(hint), "; use --mode tc");
	return pg_fail(err, r, "%s: %s XDP refused%s%s: %s%s", nic->name,
		       mode == PG_MODE_NATIVE ? "native" : "skb-mode",
		       nic->driver[0] ? " by driver " : "", nic->driver, why, hint);
}

static int attach_legacy_tc(struct pg_dp *dp, const struct nic *nic, __u32 slot, enum pg_dir dir,
			    int prog_fd, struct pg_err *err)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = nic->ifindex,
		    .attach_point = dir == PG_DIR_IN ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY,
		    .prog_fd = prog_fd, .flags = BPF_TC_F_REPLACE);
	int r = bpf_tc_hook_create(&hook);

	if (!r || r == -EEXIST)
		r = bpf_tc_attach(&hook, &opts);
	if (!r)
		r = make_pin(dp, prog_fd, "prog", slot, dir);
	return r ? pg_dp_fail(err, r, "cannot attach to TC") : 0;
}

static int attach_tc(struct pg_dp *dp, const struct nic *nic, __u32 slot, enum pg_dir dir,
		     int prog_fd, struct pg_err *err)
{
	enum bpf_attach_type type = dir == PG_DIR_IN ? TCX_INGRESS : TCX_EGRESS;
	_close_ int link = -1;
	int r;

	if (!getenv("PORTGUARD_NO_TCX")) /* so that tests reach the older way on newer kernels */
		link = bpf_link_create(prog_fd, nic->ifindex, type, NULL);
	if (link < 0)
		return attach_legacy_tc(dp, nic, slot, dir, prog_fd, err);
	r = make_pin(dp, link, "link", slot, dir);
	return r ? pg_dp_fail(err, r, "cannot pin the TC link") : 0;
}

static int attach_ingress(struct pg_dp *dp, const struct nic *nic, __u32 slot, enum pg_mode mode,
			  const struct portguard_bpf *skel, struct pg_err *err)
{
	if (mode == PG_MODE_TC)
		return attach_tc(dp, nic, slot, PG_DIR_IN, pg_dp_prog_fd(skel, PG_PROG_TC_IN), err);
	return attach_xdp(dp, nic, slot, mode, pg_dp_prog_fd(skel, PG_PROG_XDP), err);
}

/* The modes to try in order, and the reason that `status` gives when it ends at TC. */
static enum pg_mode attach_auto(struct pg_dp *dp, const struct nic *nic, __u32 slot,
				const struct portguard_bpf *skel, char *reason, size_t size,
				struct pg_err *err)
{
	const char *tc = why_tc(nic);

	snprintf(reason, size, "%s", tc ? tc : "the driver supports it");
	if (!tc) {
		if (!attach_ingress(dp, nic, slot, PG_MODE_NATIVE, skel, err))
			return PG_MODE_NATIVE;
		/* "eth0: native XDP refused by …": the interface is said already */
		snprintf(reason, size, "%.*s", (int)size - 1,
			 strncmp(err->text, nic->name, strlen(nic->name)) ?
				 err->text :
				 err->text + strlen(nic->name) + 2);
	}
	if (!attach_ingress(dp, nic, slot, PG_MODE_TC, skel, err))
		return PG_MODE_TC;
	if (nic->ethernet && !attach_ingress(dp, nic, slot, PG_MODE_SKB, skel, err))
		return PG_MODE_SKB;
	return PG_MODE_NONE;
}

static int attach_nic(struct pg_dp *dp, const struct nic *nic, __u32 slot,
		      const struct pg_attach_opts *opts, struct portguard_bpf *skel,
		      struct pg_err *err)
{
	struct pg_iface *f = &slots(dp)[slot];
	struct pg_err why = { 0 };
	int r;

	if (opts->mode == PG_MODE_NONE) {
		f->mode = attach_auto(dp, nic, slot, skel, f->mode_reason, sizeof(f->mode_reason),
				      &why);
		if (f->mode == PG_MODE_NONE) {
			if (err)
				*err = why;
			return -EOPNOTSUPP;
		}
	} else {
		r = attach_ingress(dp, nic, slot, opts->mode, skel, err);
		if (r)
			return r;
		f->mode = opts->mode;
		snprintf(f->mode_reason, sizeof(f->mode_reason), "asked for");
	}
	if (opts->no_egress)
		return 0;
	return attach_tc(dp, nic, slot, PG_DIR_OUT, pg_dp_prog_fd(skel, PG_PROG_TC_OUT), err);
}

/* Already as asked: nothing to do. */
static bool is_attached(const struct pg_dp *dp, __u32 slot, const struct nic *nic,
			const struct pg_attach_opts *opts)
{
	const struct pg_iface *f = &slots(dp)[slot];
	unsigned ifindex = 0, out = 0;

	return f->mode != PG_MODE_NONE && f->ifindex == nic->ifindex &&
	       attached_prog(dp, slot, PG_DIR_IN, &ifindex) && ifindex == nic->ifindex &&
	       (opts->mode == PG_MODE_NONE || opts->mode == f->mode) &&
	       !!attached_prog(dp, slot, PG_DIR_OUT, &out) == !opts->no_egress;
}

int pg_dp_attach(struct pg_dp *dp, const char *ifname, const struct pg_attach_opts *opts,
		 struct pg_err *err)
{
	struct pg_load_opts load = { .progs = PG_PROG_XDP | PG_PROG_TC_IN | PG_PROG_TC_OUT };
	struct portguard_bpf *skel = NULL;
	struct nic nic;
	int slot, r;

	r = nic_find(ifname, &nic, err);
	if (!r)
		r = pg_dp_reserve(dp, ifname, err);
	if (r)
		return r;
	slot = slot_of(dp, ifname);
	if (is_attached(dp, slot, &nic, opts))
		return 0;
	if (opts->mode != PG_MODE_TC && !nic.ethernet && opts->mode != PG_MODE_NONE)
		return pg_fail(err, -EOPNOTSUPP, "%s: no Ethernet header: only --mode tc works here",
			       nic.name);
	detach_hook(dp, slot, PG_DIR_IN);
	detach_hook(dp, slot, PG_DIR_OUT);
	slots(dp)[slot].ifindex = nic.ifindex;
	if (opts->mode != PG_MODE_TC)
		r = refuse_foreign(&nic, opts->force, err);
	load.iface = slot;
	load.no_l2 = !nic.ethernet;
	if (!r)
		r = pg_dp_load(dp, &load, &skel, err);
	if (!r)
		r = attach_nic(dp, &nic, slot, opts, skel, err);
	pg_dp_unload(skel);
	if (r)
		detach_slot(dp, slot);
	return r;
}
