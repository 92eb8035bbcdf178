/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "flows.h"

#include <stdlib.h>
#include <string.h>

#include "pkt.h"

enum { TALKS = 40, QUOTED_MAX = 68, PROTO_TEST = 253, CHUNKS_MAX = 256, ODD_MAX = 512 };

/* The receiver's, as test_referee.sh sets them up. */
static const char *const hosts[2][5] = {
	{ "10.0.0.1", "10.0.0.2", "10.0.1.129", "10.1.0.1", "192.168.1.77" },
	{ "2001:db8::1", "2001:db8::2", "2001:db8:0:1::129", "2001:db8:1::1", "2001:db8:ffff::" },
};

/* One connection; end 0 opens it when all goes well. */
struct talk {
	int proto;
	const char *host[2];
	int port[2]; /* of queries: id, and which one of the family's queries it is */
	unsigned at; /* in the script */
	uint32_t tag[2]; /* SCTP: that each end puts */
};

struct flows {
	struct gen *g;
	bool v6, windows, sctp;
	struct talk talk[TALKS];
	struct talk odd[ODD_MAX]; /* of which an end has acknowledged what is not the other's last byte */
	size_t n_odd;
};

/* A frame in the making. */
struct making {
	struct pkt_layer layer[8];
	size_t n;
	uint8_t quoted[QUOTED_MAX], chunks[CHUNKS_MAX];
};

#define PUSH(m, ...) ((m)->layer[(m)->n++] = (struct pkt_layer)__VA_ARGS__)
#define PICK(f, list) ((list)[gen_below((f)->g, sizeof(list) / sizeof((list)[0]))])

static bool chance(struct flows *f, unsigned percent)
{
	return gen_below(f->g, 100) < percent;
}

static void begin_talk(struct flows *f, struct talk *t)
{
	static const int protos[] = { 6, 6, 6, 6, 6, 6, 17, 17, 17, 1, 1, 136, 50, 132, 132, 132, 132,
				      PROTO_TEST };
	static const int ports[] = { 1, 22, 53, 80, 443, 8080, 65535 };
	unsigned first = gen_below(f->g, 5);

	do {
		t->proto = PICK(f, protos);
	} while (t->proto == 132 && !f->sctp);
	if (t->proto == 1 && f->v6)
		t->proto = 58;
	t->host[0] = hosts[f->v6][first];
	t->host[1] = hosts[f->v6][(first + 1 + gen_below(f->g, 4)) % 5];
	t->port[0] = 40000 + (int)gen_below(f->g, 30);
	t->port[1] = PICK(f, ports);
	t->at = chance(f, 80) ? 0 : gen_below(f->g, 12);
	for (int end = 0; end < 2; end++)
		t->tag[end] = 1 + gen_below(f->g, 3);
}

struct flows *flows_new(struct gen *g, bool v6, bool windows, bool sctp)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->g = g;
	f->v6 = v6;
	f->windows = windows;
	f->sctp = sctp;
	for (size_t i = 0; i < TALKS; i++)
		begin_talk(f, &f->talk[i]);
	return f;
}

void flows_free(struct flows *flows)
{
	free(flows);
}

/* What an end sends ---------------------------------------------------------------------------- */

static const struct {
	unsigned end;
	int flags;
} script[] = {
	{ 0, PKT_SYN },		  { 1, PKT_SYN | PKT_ACK }, { 0, PKT_ACK },
	{ 0, PKT_PSH | PKT_ACK }, { 1, PKT_ACK },	    { 1, PKT_PSH | PKT_ACK },
	{ 0, PKT_ACK },		  { 0, PKT_FIN | PKT_ACK }, { 1, PKT_ACK },
	{ 1, PKT_FIN | PKT_ACK }, { 0, PKT_ACK },
};
enum { SCRIPT = sizeof(script) / sizeof(script[0]) };

/* A sequence number, or one that is a little or a lot off. */
static uint32_t number(struct flows *f, uint32_t right)
{
	static const int off[] = { -1, 1, -30, 30, -40000, 40000, 65534, -66001, 140000, 1 << 30 };

	return right + (f->windows && chance(f, 10) ? PICK(f, off) : 0);
}

static bool is_odd(const struct flows *f, const struct talk *t)
{
	for (size_t i = 0; i < f->n_odd; i++)
		for (unsigned end = 0; end < 2; end++)
			if (f->odd[i].host[end] == t->host[0] && f->odd[i].host[!end] == t->host[1] &&
			    f->odd[i].port[end] == t->port[0] && f->odd[i].port[!end] == t->port[1])
				return true;
	return f->n_odd == ODD_MAX;
}

/* Of such a connection no RST is where an end's last byte may be: flows.h says why. */
static uint32_t sequence(struct flows *f, const struct talk *t, int flags)
{
	if (flags & PKT_RST && is_odd(f, t))
		return number(f, 1501);
	return number(f, flags & PKT_SYN ? 1000 : 1001);
}

static uint32_t acknowledgement(struct flows *f, const struct talk *t, int flags)
{
	uint32_t ack = flags & PKT_ACK ? number(f, 1001) : 0;

	if (ack && ack != 1001 && !is_odd(f, t))
		f->odd[f->n_odd++] = *t;
	return ack;
}

/* A window scale, that SACKs are permitted, what is nothing, and what ends before it does. */
static const char *const tcp_options[] = { "\3\3\2\1", "\3\3\7\0", "\1\3\3\17", "\4\2\1\1", "\1\1\1\1",
					   "\3\4\1\1", "\1\1\1\3" };

/*
 * The next segment, the last one again, or any; who sends it. Every number is that of a connection on
 * which nothing but SYN has been acknowledged yet, so none is out of a window that is not to be.
 */
static unsigned push_tcp(struct flows *f, struct making *m, struct talk *t, unsigned end, int cut)
{
	static const int any[] = { PKT_SYN, PKT_SYN, PKT_SYN | PKT_ACK, PKT_ACK, PKT_ACK, PKT_RST,
				   PKT_RST | PKT_ACK, PKT_FIN | PKT_ACK, PKT_FIN | PKT_ACK, PKT_URG | PKT_ACK,
				   PKT_SYN | PKT_FIN, PKT_FIN, 0, 0xff };
	static const int small[] = { 0, 1, 300, 20000 };
	bool has_options = f->windows && cut == PKT_AUTO && chance(f, 30);
	int flags = PICK(f, any);

	if (chance(f, 75)) {
		t->at += t->at && chance(f, 15) ? 0 : 1;
		end = script[(t->at - 1) % SCRIPT].end;
		flags = script[(t->at - 1) % SCRIPT].flags;
	}
	PUSH(m, TCP(.sport = t->port[end], .dport = t->port[!end], .flags = flags, .cut = cut,
		    .doff = has_options ? 6 : PKT_AUTO,
		    .window = f->windows && chance(f, 15) ? PICK(f, small) : 65535,
		    .seq = sequence(f, t, flags), .ack = acknowledgement(f, t, flags)));
	if (has_options)
		PUSH(m, BYTES(PICK(f, tcp_options), 4));
	if (flags & PKT_PSH && cut == PKT_AUTO)
		PUSH(m, PAYLOAD(gen_below(f->g, 30)));
	return end;
}

/* Chunks by type; with a length of its own where it has one. */
enum { DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, ERROR, COOKIE_ECHO,
       COOKIE_ACK, SHUTDOWN_COMPLETE = 14, FORWARD_TSN = 192 };

static const struct {
	unsigned end;
	int chunk;
} associations[][16] = {
	{ { 0, INIT }, { 1, INIT_ACK }, { 0, COOKIE_ECHO }, { 1, COOKIE_ACK }, { 0, DATA }, { 1, SACK },
	  { 1, DATA }, { 0, HEARTBEAT }, { 1, HEARTBEAT_ACK }, { 0, SHUTDOWN }, { 1, SHUTDOWN_ACK },
	  { 0, SHUTDOWN_COMPLETE } },
	{ { 0, INIT }, { 1, INIT_ACK }, { 0, COOKIE_ECHO }, { 1, COOKIE_ACK }, { 1, DATA }, { 0, SACK },
	  { 1, SHUTDOWN }, { 0, SHUTDOWN_ACK }, { 1, SHUTDOWN_COMPLETE }, { 0, INIT }, { 1, INIT_ACK },
	  { 1, ABORT } },
	{ { 0, HEARTBEAT }, { 1, HEARTBEAT_ACK }, { 0, DATA }, { 1, SACK }, { 1, HEARTBEAT },
	  { 0, HEARTBEAT_ACK }, { 1, DATA }, { 0, INIT }, { 1, INIT_ACK }, { 0, COOKIE_ECHO },
	  { 1, ERROR }, { 0, ABORT } },
	{ { 0, INIT }, { 1, INIT }, { 0, INIT_ACK }, { 1, INIT_ACK }, { 0, COOKIE_ECHO }, { 1, COOKIE_ACK },
	  { 0, HEARTBEAT }, { 0, HEARTBEAT }, { 1, HEARTBEAT_ACK }, { 0, DATA }, { 1, SHUTDOWN_ACK },
	  { 0, SHUTDOWN_COMPLETE } },
};
enum { ASSOCIATIONS = sizeof(associations) / sizeof(associations[0]), ASSOCIATION = 12 };

/* An INIT asks for the tag of the other end. Returns the bytes. */
static size_t put_chunk(struct flows *f, uint8_t *at, int type, uint32_t init_tag)
{
	bool init = type == INIT || type == INIT_ACK;
	size_t len = init ? 20 : 4 + gen_below(f->g, 9), whole = (len + 3) & ~3U;

	memset(at, 0, whole);
	at[0] = (uint8_t)type;
	at[1] = chance(f, 30);
	at[3] = (uint8_t)(chance(f, 98) ? len : gen_below(f->g, 24));
	if (init)
		at[7] = (uint8_t)init_tag;
	return init && chance(f, 2) ? 4 + gen_below(f->g, 16) : whole;
}

/* The next chunk, the last one again, or any; now and then with others, or with a tag that is not its. */
static unsigned push_sctp(struct flows *f, struct making *m, struct talk *t, unsigned end, int cut)
{
	static const int any[] = { DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT, HEARTBEAT_ACK, HEARTBEAT_ACK,
				   ABORT, SHUTDOWN, SHUTDOWN_ACK, ERROR, COOKIE_ECHO, COOKIE_ACK, 12, 13,
				   SHUTDOWN_COMPLETE, 15, 63, FORWARD_TSN };
	const unsigned which = (unsigned)t->port[0] % ASSOCIATIONS;
	int chunk = PICK(f, any);
	uint32_t tag, asked;
	size_t n = 0;

	if (chance(f, 85)) {
		t->at += t->at && chance(f, 15) ? 0 : 1;
		end = associations[which][(t->at - 1) % ASSOCIATION].end;
		chunk = associations[which][(t->at - 1) % ASSOCIATION].chunk;
	}
	tag = chunk == INIT ? 0 : t->tag[end];
	asked = t->tag[!end];
	if (chance(f, 8))
		tag = gen_below(f->g, 4);
	if (chance(f, 5))
		asked = gen_below(f->g, 4);
	while (cut == PKT_AUTO && n < CHUNKS_MAX / 2) {
		n += put_chunk(f, m->chunks + n, chunk, asked);
		if (chance(f, 80))
			break;
		chunk = PICK(f, any);
	}
	PUSH(m, SCTP(.sport = t->port[end], .dport = t->port[!end], .tag = tag, .cut = cut));
	if (n)
		PUSH(m, BYTES(m->chunks, n - (chance(f, 3) ? gen_below(f->g, n) : 0)));
	return end;
}

/* Echo mostly; a type that asks and the one that answers. */
static void push_query(struct flows *f, struct making *m, const struct talk *t, unsigned end, int cut)
{
	static const int queries[2][8][2] = {
		{ { 8, 0 }, { 8, 0 }, { 8, 0 }, { 8, 0 }, { 13, 14 }, { 15, 16 }, { 17, 18 }, { 30, 9 } },
		{ { 128, 129 }, { 128, 129 }, { 128, 129 }, { 128, 129 }, { 128, 129 }, { 139, 140 },
		  { 127, 150 }, { 135, 136 } },
	};
	const int *types = queries[f->v6][t->port[1] % 8];
	int type = types[chance(f, 90) ? end : !end];

	if (f->v6)
		PUSH(m, ICMP6(.type = type, .id = t->port[0], .cut = cut));
	else
		PUSH(m, ICMP(.type = type, .id = t->port[0], .cut = cut));
}

static unsigned push_l4(struct flows *f, struct making *m, struct talk *t, unsigned end, int cut)
{
	switch (t->proto) {
	case 6:
		return push_tcp(f, m, t, end, cut);
	case 132:
		return push_sctp(f, m, t, end, cut);
	case 17:
		PUSH(m, UDP(.sport = t->port[end], .dport = t->port[!end], .cut = cut));
		break;
	case 136:
		PUSH(m, UDPLITE(.sport = t->port[end], .dport = t->port[!end], .cut = cut));
		break;
	case 1:
	case 58:
		push_query(f, m, t, end, cut);
		return end;
	default:
		PUSH(m, PAYLOAD(8));
		return end;
	}
	if (cut == PKT_AUTO)
		PUSH(m, PAYLOAD(gen_below(f->g, 30)));
	return end;
}

static void push_ip(struct flows *f, struct making *m, const char *src, const char *dst, int proto)
{
	if (f->v6)
		PUSH(m, IP6(.src = src, .dst = dst, .next = proto));
	else
		PUSH(m, IP4(.src = src, .dst = dst, .proto = proto));
}

/* The addresses are known once it is known who sends. */
static void push_packet(struct flows *f, struct making *m, struct talk *t, int cut)
{
	unsigned end = chance(f, 60) ? 0 : 1;
	size_t ip = m->n;

	push_ip(f, m, t->host[0], t->host[1], t->proto);
	end = push_l4(f, m, t, end, cut);
	if (f->v6) {
		m->layer[ip].ip6.src = t->host[end];
		m->layer[ip].ip6.dst = t->host[!end];
	} else {
		m->layer[ip].ip4.src = t->host[end];
		m->layer[ip].ip4.dst = t->host[!end];
	}
}

/* Errors about the talk --------------------------------------------------------------------------- */

/* The packet that is quoted, as far as the error has it. */
static size_t quote(struct flows *f, struct making *m, struct talk *t, const char **ret_sender)
{
	struct making q = { .n = 0 };
	struct talk copy = *t; /* nobody sends it again */
	uint8_t buf[256];
	size_t n, whole = f->v6 ? 48 : 28;

	push_packet(f, &q, &copy, PKT_AUTO);
	*ret_sender = f->v6 ? q.layer[0].ip6.src : q.layer[0].ip4.src;
	q.layer[q.n] = (struct pkt_layer){ .kind = PKT_END };
	n = pkt_build(q.layer, buf, sizeof(buf));
	if (n > whole)
		n = whole;
	if (chance(f, 6))
		n = gen_below(f->g, n);
	memcpy(m->quoted, buf, n);
	return n;
}

static void push_error(struct flows *f, struct making *m, struct talk *t)
{
	static const int types4[] = { 3, 3, 3, 4, 5, 11, 12 }, types6[] = { 1, 1, 2, 3, 4 };
	const char *to;
	size_t n = quote(f, m, t, &to);

	if (chance(f, 8))
		to = PICK(f, hosts[f->v6]);
	push_ip(f, m, PICK(f, hosts[f->v6]), to, PKT_AUTO);
	if (f->v6)
		PUSH(m, ICMP6(.type = PICK(f, types6), .code = gen_below(f->g, 5)));
	else
		PUSH(m, ICMP(.type = PICK(f, types4), .code = gen_below(f->g, 5)));
	PUSH(m, BYTES(m->quoted, n));
}

void flows_frame(struct flows *f, const char *dst, uint32_t number, struct frame *ret)
{
	static const int cuts[] = { 0, 3, 4, 7, 8, 12, 19 };
	struct talk *t = &f->talk[gen_below(f->g, TALKS)];
	struct making m = { .n = 0 };

	if (chance(f, 4))
		begin_talk(f, t);
	PUSH(&m, ETH(.dst = dst, .number = number));
	if (chance(f, 8))
		push_error(f, &m, t);
	else
		push_packet(f, &m, t, chance(f, 96) ? PKT_AUTO : PICK(f, cuts));
	if (chance(f, 20))
		PUSH(&m, PAD(gen_below(f->g, 20)));
	m.layer[m.n] = (struct pkt_layer){ .kind = PKT_END };
	ret->len = pkt_build(m.layer, ret->data, sizeof(ret->data));
}
