/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "top_flows.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#define HALF_A_SECOND 500000000

/* Of the flow that lies, or lay, in a place. */
struct pg_flow_seen {
	uint32_t id, at_ms;
	struct pg_count count[2];
	struct pg_flow_rate rate[2];
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

static uint64_t since(uint64_t now, uint64_t last)
{
	return now < last ? now : now - last;
}

static void rate_of(const struct pg_count now[2], const struct pg_count last[2], double elapsed_s,
		    struct pg_flow_rate ret[2])
{
	for (int end = 0; end < 2; end++) {
		ret[end].packets = (float)((double)since(now[end].packets, last[end].packets) / elapsed_s);
		ret[end].bytes = (float)((double)since(now[end].bytes, last[end].bytes) / elapsed_s);
	}
}

/* Sampling ------------------------------------------------------------------------------------ */

int pg_sampler_begin(struct pg_sampler *s, uint64_t now_ns, uint32_t places)
{
	uint32_t *open = s->next.open;

	if (s->places < places) {
		free(s->seen);
		s->seen = calloc(places, sizeof(*s->seen));
		s->places = s->seen ? places : 0;
	}
	if (!open)
		open = malloc((size_t)_PG_PORT_PROTO_MAX * PG_PORTS * sizeof(*open));
	if (!open || !s->seen) {
		free(open);
		s->next.open = NULL;
		return -ENOMEM;
	}
	memset(open, 0, (size_t)_PG_PORT_PROTO_MAX * PG_PORTS * sizeof(*open));
	s->next.list.n = s->next.list.wanted = 0;
	s->next = (struct pg_flow_sample){ .time_ns = now_ns, .list = s->next.list, .open = open };
	s->now_ns = now_ns;
	return 0;
}

bool pg_flow_is_open(const struct pg_flow_row *row)
{
	switch (row->state) {
	case PG_TCP_NONE:
		return row->sctp_state ? row->sctp_state == PG_SCTP_ESTABLISHED : row->replied;
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

/* Its rate since it was seen the last time; of what was sent in a moment none can be told. */
static void see(struct pg_sampler *s, struct pg_flow_row *row)
{
	static const struct pg_count none[2];
	struct pg_flow_seen *seen = &s->seen[row->place % s->places];
	uint32_t now_ms = (uint32_t)(s->now_ns / 1000000);
	uint64_t since_ns = s->now_ns - s->sample.time_ns;

	if (seen->id != row->id) {
		*seen = (struct pg_flow_seen){ .id = row->id, .at_ms = now_ms };
		/* One that has begun since the last walk; others were in the other table. */
		if (s->sample.time_ns && since_ns >= HALF_A_SECOND &&
		    row->age_ns <= since_ns / 10 * 11 + 100000000)
			rate_of(row->count, none, (double)since_ns / 1e9, seen->rate);
	} else if (now_ms - seen->at_ms >= 500) {
		rate_of(row->count, seen->count, (double)(now_ms - seen->at_ms) / 1e3, seen->rate);
		seen->at_ms = now_ms;
	} else {
		memcpy(row->rate, seen->rate, sizeof(row->rate));
		return;
	}
	memcpy(seen->count, row->count, sizeof(seen->count));
	memcpy(row->rate, seen->rate, sizeof(row->rate));
}

int pg_sampler_add(struct pg_sampler *s, const struct pg_flow_query *query, struct pg_flow_row *row,
		   bool wanted)
{
	s->next.count[row->half_open ? PG_HALF_OPEN_TABLE : PG_FLOW_TABLE]++;
	s->next.word[pg_flow_word(row)]++;
	count_open(s, row);
	see(s, row);
	row->read_ns = s->now_ns;
	if (!wanted)
		return 0;
	if (pg_flow_list_is_full_for(&s->next.list, query, row)) {
		s->next.list.wanted++;
		return 0;
	}
	return pg_flow_list_add(&s->next.list, query, row);
}

void pg_sampler_end(struct pg_sampler *s, const struct pg_flow_query *query)
{
	struct pg_flow_sample sample = s->sample;

	pg_flow_list_sort(&s->next.list, query);
	s->sample = s->next;
	s->next = sample;
}

/* Of what was sent in a moment no rate can be told: then its counters wait, or the next rate lacked that. */
static void take_rate(struct pg_flow_row *row, const struct pg_flow_row *old, uint64_t now_ns)
{
	memcpy(row->rate, old->rate, sizeof(row->rate));
	row->read_ns = now_ns;
	if (now_ns - old->read_ns >= HALF_A_SECOND) {
		rate_of(row->count, old->count, (double)(now_ns - old->read_ns) / 1e9, row->rate);
		return;
	}
	memcpy(row->count, old->count, sizeof(row->count));
	row->read_ns = old->read_ns;
}

int pg_sampler_refresh(struct pg_sampler *s, const struct pg_flow_query *query, size_t n,
		       pg_sampler_again_fn *again, void *arg, uint64_t now_ns)
{
	struct pg_flow_list *list = &s->sample.list;
	_free_ struct pg_flow_row *old = NULL;
	_free_ bool *gone = NULL;
	size_t kept = 0;
	int r;

	n = n < list->n ? n : list->n;
	old = reallocarray(NULL, n + 1, sizeof(*old));
	gone = calloc(n + 1, sizeof(*gone));
	if (!old || !gone)
		return -ENOMEM;
	if (!n)
		return 0;
	memcpy(old, list->row, n * sizeof(*old));
	r = again(arg, list->row, n, gone);
	if (r)
		return r;
	for (size_t i = 0; i < list->n; i++) {
		if (i < n && gone[i])
			continue;
		if (i < n)
			take_rate(&list->row[i], &old[i], now_ns);
		if (kept != i)
			list->row[kept] = list->row[i];
		kept++;
	}
	list->wanted -= list->n - kept;
	list->n = kept;
	pg_flow_list_sort(list, query);
	return 0;
}

void pg_sampler_clear(struct pg_sampler *s)
{
	pg_flow_list_clear(&s->sample.list);
	pg_flow_list_clear(&s->next.list);
	free(s->sample.open);
	free(s->next.open);
	free(s->seen);
	free(s->own.addr);
	*s = (struct pg_sampler){ 0 };
}
