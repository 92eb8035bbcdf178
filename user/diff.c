/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "diff.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

/* What makes two rows the same, without padding: all bytes of it count. */
struct key {
	uint64_t was_rule, was_chain, now_rule, now_chain;
	uint8_t source[16];
	char iface[IFNAMSIZ];
	uint8_t verdict[2], reason[2];
	uint8_t dir, has_proto, proto, has_port, has_source, v6;
	uint16_t port;
	uint32_t unused;
};

static struct key key_of(const struct pg_diff_row *row)
{
	struct key key = {
		.was_rule = (uintptr_t)row->was.place.rule,
		.was_chain = (uintptr_t)row->was.place.chain,
		.now_rule = (uintptr_t)row->now.place.rule,
		.now_chain = (uintptr_t)row->now.place.chain,
		.verdict = { row->was.verdict, row->now.verdict },
		.reason = { row->was.reason, row->now.reason },
		.dir = row->dir,
		.has_proto = row->has_proto,
		.proto = row->has_proto ? row->proto : 0,
		.has_port = row->has_port,
		.has_source = row->has_source,
		.v6 = row->v6,
		.port = row->has_port ? row->port : 0,
	};

	snprintf(key.iface, sizeof(key.iface), "%s", row->iface);
	if (row->has_source)
		memcpy(key.source, row->source, sizeof(key.source));
	return key;
}

static size_t hash_of(const struct key *key)
{
	const uint8_t *byte = (const uint8_t *)key;
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*key); i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ULL;
	return hash ^ hash >> 32;
}

/* The bucket of a row like this one, or the free one where it belongs. */
static uint32_t *find_bucket(const struct pg_diff *diff, const struct key *key)
{
	size_t at = hash_of(key) & diff->mask;

	for (; diff->bucket[at]; at = (at + 1) & diff->mask) {
		struct key other = key_of(&diff->row[diff->bucket[at] - 1]);

		if (!memcmp(&other, key, sizeof(other)))
			break;
	}
	return &diff->bucket[at];
}

/* Room for one row more, with half of the buckets free. */
static int grow(struct pg_diff *diff)
{
	size_t cap = diff->cap ? 2 * diff->cap : 64;
	struct pg_diff_row *row = reallocarray(diff->row, cap, sizeof(*row));
	uint32_t *bucket;

	if (!row)
		return -ENOMEM;
	diff->row = row;
	bucket = calloc(2 * cap, sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	free(diff->bucket);
	diff->bucket = bucket;
	diff->cap = cap;
	diff->mask = 2 * cap - 1;
	for (size_t i = 0; i < diff->n; i++) {
		struct key key = key_of(&diff->row[i]);

		*find_bucket(diff, &key) = (uint32_t)i + 1;
	}
	return 0;
}

int pg_diff_add(struct pg_diff *diff, const struct pg_diff_row *row)
{
	struct key key = key_of(row);
	struct pg_diff_row *same;
	uint32_t *bucket;

	if (diff->n == diff->cap && grow(diff))
		return -ENOMEM;
	bucket = find_bucket(diff, &key);
	diff->packets += row->count.packets;
	if (!*bucket) {
		diff->row[diff->n++] = *row;
		*bucket = (uint32_t)diff->n;
		return 0;
	}
	same = &diff->row[*bucket - 1];
	same->count.packets += row->count.packets;
	same->count.bytes += row->count.bytes;
	return 0;
}

/* Chains and rules of one ruleset lie in the order in which they are shown. */
static int compare_sides(const struct pg_diff_side *a, const struct pg_diff_side *b)
{
	if (a->place.chain != b->place.chain)
		return a->place.chain < b->place.chain ? -1 : 1;
	if (a->place.num != b->place.num) /* the policy, 0, comes behind all rules */
		return a->place.num - 1 < b->place.num - 1 ? -1 : 1;
	if (a->verdict != b->verdict)
		return a->verdict < b->verdict ? -1 : 1;
	return (int)a->reason - (int)b->reason;
}

static int compare_rows(const void *a, const void *b)
{
	const struct pg_diff_row *x = a, *y = b;
	int r = compare_sides(&x->was, &y->was) ?: compare_sides(&x->now, &y->now);

	if (r)
		return r;
	if (x->count.packets != y->count.packets)
		return x->count.packets > y->count.packets ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return memcmp(x->source, y->source, sizeof(x->source));
}

void pg_diff_sort(struct pg_diff *diff)
{
	if (diff->n)
		qsort(diff->row, diff->n, sizeof(*diff->row), compare_rows);
}

void pg_diff_clear(struct pg_diff *diff)
{
	free(diff->row);
	free(diff->bucket);
	*diff = (struct pg_diff){ 0 };
}

void pg_diff_row_from_trace(const struct pg_trace *trace, enum pg_dir dir, struct pg_diff_row *ret)
{
	bool icmp = trace->proto == IPPROTO_ICMP || trace->proto == IPPROTO_ICMPV6;

	*ret = (struct pg_diff_row){
		.dir = dir,
		.has_proto = trace->has_proto,
		.proto = trace->proto,
		.has_port = trace->has_ports && !icmp,
		.v6 = trace->l3_type == ETHERTYPE_IPV6,
		.count = { 1, trace->ip_len },
	};
	if (ret->has_port)
		ret->port = dir == PG_DIR_IN ? trace->dport : trace->sport;
}
