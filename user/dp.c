// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "dp.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dp_impl.h"

int pg_dp_fail(struct pg_err *err, int r, const char *what)
{
	const char *more = pg_dp_libbpf_says();

	if (r == -EPERM || r == -EACCES)
		return pg_fail_exit(err, PG_EXIT_RESOURCE, r,
				    "%s: Permission denied (you must be root)", what);
	if (more[0])
		return pg_fail(err, r, "%s: %s (%s)", what, strerror(-r), more);
	return pg_fail(err, r, "%s: %s", what, strerror(-r));
}

struct pg_dp *pg_dp_new(bool writable, bool verbose)
{
	struct pg_dp *dp = calloc(1, sizeof(*dp));
	struct stat ns;

	if (!dp)
		return NULL;
	dp->bpffs_fd = dp->lock_fd = -1;
	dp->writable = writable;
	dp->verbose = verbose;
	for (int i = 0; i < _PG_MAP_MAX; i++)
		dp->map[i].fd = -1;
	if (!stat("/proc/self/ns/net", &ns))
		dp->netns = ns.st_ino;
	return dp;
}

static int make_whole(struct pg_dp *dp, __u32 flows, struct pg_err *err)
{
	int r = pg_dp_create(dp, flows, err);

	if (r)
		pg_dp_remove_pins(dp, NULL);
	return r;
}

int pg_dp_open(const struct pg_dp_opts *opts, struct pg_dp **ret_dp, struct pg_err *err)
{
	_cleanup_(pg_dp_closep) struct pg_dp *dp =
		pg_dp_new(opts->mode != PG_DP_READ, opts->verbose);
	bool create = opts->mode == PG_DP_CREATE;
	bool locks = create || opts->mode == PG_DP_WRITE;
	int r;

	if (!dp)
		return pg_fail(err, -ENOMEM, "out of memory");
	pg_dp_libbpf_listen(opts->verbose);
	r = pg_dp_find_dir(dp, opts->state_dir ? opts->state_dir : PG_STATE_DIR_DEFAULT, create,
			   err);
	if (!r && locks)
		r = pg_dp_lock(dp, opts->wait_s, err);
	if (!r)
		r = pg_dp_open_maps(dp, err);
	if (r == -EPROTO && opts->remove) {
		dp->unreadable = true;
		*ret_dp = TAKE_PTR(dp);
		return 0;
	}
	if (r == -ENOENT && create)
		r = make_whole(dp, opts->flows, err);
	else if (r == -ENOENT && dp->lock_fd >= 0)
		pg_dp_remove_pins(dp, NULL); /* of a command that died while making an instance */
	if (!r && locks) {
		pg_dp_recover(dp);
		r = opts->pending ? 0 : pg_dp_refuse_pending(dp, err);
	}
	if (r)
		return r;
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

int pg_dp_open_private(const struct pg_private_opts *opts, struct pg_dp **ret_dp,
		       struct pg_err *err)
{
	unsigned progs = opts->progs ?: PG_PROG_XDP | PG_PROG_TC_IN | PG_PROG_TC_OUT;
	const struct pg_load_opts load = {
		.progs = progs,
		.ifindex = opts->ifindex ?: opts->iface ? if_nametoindex(opts->iface) : 0,
		.trace = !opts->untraced,
		.skip_csum = opts->skip_checksum,
		.no_fast = opts->general_only,
		.role = opts->fed && (!(progs & PG_PROG_XDP) || pg_dp_can_feed()) ? PG_ROLE_FED :
										   PG_ROLE_ALONE,
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = pg_dp_new(true, false);
	struct pg_iface *slot;
	int r;

	if (!dp)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_create(dp, opts->flows, err);
	if (!r)
		r = pg_dp_load(dp, &load, &dp->skel, err);
	if (!r && load.role == PG_ROLE_FED)
		r = pg_dp_feed_map(dp, err);
	if (r)
		return r;
	slot = dp->map[PG_MAP_IFACES].mem;
	slot->netns = dp->netns;
	slot->ifindex = load.ifindex;
	slot->mode = PG_MODE_TC; /* no packet leaves here: MARK is as good under XDP */
	snprintf(slot->name, sizeof(slot->name), "%s", opts->iface ? opts->iface : "");
	dp->run_ifindex = opts->ifindex;
	pg_dp_set_fragments(dp, opts->fragments);
	if (opts->sets)
		r = pg_dp_sets_share(dp, opts->sets, err);
	if (r)
		return r;
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

void pg_dp_close(struct pg_dp *dp)
{
	if (!dp)
		return;
	pg_dp_unload(dp->skel);
	for (int i = 0; i < _PG_MAP_MAX; i++) {
		if (dp->map[i].mem)
			munmap(dp->map[i].mem, dp->map[i].bytes);
		pg_closep(&dp->map[i].fd);
	}
	if (dp->feed)
		munmap(dp->feed, sizeof(*dp->feed));
	pg_dp_sets_close(dp);
	free(dp->private_text);
	pg_closep(&dp->bpffs_fd);
	pg_closep(&dp->lock_fd);
	free(dp);
}

const char *pg_dp_state_dir(const struct pg_dp *dp)
{
	return dp->state_dir;
}

static __u64 map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

__u64 pg_dp_instance(const struct pg_dp *dp)
{
	return map_id(dp->map[PG_MAP_SHARDS].fd);
}

bool pg_dp_is_pinned(const struct pg_dp *dp)
{
	char path[512];
	_close_ int fd = pg_dp_pin_path(dp, path, sizeof(path), "%s", pg_map_names[PG_MAP_SHARDS]) ?
				 -1 : bpf_obj_get(path);

	return fd >= 0 && map_id(fd) == pg_dp_instance(dp);
}

__u64 pg_dp_memory(struct pg_dp *dp)
{
	__u64 sum = pg_dp_sets_memory(dp) + pg_dp_shadow_memory(dp);

	for (int i = 0; i < _PG_MAP_MAX; i++)
		sum += dp->map[i].mem ? dp->map[i].bytes : pg_dp_fd_memory(dp->map[i].fd);
	return sum;
}

/* Counters ------------------------------------------------------------------------------------- */

/*
 * Programs write while we read: each number is read once, whole, and is right for a moment of its
 * own.
 */
static __u64 now(const __u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void add_count(struct pg_count *sum, const struct pg_count *c)
{
	sum->packets += now(&c->packets);
	sum->bytes += now(&c->bytes);
}

void pg_dp_slot_set(struct pg_dp *dp, __u32 slot, const struct pg_count *count)
{
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		struct pg_shard *shard = pg_dp_shard(dp, s);

		shard->rule[slot] = s ? (struct pg_count){ 0 } : *count;
	}
	((__u32 *)dp->map[PG_MAP_SLOT_BORN].mem)[slot] = pg_dp_last_number(dp);
}

__u32 pg_dp_slot_born(const struct pg_dp *dp, __u32 slot)
{
	return ((const __u32 *)dp->map[PG_MAP_SLOT_BORN].mem)[slot & (PG_COUNTER_SLOTS - 1)];
}

void pg_dp_state_set(struct pg_dp *dp, __u32 state, const struct pg_state *start)
{
	((struct pg_state *)dp->map[PG_MAP_STATES].mem)[state % PG_STATES] = *start;
}

void pg_dp_state_get(const struct pg_dp *dp, __u32 state, struct pg_state *ret)
{
	*ret = ((const struct pg_state *)dp->map[PG_MAP_STATES].mem)[state % PG_STATES];
}

void pg_dp_slot_read(struct pg_dp *dp, __u32 slot, struct pg_count *ret)
{
	*ret = (struct pg_count){ 0 };
	if (slot >= PG_COUNTER_SLOTS)
		return;
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		const struct pg_shard *shard = pg_dp_shard(dp, s);

		add_count(ret, &shard->rule[slot]);
	}
}

static const struct pg_port *port_at(const struct pg_shard *shard, enum pg_port_proto proto, __u32 p)
{
	return proto == PG_PORT_TCP ? &shard->tcp[p].port : &shard->udp[p];
}

void pg_dp_ports_read(struct pg_dp *dp, enum pg_dir dir, enum pg_port_proto proto,
		      struct pg_count *ret)
{
	memset(ret, 0, PG_PORTS * sizeof(*ret));
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		const struct pg_shard *shard = pg_dp_shard(dp, s);

		for (__u32 p = 0; p < PG_PORTS; p++)
			add_count(&ret[p], &port_at(shard, proto, p)->count[dir]);
	}
}

void pg_dp_drops_read(struct pg_dp *dp, enum pg_port_proto proto, __u64 *ret)
{
	memset(ret, 0, PG_PORTS * sizeof(*ret));
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		const struct pg_shard *shard = pg_dp_shard(dp, s);

		for (__u32 p = 0; p < PG_PORTS; p++)
			ret[p] += now(&port_at(shard, proto, p)->dropped);
	}
}

static void add_flags(struct pg_flags *sum, const struct pg_shard *shard, __u32 p)
{
	const struct pg_tcp_port *c = &shard->tcp[p];
	const struct pg_rare_flags *rare = &shard->rare[p];
	const __u64 *const from[_PG_FLAG_MAX] = {
		[PG_FLAG_FIN] = &rare->fin, [PG_FLAG_SYN] = &c->syn,
		[PG_FLAG_RST] = &rare->rst, [PG_FLAG_PSH] = &c->psh,
		[PG_FLAG_ACK] = &c->ack,    [PG_FLAG_URG] = &rare->urg,
		[PG_FLAG_ECE] = &rare->ece, [PG_FLAG_CWR] = &rare->cwr,
	};

	for (int i = 0; i < _PG_FLAG_MAX; i++)
		sum->count[i] += now(from[i]);
}

void pg_dp_flags_read(struct pg_dp *dp, struct pg_flags *ret)
{
	memset(ret, 0, PG_PORTS * sizeof(*ret));
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		const struct pg_shard *shard = pg_dp_shard(dp, s);

		for (__u32 p = 0; p < PG_PORTS; p++)
			add_flags(&ret[p], shard, p);
	}
}

static bool port_is_used(const struct pg_dp *dp, __u32 shards, enum pg_port_proto proto, __u32 p)
{
	for (__u32 s = 0; s < shards; s++) {
		const struct pg_port *c = port_at(pg_dp_shard(dp, s), proto, p);

		if (now(&c->count[PG_DIR_IN].packets) | now(&c->count[PG_DIR_OUT].packets) |
		    now(&c->dropped))
			return true;
	}
	return false;
}

static void sum_port(const struct pg_dp *dp, __u32 shards, struct pg_dp_port *ret)
{
	for (__u32 s = 0; s < shards; s++) {
		const struct pg_shard *shard = pg_dp_shard(dp, s);
		const struct pg_port *c = port_at(shard, ret->proto, ret->port);

		for (int d = 0; d < _PG_DIR_MAX; d++)
			add_count(&ret->count[d], &c->count[d]);
		ret->dropped += now(&c->dropped);
		ret->out_dropped += now(&shard->out_dropped[ret->proto][ret->port]);
		if (ret->proto == PG_PORT_TCP)
			add_flags(&ret->flags, shard, ret->port);
	}
}

int pg_dp_ports_each(struct pg_dp *dp, pg_dp_port_fn *fn, void *arg)
{
	const __u32 shards = pg_dp_ctl(dp)->shards;
	int r = 0;

	for (enum pg_port_proto proto = 0; proto < _PG_PORT_PROTO_MAX; proto++) {
		for (__u32 p = 0; p < PG_PORTS && !r; p++) {
			struct pg_dp_port port = { .proto = proto, .port = (__u16)p };

			if (!port_is_used(dp, shards, proto, p))
				continue;
			sum_port(dp, shards, &port);
			r = fn(arg, &port);
		}
	}
	return r;
}

void pg_dp_totals_read(struct pg_dp *dp, struct pg_totals *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (__u32 s = 0; s < pg_dp_ctl(dp)->shards; s++) {
		const struct pg_shard *shard = pg_dp_shard(dp, s);

		for (__u32 i = 0; i < PG_MAX_IFACES; i++)
			for (__u32 d = 0; d < _PG_DIR_MAX; d++)
				for (__u32 v = 0; v < _PG_VERDICT_MAX; v++)
					for (__u32 r = 0; r < _PG_REASON_MAX; r++)
						add_count(&ret->count[i][d][v][r],
							  &shard->total[i][d][v][r]);
	}
}
