/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one door to the kernel: programs, maps, links and pins of one instance. Everything above it
 * deals in plain structs. Only dp*.c include the skeleton or call bpf_*().
 *
 * Functions return 0 or a negative errno and then have filled `err`, unless said otherwise.
 */
#pragma once

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compile.h"
#include "pg_abi.h"
#include "sets.h"
#include "util.h"

struct pg_dp;

#define PG_STATE_DIR_DEFAULT "/sys/fs/bpf/portguard"

enum pg_dp_open_mode {
	PG_DP_READ,   /* no lock; -ENOENT without a message when there is no instance */
	PG_DP_WATCH,  /* no lock either, but pg_dp_watch_open() works; -ENOENT as above */
	PG_DP_WRITE,  /* takes the instance's lock; -ENOENT as above */
	PG_DP_CREATE, /* as WRITE, and makes an empty instance where there is none */
};

struct pg_dp_opts {
	const char *state_dir; /* NULL: the default */
	enum pg_dp_open_mode mode;
	int wait_s; /* for the lock: 0 fail at once, <0 as long as it takes */
	bool verbose;
	bool remove;  /* WRITE: only for pg_dp_destroy(): also what this version can't read */
	bool pending; /* WRITE: also while a policy waits for its confirmation; otherwise refused */
	__u32 flows; /* CREATE: how many it tracks, a power of two; 0: PG_FLOWS */
};

int pg_dp_open(const struct pg_dp_opts *opts, struct pg_dp **ret_dp, struct pg_err *err);

/*
 * A private instance: nothing pinned, nothing attached, for replay, tests and benchmarks. Its one
 * interface, slot 0, has the name `iface` (NULL: one that no rule can name); mode is TC, because
 * that program is loaded, too, and takes every policy.
 */
struct pg_private_opts {
	const char *iface;
	__u32 ifindex; /* as programs know it, and whose Ethernet address frames have; 0: none */
	struct pg_dp *sets; /* whose named sets it sees: the same entries; NULL: it has none */
	bool untraced;	    /* the programs as they are attached, without pg_trace */
	/* For pg_dp_feed(): arrivals, where the kernel can; without PG_PROG_XDP both directions */
	bool fed;
	bool general_only;  /* without the fast path, which must not make a difference */
	bool skip_checksum; /* of IPv4 headers */
	enum pg_fragments fragments; /* what `set-fragments` says there */
	unsigned progs;	    /* a mask of enum pg_prog: no others can be run; 0: all */
	__u32 flows;	    /* as in pg_dp_opts */
};
int pg_dp_open_private(const struct pg_private_opts *opts, struct pg_dp **ret_dp,
		       struct pg_err *err);

/* Forgets the instance and releases its lock; what is pinned goes on. Accepts NULL. */
void pg_dp_close(struct pg_dp *dp);
static inline void pg_dp_closep(struct pg_dp **dp)
{
	pg_dp_close(*dp);
}

const char *pg_dp_state_dir(const struct pg_dp *dp);
/* Is it still where it was opened, and not removed or made anew? */
bool pg_dp_is_pinned(const struct pg_dp *dp);
/* A number that no other instance has had since the machine started. */
__u64 pg_dp_instance(const struct pg_dp *dp);

/*
 * An instance that is read again and again, for as long as there is one: it stays open between
 * readings, and when it is removed and made anew the next reading finds the new one. What needs the
 * privileges of finding the directory is done by pg_dp_follow_open().
 */
struct pg_dp_follow;
int pg_dp_follow_open(const char *state_dir, bool verbose, struct pg_dp_follow **ret_follow,
		      struct pg_err *err);
/*
 * The instance, still owned by `follow` and good until the next call; NULL: there is none now. Of each
 * instance that was found *ret_nth is another number.
 */
int pg_dp_follow_get(struct pg_dp_follow *follow, struct pg_dp **ret_dp, uint64_t *ret_nth,
		     struct pg_err *err);
/* The directory, as the user names it. */
const char *pg_dp_follow_dir(const struct pg_dp_follow *follow);
void pg_dp_follow_close(struct pg_dp_follow *follow);
static inline void pg_dp_follow_closep(struct pg_dp_follow **follow)
{
	pg_dp_follow_close(*follow);
}

/* The parent of a process, 0 when there is none or it can't be told. */
pid_t pg_parent_of(pid_t pid);

/* Interfaces ----------------------------------------------------------------------------------- */

struct pg_attach_opts {
	enum pg_mode mode; /* NONE: choose */
	bool no_egress;
	bool force; /* replace a foreign XDP program */
	bool multi; /* XDP as one of the programs of libxdp's dispatcher */
	const char *reason; /* that `status` gives for `mode`; NULL: it was asked for */
};

/*
 * Give the interface its slot, so that a policy committed before the attach already has its rules
 * with -i for it: then no packet meets a policy without them.
 */
int pg_dp_reserve(struct pg_dp *dp, const char *ifname, struct pg_err *err);

/*
 * Attaching twice is no error (with another mode: the mode changes). The policy in force must be
 * committed again afterwards, because rules with -i have a new interface to hold for.
 */
int pg_dp_attach(struct pg_dp *dp, const char *ifname, const struct pg_attach_opts *opts,
		 struct pg_err *err);
int pg_dp_detach(struct pg_dp *dp, const char *ifname, struct pg_err *err);
/* There is one to detach: an interface of this network namespace, or one that is gone, there or elsewhere. */
bool pg_dp_is_attached(const struct pg_dp *dp, const char *ifname);
/*
 * Give every interface of this network namespace that has another build's programs this build's
 * (`all`: also those that have them), in one step for each direction; `done` is told of each, true:
 * replaced. Interfaces elsewhere are named in err, with -EXDEV, when the others are done.
 */
int pg_dp_upgrade(struct pg_dp *dp, bool all, void (*done)(const char *ifname, bool replaced),
		  struct pg_err *err);
/* Every interface; then the instance itself: pins, policy and counters are gone. */
int pg_dp_destroy(struct pg_dp *dp, struct pg_err *err);

struct pg_dp_iface {
	struct pg_iface abi; /* .netns 0: free slot */
	bool here;	     /* in this process' network namespace */
	bool moved;	     /* it was here, and has been moved to another network namespace */
	bool outdated;	     /* its programs are another build's */
	bool multi;	     /* it is one of the programs of libxdp's dispatcher */
	bool gone;	     /* the interface no longer exists, or our program was taken off it */
	__u32 ingress_prog_id, egress_prog_id; /* 0: none */
	__u32 mark_prog_id; /* what gives skbs the marks of XDP; 0: none */
};
/* Fills ret[PG_MAX_IFACES] by slot. */
int pg_dp_ifaces(struct pg_dp *dp, struct pg_dp_iface *ret, struct pg_err *err);

/* What `doctor` and `status` ask ------------------------------------------------------------------ */

struct pg_dp_kernel {
	bool loop, frags, tcx, jit; /* bpf_loop(), multi-buffer XDP, TCX, the compiler is on */
};
/*
 * All but .jit is found out once, by loading small programs, so a process that is about to give up its privileges asks
 * before. Who may load none sees .loop false.
 */
const struct pg_dp_kernel *pg_dp_kernel(void);

/* A program on an interface, anybody's. */
enum pg_dp_hook { PG_DP_HOOK_XDP_NATIVE, PG_DP_HOOK_XDP_SKB, PG_DP_HOOK_XDP_HW, PG_DP_HOOK_TCX_IN,
		  PG_DP_HOOK_TCX_OUT };
#define PG_DP_HOOKED_MAX 8
struct pg_dp_hooked {
	enum pg_dp_hook hook;
	__u32 id, link_id; /* link_id 0: not attached by a link, or not known */
	char name[16];
	char pin[128]; /* where it, or its link, is pinned; "": nowhere below /sys/fs/bpf */
};
/* How many there are, `ret` has at most PG_DP_HOOKED_MAX of them. */
size_t pg_dp_hooked(unsigned ifindex, struct pg_dp_hooked *ret);

/*
 * Nanoseconds that a program has run, and how often, while somebody had that measured. Measuring costs
 * each packet two readings of the clock, so it is on between begin, which returns a descriptor, and
 * the closing of that.
 */
struct pg_dp_cost {
	__u64 ns, runs;
	bool known;
};
int pg_dp_cost_begin(struct pg_err *err);
/* Of what a slot has attached. False: nothing, or it can't be asked. */
bool pg_dp_cost_read(const struct pg_dp *dp, __u32 slot, enum pg_dir dir, struct pg_dp_cost *ret);

/* Policy --------------------------------------------------------------------------------------- */

/*
 * A commit in two steps. Prepare: fill the idle generation and store `text` (n bytes, the caller's
 * own format) beside it. Flip: make it the policy, in one store; when it returns no CPU runs the old
 * policy any more. With confirm_s that many seconds later the programs go back to the old policy by
 * themselves, unless pg_dp_confirm() was called before; meanwhile nothing else can be committed.
 */
int pg_dp_prepare(struct pg_dp *dp, const struct pg_tables *tables, const void *text, size_t n,
		  struct pg_err *err);
void pg_dp_flip(struct pg_dp *dp, __u32 confirm_s);
/*
 * Before a policy with PG_NEED_MARKS: have the stack told of the marks that XDP gives. -EOPNOTSUPP: the driver of
 * some interface can't; -EXDEV: it is in another network namespace.
 */
int pg_dp_marks_open(struct pg_dp *dp, struct pg_err *err);
/* Take it off when neither the policy in force nor the one that packets may go back to needs it. */
void pg_dp_marks_close(struct pg_dp *dp);
/* Both steps. */
int pg_dp_commit(struct pg_dp *dp, const struct pg_tables *tables, const void *text, size_t n,
		 struct pg_err *err);

/* The text stored with the policy in force; the caller frees it. -ENODATA, silently: none yet. */
int pg_dp_policy_text(struct pg_dp *dp, void **ret_text, size_t *ret_n, struct pg_err *err);

/* Keep the policy that waits for it. -ENOENT: none does. */
int pg_dp_confirm(struct pg_dp *dp, struct pg_err *err);
/* 0: this network namespace has such an interface; -ENODEV, with words: it has not. */
int pg_dp_find_iface(const char *name, struct pg_err *err);
/* Go back to the policy before the one that waits for confirmation. False: none waits. */
bool pg_dp_take_back(struct pg_dp *dp);
/* -EBUSY, with words, while a policy waits for confirmation; otherwise 0. */
int pg_dp_refuse_pending(struct pg_dp *dp, struct pg_err *err);
/*
 * The text of the policy that the one in force replaced; the caller frees it. -ENOENT: there was
 * none, or it is the one that came back.
 */
int pg_dp_previous_text(struct pg_dp *dp, void **ret_text, size_t *ret_n, struct pg_err *err);
/* After a commit of the policy that was in force already: what pg_dp_previous_text() gives is `text` again (n = 0: none). */
int pg_dp_keep_previous(struct pg_dp *dp, const void *text, size_t n, struct pg_err *err);

/*
 * The text of generation `number`: there are those in force and, idle, before it or taken back, and
 * some of older ones that drops are kept of. -ESTALE, without a message: it is none of these. The
 * caller frees it.
 */
int pg_dp_policy_text_of(struct pg_dp *dp, __u32 number, void **ret_text, size_t *ret_n);
/* Numbers of the generation in force and of the other one; 0: there was none. */
void pg_dp_policy_numbers(const struct pg_dp *dp, __u32 ret[2]);

/* Counters of INPUT's and OUTPUT's policies before anything was committed. */
enum { PG_SLOT_INPUT, PG_SLOT_OUTPUT };

enum pg_shadow_state {
	PG_SHADOW_NONE,
	PG_SHADOW_UNFINISHED, /* the command that begins it is still at it, or has died */
	PG_SHADOW_ON,
};

struct pg_dp_policy_info {
	__u32 generation, terms, rows, nodes;
	enum pg_form form;
	bool verify; /* as in pg_gen */
	__u64 memory_bytes; /* of the tables in use */
	__u32 confirm_s;    /* until the programs go back by themselves; 0: it need not be confirmed */
	bool expired;	    /* they went back, and no command has written anything since */
	/* Of another policy that is tried beside it; without pg_dp_shadow_state() NONE or ON, and no time. */
	enum pg_shadow_state shadow;
	__s64 shadow_since;  /* seconds since 1970; 0: none is, or not known */
	bool shadow_stopped; /* it began beside another generation than this one */
	/* Waiting: the generation that would come back; otherwise one that was taken back. 0: none */
	__u32 other;
};
void pg_dp_policy_info(struct pg_dp *dp, struct pg_dp_policy_info *ret);
/* What becomes of fragments; at once. dp may be NULL when it is read: the default. */
enum pg_fragments pg_dp_fragments(const struct pg_dp *dp);
void pg_dp_set_fragments(struct pg_dp *dp, enum pg_fragments setting);

/* Does the policy in force ask for connections' states, so that flows are being tracked? */
bool pg_dp_policy_tracks(const struct pg_dp *dp);

/*
 * Wait for programs that may still run under the policy before this one, which a command that died
 * in its commit left unfinished. Call it before counters are given away again.
 */
void pg_dp_settle(struct pg_dp *dp);

/*
 * Set a counter that no policy in force uses, before the commit that starts using it.
 */
void pg_dp_slot_set(struct pg_dp *dp, __u32 slot, const struct pg_count *count);
/* The generation since which the counter has been this rule's. */
__u32 pg_dp_slot_born(const struct pg_dp *dp, __u32 slot);
/*
 * Tell the programs the host's own addresses and the time zone of their clock, as they are now:
 * before a commit whose rules ask for them.
 */
int pg_dp_local_refresh(struct pg_dp *dp, struct pg_err *err);
/*
 * Let the programs ask the kernel for routes in this network namespace: it answers from the loopback
 * device if that may forward, which costs and allows nothing else.
 */
int pg_dp_routes_open(struct pg_err *err);
/* The same for what a check remembers. */
void pg_dp_state_set(struct pg_dp *dp, __u32 state, const struct pg_state *start);
void pg_dp_state_get(const struct pg_dp *dp, __u32 state, struct pg_state *ret);

/* Counters: sums over all shards --------------------------------------------------------------- */

void pg_dp_slot_read(struct pg_dp *dp, __u32 slot, struct pg_count *ret);
/* ret[PG_PORTS] */
void pg_dp_ports_read(struct pg_dp *dp, enum pg_dir dir, enum pg_port_proto proto,
		      struct pg_count *ret);
void pg_dp_drops_read(struct pg_dp *dp, enum pg_port_proto proto, __u64 *ret);
void pg_dp_flags_read(struct pg_dp *dp, struct pg_flags *ret);

/*
 * Every port that has counted something: TCP's, then UDP's, ascending. Reads each counter's cache line
 * once. Anything but 0 from `fn` ends it, and is returned.
 */
struct pg_dp_port {
	enum pg_port_proto proto;
	__u16 port;
	struct pg_count count[_PG_DIR_MAX];
	__u64 dropped, out_dropped; /* packets: arrivals, departures */
	struct pg_flags flags; /* TCP */
};
typedef int pg_dp_port_fn(void *arg, const struct pg_dp_port *port);
int pg_dp_ports_each(struct pg_dp *dp, pg_dp_port_fn *fn, void *arg);

struct pg_totals {
	struct pg_count count[PG_MAX_IFACES][_PG_DIR_MAX][_PG_VERDICT_MAX][_PG_REASON_MAX];
};
void pg_dp_totals_read(struct pg_dp *dp, struct pg_totals *ret);

/* All memory of the instance's maps and of those of a policy that is tried, in bytes. */
__u64 pg_dp_memory(struct pg_dp *dp);

/* Flows ---------------------------------------------------------------------------------------- */

/*
 * Put the connections of this network namespace that are not tracked yet among the flows, so that
 * their packets are ESTABLISHED: of its TCP sockets, of nf_conntrack where that has any, of its
 * connected UDP sockets. Before tracking begins or an interface is attached, and `again` behind it, for
 * those that opened in between: what the programs track themselves is left alone. Those that find no
 * place are no error, and counted as refused `again`.
 */
int pg_dp_flow_adopt(struct pg_dp *dp, bool again, struct pg_err *err);

/* What the last pg_dp_flow_adopt() found. */
struct pg_dp_adopted {
	__u32 met, homeless; /* connections, whoever knew them first; those without a place */
	int conntrack;	     /* 0 or a negative errno: nf_conntrack has some that could not be read */
};
const struct pg_dp_adopted *pg_dp_flow_adopted(const struct pg_dp *dp);
/*
 * Forget all flows: what an earlier policy tracked is out of date when the one in force does not
 * track. Before the pg_dp_flow_adopt() with which tracking begins.
 */
int pg_dp_flow_forget(struct pg_dp *dp, struct pg_err *err);

/*
 * Forget all lists of `recent` and connlimit and all buckets of hashlimit: for trials, in a private
 * instance.
 */
int pg_dp_lists_forget(struct pg_dp *dp, struct pg_err *err);
/*
 * Those of another instance, as they are now; with connlimit's go the flows in them. `state` has
 * PG_STATES elements: by a state's number there its number here, PG_NO_SLOT for none.
 */
int pg_dp_lists_copy(struct pg_dp *dp, struct pg_dp *from, const __u32 *state, struct pg_err *err);
/* One of hashlimit's buckets, an address that recent remembers. False: there is none, and *ret stays. */
bool pg_dp_hashlimit_read(struct pg_dp *dp, const struct pg_hashlimit_key *key, struct pg_bucket *ret);
bool pg_dp_recent_read(struct pg_dp *dp, const struct pg_recent_key *key, struct pg_recent_entry *ret);
/*
 * The length of one of connlimit's lists: of the rule with that state, of the network of `addr` with
 * so many bits. Who has gone since the rule was last asked is still in it. 0: there is none.
 */
__u32 pg_dp_connlimit_read(struct pg_dp *dp, __u32 state, enum pg_family family,
			   const __be32 addr[4], unsigned bits);

/* What a packet's flow is found by. */
struct pg_flow_packet {
	enum pg_family family;
	__u8 proto;
	bool query, answer;   /* ICMP that asks or answers; it answers */
	const __be32 *addr[2]; /* the sender's, the receiver's; IPv4 in [0] */
	__u16 port[2]; /* likewise, 0 for protocols without; of a query: id, type << 8 | code */
};
/* Its flow's key in this network namespace. Returns the end of the key that has sent the packet. */
__u8 pg_dp_flow_key(const struct pg_dp *dp, const struct pg_flow_packet *p,
		    struct pg_flow_key *ret);

/* One end of a flow, as counted here. What is only TCP's is 0 for others. */
struct pg_dp_flow_end {
	__be32 addr[4]; /* IPv4 in [0] */
	__u16 port;	/* as in pg_flow_key */
	enum pg_end_state state;
	__u8 flags; /* TCP flags ever seen, a bit for each enum pg_tcp_flag */
	__u8 scale; /* window scale */
	struct pg_count sent;
	__u32 retransmits, out_of_order, zero_windows;
	struct pg_flow_window win;
};

/* An entry of the tables, unpacked. Times are CLOCK_MONOTONIC's, in steps of 16.8 ms. */
struct pg_dp_flow {
	struct pg_flow_key key;
	struct pg_dp_flow_end end[2]; /* the one that opened the flow, the other */
	enum pg_family family;
	__u8 opener; /* end of the key that is end[0] */
	enum pg_tcp_state tcp_state; /* conntrack's word; NONE: not TCP */
	enum pg_sctp_state sctp_state; /* likewise */
	bool half_open, seen_reply, assured, picked_up;
	bool killed; /* pg_dp_flow_end() */
	__u32 rtt_us[2]; /* SYN to SYN-ACK, SYN-ACK to ACK; 0: not measured */
	__u64 first_ns, last_ns, expires_ns;
	enum pg_timeout timeout; /* that holds */
	__u32 iface;		 /* slot of the interface that saw the first packet */
	int vlan;		 /* id of the outermost tag; -1: none */
	__u32 place, id; /* where it lies, of pg_dp_flow_places(); which one of those that lay there */
	/* What tracking keeps beside that; 0 is right for an entry of one's own making. */
	__u64 status; /* PG_FLOW_* that are not told above */
	__u32 last_end;
	__u16 last_win;
	__u8 last_scale;
};

/* An entry to fill in: a flow that begins now, of which nothing is known yet. */
void pg_dp_flow_new(const struct pg_flow_key *key, __u8 opener, struct pg_dp_flow *ret);
/* One entry. False: there is none; one that has expired may still be there. */
bool pg_dp_flow_get(struct pg_dp *dp, const struct pg_flow_key *key, struct pg_dp_flow *ret);
/*
 * Make an entry, or replace it. Of `flow`, .timeout and .expires_ns don't count: which timeout holds
 * follows from its states. 0 or a negative errno: -ENOSPC, no room, which is not counted.
 */
int pg_dp_flow_put(struct pg_dp *dp, const struct pg_dp_flow *flow);
/* Count so many that found no room. */
void pg_dp_flow_refuse(struct pg_dp *dp, __u32 n);
/* Drop an entry. False: there is none. */
bool pg_dp_flow_kill(struct pg_dp *dp, const struct pg_flow_key *key);
/*
 * End a flow: what still comes of it is dropped, until a SYN begins the next one or nothing has come
 * for a while (PG_TIMEOUT_KILLED). Without tracking it is only forgotten. False: there is none.
 */
bool pg_dp_flow_end(struct pg_dp *dp, const struct pg_flow_key *key);

/*
 * Every flow of every network namespace that has not expired, in no order; `fn` ends the walk with
 * anything but 0, which is returned. `fn` may kill flows.
 */
typedef int pg_dp_flow_fn(void *arg, const struct pg_dp_flow *flow);
int pg_dp_flows_walk(struct pg_dp *dp, pg_dp_flow_fn *fn, void *arg);
/*
 * The same for `n` places only, and with those members of *flow alone that one takes for a look at all of
 * them: key, family, opener, tcp_state, sctp_state, half_open, seen_reply, assured, killed, first_ns, iface,
 * place, id, and of each end .addr, .port, .state and .sent.
 */
int pg_dp_flows_glance(struct pg_dp *dp, __u32 from, __u32 n, pg_dp_flow_fn *fn, void *arg);
__u32 pg_dp_flow_places(const struct pg_dp *dp);
/* Remove what has expired; how many entries that were. Needs no lock, but a writable instance. */
__u32 pg_dp_flows_collect(struct pg_dp *dp);

struct pg_dp_flow_info {
	__u32 count[_PG_FLOW_TABLE_MAX]; /* that have not expired */
	__u32 capacity[_PG_FLOW_TABLE_MAX];
	struct pg_flow_stats stats; /* since the instance was made: all CPUs together */
	__u64 memory_bytes;
	bool tracking; /* flows are being tracked: a rule or an option asks for it */
};
void pg_dp_flow_info(struct pg_dp *dp, struct pg_dp_flow_info *ret);
/* The same without .count, for which the whole table is looked through. */
void pg_dp_flow_stats(struct pg_dp *dp, struct pg_dp_flow_info *ret);

/* Transitions of ends, by the port that was opened to: PG_PORTS elements, in shared memory. */
const struct pg_port_states *pg_dp_port_states(const struct pg_dp *dp);
/* Of all ports together. */
void pg_dp_states_read(const struct pg_dp *dp, struct pg_port_states *ret);

/* In seconds, at most PG_TIMEOUT_MAX_S. Holds at once, also for flows that are there. */
#define PG_TIMEOUT_MAX_S 31536000U
__u32 pg_dp_timeout_get(const struct pg_dp *dp, enum pg_timeout timeout);
void pg_dp_timeout_set(struct pg_dp *dp, enum pg_timeout timeout, __u32 seconds);
/* PG_FLOW_OPT_*. */
__u32 pg_dp_flow_options(const struct pg_dp *dp);
/*
 * Holds at once. Where tracking begins by it, what an earlier policy tracked is forgotten and the
 * connections of this network namespace are adopted.
 */
int pg_dp_flow_options_set(struct pg_dp *dp, __u32 options, struct pg_err *err);

/* Timeouts and options of another instance. Before there are flows: the hash is that one's, too. */
void pg_dp_flow_settings_copy(struct pg_dp *dp, const struct pg_dp *from);

/*
 * Track a TCP connection as established, opened by the other end: addr[0] and port[0] are ours,
 * IPv4 in addr[i][0]. 0 or a negative errno.
 */
int pg_dp_flow_establish(struct pg_dp *dp, enum pg_family family, const __be32 addr[2][4],
			 const __u16 port[2]);

/* Sockets of this host --------------------------------------------------------------------------- */

/* A connection by its ends; [0] is the socket's own. All bytes count: zero it first. */
struct pg_socket_ends {
	__be32 addr[2][4]; /* IPv4 in [0] */
	__u16 port[2];	   /* host order */
	__u8 family;	   /* enum pg_family */
	__u8 proto;	   /* TCP; of UDP, only connected sockets */
	__u16 unused;
};

struct pg_sockets_closed {
	size_t closed, failed;
	int error; /* of the first that failed: -EOPNOTSUPP where the kernel can't do that */
};

/*
 * Close the sockets of this network namespace that have these ends, whoever's they are. Sorts
 * `ends`. Sockets that are not there are no failure.
 */
int pg_dp_sockets_close(struct pg_socket_ends *ends, size_t n, struct pg_sockets_closed *ret,
			struct pg_err *err);

/* Events of LOG and NFLOG ---------------------------------------------------------------------- */

struct pg_dp_events;
/* Anything but 0 ends the reading: -ECANCELED, say. The event is the ring's, and gone afterwards. */
typedef int pg_dp_event_fn(void *arg, const struct pg_event *event);
/* There is one reader at a time; what was there before is read first. */
int pg_dp_events_open(struct pg_dp *dp, pg_dp_event_fn *fn, void *arg,
		      struct pg_dp_events **ret_events, struct pg_err *err);
/*
 * All that is there; with a timeout, waits so long for the first. How many events it was, or what
 * `fn` returned, or -EINTR (without a message), or another negative errno.
 */
int pg_dp_events_read(struct pg_dp_events *events, int timeout_ms, struct pg_err *err);
void pg_dp_events_close(struct pg_dp_events *events);
static inline void pg_dp_events_closep(struct pg_dp_events **events)
{
	pg_dp_events_close(*events);
}
/* Packets that were not reported since the instance was made: too many, or the ring was full. */
__u64 pg_dp_events_lost(const struct pg_dp *dp);

/* Drops ---------------------------------------------------------------------------------------- */

/* The black box: the last drops that each CPU has kept. Any number of readers, at any time. */
struct pg_dp_drops;
/* A reader. Begins with what is kept already, or with what comes from now on. */
int pg_dp_drops_open(struct pg_dp *dp, bool from_now, struct pg_dp_drops **ret_drops,
		     struct pg_err *err);
/*
 * What has come since the last time, in order of time; the caller frees *ret. With `settle`, what is
 * younger than two milliseconds is left for the next time, so that no older one comes after it.
 * ret_missed: that were written over before they were read.
 */
int pg_dp_drops_take(struct pg_dp_drops *drops, bool settle, struct pg_drop **ret, size_t *ret_n,
		     __u64 *ret_missed, struct pg_err *err);
void pg_dp_drops_close(struct pg_dp_drops *drops);
static inline void pg_dp_drops_closep(struct pg_dp_drops **drops)
{
	pg_dp_drops_close(*drops);
}
/* Drops that were not kept since the instance was made: too many of their kind. */
__u64 pg_dp_drops_skipped(const struct pg_dp *dp);

/* Packets themselves, as long as one watches: dropped ones, or those that pass. */
struct pg_dp_watch;
struct pg_dp_watch_opts {
	unsigned verdicts; /* bit per enum pg_verdict */
	__u64 ifaces;	   /* bit per slot; 0: all */
	__u32 snap;	   /* bytes of each; 0, or more than PG_WATCH_SNAP: that */
	__u32 rate;	   /* packets a second of each rule and CPU; 0: all */
	__u32 sample;	   /* every so many-th; 0: all */
};
/* Anything but 0 ends the reading. `n` bytes of packet->data are there. */
typedef int pg_dp_watched_fn(void *arg, const struct pg_watched *packet, size_t n);
/* The instance must be open for watching or writing, and stay so. */
int pg_dp_watch_open(struct pg_dp *dp, const struct pg_dp_watch_opts *opts, pg_dp_watched_fn *fn,
		     void *arg, struct pg_dp_watch **ret_watch, struct pg_err *err);
/*
 * As pg_dp_events_read(). To be called every second or so: who does not for PG_DP_WATCH_LEASE_S gets
 * nothing more, until it is called again.
 */
#define PG_DP_WATCH_LEASE_S 5
int pg_dp_watch_read(struct pg_dp_watch *watch, int timeout_ms, struct pg_err *err);
/* Watch no more, and read what is there yet. Returns as pg_dp_watch_read(). */
int pg_dp_watch_finish(struct pg_dp_watch *watch, struct pg_err *err);
struct pg_dp_watch_sums {
	__u64 seen;    /* packets of the kind that was asked for */
	__u64 limited; /* of them beyond the rate */
	__u64 lost;    /* of them found no room */
};
void pg_dp_watch_sums(const struct pg_dp_watch *watch, struct pg_dp_watch_sums *ret);
void pg_dp_watch_close(struct pg_dp_watch *watch);
static inline void pg_dp_watch_closep(struct pg_dp_watch **watch)
{
	pg_dp_watch_close(*watch);
}

/* Running frames through the program ----------------------------------------------------------- */

/*
 * One Ethernet frame through the program of a private instance, which counts it as it would a
 * real one. `frame` has `len` bytes (14 at least; the kernel refuses less); wire_len, at least
 * len, is what the frame's length is taken to be: frames larger than the kernel takes in one
 * test run are given by their beginning.
 */
int pg_dp_run(struct pg_dp *dp, enum pg_dir dir, const void *frame, size_t len, size_t wire_len,
	      struct pg_trace *ret_trace, struct pg_err *err);
/* The same by program: TC ingress can be asked for, too. */
enum pg_prog { PG_PROG_XDP = 1, PG_PROG_TC_IN = 2, PG_PROG_TC_OUT = 4 };
int pg_dp_run_prog(struct pg_dp *dp, enum pg_prog prog, const void *frame, size_t len,
		   size_t wire_len, struct pg_trace *ret_trace, struct pg_err *err);
/*
 * What the classifier did with the last frame, on the general path, in order: how many steps, of
 * which the first PG_TRACE_STEPS are there (more have overwritten these: then the order is lost). The
 * memory is the instance's.
 */
size_t pg_dp_run_steps(const struct pg_dp *dp, const struct pg_step **ret_step);
/*
 * Many frames at the cost of one: collect them, run all, and see what was made of each, in order. As
 * pg_dp_run() of each, but for the steps. False: not in this instance (which takes arrivals only where
 * it has the XDP program), or no more before the next run.
 */
bool pg_dp_feed(struct pg_dp *dp, enum pg_dir dir, const void *frame, size_t len, size_t wire_len);
/* How many there are, run or not. */
size_t pg_dp_fed(const struct pg_dp *dp);
int pg_dp_feed_run(struct pg_dp *dp, struct pg_err *err);
/* Of those that were run; good until pg_dp_feed_clear(). */
const struct pg_trace *pg_dp_feed_trace(const struct pg_dp *dp, size_t i);
void pg_dp_feed_clear(struct pg_dp *dp);
/* The fd of a private instance's program, for who measures it. The instance keeps it. */
int pg_dp_private_prog(const struct pg_dp *dp, enum pg_prog prog);

/* What both are sure to take; XDP takes more where the kernel has multi-buffer support. */
size_t pg_dp_run_max(const struct pg_dp *dp);

/* Named sets ----------------------------------------------------------------------------------- */

/* All of them by number, PG_SETS; dp may be NULL: there are none. */
void pg_dp_sets_read(struct pg_dp *dp, struct pg_set_info *ret);

/* For rules that name a set. -ENOENT, without a message: none of that name, or dp is NULL. */
int pg_dp_set_find(struct pg_dp *dp, const char *name, __u32 *ret_id, struct pg_set_info *ret_info);

/* Every entry, also those that have expired; `fn` ends the walk with anything but 0. */
int pg_dp_set_walk(struct pg_dp *dp, __u32 number,
		   int (*fn)(void *arg, const struct pg_set_entry *entry), void *arg,
		   struct pg_err *err);

/* Bytes that a set's entries take. */
__u64 pg_dp_set_memory(struct pg_dp *dp, __u32 number);

/* For pg_sets_new(), on an instance opened for writing and not changed by others meanwhile. */
void pg_dp_sets_base(struct pg_dp *dp, struct pg_sets_base *ret);

/*
 * Delete entries that have expired. Sets that were looked through not long ago are put off, unless
 * they are full or `force` is set.
 */
int pg_dp_sets_collect(struct pg_dp *dp, __u64 now_ns, bool force, bool *ret_put_off,
		       struct pg_err *err);

/*
 * Write what was changed. Sets that are new, were flushed or grow are built aside and then
 * installed whole; the others are changed entry by entry. Packets see each entry either way, never
 * a set half built. A failure before that leaves everything as it was.
 */
int pg_dp_sets_commit(struct pg_dp *dp, struct pg_sets *sets, struct pg_err *err);

/* Give a private instance the sets of another: the same entries, not copies. */
int pg_dp_sets_share(struct pg_dp *dp, struct pg_dp *from, struct pg_err *err);

/* Shadow: a policy that is tried on live packets ------------------------------------------------- */

/*
 * The policy that is tried has an instance of its own, in the directory `shadow` of the instance whose
 * packets it sees: counters, flows, limits. Named sets are shared. Everything but reading takes an
 * instance that is open for writing.
 */

/* Make one, in place of one that there is; nothing is committed in it yet, and it sees no packet. */
int pg_dp_shadow_create(struct pg_dp *dp, struct pg_dp **ret_shadow, struct pg_err *err);
/* When it began, in seconds since 1970; 0: it has not. */
enum pg_shadow_state pg_dp_shadow_state(const struct pg_dp *dp, __s64 *ret_since);
/* The policy's that was in force when it began: packets that meet another are not compared. */
__u32 pg_dp_shadow_generation(const struct pg_dp *dp);
/* The text of that policy, which the trial keeps; -ENODATA: none had been committed. The caller frees it. */
int pg_dp_shadow_text(const struct pg_dp *dp, const struct pg_dp *shadow, void **ret_text, size_t *ret_n,
		      struct pg_err *err);
/* Does it see the packets of the interface in this slot of the instance? */
bool pg_dp_shadow_watches(const struct pg_dp *shadow, __u32 slot);
/* The one that there is. -ENOENT, silently: none. -ESTALE: it has not begun. */
int pg_dp_shadow_open(struct pg_dp *dp, struct pg_dp **ret_shadow, struct pg_err *err);
/*
 * Let it see the packets of every interface of this network namespace; how many those are, 1 at least.
 * Flows that are tracked are copied, where both policies track.
 */
int pg_dp_shadow_start(struct pg_dp *dp, struct pg_dp *shadow, struct pg_err *err);
/* End it: the programs are again those that were there before. -ENOENT, silently: there is none. */
int pg_dp_shadow_stop(struct pg_dp *dp, struct pg_err *err);

struct pg_shadow_sums {
	struct pg_count compared, differ;
	struct pg_count lost; /* of those that differ: no room for their kind */
};
/* How much was compared, and each kind of packet about which the two differ. */
typedef int pg_shadow_fn(void *arg, const struct pg_difference *difference,
			 const struct pg_count *count);
int pg_dp_shadow_read(struct pg_dp *shadow, struct pg_shadow_sums *ret, pg_shadow_fn *fn, void *arg,
		      struct pg_err *err);
