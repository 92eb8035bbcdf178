/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tracked connections, for people and as JSON. Pure but for the FILE. */
#pragma once

#include "flows.h"

/* In one line each where there is room; in two, as `ss -i` does, where there is not. */
void pg_view_flows(struct pg_text *t, const struct pg_flow_list *list, unsigned width);

/* Parts of it. "10.0.0.1:443", "[2001:db8::1]:443"; ICMP's type and code are no port of an end. */
void pg_flow_end_text(const struct pg_flow_row *row, int end, char *buf, size_t size);
/* A name, or the number in buf. */
const char *pg_flow_proto_text(const struct pg_flow_row *row, char *buf, size_t size);
/* "12s", "3m20s", "5h02m", "4d21h": two units are as much as anybody reads. */
void pg_flow_age_text(uint64_t ns, char *buf, size_t size);
void pg_flow_rtt_text(const struct pg_flow_row *row, char *buf, size_t size);
/* "eth0", "eth0.7" */
void pg_flow_iface_text(const struct pg_flow_row *row, char *buf, size_t size);
/* Each end's own state, where the two say more than the pair's word. */
void pg_flow_ends_text(const struct pg_flow_row *row, char *buf, size_t size);

/*
 * {"flows":[…]}, written as it goes: a million of them are no document to be built in memory.
 * begin, any number of adds, end. Problems are reported by end().
 */
struct pg_flow_json;
struct pg_flow_json *pg_flow_json_begin(FILE *f); /* NULL: no memory */
void pg_flow_json_add(struct pg_flow_json *json, const struct pg_flow_row *row);
/* Frees it. 0, or -EIO with err filled. */
int pg_flow_json_end(struct pg_flow_json *json, struct pg_err *err);
