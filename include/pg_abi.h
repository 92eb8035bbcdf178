/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs and the command agree on: map values and how they are indexed.
 * Byte order is the host's unless a type says otherwise (__be16, __be32). Every struct's size is
 * asserted at the end, so a change of layout is a deliberate one: raise PG_ABI with it.
 *
 * Fixed-size types come from <linux/types.h> in user space and from vmlinux.h in the programs, which
 * include that before this header.
 */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#include "pg_limits.h"
#include "pg_names.h"

#define PG_ABI 15

enum pg_dir { PG_DIR_IN, PG_DIR_OUT, _PG_DIR_MAX };

/* The two protocols whose 65 536 ports are counted without a rule. */
enum pg_port_proto { PG_PORT_TCP, PG_PORT_UDP, _PG_PORT_PROTO_MAX };

enum pg_family { PG_FAMILY_V4, PG_FAMILY_V6, _PG_FAMILY_MAX };

/* One counter pair. Bytes are IP bytes; for frames that are not IP, frame bytes. */
struct pg_count {
	__u64 packets;
	__u64 bytes;
};

/*
 * How much of the transport header a packet has, which decides what rules may ask of it
 * (iptables-legacy's rules: net/netfilter/xt_tcpudp.c, xt_multiport.c, ip6_tables.c).
 */
enum pg_l4_state {
	PG_L4_FULL,   /* all that any match could ask for, or a protocol without ports */
	PG_L4_LATER,  /* a later fragment: no header here */
	PG_L4_OFF1,   /* IPv4 TCP fragment at offset 1, which overwrites TCP flags */
	PG_L4_CUT,    /* fewer than 4 bytes of it */
	PG_L4_PORTS,  /* ports (4 bytes) but not the whole fixed header */
	PG_L4_BROKEN, /* IPv6 extension headers that run out of packet */
	_PG_L4_MAX
};

/*
 * Which tables hold a packet's ports, flags and ICMP type. Half-present headers (PG_L4_PORTS)
 * have spaces of their own, because there `-m multiport` sees ports and `-m tcp` drops instead.
 */
enum pg_space {
	PG_SPACE_NONE, /* no ports: other protocol, later fragment, cut header */
	PG_SPACE_TCP,
	PG_SPACE_UDP,
	PG_SPACE_UDPLITE,
	PG_SPACE_SCTP,
	PG_SPACE_DCCP,
	PG_SPACE_ICMP,
	PG_SPACE_ICMP6,
	PG_SPACE_PARTIAL = 8, /* added for PG_L4_PORTS */
	_PG_SPACE_MAX = 16
};

/*
 * What a term asks of a packet beyond its classes. Where the packet cannot answer (its l4 state
 * says so), the kernel's matches set hotdrop: the packet is dropped and the rule not counted.
 */
#define PG_ASK_PROTO (1U << 0)	/* -p: walks IPv6 extension headers */
#define PG_ASK_PORTS (1U << 1)	/* multiport: 4 bytes */
#define PG_ASK_HEADER (1U << 2) /* tcp, udp, icmp, …: the whole fixed header */
#define PG_ASK_TCP (1U << 3)	/* -m tcp on a fragment at offset 1 */

/* What a term does with the packets it matches. */
enum pg_action_kind {
	PG_ACT_CONTINUE, /* counts, and the next term is asked */
	PG_ACT_ACCEPT,
	PG_ACT_DROP,
	PG_ACT_REJECT, /* arg: enum pg_reject_with */
	PG_ACT_RETURN,
	PG_ACT_JUMP, /* arg: chain */
	PG_ACT_GOTO,
	PG_ACT_SPLIT, /* JUMP to the rest of the same rule: not counted here */
	PG_ACT_LOG,   /* arg: check that holds prefix and level; goes on */
	PG_ACT_MARK,  /* arg: check that holds mark and mask; goes on */
	PG_ACT_NOTRACK, /* decides, in raw */
	_PG_ACT_MAX
};

/* What REJECT answers with; ICMP codes are those of each family (RFC 792, 1812, 4443). */
enum pg_reject_with {
	PG_REJECT_ICMP, /* + ICMP's code << 8 + ICMPv6's << 12: destination unreachable */
	PG_REJECT_RESET
};

/*
 * A term: what it does, and its conditions in the form in which one term alone can be verified,
 * which is how rows that name few terms are used. Bitmaps know the same conditions, and more.
 */
struct pg_term_record {
	/*
	 * IPv6 addresses and the prefix lengths below. Of an IPv4 address [0] is the address and
	 * [1] the mask, both in network order; an address that is not asked for has mask 0.
	 */
	__be32 saddr[4], daddr[4];
	__u8 slen, dlen; /* IPv6 */
	__u8 invert;	 /* PG_DIM_SADDR, PG_DIM_DADDR: the address is not that one */
	__u8 whole;	 /* bit 2 * family + protocol: holds for whole TCP or UDP headers */
	__u16 sport_lo, sport_hi, dport_lo, dport_hi;
	__u8 flags_mask, flags_comp; /* TCP flags */
	__u16 rows;		     /* PG_DIM_*: of which bitmaps know more than the record */
	__u32 slot;		     /* of pg_shard.rule */
	__u8 kind;		     /* enum pg_action_kind */
	__u8 asks;		     /* PG_ASK_* */
	__u8 checks;		     /* how many follow the bitmaps, from .check */
	__u8 before;		     /* that many of them come before what `asks` asks */
	__u32 check;
	__u32 arg;
};

/*
 * All that the fast path asks of most terms' records, in a word, so that many of them share a cache
 * line: a term that accepts or drops and has no checks. 0: ask the record.
 */
#define PG_BRIEF (1U << 31)
#define PG_BRIEF_DROP (1U << 30)
static inline __u32 pg_brief(const struct pg_term_record *rec)
{
	if (rec->checks || (rec->kind != PG_ACT_ACCEPT && rec->kind != PG_ACT_DROP))
		return 0;
	return PG_BRIEF | (rec->kind == PG_ACT_DROP ? PG_BRIEF_DROP : 0) | rec->slot;
}

/*
 * A place below 64 that only the lowest bit of a set has, which is not empty: by a de Bruijn sequence, since
 * BPF has no instruction that finds the bit.
 */
static inline __u32 pg_lowest_hash(__u64 set)
{
	return (set & -set) * 0x022fdd63cc95386dULL >> 58;
}

/*
 * Tables are tries of 256-entry nodes, one byte a step. An entry with PG_LEAF set is the offset in
 * bytes of a row among the rows; without it, the offset in bytes of the next node among the nodes.
 * IPv4 addresses and TCP and UDP ports may begin with a wide node: 65 536 entries, two bytes at once.
 * Offsets are absolute: each generation owns one half of the nodes and one half of the rows.
 *
 * A row is the set of terms that a value satisfies: one word in the WORD form; in the TREE form a
 * summary word and then one word for every 64 terms (bit i: word i is not zero, or with
 * pg_gen.pairs, words 2i and 2i + 1 are not); in the HUGE form a word with a bit for every block
 * that is not empty, and the offsets of all blocks, each a summary word and 64 words. In the TINY
 * form there are no rows: the other 31 bits of a leaf are the set itself. The row pg_gen.any is all
 * ones; dimensions in which every value leads there are not in pg_gen.dims.
 *
 * In TREE and HUGE a leaf with PG_FEW_LEAF leads to a row of another kind: up to PG_FEW entries of
 * struct pg_few, ascending by term. They are the terms that ask something of this dimension and may
 * hold here; those that ask nothing of it are the dimension's base row. The trie may end early
 * there, so a term from such a row must be verified: against its entry, which is all there is to
 * most rules and lies in the cache line that was fetched anyway, and else against its record.
 */
#define PG_LEAF (1U << 31) /* in a set of TINY's: no term of it matches */
#define PG_FEW_LEAF (1U << 30)
#define PG_FEW_OWN (1U << 29)
#define PG_WIDE (1U << 28) /* of an entry that leads to a node, where a walk starts: it is wide */
#define PG_NO_TERM 0xffffffffU

/* A term by its number, and conditions without which it does not hold for a whole TCP or UDP header. */
struct pg_few {
	__u32 addr; /* leading bits of a word of its source, host order */
	__u16 dport_lo, dport_hi;
	__u32 term; /* its number, and PG_FEW_* */
	__u32 slot; /* of pg_shard.rule, where the entry is sure */
};

#define PG_FEW_TERM (PG_MAX_TERMS - 1) /* the largest number is no term's */
#define PG_FEW_LAST (1U << 17)	       /* of the row */
/* That is all it asks, with the words of its source before the entry's, and it accepts or drops. */
#define PG_FEW_SURE (1U << 18)
#define PG_FEW_DROP (1U << 19)
#define PG_FEW_WHOLE_SHIFT 20 /* pg_term_record.whole */
#define PG_FEW_WORD_SHIFT 24  /* which word of the source; 0 in IPv4 */
#define PG_FEW_BITS_SHIFT 26  /* how many bits of addr count; the topmost field */

/* Dimensions that some term asks for; one bit for both families and all spaces together. */
#define PG_DIM_SADDR (1U << 0)
#define PG_DIM_DADDR (1U << 1)
#define PG_DIM_SPORT (1U << 2)
#define PG_DIM_DPORT (1U << 3)
#define PG_DIM_DETAIL (1U << 4)
#define PG_DIM_IFACE (1U << 5)

enum pg_form { PG_FORM_EMPTY, PG_FORM_WORD, PG_FORM_TREE, PG_FORM_TINY, PG_FORM_HUGE, _PG_FORM_MAX };

#define PG_TINY_TERMS 31

/* Terms of one chain: they are neighbours. */
struct pg_span {
	__u32 start, end; /* end is behind the last */
};

/*
 * A built-in chain. Packets pass raw's and then one of filter's: what arrives PREROUTING and INPUT or
 * FORWARD, what is sent here raw's OUTPUT and filter's.
 */
enum pg_stage {
	PG_STAGE_FILTER, /* INPUT */
	PG_STAGE_RAW,	 /* PREROUTING */
	PG_STAGE_FORWARD,
	PG_STAGE_OUTPUT,
	PG_STAGE_RAW_OUTPUT,
	_PG_STAGE_MAX
};
#define PG_STAGES 8U /* the programs mask a stage */
struct pg_base {
	struct pg_span span;
	__u32 policy_kind; /* PG_ACT_ACCEPT or PG_ACT_DROP */
	__u32 policy_slot; /* of pg_shard.rule */
};

/* What some rule of the policy needs to know of a packet (pg_gen.needs). */
#define PG_NEED_STATE (1U << 0)	  /* connection state: flows are tracked */
#define PG_NEED_HEADERS (1U << 1) /* what the parser leaves aside: options, extension headers */
#define PG_NEED_RAW (1U << 2)	  /* raw's PREROUTING has rules or a policy: the general path only */
#define PG_NEED_RAW_OUTPUT (1U << 3) /* the same for its OUTPUT */
#define PG_NEED_OUTPUT (1U << 4)     /* OUTPUT has rules or drops by policy */
#define PG_NEED_FORWARD (1U << 5)    /* INPUT and FORWARD differ: ask where an arrival goes */
#define PG_NEED_FRAGMENTS (1U << 6)  /* a rule asks what only a datagram's first fragment has */
#define PG_NEED_FRAGMENT_RULES (1U << 7) /* a rule for arrivals is about later ones (-f) */
#define PG_NEED_FLOW (1U << 8)	  /* more of the connection than its state; with PG_NEED_STATE */
#define PG_NEED_ROUTES (1U << 9)  /* what the kernel's routing says: see dp_local.c */
#define PG_NEED_NOTRACK (1U << 11) /* some rule says NOTRACK */
#define PG_NEED_WATCH (1U << 12)   /* not of the policy: somebody watches what passes (pg_watch) */
#define PG_NEED_MARKS (1U << 13)   /* not of the programs: some rule sets an arrival's mark */
#define PG_NEED_RULE_STATE (1U << 10) /* connection state, and not because of a setting */

struct pg_gen {
	__u32 form;   /* enum pg_form */
	__u32 terms;  /* in use, PG_MAX_TERMS at most */
	__u32 needs;  /* PG_NEED_* */
	__u32 blocks; /* of a row in the HUGE form */
	struct pg_base base[PG_STAGES];
	__u32 pairs;	   /* 1: summary bits of the TREE form stand for two words */
	__u32 number;	   /* of this generation; grows with every commit */
	__u32 nodes, row_words, rows; /* in use, for `status` */
	__u32 dims;		      /* PG_DIM_* */
	__u32 any;		      /* leaf: the row of all ones */
	__u32 none;		      /* leaf: the empty row */
	__u32 few_none;		      /* leaf: the row of few that names none */
	__u32 lent; /* of needs: the other generation's, until this one is confirmed */
	__u32 verify; /* 1: bitmaps don't know all conditions that records know */
	__u32 homes; /* 1: some terms are at home in one of their addresses */
	__u32 whole[_PG_FAMILY_MAX][_PG_PORT_PROTO_MAX]; /* leaf: whole TCP or UDP headers */
	/* Entries at which a walk starts: by address bytes, most significant first. */
	__u32 saddr[_PG_FAMILY_MAX];
	__u32 daddr[_PG_FAMILY_MAX];
	/* By protocol number: one step. */
	__u32 proto[_PG_FAMILY_MAX][8];
	/* By port, high byte first; by TCP flags (one step) or ICMP type and code. */
	__u32 sport[_PG_SPACE_MAX];
	__u32 dport[_PG_SPACE_MAX];
	__u32 detail[_PG_SPACE_MAX];
	/* Rows of the terms that ask nothing of a dimension, for leaves that name few. */
	__u32 saddr_base[_PG_FAMILY_MAX];
	__u32 daddr_base[_PG_FAMILY_MAX];
	__u32 sport_base[_PG_SPACE_MAX];
	__u32 dport_base[_PG_SPACE_MAX];
	/* By interface slot: leaves, for arrivals and for departures; class among pg_link's. */
	__u32 iface[PG_MAX_IFACES];
	__u32 iface_out[PG_MAX_IFACES];
	__u32 iface_class[PG_MAX_IFACES];
	/*
	 * TINY and WORD: what becomes of a packet, by pg_lowest_hash() of the set of terms that it matches:
	 * as struct pg_few has it the term, PG_FEW_SURE and PG_FEW_DROP, and above them the slot; or the
	 * term alone, where that is not all.
	 */
	__u64 outcome[64];
};

/*
 * Every interface that a rule of FORWARD may name, attached or not, in a hash table by index with
 * linear probing (pg_link_place()). Interfaces that no rule tells apart are of one class; those that
 * the command did not see are of class 0, which no name has.
 */
struct pg_link {
	__u32 netns, ifindex; /* ifindex 0: free */
	__u16 class, attached;
};
static inline __u32 pg_link_place(__u32 netns, __u32 ifindex, __u32 try)
{
	return (netns * 31 + ifindex + try) & (PG_LINKS - 1);
}

/*
 * A condition that is evaluated when a term's bitmaps have said yes, in the order of the rule. What
 * it compares with stands in `v`, `addr` or `bytes`, as each kind's line says.
 */
#define PG_CHECKS(X)                                                                               \
	X(STATE)	 /* v[0]: PG_CT_* */                                                       \
	X(LIMIT)	 /* u64[0]: ns between packets; u64[1]: ns that the burst is worth */      \
	X(HASHLIMIT)	 /* the same; u64[2]: name; v[6]: PG_HASHLIMIT_*; bytes[32..33]: masks */  \
	X(RECENT)	 /* u64[0]: name; v[2] op, v[3] seconds, v[4] hits, v[5] flags; addr: mask */\
	X(QUOTA)	 /* u64[0]: bytes at the start */                                          \
	X(NTH)		 /* v[0]: every - 1 */                                                     \
	X(RANDOM)	 /* v[0]: of 2^31 */                                                       \
	X(SET)		 /* v[0]: set; v[1]: dirs, v[2]: 1 for a set of networks */                \
	X(TIME)		 /* s64[0..1]: dates; v[4..5]: daytime; v[6] monthdays; v[7] weekdays; */  \
			 /* v[8]: 1 contiguous; v[9]: seconds that the zone is west */             \
	X(ADDRTYPE)	 /* v[0]: source's, v[1]: destination's types, v[2]: PG_ADDRTYPE_*; */     \
			 /* invert bit 0, 1 */                                                     \
	X(MAC)		 /* bytes[0..5] */                                                         \
	X(SRC_RANGE)	 /* u64[0..1]: lowest, u64[2..3]: highest address, host order */           \
	X(DST_RANGE)	 /* the same */                                                            \
	X(FIELD)	 /* v[0]: enum pg_field; v[1], v[2]: lowest, highest value */              \
	X(BITS)		 /* v[0]: enum pg_field; v[1]: mask, v[2]: value */                        \
	X(OPTION)	 /* v[0]: of TCP or DCCP */                                                \
	X(DCCP_TYPE)	 /* v[0]: bit per type */                                                  \
	X(CHUNKS)	 /* chunks: of SCTP */                                                     \
	X(RT_COUNT)	 /* v[0]: how many addresses, v[1]: no more */                             \
	X(RT_ADDR)	 /* v[0]: in its place; addr[4..7] */                                      \
	X(CT_ADDR)	 /* v[0]: enum pg_ct_end; addr[2..5], mask addr[6..9]; */                  \
			 /* of all CT_*: with_state where --ctstate is asked for, too */            \
	X(CT_FIELD)	 /* v[0]: enum pg_ct_field; v[1], v[2]: lowest, highest value, or bits */  \
	X(CONNBYTES)	 /* u64[0..1]: lowest, highest; v[4] mode, v[5] direction */               \
	X(CONNLIMIT)	 /* v[0]: more than that; v[1]: of the destination; v[2]: prefix */        \
	X(RPFILTER)	 /* v[0]: PG_RPFILTER_* */                                                 \
	X(ACTION)	 /* no condition: arguments of LOG, MARK */

#define PG_ENUM_CHECK(sym) PG_CHECK_##sym,
enum pg_check_kind { PG_CHECKS(PG_ENUM_CHECK) _PG_CHECK_MAX };

/*
 * Numbers of a packet that FIELD and BITS compare. Those from ESP on exist in some packets only;
 * a field that does not exist satisfies no condition, inverted or not.
 */
enum pg_field {
	PG_FIELD_LENGTH, /* of the IP packet */
	PG_FIELD_TTL,	 /* or hop limit */
	PG_FIELD_TOS,	 /* or traffic class */
	PG_FIELD_PKTTYPE, /* PACKET_* of linux/if_packet.h */
	PG_FIELD_MARK,
	PG_FIELD_VLAN, /* of the outermost tag; without one no such field */
	PG_FIELD_ESP_SPI,
	PG_FIELD_AH_SPI,
	PG_FIELD_AH_LEN,
	PG_FIELD_AH_RES,
	PG_FIELD_MSS,
	PG_FIELD_FRAG_ID,
	PG_FIELD_FRAG_BITS, /* offset << 3 | reserved << 1 | more, as on the wire */
	PG_FIELD_FRAG_RES,
	PG_FIELD_RT_TYPE,
	PG_FIELD_RT_SEGS,
	PG_FIELD_RT_LEN,
	PG_FIELD_RT_RESERVED,
	PG_FIELD_PORTS, /* what hashlimit takes for them, payload of later fragments included */
	_PG_FIELD_MAX = 32
};

/* CHUNKS */
#define PG_CHUNK_FLAGS 4
enum pg_chunks_op { PG_CHUNKS_ANY, PG_CHUNKS_ALL, PG_CHUNKS_ONLY };
struct pg_chunk_flags {
	__u8 type, flag, mask;
};
struct pg_chunks {
	__u32 map[8]; /* bit per type */
	__u8 op, n_flags;
	struct pg_chunk_flags flag[PG_CHUNK_FLAGS];
};

struct pg_check {
	__u8 kind;   /* enum pg_check_kind */
	__u8 invert;
	union {
		struct {
			__u8 log_level, log_flags;
		};
		__u8 with_state; /* CT_* */
	};
	__u32 state; /* of pg_states, where the kind has one */
	union {
		__u32 v[14];
		__u64 u64[7];
		__s64 s64[7];
		__be32 addr[14];
		__u8 bytes[56];
		struct pg_chunks chunks;
	};
};

/*
 * v[6] of HASHLIMIT, as XT_HASHLIMIT_HASH_*. v[7]: the rate is in bytes; --hashlimit-rate-match:
 * u64[0] is the rate of an interval, u64[1] what is too much within one, and v[9] its seconds.
 * v[10]: milliseconds until a bucket that nobody asks is forgotten.
 */
#define PG_HASHLIMIT_BYTES (1U << 0)
#define PG_HASHLIMIT_RATE (1U << 1)
/* In bytes: what a bucket holds, in ns; u64[1] is how often it is filled at one go. */
#define PG_HASHLIMIT_SECOND 1000000000ULL
#define PG_HASHLIMIT_DIP (1U << 0)
#define PG_HASHLIMIT_DPT (1U << 1)
#define PG_HASHLIMIT_SIP (1U << 2)
#define PG_HASHLIMIT_SPT (1U << 3)

struct pg_hashlimit_key {
	__u64 name; /* hash of --hashlimit-name */
	__be32 src[4], dst[4];
	__u16 sport, dport;
	__u32 family;
};

/* v[2] of ADDRTYPE: only addresses of the interface that it came by, or leaves by, count. */
#define PG_ADDRTYPE_IN (1U << 0)
#define PG_ADDRTYPE_OUT (1U << 1)

/* v[2] and v[5] of RECENT; its mask is addr[6..9]. */
enum pg_recent_op { PG_RECENT_SET, PG_RECENT_CHECK, PG_RECENT_UPDATE, PG_RECENT_REMOVE };
#define PG_RECENT_DEST (1U << 0)
#define PG_RECENT_TTL (1U << 1)

#define PG_RECENT_SHIFT 24
#define PG_RECENT_STAMPS 32 /* --hitcount can't be larger */

struct pg_recent_key {
	__u64 name; /* hash of --name */
	__be32 addr[4];
	__u64 family;
};

struct pg_recent_entry {
	__u16 stamps, next; /* in use; where the next one goes */
	__u8 ttl, unused[3];
	__u32 stamp[PG_RECENT_STAMPS]; /* CLOCK_MONOTONIC, in units of 1 << PG_RECENT_SHIFT ns: 17 ms, for two years */
};

/* v[4] and v[5] of CONNBYTES. */
enum pg_connbytes_mode { PG_CONNBYTES_PACKETS, PG_CONNBYTES_BYTES, PG_CONNBYTES_AVERAGE };
enum pg_connbytes_dir { PG_CONNBYTES_ORIGINAL, PG_CONNBYTES_REPLY, PG_CONNBYTES_BOTH };

/* A connection's ends, in the order of struct pg_conntrack (user/ast.h), and what else it has. */
enum pg_ct_end { PG_CT_ORIGSRC, PG_CT_ORIGDST, PG_CT_REPLSRC, PG_CT_REPLDST };
enum pg_ct_field { PG_CT_PORT, PG_CT_PROTO = 4, PG_CT_STATUS, PG_CT_EXPIRES, PG_CT_DIR };
/* Bits of --ctstatus, as the kernel has them. */
#define PG_CT_EXPECTED (1U << 0)
#define PG_CT_SEEN_REPLY (1U << 1)
#define PG_CT_ASSURED (1U << 2)
#define PG_CT_CONFIRMED (1U << 3)

/* v[0] of RPFILTER. */
#define PG_RPFILTER_LOOSE (1U << 0)
#define PG_RPFILTER_MARK (1U << 1)
#define PG_RPFILTER_LOCAL (1U << 2)

/* The host's own addresses, for addrtype; written by the command. */
struct pg_local_key {
	__u32 prefixlen; /* in bits, family included */
	__u32 family;	 /* enum pg_family */
	__be32 addr[4];
};

struct pg_local {
	__u32 type; /* RTN_* */
	__u32 ifindex;
	__u32 round; /* of reading them: the command forgets those of other rounds */
};

/*
 * What LOG and NFLOG print, in a check of kind ACTION: log_level; log_flags, XT_LOG_*;
 * state: the group; invert: 1 for NFLOG, 3 where the rest of a long prefix is in the next check.
 */
#define PG_LOG_NFLOG (1U << 0)
#define PG_LOG_LONG (1U << 1)
#define PG_LOG_PREFIX_HEAD 56U

/*
 * One packet for LOG or NFLOG. `data` is enough for all headers that a line shows, those which
 * ICMPv6 errors quote included.
 */
struct pg_event {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 slot;    /* of the rule's counter */
	__u32 iface;   /* slot of the interface */
	__u32 ifindex, mark;
	__u32 len;	/* of the frame */
	__u16 captured; /* bytes of it in data */
	__u16 l3;	/* where the IP header is */
	__u16 vlan_proto, vlan_id; /* outermost tag; 0: none */
	__u16 group;
	__u8 level, flags; /* XT_LOG_* */
	__u8 nflog, no_l2;
	__u8 unused[6];
	char prefix[64];
	__u8 data[192];
};

/*
 * What a stateful check remembers. Limits: the time at which the bucket is full again. Rates: when
 * the interval began, and in `rate` what it has had, with PG_STATE_OVER if the one before was over.
 */
#define PG_STATE_OVER (1ULL << 63)
struct pg_state {
	__u64 value;
	union {
		__u64 rate;
		__u64 lost; /* in pg_event_rate: events that nobody got */
	};
};

/* Of hashlimit. */
struct pg_bucket {
	struct pg_state state;
	__u64 asked_ns; /* when a packet did, last */
};

/*
 * Writing `choice` is what commits a policy, in one store: bit 0 is the generation in force, the
 * bits above it CLOCK_MONOTONIC in ns at which the programs go back to the other one by themselves,
 * unless somebody confirms before; 0: it is confirmed.
 */
#define PG_CHOICE_DEADLINE (~1ULL)
static inline __u32 pg_choice_generation(__u64 choice, __u64 now_ns)
{
	return (choice & 1) ^ (choice & PG_CHOICE_DEADLINE && now_ns >= (choice & PG_CHOICE_DEADLINE));
}

struct pg_ctl {
	__u64 choice;
	__u32 abi;
	__u32 settled; /* number of the generation that every CPU is known to have reached */
	__u32 shards;  /* that the instance's counters have */
	__s32 tai_offset; /* seconds that TAI is ahead of UTC */
	__u32 taken_back; /* number of the last generation that was not confirmed or rolled back */
	__u32 fragments;  /* enum pg_fragments */
	/* Programs of PG_ROLE_BESIDE count while that generation is in force: its number + 1; 0: none. */
	__u32 comparing;
	/* By interface slot: jiffies at which the kernel last said that it forwards nothing from it. */
	__u32 not_forwarding[PG_MAX_IFACES][_PG_FAMILY_MAX];
	struct pg_gen gen[2];
};

/* What becomes of a fragment that is not a datagram's first, where that makes a difference. */
enum pg_fragments {
	PG_FRAGMENTS_AUTO, /* PASS, or DROP where the chain's policy drops; RULES if a rule has -f */
	PG_FRAGMENTS_DROP, /* follows its first; one that comes before it is dropped */
	PG_FRAGMENTS_PASS, /* is accepted */
	PG_FRAGMENTS_RULES, /* each is asked about as it is, as iptables without conntrack */
	_PG_FRAGMENTS_MAX
};

/* Which datagram a fragment belongs to. */
struct pg_fragment_key {
	__be32 saddr[4], daddr[4]; /* IPv4 in [0] */
	__be32 id; /* IPv4: 16 bits of it */
	__u32 netns, iface; /* iface: slot */
	__u8 family, proto, hook, unused;
};

/* What was decided about its first fragment. */
struct pg_fragment {
	__u64 expires_ns;
	__u32 number; /* of the generation that decided */
	__u32 slot;
	__u16 end; /* of the first one's bytes, in units of 8, rounded up */
	__u8 verdict, reason;
	__u32 unused;
};

/* Copies of the fast path; NONE leaves everything to the general one. */
enum pg_fast { PG_FAST_NONE, PG_FAST_PLAIN, PG_FAST_ATOMIC, PG_FAST_TRACE };

/* The one element of pg_tables. */
struct pg_tables_map {
	struct pg_ctl ctl;
	struct pg_term_record term[2][PG_MAX_TERMS] __attribute__((aligned(64)));
	__u32 brief[2][PG_MAX_TERMS];
	struct pg_span chain[2][PG_MAX_CHAINS];
	struct pg_check check[2][PG_MAX_CHECKS / 2];
	struct pg_link link[2][PG_LINKS];
	/* FORWARD's leaves by class of the incoming and of the outgoing interface. */
	__u32 through[2][PG_LINK_CLASSES * PG_LINK_CLASSES];
	__u32 nodes[PG_NODES * 256];
	__u64 rows[PG_ROW_WORDS + PG_ROW_SLACK] __attribute__((aligned(64)));
};

/*
 * Counters: one large element for each shard in one array that the command maps into memory.
 */
#define PG_PORTS 65536U
#define PG_TOTALS_REASONS 128U
#define PG_TOTALS_VERDICTS 4U

struct pg_flags {
	__u64 count[_PG_FLAG_MAX];
};

/* What every packet of a port counts, in one cache line, and the flags that few have. */
struct pg_port {
	struct pg_count count[_PG_DIR_MAX];
	__u64 dropped; /* packets, arrivals */
};

struct pg_tcp_port {
	struct pg_port port;
	__u64 ack, syn, psh; /* both directions */
};

struct pg_rare_flags {
	__u64 fin, rst, urg, ece, cwr;
};

struct pg_shard {
	struct pg_count rule[PG_COUNTER_SLOTS]; /* by slot: rules and chains' policies */
	struct pg_count total[PG_MAX_IFACES][_PG_DIR_MAX][PG_TOTALS_VERDICTS][PG_TOTALS_REASONS];
	struct pg_tcp_port tcp[PG_PORTS] __attribute__((aligned(64)));
	struct pg_port udp[PG_PORTS];
	struct pg_rare_flags rare[PG_PORTS]; /* TCP, both directions */
	__u64 out_dropped[_PG_PORT_PROTO_MAX][PG_PORTS]; /* packets: apart, since they are rare */
};

/*
 * What the program made of one packet. Written only where the programs were loaded with tracing
 * on, which replay and the tests do in a private instance.
 */
#define PG_TRACE_NO_TERM 0xffffffffU /* no term decided; the reason says who did */

struct pg_trace {
	__be32 saddr[4]; /* IPv4 in [0] */
	__be32 daddr[4];
	__u32 frame_len;
	__u32 ip_len; /* as counted: IP bytes, or the frame's where it is not IP */
	__u32 term;   /* that decided, or that asked for a header which is not there */
	__u16 ethertype;      /* outermost, host order */
	__u16 l3_type;	      /* innermost after VLAN tags, host order */
	__u16 vlan_id[3];     /* outermost first */
	__u16 sport;	      /* host order; ICMP type */
	__u16 dport;	      /* host order; ICMP code */
	__u16 frag_offset;    /* in units of 8 bytes */
	__u8 vlans;	      /* tags seen, 3 for more than two */
	__u8 has_l3;	      /* addresses are valid */
	__u8 has_proto;	      /* proto is valid */
	__u8 has_ports;	      /* sport and dport are valid */
	__u8 has_flags;	      /* tcp_flags is valid */
	__u8 proto;	      /* transport protocol, after IPv6 extension headers */
	__u8 tcp_flags;
	__u8 frag;    /* enum pg_frag */
	__u8 verdict; /* enum pg_verdict */
	__u8 reason;  /* enum pg_reason */
	__u8 stage;   /* enum pg_stage whose chain decided */
	__u8 n_path;  /* terms in path; the first PG_TRACE_PATH of them */
	__u8 ct_state; /* PG_CT_*; 0: nobody asked */
	__u8 unused[3];
	__u32 path[PG_TRACE_PATH]; /* terms that matched, in order */
};

/*
 * One thing that the classifier did on the general path. `from` is the term at which a search began:
 * those before `term` (or, where none was found, before the chain's end) did not hold.
 */
enum pg_step_kind {
	PG_STEP_END,	 /* no other term of the chain holds */
	PG_STEP_SO_FAR,	 /* none before `term`; the search goes on */
	PG_STEP_TERM,	 /* its tables hold, and nothing came of it: for a moment only */
	PG_STEP_CHECK,	 /* but check number `check` of it does not */
	PG_STEP_MATCH,	 /* it holds */
	PG_STEP_DROP,	 /* it asked for what is not there: the packet was dropped */
};
struct pg_step {
	__u32 from, term;
	__u16 check; /* counted from the term's first */
	__u8 kind;   /* enum pg_step_kind */
	__u8 stage;  /* enum pg_stage */
};

/* The one element of pg_trace. */
struct pg_trace_map {
	struct pg_trace packet;
	__u32 n_steps; /* may be more than there is room for */
	struct pg_step step[PG_TRACE_STEPS];
};

/* Shadow: a second policy beside the one in force ----------------------------------------------- */

/*
 * While a policy is tried on live packets, each hook has two programs, one behind the other. The
 * first asks the policy that is tried, in an instance of its own, changes nothing, and leaves what it
 * has come to in pg_handoff; the second is the filter, and counts where the two differ.
 */
enum pg_role {
	PG_ROLE_ALONE,	/* as it is nearly always */
	PG_ROLE_SHADOW, /* the first of the two */
	PG_ROLE_BESIDE, /* the second */
	PG_ROLE_FED,	/* behind what feeds it, in a private instance: answers nothing */
};

/* By CPU. What the first of the two programs says; the rest is counted by the second. */
struct pg_handoff {
	__u32 given; /* 0: nothing */
	__u32 slot;  /* of the shadow's rule or policy */
	__u8 verdict, reason, unused[6];
	struct pg_count compared, differ;
	struct pg_count lost; /* of those that differ: pg_differences was full */
};

/* Who says what of which packets, in pg_differences; a slot is 0 where no rule and no policy decided. */
struct pg_difference {
	__be32 source[4]; /* IPv4 in [0] */
	__u32 was_slot, now_slot;
	__u16 port; /* the local end's */
	__u8 proto, iface, dir;
	__u8 was_verdict, was_reason, now_verdict, now_reason;
	__u8 has_proto, has_port, v6;
};
/* End of shadow --------------------------------------------------------------------------------- */

/*
 * Many frames in one test run, each of which costs a system call otherwise: what the command puts here
 * portguard_feed or portguard_feed_tc gives to the program one by one. The one element of pg_feed.
 */
struct pg_feed_frame {
	__u32 at, len;	/* in data; len is 14 to PG_FEED_MAX */
	__u32 wire_len; /* as in pg_trace.frame_len; 0: len */
	__u16 dir;	/* enum pg_dir; portguard_feed has arrivals only */
	__u16 pkttype;	/* PACKET_*, of an skb */
};
struct pg_feed {
	__u32 n, next;
	__u32 failed; /* frames that could not be given */
	__u32 unused;
	struct pg_feed_frame frame[PG_FEED_FRAMES];
	struct pg_trace trace[PG_FEED_FRAMES]; /* what was made of each */
	__u8 data[PG_FEED_BYTES + PG_FEED_MAX];
};

/*
 * The mark that rules gave a packet, in front of its data: from the XDP program to mark.bpf.c behind it on
 * TC, which gives it to the skb. Host byte order. What is in front of the data stays there when a packet is
 * forwarded, so that another instance may find it.
 */
#define PG_MARK_MAGIC 0x70676d6bU
struct pg_mark_meta {
	__u32 magic, mark;
	__u32 ifindex, netns; /* where: as the two programs were told when they were loaded */
};

/* An interface of the instance, in pg_ifaces. Written and read by the command only. */
struct pg_iface {
	__u64 netns;   /* inode of the network namespace; 0: the slot is free */
	__u32 ifindex; /* within that namespace */
	__u32 mode;    /* enum pg_mode */
	char name[16];
	__u32 space; /* number of that namespace, below PG_MAX_IFACES: see pg_flow_key */
	char mode_reason[92];
	__u64 build; /* of the programs that are attached: pg_dp_build() of who attached them */
};

_Static_assert(sizeof(struct pg_count) == 16, "ABI");
_Static_assert(sizeof(struct pg_term_record) == 64, "ABI: a cache line");
_Static_assert(sizeof(struct pg_check) == 64, "ABI");
_Static_assert(sizeof(struct pg_event) == 304, "ABI");
_Static_assert(sizeof(struct pg_gen) ==
		       16 + 128 + 48 + 16 + 16 + 64 + 3 * 64 + 16 + 128 + 3 * 256 + 512,
	       "ABI");
_Static_assert(_PG_STAGE_MAX <= PG_STAGES, "every stage has its place");
_Static_assert(sizeof(struct pg_link) == 12, "ABI");
_Static_assert(sizeof(struct pg_fragment_key) == 48, "ABI");
_Static_assert(sizeof(struct pg_fragment) == 24, "ABI");
_Static_assert(sizeof(struct pg_ctl) == 40 + 512 + 2 * sizeof(struct pg_gen), "ABI");
_Static_assert(sizeof(struct pg_few) == 16, "ABI: a quarter of a cache line");
_Static_assert(PG_FEW_TERM < PG_FEW_LAST, "numbers stand below the flags");
_Static_assert(sizeof(struct pg_flags) == 64, "ABI");
_Static_assert(sizeof(struct pg_tcp_port) == 64, "ABI: a cache line");
_Static_assert(sizeof(struct pg_trace) == 76 + 4 * PG_TRACE_PATH, "ABI");
_Static_assert(sizeof(struct pg_step) == 12, "ABI");
_Static_assert(sizeof(struct pg_handoff) == 64, "ABI: a cache line of one CPU");
_Static_assert(sizeof(struct pg_difference) == 36, "ABI: no padding, all bytes of it are compared");
_Static_assert(sizeof(struct pg_iface) == 136, "ABI");
_Static_assert(sizeof(struct pg_mark_meta) % 4 == 0 && sizeof(struct pg_mark_meta) <= 32,
	       "what bpf_xdp_adjust_meta() takes");
_Static_assert(_PG_REASON_MAX <= PG_TOTALS_REASONS, "totals have room for every reason");
_Static_assert(_PG_VERDICT_MAX <= PG_TOTALS_VERDICTS, "totals have room for every verdict");
_Static_assert(_PG_L4_MAX <= 8, "pg_gen.proto has room for every state");

/* Named sets ----------------------------------------------------------------------------------- */

#define PG_SETS 256U /* of one instance, as ip_set has them */

enum pg_set_type {
	PG_SET_NONE, /* the slot is free */
	PG_SET_HASH_IP,
	PG_SET_HASH_NET,
	PG_SET_HASH_IP_PORT,
	_PG_SET_TYPE_MAX
};

/*
 * What a rule asks of a set: bit i, the i-th dimension is taken from the source; and whether the
 * port is one of them.
 */
#define PG_SET_WITH_PORT (1U << 7)

/* Of the maps in pg_sets_hash. What a set's type has no use for is zero. */
struct pg_set_key {
	__be32 addr[4]; /* IPv4 in [0] */
	__u16 port;	/* host order; ICMP: type << 8 | code */
	__u8 proto;
	__u8 family; /* enum pg_family */
};

/*
 * Of the maps in pg_sets_net. The family stands before the address and is part of every prefix, so
 * that IPv4 and IPv6 never meet; prefixlen counts its bits, too.
 */
#define PG_SET_FAMILY_BITS 32U
struct pg_set_net_key {
	__u32 prefixlen;
	__u32 family; /* enum pg_family */
	__be32 addr[4];
};

/*
 * Expiry is a moment of CLOCK_MONOTONIC, which is what BPF programs can read on every kernel;
 * jiffies would be cheaper, but the command cannot read them. In nanoseconds, because dividing by
 * a billion costs the program more than the comparison.
 */
struct pg_set_value {
	__u64 expires_ns; /* 0: never */
	__u8 prefix;	  /* in pg_sets_net: its own length, without the family's bits */
	__u8 nomatch;	  /* an exception: what it matches is not in the set */
	__u8 unused[6];
};

/* Of one set, in pg_set_info. Written and read by the command only. */
struct pg_set_info {
	char name[32]; /* ends with a NUL */
	__u8 type;     /* enum pg_set_type; NONE: the slot is free */
	__u8 family;   /* enum pg_family */
	__u8 net;      /* its entries are in pg_sets_net */
	__u8 netmask;  /* of hash:ip; 0: none was given */
	__u8 has_timeout;
	__u8 unused[3];
	__u32 timeout; /* seconds, of entries that come without one; 0: for ever */
	__u32 maxelem;
	__u32 hashsize; /* entries that its map takes now; it grows as needed */
	__u32 count;	/* entries; some of them may have expired */
	__u64 earliest_ns;  /* no entry expires before; 0: none expires at all */
	__u64 collected_ns; /* when expired entries were last looked for */
};

_Static_assert(sizeof(struct pg_set_key) == 20, "ABI");
_Static_assert(sizeof(struct pg_set_net_key) == 24, "ABI");
_Static_assert(sizeof(struct pg_set_value) == 16, "ABI");
_Static_assert(sizeof(struct pg_set_info) == 72, "ABI");
/* End of named sets */

/* Flows ---------------------------------------------------------------------------------------- */

/* Connection states of -m state and --ctstate, as bits. */
#define PG_CT_INVALID (1U << 0)
#define PG_CT_ESTABLISHED (1U << 1)
#define PG_CT_RELATED (1U << 2)
#define PG_CT_NEW (1U << 3)
#define PG_CT_UNTRACKED (1U << 4)
#define PG_CT_SNAT (1U << 5) /* these two are never true: portguard does no NAT */
#define PG_CT_DNAT (1U << 6)

/*
 * A flow's two ends in an order that does not depend on who sends: sorted by address and port; for
 * ICMP queries the one that asks first. So packets of both directions have the same key. Padding
 * does not exist: all bytes of it are compared. The VLAN is not hashed, and where one of two keys
 * has none they are the same flow: a NIC that takes the tag off arrivals does not on departures.
 */
struct pg_flow_key {
	__be32 addr[2][4]; /* IPv4 in [0], the rest 0 */
	__u16 port[2];	   /* host order; ICMP: identifier, type << 8 | code of the query */
	__u8 space;	   /* of the network namespace: each has its own addresses; PG_FLOW_V6 */
	__u8 proto;
	__u16 vlan; /* id of the outermost tag, PG_FLOW_TAGGED; 0: no tag */
} __attribute__((aligned(8)));
#define PG_FLOW_V6 0x80U
#define PG_FLOW_TAGGED 0x1000U

/* A TCP connection's state in conntrack's words. NONE: not TCP. */
enum pg_tcp_state {
	PG_TCP_NONE,
	PG_TCP_SYN_SENT,
	PG_TCP_SYN_RECV,
	PG_TCP_ESTABLISHED,
	PG_TCP_FIN_WAIT,
	PG_TCP_CLOSE_WAIT,
	PG_TCP_LAST_ACK,
	PG_TCP_TIME_WAIT,
	PG_TCP_CLOSE,
	PG_TCP_SYN_SENT2, /* both ends sent a SYN */
	_PG_TCP_MAX
};

/* An SCTP association's, likewise, as are its timeouts. NONE: not SCTP. */
enum pg_sctp_state {
	PG_SCTP_NONE,
	PG_SCTP_ESTABLISHED,
	PG_SCTP_CLOSED,
	PG_SCTP_COOKIE_WAIT,
	PG_SCTP_COOKIE_ECHOED,
	PG_SCTP_SHUTDOWN_SENT, /* by the opener */
	PG_SCTP_SHUTDOWN_RECD, /* by it from the other end */
	PG_SCTP_SHUTDOWN_ACK_SENT,
	PG_SCTP_HEARTBEAT_SENT, /* nothing else was seen: another path of an association */
	_PG_SCTP_MAX
};

/*
 * pg_flow.status: one word, so that two CPUs change it by compare-and-swap. What there is one of
 * for each end of the key has its bits side by side, end 0's first.
 */
#define PG_FLOW_BIT(bit) (1ULL << (bit))
#define PG_FLOW_TCP_STATE 0xfULL	   /* enum pg_tcp_state */
#define PG_FLOW_SEEN_REPLY PG_FLOW_BIT(4)  /* both ends have sent */
#define PG_FLOW_ASSURED PG_FLOW_BIT(5)	   /* conntrack's word for what is not to be evicted early */
#define PG_FLOW_CLOSING PG_FLOW_BIT(6)	   /* an end has sent the first FIN */
#define PG_FLOW_SIMULTANEOUS PG_FLOW_BIT(7) /* it went through SYN_SENT2 */
#define PG_FLOW_LAST_SHIFT 8		   /* enum pg_segment of the last packet */
#define PG_FLOW_LAST (7ULL << PG_FLOW_LAST_SHIFT)
#define PG_FLOW_LAST_FROM_1 PG_FLOW_BIT(11) /* it was sent by end 1 */
#define PG_FLOW_CHALLENGE PG_FLOW_BIT(12)  /* an ACK in answer to a SYN may be coming (RFC 5961) */
#define PG_FLOW_OPENER PG_FLOW_BIT(13)	   /* end 1 sent the first packet */
#define PG_FLOW_PICKED_UP PG_FLOW_BIT(14)  /* in mid-stream */
#define PG_FLOW_TIMING PG_FLOW_BIT(15)	   /* pg_flow.last_end is a time: see rtt */
#define PG_FLOW_END_SHIFT 16		   /* enum pg_end_state of each end, 4 bits */
#define PG_FLOW_SCALE_SHIFT 24		   /* window scale, 4 bits each */
#define PG_FLOW_HAS_SCALE PG_FLOW_BIT(32)  /* and whether it was offered; << 1 for end 1 */
#define PG_FLOW_HAS_ACK PG_FLOW_BIT(34)	   /* it has acknowledged something: max_ack is valid */
#define PG_FLOW_NO_WINDOW PG_FLOW_BIT(36)  /* it has announced a window of nothing */
#define PG_FLOW_LIBERAL PG_FLOW_BIT(38)	   /* window scales are not known: nothing is out of window */
#define PG_FLOW_PASSING PG_FLOW_BIT(40)	   /* what its opener sends is seen when it leaves only */
#define PG_FLOW_ANSWERS_ARRIVE PG_FLOW_BIT(41) /* what the other end sends is seen when it arrives */
#define PG_FLOW_RST_AHEAD PG_FLOW_BIT(42) /* its pg_flow_window.end is where a RST was, not data; << 1 */
/* What is TCP's above is for SCTP: */
#define PG_FLOW_SCTP_STATE PG_FLOW_TCP_STATE  /* enum pg_sctp_state */
#define PG_FLOW_SCTP_INIT PG_FLOW_BIT(6)      /* it has sent an INIT; << 1 for end 1 */
#define PG_FLOW_SCTP_LOST_TAG PG_FLOW_BIT(8)  /* a HEARTBEAT with another tag awaits its answer */
#define PG_FLOW_SCTP_LOST_TAG_FROM_1 PG_FLOW_BIT(9) /* it was sent by end 1 */
#define PG_FLOW_FLAGS_SHIFT 44		   /* TCP flags ever seen of each end, 8 bits */
#define PG_FLOW_REUSE_SHIFT 60		   /* grows when the place is taken by another flow */

/* A TCP segment by the one flag that moves a connection. */
enum pg_segment {
	PG_SEG_NONE,
	PG_SEG_SYN,
	PG_SEG_SYN_ACK,
	PG_SEG_FIN,
	PG_SEG_ACK,
	PG_SEG_RST
};

/*
 * Of what one end sends and of what it lets the other send (nf_conntrack's td_*). SCTP: max_end is the
 * verification tag, as on the wire, of all that it sends; 0: none is known.
 */
struct pg_flow_window {
	__u32 end;     /* behind the last byte sent */
	__u32 max_end; /* behind the last byte that the other end allows */
	__u32 max_win; /* largest window it announced; 0: nothing is known of this end */
	__u32 max_ack; /* highest byte it acknowledged */
};

/*
 * A flow: two cache lines. Times are in ticks of 2^24 ns of CLOCK_MONOTONIC, 16.8 ms; they wrap
 * around after two years. When it was last seen, and which timeout holds, stands in its tag.
 */
#define PG_FLOW_TICK_SHIFT 24
#define PG_FLOW_SECOND (1000000000U >> PG_FLOW_TICK_SHIFT) /* no timeout is shorter */
struct pg_flow {
	struct pg_flow_key key;
	__u64 status;	    /* PG_FLOW_* */
	__u32 first;	    /* ticks */
	__u32 last_end;	    /* of the last segment; or with PG_FLOW_TIMING when it came, ns >> 10 */
	__u16 last_win;	    /* of a SYN that was not believed: its window, */
	__u8 last_scale;    /* and its options, PG_LAST_* */
	__u8 iface;	    /* slot of the interface that saw the first packet */
	__u16 rtt[2];	    /* SYN to SYN-ACK, SYN-ACK to ACK: pg_rtt_us(); 0: not known */
	struct pg_count sent[2]; /* by each end of the key */
	struct pg_flow_window win[2];
};
#define PG_LAST_SCALE 0xfU
#define PG_LAST_HAS_SCALE 0x10U
#define PG_LAST_OPTIONS 0x20U /* it has any */

/*
 * Has an end sent what the other has not acknowledged? Once both have acknowledged anything; of a
 * liberal flow nobody knows.
 */
static inline __u8 pg_flow_has_unacked(const struct pg_flow *flow)
{
	const __u64 acked = PG_FLOW_HAS_ACK | PG_FLOW_HAS_ACK << 1;
	const __u64 liberal = PG_FLOW_LIBERAL | PG_FLOW_LIBERAL << 1;

	return (flow->status & (acked | liberal)) == acked &&
	       ((__s32)(flow->win[0].end - flow->win[1].max_ack) > 0 ||
		(__s32)(flow->win[1].end - flow->win[0].max_ack) > 0);
}

/* Times up to half an hour in 16 bits: 11 of them are kept. */
static inline __u32 pg_rtt_us(__u16 rtt)
{
	return rtt < 2048 ? rtt : (__u32)(2048 + (rtt & 1023) * 2) << ((rtt - 2048) >> 10);
}

/* What few packets are, of one end, in one word; each stops at its largest value. */
#define PG_TROUBLE_RETRANSMITS 0   /* 24 bits: segments with nothing that was not seen before */
#define PG_TROUBLE_OUT_OF_ORDER 24 /* 24 bits: segments before which something is missing */
#define PG_TROUBLE_ZERO_WINDOWS 48 /* 16 bits: segments that announce a window of nothing */

/*
 * Where a flow may lie: eight places, found by the key's hash. A tag that is 0 is a free place;
 * PG_TAG_BUSY one that is being filled. Whoever wants a place changes its tag by compare-and-swap.
 */
#define PG_FLOW_WAYS 8U
struct pg_flow_tag {
	__u32 tag;  /* 27 bits of the hash, never 0; below them the enum pg_timeout that holds */
	__u32 last; /* ticks */
};
#define PG_TAG_TIMEOUT 0x1fU
#define PG_TAG_BUSY 0x1fU
struct pg_flow_bucket {
	struct pg_flow_tag tag[PG_FLOW_WAYS];
};

/* Of each end; PG_TROUBLE_*. */
struct pg_flow_trouble {
	__u64 end[2];
};

/*
 * Where a place is in pg_flows and pg_flow_trouble, of `buckets` in all: the first places of all buckets
 * come first. Few flows are then on few pages, which is most of what many flows cost.
 */
static inline __u32 pg_flow_place(__u32 bucket, __u32 way, __u32 buckets)
{
	return (way % PG_FLOW_WAYS) * buckets + bucket;
}

#define PG_ENUM_TIMEOUT(sym, ...) PG_TIMEOUT_##sym,
enum pg_timeout { PG_TIMEOUTS(PG_ENUM_TIMEOUT) _PG_TIMEOUT_MAX };

/*
 * By the timeout that holds, which flows live as long as it says, whoever else wants their place: as the
 * kernel's, those that both ends have shown to be theirs; and ended ones, which would be picked up again.
 * But not what was ended half-open: who ends a flood would shut out all others with it.
 */
#define PG_KEPT(half_open)                                                                         \
	(1U << PG_TIMEOUT_TCP_ESTABLISHED | 1U << PG_TIMEOUT_UDP_STREAM |                          \
	 1U << PG_TIMEOUT_SCTP_ESTABLISHED | 1U << PG_TIMEOUT_GRE_STREAM |                         \
	 (__u32)!(half_open) << PG_TIMEOUT_KILLED)

/*
 * Of flows that want to stay the one with the least of this gives its place to another: by the ticks that
 * it has left. Of half-open connections that have not expired it is the one that was silent for longest: an
 * answered SYN's timeout is shorter, and it is not worth less.
 */
static inline __s32 pg_flow_worth(__u8 half_open, __s32 left, __u32 idle)
{
	const __s32 longest_life = 0x40000000; /* more than any timeout has */

	return half_open && left > 0 ? longest_life - (__s32)idle : left;
}

/* Settings of tracking, in pg_flow_ctl; written by the command. */
#define PG_FLOW_OPT_TRACK (1U << 0)   /* also when no rule asks for states */
#define PG_FLOW_OPT_LIBERAL (1U << 1) /* out of window is not INVALID (nf_conntrack_tcp_be_liberal) */
#define PG_FLOW_OPT_STRICT (1U << 2)  /* nothing is picked up in mid-stream (nf_conntrack_tcp_loose=0) */
struct pg_flow_ctl {
	__u64 seed;	   /* of the hash, so that nobody else knows which flows meet in a bucket */
	__u32 options;	   /* PG_FLOW_OPT_* */
	__u32 unused;
	__u32 timeout[32]; /* ticks, by enum pg_timeout */
};

/*
 * The bucket is in the upper half, the tag in the lower. The end of each step is what spreads a
 * difference in high bits to low ones, which multiplication does not.
 */
#define PG_FLOW_MIX(h, word) ((h ^ h >> 32 ^ (word)) * 0x9e3779b97f4a7c15ULL)
static inline __u64 pg_flow_hash(const struct pg_flow_key *key, __u64 seed)
{
	__u64 h = PG_FLOW_MIX(seed, (__u64)key->addr[1][0] << 32 | key->addr[0][0]);

	if (key->space & PG_FLOW_V6)
		for (int i = 1; i < 4; i++)
			h = PG_FLOW_MIX(h, (__u64)key->addr[1][i] << 32 | key->addr[0][i]);
	h = PG_FLOW_MIX(h, (__u64)key->space << 40 | (__u64)key->proto << 32 |
			   (__u32)key->port[1] << 16 | key->port[0]);
	h = PG_FLOW_MIX(h, 0);
	return h ^ h >> 32;
}

/* What a tag has of it. */
static inline __u32 pg_flow_tag_of(__u64 hash)
{
	__u32 tag = (__u32)hash & ~PG_TAG_TIMEOUT;

	return tag ? tag : PG_TAG_TIMEOUT + 1;
}

/*
 * Two tables, in one array of buckets (pg_flow_buckets): first those of flows, as many as are left, then
 * PG_HALF_OPEN_BUCKETS; both powers of two. Flows, and TCP connections whose handshake has not been
 * answered and completed.
 */
#define PG_HALF_OPEN_BUCKETS (PG_HALF_OPEN / PG_FLOW_WAYS)
enum pg_flow_table { PG_FLOW_TABLE, PG_HALF_OPEN_TABLE, _PG_FLOW_TABLE_MAX };

/* Counters of tracking: by CPU, in pg_flow_stats; by table where they have an index. */
struct pg_flow_stats {
	__u64 created[_PG_FLOW_TABLE_MAX];
	__u64 evicted[_PG_FLOW_TABLE_MAX];	/* made room for another */
	__u64 refused[_PG_FLOW_TABLE_MAX];	/* found no room; the packet was decided all the same */
	__u64 collected[_PG_FLOW_TABLE_MAX]; /* had expired */
	__u64 picked_up;		/* in mid-stream */
	__u64 out_of_window;		/* INVALID for that reason */
	__u64 odd_flags[8];		/* enum pg_odd_flags; of all TCP packets, tracked or not */
	__u64 jiffies, tick;		/* not counters: the clock as this CPU last read it */
	__u64 unused[4];
};

/*
 * How often an end went from one state to another: pg_port_states, by the port that was opened to.
 * What is not in PG_TRANSITIONS cannot be.
 */
#define PG_ENUM_TRANSITION(from, to) PG_FROM_##from##_TO_##to,
enum pg_transition { PG_TRANSITIONS(PG_ENUM_TRANSITION) _PG_TRANSITION_MAX };
struct pg_port_states {
	__u64 count[24]; /* enum pg_transition */
};

/*
 * Of connlimit's lists. A key is a list's and a place in it; at PG_CONNLIMIT_HEAD stands the
 * list's length, and in time_ns since when some CPU has it to itself.
 */
#define PG_CONNLIMIT_HEAD 0xffffffffU
struct pg_connlimit_key {
	__u64 since; /* of the rule's state: no other rule that had the same one */
	__u32 state, place;
	__be32 addr[4];
	__u32 family, unused;
};

struct pg_connlimit {
	__u64 time_ns; /* when the flow came */
	__u32 count;
	union {
		__u32 cpu;
		__u32 swept; /* of the head: when all were looked at, in units of 2^22 ns */
	};
	struct pg_flow_key flow;
};

_Static_assert(sizeof(struct pg_flow_key) == 40, "ABI");
_Static_assert(sizeof(struct pg_flow) == 128, "ABI: two cache lines");
_Static_assert(sizeof(struct pg_flow_bucket) == 64, "ABI: a cache line");
_Static_assert(sizeof(struct pg_flow_ctl) == 144, "ABI");
_Static_assert(sizeof(struct pg_flow_stats) == 192, "ABI: cache lines of one CPU");
_Static_assert(sizeof(struct pg_connlimit_key) == 40, "ABI");
_Static_assert(sizeof(struct pg_connlimit) == 56, "ABI");
_Static_assert(_PG_TCP_MAX <= PG_FLOW_TCP_STATE, "a state fits in its bits");
_Static_assert(_PG_TIMEOUT_MAX <= PG_TAG_BUSY, "a timeout fits in its bits");
_Static_assert((int)PG_TIMEOUT_TCP_SYN_SENT2 == (int)PG_TCP_SYN_SENT2, "timeouts of TCP by state");
_Static_assert(PG_TIMEOUT_SCTP_HEARTBEAT_SENT - PG_TIMEOUT_SCTP_ESTABLISHED ==
		       PG_SCTP_HEARTBEAT_SENT - PG_SCTP_ESTABLISHED, "timeouts of SCTP by state");
_Static_assert(_PG_ODD_MAX <= 8 && _PG_TRANSITION_MAX <= 24, "counters have room for every name");
/* End of flows --------------------------------------------------------------------------------- */

/* Drops ---------------------------------------------------------------------------------------- */

/*
 * What became of one packet, in one number: what the programs hand on. Reason in the low byte.
 */
#define PG_FATE_VERDICT 8  /* enum pg_verdict, 2 bits */
#define PG_FATE_OUT 10	   /* it departs */
#define PG_FATE_ASKED 11   /* a chain was asked: stage is valid */
#define PG_FATE_STAGE 12   /* enum pg_stage, 4 bits: the chain it was at last */

/* A packet that was dropped or rejected. */
struct pg_drop {
	__u64 time_ns;	 /* CLOCK_MONOTONIC */
	__be32 saddr[4]; /* IPv4 in [0] */
	__be32 daddr[4];
	__u32 slot;    /* of the counter, where the reason is RULE or POLICY */
	__u32 number;  /* of the generation that it met */
	__u32 length;  /* IP bytes; of what is not IP, or is not sound, the frame's */
	__u32 ifindex;
	__u32 skipped; /* drops like it before this one that were too many to be kept */
	__u16 sport;   /* host order; ICMP type */
	__u16 dport;   /* host order; ICMP code */
	__u16 fate;    /* PG_FATE_* */
	__u16 l3_type; /* host order */
	__u16 vlan;    /* id of the outermost tag, PG_FLOW_TAGGED; 0: no tag */
	__u8 iface;    /* slot of the interface */
	__u8 proto;
	__u8 tcp_flags;
	__u8 has; /* PG_DROP_HAS_* */
	__u8 unused[6];
};
#define PG_DROP_HAS_L3 (1U << 0) /* addresses */
#define PG_DROP_HAS_PROTO (1U << 1)
#define PG_DROP_HAS_PORTS (1U << 2)
#define PG_DROP_HAS_ICMP (1U << 3)
#define PG_DROP_HAS_FLAGS (1U << 4)
#define PG_DROP_V6 (1U << 5)

/*
 * A token bucket, for the drops of one rule (slot modulo PG_BOX_RULES) or for another reason: the
 * time at which it is full again, in jiffies.
 */
struct pg_drop_budget {
	__u32 full_at;
	__u32 skipped; /* since the last one that was kept */
};
#define PG_BOX_RULES 128U
#define PG_BOX_BUDGETS (PG_BOX_RULES + 128U) /* rules', then those of reasons */

/*
 * The black box: the last drops of one CPU. Written by its programs, read by anybody: drop i, from
 * 0, is in its place until drop i + PG_BOX_DROPS is begun, which is when head says that.
 */
struct pg_box {
	__u64 head;    /* drops that were written, ever */
	__u64 skipped; /* that were not, but for those in the budgets */
	struct pg_drop_budget budget[PG_BOX_BUDGETS];
	struct pg_drop drop[PG_BOX_DROPS];
};

/*
 * Who watches packets themselves (`dump`), in pg_watch. A watcher renews `until_ns` while it lives, and
 * has a ring of its own among pg_watch_rings. The programs take dead ones out of `on`, and
 * PG_NEED_WATCH out of the policy.
 */
struct pg_watcher {
	__u64 until_ns; /* CLOCK_MONOTONIC; 0: free */
	__u64 owner;	/* tells one watcher from the next in this place */
	__u64 ifaces;	/* bit per slot */
	__u64 cost_ns;	/* of a packet, among those of a rule: 1 / rate; 0: no limit */
	__u64 burst_ns;
	__u32 verdicts; /* bit per enum pg_verdict */
	__u32 snap;	/* bytes of each packet, PG_WATCH_SNAP at most */
	__u32 sample;	/* every so many-th */
	__u32 pid;
};

struct pg_watch {
	__u32 on; /* bit per watcher */
	__u32 unused;
	struct pg_watcher watcher[PG_WATCHERS];
};

/* One packet for a watcher. In the ring it is as long as what it holds of the packet. */
struct pg_watched {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u32 slot, number;
	__u32 len; /* of the frame */
	__u32 ifindex;
	__u16 fate;
	__u16 vlan_proto, vlan_tci; /* of a tag that is not in data; 0: none. Host order */
	__u8 iface;
	__u8 no_l2; /* data begins with the IP header */
	__u8 data[PG_WATCH_SNAP];
};

/* One CPU's of one watcher. */
struct pg_watch_share {
	__u64 full_at[PG_WATCH_BUDGETS]; /* ns; by rule or reason */
	__u64 seen;
	__u64 limited; /* not given: beyond the rate */
	__u64 lost;    /* no room in the ring */
};

/* Of one CPU, in pg_watch_cpus. */
struct pg_watch_cpu {
	struct pg_watch_share share[PG_WATCHERS];
	struct pg_watched packet; /* at work */
};

_Static_assert(sizeof(struct pg_drop) == 80, "ABI");
_Static_assert(sizeof(struct pg_box) == 16 + 8 * PG_BOX_BUDGETS + 80 * PG_BOX_DROPS, "ABI");
_Static_assert((PG_BOX_DROPS & (PG_BOX_DROPS - 1)) == 0, "the programs mask a drop's number");
_Static_assert(_PG_REASON_MAX <= PG_BOX_BUDGETS - PG_BOX_RULES, "every reason has a budget");
_Static_assert(sizeof(struct pg_watcher) == 56, "ABI");
_Static_assert(sizeof(struct pg_watch) == 8 + 56 * PG_WATCHERS, "ABI");
_Static_assert(sizeof(struct pg_watched) == 32 + PG_WATCH_SNAP, "ABI");
/* End of drops --------------------------------------------------------------------------------- */
