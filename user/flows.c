/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "flows.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

#include "names.h"

static const char *const sort_names[] = {
	[PG_FLOW_BY_BYTES] = "bytes",
	[PG_FLOW_BY_PACKETS] = "packets",
	[PG_FLOW_BY_RTT] = "rtt",
	[PG_FLOW_BY_RETRANSMITS] = "retransmits",
	[PG_FLOW_BY_AGE] = "age",
};

enum pg_flow_word pg_flow_word(const struct pg_flow_row *row)
{
	if (row->state != PG_TCP_NONE)
		return (enum pg_flow_word)row->state;
	if (row->sctp_state == PG_SCTP_ESTABLISHED)
		return (enum pg_flow_word)PG_TCP_ESTABLISHED;
	if (row->sctp_state != PG_SCTP_NONE)
		return (enum pg_flow_word)(PG_FLOW_WORD_SCTP_CLOSED + row->sctp_state -
					   PG_SCTP_CLOSED);
	if (row->assured)
		return PG_FLOW_WORD_ASSURED;
	return row->replied ? PG_FLOW_WORD_REPLIED : PG_FLOW_WORD_UNREPLIED;
}

const char *pg_flow_word_name(enum pg_flow_word word)
{
	switch (word) {
	case PG_FLOW_WORD_UNREPLIED:
		return "UNREPLIED";
	case PG_FLOW_WORD_REPLIED:
		return "REPLIED";
	case PG_FLOW_WORD_ASSURED:
		return "ASSURED";
	default:
		if (word >= PG_FLOW_WORD_SCTP_CLOSED)
			return pg_sctp_state_name(word - PG_FLOW_WORD_SCTP_CLOSED + PG_SCTP_CLOSED);
		return pg_pair_state_name(word);
	}
}

char *pg_flow_flags_text(uint8_t flags, char *buf)
{
	static const struct {
		uint8_t flag;
		char letter;
	} letters[] = {
		{ PG_FLAG_SYN, 'S' }, { PG_FLAG_PSH, 'P' }, { PG_FLAG_ACK, 'A' },
		{ PG_FLAG_FIN, 'F' }, { PG_FLAG_RST, 'R' }, { PG_FLAG_URG, 'U' },
		{ PG_FLAG_ECE, 'E' }, { PG_FLAG_CWR, 'C' },
	};
	char *p = buf;

	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		if (flags & 1U << letters[i].flag)
			*p++ = letters[i].letter;
	*p = '\0';
	return buf;
}

/* What is asked for ---------------------------------------------------------------------------- */

int pg_flow_sort_from_str(const char *text, enum pg_flow_sort *ret)
{
	for (size_t i = PG_FLOW_BY_NOTHING + 1; i < ARRAY_SIZE(sort_names); i++) {
		if (!strcmp(text, sort_names[i])) {
			*ret = (enum pg_flow_sort)i;
			return 0;
		}
	}
	return -EINVAL;
}

int pg_flow_ports_from_str(const char *text, struct pg_flow_ports *ret)
{
	struct pg_flow_ports ports = { .given = true };
	const struct servent *service;
	char buf[32];
	char *dash;

	if (!pg_parse_u16(text, 0, UINT16_MAX, &ports.lo)) {
		ports.hi = ports.lo;
		*ret = ports;
		return 0;
	}
	if (strlen(text) >= sizeof(buf))
		return -EINVAL;
	snprintf(buf, sizeof(buf), "%s", text);
	dash = strpbrk(buf, "-:");
	if (dash && buf[0] >= '0' && buf[0] <= '9') {
		*dash = '\0';
		if (pg_parse_u16(buf, 0, UINT16_MAX, &ports.lo) < 0 ||
		    pg_parse_u16(dash + 1, ports.lo, UINT16_MAX, &ports.hi) < 0)
			return -EINVAL;
		*ret = ports;
		return 0;
	}
	service = getservbyname(text, NULL);
	if (!service)
		return -EINVAL;
	ports.lo = ports.hi = (uint16_t)(((uint16_t)service->s_port >> 8 & 0xff) |
					 ((uint16_t)service->s_port & 0xff) << 8);
	*ret = ports;
	return 0;
}

/* "syn-sent" and "SYN_SENT", and "SYN_RECV" where we say SYN_RECEIVED, are the same. */
static bool same_state(const char *name, const char *text)
{
	for (; *name && *text; name++, text++)
		if (*name != (*text == '-' ? '_' : *text) && (*name | 0x20) != (*text | 0x20))
			return false;
	return !*name && !*text;
}

static int add_state(const char *text, struct pg_flow_query *query)
{
	bool found = false, both = false;

	for (unsigned w = PG_TCP_NONE + 1; w < _PG_FLOW_WORD_MAX; w++) {
		if (!same_state(pg_flow_word_name((enum pg_flow_word)w), text))
			continue;
		query->words |= 1U << w;
		found = true;
		both |= w < PG_FLOW_WORD_SCTP_CLOSED;
	}
	/* Words that pairs and ends of TCP have mean the pair's state. */
	for (unsigned e = 0; !both && e < _PG_END_MAX; e++) {
		if (!same_state(pg_end_state_name((enum pg_end_state)e), text))
			continue;
		query->ends |= 1U << e;
		found = true;
	}
	return found ? 0 : -EINVAL;
}

int pg_flow_states_from_str(const char *text, struct pg_flow_query *query)
{
	_free_ char *copy = strdup(text);
	char *rest = copy, *one;

	if (!copy)
		return -ENOMEM;
	while ((one = strsep(&rest, ",")))
		if (add_state(one, query) < 0)
			return -EINVAL;
	return 0;
}

bool pg_flow_query_narrows(const struct pg_flow_query *q)
{
	return q->has_proto || q->port.given || q->sport.given || q->dport.given || q->src.family ||
	       q->dst.family || q->addr.family || q->words || q->ends || q->iface || q->top;
}

static bool in_ports(const struct pg_flow_ports *ports, uint16_t port)
{
	return !ports->given || (port >= ports->lo && port <= ports->hi);
}

static bool ports_wanted(const struct pg_flow_query *q, const struct pg_flow_row *row)
{
	if (!q->port.given && !q->sport.given && !q->dport.given)
		return true;
	/* An ICMP type is no port. */
	if (row->proto == 1 || row->proto == 58)
		return false;
	return in_ports(&q->sport, row->port[0]) && in_ports(&q->dport, row->port[1]) &&
	       (in_ports(&q->port, row->port[0]) || in_ports(&q->port, row->port[1]));
}

static bool in_addr(const struct pg_addr *addr, const struct pg_flow_row *row, int end)
{
	size_t bytes = addr->family == PG_V4 ? 4 : 16;

	if (!addr->family)
		return true;
	if ((addr->family == PG_V4) != (row->family == PG_FAMILY_V4))
		return false;
	for (size_t i = 0; i < bytes; i++)
		if ((row->addr[end][i] & addr->mask[i]) != addr->addr[i])
			return false;
	return true;
}

static bool states_wanted(const struct pg_flow_query *q, const struct pg_flow_row *row)
{
	if (!q->words && !q->ends)
		return true;
	if (q->words >> pg_flow_word(row) & 1)
		return true;
	return row->state != PG_TCP_NONE &&
	       (q->ends >> row->end_state[0] & 1 || q->ends >> row->end_state[1] & 1);
}

bool pg_flow_wanted(const struct pg_flow_query *q, const struct pg_flow_row *row)
{
	return (!q->has_proto || q->proto == row->proto) && ports_wanted(q, row) &&
	       in_addr(&q->src, row, 0) && in_addr(&q->dst, row, 1) &&
	       (in_addr(&q->addr, row, 0) || in_addr(&q->addr, row, 1)) && states_wanted(q, row) &&
	       (!q->iface || !strcmp(q->iface, row->iface));
}

/* Order ---------------------------------------------------------------------------------------- */

static uint64_t sort_key(const struct pg_flow_row *row, enum pg_flow_sort by)
{
	switch (by) {
	case PG_FLOW_BY_BYTES:
		return row->count[0].bytes + row->count[1].bytes;
	case PG_FLOW_BY_PACKETS:
		return row->count[0].packets + row->count[1].packets;
	case PG_FLOW_BY_RTT:
		return pg_flow_rtt_us(row);
	case PG_FLOW_BY_RETRANSMITS:
		return (uint64_t)row->retransmits[0] + row->retransmits[1];
	case PG_FLOW_BY_AGE:
		return row->age_ns;
	case PG_FLOW_BY_RATE:
		return (uint64_t)(16 * (row->rate[0].bytes + row->rate[1].bytes));
	default:
		return 0;
	}
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By what was asked for; then what belongs together: by protocol, by the port opened to, by ends. */
static int compare(const void *a, const void *b, void *by)
{
	const struct pg_flow_row *x = a, *y = b;
	int r = compare_numbers(sort_key(y, *(enum pg_flow_sort *)by),
				sort_key(x, *(enum pg_flow_sort *)by));

	if (!r && *(enum pg_flow_sort *)by == PG_FLOW_BY_RATE)
		r = compare_numbers(sort_key(y, PG_FLOW_BY_BYTES), sort_key(x, PG_FLOW_BY_BYTES));
	if (!r)
		r = compare_numbers(x->proto, y->proto);
	if (!r)
		r = compare_numbers(x->family, y->family);
	if (!r)
		r = compare_numbers(x->port[1], y->port[1]);
	if (!r)
		r = memcmp(x->addr, y->addr, sizeof(x->addr));
	if (!r)
		r = compare_numbers(x->port[0], y->port[0]);
	return r ? r : compare_numbers(x->query_id, y->query_id);
}

/* Rows of a list with `top` are a heap: the one that would go first is row 0. */
static void sift_down(struct pg_flow_list *list, enum pg_flow_sort by)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < list->n) {
		struct pg_flow_row row;

		if (child + 1 < list->n &&
		    compare(&list->row[child + 1], &list->row[child], &by) > 0)
			child++;
		if (compare(&list->row[at], &list->row[child], &by) >= 0)
			return;
		row = list->row[at];
		list->row[at] = list->row[child];
		list->row[child] = row;
		at = child;
	}
}

static void sift_up(struct pg_flow_list *list, enum pg_flow_sort by)
{
	size_t at = list->n - 1;

	while (at && compare(&list->row[at], &list->row[(at - 1) / 2], &by) > 0) {
		struct pg_flow_row row = list->row[at];

		list->row[at] = list->row[(at - 1) / 2];
		list->row[(at - 1) / 2] = row;
		at = (at - 1) / 2;
	}
}

static int grow(struct pg_flow_list *list)
{
	size_t cap = list->cap ? 2 * list->cap : 256;
	struct pg_flow_row *row = reallocarray(list->row, cap, sizeof(*row));

	if (!row)
		return -ENOMEM;
	list->row = row;
	list->cap = cap;
	return 0;
}

bool pg_flow_list_is_full_for(const struct pg_flow_list *list, const struct pg_flow_query *query,
			      const struct pg_flow_row *row)
{
	uint64_t last, key;

	if (!query->top || list->n < query->top)
		return false;
	last = sort_key(&list->row[0], query->by);
	key = sort_key(row, query->by);
	return key < last || (key == last && sort_key(row, PG_FLOW_BY_BYTES) <=
						     sort_key(&list->row[0], PG_FLOW_BY_BYTES));
}

int pg_flow_list_add(struct pg_flow_list *list, const struct pg_flow_query *query,
		     const struct pg_flow_row *row)
{
	enum pg_flow_sort by = query->by;

	if (!pg_flow_wanted(query, row))
		return 0;
	list->wanted++;
	if (query->top && list->n == query->top) {
		if (compare(row, &list->row[0], &by) < 0) {
			list->row[0] = *row;
			sift_down(list, by);
		}
		return 0;
	}
	if (list->n == list->cap && grow(list) < 0)
		return -ENOMEM;
	list->row[list->n++] = *row;
	if (query->top)
		sift_up(list, by);
	return 0;
}

void pg_flow_list_sort(struct pg_flow_list *list, const struct pg_flow_query *query)
{
	enum pg_flow_sort by = query->by;

	if (list->n)
		qsort_r(list->row, list->n, sizeof(*list->row), compare, &by);
}

void pg_flow_list_clear(struct pg_flow_list *list)
{
	free(list->row);
	*list = (struct pg_flow_list){ 0 };
}
