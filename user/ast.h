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

#include "pg_limits.h"
#include "util.h"

#define PG_CHAIN_NAME_MAX 28	/* XT_FUNCTION_MAXNAMELEN - 1 - 1 */
#define PG_COMMENT_MAX 255	/* XT_MAX_COMMENT_LEN - 1 */
#define PG_MULTIPORT_MAX 15	/* XT_MULTI_PORTS; a range takes two places */

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
	_PG_MATCH_MAX
};

enum pg_multiport_side { PG_MULTIPORT_SRC, PG_MULTIPORT_DST, PG_MULTIPORT_EITHER };

struct pg_match {
	enum pg_match_kind kind;
	struct pg_pos pos;
	union {
		struct { /* TCP, UDP, UDPLITE, SCTP, DCCP: unset ranges are 0..65535 */
			struct pg_port_range sport, dport;
			bool flags_set, flags_invert; /* TCP only */
			uint8_t flags_mask, flags_comp;
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
	};
};

enum pg_target { PG_TARGET_NONE, PG_TARGET_ACCEPT, PG_TARGET_DROP, _PG_TARGET_MAX };

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
	uint64_t packets, bytes; /* as restored with -c, or as read from the kernel */
	uint32_t slot;		 /* of its counter; PG_NO_SLOT: none yet. Belongs to dp.c */
};
#define PG_NO_SLOT UINT32_MAX

struct pg_chain {
	char name[PG_CHAIN_NAME_MAX + 1];
	enum pg_target policy; /* built-in chains: ACCEPT or DROP; user chains: NONE */
	uint64_t packets, bytes;
	uint32_t slot; /* of the policy's counter */
	struct pg_rule *rule; /* owned */
	size_t n_rules, cap;
};

/* Table `filter`. chain[0..2] are INPUT, FORWARD, OUTPUT, always there. */
enum { PG_CHAIN_INPUT, PG_CHAIN_FORWARD, PG_CHAIN_OUTPUT, PG_CHAINS_BUILTIN };
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
/* NULL: no chain of that name. */
struct pg_chain *pg_ruleset_chain(const struct pg_ruleset *set, const char *name);

/* Frees what the rule owns, not the rule. Leaves it empty. */
void pg_rule_clear(struct pg_rule *rule);
int pg_rule_copy(struct pg_rule *ret, const struct pg_rule *rule); /* 0 or -ENOMEM */
/* Same conditions and target in the same order; counters, slots and positions don't count. */
bool pg_rule_equal(const struct pg_rule *a, const struct pg_rule *b);
/* PG_V4, PG_V6 or both: what its addresses, matches and -4/-6 leave. 0: can never match. */
unsigned pg_rule_families(const struct pg_rule *rule);

/* Insert a copy of rule at 0..n_rules, remove the one at 0..n_rules-1. 0 or -ENOMEM. */
int pg_chain_insert(struct pg_chain *chain, size_t at, const struct pg_rule *rule);
void pg_chain_remove(struct pg_chain *chain, size_t at);
