/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "frames.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "pkt.h"

/*
 * The kernel's recent tables hold 100 addresses and forget the oldest; portguard's are larger. So
 * there are never so many where a rule set has such a table.
 */
enum { VARIANTS = 3, DEPTH_MAX = 16, ADDRESSES_MAX = 90 };

struct aim {
	struct gen *g;
	const struct rules *rules;
	const struct captures *captures;
	struct want *want;
	size_t n;
	bool few; /* addresses */
	uint8_t address[ADDRESSES_MAX][16];
	size_t n_address;
};

/* A frame in the making, with the room that its layers' bytes need. */
struct making {
	struct aim *aim;
	struct gen *g;
	struct want want;
	bool exact; /* as the rule asks, and nothing broken */
	struct pkt_layer layer[40];
	size_t n;
	char src[64], dst[64];
	uint8_t bytes[96];
	int proto;
};

#define PUSH(m, ...) ((m)->layer[(m)->n++] = (struct pkt_layer)__VA_ARGS__)
#define PICK(m, list) ((list)[gen_below((m)->g, sizeof(list) / sizeof((list)[0]))])

static bool chance(struct gen *g, unsigned percent)
{
	return gen_below(g, 100) < percent;
}

/* Aiming --------------------------------------------------------------------------------------- */

/* A line that leads to the chain, at random. */
static const struct rule_line *way_to(const struct rules *rules, struct gen *g, size_t chain,
				      size_t *ret_from)
{
	const struct rule_line *found = NULL;
	unsigned n = 0;

	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++)
			if (rules_jump(rules, c, &rules->chain[c].line[i]) == chain &&
			    gen_below(g, ++n) == 0) {
				found = &rules->chain[c].line[i];
				*ret_from = c;
			}
	return found;
}

/* What a line asks, and what asks on the way to it. */
static void aim_at(struct want *w, struct gen *g, const struct rules *rules, size_t chain,
		   const struct rule_line *line)
{
	want_add(w, g, rules, line->spec);
	for (unsigned depth = 0; chain && depth < DEPTH_MAX; depth++) {
		line = way_to(rules, g, chain, &chain);
		if (!line)
			return;
		want_add(w, g, rules, line->spec);
	}
}

static bool has_recent(const struct rules *rules)
{
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n; i++)
			if (strstr(rules->chain[c].line[i].spec, "-m recent "))
				return true;
	return false;
}

struct aim *aim_new(struct gen *g, const struct rules *rules, const struct captures *captures)
{
	struct aim *aim = calloc(1, sizeof(*aim));
	size_t lines = 0;

	if (!aim)
		abort();
	aim->g = g;
	aim->rules = rules;
	aim->captures = captures;
	aim->few = has_recent(rules);
	for (size_t c = 0; c < rules->n; c++)
		lines += rules->chain[c].n;
	aim->want = calloc(lines * VARIANTS + 1, sizeof(aim->want[0]));
	if (!aim->want)
		abort();
	for (size_t c = 0; c < rules->n; c++)
		for (size_t i = 0; i < rules->chain[c].n * VARIANTS; i++)
			aim_at(&aim->want[aim->n++], g, rules, c,
			       &rules->chain[c].line[i / VARIANTS]);
	return aim;
}

void aim_free(struct aim *aim)
{
	if (!aim)
		return;
	free(aim->want);
	free(aim);
}

/* Some of what any rules ask, as they come. */
static void mix(struct aim *aim, struct want *w)
{
	for (unsigned i = 0; i < _WANT_MAX; i++)
		if (aim->n && chance(aim->g, 60))
			w->range[i] = aim->want[gen_below(aim->g, aim->n)].range[i];
	for (unsigned i = 0; i < 2; i++)
		if (aim->n && chance(aim->g, 80))
			w->addr[i] = aim->want[gen_below(aim->g, aim->n)].addr[i];
}

/* Values --------------------------------------------------------------------------------------- */

/* In the range, at its ends, or next to it; masked fields: with the bits that are asked. */
static int take(struct making *m, enum want_field field, int otherwise)
{
	const struct want_range *r = &m->want.range[field];
	uint32_t width = r->hi - r->lo;

	if (!r->set)
		return otherwise;
	if (field == WANT_FLAGS || field == WANT_TOS) {
		uint32_t v = (r->lo & r->hi) | (gen_below(m->g, 256) & ~r->hi);

		return (m->exact || chance(m->g, 80) ? v : v ^ 1U << gen_below(m->g, 8)) & 0xff;
	}
	if (m->exact ? !r->invert : chance(m->g, r->invert ? 40 : 78))
		return r->lo + (width && chance(m->g, 50) ? gen_below(m->g, width) : 0);
	if (m->exact)
		return otherwise;
	switch (gen_below(m->g, 4)) {
	case 0:
		return r->hi;
	case 1:
		return r->hi + 1;
	case 2:
		return r->lo - 1;
	default:
		return otherwise;
	}
}

static void step(uint8_t *addr, size_t n, int by)
{
	for (size_t i = n; i-- > 0; by = by > 0 ? 1 : -1) {
		addr[i] += by;
		if (by > 0 ? addr[i] != 0 : addr[i] != 0xff)
			return;
	}
}

static void random_addr(struct gen *g, bool v6, uint8_t ret[16])
{
	static const uint8_t base4[4] = { 10, 0, 0, 0 };
	static const uint8_t base6[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	memcpy(ret, v6 ? base6 : base4, v6 ? 16 : 4);
	if (chance(g, 20))
		for (unsigned i = 0; i < (v6 ? 16 : 4); i++)
			ret[i] = gen_below(g, 256);
	ret[v6 ? 15 : 3] = gen_below(g, 256);
}

static void wanted_addr(struct making *m, const struct want_addr *a, uint8_t ret[16])
{
	size_t n = m->aim->rules->v6 ? 16 : 4;
	struct gen *g = m->g;

	memcpy(ret, a->lo, 16);
	if (a->masked)
		for (size_t i = 0; i < n; i++)
			ret[i] = (a->lo[i] & a->hi[i]) |
				 (chance(g, 60) ? a->lo[i] & ~a->hi[i] : gen_below(g, 256) & ~a->hi[i]);
	if (!a->masked && chance(g, 50))
		memcpy(ret, a->hi, 16);
	if (m->exact && !a->invert)
		return;
	if (!a->masked && chance(g, 25)) {
		step(ret, n, chance(g, 50) ? 1 : -1);
	} else if (a->masked && chance(g, a->invert ? 60 : 15)) {
		unsigned bit = gen_below(g, n * 8);

		ret[bit / 8] ^= 0x80 >> bit % 8;
	}
}

/* One of those that there are already, when there may be no more. */
static void limit_addresses(struct aim *aim, uint8_t addr[16])
{
	for (size_t i = 0; i < aim->n_address; i++)
		if (!memcmp(aim->address[i], addr, 16))
			return;
	if (aim->n_address < ADDRESSES_MAX)
		memcpy(aim->address[aim->n_address++], addr, 16);
	else
		memcpy(addr, aim->address[gen_below(aim->g, ADDRESSES_MAX)], 16);
}

static void any_addr(struct making *m, unsigned side, char *text, size_t size)
{
	const struct want_addr *a = &m->want.addr[side];
	bool v6 = m->aim->rules->v6;
	uint8_t addr[16] = { 0 };

	if (a->set)
		wanted_addr(m, a, addr);
	else
		random_addr(m->g, v6, addr);
	if (m->aim->few) {
		memset(addr + (v6 ? 16 : 4), 0, v6 ? 0 : 12);
		limit_addresses(m->aim, addr);
	}
	inet_ntop(v6 ? AF_INET6 : AF_INET, addr, text, size);
}

static int any_port(struct making *m, enum want_field field)
{
	static const int ports[] = { 0, 1, 22, 53, 80, 443, 8080, 40000, 65535 };

	return take(m, field, chance(m->g, 85) ? PICK(m, ports) : (int)gen_below(m->g, 65536)) & 0xffff;
}

/* Transport ------------------------------------------------------------------------------------ */

/* TCP options, padded to words; a broken length now and then. */
static size_t tcp_options(struct making *m, uint8_t *buf)
{
	int mss = take(m, WANT_MSS, -2), option = take(m, WANT_TCP_OPTION, -2);
	size_t n = 0;

	if (option != -2 && option != 2 && option > 1) {
		buf[n++] = option;
		buf[n++] = 4;
		n += 2;
	}
	if (chance(m->g, 30))
		buf[n++] = chance(m->g, 90) ? 1 : 0;
	if (mss != -2 || option == 2) {
		buf[n++] = 2;
		buf[n++] = chance(m->g, 92) ? 4 : gen_below(m->g, 256);
		buf[n++] = mss >> 8;
		buf[n++] = mss;
	}
	if (chance(m->g, 10))
		buf[n++] = gen_below(m->g, 256);
	return (n + 3) / 4 * 4;
}

static void push_tcp(struct making *m, int cut)
{
	static const int flags[] = { PKT_SYN, PKT_SYN | PKT_ACK, PKT_ACK, PKT_ACK | PKT_FIN, PKT_RST,
				     0,	      0xff,		 PKT_SYN | PKT_RST };
	int any = chance(m->g, 80) ? PICK(m, flags) : (int)gen_below(m->g, 256);
	size_t n = tcp_options(m, m->bytes);

	PUSH(m, TCP(.sport = any_port(m, WANT_SPORT), .dport = any_port(m, WANT_DPORT),
		    .flags = take(m, WANT_FLAGS, any), .cut = cut,
		    .doff = chance(m->g, 95) ? 5 + (int)n / 4 : 5 + (int)gen_below(m->g, 11)));
	if (n && cut == PKT_AUTO)
		PUSH(m, BYTES(m->bytes, chance(m->g, 95) ? n : gen_below(m->g, n)));
}

/* A few chunks, one of them wanted. */
static void push_sctp(struct making *m, int cut)
{
	static const uint8_t common[] = { 0, 1, 2, 3, 4, 6, 10, 11, 14 };
	unsigned n = gen_below(m->g, 4), at = gen_below(m->g, n + 1);
	size_t len = 0;

	for (unsigned i = 0; i <= n; i++) {
		size_t body = 4 * (1 + gen_below(m->g, 4));
		int type = PICK(m, common);

		m->bytes[len] = i == at ? take(m, WANT_CHUNK, type) : type;
		m->bytes[len + 1] = gen_below(m->g, 8);
		m->bytes[len + 2] = 0;
		m->bytes[len + 3] = chance(m->g, 95) ? body - gen_below(m->g, 4) : gen_below(m->g, 256);
		if (chance(m->g, 5))
			m->bytes[len + 3] = gen_below(m->g, 5);
		len += body;
	}
	PUSH(m, SCTP(.sport = any_port(m, WANT_SPORT), .dport = any_port(m, WANT_DPORT), .cut = cut));
	if (cut == PKT_AUTO)
		PUSH(m, BYTES(m->bytes, chance(m->g, 92) ? len : gen_below(m->g, len)));
}

/* With what follows the generic header by type, and options, one of them wanted. */
static void push_dccp(struct making *m, int cut)
{
	static const uint8_t words[16] = { 1, 3, 0, 2, 2, 2, 2, 3, 2, 2, 3, 3, 3, 3, 3, 3 };
	int type = take(m, WANT_DCCP_TYPE, gen_below(m->g, 12)) & 15;
	int option = take(m, WANT_TCP_OPTION, -2);
	size_t n = 4 * words[type], doff;
	int x = gen_below(m->g, 2);

	memset(m->bytes, 0, sizeof(m->bytes));
	n += 4 * x;
	for (unsigned i = gen_below(m->g, 3); i; i--)
		m->bytes[n++] = gen_below(m->g, 2);
	if (option != -2) {
		m->bytes[n++] = option;
		m->bytes[n++] = chance(m->g, 85) ? 2 + gen_below(m->g, 4) : 0;
	}
	n += gen_below(m->g, 9);
	n = (n + 3) / 4 * 4;
	doff = 3 + n / 4;
	if (chance(m->g, 10))
		doff = gen_below(m->g, 12);
	PUSH(m, DCCP(.sport = any_port(m, WANT_SPORT), .dport = any_port(m, WANT_DPORT), .type = type,
		     .doff = doff, .x = x, .cut = cut));
	if (n && cut == PKT_AUTO)
		PUSH(m, BYTES(m->bytes, chance(m->g, 95) ? n : gen_below(m->g, n)));
}

/* ESP, and AH over IPv4: the header as bytes. */
static void push_spi(struct making *m)
{
	uint32_t spi = take(m, WANT_SPI, gen_below(m->g, 8000));
	bool ah = m->proto == 51;
	size_t n = ah ? 24 : 16;

	m->bytes[0] = ah ? 6 : spi >> 24;
	m->bytes[1] = ah ? 4 : spi >> 16;
	m->bytes[2] = ah ? 0 : spi >> 8;
	m->bytes[3] = ah ? 0 : spi;
	if (ah)
		for (unsigned i = 0; i < 4; i++)
			m->bytes[4 + i] = spi >> (24 - 8 * i);
	PUSH(m, BYTES(m->bytes, chance(m->g, 85) ? n : gen_below(m->g, n)));
}

static void push_icmp(struct making *m, int cut)
{
	static const int types4[] = { 8, 0, 3, 11, 13, 255, 5 };
	static const int types6[] = { 128, 129, 1, 3, 135, 255, 2 };
	static const int codes[] = { 0, 0, 1, 4, 255 };
	int code = take(m, WANT_CODE, PICK(m, codes)) & 0xff;

	if (m->proto == 58)
		PUSH(m, ICMP6(.type = take(m, WANT_TYPE, PICK(m, types6)) & 0xff, .code = code,
			      .cut = cut));
	else
		PUSH(m, ICMP(.type = take(m, WANT_TYPE, PICK(m, types4)) & 0xff, .code = code,
			     .cut = cut));
}

/* Mostly whole; otherwise cut at or around the lengths that matches ask for. */
static int any_cut(struct making *m)
{
	static const int cuts[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 16, 19, 20 };

	return m->exact || chance(m->g, 85) ? PKT_AUTO : PICK(m, cuts);
}

static void push_l4(struct making *m)
{
	int cut = any_cut(m);

	switch (m->proto) {
	case 6:
		push_tcp(m, cut);
		break;
	case 17:
		PUSH(m, UDP(.sport = any_port(m, WANT_SPORT), .dport = any_port(m, WANT_DPORT),
			    .cut = cut,
			    .len = chance(m->g, 92) ? PKT_AUTO : (int)gen_below(m->g, 65536)));
		break;
	case 136:
		PUSH(m, UDPLITE(.sport = any_port(m, WANT_SPORT), .dport = any_port(m, WANT_DPORT),
				.cut = cut));
		break;
	case 132:
		push_sctp(m, cut);
		break;
	case 33:
		push_dccp(m, cut);
		break;
	case 1:
	case 58:
		push_icmp(m, cut);
		break;
	case 50:
	case 51:
		push_spi(m);
		break;
	default:
		PUSH(m, PAYLOAD(gen_below(m->g, 40)));
	}
}

/* Bytes that bring the packet to the length that a rule asks for. */
static void push_payload(struct making *m, size_t headers)
{
	int want = take(m, WANT_LENGTH, 0);
	size_t n = chance(m->g, 50) ? gen_below(m->g, 64) : 0;

	if (want > (int)headers && want <= 1500)
		n = want - headers;
	if (n)
		PUSH(m, PAYLOAD(n));
}

static int any_proto(struct making *m)
{
	static const int common[] = { 6, 6, 6, 17, 17, 1, 1, 58, 132, 33, 136, 50, 51, 47, 59, 4 };
	int proto = PICK(m, common);

	if (m->want.range[WANT_FLAGS].set || m->want.range[WANT_MSS].set)
		proto = 6;
	return take(m, WANT_PROTO, proto) & 0xff;
}

/* Network -------------------------------------------------------------------------------------- */

static int any_ttl(struct making *m)
{
	static const int ttls[] = { 64, 64, 64, 128, 255, 1, 0, 63 };

	return take(m, WANT_TTL, PICK(m, ttls)) & 0xff;
}

static int any_tos(struct making *m)
{
	static const int toses[] = { 0, 0, 0x10, 0x08, 0xb8, 0xff, 0x02 };

	return take(m, WANT_TOS, PICK(m, toses)) & 0xff;
}

static void push_ip4(struct making *m)
{
	static const int lens[] = { 0, 19, 20, 21, 24, 28, 40, 1000, 65535 };
	static const int frags[] = { 1, 1, 1, 2, 3, 185, 8191 };
	struct gen *g = m->g;
	bool later = m->want.range[WANT_LATER].set ? chance(g, 70) : chance(g, 8);
	int optlen = chance(g, 12) ? 4 * (int)gen_below(g, 11) : 0;

	PUSH(m, IP4(.src = m->src, .dst = m->dst, .ttl = any_ttl(m), .tos = any_tos(m),
		    .optlen = optlen, .version = chance(g, 99) ? 4 : (int)gen_below(g, 16),
		    .ihl = chance(g, 98) ? PKT_AUTO : (int)gen_below(g, 16),
		    .tot_len = chance(g, 97) ? PKT_AUTO : PICK(m, lens),
		    .csum = chance(g, 99) ? PKT_AUTO : (int)gen_below(g, 65536),
		    .frag = later ? PICK(m, frags) : 0, .mf = chance(g, later ? 50 : 8),
		    .df = chance(g, 40), .id = gen_below(g, 65536), .proto = m->proto));
}

/* The header that a rule asks for, or any. False: it is cut off, and nothing follows it. */
static bool push_ext(struct making *m, bool first, int kind)
{
	static const int lens[] = { 8, 8, 8, 16, 24, 40, 64 };
	static const int cuts[] = { 0, 1, 2, 3, 4, 6, 7 };
	static const int frags[] = { 0, 0, 0, 1, 2, 100, 8191 };
	struct gen *g = m->g;
	int hdrlen = first && kind == 0 ? PKT_AUTO : chance(g, 96) ? PKT_AUTO : (int)gen_below(g, 256);
	int cut = first && kind == 0 ? PKT_AUTO : chance(g, 95) ? PKT_AUTO : PICK(m, cuts);
	int next = cut != PKT_AUTO ? (chance(g, 50) ? 6 : 43) :
		   chance(g, 97)   ? PKT_AUTO :
				     (int)gen_below(g, 64);

	if (kind == 0) /* The kernel reads the options of a leading one before its filter does. */
		PUSH(m, HBH(.len = PICK(m, lens), .next = next, .hdrlen = hdrlen, .cut = cut));
	else if (kind == 43)
		PUSH(m, ROUTING(.len = PICK(m, lens), .next = next, .hdrlen = hdrlen, .cut = cut,
				.type = take(m, WANT_RT_TYPE, gen_below(g, 5)),
				.segleft = take(m, WANT_SEGLEFT, gen_below(g, 3))));
	else if (kind == 60)
		PUSH(m, DSTOPTS(.len = PICK(m, lens), .next = next, .hdrlen = hdrlen, .cut = cut));
	else if (kind == 51)
		PUSH(m, AH(.len = 12 + 4 * (int)gen_below(g, 6), .next = next, .hdrlen = hdrlen,
			   .cut = cut, .spi = take(m, WANT_SPI, gen_below(g, 8000))));
	else
		PUSH(m, FRAG6(.frag = PICK(m, frags), .mf = chance(g, 50), .next = next,
			      .id = take(m, WANT_FRAGID, gen_below(g, 7)),
			      .reserved = chance(g, 60) ? 0 : gen_below(g, 256), .cut = cut));
	return cut == PKT_AUTO;
}

static bool push_exts(struct making *m)
{
	static const int kinds[] = { 0, 43, 60, 51, 44, 44 };
	const struct want_range *r = m->want.range;
	struct gen *g = m->g;
	unsigned n = chance(g, 70) ? 0 : chance(g, 95) ? 1 + gen_below(g, 3) : gen_below(g, 15);
	bool first = true;

	for (unsigned i = 0; i < n; i++, first = false)
		if (!push_ext(m, first, PICK(m, kinds)))
			return false;
	if ((r[WANT_RT_TYPE].set || r[WANT_SEGLEFT].set) && !push_ext(m, first, 43))
		return false;
	if (r[WANT_FRAGID].set && !push_ext(m, false, 44))
		return false;
	if ((r[WANT_AH].set || m->proto == 51) && !push_ext(m, false, 51))
		return false;
	return true;
}

static void push_ip6(struct making *m)
{
	static const int lens[] = { 0, 1, 2, 4, 7, 8, 20, 1000, 65535 };
	struct pkt_layer *l;
	struct gen *g = m->g;

	PUSH(m, IP6(.src = m->src, .dst = m->dst, .hop = any_ttl(m), .tclass = any_tos(m),
		    .version = chance(g, 99) ? 6 : (int)gen_below(g, 16),
		    .payload_len = chance(g, 97) ? PKT_AUTO : PICK(m, lens)));
	if (!push_exts(m))
		return;
	/* The builder knows the numbers of its layers; the rest are named by what stands before. */
	l = &m->layer[m->n - 1];
	if (m->proto == 51)
		m->proto = 6;
	if (l->kind == PKT_IP6)
		l->ip6.next = m->proto;
	else if (l->kind == PKT_EXT && l->ext.next == PKT_AUTO)
		l->ext.next = m->proto;
	else if (l->kind == PKT_FRAG6 && l->frag6.next == PKT_AUTO)
		l->frag6.next = m->proto;
	push_l4(m);
}

/* Frames --------------------------------------------------------------------------------------- */

/* Of a hundred, how many frames are spoilt: PG_SPOIL. */
static unsigned spoilt(void)
{
	const char *text = getenv("PG_SPOIL");

	return text && *text ? (unsigned)atoi(text) : 3;
}

static size_t spoil(struct gen *g, uint8_t *buf, size_t len)
{
	if (chance(g, spoilt() < 20 ? spoilt() : 20) && len > 15)
		len = 14 + gen_below(g, len - 14);
	/* Flipped bits anywhere behind the Ethernet header. */
	for (int n = 0; n < 8 && len > 14 && chance(g, spoilt()); n++)
		buf[14 + gen_below(g, len - 14)] ^= 1 << gen_below(g, 8);
	return len;
}

static void put_number(uint8_t *frame, uint32_t number)
{
	frame[6] = 0x02;
	frame[7] = 0;
	for (unsigned i = 0; i < 4; i++)
		frame[8 + i] = number >> (24 - 8 * i);
}

static const char *any_mac(struct making *m, const char *dst)
{
	int type = take(m, WANT_PKTTYPE, chance(m->g, 95) ? 0 : 1 + (int)gen_below(m->g, 2));

	return type == 1 ? "ff:ff:ff:ff:ff:ff" : type == 2 ? "33:33:00:00:00:01" : dst;
}

static void make(struct aim *aim, struct making *m, const char *dst, uint32_t number,
		 struct frame *ret)
{
	static uint8_t buf[PKT_MAX];
	size_t headers;

	PUSH(m, ETH(.dst = any_mac(m, dst), .number = number));
	any_addr(m, 0, m->src, sizeof(m->src));
	any_addr(m, 1, m->dst, sizeof(m->dst));
	m->proto = any_proto(m);
	if (aim->rules->v6) {
		push_ip6(m);
	} else {
		push_ip4(m);
		push_l4(m);
	}
	m->layer[m->n] = (struct pkt_layer){ .kind = PKT_END };
	headers = pkt_build(m->layer, buf, sizeof(buf)) - 14;
	push_payload(m, headers);
	if (chance(m->g, 20))
		PUSH(m, PAD(gen_below(m->g, 50)));
	m->layer[m->n] = (struct pkt_layer){ .kind = PKT_END };
	ret->len = pkt_build(m->layer, buf, sizeof(buf));
	if (!m->exact)
		ret->len = spoil(m->g, buf, ret->len);
	if (ret->len > FRAME_MAX)
		ret->len = FRAME_MAX;
	memcpy(ret->data, buf, ret->len);
}

void frame_readdress(const uint8_t *data, size_t len, const char *dst, uint32_t number, struct frame *ret)
{
	uint8_t *mac = ret->data;

	ret->len = len;
	memcpy(ret->data, data, len);
	if (sscanf(dst, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6)
		abort();
	put_number(ret->data, number);
}

static bool from_capture(struct aim *aim, const char *dst, uint32_t number, struct frame *ret)
{
	size_t len;
	const uint8_t *data = captures_frame(aim->captures, aim->g, aim->rules->v6, &len);

	if (data)
		frame_readdress(data, len, dst, number, ret);
	return data;
}

/* Rules name few numbers, and each frame has one. */
static const struct want *of_number(const struct aim *aim, uint32_t number)
{
	for (size_t i = 0; i < aim->n; i++)
		if (aim->want[i].range[WANT_NUMBER].set &&
		    aim->want[i].range[WANT_NUMBER].lo == number)
			return &aim->want[i];
	return NULL;
}

void aim_frame(struct aim *aim, const char *dst, uint32_t number, struct frame *ret)
{
	const struct want *named = of_number(aim, number);
	static struct making m;
	unsigned what = gen_below(aim->g, 100);

	if (what < 15 && !aim->few && from_capture(aim, dst, number, ret))
		return;
	memset(&m, 0, sizeof(m));
	m.aim = aim;
	m.g = aim->g;
	if (named && what < 75)
		m.want = *named;
	else if (what < 75 && aim->n)
		m.want = aim->want[gen_below(aim->g, aim->n)];
	else
		mix(aim, &m.want);
	m.exact = what < 50;
	make(aim, &m, dst, number, ret);
}
