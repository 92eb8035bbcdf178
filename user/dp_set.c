// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Named sets in the kernel: one map for each set's entries, reached by the set's number through an
 * array of maps, so that exchanging the whole of a set is one write that no packet sees half of.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "dp_impl.h"

#define CHUNK 4096U	  /* entries in one system call */
#define HASH_SIZE_MIN 64U /* ip_set's */

#ifndef ENOTSUPP
#define ENOTSUPP 524 /* the kernel's own, for batches that a kind of map does not have */
#endif

static struct pg_set_info *infos(const struct pg_dp *dp)
{
	return dp->map[PG_MAP_SET_INFO].mem;
}

static int outer_fd(const struct pg_dp *dp, bool net)
{
	return dp->map[net ? PG_MAP_SETS_NET : PG_MAP_SETS_HASH].fd;
}

static size_t key_size(bool net)
{
	return net ? sizeof(struct pg_set_net_key) : sizeof(struct pg_set_key);
}

/* Maps ----------------------------------------------------------------------------------------- */

static int make_inner(bool net, __u32 entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(net ? BPF_MAP_TYPE_LPM_TRIE : BPF_MAP_TYPE_HASH, "pg_set",
				key_size(net), sizeof(struct pg_set_value), entries, &opts);

	return fd < 0 ? -errno : fd;
}

static int make_outer(bool net)
{
	_close_ int inner = make_inner(net, 1);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (__u32)inner);
	int fd;

	if (inner < 0)
		return inner;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS,
			    pg_map_names[net ? PG_MAP_SETS_NET : PG_MAP_SETS_HASH], sizeof(__u32),
			    sizeof(__u32), PG_SETS, &opts);
	return fd < 0 ? -errno : fd;
}

int pg_dp_sets_make(struct pg_dp *dp)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int info = bpf_map_create(BPF_MAP_TYPE_ARRAY, pg_map_names[PG_MAP_SET_INFO], sizeof(__u32),
				  sizeof(struct pg_set_info), PG_SETS, &opts);
	int hash, net;

	if (info < 0)
		return -errno;
	dp->map[PG_MAP_SET_INFO].fd = info;
	hash = make_outer(false);
	if (hash < 0)
		return hash;
	dp->map[PG_MAP_SETS_HASH].fd = hash;
	net = make_outer(true);
	if (net < 0)
		return net;
	dp->map[PG_MAP_SETS_NET].fd = net;
	return 0;
}

void pg_dp_sets_close(struct pg_dp *dp)
{
	for (__u32 i = 0; dp->set_fd && i < PG_SETS; i++)
		pg_closep(&dp->set_fd[i]);
	free(dp->set_fd);
	dp->set_fd = NULL;
}

/*
 * Entries' maps are pinned, too, as set_<id>: only who has CAP_SYS_ADMIN may open a map by the id that
 * an outer map has of it.
 */
static int open_inner(const struct pg_dp *dp, __u32 id)
{
	char path[512];
	int fd = -1;

	if (dp->path[0] && !pg_dp_pin_path(dp, path, sizeof(path), "set_%u", id))
		fd = bpf_obj_get(path);
	return fd >= 0 ? fd : bpf_map_get_fd_by_id(id);
}

static int pin_inner(const struct pg_dp *dp, int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);
	char path[512];

	if (!dp->path[0])
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	if (pg_dp_pin_path(dp, path, sizeof(path), "set_%u", info.id))
		return -ENAMETOOLONG;
	return bpf_obj_pin(fd, path) && errno != EEXIST ? -errno : 0;
}

static bool is_among(const __u32 *ids, size_t n, __u32 id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

void pg_dp_sets_unpin(const struct pg_dp *dp, bool all)
{
	DIR *dir = dp->path[0] ? opendir(dp->path) : NULL;
	__u32 used[PG_SETS];
	struct dirent *e;
	char path[512];
	unsigned id;
	size_t n = 0;

	for (__u32 i = 0; !all && i < PG_SETS; i++)
		if (infos(dp)[i].type &&
		    !bpf_map_lookup_elem(outer_fd(dp, infos(dp)[i].net), &i, &used[n]))
			n++;
	while (dir && (e = readdir(dir)))
		if (sscanf(e->d_name, "set_%u", &id) == 1 && !is_among(used, n, id) &&
		    !pg_dp_pin_path(dp, path, sizeof(path), "%s", e->d_name))
			unlink(path);
	if (dir)
		closedir(dir);
}

/* The map of set `number`'s entries; it belongs to dp. */
static int inner_fd(struct pg_dp *dp, __u32 number)
{
	__u32 id;

	if (!dp->set_fd) {
		dp->set_fd = malloc(PG_SETS * sizeof(*dp->set_fd));
		if (!dp->set_fd)
			return -ENOMEM;
		for (__u32 i = 0; i < PG_SETS; i++)
			dp->set_fd[i] = -1;
	}
	if (dp->set_fd[number] < 0) {
		if (bpf_map_lookup_elem(outer_fd(dp, infos(dp)[number].net), &number, &id))
			return -errno;
		dp->set_fd[number] = open_inner(dp, id);
	}
	return dp->set_fd[number] < 0 ? -errno : dp->set_fd[number];
}

__u64 pg_dp_fd_memory(int fd)
{
	_fclose_ FILE *f = NULL;
	unsigned long long bytes;
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			return bytes;
	return 0;
}

__u64 pg_dp_set_memory(struct pg_dp *dp, __u32 number)
{
	int fd = inner_fd(dp, number);

	return fd < 0 ? 0 : pg_dp_fd_memory(fd);
}

__u64 pg_dp_sets_memory(struct pg_dp *dp)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < PG_SETS; i++)
		if (infos(dp)[i].type)
			sum += pg_dp_set_memory(dp, i);
	return sum;
}

/* Entries as the kernel has them --------------------------------------------------------------- */

static void to_key(bool net, const struct pg_set_entry *e, void *ret)
{
	struct pg_set_net_key nkey = {
		.prefixlen = PG_SET_FAMILY_BITS + e->prefix,
		.family = e->key.family,
	};

	if (!net) {
		memcpy(ret, &e->key, sizeof(e->key));
		return;
	}
	memcpy(nkey.addr, e->key.addr, sizeof(nkey.addr));
	memcpy(ret, &nkey, sizeof(nkey));
}

static struct pg_set_value to_value(const struct pg_set_entry *e)
{
	return (struct pg_set_value){
		.expires_ns = e->expires_ns,
		.prefix = e->prefix,
		.nomatch = e->nomatch,
	};
}

static struct pg_set_entry to_entry(bool net, const void *key, const struct pg_set_value *v)
{
	struct pg_set_entry e = { .nomatch = v->nomatch, .expires_ns = v->expires_ns };
	struct pg_set_net_key nkey;

	if (!net) {
		memcpy(&e.key, key, sizeof(e.key));
		return e;
	}
	memcpy(&nkey, key, sizeof(nkey));
	memcpy(e.key.addr, nkey.addr, sizeof(e.key.addr));
	e.key.family = (__u8)nkey.family;
	e.prefix = (uint8_t)(nkey.prefixlen - PG_SET_FAMILY_BITS);
	return e;
}

static bool no_batches(int r)
{
	return r == -ENOTSUPP || r == -EINVAL || r == -EOPNOTSUPP;
}

/* Entries on their way into or out of a map, so many at once as a system call takes. */
struct batch {
	int fd;
	bool net;
	__u32 n;
	char keys[CHUNK * sizeof(struct pg_set_net_key)]; /* the larger one */
	struct pg_set_value values[CHUNK];
};

static void free_batchp(struct batch **b)
{
	free(*b);
}

static struct batch *new_batch(int fd, bool net)
{
	struct batch *b = malloc(sizeof(*b));

	if (b) {
		b->fd = fd;
		b->net = net;
		b->n = 0;
	}
	return b;
}

static int put_singly(struct batch *b)
{
	for (__u32 i = 0; i < b->n; i++)
		if (bpf_map_update_elem(b->fd, b->keys + i * key_size(b->net), &b->values[i],
					BPF_ANY))
			return -errno;
	return 0;
}

static int put_flush(struct batch *b)
{
	__u32 n = b->n;
	int r = 0;

	if (n && bpf_map_update_batch(b->fd, b->keys, b->values, &n, NULL))
		r = -errno;
	if (no_batches(r))
		r = put_singly(b);
	b->n = 0;
	return r;
}

static int put(struct batch *b, const struct pg_set_entry *e)
{
	to_key(b->net, e, b->keys + b->n * key_size(b->net));
	b->values[b->n++] = to_value(e);
	return b->n == CHUNK ? put_flush(b) : 0;
}

/* What is gone already is no error. */
static int drop_flush(struct batch *b)
{
	int r = 0;

	for (__u32 i = 0; !r && i < b->n; i++)
		if (bpf_map_delete_elem(b->fd, b->keys + i * key_size(b->net)) && errno != ENOENT)
			r = -errno;
	b->n = 0;
	return r;
}

static int drop(struct batch *b, const struct pg_set_entry *e)
{
	to_key(b->net, e, b->keys + b->n++ * key_size(b->net));
	return b->n == CHUNK ? drop_flush(b) : 0;
}

/* Walking a map -------------------------------------------------------------------------------- */

typedef int (*walk_fn)(void *arg, const struct pg_set_entry *e);

static int walk_singly(int fd, bool net, walk_fn fn, void *arg)
{
	char key[sizeof(struct pg_set_net_key)], next[sizeof(key)];
	struct pg_set_value v;
	void *from = NULL;
	int r = 0;

	while (!r && !bpf_map_get_next_key(fd, from, next)) {
		memcpy(key, next, sizeof(key));
		from = key;
		if (!bpf_map_lookup_elem(fd, key, &v)) {
			struct pg_set_entry e = to_entry(net, key, &v);

			r = fn(arg, &e);
		}
	}
	return r;
}

static int walk_batches(int fd, bool net, walk_fn fn, void *arg)
{
	_cleanup_(free_batchp) struct batch *b = new_batch(fd, net);
	char token[sizeof(struct pg_set_net_key)];
	void *from = NULL;
	int r = 0, last;

	if (!b)
		return -ENOMEM;
	do {
		b->n = CHUNK;
		last = bpf_map_lookup_batch(fd, from, token, b->keys, b->values, &b->n, NULL);
		last = last ? -errno : 0;
		if (last && last != -ENOENT)
			return last;
		for (__u32 i = 0; !r && i < b->n; i++) {
			struct pg_set_entry e =
				to_entry(net, b->keys + i * key_size(net), &b->values[i]);

			r = fn(arg, &e);
		}
		from = token;
	} while (!r && !last);
	return r;
}

/* -ENOSPC: a bucket with more entries than a batch takes, which a good hash does not have. */
static int walk(int fd, bool net, walk_fn fn, void *arg)
{
	int r = walk_batches(fd, net, fn, arg);

	return no_batches(r) ? walk_singly(fd, net, fn, arg) : r;
}

int pg_dp_set_walk(struct pg_dp *dp, __u32 number,
		   int (*fn)(void *arg, const struct pg_set_entry *entry), void *arg,
		   struct pg_err *err)
{
	int fd = inner_fd(dp, number), r;

	/* Destroyed just now: readers hold no lock. */
	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : walk(fd, infos(dp)[number].net, fn, arg);
	return r ? pg_dp_fail(err, r, "cannot read a set") : 0;
}

/* Finding -------------------------------------------------------------------------------------- */

/* The memory is anybody's who may write to the instance: what no command has made is no set. */
static bool is_sound(const struct pg_set_info *info)
{
	char shown[sizeof(info->name)];

	return memchr(info->name, '\0', sizeof(info->name)) &&
	       !strcmp(pg_printable(info->name, shown, sizeof(shown)), info->name) &&
	       info->type < _PG_SET_TYPE_MAX && info->family <= PG_FAMILY_V6 && info->netmask <= 128;
}

void pg_dp_sets_read(struct pg_dp *dp, struct pg_set_info *ret)
{
	if (dp)
		memcpy(ret, infos(dp), PG_SETS * sizeof(*ret));
	else
		memset(ret, 0, PG_SETS * sizeof(*ret));
	for (__u32 i = 0; i < PG_SETS; i++)
		if (!is_sound(&ret[i]))
			ret[i] = (struct pg_set_info){ 0 };
}

int pg_dp_set_find(struct pg_dp *dp, const char *name, __u32 *ret_id, struct pg_set_info *ret_info)
{
	for (__u32 i = 0; dp && i < PG_SETS; i++) {
		const struct pg_set_info *info = &infos(dp)[i];

		if (!info->type || strncmp(info->name, name, sizeof(info->name)) != 0)
			continue;
		*ret_id = i;
		*ret_info = *info;
		return 0;
	}
	return -ENOENT;
}

static int lookup(void *arg, uint32_t number, struct pg_set_entry *entry)
{
	struct pg_dp *dp = arg;
	char key[sizeof(struct pg_set_net_key)];
	int fd = inner_fd(dp, number);
	struct pg_set_value v;

	if (fd < 0)
		return fd;
	to_key(infos(dp)[number].net, entry, key);
	/* A trie finds the longest prefix, which may be a shorter one than was asked for. */
	if (bpf_map_lookup_elem(fd, key, &v))
		return -errno;
	if (v.prefix != entry->prefix)
		return -ENOENT;
	entry->nomatch = v.nomatch;
	entry->expires_ns = v.expires_ns;
	return 0;
}

void pg_dp_sets_base(struct pg_dp *dp, struct pg_sets_base *ret)
{
	*ret = (struct pg_sets_base){ .lookup = lookup, .arg = dp };
}

/* Collecting what has expired ------------------------------------------------------------------ */

struct collection {
	struct pg_set_entry *expired; /* deleting at once would lose the walk its place in a trie */
	size_t n, cap;
	__u64 now_ns, earliest_ns;
};

static int collect_one(void *arg, const struct pg_set_entry *e)
{
	struct collection *c = arg;

	if (!pg_set_expired(e, c->now_ns)) {
		if (e->expires_ns && (!c->earliest_ns || e->expires_ns < c->earliest_ns))
			c->earliest_ns = e->expires_ns;
		return 0;
	}
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct pg_set_entry *more = reallocarray(c->expired, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->expired = more;
		c->cap = cap;
	}
	c->expired[c->n++] = *e;
	return 0;
}

static int drop_all(int fd, bool net, const struct pg_set_entry *e, size_t n)
{
	_cleanup_(free_batchp) struct batch *b = new_batch(fd, net);
	int r = b ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < n; i++)
		r = drop(b, &e[i]);
	return r ? r : drop_flush(b);
}

static int collect(struct pg_dp *dp, __u32 number, __u64 now_ns)
{
	struct pg_set_info *info = &infos(dp)[number];
	struct collection c = { .now_ns = now_ns };
	int fd = inner_fd(dp, number), r;

	if (fd < 0)
		return fd;
	r = walk(fd, info->net, collect_one, &c);
	if (!r)
		r = drop_all(fd, info->net, c.expired, c.n);
	free(c.expired);
	if (r)
		return r;
	info->count -= c.n < info->count ? (__u32)c.n : info->count;
	info->earliest_ns = c.earliest_ns;
	info->collected_ns = now_ns;
	return 0;
}

/*
 * A walk over a million entries takes a third of a second: where bans run out all the time, each
 * `add` would pay that. So a set waits a second for every hundred thousand entries it has.
 */
static bool is_due(const struct pg_set_info *info, __u64 now_ns)
{
	return now_ns - info->collected_ns >= (__u64)info->count * 10000;
}

int pg_dp_sets_collect(struct pg_dp *dp, __u64 now_ns, bool force, bool *ret_put_off,
		       struct pg_err *err)
{
	bool put_off = false;

	for (__u32 i = 0; i < PG_SETS; i++) {
		const struct pg_set_info *info = &infos(dp)[i];
		int r;

		if (!info->type || !info->earliest_ns || info->earliest_ns > now_ns)
			continue;
		if (!force && info->count < info->maxelem && !is_due(info, now_ns)) {
			put_off = true;
			continue;
		}
		r = collect(dp, i, now_ns);
		if (r)
			return pg_dp_fail(err, r, "cannot clear a set of what has expired");
	}
	*ret_put_off = put_off;
	return 0;
}

/* Committing ----------------------------------------------------------------------------------- */

static __u32 power_of_two(__u32 n)
{
	__u32 p = HASH_SIZE_MIN;

	while (p < n && p < 1U << 31)
		p *= 2;
	return p;
}

/* Copying what a set had before: all but what changes or has expired. */
struct copy {
	struct batch *b;
	const struct pg_set *set;
	__u64 now_ns;
	__u32 left_out; /* expired */
};

static int copy_one(void *arg, const struct pg_set_entry *e)
{
	struct copy *c = arg;

	if (pg_set_changes(c->set, e))
		return 0;
	if (pg_set_expired(e, c->now_ns)) {
		c->left_out++;
		return 0;
	}
	return put(c->b, e);
}

static int put_changes(int fd, const struct pg_set *set)
{
	_cleanup_(free_batchp) struct batch *b = new_batch(fd, set->info.net);
	int r = 0;

	if (!b)
		return -ENOMEM;
	/* First, or the map might be full for a moment. */
	for (size_t i = 0; !r && i < set->n; i++)
		if (set->entry[i].change == PG_SET_DELETE)
			r = drop(b, &set->entry[i]);
	if (!r)
		r = drop_flush(b);
	for (size_t i = 0; !r && i < set->n; i++)
		if (set->entry[i].change == PG_SET_PUT)
			r = put(b, &set->entry[i]);
	return r ? r : put_flush(b);
}

/* A map with all that the set is to have; fills in the set's size and count. Returns its fd. */
static int build(struct pg_dp *dp, struct pg_set *set, __u64 now_ns)
{
	struct pg_set_info *info = &set->info;
	__u32 want = info->hashsize > info->count ? info->hashsize : info->count;
	__u32 size = power_of_two(want);
	_cleanup_(free_batchp) struct batch *b = NULL;
	_close_ int fd = -1;
	int r = 0;

	/* A trie needs no table, so its size is but a limit. */
	fd = make_inner(info->net, info->net ? (info->maxelem > 1 ? info->maxelem : 1) : size);
	if (fd < 0)
		return fd;
	b = new_batch(fd, info->net);
	if (!b)
		return -ENOMEM;
	if (set->origin >= 0) {
		struct copy c = { .b = b, .set = set, .now_ns = now_ns };
		int from = inner_fd(dp, (__u32)set->origin);

		r = from < 0 ? from : walk(from, info->net, copy_one, &c);
		r = r ? r : put_flush(b);
		info->count -= c.left_out < info->count ? c.left_out : info->count;
	}
	if (!r)
		r = put_changes(fd, set);
	if (r)
		return r;
	info->hashsize = size;
	return TAKE_FD(fd);
}

/* What is written for each set: its map, where that is another than before. */
struct plan {
	int fd[PG_SETS]; /* -1: none */
	bool built[PG_SETS];
};

static void close_plan(struct plan *p)
{
	for (__u32 i = 0; i < PG_SETS; i++)
		if (p->built[i])
			pg_closep(&p->fd[i]);
}

/* All that may fail for want of memory; nothing that packets see is touched. */
static int prepare(struct pg_dp *dp, struct pg_sets *sets, struct plan *p)
{
	int r;

	for (__u32 i = 0; i < PG_SETS; i++)
		p->fd[i] = -1;
	for (__u32 i = 0; i < PG_SETS; i++) {
		struct pg_set *set = &sets->set[i];

		if (!set->dirty || !set->info.type)
			continue;
		if (set->origin < 0 || (!set->info.net && set->info.count > set->info.hashsize)) {
			p->fd[i] = build(dp, set, sets->now_ns);
			p->built[i] = p->fd[i] >= 0;
		} else {
			p->fd[i] = inner_fd(dp, (__u32)set->origin);
		}
		if (p->fd[i] < 0)
			return p->fd[i];
		r = p->built[i] ? pin_inner(dp, p->fd[i]) : 0;
		if (r)
			return r;
	}
	return 0;
}

static int change_in_place(struct pg_sets *sets, const struct plan *p)
{
	int r = 0;

	for (__u32 i = 0; !r && i < PG_SETS; i++)
		if (p->fd[i] >= 0 && !p->built[i] && sets->set[i].n)
			r = put_changes(p->fd[i], &sets->set[i]);
	return r;
}

/* Where a set of the other kind, or one that is gone, has been. */
static void clear_outer(struct pg_dp *dp, __u32 number, bool net)
{
	bpf_map_delete_elem(outer_fd(dp, net), &number);
}

/*
 * The maps of sets that have another than before, of one kind, in one system call: between the two of a
 * swap a command that is killed would leave both sets with the same map.
 */
static int install_maps(struct pg_dp *dp, const struct pg_sets *sets, const struct plan *p, bool net)
{
	__u32 number[PG_SETS], n = 0;
	int fd[PG_SETS];

	for (__u32 i = 0; i < PG_SETS; i++) {
		const struct pg_set *set = &sets->set[i];

		if (!set->dirty || !set->info.type || set->info.net != net ||
		    (!p->built[i] && set->origin == (int)i))
			continue;
		number[n] = i;
		fd[n++] = p->fd[i];
	}
	return n && bpf_map_update_batch(outer_fd(dp, net), number, fd, &n, NULL) ? -errno : 0;
}

/* All of them without a system call in between. Which sets' maps nobody asks any more: into `cleared`. */
static void install_infos(struct pg_dp *dp, const struct pg_sets *sets, bool (*cleared)[2])
{
	for (__u32 i = 0; i < PG_SETS; i++) {
		const struct pg_set *set = &sets->set[i];
		struct pg_set_info *info = &infos(dp)[i], was = *info;

		if (!set->dirty)
			continue;
		*info = set->info.type ? set->info : (struct pg_set_info){};
		cleared[i][was.net & 1] = was.type && (!set->info.type || set->info.net != was.net);
	}
}

int pg_dp_sets_commit(struct pg_dp *dp, struct pg_sets *sets, struct pg_err *err)
{
	_cleanup_(close_plan) struct plan p = {};
	bool cleared[PG_SETS][2] = { 0 };
	int r = prepare(dp, sets, &p);

	if (!r)
		r = change_in_place(sets, &p);
	if (!r)
		r = install_maps(dp, sets, &p, false);
	if (!r)
		r = install_maps(dp, sets, &p, true);
	if (!r)
		install_infos(dp, sets, cleared);
	for (__u32 i = 0; i < PG_SETS; i++)
		for (int net = 0; net < 2; net++)
			if (cleared[i][net])
				clear_outer(dp, i, net);
	pg_dp_sets_unpin(dp, false); /* what is no set's any more, or has not become one */
	if (r == -ENOMEM)
		return pg_fail(err, r, "Kernel error received: Cannot allocate memory");
	if (r)
		return pg_dp_fail(err, r, "cannot write a set");
	pg_dp_sets_close(dp); /* the maps may be others now */
	return 0;
}

int pg_dp_sets_share(struct pg_dp *dp, struct pg_dp *from, struct pg_err *err)
{
	for (__u32 i = 0; i < PG_SETS; i++) {
		const struct pg_set_info *info = &infos(from)[i];
		int fd;

		if (!info->type)
			continue;
		fd = inner_fd(from, i);
		if (fd < 0 || bpf_map_update_elem(outer_fd(dp, info->net), &i, &fd, BPF_ANY))
			return pg_dp_fail(err, fd < 0 ? fd : -errno, "cannot read a set");
		infos(dp)[i] = *info;
	}
	pg_dp_sets_close(dp);
	return 0;
}
