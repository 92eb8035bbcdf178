/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the rows of matches that look at one packet only point to. For match.c and these files. */
#pragma once

#include "match.h"

#define PG_STATELESS(kind)                                                                         \
	extern const struct pg_match_option pg_##kind##_options[];                                 \
	int pg_##kind##_parse(struct pg_match *m, const struct pg_match_use *use,                  \
			      struct pg_diag *diag);                                               \
	void pg_##kind##_print(struct pg_text *t, const struct pg_match *m);                       \
	void pg_##kind##_list(struct pg_text *t, const struct pg_match *m,                         \
			      const struct pg_rule *rule, bool numeric)
#define PG_STATELESS_CHECK(kind)                                                                   \
	int pg_##kind##_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen, \
			      const struct pg_arg *at, struct pg_diag *diag)

/* match_addrtype.c */
PG_STATELESS(addrtype);
PG_STATELESS_CHECK(addrtype);
unsigned pg_addrtype_holds(const struct pg_match *m);
unsigned pg_addrtype_chains(const struct pg_match *m);
PG_STATELESS(pkttype);

/* match_rpfilter.c */
PG_STATELESS(rpfilter);
unsigned pg_rpfilter_chains(const struct pg_match *m);

/* match_iprange.c */
PG_STATELESS(iprange);
PG_STATELESS_CHECK(iprange);
unsigned pg_iprange_holds(const struct pg_match *m);
PG_STATELESS(mac);
unsigned pg_mac_chains(const struct pg_match *m);

/* match_header.c */
PG_STATELESS_CHECK(only); /* the one option that the match has, id 0, must be given */
PG_STATELESS(length);
PG_STATELESS(vlan);
PG_STATELESS(ttl);
PG_STATELESS_CHECK(ttl);
PG_STATELESS(tos);
PG_STATELESS(dscp);
PG_STATELESS_CHECK(dscp);
PG_STATELESS(mark);
/* tcpmss is printed and listed as length is, hl as ttl is. */
extern const struct pg_match_option pg_tcpmss_options[], pg_hl_options[];
int pg_tcpmss_parse(struct pg_match *m, const struct pg_match_use *use, struct pg_diag *diag);

/* match_ext6.c */
PG_STATELESS(esp);
enum { PG_AH_SPI, PG_AH_LEN, PG_AH_RES }; /* ids */
PG_STATELESS(ah);
unsigned pg_ah_holds(const struct pg_match *m);
PG_STATELESS(frag);
PG_STATELESS_CHECK(frag);
PG_STATELESS(rt);
void pg_rt_clear(struct pg_match *m);
int pg_rt_copy(struct pg_match *ret, const struct pg_match *m);
bool pg_rt_equal(const struct pg_match *a, const struct pg_match *b);

/* match_sctp.c: --chunk-types, which are an option of -m sctp */
int pg_chunks_parse(struct pg_match *m, const struct pg_match_use *use, bool again,
		    struct pg_diag *diag);
void pg_chunks_print(struct pg_text *t, const struct pg_sctp_chunks *chunks);
void pg_chunks_list(struct pg_text *t, const struct pg_sctp_chunks *chunks, bool numeric);
/* Either may be NULL. */
bool pg_chunks_equal(const struct pg_sctp_chunks *a, const struct pg_sctp_chunks *b);
