/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drops as plain rows: what the black box has of a packet, in the policy's words. pg_drops_*() read
 * through dp.h; everything else that takes rows runs without a kernel.
 */
#pragma once

#include <net/if.h>
#include <time.h>

#include "ast.h"
#include "dp.h"
#include "flows.h"

/* What decided about a packet. */
struct pg_fate {
	enum pg_verdict verdict;
	enum pg_reason reason;
	bool out; /* it departed, or was to */
	const char *table; /* NULL: no chain was asked */
	char chain[PG_CHAIN_NAME_MAX + 1];
	int64_t rule; /* from 1; 0: the chain's policy; -1: none, or it is no longer known */
	bool past; /* rule and chain are those of a policy that is no longer in force */
	char spec[192]; /* of the rule; longer ones have "…" before their target; "": none */
	char iface[IFNAMSIZ];
};

struct pg_drop_row {
	struct timespec when;
	struct pg_fate fate;
	struct pg_drop drop; /* addresses, ports and so on; .has says what there is */
};

/* A rule's text, as it is kept. */
void pg_fate_spec(const char *text, struct pg_fate *ret);

/* Finds the words; keeps the policies that it has read, so it is cheap to ask again. */
struct pg_fates;
struct pg_fates *pg_fates_open(struct pg_dp *dp); /* NULL: no memory */
void pg_fates_find(struct pg_fates *fates, uint32_t slot, uint32_t number, uint16_t fate,
		   uint32_t iface, uint32_t ifindex, struct pg_fate *ret);
void pg_fates_close(struct pg_fates *fates);
static inline void pg_fates_closep(struct pg_fates **fates)
{
	pg_fates_close(*fates);
}

struct pg_drop_list {
	struct pg_drop_row *row; /* by time */
	size_t n;
	uint64_t missed; /* were written over before they could be read */
};
void pg_drop_list_clear(struct pg_drop_list *list);

/* A reader of the black box; as pg_dp_drops_open(). */
struct pg_drops;
int pg_drops_open(struct pg_dp *dp, bool from_now, struct pg_drops **ret_drops, struct pg_err *err);
/* What has come since the last time, the last `most` of it (0: all). The caller clears the list. */
int pg_drops_take(struct pg_drops *drops, size_t most, bool settle, struct pg_drop_list *ret,
		  struct pg_err *err);
void pg_drops_close(struct pg_drops *drops);
static inline void pg_drops_closep(struct pg_drops **drops)
{
	pg_drops_close(*drops);
}

/* The last `most` drops of this moment (0: all that are kept), the oldest first. */
int pg_drops_last(struct pg_dp *dp, size_t most, struct pg_drop_list *ret, struct pg_err *err);

/* Which drops are asked for: flows' filters, but for states, and a reason. */
struct pg_drop_query {
	struct pg_flow_query flow;
	bool has_reason;
	enum pg_reason reason;
};
bool pg_drop_wanted(const struct pg_drop_query *query, const struct pg_drop_row *row);

/*
 * Texts. "INPUT 3", "INPUT policy", "INPUT" or "-": who decided; "rule" and "policy" say nothing
 * more, other reasons are named.
 */
void pg_fate_who(const struct pg_fate *fate, char *buf, size_t size);
/* "10.0.0.1:443", "[2001:db8::1]:443", "-"; end 0 is the source. */
void pg_drop_end(const struct pg_drop *drop, int end, char *buf, size_t size);
/* Name or number of the protocol; "ip4" and so on where it is not known; "arp", "0x88cc". */
void pg_drop_proto(const struct pg_drop *drop, char *buf, size_t size);
/* "DROP INPUT 3: rule: -p tcp … -j DROP": for a packet's comment. */
void pg_fate_text(struct pg_text *t, const struct pg_fate *fate);
/* One line, with its newline. */
void pg_drop_line(struct pg_text *t, const struct pg_drop_row *row);
/*
 * The same as one line of JSON. What the packet does not have is null; ICMP's type and code stand in
 * sport and dport. 0 or a negative errno.
 */
int pg_json_drop(FILE *f, const struct pg_drop_row *row, struct pg_err *err);
