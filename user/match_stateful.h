/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rows of match.h for the matches that remember packets, or look at flows, sets or the clock. */
#pragma once

#include "match.h"

#define PG_MATCH_FUNCTIONS(name)                                                                   \
	extern const struct pg_match_option pg_##name##_options[];                                 \
	int pg_##name##_parse(struct pg_match *m, const struct pg_match_use *use,                  \
			      struct pg_diag *diag);                                               \
	int pg_##name##_check(const struct pg_match *m, const struct pg_rule *rule, uint32_t seen, \
			      const struct pg_arg *at, struct pg_diag *diag);                      \
	void pg_##name##_print(struct pg_text *t, const struct pg_match *m);                       \
	void pg_##name##_list(struct pg_text *t, const struct pg_match *m,                         \
			      const struct pg_rule *rule, bool numeric)
/* Of those that own memory, or that differ between families. */
#define PG_MATCH_OWNS(name)                                                                        \
	void pg_##name##_init(struct pg_match *m);                                                 \
	void pg_##name##_clear(struct pg_match *m);                                                \
	int pg_##name##_copy(struct pg_match *ret, const struct pg_match *m);                      \
	bool pg_##name##_equal(const struct pg_match *a, const struct pg_match *b)
#define PG_MATCH_SETTLES(name)                                                                     \
	unsigned pg_##name##_holds(const struct pg_match *m);                                      \
	void pg_##name##_settle(struct pg_match *m, struct pg_rule *rule)

PG_MATCH_FUNCTIONS(conntrack);
extern const struct pg_match_option pg_state_options[];
unsigned pg_conntrack_holds(const struct pg_match *m);
void pg_conntrack_clear(struct pg_match *m);
int pg_conntrack_copy(struct pg_match *ret, const struct pg_match *m);
bool pg_conntrack_equal(const struct pg_match *a, const struct pg_match *b);

PG_MATCH_FUNCTIONS(limit);
void pg_limit_init(struct pg_match *m);

PG_MATCH_FUNCTIONS(hashlimit);
PG_MATCH_OWNS(hashlimit);
PG_MATCH_SETTLES(hashlimit);

PG_MATCH_FUNCTIONS(connlimit);
void pg_connlimit_init(struct pg_match *m);
PG_MATCH_SETTLES(connlimit);

PG_MATCH_FUNCTIONS(recent);
PG_MATCH_OWNS(recent);
PG_MATCH_SETTLES(recent);

PG_MATCH_FUNCTIONS(connbytes);
PG_MATCH_FUNCTIONS(quota);
PG_MATCH_FUNCTIONS(statistic);
PG_MATCH_FUNCTIONS(set);

PG_MATCH_FUNCTIONS(time);
PG_MATCH_OWNS(time);

/*
 * A rate of limit (units of 1/10000 s) or hashlimit (1/1000000 s): "5", "5/min". *ret_avg: units
 * between two packets, *ret_unit_s: what the rate was given by. -EINVAL: not a rate, -ERANGE: so
 * fast that nothing is between them.
 */
int pg_rate_parse(const char *text, uint32_t scale, uint64_t *ret_avg, uint32_t *ret_unit_s);
/* " 5/min"; returns the unit in seconds. Reads back as the same avg. */
uint32_t pg_rate_print(struct pg_text *t, uint64_t avg, uint32_t scale);
