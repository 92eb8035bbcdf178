/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "gen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ast.h"
#include "pkt.h"

/* portguard refuses policies with more than 64 terms that let packets go on. */
enum { PASSING_MAX = 44 };

static const char *const addr4[] = { "10.0.0.1",   "10.0.0.2",	   "10.0.1.129",     "10.1.0.1",
				     "172.16.5.4", "192.168.1.77", "203.0.113.200" };
static const char *const addr6[] = { "2001:db8::1",   "2001:db8::2",	 "2001:db8:0:1::129",
				     "2001:db8:1::1", "fd00:1:2:3::4:5", "fe80::aa:bb" };
static const char *const net4[] = { "10.0.0.1",	     "10.0.0.0/24",    "10.0.0.0/8", "10.0.1.128/25",
				    "172.16.0.0/12", "192.168.1.77/32", "0.0.0.0/0",  "10.0.0.2/31",
				    "203.0.113.0/255.255.255.0",       "10.0.0.1/255.0.0.255",
				    "128.0.0.0/1",   "10.0.1.129/17" };
static const char *const net6[] = { "2001:db8::1",	  "2001:db8::/32",   "2001:db8::/127",
				    "2001:db8:0:1::/64",  "fd00::/8",	     "::/0",
				    "fe80::aa:bb/128",	  "2001:db8:1::/49", "2001:db8::2/ffff::ff",
				    "fd00:1:2:3::4:0/113" };
static const char *const ifaces[] = { "pgref0", "pgref+", "pg+", "pgref0+", "eth0", "eth+", "pgref",
				      "pgref01", "+" };
static const unsigned ports[] = { 0,   1,   22,	  53,	80,   79,   81,	   443,	  1023,
				  1024, 8000, 8080, 0x1600, 0x5000, 40000, 65534, 65535 };

uint32_t gen_below(struct gen *g, uint32_t n)
{
	uint64_t z = g->state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

static bool chance(struct gen *g, unsigned percent)
{
	return gen_below(g, 100) < percent;
}

#define PICK(g, list) ((list)[gen_below((g), sizeof(list) / sizeof((list)[0]))])

/* Rules ---------------------------------------------------------------------------------------- */

static void say(struct gen_rule *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct gen_rule *r, const char *fmt, ...)
{
	size_t n = strlen(r->spec);
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(r->spec + n, sizeof(r->spec) - n, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(r->spec) - n)
		abort();
}

static const char *maybe_not(struct gen *g)
{
	return chance(g, 25) ? " !" : "";
}

/* iptables takes no "!" in a rule with comma lists. */
static void rule_addr(struct gen *g, struct gen_rule *r, bool v6, const char *option, bool lists)
{
	unsigned n = lists ? 1 + gen_below(g, 3) : 1;

	say(r, "%s %s ", lists ? "" : maybe_not(g), option);
	for (unsigned i = 0; i < n; i++)
		say(r, "%s%s", i ? "," : "", v6 ? PICK(g, net6) : PICK(g, net4));
	r->expands *= n;
}

static void range(struct gen *g, char *buf, size_t size)
{
	unsigned a = PICK(g, ports), b = PICK(g, ports), t;

	if (a > b) {
		t = a;
		a = b;
		b = t;
	}
	switch (gen_below(g, 5)) {
	case 0:
		snprintf(buf, size, "%u:%u", a, b);
		break;
	case 1:
		snprintf(buf, size, "%u:", a);
		break;
	case 2:
		snprintf(buf, size, ":%u", b);
		break;
	default:
		snprintf(buf, size, "%u", a);
	}
}

static void rule_ports(struct gen *g, struct gen_rule *r, const char *module)
{
	char text[32];

	say(r, " -m %s", module);
	if (chance(g, 40)) {
		range(g, text, sizeof(text));
		say(r, "%s --sport %s", maybe_not(g), text);
	}
	if (chance(g, 70)) {
		range(g, text, sizeof(text));
		say(r, "%s --dport %s", maybe_not(g), text);
	}
}

static void rule_flags(struct gen *g, struct gen_rule *r)
{
	static const char *const flags[] = { "SYN SYN", "SYN,ACK SYN", "FIN,SYN,RST,ACK SYN",
					     "ALL NONE", "ALL ALL", "ACK ACK", "RST,FIN NONE",
					     "FIN,PSH,URG FIN,PSH,URG", "SYN,RST SYN,RST", "ACK FIN" };

	if (chance(g, 30))
		say(r, "%s --syn", maybe_not(g));
	else
		say(r, "%s --tcp-flags %s", maybe_not(g), PICK(g, flags));
}

static void rule_multiport(struct gen *g, struct gen_rule *r)
{
	static const char *const sides[] = { "--sports", "--dports", "--ports" };
	unsigned places = 1 + gen_below(g, 15);
	const char *comma = "";

	say(r, " -m multiport%s %s ", maybe_not(g), PICK(g, sides));
	while (places) {
		unsigned a = PICK(g, ports), b = PICK(g, ports);

		if (places >= 2 && a < b && chance(g, 30)) {
			say(r, "%s%u:%u", comma, a, b);
			places--;
		} else {
			say(r, "%s%u", comma, a);
		}
		places--;
		comma = ",";
	}
}

static void rule_icmp(struct gen *g, struct gen_rule *r, bool v6)
{
	static const char *const types4[] = { "8", "0", "3", "3/4", "any", "echo-request", "11/0",
					      "255", "destination-unreachable", "13" };
	static const char *const types6[] = { "128", "129", "1", "1/4", "echo-request", "3/0", "255",
					      "destination-unreachable", "135" };

	if (v6)
		say(r, " -m icmp6%s --icmpv6-type %s", maybe_not(g), PICK(g, types6));
	else
		say(r, " -m icmp%s --icmp-type %s", maybe_not(g), PICK(g, types4));
	r->families &= v6 ? PG_V6 : PG_V4;
}

/* Matches that need -p PROTO, in an order of chance: it decides what a cut-off header is asked. */
static void rule_l4(struct gen *g, struct gen_rule *r, const char *proto, bool tcp_udp)
{
	unsigned what = gen_below(g, 6); /* 0: none; bit 0: ports; bit 1: multiport */
	bool multiport_first = chance(g, 50);

	if (what == 4)
		what = 1;
	if (what == 5)
		what = 2;
	if (what & 2 && multiport_first)
		rule_multiport(g, r);
	if (what & 1 && tcp_udp) {
		rule_ports(g, r, proto);
		if (!strcmp(proto, "tcp") && chance(g, 55))
			rule_flags(g, r);
	}
	if (chance(g, 10))
		say(r, " -m comment --comment \"%s\"", chance(g, 50) ? "x" : "two words");
	if (what & 2 && !multiport_first)
		rule_multiport(g, r);
	if (what & 2 && chance(g, 8))
		rule_multiport(g, r);
}

static void rule_proto(struct gen *g, struct gen_rule *r)
{
	static const char *const others[] = { "47", "50", "59", "1", "58", "4", "41", "132", "253" };
	static const char *const names[] = { "tcp",  "tcp",  "tcp",  "tcp", "udp",
					     "udp",  "sctp", "dccp", "udplite" };
	const char *name = PICK(g, names);
	bool v6 = r->families == PG_V6 || (r->families == PG_V46 && chance(g, 50));

	switch (gen_below(g, 10)) {
	case 0:
	case 1:
		if (r->families & PG_V4 && !v6) {
			say(r, " -p icmp");
			rule_icmp(g, r, false);
		} else {
			say(r, " -p ipv6-icmp");
			rule_icmp(g, r, true);
		}
		break;
	case 2:
		say(r, "%s -p %s", maybe_not(g), PICK(g, others));
		break;
	case 3:
		say(r, " ! -p %s", name);
		break;
	default:
		say(r, " -p %s", name);
		rule_l4(g, r, name, strcmp(name, "udplite"));
	}
}

static void one_rule(struct gen *g, struct gen_rule *r, unsigned targetless)
{
	unsigned family = gen_below(g, 5);
	bool lists = chance(g, 15);

	/* 0, 1: either by an address, 2: by -4 or -6, otherwise both */
	*r = (struct gen_rule){ .families = PG_V46, .narrowed = PG_V46, .expands = 1 };
	if (family < 2) {
		r->families = family ? PG_V6 : PG_V4;
		if (chance(g, 70))
			rule_addr(g, r, family, "-s", lists);
		if (chance(g, 50) || !r->spec[0])
			rule_addr(g, r, family, "-d", lists);
	} else if (family == 2) {
		r->families = r->narrowed = chance(g, 50) ? PG_V4 : PG_V6;
	}
	if (chance(g, 12))
		say(r, "%s -i %s", maybe_not(g), PICK(g, ifaces));
	if (chance(g, 85))
		rule_proto(g, r);
	if (r->families & PG_V4 && chance(g, 10)) {
		say(r, "%s -f", maybe_not(g));
		r->families &= PG_V4;
	}
	r->target = chance(g, targetless) ? NULL : chance(g, 40) ? "ACCEPT" : "DROP";
}

struct gen_rules *gen_rules(struct gen *g, size_t max)
{
	/* Small sets and large ones alike: the compiled form changes at 64 terms. */
	size_t n = chance(g, 50) ? 1 + gen_below(g, max < 20 ? max : 20) : 1 + gen_below(g, max);
	struct gen_rules *set = calloc(1, sizeof(*set) + n * sizeof(set->rule[0]));
	/* A set in which every packet ends at the first rules tests only those. */
	unsigned targetless = chance(g, 30) ? 70 : 17, passing = 0;

	if (!set)
		abort();
	set->drop = chance(g, 50);
	set->n = n;
	for (size_t i = 0; i < n; i++) {
		one_rule(g, &set->rule[i], targetless);
		if (!set->rule[i].target)
			passing += 2 * set->rule[i].expands;
		if (passing > PASSING_MAX)
			targetless = 0;
	}
	return set;
}

char *gen_rules_text(const struct gen_rules *rules)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	fprintf(f, "*filter\n:INPUT %s [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n",
		rules->drop ? "DROP" : "ACCEPT");
	for (size_t i = 0; i < rules->n; i++) {
		const struct gen_rule *r = &rules->rule[i];

		fprintf(f, "-A INPUT%s%s%s%s\n",
			r->narrowed == PG_V46 ? "" : r->narrowed == PG_V4 ? " -4" : " -6", r->spec,
			r->target ? " -j " : "", r->target ? r->target : "");
	}
	fprintf(f, "COMMIT\n");
	fclose(f);
	return text;
}

/* Frames --------------------------------------------------------------------------------------- */

struct stack {
	struct pkt_layer layer[40];
	size_t n;
};

#define PUSH(s, ...) ((s)->layer[(s)->n++] = (struct pkt_layer)__VA_ARGS__)

static int any_port(struct gen *g)
{
	return chance(g, 85) ? PICK(g, ports) : gen_below(g, 65536);
}

/* Mostly whole; otherwise cut at or around the lengths that matches ask for. */
static int any_cut(struct gen *g)
{
	static const int cuts[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 16, 19, 20 };

	return chance(g, 80) ? PKT_AUTO : PICK(g, cuts);
}

static int any_flags(struct gen *g)
{
	static const int flags[] = { PKT_SYN, PKT_SYN | PKT_ACK, PKT_ACK, PKT_ACK | PKT_FIN, PKT_RST,
				     0,	      0xff,		 PKT_SYN | PKT_RST };

	return chance(g, 80) ? PICK(g, flags) : (int)gen_below(g, 256);
}

static void push_l4(struct gen *g, struct stack *s, bool v6)
{
	static const int types4[] = { 8, 0, 3, 11, 13, 255, 5 };
	static const int types6[] = { 128, 129, 1, 3, 135, 255, 2 };
	static const int codes[] = { 0, 0, 1, 4, 255 };
	int sport = any_port(g), dport = any_port(g), cut = any_cut(g);
	int csum = chance(g, 95) ? PKT_AUTO : (int)gen_below(g, 65536);

	switch (gen_below(g, 12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		PUSH(s, TCP(.sport = sport, .dport = dport, .flags = any_flags(g), .cut = cut,
			    .csum = csum, .optlen = chance(g, 20) ? 4 * gen_below(g, 11) : 0,
			    .doff = chance(g, 92) ? PKT_AUTO : 5 + (int)gen_below(g, 11)));
		break;
	case 4:
	case 5:
		PUSH(s, UDP(.sport = sport, .dport = dport, .cut = cut, .csum = csum,
			    .len = chance(g, 90) ? PKT_AUTO : (int)gen_below(g, 65536)));
		break;
	case 6:
		PUSH(s, UDPLITE(.sport = sport, .dport = dport, .cut = cut));
		break;
	case 7:
		PUSH(s, SCTP(.sport = sport, .dport = dport, .cut = cut));
		break;
	case 8:
		PUSH(s, DCCP(.sport = sport, .dport = dport, .cut = cut));
		break;
	case 9:
		PUSH(s, PAYLOAD(gen_below(g, 40)));
		break;
	default:
		if (chance(g, 90) ? v6 : !v6)
			PUSH(s, ICMP6(.type = PICK(g, types6), .code = PICK(g, codes), .cut = cut));
		else
			PUSH(s, ICMP(.type = PICK(g, types4), .code = PICK(g, codes), .cut = cut));
	}
	if (s->layer[s->n - 1].kind != PKT_PAYLOAD && cut == PKT_AUTO && chance(g, 50))
		PUSH(s, PAYLOAD(gen_below(g, 64)));
}

static void push_ip4(struct gen *g, struct stack *s)
{
	static const int lens[] = { 0, 19, 20, 21, 24, 28, 40, 1000, 65535 };
	static const int frags[] = { 1, 1, 1, 2, 3, 185, 8191 };
	static const int protos[] = { 6, 17, 1, 58, 47, 50, 132, 33, 136, 4, 41, 0, 255 };

	PUSH(s, IP4(.src = PICK(g, addr4), .dst = PICK(g, addr4),
		    .optlen = chance(g, 15) ? 4 * gen_below(g, 11) : 0,
		    .version = chance(g, 99) ? 4 : (int)gen_below(g, 16),
		    .ihl = chance(g, 97) ? PKT_AUTO : (int)gen_below(g, 16),
		    .tot_len = chance(g, 96) ? PKT_AUTO : PICK(g, lens),
		    .csum = chance(g, 99) ? PKT_AUTO : (int)gen_below(g, 65536),
		    .frag = chance(g, 78) ? 0 : PICK(g, frags), .mf = chance(g, 20),
		    .df = chance(g, 40), .id = gen_below(g, 65536), .tos = gen_below(g, 256),
		    .proto = chance(g, 92) ? PKT_AUTO : PICK(g, protos)));
}

static void push_ext(struct gen *g, struct stack *s, bool first)
{
	static const int lens[] = { 8, 8, 8, 16, 24, 64 };
	static const int cuts[] = { 0, 1, 2, 3, 4, 6, 7 };
	static const int frags[] = { 0, 0, 0, 1, 2, 100, 8191 };
	static const int nexts[] = { 0, 6, 17, 43, 44, 50, 51, 58, 59, 60 };
	int len = PICK(g, lens), next = chance(g, 94) ? PKT_AUTO : PICK(g, nexts);
	int hdrlen = chance(g, 95) ? PKT_AUTO : (int)gen_below(g, 256);
	int cut = chance(g, 92) ? PKT_AUTO : PICK(g, cuts);

	switch (gen_below(g, 6)) {
	case 0:
		/* The kernel reads the options of a leading one before its filter does. */
		PUSH(s, HBH(.len = len, .next = next, .hdrlen = first ? PKT_AUTO : hdrlen,
			    .cut = first ? PKT_AUTO : cut));
		break;
	case 1:
		PUSH(s, ROUTING(.len = len, .next = next, .hdrlen = hdrlen, .cut = cut,
				.type = gen_below(g, 5), .segleft = gen_below(g, 3)));
		break;
	case 2:
		PUSH(s, DSTOPTS(.len = len, .next = next, .hdrlen = hdrlen, .cut = cut));
		break;
	case 3:
		PUSH(s, AH(.len = 12 + 4 * (int)gen_below(g, 6), .next = next, .hdrlen = hdrlen,
			   .cut = cut));
		break;
	default:
		PUSH(s, FRAG6(.frag = PICK(g, frags), .mf = chance(g, 50), .next = next,
			      .reserved = gen_below(g, 256), .cut = cut));
	}
}

static void push_ip6(struct gen *g, struct stack *s)
{
	static const int lens[] = { 0, 1, 2, 4, 7, 8, 20, 1000, 65535 };
	unsigned n = chance(g, 50) ? 0 : chance(g, 95) ? 1 + gen_below(g, 4) : gen_below(g, 15);

	PUSH(s, IP6(.src = PICK(g, addr6), .dst = PICK(g, addr6),
		    .version = chance(g, 99) ? 6 : (int)gen_below(g, 16),
		    .payload_len = chance(g, 96) ? PKT_AUTO : PICK(g, lens),
		    .next = chance(g, 98) ? PKT_AUTO : (int)gen_below(g, 256)));
	for (unsigned i = 0; i < n; i++) {
		struct pkt_layer *l;

		push_ext(g, s, i == 0);
		l = &s->layer[s->n - 1];
		/* What is cut off has nothing after it. */
		if ((l->kind == PKT_EXT && l->ext.cut != PKT_AUTO) ||
		    (l->kind == PKT_FRAG6 && l->frag6.cut != PKT_AUTO)) {
			if (l->kind == PKT_EXT && l->ext.next == PKT_AUTO)
				l->ext.next = chance(g, 50) ? 6 : 43;
			if (l->kind == PKT_FRAG6 && l->frag6.next == PKT_AUTO)
				l->frag6.next = chance(g, 50) ? 6 : 43;
			return;
		}
	}
	push_l4(g, s, true);
}

/* What comes instead of an IP packet, or around it. */
static void push_other(struct gen *g, struct stack *s)
{
	static const int types[] = { 0x0806, 0x8035, 0x8847, 0x88cc, 0, 0x05dc };

	if (chance(g, 50))
		PUSH(s, ARP(.op = 1 + gen_below(g, 5), .tpa = chance(g, 50) ? "192.0.2.1" : "192.0.2.9",
			    .htype = chance(g, 80) ? 1 : 6, .plen = chance(g, 90) ? 4 : 16,
			    .cut = chance(g, 80) ? PKT_AUTO : (int)gen_below(g, 28)));
	else
		s->layer[0].eth.type = PICK(g, types);
	PUSH(s, PAYLOAD(gen_below(g, 60)));
}

size_t gen_frame(struct gen *g, const struct gen_frame_opts *opts, uint8_t *buf, size_t size)
{
	struct stack s = { 0 };
	size_t len;

	PUSH(&s, ETH(.number = opts->number));
	if (opts->dst)
		s.layer[0].eth.dst = opts->dst;
	while (!opts->plain && s.n < 5 && chance(g, 15))
		PUSH(&s, VLAN(.id = gen_below(g, 4096), .tpid = chance(g, 50) ? 0x8100 : 0x88a8));
	if (!opts->plain && chance(g, 5)) {
		push_other(g, &s);
	} else if (opts->v6) {
		push_ip6(g, &s);
	} else {
		push_ip4(g, &s);
		push_l4(g, &s, false);
	}
	if (chance(g, 20))
		PUSH(&s, PAD(gen_below(g, 50)));
	PUSH(&s, { .kind = PKT_END });

	len = pkt_build(s.layer, buf, size);
	if (chance(g, 4) && len > 15)
		len = 14 + gen_below(g, len - 14);
	if (chance(g, 3)) { /* a flipped bit anywhere behind the Ethernet header */
		size_t at = 14 + (len > 14 ? gen_below(g, len - 14) : 0);

		if (at < len)
			buf[at] ^= 1 << gen_below(g, 8);
	}
	return len > 1514 ? 1514 : len;
}
