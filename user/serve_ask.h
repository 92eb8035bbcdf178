/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `portguard serve` is two processes. One talks HTTP and may do nothing else; the other reads the
 * instance and knows nothing of HTTP. This is what they say to each other, over a socket that keeps
 * the bounds of messages: one question, then one answer, which brings the document as a sealed file
 * in memory.
 */
#pragma once

#include "flows.h"
#include "states.h"
#include "view.h"

enum pg_doc {
	PG_DOC_NONE, /* only whether the instance can be read */
	PG_DOC_STATUS,
	PG_DOC_PORTS,
	PG_DOC_RULES,
	PG_DOC_REASONS,
	PG_DOC_FLOWS,
	PG_DOC_STATES,
	PG_DOC_DROPS,
	PG_DOC_METRICS,
	PG_DOC_STREAM,
	_PG_DOC_MAX
};

/* Filters are name NUL value NUL, as they stood in the address, unquoted. */
struct pg_ask {
	uint32_t doc;
	uint32_t n; /* bytes of text in use */
	char text[1024];
};

struct pg_told {
	uint32_t http_status; /* 200: a document follows, as a file descriptor of `bytes` */
	int32_t exit_code;
	uint64_t bytes;
	char text[512]; /* otherwise: what is wrong */
};

void pg_ask_begin(struct pg_ask *ask, enum pg_doc doc);
/* 0, or -E2BIG: no room. */
int pg_ask_add(struct pg_ask *ask, const char *name, const char *value);

#define PG_ASK_FLOWS 1000      /* flows where `top` says nothing */
#define PG_ASK_FLOWS_MAX 100000
#define PG_ASK_DROPS 1000 /* the same of drops, and `last` */
#define PG_ASK_DROPS_MAX 100000
#define PG_ASK_RANGES 16 /* ports, of `ports` and `states` */

/* What was asked, for who reads. */
struct pg_question {
	struct pg_flow_query flows;
	struct pg_ports_opts ports;
	struct pg_port_filter filter[PG_ASK_RANGES];
	struct pg_states_opts states;
	struct pg_states_range range[PG_ASK_RANGES];
	uint32_t last_drops;
};
/*
 * Anything may stand in `ask`, of which n bytes came: it is checked. The question points into both. 0,
 * or -EINVAL with err filled.
 */
int pg_ask_read(const struct pg_ask *ask, size_t n, struct pg_question *ret, struct pg_err *err);
