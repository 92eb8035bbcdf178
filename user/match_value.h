/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Values of matches as iptables' own option parser reads them, and its words for what is wrong with
 * them. For rows of match.h; `use` is one of theirs.
 */
#pragma once

#include "match.h"

/* The name that messages give an option: the first one of its id. */
const char *pg_option_name(enum pg_match_kind kind, unsigned id);

/* Refuses an option given twice, and a ! unless the id's bit is in `invertible`. */
int pg_use_check(const struct pg_match *m, const struct pg_match_use *use, uint32_t invertible,
		 struct pg_diag *diag);
/* For check(): the option must be there; two of them exclude each other. */
int pg_option_need(const struct pg_match *m, unsigned id, uint32_t seen, const struct pg_arg *at,
		   struct pg_diag *diag);
int pg_option_exclude(const struct pg_match *m, unsigned a, unsigned b, uint32_t seen,
		      const struct pg_arg *at, struct pg_diag *diag);

int pg_value_number(const struct pg_match *m, const struct pg_match_use *use, uint32_t min,
		    uint32_t max, uint32_t *ret, struct pg_diag *diag);
/* "5", "5:7", ":7", "5:", "": 0..max where an end is missing; may be reversed. Takes the !, too. */
int pg_value_range(const struct pg_match *m, const struct pg_match_use *use, uint32_t max,
		   struct pg_u32_range *ret, struct pg_diag *diag);
/* "5", "0x5/0xff"; all bits count without a mask. */
int pg_value_mark(const struct pg_match *m, const struct pg_match_use *use, uint32_t *ret_value,
		  uint32_t *ret_mask, struct pg_diag *diag);
/* The number that text begins with, as strtoul() reads it, but without a sign; false: none. */
bool pg_number_prefix(const char *text, uint32_t max, uint32_t *ret, const char **ret_end);

/* " --mss 5:7", " ! --mss 5" */
void pg_range_print(struct pg_text *t, const char *option, const struct pg_u32_range *range);
/* "!5:7" */
void pg_range_list(struct pg_text *t, const struct pg_u32_range *range);
