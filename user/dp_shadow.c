// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A policy that is tried beside the one in force: an instance in the directory `shadow` of another.
 * While it runs, the hook of an interface has two programs: link → shadow's (PG_ROLE_SHADOW) → tail
 * call → filter's (PG_ROLE_BESIDE). What was there before stays pinned, as plain_<slot>_<dir>, and is
 * put back in the end.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "dp_multi.h"

#define DIR_NAME "shadow"
/*
 * Pinned when all else is done, and removed before anything: without it a command died over it, and
 * what was compared so far tells nothing. Its time is the trial's beginning.
 */
#define STARTED "started"
/* The text of the policy that it is compared with: the instance keeps only that of its last two. */
#define BESIDE "beside"

static const char *const dir_names[_PG_DIR_MAX] = { "in", "out" };

/* Its directory, as far as a path is concerned. */
static int shadow_of(const struct pg_dp *dp, struct pg_dp **ret, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = pg_dp_new(dp->writable, dp->verbose);

	if (!shadow)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (pg_dp_pin_path(dp, shadow->path, sizeof(shadow->path), DIR_NAME) ||
	    snprintf(shadow->state_dir, sizeof(shadow->state_dir), "%s/" DIR_NAME, dp->state_dir) >=
		    (int)sizeof(shadow->state_dir))
		return pg_fail(err, -ENAMETOOLONG, "state directory: name too long");
	*ret = TAKE_PTR(shadow);
	return 0;
}

static bool exists(const struct pg_dp *shadow)
{
	struct stat dir;

	return !stat(shadow->path, &dir);
}

/* When it was, in seconds since 1970; 0: it was not. */
static __s64 started(const struct pg_dp *shadow)
{
	struct stat pin;
	char path[512];

	return pg_dp_pin_path(shadow, path, sizeof(path), STARTED) || stat(path, &pin) ?
		       0 : (__s64)pin.st_mtime;
}

enum pg_shadow_state pg_dp_shadow_state(const struct pg_dp *dp, __s64 *ret_since)
{
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = NULL;

	*ret_since = 0;
	if (!dp->path[0] || shadow_of(dp, &shadow, NULL) || !exists(shadow))
		return PG_SHADOW_NONE;
	*ret_since = started(shadow);
	return *ret_since ? PG_SHADOW_ON : PG_SHADOW_UNFINISHED;
}

__u32 pg_dp_shadow_generation(const struct pg_dp *dp)
{
	return __atomic_load_n(&pg_dp_ctl(dp)->comparing, __ATOMIC_RELAXED) - 1;
}

int pg_dp_refuse_shadow(struct pg_dp *dp, struct pg_err *err)
{
	__s64 since;

	switch (pg_dp_shadow_state(dp, &since)) {
	case PG_SHADOW_NONE: return 0;
	case PG_SHADOW_UNFINISHED: return pg_dp_shadow_stop(dp, err);
	case PG_SHADOW_ON: break;
	}
	return pg_fail(err, -EBUSY, "a policy is being tried beside the one in force: 'portguard "
				    "promote' or 'portguard shadow --stop' first");
}

/* Making it ------------------------------------------------------------------------------------- */

/* Maps of the other instance's own, in place of those that were made. */
static int share_maps(struct pg_dp *dp, struct pg_dp *shadow)
{
	static const enum pg_map_id shared[] = { PG_MAP_SET_INFO, PG_MAP_SETS_HASH, PG_MAP_SETS_NET };
	char path[512];

	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		int r = pg_dp_pin_path(shadow, path, sizeof(path), "%s", pg_map_names[shared[i]]);

		if (r)
			return r;
		unlink(path);
		if (bpf_obj_pin(dp->map[shared[i]].fd, path))
			return -errno;
	}
	return 0;
}

static int make_handoff(const char *name)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, sizeof(struct pg_handoff),
				libbpf_num_possible_cpus(), &opts);

	return fd < 0 ? -errno : fd;
}

static int make_differences(const char *name)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, name, sizeof(struct pg_difference),
				sizeof(struct pg_count), PG_DIFFERENCES, &opts);

	return fd < 0 ? -errno : fd;
}

static int make_next(const char *name)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, name, 4, 4, 1, NULL);

	return fd < 0 ? -errno : fd;
}

static int pin_as(const struct pg_dp *shadow, int fd, const char *name)
{
	char path[512];
	int r = pg_dp_pin_path(shadow, path, sizeof(path), "%s", name);

	return r ?: bpf_obj_pin(fd, path) ? -errno : 0;
}

static int make_pinned(struct pg_dp *shadow, const char *name, int (*make)(const char *name))
{
	_close_ int fd = make(name);

	return fd < 0 ? fd : pin_as(shadow, fd, name);
}

/* As far as they change what becomes of a packet. Names as they are now: nothing is attached there. */
static int copy_settings(struct pg_dp *dp, struct pg_dp *shadow, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	int r = iface ? pg_dp_ifaces(dp, iface, err) : pg_fail(err, -ENOMEM, "out of memory");

	for (__u32 i = 0; !r && i < PG_MAX_IFACES; i++)
		pg_dp_slots(shadow)[i] = iface[i].abi;
	pg_dp_set_fragments(shadow, pg_dp_fragments(dp));
	pg_dp_flow_settings_copy(shadow, dp);
	return r;
}

/* -ENOENT, silently: none. */
static int open_maps(struct pg_dp *dp, struct pg_dp **ret_shadow, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = NULL;
	int r = shadow_of(dp, &shadow, err);

	if (!r && !exists(shadow))
		return -ENOENT;
	if (!r)
		r = pg_dp_open_maps(shadow, err);
	if (r)
		return r;
	*ret_shadow = TAKE_PTR(shadow);
	return 0;
}

int pg_dp_shadow_create(struct pg_dp *dp, struct pg_dp **ret_shadow, struct pg_err *err)
{
	__u32 flows = dp->map[PG_MAP_FLOWS].entries - PG_HALF_OPEN;
	_cleanup_(pg_dp_closep) struct pg_dp *made = NULL, *shadow = NULL;
	int r = pg_dp_shadow_stop(dp, err);

	if (!r || r == -ENOENT)
		r = shadow_of(dp, &made, err);
	if (!r && mkdir(made->path, 0700))
		r = pg_dp_fail(err, -errno, "cannot make a directory for the policy that is tried");
	if (r)
		return r;
	r = pg_dp_create(made, flows, err);
	if (r)
		return r;
	r = share_maps(dp, made) ?: make_pinned(made, "pg_handoff", make_handoff) ?:
	    make_pinned(made, "pg_differences", make_differences);
	if (r)
		return pg_dp_fail(err, r, "cannot make maps for the policy that is tried");
	r = open_maps(dp, &shadow, err); /* with the shared ones */
	if (!r)
		r = copy_settings(dp, shadow, err);
	if (r)
		return r;
	*ret_shadow = TAKE_PTR(shadow);
	return 0;
}

int pg_dp_shadow_open(struct pg_dp *dp, struct pg_dp **ret_shadow, struct pg_err *err)
{
	__s64 since;

	if (pg_dp_shadow_state(dp, &since) == PG_SHADOW_UNFINISHED)
		return pg_fail(err, -ESTALE,
			       "'apply --shadow' has not come to its end, so nothing was tried: begin again "
			       "with 'portguard apply FILE --shadow', or end it with 'portguard shadow "
			       "--stop'");
	return open_maps(dp, ret_shadow, err);
}

/* Programs -------------------------------------------------------------------------------------- */

/* One direction of one interface. */
struct hook {
	struct pg_dp *dp, *shadow;
	__u32 slot;
	enum pg_dir dir;
	struct pg_load_opts load; /* what both programs have in common */
	struct pg_shadow_maps maps;
};

static int open_pinned(const struct pg_dp *dp, const char *name)
{
	char path[512];
	int r = pg_dp_pin_path(dp, path, sizeof(path), "%s", name);
	int fd = r ? r : bpf_obj_get(path);

	return fd < 0 && !r ? -errno : fd;
}

static int pin_for(const struct hook *h, int fd, const char *kind)
{
	char path[512];
	int r = pg_dp_pin_path(h->shadow, path, sizeof(path), "%s_%u_%s", kind, h->slot,
			       dir_names[h->dir]);

	return r ?: bpf_obj_pin(fd, path) ? -errno : 0;
}

static int load_one(struct hook *h, struct pg_dp *dp, enum pg_role role, const char *kind,
		    int *ret_fd, struct pg_err *err)
{
	struct pg_shadow_maps maps = h->maps;
	struct pg_load_opts opts = h->load;
	struct portguard_bpf *skel = NULL;
	int r;

	if (role == PG_ROLE_SHADOW)
		maps.differences = -1;
	else
		maps.next = -1;
	opts.role = role;
	opts.shadow = &maps;
	r = pg_dp_load(dp, &opts, &skel, err);
	if (r)
		return r;
	*ret_fd = dup(pg_dp_prog_fd(skel, (enum pg_prog)opts.progs));
	r = *ret_fd < 0 ? -errno : pin_for(h, *ret_fd, kind);
	pg_dp_unload(skel);
	return r ? pg_dp_fail(err, r, "cannot pin a program") : 0;
}

/* The one that is there, to be put back; then the two. */
static int start_hook(struct hook *h, __u32 plain_id, struct pg_err *err)
{
	_close_ int plain = bpf_prog_get_fd_by_id(plain_id), first = -1, second = -1;
	__u32 zero = 0;
	int r;

	h->maps.next = make_next("pg_next");
	r = plain < 0 ? -errno : h->maps.next < 0 ? h->maps.next : 0;
	if (!r)
		r = pin_for(h, plain, "plain") ?: pin_for(h, h->maps.next, "next");
	if (r)
		return pg_dp_fail(err, r, "cannot pin a program");
	r = load_one(h, h->dp, PG_ROLE_BESIDE, "second", &second, err);
	if (!r)
		r = load_one(h, h->shadow, PG_ROLE_SHADOW, "first", &first, err);
	if (r)
		return r;
	if (bpf_map_update_elem(h->maps.next, &zero, &second, BPF_ANY))
		return pg_dp_fail(err, -errno, "cannot put one program behind the other");
	return pg_hook_replace(h->dp, h->slot, (enum pg_hook)h->dir, first, err);
}

/* 1: it is started; 0: nothing is attached there. */
static int start_direction(struct hook *h, struct pg_err *err)
{
	const struct pg_iface *f = &pg_dp_slots(h->dp)[h->slot];
	unsigned ifindex = 0;
	__u32 id = pg_hook_prog_id(h->dp, h->slot, (enum pg_hook)h->dir, &ifindex);
	int r;

	if (!id || ifindex != f->ifindex)
		return 0;
	h->load.progs = h->dir == PG_DIR_OUT	? PG_PROG_TC_OUT :
			f->mode == PG_MODE_TC	? PG_PROG_TC_IN :
						  PG_PROG_XDP;
	r = start_hook(h, id, err);
	if (h->maps.next >= 0)
		close(h->maps.next);
	return r ? r : 1;
}

static int start_slot(struct pg_dp *dp, struct pg_dp *shadow, __u32 slot, int handoff,
		      int differences, struct pg_err *err)
{
	const struct pg_iface *f = &pg_dp_slots(dp)[slot];
	struct hook h = { .dp = dp, .shadow = shadow, .slot = slot };
	char name[IFNAMSIZ];
	struct pg_nic nic;
	int r = 0, n = 0;

	if (f->netns != dp->netns || !if_indextoname(f->ifindex, name))
		return 0;
	r = pg_nic_find(name, &nic, err);
	h.load = (struct pg_load_opts){ .iface = slot, .ifindex = f->ifindex,
					.no_l2 = !nic.ethernet, .multi = pg_multi_is(dp, slot),
					.mode = f->mode };
	for (h.dir = 0; r >= 0 && h.dir < _PG_DIR_MAX; h.dir++) {
		h.maps = (struct pg_shadow_maps){ handoff, differences, -1 };
		r = start_direction(&h, err);
		n += r > 0;
	}
	return r < 0 ? r : n;
}

static int copy_flow(void *arg, const struct pg_dp_flow *flow)
{
	struct pg_dp *shadow = arg;
	struct pg_dp_flow own;
	int r;

	/* Those that it has met itself meanwhile are right already, but not what came with a list. */
	if (pg_dp_flow_get(shadow, &flow->key, &own) && own.last_ns >= flow->last_ns)
		return 0;
	r = pg_dp_flow_put(shadow, flow);
	return r == -ENOSPC ? 0 : r;
}

static int copy_flows(struct pg_dp *dp, struct pg_dp *shadow, struct pg_err *err)
{
	int r = 0;

	if (pg_dp_policy_tracks(dp) && pg_dp_policy_tracks(shadow))
		r = pg_dp_flows_walk(dp, copy_flow, shadow);
	return r ? pg_dp_fail(err, r, "cannot copy the flows") : 0;
}

static int keep_text(const struct pg_dp *dp, const struct pg_dp *shadow, __u32 generation)
{
	_close_ int fd = -1;

	if (!pg_dp_ctl(dp)->gen[generation].number)
		return 0;
	fd = pg_dp_text_open(dp, generation);
	return fd < 0 ? fd : pin_as(shadow, fd, BESIDE);
}

int pg_dp_shadow_start(struct pg_dp *dp, struct pg_dp *shadow, struct pg_err *err)
{
	_close_ int handoff = open_pinned(shadow, "pg_handoff");
	_close_ int differences = open_pinned(shadow, "pg_differences");
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 generation = pg_dp_active(dp);
	int r = handoff < 0 ? handoff : differences < 0 ? differences : 0, n = 0;

	if (r)
		return pg_dp_fail(err, r, "cannot open the maps of the policy that is tried");
	r = keep_text(dp, shadow, generation);
	if (r)
		return pg_dp_fail(err, r, "cannot keep the text of the policy in force");
	for (__u32 slot = 0; r >= 0 && slot < PG_IFACE_PAST; slot++) {
		if (!pg_dp_slots(dp)[slot].netns)
			continue;
		r = start_slot(dp, shadow, slot, handoff, differences, err);
		n += r > 0;
	}
	if (r >= 0 && !n)
		r = pg_fail(err, -ENOENT, "no interface of this network namespace is attached");
	if (r >= 0)
		r = copy_flows(dp, shadow, err);
	if (r < 0)
		return r;
	__atomic_store_n(&ctl->comparing, ctl->gen[generation].number + 1, __ATOMIC_RELEASE);
	r = pin_as(shadow, handoff, STARTED);
	return r ? pg_dp_fail(err, r, "cannot pin a map") : n;
}

/* Ending it ------------------------------------------------------------------------------------- */

static __u32 id_of(int fd)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

static int open_for(const struct pg_dp *shadow, const char *kind, __u32 slot, enum pg_dir dir)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%u_%s", kind, slot, dir_names[dir]);
	return open_pinned(shadow, name);
}

/* Unless somebody has attached something else meanwhile. */
static int stop_hook(struct pg_dp *dp, struct pg_dp *shadow, __u32 slot, enum pg_dir dir,
		     struct pg_err *err)
{
	_close_ int first = open_for(shadow, "first", slot, dir);
	_close_ int plain = open_for(shadow, "plain", slot, dir);
	__u32 id = id_of(first);
	int r;

	if (!id || plain < 0 || pg_hook_prog_id(dp, slot, (enum pg_hook)dir, NULL) != id)
		return 0;
	r = pg_hook_replace(dp, slot, (enum pg_hook)dir, plain, err);
	return r == -ENOENT ? 0 : r;
}

static int remove_started(const struct pg_dp *shadow)
{
	char path[512];
	int r = pg_dp_pin_path(shadow, path, sizeof(path), STARTED);

	return r ?: unlink(path) && errno != ENOENT ? -errno : 0;
}

static int remove_all(const struct pg_dp *shadow)
{
	DIR *dir = opendir(shadow->path);
	const struct dirent *entry;
	char path[512];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' &&
		    !pg_dp_pin_path(shadow, path, sizeof(path), "%s", entry->d_name))
			unlink(path);
	}
	if (dir)
		closedir(dir);
	return rmdir(shadow->path) && errno != ENOENT ? -errno : 0;
}

int pg_dp_shadow_stop(struct pg_dp *dp, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = NULL;
	int r = shadow_of(dp, &shadow, err);

	if (r || !exists(shadow))
		return r ? r : -ENOENT;
	r = remove_started(shadow);
	if (r)
		return pg_dp_fail(err, r, "cannot remove the policy that was tried");
	__atomic_store_n(&pg_dp_ctl(dp)->comparing, 0, __ATOMIC_RELEASE);
	for (__u32 slot = 0; !r && slot < PG_IFACE_PAST; slot++)
		for (enum pg_dir dir = 0; !r && dir < _PG_DIR_MAX; dir++)
			r = stop_hook(dp, shadow, slot, dir, err);
	if (r)
		return r;
	r = remove_all(shadow);
	return r ? pg_dp_fail(err, r, "cannot remove the policy that was tried") : 0;
}

/* Reading --------------------------------------------------------------------------------------- */

int pg_dp_shadow_text(const struct pg_dp *dp, const struct pg_dp *shadow, void **ret_text, size_t *ret_n,
		      struct pg_err *err)
{
	__u32 number = pg_dp_shadow_generation(dp);
	_close_ int fd = -1;
	int r;

	if (!number)
		return -ENODATA;
	fd = open_pinned(shadow, BESIDE);
	r = fd < 0 ? fd : pg_dp_text_read(fd, number, ret_text, ret_n);
	return r ? pg_dp_fail(err, r, "cannot read the policy that the trial began beside") : 0;
}

bool pg_dp_shadow_watches(const struct pg_dp *shadow, __u32 slot)
{
	for (enum pg_dir dir = 0; dir < _PG_DIR_MAX; dir++) {
		_close_ int fd = open_for(shadow, "first", slot, dir);

		if (fd >= 0)
			return true;
	}
	return false;
}

/* Programs have no such size, and what is pinned twice or is the other instance's counts once. */
__u64 pg_dp_shadow_memory(const struct pg_dp *dp)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	_cleanup_(pg_dp_closep) struct pg_dp *shadow = NULL;
	const struct dirent *entry;
	char path[512];
	__u64 sum = 0;
	DIR *dir;

	if (!dp->path[0] || shadow_of(dp, &shadow, NULL))
		return 0;
	dir = opendir(shadow->path);
	while (dir && (entry = readdir(dir))) {
		if (!strncmp(entry->d_name, "pg_", 3) && strncmp(entry->d_name, "pg_set", 6) &&
		    !pg_dp_pin_path(shadow, path, sizeof(path), "%s", entry->d_name)) {
			_close_ int fd = bpf_obj_get_opts(path, &opts);

			sum += fd < 0 ? 0 : pg_dp_fd_memory(fd);
		}
	}
	if (dir)
		closedir(dir);
	return sum;
}

static void add(struct pg_count *sum, const struct pg_count *count)
{
	sum->packets += count->packets;
	sum->bytes += count->bytes;
}

static int read_sums(int fd, struct pg_shadow_sums *ret)
{
	*ret = (struct pg_shadow_sums){ 0 };
	for (__u32 cpu = 0; cpu < (__u32)libbpf_num_possible_cpus(); cpu++) {
		struct pg_handoff h;

		if (bpf_map_lookup_elem(fd, &cpu, &h))
			return -errno;
		add(&ret->compared, &h.compared);
		add(&ret->differ, &h.differ);
		add(&ret->lost, &h.lost);
	}
	return 0;
}

int pg_dp_shadow_read(struct pg_dp *shadow, struct pg_shadow_sums *ret, pg_shadow_fn *fn, void *arg,
		      struct pg_err *err)
{
	_close_ int handoff = open_pinned(shadow, "pg_handoff");
	_close_ int differences = open_pinned(shadow, "pg_differences");
	struct pg_difference key, next;
	struct pg_count count;
	bool more;
	int r = handoff < 0 ? handoff : differences < 0 ? differences : read_sums(handoff, ret);

	if (r)
		return pg_dp_fail(err, r, "cannot read what differs");
	more = !bpf_map_get_next_key(differences, NULL, &next);
	while (!r && more) {
		key = next;
		more = !bpf_map_get_next_key(differences, &key, &next);
		if (!bpf_map_lookup_elem(differences, &key, &count))
			r = fn(arg, &key, &count);
	}
	return r;
}
