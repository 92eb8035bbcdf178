/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "names.h"

#include <errno.h>
#include <string.h>

#include "mark.h"
#include "pg_abi.h"
#include "util.h"

#define NAME(sym, name, ...) name,
#define HELP(sym, name, help) help,

static const char *const reason_names[] = { PG_REASONS(NAME) };
static const char *const reason_helps[] = { PG_REASONS(HELP) };
static const char *const mode_names[] = { PG_MODES(NAME) };
static const char *const verdict_names[] = { PG_VERDICTS(NAME) };
static const char *const frag_names[] = { PG_FRAGS(NAME) };
static const char *const flag_names[] = { PG_TCP_FLAGS(NAME) };
static const char *const end_names[] = { PG_END_STATES(NAME) };
static const char *const pair_names[] = { PG_PAIR_STATES(NAME) };
static const char *const sctp_names[] = { PG_SCTP_STATES(NAME) };
static const char *const timeout_names[] = { PG_TIMEOUTS(NAME) };
static const char *const odd_names[] = { PG_ODD_FLAGS(NAME) };
static const char *const odd_helps[] = { PG_ODD_FLAGS(HELP) };

static const char *const fragments_names[_PG_FRAGMENTS_MAX] = {
	[PG_FRAGMENTS_AUTO] = "auto",
	[PG_FRAGMENTS_DROP] = "drop",
	[PG_FRAGMENTS_PASS] = "pass",
	[PG_FRAGMENTS_RULES] = "rules",
};

#define TRANSITION(from, to) { PG_END_##from, PG_END_##to },
static const unsigned char transitions[][2] = { PG_TRANSITIONS(TRANSITION) };

#define LOOKUP(table, i) ((size_t)(i) < ARRAY_SIZE(table) ? (table)[i] : "?")

const char *pg_reason_name(enum pg_reason reason)
{
	return LOOKUP(reason_names, reason);
}

int pg_reason_from_str(const char *text, enum pg_reason *ret)
{
	for (int i = 0; i < _PG_REASON_MAX; i++) {
		if (strcmp(pg_reason_name((enum pg_reason)i), text))
			continue;
		*ret = (enum pg_reason)i;
		return 0;
	}
	return -EINVAL;
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

const char *pg_end_state_name(enum pg_end_state state)
{
	return LOOKUP(end_names, state);
}

const char *pg_pair_state_name(unsigned tcp_state)
{
	return LOOKUP(pair_names, tcp_state);
}

const char *pg_sctp_state_name(unsigned sctp_state)
{
	return LOOKUP(sctp_names, sctp_state);
}

const char *pg_timeout_name(unsigned timeout)
{
	return LOOKUP(timeout_names, timeout);
}

const char *pg_fragments_name(unsigned setting)
{
	return LOOKUP(fragments_names, setting);
}

const char *pg_odd_flags_name(enum pg_odd_flags odd)
{
	return LOOKUP(odd_names, odd);
}

const char *pg_odd_flags_help(enum pg_odd_flags odd)
{
	return LOOKUP(odd_helps, odd);
}

bool pg_transition(unsigned transition, enum pg_end_state *ret_from, enum pg_end_state *ret_to)
{
	if (transition >= ARRAY_SIZE(transitions))
		return false;
	*ret_from = transitions[transition][0];
	*ret_to = transitions[transition][1];
	return true;
}

const char *pg_mark_name(enum pg_mark mark)
{
	static const char *const names[] = { "none", "closed", "unused", "published" };

	_Static_assert(ARRAY_SIZE(names) == _PG_MARK_MAX, "every mark has a name");
	return names[mark];
}
