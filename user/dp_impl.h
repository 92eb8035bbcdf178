/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of the door share. Nobody else includes this. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dp.h"

/*
 * Every map that is pinned, under its own name: arrays, which are mapped into memory, and behind
 * SCRATCH's and TRACE's those that are reached by system calls.
 */
#define PG_MAPS(X)                                                                                 \
	X(TABLES, pg_tables)                                                                       \
	X(IFACES, pg_ifaces)                                                                       \
	X(SHARDS, pg_shards)                                                                       \
	X(SCRATCH, pg_scratch)                                                                     \
	X(TRACE, pg_trace)                                                                         \
	X(STATES, pg_states)                                                                       \
	X(EVENT_RATE, pg_event_rate)                                                               \
	X(REPLY_RATE, pg_reply_rate)                                                               \
	X(FLOW_BUCKETS, pg_flow_buckets)                                                           \
	X(FLOWS, pg_flows)                                                                         \
	X(FLOW_TROUBLE, pg_flow_trouble)                                                           \
	X(FLOW_CTL, pg_flow_ctl)                                                                   \
	X(FLOW_STATS, pg_flow_stats)                                                               \
	X(PORT_STATES, pg_port_states)                                                             \
	X(BOX, pg_box)                                                                             \
	X(WATCH, pg_watch)                                                                         \
	X(WATCH_CPUS, pg_watch_cpus)                                                               \
	X(SLOT_BORN, pg_slot_born)                                                                 \
	X(SET_INFO, pg_set_info)                                                                   \
	X(RECENTS, pg_recents)                                                                     \
	X(HASHLIMITS, pg_hashlimits)                                                               \
	X(FRAGMENTS, pg_fragments)                                                                 \
	X(CONNLIMITS, pg_connlimits)                                                               \
	X(LOCALS, pg_locals)                                                                       \
	X(EVENTS, pg_events)                                                                       \
	X(SETS_HASH, pg_sets_hash)                                                                 \
	X(SETS_NET, pg_sets_net)                                                                   \
	X(WATCH_RINGS, pg_watch_rings)

#define PG_ENUM_MAP(sym, name) PG_MAP_##sym,
enum pg_map_id { PG_MAPS(PG_ENUM_MAP) _PG_MAP_MAX };
#define _PG_MAP_MAPPED PG_MAP_RECENTS /* those before it are mapped into memory */

extern const char *const pg_map_names[_PG_MAP_MAX];

struct portguard_bpf;

/* A map's memory, mapped; NULL: not mapped, and `bytes` is 0. */
struct pg_map {
	int fd;
	void *mem;
	size_t bytes;
	__u32 value_size, entries;
};

struct pg_dp {
	char state_dir[256]; /* as the user names it */
	char path[256];	     /* how we get there: may lead through /proc/self/fd */
	int bpffs_fd;	     /* keeps that way open; -1: not needed */
	int lock_fd;
	bool writable, verbose;
	bool unreadable; /* of another layout, or damaged: only to be removed */
	struct pg_map map[_PG_MAP_MAX];
	__u64 netns; /* ours */
	struct pg_dp_adopted adopted;
	/* A private instance: its programs, and a policy text of its own. */
	struct portguard_bpf *skel;
	void *private_text;
	size_t private_text_len;
	__u32 run_ifindex; /* 0: the kernel takes lo */
	struct pg_feed *feed; /* mapped; NULL: frames run one by one */
	int feed_prog;	      /* the skeleton's */
	size_t feed_bytes;    /* of data that are in use */
	/* Inner maps of sets, by set number, opened when first asked for; NULL: none yet. */
	int *set_fd;
};

static inline struct pg_ctl *pg_dp_ctl(const struct pg_dp *dp)
{
	return &((struct pg_tables_map *)dp->map[PG_MAP_TABLES].mem)->ctl;
}
static inline struct pg_shard *pg_dp_shard(const struct pg_dp *dp, __u32 shard)
{
	return (struct pg_shard *)dp->map[PG_MAP_SHARDS].mem + shard;
}

/* dp_fs.c: the BPF file system */

/*
 * Find the directory of an instance, mounting a BPF file system where there is none and `create`
 * is set. Fills state_dir, path and bpffs_fd. -ENOENT, silently: there can't be an instance.
 */
int pg_dp_find_dir(struct pg_dp *dp, const char *state_dir, bool create, struct pg_err *err);
/* Removes the directory, and the mount if it was made for it. */
int pg_dp_remove_dir(struct pg_dp *dp, struct pg_err *err);
/* dp_drop.c: does the black box have drops of that generation? */
bool pg_dp_drops_have(const struct pg_dp *dp, __u32 number);
/* dp_policy.c: texts of generations that are gone. */
void pg_dp_past_remove(const struct pg_dp *dp);
/* Unpin the maps of an instance, or what is left of one, and remove its directory. */
int pg_dp_remove_pins(struct pg_dp *dp, struct pg_err *err);
/* "PATH/NAME", -ENAMETOOLONG when it does not fit. */
int pg_dp_pin_path(const struct pg_dp *dp, char *buf, size_t size, const char *fmt, ...)
	_printf_(4, 5);
/* Take the lock; waits as pg_dp_opts says. */
int pg_dp_lock(struct pg_dp *dp, int wait_s, struct pg_err *err);

/* dp_load.c: skeleton and maps */

/* What libbpf last had to say, for messages; "" when nothing. Starts anew with each call. */
const char *pg_dp_libbpf_says(void);
/* So, the verifier of why it took no program. */
const char *pg_dp_verifier_says(void);
void pg_dp_libbpf_listen(bool verbose);

/* For programs that are not ALONE: fds, -1 where the role has no use for one. */
struct pg_shadow_maps {
	int handoff, differences, next;
};

struct pg_load_opts {
	unsigned progs; /* a mask of enum pg_prog */
	__u32 iface;	/* slot that this copy is for */
	__u32 ifindex;
	bool no_l2, trace, skip_csum, no_fast;
	bool multi; /* XDP for libxdp's dispatcher */
	enum pg_mode mode; /* what XDP is loaded for; but for `multi`, SKB's takes no packets of several pieces */
	enum pg_role role;
	const struct pg_shadow_maps *shadow; /* NULL with ALONE */
};
/*
 * Load copies of the programs on the instance's maps.
 */
int pg_dp_load(struct pg_dp *dp, const struct pg_load_opts *opts, struct portguard_bpf **ret_skel,
	       struct pg_err *err);
int pg_dp_prog_fd(const struct portguard_bpf *skel, enum pg_prog prog);
/* Do XDP programs get packets of several pieces, so that they are loaded for these? */
bool pg_dp_has_frags(void);
/* What tells these programs from another build's. */
__u64 pg_dp_build(void);
/* Programs that were loaded as PG_ROLE_FED: put them together. The fds stay the skeleton's. */
int pg_dp_feed_open(struct portguard_bpf *skel, int *ret_prog, int *ret_map);
bool pg_dp_can_feed(void);
/* Make, map and (with dp->path) pin the maps of a new instance. */
int pg_dp_create(struct pg_dp *dp, __u32 flows, struct pg_err *err);
/* Open and map the pinned maps. -ENOENT, silently: no instance. */
int pg_dp_open_maps(struct pg_dp *dp, struct pg_err *err);
int pg_dp_map_memory(struct pg_dp *dp, enum pg_map_id id, struct pg_err *err);
void pg_dp_unload(struct portguard_bpf *skel);

/* dp_set.c */
/* Make the maps of maps and pg_set_info of a new instance. 0 or a negative errno. */
int pg_dp_sets_make(struct pg_dp *dp);
void pg_dp_sets_close(struct pg_dp *dp);
/* Remove the pins of entries' maps that no set has, or all of them. */
void pg_dp_sets_unpin(const struct pg_dp *dp, bool all);
/* Memory of all sets' entries, in bytes. */
__u64 pg_dp_sets_memory(struct pg_dp *dp);
/* Of any map, as the kernel accounts for it. */
__u64 pg_dp_fd_memory(int fd);

/* dp_flow.c */
/* Timeouts and settings of a new instance. */
void pg_dp_flow_init(struct pg_dp *dp);
/*
 * The number of this process' network namespace in flows' keys: its interfaces', or while it has none
 * one that no other has.
 */
__u32 pg_dp_flow_space(const struct pg_dp *dp);
/* As timeout_of() of the programs, for a flow in this state. */
enum pg_timeout pg_dp_flow_timeout(const struct pg_dp_flow *flow);
/* Does this network namespace have an interface of the instance? */
bool pg_dp_flow_has_space(const struct pg_dp *dp);
/* Forget what was tracked in a namespace that had this number before. */
void pg_dp_flow_forget_space(struct pg_dp *dp, __u32 space);

/* dp_watch.c: make pg_watch_rings. 0 or a negative errno. */
int pg_dp_watch_make(struct pg_dp *dp);
/*
 * dp_shadow.c: -EBUSY, with words, while a policy is tried beside the one in force. What a command that
 * died over it has left is removed.
 */
int pg_dp_refuse_shadow(struct pg_dp *dp, struct pg_err *err);
/* All maps that only the trial has, in bytes. */
__u64 pg_dp_shadow_memory(const struct pg_dp *dp);

/* dp_policy.c: the generation in force, 0 or 1, whatever the clock says about a confirmation. */
__u32 pg_dp_active(const struct pg_dp *dp);
/* The number of the last one that was committed. */
__u32 pg_dp_last_number(const struct pg_dp *dp);
/* dp_lists.c: by their names, those that the tables name and generation `from`, in force, does not; or -ENOMEM. */
struct pg_list_names {
	__u64 *name; /* sorted; owned */
	size_t n;
};
void pg_list_names_free(struct pg_list_names *names);
int pg_dp_lists_new(struct pg_dp *dp, __u32 from, const struct pg_tables *tables,
		    struct pg_list_names *ret);
/* Empties them. */
void pg_dp_lists_empty(struct pg_dp *dp, const struct pg_list_names *names);
/* Of both generations: PG_FLOW_OPT_TRACK has changed. */
void pg_dp_policy_track(struct pg_dp *dp);
/* PG_NEED_* of the policy in force, and of the one that packets may go back to without a command. */
__u32 pg_dp_needs(const struct pg_dp *dp);
/* With the lock: write down that the programs went back, if they did. */
void pg_dp_recover(struct pg_dp *dp);

/*
 * A copy of the text that `bytes` of a map's memory hold. Pure. -ESTALE: it is not that of
 * generation `number`; -EBADMSG: damaged.
 */
int pg_dp_text_copy(const void *mem, size_t bytes, __u32 number, void **ret_text, size_t *ret_n);
/* The same of a map; and the map of the text of generation 0 or 1: its fd, or a negative errno. */
int pg_dp_text_read(int fd, __u32 number, void **ret_text, size_t *ret_n);
int pg_dp_text_open(const struct pg_dp *dp, __u32 generation);

/* dp_run.c */
int pg_dp_feed_map(struct pg_dp *dp, struct pg_err *err);

/* dp.c */
/* With nothing open yet. NULL: no memory. */
struct pg_dp *pg_dp_new(bool writable, bool verbose);
/* -EPERM and -EACCES become iptables' words and exit code; everything else the text. */
int pg_dp_fail(struct pg_err *err, int r, const char *what);
