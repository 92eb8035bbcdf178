/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From connections that were seen to the least policy that lets them begin. Plain data, no kernel.
 */
#pragma once

#include "flows.h"
#include "listener.h"
#include "local.h"
#include "service.h"
#include "util.h"

#define PG_OWN_PORTS 32768 /* from here on this host's own connections begin */

enum pg_way { PG_WAY_IN, PG_WAY_OUT, PG_WAY_THROUGH, PG_WAY_INSIDE, _PG_WAY_MAX };
const char *pg_way_name(enum pg_way way);

/* How much a connection proves. */
enum pg_proof {
	PG_PROOF_NONE,	/* nobody answered, or only to refuse: a scan looks like that */
	PG_PROOF_EMPTY, /* TCP that was set up, and then nothing was said; UDP that nobody answered */
	PG_PROOF_TALK,	/* both ends took part */
	_PG_PROOF_MAX
};

/* What is offered: a port of a protocol, an ICMP query, a protocol. */
struct pg_offer {
	enum pg_way way;
	enum pg_family family;
	uint8_t proto;
	uint16_t port; /* ICMP: type << 8 | code */
	uint8_t server[16]; /* WAY_THROUGH only; otherwise zeros */
};

/* One offer and who took it up. */
struct pg_learnt {
	struct pg_offer offer;
	enum pg_proof proof; /* the best */
	uint64_t flows, bytes;
	uint8_t (*peer)[16]; /* owned; sorted once pg_learn_settle() was called, each once */
	size_t n_peers, cap;
	bool any_peer; /* nothing is known of them, not even their family */
	char comm[16]; /* who listens; "": not known */
};

struct pg_learn {
	struct pg_learnt *one; /* owned; sorted by offer after pg_learn_settle() */
	size_t n, cap;
	uint64_t flows; /* that were looked at */
	uint32_t *bucket; /* of `one` by hash, 1-based; 0: empty */
	size_t n_buckets;
};

/*
 * Which end is whose; of a flow that was picked up in mid-stream, and may be the wrong way round, the
 * row is turned. sockets NULL: not known.
 */
enum pg_way pg_learn_way(struct pg_flow_row *row, const struct pg_locals *locals,
			 const struct pg_sockets *sockets);
enum pg_proof pg_learn_proof(const struct pg_flow_row *row, bool listens);
void pg_learn_offer(const struct pg_flow_row *row, enum pg_way way, struct pg_offer *ret);
/* 0 or -ENOMEM. */
int pg_learn_add(struct pg_learn *learn, const struct pg_flow_row *row, enum pg_way way,
		 enum pg_proof proof);
/*
 * So many connections to a port of ours (UDP: datagrams), of which nothing more is known: for a port
 * that no other connection tells of.
 */
int pg_learn_add_unknown(struct pg_learn *learn, uint8_t proto, uint16_t port, uint64_t connections);
void pg_learn_settle(struct pg_learn *learn, const struct pg_sockets *sockets);
void pg_learn_clear(struct pg_learn *learn);

struct pg_learn_opts {
	unsigned peers; /* prefixes that a rule's peers become, at most */
	bool output;	/* OUTPUT drops, too, but what was seen to leave */
	const struct pg_services *services;
	const char *source; /* for the first line */
	const char *span;   /* how long was looked, of an instance; NULL: captures have all there was */
};
/* A rule file as `restore` takes it, all of filter. Check t->oom. */
void pg_learn_write(struct pg_text *t, const struct pg_learn *learn, const struct pg_learn_opts *opts);
/* "443/tcp https", "icmp type 8", "gre". */
void pg_offer_print(struct pg_text *t, const struct pg_offer *offer, const struct pg_services *services);

/*
 * The prefixes, `max` at most, of the least length that hold n sorted addresses of 4 or 16 bytes. Fills
 * addr[] (host bits zero) and len[]; returns how many.
 */
size_t pg_prefixes(const uint8_t (*sorted)[16], size_t n, unsigned bytes, size_t max,
		   uint8_t (*ret_addr)[16], uint8_t *ret_len);
