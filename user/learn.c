/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "learn.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* What a segment without data has at most beside its first: IP, TCP and timestamps. */
#define EMPTY_SEGMENT 52
#define EMPTY_SYN 64
#define IP6_MORE 20 /* than IPv4's header */

const char *pg_way_name(enum pg_way way)
{
	static const char *const names[] = { "in", "out", "forward", "inside" };

	return names[way];
}

/* Flows ------------------------------------------------------------------------------------------------ */

static unsigned addr_bytes(const struct pg_flow_row *row)
{
	return row->family == PG_FAMILY_V6 ? 16 : 4;
}

static const struct pg_socket_row *listener_of(const struct pg_sockets *sockets, uint8_t proto,
					       uint16_t port)
{
	enum pg_port_proto p = proto == IPPROTO_TCP ? PG_PORT_TCP : PG_PORT_UDP;

	if (!sockets || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return NULL;
	for (size_t i = 0; i < sockets->n; i++)
		if (sockets->row[i].proto == p && sockets->row[i].port == port && !sockets->row[i].netns)
			return &sockets->row[i];
	return NULL;
}

static void turn(struct pg_flow_row *row)
{
	struct pg_flow_row old = *row;

	for (int i = 0; i < 2; i++) {
		memcpy(row->addr[i], old.addr[!i], sizeof(row->addr[i]));
		row->port[i] = old.port[!i];
		row->flags[i] = old.flags[!i];
		row->count[i] = old.count[!i];
		row->end_state[i] = old.end_state[!i];
	}
}

enum pg_way pg_learn_way(struct pg_flow_row *row, const struct pg_locals *locals,
			 const struct pg_sockets *sockets)
{
	bool own[2] = { pg_locals_has(locals, row->addr[0], addr_bytes(row)),
			pg_locals_has(locals, row->addr[1], addr_bytes(row)) };
	int us = own[1];

	if (row->picked_up && own[0] != own[1] && pg_flow_has_ports(row)) {
		/* The server is who listens, or has the lower port. */
		bool we = sockets ? !!listener_of(sockets, row->proto, row->port[us]) :
				    row->port[us] < row->port[!us];

		if (we != (us == 1)) {
			turn(row);
			own[0] = !own[0];
			own[1] = !own[1];
		}
	}
	if (own[0])
		return own[1] ? PG_WAY_INSIDE : PG_WAY_OUT;
	return own[1] ? PG_WAY_IN : PG_WAY_THROUGH;
}

static bool said_something(const struct pg_flow_row *row, int end)
{
	uint64_t n = row->count[end].packets, ip6 = row->family == PG_FAMILY_V6 ? IP6_MORE : 0;

	return n && row->count[end].bytes > EMPTY_SYN + EMPTY_SEGMENT * (n - 1) + ip6 * n;
}

enum pg_proof pg_learn_proof(const struct pg_flow_row *row, bool listens)
{
	const uint8_t ack = 1U << PG_FLAG_ACK, syn = 1U << PG_FLAG_SYN;
	bool both = row->count[0].packets && row->count[1].packets;

	if (row->proto != IPPROTO_TCP) {
		if (row->replied)
			return PG_PROOF_TALK;
		/* A datagram may need no answer, a log's, say; but a scan's looks the same. */
		return listens && row->proto == IPPROTO_UDP ? PG_PROOF_EMPTY : PG_PROOF_NONE;
	}
	/* Whoever scans by SYN alone resets what is offered: the handshake's last ACK is what counts. */
	if (!both || !(row->flags[0] & ack) || !(row->flags[1] & ack) ||
	    (!row->picked_up && !(row->flags[1] & syn)))
		return PG_PROOF_NONE;
	return said_something(row, 0) || said_something(row, 1) ? PG_PROOF_TALK : PG_PROOF_EMPTY;
}

void pg_learn_offer(const struct pg_flow_row *row, enum pg_way way, struct pg_offer *ret)
{
	*ret = (struct pg_offer){ .way = way, .family = (enum pg_family)row->family, .proto = row->proto };
	if (row->proto == IPPROTO_ICMP || row->proto == IPPROTO_ICMPV6)
		ret->port = (uint16_t)(row->port[0] << 8 | row->port[1]);
	else if (pg_flow_has_ports(row))
		ret->port = row->port[1];
	if (way == PG_WAY_THROUGH)
		memcpy(ret->server, row->addr[1], addr_bytes(row));
}

/* The table -------------------------------------------------------------------------------------------- */

static int compare_offer(const struct pg_offer *x, const struct pg_offer *y)
{
	if (x->way != y->way)
		return x->way < y->way ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return memcmp(x->server, y->server, sizeof(x->server));
}

static size_t hash_offer(const struct pg_offer *o)
{
	uint64_t h = (uint64_t)o->way << 40 | (uint64_t)o->family << 32 | (uint64_t)o->proto << 16 |
		     o->port;

	for (size_t i = 0; i < sizeof(o->server); i++)
		h = h * 31 + o->server[i];
	h *= 0x9e3779b97f4a7c15ULL;
	return (size_t)(h >> 20);
}

static void place(struct pg_learn *learn, size_t at)
{
	size_t b = hash_offer(&learn->one[at].offer) & (learn->n_buckets - 1);

	while (learn->bucket[b])
		b = (b + 1) & (learn->n_buckets - 1);
	learn->bucket[b] = (uint32_t)at + 1;
}

/* Room for one more, half of the buckets empty. */
static int grow(struct pg_learn *learn)
{
	size_t cap = learn->cap ? 2 * learn->cap : 64;
	struct pg_learnt *one;
	uint32_t *bucket;

	if (learn->n < learn->cap)
		return 0;
	one = reallocarray(learn->one, cap, sizeof(*one));
	if (!one)
		return -ENOMEM;
	learn->one = one;
	bucket = calloc(2 * cap, sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	free(learn->bucket);
	learn->bucket = bucket;
	learn->n_buckets = 2 * cap;
	learn->cap = cap;
	for (size_t i = 0; i < learn->n; i++)
		place(learn, i);
	return 0;
}

static struct pg_learnt *get(struct pg_learn *learn, const struct pg_offer *offer)
{
	if (grow(learn) < 0)
		return NULL;
	for (size_t b = hash_offer(offer) & (learn->n_buckets - 1); learn->bucket[b];
	     b = (b + 1) & (learn->n_buckets - 1))
		if (!compare_offer(&learn->one[learn->bucket[b] - 1].offer, offer))
			return &learn->one[learn->bucket[b] - 1];
	learn->one[learn->n] = (struct pg_learnt){ .offer = *offer };
	place(learn, learn->n);
	return &learn->one[learn->n++];
}

/* A peer may be added many times; of a full array the doubles are thrown out before it grows. */
static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void sort_peers(struct pg_learnt *l)
{
	size_t n = 0;

	if (!l->n_peers)
		return;
	qsort(l->peer, l->n_peers, sizeof(*l->peer), compare_addr);
	for (size_t i = 0; i < l->n_peers; i++)
		if (!n || memcmp(l->peer[n - 1], l->peer[i], sizeof(*l->peer)))
			memcpy(l->peer[n++], l->peer[i], sizeof(*l->peer));
	l->n_peers = n;
}

static int add_peer(struct pg_learnt *l, const uint8_t *addr, unsigned bytes)
{
	if (l->n_peers == l->cap) {
		sort_peers(l);
		if (2 * l->n_peers >= l->cap) {
			size_t cap = l->cap ? 2 * l->cap : 8;
			uint8_t(*peer)[16] = reallocarray(l->peer, cap, sizeof(*peer));

			if (!peer)
				return -ENOMEM;
			l->peer = peer;
			l->cap = cap;
		}
	}
	memset(l->peer[l->n_peers], 0, sizeof(*l->peer));
	memcpy(l->peer[l->n_peers++], addr, bytes);
	return 0;
}

int pg_learn_add(struct pg_learn *learn, const struct pg_flow_row *row, enum pg_way way,
		 enum pg_proof proof)
{
	struct pg_offer offer;
	struct pg_learnt *l;

	pg_learn_offer(row, way, &offer);
	l = get(learn, &offer);
	if (!l)
		return -ENOMEM;
	learn->flows++;
	if (proof > l->proof) { /* who proved less is no longer asked for */
		l->proof = proof;
		l->n_peers = 0;
		l->flows = l->bytes = 0;
	}
	if (proof < l->proof)
		return 0;
	l->flows++;
	l->bytes += row->count[0].bytes + row->count[1].bytes;
	return add_peer(l, row->addr[way == PG_WAY_OUT], addr_bytes(row));
}

int pg_learn_add_unknown(struct pg_learn *learn, uint8_t proto, uint16_t port, uint64_t connections)
{
	const struct pg_offer v6 = { .family = PG_FAMILY_V6, .proto = proto, .port = port };
	const struct pg_offer v4 = { .family = PG_FAMILY_V4, .proto = proto, .port = port };
	struct pg_learnt *l = get(learn, &v6);
	bool known = l && l->proof != PG_PROOF_NONE;

	l = l ? get(learn, &v4) : NULL;
	if (!l)
		return -ENOMEM;
	if (known || l->proof != PG_PROOF_NONE)
		return 0;
	l->proof = PG_PROOF_EMPTY; /* whether anything was said is not known either */
	l->any_peer = true;
	l->flows = connections;
	l->n_peers = 0;
	return 0;
}

static int compare_learnt(const void *a, const void *b)
{
	return compare_offer(&((const struct pg_learnt *)a)->offer, &((const struct pg_learnt *)b)->offer);
}

void pg_learn_settle(struct pg_learn *learn, const struct pg_sockets *sockets)
{
	for (size_t i = 0; i < learn->n; i++) {
		struct pg_learnt *l = &learn->one[i];
		const struct pg_socket_row *s = l->offer.way == PG_WAY_IN ?
			listener_of(sockets, l->offer.proto, l->offer.port) : NULL;

		sort_peers(l);
		if (s)
			snprintf(l->comm, sizeof(l->comm), "%s", s->who.comm);
	}
	if (learn->n)
		qsort(learn->one, learn->n, sizeof(*learn->one), compare_learnt);
	/* The buckets no longer lead anywhere: nothing is added any more. */
	free(learn->bucket);
	learn->bucket = NULL;
}

void pg_learn_clear(struct pg_learn *learn)
{
	for (size_t i = 0; i < learn->n; i++)
		free(learn->one[i].peer);
	free(learn->one);
	free(learn->bucket);
	*learn = (struct pg_learn){ 0 };
}

/* Prefixes --------------------------------------------------------------------------------------------- */

static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		if (a[i] != b[i])
			return 8 * i + (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
	return 8 * bytes;
}

/*
 * In sorted addresses, what two neighbours have in common is the most that one of either side has with
 * the other: so the best places to part them are where neighbours have the least in common. The cut
 * after address i is a mark in cut[i].
 */
static void find_cuts(const uint8_t (*sorted)[16], size_t n, unsigned bytes, size_t max, bool *cut)
{
	size_t left = max - 1, count[129] = { 0 }, sum = 0;
	unsigned limit = 0;

	for (size_t i = 0; i + 1 < n; i++)
		count[common_bits(sorted[i], sorted[i + 1], bytes)]++;
	while (limit <= 8 * bytes && sum + count[limit] <= left)
		sum += count[limit++];
	left -= sum; /* cuts at `limit` itself, of which there are too many */
	for (size_t i = 0; i + 1 < n; i++) {
		unsigned bits = common_bits(sorted[i], sorted[i + 1], bytes);

		cut[i] = bits < limit || (bits == limit && left);
		left -= bits == limit && left;
	}
}

size_t pg_prefixes(const uint8_t (*sorted)[16], size_t n, unsigned bytes, size_t max,
		   uint8_t (*ret_addr)[16], uint8_t *ret_len)
{
	_free_ bool *cut = calloc(n ? n : 1, sizeof(*cut));
	size_t from = 0, out = 0;

	if (!n || !max)
		return 0;
	if (cut)
		find_cuts(sorted, n, bytes, max, cut); /* otherwise one prefix holds them all */
	for (size_t i = 0; i < n; i++) {
		unsigned bits;

		if (i + 1 < n && !(cut && cut[i]))
			continue;
		bits = common_bits(sorted[from], sorted[i], bytes);
		memset(ret_addr[out], 0, 16);
		for (unsigned b = 0; b < bits; b++)
			ret_addr[out][b / 8] |= sorted[i][b / 8] & (uint8_t)(0x80U >> b % 8);
		ret_len[out++] = (uint8_t)bits;
		from = i + 1;
	}
	return out;
}
