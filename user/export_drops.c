// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A drop → JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "drops.h"
#include "names.h"

/* NULL is null. The value is the object's afterwards. */
static void put(struct json_object *o, const char *key, struct json_object *value, bool *oom)
{
	if (!o || json_object_object_add(o, key, value) < 0) {
		json_object_put(value);
		*oom = true;
	}
}

static void put_number(struct json_object *o, const char *key, bool exists, int64_t n, bool *oom)
{
	struct json_object *value = exists ? json_object_new_int64(n) : NULL;

	*oom |= exists && !value;
	put(o, key, value, oom);
}

/* text NULL: null. Bytes that no terminal should see become question marks. */
static void put_text(struct json_object *o, const char *key, const char *text, bool *oom)
{
	struct json_object *value = NULL;
	char clean[256];

	if (text) {
		value = json_object_new_string(pg_printable(text, clean, sizeof(clean)));
		*oom |= !value;
	}
	put(o, key, value, oom);
}

static void put_fate(struct json_object *o, const struct pg_fate *fate, bool *oom)
{
	static const char *const verdicts[] = { "ACCEPT", "DROP", "REJECT", "?" };

	put_text(o, "iface", fate->iface, oom);
	put_text(o, "direction", fate->out ? "out" : "in", oom);
	put_text(o, "verdict", verdicts[fate->verdict & 3], oom);
	put_text(o, "reason", pg_reason_name(fate->reason), oom);
	put_text(o, "table", fate->table, oom);
	put_text(o, "chain", fate->table ? fate->chain : NULL, oom);
	put_number(o, "rule", fate->rule >= 0, fate->rule, oom);
	put(o, "past", json_object_new_boolean(fate->past), oom);
	put_text(o, "spec", fate->spec[0] ? fate->spec : NULL, oom);
}

static void put_packet(struct json_object *o, const struct pg_drop *drop, bool *oom)
{
	bool ports = drop->has & (PG_DROP_HAS_PORTS | PG_DROP_HAS_ICMP);
	bool l3 = drop->has & PG_DROP_HAS_L3;
	int family = drop->has & PG_DROP_V6 ? AF_INET6 : AF_INET;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], proto[32], flags[9];

	inet_ntop(family, drop->saddr, src, sizeof(src));
	inet_ntop(family, drop->daddr, dst, sizeof(dst));
	pg_drop_proto(drop, proto, sizeof(proto));
	put_text(o, "src", l3 ? src : NULL, oom);
	put_number(o, "sport", ports, drop->sport, oom);
	put_text(o, "dst", l3 ? dst : NULL, oom);
	put_number(o, "dport", ports, drop->dport, oom);
	put_text(o, "proto", proto, oom);
	put_text(o, "flags",
		 drop->has & PG_DROP_HAS_FLAGS ? pg_flow_flags_text(drop->tcp_flags, flags) : NULL,
		 oom);
	put_number(o, "length", true, drop->length, oom);
	put_number(o, "vlan", drop->vlan, drop->vlan & ~PG_FLOW_TAGGED, oom);
	put_number(o, "skipped", true, drop->skipped, oom);
}

int pg_json_drop(FILE *f, const struct pg_drop_row *row, struct pg_err *err)
{
	struct json_object *o = json_object_new_object();
	long us = row->when.tv_nsec / 1000;
	bool oom = !o;
	const char *text;

	put(o, "time", json_object_new_double((double)row->when.tv_sec + (double)us / 1e6), &oom);
	put_fate(o, &row->fate, &oom);
	put_packet(o, &row->drop, &oom);
	text = oom ? NULL : json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE);
	oom |= !text;
	if (text)
		fprintf(f, "%s\n", text);
	json_object_put(o);
	if (oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	return ferror(f) ? pg_fail(err, -EIO, "cannot write: %s", strerror(errno)) : 0;
}
