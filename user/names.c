/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "names.h"
#include "util.h"

#define NAME(sym, name, ...) name,
#define HELP(sym, name, help) help,

static const char *const reason_names[] = { PG_REASONS(NAME) };
static const char *const reason_helps[] = { PG_REASONS(HELP) };
static const char *const mode_names[] = { PG_MODES(NAME) };
static const char *const verdict_names[] = { PG_VERDICTS(NAME) };
static const char *const frag_names[] = { PG_FRAGS(NAME) };
static const char *const flag_names[] = { PG_TCP_FLAGS(NAME) };

#define LOOKUP(table, i) ((size_t)(i) < ARRAY_SIZE(table) ? (table)[i] : "?")

const char *pg_reason_name(enum pg_reason reason)
{
	return LOOKUP(reason_names, reason);
}

const char *pg_reason_help(enum pg_reason reason)
{
	return LOOKUP(reason_helps, reason);
}

const char *pg_mode_name(enum pg_mode mode)
{
	return LOOKUP(mode_names, mode);
}

const char *pg_verdict_name(enum pg_verdict verdict)
{
	return LOOKUP(verdict_names, verdict);
}

const char *pg_frag_name(enum pg_frag frag)
{
	return LOOKUP(frag_names, frag);
}

const char *pg_flag_name(enum pg_tcp_flag flag)
{
	return LOOKUP(flag_names, flag);
}
