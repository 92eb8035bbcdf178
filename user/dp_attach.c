// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Interfaces: their slots, choosing a mode, attaching and detaching. */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "dp_mark.h"
#include "dp_multi.h"

/* Slots ---------------------------------------------------------------------------------------- */

/* Is the slot's program on the interface that it was attached to? */
static bool is_live(const struct pg_dp *dp, __u32 slot)
{
	unsigned ifindex = 0;

	return pg_hook_prog_id(dp, slot, PG_HOOK_IN, &ifindex) &&
	       ifindex == pg_dp_slots(dp)[slot].ifindex;
}

/*
 * The slot's interface by the name that it has now: interfaces are renamed while they are
 * attached. One that is gone keeps its last name.
 */
static void current_name(const struct pg_dp *dp, __u32 slot, char *name)
{
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];

	if (f->netns != dp->netns || !is_live(dp, slot) || !if_indextoname(f->ifindex, name))
		snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, f->name);
}

int pg_dp_ifaces(struct pg_dp *dp, struct pg_dp_iface *ret, struct pg_err *err)
{
	char name[IFNAMSIZ];

	(void)err;
	for (__u32 i = 0; i < PG_MAX_IFACES; i++) {
		struct pg_dp_iface *f = &ret[i];

		*f = (struct pg_dp_iface){ .abi = pg_dp_slots(dp)[i] };
		if (!f->abi.netns)
			continue;
		current_name(dp, i, f->abi.name);
		f->abi.mode_reason[sizeof(f->abi.mode_reason) - 1] = '\0';
		f->here = f->abi.netns == dp->netns;
		f->ingress_prog_id = pg_hook_prog_id(dp, i, PG_HOOK_IN, NULL);
		f->egress_prog_id = pg_hook_prog_id(dp, i, PG_HOOK_OUT, NULL);
		f->mark_prog_id = pg_hook_prog_id(dp, i, PG_HOOK_MARK, NULL);
		f->gone = !is_live(dp, i);
		f->moved = f->here && !f->gone && !if_indextoname(f->abi.ifindex, name);
		f->outdated = !f->gone && f->abi.build != pg_dp_build();
		f->multi = !f->gone && pg_multi_is(dp, i);
	}
	return 0;
}

/*
 * The slot of an interface by its name; one that is really there before one that is gone, and that
 * before one that is gone with its network namespace.
 */
static int slot_by_name(const struct pg_dp *dp, const char *ifname)
{
	enum { LIVE, GONE, ELSEWHERE, RANKS };
	int best = -1, best_rank = RANKS;
	char name[IFNAMSIZ];

	for (int i = 0; i < PG_MAX_IFACES; i++) {
		const struct pg_iface *f = &pg_dp_slots(dp)[i];
		bool live = f->netns && is_live(dp, i);
		int rank = live ? LIVE : f->netns == dp->netns ? GONE : ELSEWHERE;

		if (!f->netns || (live && f->netns != dp->netns) || rank >= best_rank)
			continue;
		current_name(dp, i, name);
		if (strcmp(name, ifname))
			continue;
		best = i;
		best_rank = rank;
	}
	return best;
}

static int slot_by_index(const struct pg_dp *dp, unsigned ifindex)
{
	for (int i = 0; i < PG_MAX_IFACES; i++)
		if (pg_dp_slots(dp)[i].netns == dp->netns && pg_dp_slots(dp)[i].ifindex == ifindex)
			return i;
	return -1;
}

/* The slot of another namespace whose program is on this interface: it was moved here. */
static int slot_moved_here(const struct pg_dp *dp, const struct pg_nic *nic)
{
	for (int i = 0; i < PG_IFACE_PAST; i++)
		if (pg_dp_slots(dp)[i].netns && pg_dp_slots(dp)[i].netns != dp->netns &&
		    pg_hook_is_on(dp, i, nic->ifindex))
			return i;
	return -1;
}

static int free_slot(const struct pg_dp *dp)
{
	for (int i = 0; i < PG_IFACE_PAST; i++)
		if (!pg_dp_slots(dp)[i].netns)
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

static int detach_slot(struct pg_dp *dp, __u32 slot, struct pg_err *err)
{
	struct pg_iface *f = &pg_dp_slots(dp)[slot];
	char name[sizeof(f->name)];
	/* The filter behind departures: where that fails, it is on, and so is what it needs. */
	int r = pg_hook_remove(dp, slot, PG_HOOK_OUT, err) ?: pg_hook_remove(dp, slot, PG_HOOK_IN, err) ?:
		pg_hook_remove(dp, slot, PG_HOOK_MARK, err);

	if (r)
		return r;
	memcpy(name, f->name, sizeof(name));
	/* What the black box has of it still has its name. */
	*f = (struct pg_iface){ .ifindex = f->ifindex };
	memcpy(f->name, name, sizeof(name));
	return 0;
}

/* Interfaces that had this one's name and are no more. */
static void forget_gone(struct pg_dp *dp, const struct pg_nic *nic)
{
	char name[IFNAMSIZ];

	for (__u32 i = 0; i < PG_IFACE_PAST; i++) {
		const struct pg_iface *f = &pg_dp_slots(dp)[i];

		if (f->netns == dp->netns && f->ifindex != (__u32)nic->ifindex &&
		    !strncmp(f->name, nic->name, sizeof(f->name)) &&
		    !if_indextoname(f->ifindex, name))
			detach_slot(dp, i, NULL);
	}
}

int pg_dp_reserve(struct pg_dp *dp, const char *ifname, struct pg_err *err)
{
	__u32 space = pg_dp_flow_space(dp);
	struct pg_iface *f;
	struct pg_nic nic;
	int slot, r = pg_nic_find(ifname, &nic, err);

	if (r)
		return r;
	forget_gone(dp, &nic);
	slot = slot_by_index(dp, nic.ifindex);
	if (slot < 0) {
		slot = slot_moved_here(dp, &nic);
		if (slot >= 0) /* its programs know where they were loaded for */
			pg_dp_slots(dp)[slot].build = 0;
	}
	if (slot < 0) {
		slot = free_slot(dp);
		if (slot < 0)
			return pg_fail(err, -ENOSPC, "%s: this instance has %d interfaces already",
				       nic.name, PG_IFACE_PAST);
		retire_totals(dp, slot);
		pg_dp_slots(dp)[slot] = (struct pg_iface){ .ifindex = nic.ifindex };
	}
	f = &pg_dp_slots(dp)[slot];
	f->ifindex = nic.ifindex;
	snprintf(f->name, IFNAMSIZ, "%s", nic.name);
	if (!pg_dp_flow_has_space(dp)) /* a namespace that is gone may have had the number */
		pg_dp_flow_forget_space(dp, space);
	f->netns = dp->netns;
	f->space = space;
	return 0;
}

/* Marks ---------------------------------------------------------------------------------------- */

int pg_dp_marks_open(struct pg_dp *dp, struct pg_err *err)
{
	char name[IFNAMSIZ];
	struct pg_nic nic;
	int r = 0;

	for (__u32 i = 0; !r && i < PG_IFACE_PAST; i++) {
		const struct pg_iface *f = &pg_dp_slots(dp)[i];

		if (!f->netns || !pg_is_xdp(f->mode) || !pg_hook_prog_id(dp, i, PG_HOOK_IN, NULL) ||
		    pg_hook_prog_id(dp, i, PG_HOOK_MARK, NULL))
			continue;
		/* Or it was moved there, and may have another number. */
		if (f->netns != dp->netns || !is_live(dp, i) || !if_indextoname(f->ifindex, name))
			return pg_hook_refuse_elsewhere(f, err);
		r = pg_nic_find(name, &nic, err) ?: pg_mark_install(dp, &nic, i, f->mode, pg_multi_is(dp, i), err);
	}
	return r;
}

void pg_dp_marks_close(struct pg_dp *dp)
{
	for (__u32 i = 0; i < PG_IFACE_PAST && !(pg_dp_needs(dp) & PG_NEED_MARKS); i++)
		if (pg_dp_slots(dp)[i].netns)
			pg_hook_remove(dp, i, PG_HOOK_MARK, NULL); /* one that stays does nothing */
}

/* Detaching ------------------------------------------------------------------------------------ */

bool pg_dp_is_attached(const struct pg_dp *dp, const char *ifname)
{
	return slot_by_name(dp, ifname) >= 0;
}

int pg_dp_detach(struct pg_dp *dp, const char *ifname, struct pg_err *err)
{
	int slot = slot_by_name(dp, ifname);
	char shown[64];

	if (slot < 0)
		return pg_fail(err, -ENOENT, "'%s' is not attached",
			       pg_printable(ifname, shown, sizeof(shown)));
	return detach_slot(dp, slot, err);
}

int pg_dp_destroy(struct pg_dp *dp, struct pg_err *err)
{
	int r = dp->unreadable ? 0 : pg_dp_shadow_stop(dp, err);

	if (r == -ENOENT)
		r = 0;
	if (!r && dp->unreadable)
		r = pg_hook_remove_unknown(dp, err);
	for (__u32 i = 0; !dp->unreadable && !r && i < PG_MAX_IFACES; i++)
		if (pg_dp_slots(dp)[i].netns)
			r = detach_slot(dp, i, err);
	return r ? r : pg_dp_remove_pins(dp, err);
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

/* Id of an XDP program that is not this slot's; 0: there is none. */
static __u32 foreign_xdp(const struct pg_dp *dp, const struct pg_nic *nic, __u32 slot)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	__u32 id;

	if (bpf_xdp_query(nic->ifindex, 0, &q))
		return 0; /* a kernel that can't tell refuses by itself */
	id = q.prog_id ?: q.drv_prog_id ?: q.skb_prog_id ?: q.hw_prog_id;
	return id == pg_hook_prog_id(dp, slot, PG_HOOK_IN, NULL) ? 0 : id;
}

static bool is_dispatcher(__u32 id)
{
	char name[64];

	prog_name(id, name, sizeof(name));
	return !strcmp(name, PG_DISPATCHER);
}

static int refuse_foreign(const struct pg_nic *nic, __u32 id, struct pg_err *err)
{
	char name[64];

	prog_name(id, name, sizeof(name));
	if (is_dispatcher(id))
		return pg_fail(err, -EBUSY,
			       "%s: libxdp's dispatcher is attached (%s, id %u), with programs of other "
			       "tools: use --multiprog to be one of them, --mode tc to run behind them, or "
			       "--force to replace it",
			       nic->name, name, id);
	return pg_fail(err, -EBUSY,
		       "%s: another XDP program is attached: %s, id %u; take it off, or use "
		       "--force to replace it or --mode tc to run beside it",
		       nic->name, name, id);
}

/* What one attach is about. */
struct job {
	const struct pg_nic *nic;
	__u32 slot;
	const struct portguard_bpf *skel;
	enum pg_mode mode; /* that it came to */
	bool multi;
	char reason[104];
};

static int try_mode(struct pg_dp *dp, struct job *job, enum pg_mode mode, struct pg_err *err)
{
	int tc = pg_dp_prog_fd(job->skel, PG_PROG_TC_IN);
	int prog = mode == PG_MODE_TC ? tc : pg_dp_prog_fd(job->skel, PG_PROG_XDP);
	const struct pg_hook_progs progs = { prog, tc, job->multi };
	int r = 0;

	if (pg_is_xdp(mode) && pg_dp_needs(dp) & PG_NEED_MARKS)
		r = pg_mark_install(dp, job->nic, job->slot, mode, job->multi, err);
	r = r ?: pg_hook_install(dp, job->nic, job->slot, PG_HOOK_IN, mode, &progs, err);
	if (r)
		return r;
	job->mode = mode;
	if (mode == PG_MODE_TC)
		pg_hook_remove(dp, job->slot, PG_HOOK_MARK, NULL); /* one that stays does nothing */
	return 0;
}

/* "eth0: native XDP refused by …; advice": the interface is said already, the advice taken. */
static void reason_from_refusal(struct job *job, const struct pg_err *why)
{
	size_t name = strlen(job->nic->name);
	const char *text = why->text;

	if (!strncmp(text, job->nic->name, name) && text[name] == ':')
		text += name + 2;
	snprintf(job->reason, sizeof(job->reason), "%.*s", (int)strcspn(text, ";"), text);
}

/* A dispatcher that is there has its mode already. */
static int attach_multi(struct pg_dp *dp, struct job *job, enum pg_mode mode, struct pg_err *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	bool there = !bpf_xdp_query(job->nic->ifindex, 0, &q) && q.attach_mode != XDP_ATTACHED_NONE;
	struct pg_err why = { 0 };

	snprintf(job->reason, sizeof(job->reason), "one of libxdp's dispatcher's programs");
	if (mode == PG_MODE_NONE && there)
		mode = q.attach_mode == XDP_ATTACHED_SKB ? PG_MODE_SKB : PG_MODE_NATIVE;
	if (mode != PG_MODE_NONE)
		return try_mode(dp, job, mode, err);
	return pg_nic_why_tc(job->nic) || try_mode(dp, job, PG_MODE_NATIVE, &why) ?
		       try_mode(dp, job, PG_MODE_SKB, err) : 0;
}

static int attach_auto(struct pg_dp *dp, struct job *job, struct pg_err *err)
{
	const char *tc = pg_nic_why_tc(job->nic);
	struct pg_err why = { 0 };

	snprintf(job->reason, sizeof(job->reason), "%s", tc ? tc : "the driver supports it");
	if (!tc) {
		if (!try_mode(dp, job, PG_MODE_NATIVE, &why))
			return 0;
		reason_from_refusal(job, &why);
	}
	if (!try_mode(dp, job, PG_MODE_TC, err))
		return 0;
	return job->nic->ethernet ? try_mode(dp, job, PG_MODE_SKB, err) : -EOPNOTSUPP;
}

/* What an operator should know of the mode, beside why it was taken. */
static void add_caveat(struct job *job)
{
	size_t n = strlen(job->reason);
	const char *caveat = "";

	if (job->mode == PG_MODE_NATIVE && job->nic->strips_vlan)
		caveat = "; the NIC may strip VLAN tags before (rx-vlan-offload)";
	else if (job->mode == PG_MODE_SKB)
		caveat = "; a GSO packet counts as one";
	snprintf(job->reason + n, sizeof(job->reason) - n, "%s", caveat);
}

static int attach_ingress(struct pg_dp *dp, struct job *job, const struct pg_attach_opts *opts,
			  struct pg_err *err)
{
	struct pg_iface *f = &pg_dp_slots(dp)[job->slot];
	int r;

	if (opts->multi) {
		r = attach_multi(dp, job, opts->mode, err);
	} else if (opts->mode == PG_MODE_NONE) {
		r = attach_auto(dp, job, err);
	} else {
		snprintf(job->reason, sizeof(job->reason), "%s",
			 opts->reason ? opts->reason : "asked for");
		r = try_mode(dp, job, opts->mode, err);
	}
	if (r)
		return r;
	if (!opts->reason)
		add_caveat(job);
	f->mode = job->mode;
	snprintf(f->mode_reason, sizeof(f->mode_reason), "%s", job->reason);
	return 0;
}

static int attach_hooks(struct pg_dp *dp, struct job *job, const struct pg_attach_opts *opts,
			bool ingress, bool egress, struct pg_err *err)
{
	int r = ingress ? attach_ingress(dp, job, opts, err) : 0;

	if (r || !egress)
		return r;
	if (opts->no_egress)
		return pg_hook_remove(dp, job->slot, PG_HOOK_OUT, err);
	return pg_hook_install(dp, job->nic, job->slot, PG_HOOK_OUT, PG_MODE_TC,
			       &(struct pg_hook_progs){ pg_dp_prog_fd(job->skel, PG_PROG_TC_OUT), -1, false },
			       err);
}

/* The directions that `done` does not name keep their mode and get these programs. */
static int replace_progs(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot,
			 const struct portguard_bpf *skel, const bool done[_PG_DIR_MAX], struct pg_err *err)
{
	enum pg_prog in = pg_dp_slots(dp)[slot].mode == PG_MODE_TC ? PG_PROG_TC_IN : PG_PROG_XDP;
	const enum pg_prog prog[_PG_DIR_MAX] = { [PG_DIR_IN] = in, [PG_DIR_OUT] = PG_PROG_TC_OUT };
	int r = 0;

	for (enum pg_hook at = PG_HOOK_IN; !r && at <= PG_HOOK_OUT; at++)
		if (!done[at] && pg_hook_prog_id(dp, slot, at, NULL))
			r = pg_hook_replace(dp, slot, at, pg_dp_prog_fd(skel, prog[at]), err);
	if (!r && !done[PG_HOOK_IN] && pg_is_xdp(pg_dp_slots(dp)[slot].mode) && pg_dp_needs(dp) & PG_NEED_MARKS)
		r = pg_mark_install(dp, nic, slot, pg_dp_slots(dp)[slot].mode, pg_multi_is(dp, slot), err);
	if (!r)
		pg_dp_slots(dp)[slot].build = pg_dp_build();
	return r;
}

/* May XDP be attached as asked for? *ret_foreign: the program that it is to replace, by --force. */
static int check_xdp(const struct pg_dp *dp, const struct pg_nic *nic, __u32 slot,
		     const struct pg_attach_opts *opts, __u32 *ret_foreign, struct pg_err *err)
{
	bool multi = pg_multi_is(dp, slot);
	__u32 foreign = foreign_xdp(dp, nic, slot);

	if (is_live(dp, slot) && (multi || (opts->multi && pg_dp_slots(dp)[slot].mode != PG_MODE_TC)))
		return pg_fail(err, -EBUSY, "%s: attached %s libxdp's dispatcher: detach it first", nic->name,
			       multi ? "to" : "without");
	if (foreign && !(opts->multi && is_dispatcher(foreign)))
		*ret_foreign = foreign;
	if (*ret_foreign && !opts->force)
		return refuse_foreign(nic, foreign, err);
	return opts->multi ? pg_multi_check(dp, nic, *ret_foreign, err) : 0;
}

/* Without a mode, the kernel would look for a native program only where the driver takes one. */
static __u32 xdp_mode_flag(unsigned ifindex, __u32 id)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)ifindex, 0, &q))
		return 0;
	return id == q.skb_prog_id ? XDP_FLAGS_SKB_MODE :
	       id == q.hw_prog_id  ? XDP_FLAGS_HW_MODE :
				     XDP_FLAGS_DRV_MODE;
}

/* Where ours can't take its place, `foreign` is put back: one that a link held is held by none then. */
static int attach_for(struct pg_dp *dp, struct job *job, const struct pg_attach_opts *opts, bool ingress,
		      bool egress, __u32 foreign, struct pg_err *err)
{
	_close_ int fd = foreign ? bpf_prog_get_fd_by_id(foreign) : -1;
	__u32 flags = foreign ? xdp_mode_flag(job->nic->ifindex, foreign) : 0;
	int r;

	if (foreign && bpf_xdp_detach(job->nic->ifindex, flags, NULL) && force_off_link(job->nic->ifindex))
		return refuse_foreign(job->nic, foreign, err);
	r = attach_hooks(dp, job, opts, ingress, egress, err);
	if (r && fd >= 0)
		bpf_xdp_attach(job->nic->ifindex, fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	return r;
}

static int upgrade_slot(struct pg_dp *dp, __u32 slot, struct pg_err *err)
{
	const bool none[_PG_DIR_MAX] = { false };
	char name[IFNAMSIZ];
	struct pg_load_opts load = { .progs = PG_PROG_XDP | PG_PROG_TC_IN | PG_PROG_TC_OUT,
				     .iface = slot,
				     .mode = pg_dp_slots(dp)[slot].mode };
	struct portguard_bpf *skel = NULL;
	struct pg_nic nic;
	int r;

	current_name(dp, slot, name);
	r = pg_nic_find(name, &nic, err);
	if (r)
		return r;
	load.ifindex = nic.ifindex;
	load.no_l2 = !nic.ethernet;
	load.multi = pg_multi_is(dp, slot);
	r = pg_dp_load(dp, &load, &skel, err);
	if (!r)
		r = replace_progs(dp, &nic, slot, skel, none, err);
	pg_dp_unload(skel);
	return r;
}

/* Only what differs from what is asked for is touched, and nothing before all is loaded. */
static int attach_slot(struct pg_dp *dp, const struct pg_nic *nic, __u32 slot,
		       const struct pg_attach_opts *opts, struct pg_err *err)
{
	struct pg_load_opts load = { .progs = PG_PROG_XDP | PG_PROG_TC_IN | PG_PROG_TC_OUT,
				     .iface = slot,
				     .ifindex = nic->ifindex,
				     .no_l2 = !nic->ethernet,
				     .multi = opts->multi || pg_multi_prog_id(dp, slot, NULL) };
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	struct portguard_bpf *skel = NULL;
	struct job job = { .nic = nic, .slot = slot, .multi = opts->multi };
	bool ingress, egress;
	__u32 foreign = 0;
	int r;

	ingress = !is_live(dp, slot) || (opts->mode != PG_MODE_NONE && opts->mode != f->mode) ||
		  (opts->multi && !pg_multi_is(dp, slot));
	egress = !!pg_hook_prog_id(dp, slot, PG_HOOK_OUT, NULL) == opts->no_egress;
	load.mode = ingress ? opts->mode : f->mode;
	if (!ingress && !egress && f->build == pg_dp_build())
		return 0;
	r = pg_dp_refuse_shadow(dp, err);
	if (r)
		return r;
	if (ingress && opts->mode != PG_MODE_TC)
		r = check_xdp(dp, nic, slot, opts, &foreign, err);
	r = r ?: pg_dp_load(dp, &load, &skel, err);
	if (r)
		return r;
	job.skel = skel;
	r = attach_for(dp, &job, opts, ingress, egress, foreign, err);
	if (!r)
		r = replace_progs(dp, nic, slot, skel, (bool[]){ ingress, egress }, err);
	pg_dp_unload(skel);
	/* Loaded for a mode that it did not come to, or to the old one's place. */
	if (ingress && !load.multi && is_live(dp, slot) && pg_is_xdp(f->mode) &&
	    (load.mode == PG_MODE_SKB) != (f->mode == PG_MODE_SKB)) {
		int mended = upgrade_slot(dp, slot, r ? NULL : err);

		r = r ?: mended;
	}
	return r;
}

int pg_dp_attach(struct pg_dp *dp, const char *ifname, const struct pg_attach_opts *opts,
		 struct pg_err *err)
{
	struct pg_nic nic;
	bool was_live;
	int slot, r;

	r = pg_nic_find(ifname, &nic, err);
	if (!r)
		r = pg_dp_reserve(dp, ifname, err);
	if (r)
		return r;
	slot = slot_by_index(dp, nic.ifindex);
	r = pg_hook_settle(dp, &nic, slot, PG_HOOK_IN, err) ?:
	    pg_hook_settle(dp, &nic, slot, PG_HOOK_OUT, err);
	if (r)
		return r;
	was_live = is_live(dp, slot);
	if (!nic.ethernet && (opts->mode == PG_MODE_NATIVE || opts->mode == PG_MODE_SKB))
		r = pg_fail(err, -EOPNOTSUPP, "%s: no Ethernet header: only --mode tc works here",
			    nic.name);
	else
		r = attach_slot(dp, &nic, slot, opts, err);
	if (r && !was_live && !is_live(dp, slot)) /* there was nothing before: leave nothing */
		detach_slot(dp, slot, NULL);
	return r;
}

int pg_dp_upgrade(struct pg_dp *dp, bool all, void (*done)(const char *ifname, bool replaced),
		  struct pg_err *err)
{
	char name[IFNAMSIZ], shown[IFNAMSIZ];
	int r = 0, elsewhere = 0;

	for (__u32 i = 0; !r && i < PG_IFACE_PAST; i++) {
		const struct pg_iface *f = &pg_dp_slots(dp)[i];
		bool stale = all || f->build != pg_dp_build();

		if (!f->netns || !is_live(dp, i))
			continue;
		current_name(dp, i, name);
		if (stale && (f->netns != dp->netns || !if_indextoname(f->ifindex, name)))
			elsewhere = pg_fail(err, -EXDEV,
					    "%s is in another network namespace: upgrade it from there",
					    pg_printable(name, shown, sizeof(shown)));
		else if (!stale || !(r = pg_dp_refuse_shadow(dp, err) ?: upgrade_slot(dp, i, err)))
			done(name, stale);
	}
	return r ?: elsewhere;
}
