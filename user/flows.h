/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracked connections as plain data: what is asked for, and the rows that answer it. No kernel; who
 * reads the flow table gives each of its entries to pg_flow_list_add().
 */
#pragma once

#include <net/if.h>

#include "ast.h"
#include "pg_abi.h"
#include "util.h"

/* Pairs are [of the end that opened the flow, of the other one]. */
struct pg_flow_row {
	struct pg_flow_key key; /* by which the door finds it again */
	uint8_t addr[2][16]; /* network order; IPv4 in the first four */
	uint16_t port[2];    /* host order; ICMP: type and code of the query */
	uint16_t query_id;   /* ICMP */
	uint8_t family;	     /* enum pg_family */
	uint8_t proto;
	uint8_t state;	      /* enum pg_tcp_state; NONE: not TCP */
	uint8_t sctp_state;   /* enum pg_sctp_state; NONE: not SCTP */
	uint8_t end_state[2]; /* enum pg_end_state, TCP only */
	uint8_t flags[2];     /* seen, TCP only */
	bool replied, assured, half_open, picked_up;
	bool here; /* in this process' network namespace */
	struct pg_count count[2];
	struct pg_flow_rate {
		float packets, bytes;
	} rate[2];		/* a second; by who looks again and again: top_flows.h */
	uint64_t read_ns;	/* likewise: when its counters were read */
	uint32_t place, id;	/* where it lies, and which one of those that lay there */
	uint32_t retransmits[2], zero_windows[2], out_of_order[2];
	uint32_t rtt_us[2]; /* SYN to SYN-ACK, SYN-ACK to ACK, as seen here; 0: not seen */
	uint64_t age_ns, idle_ns, expires_ns;
	char iface[IFNAMSIZ]; /* "": not known */
	int16_t vlan;	      /* -1: none */
	uint32_t netns;	      /* inode number */
};

/*
 * State of the pair: conntrack's word for TCP and SCTP, of which ESTABLISHED is the same; for others
 * UNREPLIED, REPLIED or ASSURED.
 */
enum pg_flow_word {
	PG_FLOW_WORD_UNREPLIED = _PG_TCP_MAX,
	PG_FLOW_WORD_REPLIED,
	PG_FLOW_WORD_ASSURED,
	PG_FLOW_WORD_SCTP_CLOSED, /* and so on in the order of enum pg_sctp_state */
	_PG_FLOW_WORD_MAX = PG_FLOW_WORD_SCTP_CLOSED + _PG_SCTP_MAX - PG_SCTP_CLOSED
};
enum pg_flow_word pg_flow_word(const struct pg_flow_row *row);
const char *pg_flow_word_name(enum pg_flow_word word);

static inline bool pg_flow_has_ports(const struct pg_flow_row *row)
{
	return row->port[0] || row->port[1] || row->proto == 6 || row->proto == 17;
}

/* Both halves of the handshake: from one end to the other and back, as seen here. 0: not seen. */
static inline uint32_t pg_flow_rtt_us(const struct pg_flow_row *row)
{
	return row->rtt_us[0] + row->rtt_us[1];
}

enum pg_flow_sort {
	PG_FLOW_BY_NOTHING,
	PG_FLOW_BY_BYTES, /* most first, as all that follow; both directions together */
	PG_FLOW_BY_PACKETS,
	PG_FLOW_BY_RTT,
	PG_FLOW_BY_RETRANSMITS,
	PG_FLOW_BY_AGE,
	PG_FLOW_BY_RATE, /* bytes of .rate, and where they are the same, as by bytes */
	_PG_FLOW_SORT_MAX
};
/* 0 or -EINVAL. */
int pg_flow_sort_from_str(const char *text, enum pg_flow_sort *ret);

struct pg_flow_ports {
	bool given;
	uint16_t lo, hi;
};

struct pg_flow_query {
	bool has_proto;
	uint8_t proto;
	struct pg_flow_ports port, sport, dport; /* `port`: either end's */
	struct pg_addr src, dst, addr;		 /* .family 0: any; `addr`: either end's */
	uint32_t words; /* 1 << enum pg_flow_word; 0: any */
	uint32_t ends;	/* 1 << enum pg_end_state of either end; 0: any */
	const char *iface;
	enum pg_flow_sort by;
	size_t top; /* 0: all of them */
};

/* "443", "8000-8010", "8000:8010" or a service's name. 0 or -EINVAL. */
int pg_flow_ports_from_str(const char *text, struct pg_flow_ports *ret);
/*
 * "ESTABLISHED,TIME_WAIT": conntrack's words, or those of RFC 9293, which either end may be in. In
 * capitals or not, ss's spelling (syn-sent) too. 0 or -EINVAL.
 */
int pg_flow_states_from_str(const char *text, struct pg_flow_query *query);
/*
 * One filter by the name of the option of `portguard flows`: proto, port, sport, dport, src, dst, addr,
 * state, iface, top or by. An interface's name is not copied. 0, or -EINVAL with err filled in the
 * words of the command line, or -ENOENT: there is no such filter.
 */
int pg_flow_filter(struct pg_flow_query *query, const char *name, const char *value,
		   struct pg_err *err);
/* Does anything narrow it? */
bool pg_flow_query_narrows(const struct pg_flow_query *query);
bool pg_flow_wanted(const struct pg_flow_query *query, const struct pg_flow_row *row);

struct pg_flow_list {
	struct pg_flow_row *row;
	size_t n, cap;
	size_t wanted; /* rows that were asked for, though `top` left some out */
};
/* Would it be the last one, and is there no room for it? By counters and rates alone. */
bool pg_flow_list_is_full_for(const struct pg_flow_list *list, const struct pg_flow_query *query,
			      const struct pg_flow_row *row);
/* Take the row if it is asked for. 0 or -ENOMEM. */
int pg_flow_list_add(struct pg_flow_list *list, const struct pg_flow_query *query,
		     const struct pg_flow_row *row);
/* When all were given: bring them into the order asked for. */
void pg_flow_list_sort(struct pg_flow_list *list, const struct pg_flow_query *query);
void pg_flow_list_clear(struct pg_flow_list *list);

/* "SPAF": the flags of an end, in the order in which a connection has them. buf[9]. */
char *pg_flow_flags_text(uint8_t flags, char *buf);
