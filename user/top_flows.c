/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "top_flows.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

struct pg_flow_seen {
	uint64_t hash; /* of its key; 0: a free place */
	struct pg_count count[2];
};

/* Addresses ----------------------------------------------------------------------------------- */

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, 17);
}

static bool take_addr(const struct sockaddr *sa, uint8_t *ret)
{
	memset(ret, 0, 17);
	if (sa && sa->sa_family == AF_INET) {
		ret[0] = PG_FAMILY_V4;
		memcpy(ret + 1, &((const struct sockaddr_in *)sa)->sin_addr, 4);
		return true;
	}
	if (sa && sa->sa_family == AF_INET6) {
		ret[0] = PG_FAMILY_V6;
		memcpy(ret + 1, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		return true;
	}
	return false;
}

int pg_own_addresses_read(struct pg_own_addresses *ret)
{
	struct pg_own_addresses own = { 0 };
	struct ifaddrs *list;
	size_t n = 0;

	if (getifaddrs(&list) < 0)
		return -errno;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		n++;
	own.addr = calloc(n ? n : 1, sizeof(*own.addr));
	for (const struct ifaddrs *i = list; own.addr && i; i = i->ifa_next)
		own.n += take_addr(i->ifa_addr, own.addr[own.n]);
	freeifaddrs(list);
	if (!own.addr)
		return -ENOMEM;
	qsort(own.addr, own.n, sizeof(*own.addr), compare_addr);
	free(ret->addr);
	*ret = own;
	return 0;
}

static bool is_own(const struct pg_own_addresses *own, const struct pg_flow_row *row, int end)
{
	uint8_t key[17] = { row->family };

	memcpy(key + 1, row->addr[end], row->family == PG_FAMILY_V4 ? 4 : 16);
	return own->n && bsearch(key, own->addr, own->n, sizeof(key), compare_addr);
}

/* What was seen ------------------------------------------------------------------------------- */

static struct pg_flow_seen *find(struct pg_flow_seen *seen, size_t cap, uint64_t hash)
{
	size_t at = (size_t)(hash >> 32) & (cap - 1);

	while (seen[at].hash && seen[at].hash != hash)
		at = (at + 1) & (cap - 1);
	return &seen[at];
}

/* At most half of the places are taken. */
static int make_room(struct pg_sampler *s)
{
	size_t cap = s->cap_seeing ? 2 * s->cap_seeing : 1024;
	struct pg_flow_seen *more;

	if (2 * (s->n_seeing + 1) <= s->cap_seeing)
		return 0;
	more = calloc(cap, sizeof(*more));
	if (!more)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap_seeing; i++)
		if (s->seeing[i].hash)
			*find(more, cap, s->seeing[i].hash) = s->seeing[i];
	free(s->seeing);
	s->seeing = more;
	s->cap_seeing = cap;
	return 0;
}

static uint64_t since(uint64_t now, uint64_t last)
{
	return now < last ? now : now - last;
}

/* Sampling ------------------------------------------------------------------------------------ */

int pg_sampler_begin(struct pg_sampler *s, uint64_t now_ns)
{
	uint32_t *open = s->next.open;

	if (!open)
		open = malloc((size_t)_PG_PORT_PROTO_MAX * PG_PORTS * sizeof(*open));
	if (!open)
		return -ENOMEM;
	memset(open, 0, (size_t)_PG_PORT_PROTO_MAX * PG_PORTS * sizeof(*open));
	s->next.list.n = s->next.list.wanted = 0;
	s->next = (struct pg_flow_sample){ .time_ns = now_ns, .list = s->next.list, .open = open };
	if (s->seen_ns)
		s->next.elapsed_s = (double)(now_ns - s->seen_ns) / 1e9;
	/* The table of a walk before is as large as this one will need. */
	if (s->seeing)
		memset(s->seeing, 0, s->cap_seeing * sizeof(*s->seeing));
	s->n_seeing = 0;
	return 0;
}

bool pg_flow_is_open(const struct pg_flow_row *row)
{
	switch (row->state) {
	case PG_TCP_NONE:
		return row->replied;
	case PG_TCP_ESTABLISHED:
	case PG_TCP_FIN_WAIT:
	case PG_TCP_CLOSE_WAIT:
	case PG_TCP_LAST_ACK:
		return true;
	default:
		return false;
	}
}

/* A flow between two of this host's addresses is one of both ports. */
static void count_open(struct pg_sampler *s, const struct pg_flow_row *row)
{
	uint32_t *open = s->next.open;

	if (!pg_flow_is_open(row) || (row->proto != IPPROTO_TCP && row->proto != IPPROTO_UDP))
		return;
	if (row->proto == IPPROTO_UDP)
		open += PG_PORTS * PG_PORT_UDP;
	if (!row->here) {
		open[row->port[1]]++;
		return;
	}
	for (int end = 0; end < 2; end++)
		if (is_own(&s->own, row, end))
			open[row->port[end]]++;
}

int pg_sampler_add(struct pg_sampler *s, const struct pg_flow_query *query,
		   const struct pg_flow_row *row, bool wanted)
{
	uint64_t hash = pg_flow_hash(&row->key, 0) | 1;
	struct pg_flow_row with = *row;
	struct pg_flow_seen *seen;

	s->next.count[row->half_open ? PG_HALF_OPEN_TABLE : PG_FLOW_TABLE]++;
	count_open(s, row);
	if (make_room(s) < 0)
		return -ENOMEM;
	seen = find(s->seeing, s->cap_seeing, hash);
	s->n_seeing += !seen->hash;
	*seen = (struct pg_flow_seen){ hash, { row->count[0], row->count[1] } };
	if (!wanted)
		return 0;

	/* One that is new since the last walk has all it has sent since then. */
	seen = s->n_seen ? find(s->seen, s->cap_seen, hash) : NULL;
	for (int end = 0; end < 2 && s->next.elapsed_s > 0; end++) {
		const struct pg_count none = { 0 }, *last = seen && seen->hash ? &seen->count[end] : &none;

		/* Or it has left the table of half-open ones unseen: then it may be old. */
		if (last == &none && row->age_ns > (uint64_t)(s->next.elapsed_s * 1.1e9) + 100000000)
			continue;
		with.since[end].packets = since(row->count[end].packets, last->packets);
		with.since[end].bytes = since(row->count[end].bytes, last->bytes);
	}
	return pg_flow_list_add(&s->next.list, query, &with);
}

void pg_sampler_end(struct pg_sampler *s, const struct pg_flow_query *query)
{
	struct pg_flow_sample sample = s->sample;
	struct pg_flow_seen *seen = s->seen;
	size_t cap = s->cap_seen;

	pg_flow_list_sort(&s->next.list, query);
	s->sample = s->next;
	s->next = sample;
	/* Of what was sent in a moment no rate can be told. */
	if (s->seen_ns && s->sample.time_ns - s->seen_ns < 500000000)
		return;
	s->seen_ns = s->sample.time_ns;
	s->seen = s->seeing;
	s->n_seen = s->n_seeing;
	s->cap_seen = s->cap_seeing;
	s->seeing = seen;
	s->cap_seeing = cap;
}

void pg_sampler_clear(struct pg_sampler *s)
{
	pg_flow_list_clear(&s->sample.list);
	pg_flow_list_clear(&s->next.list);
	free(s->sample.open);
	free(s->next.open);
	free(s->seen);
	free(s->seeing);
	free(s->own.addr);
	*s = (struct pg_sampler){ 0 };
}
