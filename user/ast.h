/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A policy as its author wrote it: chains of rules, each with its conditions in order. Plain data,
 * no kernel. Order of matches within a rule is kept, because iptables evaluates them in order and
 * a match that asks for a missing header drops the packet.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg_abi.h"
#include "pg_limits.h"
#include "util.h"

#define PG_CHAIN_NAME_MAX 28	/* XT_FUNCTION_MAXNAMELEN - 1 - 1 */
#define PG_COMMENT_MAX 255	/* XT_MAX_COMMENT_LEN - 1 */
#define PG_MULTIPORT_MAX 15	/* XT_MULTI_PORTS; a range takes two places */
#define PG_SET_NAME_MAX 31	/* IPSET_MAXNAMELEN - 1 */
#define PG_LOG_PREFIX_MAX 29	/* of LOG: struct ipt_log_info.prefix, without its NUL */
#define PG_NFLOG_PREFIX_MAX 63	/* XT_NFLOG: nf_log_info prefix[64], without its NUL */

/* Where in a rule file something stands; line 0: it came from the command line. */
struct pg_pos {
	unsigned line, column; /* from 1 */
};

/* Address families a rule can hold for. */
#define PG_V4 (1U << 0)
#define PG_V6 (1U << 1)
#define PG_V46 (PG_V4 | PG_V6)

/* An address and the bits of it that count, network order; IPv4 uses the first four bytes. */
struct pg_addr {
	bool set, invert;
	uint8_t family; /* PG_V4 or PG_V6 */
	uint8_t addr[16];
	uint8_t mask[16]; /* any mask: iptables allows gaps */
};

struct pg_ifname {
	bool set, invert;
	char name[IFNAMSIZ]; /* a trailing '+' matches any name that starts so */
};

struct pg_port_range {
	uint16_t lo, hi; /* both included */
	bool invert;	 /* not used in multiport, which inverts as a whole */
};

enum pg_match_kind {
	PG_MATCH_TCP,
	PG_MATCH_UDP, /* -m udp: proto udp or udplite */
	PG_MATCH_UDPLITE,
	PG_MATCH_SCTP,
	PG_MATCH_DCCP,
	PG_MATCH_ICMP,
	PG_MATCH_ICMP6,
	PG_MATCH_MULTIPORT,
	PG_MATCH_COMMENT,
	PG_MATCH_STATE,	    /* -m state: conntrack.states only */
	PG_MATCH_CONNTRACK,
	PG_MATCH_LIMIT,
	PG_MATCH_HASHLIMIT,
	PG_MATCH_CONNLIMIT,
	PG_MATCH_CONNBYTES,
	PG_MATCH_RECENT,
	PG_MATCH_QUOTA,
	PG_MATCH_STATISTIC,
	PG_MATCH_SET,
	PG_MATCH_TIME,
	PG_MATCH_ADDRTYPE,
	PG_MATCH_MAC,
	PG_MATCH_IPRANGE,
	PG_MATCH_LENGTH,
	PG_MATCH_TTL, /* IPv4 */
	PG_MATCH_HL,  /* IPv6 */
	PG_MATCH_TOS,
	PG_MATCH_DSCP,
	PG_MATCH_PKTTYPE,
	PG_MATCH_MARK,
	PG_MATCH_TCPMSS,
	PG_MATCH_ESP,
	PG_MATCH_AH,   /* both families; --ahlen and --ahres are IPv6's */
	PG_MATCH_FRAG, /* IPv6 */
	PG_MATCH_RT,   /* IPv6 */
	PG_MATCH_RPFILTER, /* table raw */
	PG_MATCH_VLAN, /* portguard's own */
	_PG_MATCH_MAX
};

/* Parts of -m conntrack that were given; each may be inverted. */
enum pg_ct_part {
	PG_CT_PART_STATE, PG_CT_PART_PROTO, PG_CT_PART_ORIGSRC, PG_CT_PART_ORIGDST,
	PG_CT_PART_REPLSRC, PG_CT_PART_REPLDST, PG_CT_PART_ORIGSRCPORT, PG_CT_PART_ORIGDSTPORT,
	PG_CT_PART_REPLSRCPORT, PG_CT_PART_REPLDSTPORT, PG_CT_PART_STATUS, PG_CT_PART_EXPIRE,
	PG_CT_PART_DIR, _PG_CT_PART_MAX
};

/*
 * Owned by its match, because it is large and rare. What is inverted says the match; addresses may
 * have bits outside their mask; a range may be reversed, and then holds for nothing.
 */
struct pg_conntrack {
	struct pg_addr addr[4];	       /* origsrc, origdst, replsrc, repldst */
	struct pg_port_range port[4];  /* likewise */
	uint32_t expire_lo, expire_hi; /* seconds */
	uint8_t proto;		       /* 0: none has it */
	uint8_t status; /* EXPECTED 1, SEEN_REPLY 2, ASSURED 4, CONFIRMED 8; 0: NONE, never true */
	bool reply;	/* --ctdir REPLY */
};

/* Owned by its match. Numbers are those of the kernel's struct hashlimit_cfg3. */
struct pg_hashlimit {
	char *name;	     /* owned */
	uint64_t avg, burst; /* 1/1000000 s between packets; or, if bytes: see match_hashlimit.c */
	uint8_t modes;	     /* PG_HASHLIMIT_* */
	bool above, bytes;   /* --hashlimit-above; the rate is in bytes */
	bool rate_match;
	uint8_t srcmask, dstmask;    /* prefix lengths; 255: the family's whole address */
	uint8_t mask_family;	     /* while being read: of a mask written as an address */
	uint32_t size, max;	     /* 0: by the size of memory */
	uint32_t gc_interval_ms, expire_ms;
	uint32_t interval_s;	     /* of rate_match; otherwise 1 */
	uint32_t unit_s;	     /* while being read: what the rate was given by */
};

struct pg_recent { /* owned by its match */
	char *name; /* owned; "DEFAULT" unless given */
	enum pg_recent_op op;
	bool invert, dest, rttl, reap;
	uint32_t seconds, hitcount; /* 0: not asked */
	uint8_t family;		    /* of the mask; 0: whole addresses of either family */
	uint8_t mask[16];	    /* any mask; network order */
};

struct pg_time { /* owned by its match */
	int64_t date_start, date_stop; /* seconds since 1970; 0, INT32_MAX by default */
	uint32_t daytime_start, daytime_stop; /* seconds of the day; stop 86399 by default */
	uint32_t monthdays; /* bit 1..31; all by default, may be none; inverting is done */
	uint8_t weekdays;   /* bit 1 Monday .. bit 7 Sunday; likewise */
	bool kerneltz, contiguous;
};

/* Types of addresses, as bits: 1 << RTN_* (linux/rtnetlink.h). */
struct pg_addrtype {
	uint16_t src, dst; /* 0: not asked */
	bool src_invert, dst_invert, limit_in, limit_out;
};

/* A range of values, both included. */
struct pg_u32_range {
	uint32_t lo, hi;
	bool set, invert;
};

enum pg_ttl_op { PG_TTL_EQ, PG_TTL_NE, PG_TTL_LT, PG_TTL_GT };

/* --chunk-types of sctp */
#define PG_SCTP_FLAGS_MAX 4 /* IPT_NUM_SCTP_FLAGS: types whose flags are asked for */
enum pg_chunk_op { PG_CHUNK_NONE, PG_CHUNK_ANY, PG_CHUNK_ALL, PG_CHUNK_ONLY };
struct pg_sctp_chunks { /* owned by its match */
	enum pg_chunk_op op;
	bool invert;
	uint8_t map[32]; /* bit per type */
	struct { uint8_t type, flag, mask; } flag[PG_SCTP_FLAGS_MAX];
	unsigned n_flags;
};

enum pg_multiport_side { PG_MULTIPORT_SRC, PG_MULTIPORT_DST, PG_MULTIPORT_EITHER };

struct pg_match {
	enum pg_match_kind kind;
	struct pg_pos pos;
	union {
		struct { /* TCP, UDP, UDPLITE, SCTP, DCCP: unset ranges are 0..65535 */
			struct pg_port_range sport, dport;
			bool sport_whole, dport_whole; /* SCTP, DCCP: 0:65535 was asked for */
			bool flags_set, flags_invert; /* TCP only */
			uint8_t flags_mask, flags_comp;
			struct pg_u32_range option;    /* --tcp-option, --dccp-option: lo, hi the same */
			uint16_t dccp_types;	       /* --dccp-types: bit per type */
			bool dccp_types_set, dccp_types_invert;
			struct pg_sctp_chunks *chunks; /* SCTP; owned, NULL: not asked */
		} ports;
		struct {	     /* ICMP, ICMP6 */
			bool any;    /* --icmp-type any */
			bool invert;
			uint8_t type, code_lo, code_hi; /* 0..255 for any code */
		} icmp;
		struct {
			enum pg_multiport_side side;
			bool invert;
			unsigned n;
			struct pg_port_range range[PG_MULTIPORT_MAX];
		} multiport;
		char *comment; /* owned */
		struct {       /* STATE, CONNTRACK */
			uint16_t states; /* PG_CT_* */
			uint32_t given, inverted; /* bit per enum pg_ct_part; STATE has its own */
			/* Owned; NULL where nothing but PG_CT_PART_STATE is given. */
			struct pg_conntrack *more;
		} conntrack;
		struct {
			uint32_t avg; /* 1/10000 s between packets, as struct xt_rateinfo */
			uint32_t burst;
		} limit;
		struct pg_hashlimit *hashlimit; /* owned, never NULL */
		struct {
			uint32_t limit;
			bool upto, dest; /* otherwise above, source */
			/* Prefix length; 255: whole addresses, in a rule of both families. */
			uint8_t mask;
			uint8_t mask_family; /* while being read: it was written as an address */
		} connlimit;
		struct {
			uint64_t lo, hi;
			bool invert;
			uint8_t dir, mode; /* PG_CONNBYTES_* */
		} connbytes;
		struct pg_recent *recent; /* owned, never NULL */
		struct {
			uint64_t bytes;
			bool invert;
		} quota;
		struct {
			bool nth, invert;
			uint32_t probability;	  /* of 0x80000000, as the kernel has it */
			uint32_t every, packet; /* packet < every */
		} statistic;
		struct {
			char name[PG_SET_NAME_MAX + 1];
			uint8_t n_dirs, dirs; /* 1..6; bit i: the i-th is src */
			bool invert;
		} set;
		struct pg_time *time; /* owned, never NULL */
		struct pg_addrtype addrtype;
		struct {
			uint8_t addr[6];
			bool invert;
		} mac;
		struct {
			uint8_t family; /* PG_V4 or PG_V6 */
			bool src_set, src_invert, dst_set, dst_invert;
			uint8_t src_lo[16], src_hi[16], dst_lo[16], dst_hi[16]; /* network order */
		} iprange;
		struct pg_u32_range range; /* LENGTH, TCPMSS, ESP */
		struct {
			enum pg_ttl_op op;
			uint8_t value;
		} ttl; /* TTL, HL */
		struct { /* TOS, DSCP (mask unused), MARK */
			uint32_t value, mask;
			bool invert;
		} bits;
		struct {
			uint8_t type; /* PACKET_HOST … PACKET_OTHERHOST */
			bool invert;
		} pkttype;
		struct {
			struct pg_u32_range spi, len;
			bool res;
		} ah;
		struct {
			struct pg_u32_range id, len;
			bool res, first, more, last;
		} frag;
		struct {
			struct pg_u32_range type, segsleft, len;
			bool res, nonstrict; /* --rt-0-res, --rt-0-not-strict */
			uint8_t n_addrs;     /* --rt-0-addrs */
			uint8_t (*addrs)[16]; /* owned */
		} rt;
		struct {
			bool loose, validmark, accept_local, invert;
		} rpfilter;
		struct {
			uint16_t lo, hi; /* 0..4095 */
			bool invert;
		} vlan;
	};
};

enum pg_target {
	PG_TARGET_NONE,
	PG_TARGET_ACCEPT,
	PG_TARGET_DROP,
	PG_TARGET_RETURN,
	PG_TARGET_CHAIN, /* rule.chain; rule.is_goto */
	PG_TARGET_REJECT,
	PG_TARGET_LOG,
	PG_TARGET_NFLOG,
	PG_TARGET_MARK,
	PG_TARGET_CT, /* table raw */
	_PG_TARGET_MAX
};

/* What REJECT answers with. Those of IPv4 are sent as ICMP, those of IPv6 as ICMPv6. */
enum pg_reject {
	PG_REJECT_DEFAULT, /* icmp-port-unreachable, icmp6-port-unreachable: by family */
	PG_REJECT_TCP_RESET,
	PG_REJECT_NET_UNREACH, PG_REJECT_HOST_UNREACH, PG_REJECT_PROTO_UNREACH,
	PG_REJECT_PORT_UNREACH, PG_REJECT_NET_PROHIBITED, PG_REJECT_HOST_PROHIBITED,
	PG_REJECT_ADMIN_PROHIBITED,
	PG_REJECT6_NO_ROUTE, PG_REJECT6_ADM_PROHIBITED, PG_REJECT6_ADDR_UNREACH,
	PG_REJECT6_PORT_UNREACH, PG_REJECT6_POLICY_FAIL, PG_REJECT6_REJECT_ROUTE,
	_PG_REJECT_MAX
};

/*
 * What a target was given. A mark is as xt_mark has it, mark = (mark & ~mask) ^ mark: --set-mark,
 * --or-mark and the like all become it.
 */
union pg_target_args {
	enum pg_reject reject;
	struct {
		bool kill; /* end the connections that the rule forbids when it comes into force */
	} drop;
	struct {
		uint8_t level; /* syslog's, 4 by default */
		uint8_t flags; /* XT_LOG_TCPSEQ … (linux/netfilter/xt_LOG.h) */
		char *prefix;  /* owned; NULL: none */
	} log;
	struct {
		uint16_t group, threshold; /* threshold 0: default */
		uint32_t size;	 /* --nflog-size or --nflog-range */
		bool size_set, range_set;
		char *prefix; /* owned; NULL: none */
	} nflog;
	struct {
		uint32_t mark, mask;
	} mark;
	struct {
		bool notrack; /* otherwise it does nothing */
		bool old;     /* written NOTRACK, which iptables takes for another target */
	} ct;
};

struct pg_rule {
	struct pg_pos pos;
	uint8_t narrowed; /* -4: PG_V4, -6: PG_V6, otherwise PG_V46 */
	uint8_t proto;	  /* 0: any */
	bool proto_invert;
	struct pg_addr src, dst;
	struct pg_ifname in, out;
	bool fragment_set, fragment_invert; /* -f, ! -f */
	struct pg_match *match;		    /* owned, in the order written */
	size_t n_match;
	enum pg_target target;
	bool is_goto;			   /* CHAIN: -g */
	char chain[PG_CHAIN_NAME_MAX + 1]; /* CHAIN: its name, in the same table */
	union pg_target_args args;
	uint64_t packets, bytes; /* as restored with -c, or as read from the kernel */
	bool has_counters;	 /* its own line says -c, or -Z zeroed it: it starts from these */
	/*
	 * No packet since this time (seconds since 1970), when its counter stood at `unhit_packets`; 0: there
	 * were some since the policy was changed last. Belongs to policy.c.
	 */
	int64_t unhit_since;
	uint64_t unhit_packets;
	uint32_t slot;		 /* of its counter; PG_NO_SLOT: none yet. Belongs to dp.c */
	uint32_t state;		 /* first of what its matches remember; PG_NO_SLOT: none */
};
#define PG_NO_SLOT UINT32_MAX

enum pg_table_id { PG_TABLE_FILTER, PG_TABLE_RAW, _PG_TABLE_MAX };

struct pg_chain {
	enum pg_table_id table;
	struct pg_pos pos; /* where a file declares it; line 0: nowhere */
	char name[PG_CHAIN_NAME_MAX + 1];
	enum pg_target policy; /* built-in chains: ACCEPT or DROP; user chains: NONE */
	uint64_t packets, bytes;
	bool has_counters; /* -c or -Z: as a rule's */
	uint32_t slot; /* of the policy's counter */
	struct pg_rule *rule; /* owned */
	size_t n_rules, cap;
};

/*
 * Built-in chains stand first and are always there: INPUT, FORWARD and OUTPUT of table filter,
 * PREROUTING and OUTPUT of table raw. User-defined ones follow, by table, then by name: the order in
 * which iptables shows them.
 */
enum {
	PG_CHAIN_INPUT, PG_CHAIN_FORWARD, PG_CHAIN_OUTPUT, PG_CHAIN_RAW_PREROUTING,
	PG_CHAIN_RAW_OUTPUT, PG_CHAINS_BUILTIN
};
struct pg_ruleset {
	struct pg_chain *chain; /* owned */
	size_t n_chains;
};

/* An empty policy that accepts everything. NULL: no memory. */
struct pg_ruleset *pg_ruleset_new(void);
void pg_ruleset_free(struct pg_ruleset *set);
static inline void pg_ruleset_freep(struct pg_ruleset **set)
{
	pg_ruleset_free(*set);
}
/* A deep copy. NULL: no memory. */
struct pg_ruleset *pg_ruleset_dup(const struct pg_ruleset *set);
/* NULL: no chain of that name. Good until chains are added or removed, which moves them. */
struct pg_chain *pg_ruleset_chain(const struct pg_ruleset *set, enum pg_table_id table,
				  const char *name);
/* Where among the user-defined chains one of that name is, or belongs. */
size_t pg_chain_place(const struct pg_ruleset *set, enum pg_table_id table, const char *name);
/* How many rules jump or go to it: -X and -L's "(N references)". */
size_t pg_chain_references(const struct pg_ruleset *set, const struct pg_chain *chain);

/* Frees what the rule owns, not the rule. Leaves it empty. */
void pg_rule_clear(struct pg_rule *rule);
int pg_rule_copy(struct pg_rule *ret, const struct pg_rule *rule); /* 0 or -ENOMEM */
/* Same conditions and target in the same order; counters, slots and positions don't count. */
bool pg_rule_equal(const struct pg_rule *a, const struct pg_rule *b);
/* The same condition. */
bool pg_match_equal(const struct pg_match *a, const struct pg_match *b);
/* The same for rules that are equal. `scratch` is the caller's to free; check its oom. */
uint64_t pg_rule_hash(const struct pg_rule *rule, struct pg_text *scratch);
/* PG_V4, PG_V6 or both: what its addresses, matches and -4/-6 leave. 0: can never match. */
unsigned pg_rule_families(const struct pg_rule *rule);

/* Insert a copy of rule at 0..n_rules, remove the one at 0..n_rules-1. 0 or -ENOMEM. */
int pg_chain_insert(struct pg_chain *chain, size_t at, const struct pg_rule *rule);
void pg_chain_remove(struct pg_chain *chain, size_t at);
/* The same as inserting, but the rule itself moves: what it owned is the chain's. */
int pg_chain_take(struct pg_chain *chain, size_t at, struct pg_rule *rule);
