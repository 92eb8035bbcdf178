/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the lists of pg_names.h are called in tables and JSON. Never NULL: "?" for a number that
 * this version has no name for, which a newer program's maps may hold. */
#pragma once

#include "pg_names.h"

const char *pg_reason_name(enum pg_reason reason);
const char *pg_reason_help(enum pg_reason reason);
const char *pg_mode_name(enum pg_mode mode);
const char *pg_verdict_name(enum pg_verdict verdict);
const char *pg_frag_name(enum pg_frag frag);
const char *pg_flag_name(enum pg_tcp_flag flag);
