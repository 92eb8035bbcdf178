/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tracked connections, for people and as JSON. Pure but for the FILE. */
#pragma once

#include "flows.h"

/* In one line each where there is room; in two, as `ss -i` does, where there is not. */
void pg_view_flows(struct pg_text *t, const struct pg_flow_list *list, unsigned width);

/*
 * {"flows":[…]}, written as it goes: a million of them are no document to be built in memory.
 * begin, any number of adds, end. Problems are reported by end().
 */
struct pg_flow_json;
struct pg_flow_json *pg_flow_json_begin(FILE *f); /* NULL: no memory */
void pg_flow_json_add(struct pg_flow_json *json, const struct pg_flow_row *row);
/* Frees it. 0, or -EIO with err filled. */
int pg_flow_json_end(struct pg_flow_json *json, struct pg_err *err);
