/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules of nft and iptables that act in this network namespace beside portguard's: chains at hooks,
 * and ports that DNAT or REDIRECT sends elsewhere (what Docker calls published).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pg_abi.h"
#include "util.h"

enum pg_foreign_by { PG_FOREIGN_NFT, PG_FOREIGN_IPTABLES, PG_FOREIGN_IP6TABLES };
const char *pg_foreign_name(enum pg_foreign_by by);

/* A chain at a hook. */
struct pg_foreign_chain {
	enum pg_foreign_by by;
	char family[8]; /* ip, ip6, inet, netdev, … */
	char table[64], name[64];
	char hook[16]; /* as nft calls it: input, prerouting, … */
	bool drops;    /* its policy */
	bool nat;
	size_t rules; /* in the chain itself */
};

/* Whose packets to these ports go elsewhere. */
struct pg_foreign_port {
	enum pg_foreign_by by;
	bool v4, v6;
	enum pg_port_proto proto;
	uint16_t lo, hi;
	char to[64]; /* "172.17.0.2:80"; "": not known */
	char table[64], chain[64];
};

/* Rules of a chain that send packets elsewhere, and of whose ports nothing is known. */
struct pg_foreign_unread {
	enum pg_foreign_by by;
	char family[8], table[64], chain[64];
	size_t rules;
};

struct pg_foreign {
	struct pg_foreign_chain *chain; /* owned */
	size_t n_chains;
	struct pg_foreign_port *port; /* owned */
	size_t n_ports;
	struct pg_foreign_unread *unread; /* owned */
	size_t n_unread;
};

/*
 * What can't be read (no privilege, not in this kernel) is left out. 0 or -ENOMEM; the caller clears
 * in any case.
 */
int pg_foreign_read(struct pg_foreign *ret);
void pg_foreign_clear(struct pg_foreign *foreign);
/* The entry that sends this port elsewhere; NULL: none. */
const struct pg_foreign_port *pg_foreign_find(const struct pg_foreign *foreign,
					      enum pg_port_proto proto, uint16_t port);

/* For foreign_*.c: one more, zeroed; NULL: no memory. */
struct pg_foreign_chain *pg_foreign_add_chain(struct pg_foreign *foreign);
struct pg_foreign_port *pg_foreign_add_port(struct pg_foreign *foreign);
/* One more rule of this chain. 0 or -ENOMEM. */
int pg_foreign_add_unread(struct pg_foreign *foreign, enum pg_foreign_by by, const char *family,
			  const char *table, const char *chain);

/* Of one rule. */
#define PG_FOREIGN_RANGES 15 /* as many as -m multiport has */
struct pg_foreign_ranges {
	uint16_t lo[PG_FOREIGN_RANGES], hi[PG_FOREIGN_RANGES];
	size_t n;
	bool but; /* any ports but some */
};
/* What a match of iptables asks of destination ports, as the kernel has it; others change nothing. */
void pg_foreign_xt_match(struct pg_foreign_ranges *ranges, const char *name, unsigned revision,
			 const void *info, size_t n);
/* "ADDRESS:PORT-PORT" of a target, both in network order, either may be missing: NULL, 0. */
void pg_foreign_target(struct pg_foreign_port *port, bool v6, const void *addr, uint16_t lo,
		       uint16_t hi);
/* The target of an iptables rule, as the kernel has it; false: none that sends packets elsewhere. */
bool pg_foreign_xt_target(struct pg_foreign_port *port, const char *name, unsigned revision,
			  bool v6, const void *info, size_t n);
int pg_foreign_read_nft(struct pg_foreign *foreign);
int pg_foreign_read_xt(struct pg_foreign *foreign);
