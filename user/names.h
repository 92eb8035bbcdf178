/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the lists of pg_names.h are called in tables and JSON. Never NULL: "?" for a number that
 * this version has no name for, which a newer program's maps may hold. */
#pragma once

#include <stdbool.h>

#include "pg_names.h"

const char *pg_reason_name(enum pg_reason reason);
/* 0 or -EINVAL. */
int pg_reason_from_str(const char *text, enum pg_reason *ret);
const char *pg_reason_help(enum pg_reason reason);
const char *pg_mode_name(enum pg_mode mode);
const char *pg_verdict_name(enum pg_verdict verdict);
const char *pg_frag_name(enum pg_frag frag);
const char *pg_flag_name(enum pg_tcp_flag flag);
const char *pg_end_state_name(enum pg_end_state state);
const char *pg_pair_state_name(unsigned tcp_state); /* enum pg_tcp_state */
const char *pg_sctp_state_name(unsigned sctp_state); /* enum pg_sctp_state */
const char *pg_timeout_name(unsigned timeout);	     /* enum pg_timeout */
const char *pg_fragments_name(unsigned setting);	     /* enum pg_fragments */
const char *pg_odd_flags_name(enum pg_odd_flags odd);
const char *pg_odd_flags_help(enum pg_odd_flags odd);

/* An enum pg_transition's two states; false: it is none. */
bool pg_transition(unsigned transition, enum pg_end_state *ret_from, enum pg_end_state *ret_to);
