/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "random.h"

#include <stdlib.h>
#include <string.h>

/*
 * Not here, because the kernel decides by what the two sides do not share:
 *  - statistic --mode random, by its random numbers (tests/bpf/test_lists.c sees how many there are);
 *  - connlimit, by when it last looked for connections that are gone, once in a jiffy, which is a hundred frames
 *    here, and by who has not been let in by later rules; and of packets behind a connection's first, kernels
 *    make different things. tests/net/test_connlimit.sh opens and closes connections for it, and rule files
 *    have limits that nobody reaches (dumps.c);
 *  - conntrack's --ctstate SNAT and DNAT, and --ctstatus EXPECTED where it holds: nobody translates or expects.
 *
 * Rates are so low that within a round nothing comes back: only the burst counts, and neither side's
 * clock can make a difference.
 */
#define SLOW "1/hour"

enum { CHAINS_MAX = 12, RULES_MAX = 200, RULES_MANY = 2000, MATCHES_MAX = 3 };

static const char *const addr4[] = { "10.0.0.1",     "10.0.0.2",   "10.0.1.129",   "10.1.0.1",
				     "172.16.5.4",   "192.168.1.77", "203.0.113.200", "10.0.0.255",
				     "255.255.255.255", "224.0.0.5", "127.0.0.1" };
static const char *const addr6[] = { "2001:db8::1",    "2001:db8::2",	"2001:db8:0:1::129",
				     "2001:db8:1::1",  "fd00:1:2:3::4:5", "fe80::aa:bb",
				     "ff02::1",	       "2001:db8:ffff::" };
static const char *const net4[] = { "10.0.0.0/24",   "10.0.0.0/8",  "10.0.1.128/25", "172.16.0.0/12",
				    "0.0.0.0/0",     "10.0.0.2/31", "203.0.113.0/255.255.255.0",
				    "10.0.0.1/255.0.0.255",	    "128.0.0.0/1", "10.0.1.129/17",
				    "192.168.1.76/30", "224.0.0.0/4" };
static const char *const net6[] = { "2001:db8::/32",	 "2001:db8::/127", "2001:db8:0:1::/64",
				    "fd00::/8",		 "2001:db8:1::/49", "::/0",
				    "2001:db8::2/ffff::ff", "fd00:1:2:3::4:0/113", "fe80::/10" };
static const char *const ifaces[] = { "pgref0", "pgref+", "pg+", "pgref0+", "eth0", "eth+", "pgref",
				      "pgref01", "+" };
static const unsigned ports[] = { 0,   1,   22,	  53,	80,   79,   81,	   443,	  1023,
				  1024, 8000, 8080, 0x1600, 0x5000, 40000, 65534, 65535 };

struct ctx {
	struct gen *g;
	const struct random_opts *opts;
	FILE *f;
	bool v6;
	const char *proto; /* "" : any */
	unsigned expands;
	unsigned states; /* names given to state tables so far */
	bool stateful; /* the rule may ask for a connection's state */
	bool raw; /* it is one of raw's PREROUTING */
	unsigned chain, chains;
	unsigned conditions, negated; /* of the rule: how many, and how often one is inverted */
};

#define PICK(c, list) ((list)[gen_below((c)->g, sizeof(list) / sizeof((list)[0]))])

static bool chance(struct ctx *c, unsigned percent)
{
	return gen_below(c->g, 100) < percent;
}

static unsigned between(struct ctx *c, unsigned lo, unsigned hi)
{
	return lo + gen_below(c->g, hi - lo + 1);
}

static const char *maybe_not(struct ctx *c)
{
	return chance(c, c->negated) ? " !" : "";
}

static const char *any_host(struct ctx *c)
{
	if (c->opts->n_addr && chance(c, 15))
		return c->opts->addr[gen_below(c->g, c->opts->n_addr)];
	return c->v6 ? PICK(c, addr6) : PICK(c, addr4);
}

static const char *any_net(struct ctx *c)
{
	if (chance(c, 40))
		return any_host(c);
	return c->v6 ? PICK(c, net6) : PICK(c, net4);
}

/* "a", "a:b", or with open ends, all of them up to max. */
static void put_range(struct ctx *c, unsigned a, unsigned b, bool open)
{
	unsigned what = gen_below(c->g, open ? 5 : 4);

	if (a > b) {
		unsigned t = a;

		a = b;
		b = t;
	}
	if (what == 4)
		fprintf(c->f, chance(c, 50) ? "%u:" : ":%u", a);
	else if (what > 1)
		fprintf(c->f, "%u:%u", a, b);
	else
		fprintf(c->f, "%u", a);
}

/* Protocols' own matches ----------------------------------------------------------------------- */

static void emit_ports(struct ctx *c)
{
	fprintf(c->f, " -m %s", c->proto);
	if (chance(c, 40)) {
		fprintf(c->f, "%s --sport ", maybe_not(c));
		put_range(c, PICK(c, ports), PICK(c, ports), true);
	}
	if (chance(c, 70)) {
		fprintf(c->f, "%s --dport ", maybe_not(c));
		put_range(c, PICK(c, ports), PICK(c, ports), true);
	}
}

static void emit_flags(struct ctx *c)
{
	static const char *const flags[] = { "SYN SYN", "SYN,ACK SYN", "FIN,SYN,RST,ACK SYN",
					     "ALL NONE", "ALL ALL", "ACK ACK", "RST,FIN NONE",
					     "FIN,PSH,URG FIN,PSH,URG", "SYN,RST SYN,RST", "ACK FIN" };

	fprintf(c->f, " -m tcp");
	if (chance(c, 30))
		fprintf(c->f, "%s --syn", maybe_not(c));
	else
		fprintf(c->f, "%s --tcp-flags %s", maybe_not(c), PICK(c, flags));
}

static void emit_tcp_option(struct ctx *c)
{
	static const unsigned options[] = { 2, 3, 4, 5, 8, 1, 255 };

	fprintf(c->f, " -m tcp%s --tcp-option %u", maybe_not(c), PICK(c, options));
}

static void emit_tcpmss(struct ctx *c)
{
	static const unsigned mss[] = { 0, 536, 1220, 1440, 1460, 65535 };

	fprintf(c->f, " -m tcpmss%s --mss ", maybe_not(c));
	put_range(c, PICK(c, mss), PICK(c, mss), false);
}

static void emit_multiport(struct ctx *c)
{
	static const char *const sides[] = { "--sports", "--dports", "--ports" };
	unsigned places = between(c, 1, 15);
	const char *comma = "";

	fprintf(c->f, " -m multiport%s %s ", maybe_not(c), PICK(c, sides));
	while (places) {
		unsigned a = PICK(c, ports), b = PICK(c, ports);

		if (places >= 2 && a < b && chance(c, 30)) {
			fprintf(c->f, "%s%u:%u", comma, a, b);
			places--;
		} else {
			fprintf(c->f, "%s%u", comma, a);
		}
		places--;
		comma = ",";
	}
}

static void emit_icmp(struct ctx *c)
{
	static const char *const types4[] = { "8", "0", "3", "3/4", "any", "echo-request", "11/0",
					      "255", "destination-unreachable", "13" };
	static const char *const types6[] = { "128", "129", "1", "1/4", "echo-request", "3/0", "255",
					      "destination-unreachable", "135" };

	if (c->v6)
		fprintf(c->f, " -m icmp6%s --icmpv6-type %s", maybe_not(c), PICK(c, types6));
	else
		fprintf(c->f, " -m icmp%s --icmp-type %s", maybe_not(c), PICK(c, types4));
}

static void emit_chunks(struct ctx *c)
{
	static const char *const how[] = { "any", "all", "only" };
	static const char *const chunks[] = { "DATA", "INIT", "DATA,INIT", "INIT_ACK", "SACK,DATA",
					      "ABORT:T", "DATA:BE", "DATA:Be,COOKIE_ECHO",
					      "SHUTDOWN_COMPLETE:t", "HEARTBEAT" };

	fprintf(c->f, " -m sctp%s --chunk-types %s %s", maybe_not(c), PICK(c, how), PICK(c, chunks));
}

static void emit_dccp(struct ctx *c)
{
	static const char *const types[] = { "REQUEST", "DATA", "REQUEST,RESPONSE", "ACK,DATAACK,RESET",
					     "INVALID", "SYNC,SYNCACK" };
	static const unsigned options[] = { 1, 2, 32, 41, 255 };

	fprintf(c->f, " -m dccp");
	if (chance(c, 70))
		fprintf(c->f, "%s --dccp-types %s", maybe_not(c), PICK(c, types));
	if (chance(c, 45))
		fprintf(c->f, "%s --dccp-option %u", maybe_not(c), PICK(c, options));
}

static void emit_esp(struct ctx *c)
{
	fprintf(c->f, " -m esp%s --espspi ", maybe_not(c));
	put_range(c, between(c, 0, 8) * 1000, between(c, 0, 8) * 1000, false);
}

static void emit_ah(struct ctx *c)
{
	fprintf(c->f, " -m ah");
	if (!c->v6 || chance(c, 60)) {
		fprintf(c->f, "%s --ahspi ", maybe_not(c));
		put_range(c, between(c, 0, 8) * 1000, between(c, 0, 8) * 1000, false);
	}
	if (c->v6 && chance(c, 30))
		fprintf(c->f, "%s --ahlen %u", maybe_not(c), 8 + 4 * gen_below(c->g, 8));
	if (c->v6 && chance(c, 15))
		fprintf(c->f, " --ahres");
}

/* Of any protocol ------------------------------------------------------------------------------ */

static void emit_comment(struct ctx *c)
{
	fprintf(c->f, " -m comment --comment \"%s\"", chance(c, 50) ? "x" : "two words");
}

static void emit_limit(struct ctx *c)
{
	if (chance(c, 70)) /* more than 37 overflow the kernel's credit */
		fprintf(c->f, " -m limit --limit " SLOW " --limit-burst %u", between(c, 1, 30));
	else
		fprintf(c->f, " -m limit --limit 20/hour --limit-burst %u", between(c, 1, 300));
}

static void emit_hashlimit(struct ctx *c)
{
	static const char *const modes[] = { "srcip", "dstip", "srcip,dstip", "srcip,dstport",
					     "dstport", "srcip,srcport,dstip,dstport", "srcport" };

	/* Of these no interval ends within a round. */
	static const char *const rate_match =
		" --hashlimit-rate-match --hashlimit-rate-interval 3600";

	unsigned number = c->states++;
	bool above = !chance(c, 50), plain = chance(c, 70);
	/* The first one of some names says what they all are like; raw's may come before or after. */
	bool shared = plain && !c->raw && number % 3 == 0;

	fprintf(c->f, " -m hashlimit --hashlimit-name %c%u_%u --hashlimit-%s ", shared ? 's' : 'h', c->opts->round,
		shared ? number / 3 % 2 : number, above ? "above" : "upto");
	if (plain)
		fprintf(c->f, SLOW " --hashlimit-burst %u", between(c, 1, 20));
	else if (chance(c, 50))
		fprintf(c->f, "%u/s --hashlimit-burst %u%s", between(c, 1, 20), between(c, 1, 20),
			rate_match);
	else
		fprintf(c->f, "%ub/s%s", between(c, 64, 2000), rate_match);
	if (chance(c, 85))
		fprintf(c->f, " --hashlimit-mode %s", PICK(c, modes));
	if (chance(c, 20))
		fprintf(c->f, " --hashlimit-%smask %u", chance(c, 50) ? "src" : "dst",
			gen_below(c->g, c->v6 ? 129 : 33));
}

static void emit_recent(struct ctx *c)
{
	static const char *const ops[] = { "--set", "--set", "--rcheck", "--update", "--remove" };
	const char *op = PICK(c, ops);
	bool asks = op[2] == 'r' && op[3] == 'c';
	unsigned number;

	asks = asks || op[2] == 'u';
	fprintf(c->f, " -m recent%s %s", maybe_not(c), op);
	if (asks && chance(c, 60))
		fprintf(c->f, " --seconds 7200%s", chance(c, 20) ? " --reap" : "");
	if (asks && chance(c, 60))
		fprintf(c->f, " --hitcount %u", between(c, 1, 20));
	if (asks && chance(c, 20))
		fprintf(c->f, " --rttl");
	number = gen_below(c->g, 3);
	/* The mask is the list's, by the first rule that names it; raw's may come before or after. */
	if (!c->v6 && !c->raw && ++c->states % 4 == 0)
		fprintf(c->f, " --name m%u_%u%s", c->opts->round, number, c->states % 8 ? " --mask 255.255.0.0" : "");
	else
		fprintf(c->f, " --name r%u_%u", c->opts->round, number);
	fprintf(c->f, " --r%s", chance(c, 70) ? "source" : "dest");
}

static void emit_quota(struct ctx *c)
{
	fprintf(c->f, " -m quota%s --quota %u", maybe_not(c), between(c, 0, 20000));
}

static void emit_nth(struct ctx *c)
{
	unsigned every = between(c, 1, 8);

	fprintf(c->f, " -m statistic --mode nth%s --every %u --packet %u", maybe_not(c), every,
		gen_below(c->g, every));
}

static void emit_set(struct ctx *c)
{
	static const char *const sets[] = { "ip src", "ip dst", "net src", "net dst", "ipport src,src",
					    "ipport dst,dst", "ipport src,dst", "ipport dst,src" };
	const char *set = PICK(c, sets);

	fprintf(c->f, " -m set%s --match-set %c%s", maybe_not(c), c->v6 ? '6' : '4', set);
}

static void emit_addrtype(struct ctx *c)
{
	static const char *const types4[] = { "LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "UNSPEC",
					      "LOCAL,UNICAST", "BROADCAST,MULTICAST", "UNREACHABLE",
					      "BLACKHOLE", "PROHIBIT" };
	static const char *const types6[] = { "LOCAL", "UNICAST", "MULTICAST", "UNSPEC",
					      "LOCAL,UNICAST", "UNREACHABLE",
					      "UNREACHABLE,LOCAL", "UNREACHABLE,UNICAST" };
	const char *side = chance(c, 30) ? "src" : "dst";

	const char *type = c->v6 ? PICK(c, types6) : PICK(c, types4);
	bool unreachable = c->v6 && !strncmp(type, "UNREACH", 7); /* refused with --limit-iface-in */

	fprintf(c->f, " -m addrtype%s --%s-type %s", maybe_not(c), side, type);
	if (chance(c, 25)) {
		type = c->v6 ? PICK(c, types6) : PICK(c, types4);
		unreachable |= c->v6 && !strncmp(type, "UNREACH", 7);
		fprintf(c->f, "%s --%s-type %s", maybe_not(c), side[0] == 's' ? "dst" : "src", type);
	}
	if (!unreachable && chance(c, 15))
		fprintf(c->f, " --limit-iface-in");
}

static void emit_mac(struct ctx *c)
{
	fprintf(c->f, " -m mac%s --mac-source 02:00:00:00:%02x:%02x", maybe_not(c),
		gen_below(c->g, 8), gen_below(c->g, 256));
}

static void emit_iprange(struct ctx *c)
{
	static const char *const ranges4[] = { "10.0.0.1-10.0.0.2", "10.0.0.0-10.0.1.129",
					       "9.255.255.255-10.1.0.1", "172.16.5.4-192.168.1.76",
					       "0.0.0.0-127.255.255.255", "203.0.113.200-203.0.113.200" };
	static const char *const ranges6[] = { "2001:db8::1-2001:db8::2", "2001:db8::-2001:db8:0:1::129",
					       "fd00::-fe80::aa:ba", "::-2001:db8::1",
					       "2001:db8:1::1-2001:db8:1::1" };

	fprintf(c->f, " -m iprange%s --%s-range %s", maybe_not(c), chance(c, 50) ? "src" : "dst",
		c->v6 ? PICK(c, ranges6) : PICK(c, ranges4));
}

static void emit_length(struct ctx *c)
{
	static const unsigned lens[] = { 0, 20, 28, 40, 41, 48, 52, 60, 61, 64, 72, 100, 1500, 65535 };

	fprintf(c->f, " -m length%s --length ", maybe_not(c));
	put_range(c, PICK(c, lens), PICK(c, lens), true);
}

static void emit_ttl(struct ctx *c)
{
	static const unsigned ttls[] = { 0, 1, 2, 63, 64, 65, 128, 254, 255 };
	const char *name = c->v6 ? "hl" : "ttl", *how = chance(c, 50) ? "lt" : "gt";

	if (chance(c, 60))
		fprintf(c->f, " -m %s%s --%s-eq %u", name, maybe_not(c), name, PICK(c, ttls));
	else
		fprintf(c->f, " -m %s --%s-%s %u", name, name, how, PICK(c, ttls));
}

static void emit_tos(struct ctx *c)
{
	static const char *const toses[] = { "0x10", "0x10/0x3f", "0x08/0x1c", "0xff/0xff", "0x00/0xff",
					     "Minimize-Delay", "0x2e/0xfc" };

	fprintf(c->f, " -m tos%s --tos %s", maybe_not(c), PICK(c, toses));
}

static void emit_dscp(struct ctx *c)
{
	if (chance(c, 70))
		fprintf(c->f, " -m dscp%s --dscp 0x%02x", maybe_not(c), 4 * gen_below(c->g, 16));
	else
		fprintf(c->f, " -m dscp%s --dscp-class %s", maybe_not(c), chance(c, 50) ? "EF" : "AF21");
}

static void emit_pkttype(struct ctx *c)
{
	static const char *const types[] = { "unicast", "broadcast", "multicast" };

	fprintf(c->f, " -m pkttype%s --pkt-type %s", maybe_not(c), PICK(c, types));
}

/* A time of day some hours from now, as text. */
static void clock_text(const struct ctx *c, int hours, char *buf, size_t size)
{
	time_t t = c->opts->now + hours * 3600;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, size, "%H:%M:%S", &tm);
}

static void emit_time(struct ctx *c)
{
	char start[16], stop[16];
	int from = (int)between(c, 0, 1) ? -4 : 4;

	fprintf(c->f, " -m time");
	if (chance(c, 50)) {
		clock_text(c, from, start, sizeof(start));
		clock_text(c, from + (int)between(c, 1, 16) + 2, stop, sizeof(stop));
		fprintf(c->f, " --timestart %s --timestop %s", start, stop);
		if (strcmp(start, stop) > 0 && chance(c, 30))
			fprintf(c->f, " --contiguous");
	}
	if (chance(c, 40))
		fprintf(c->f, " --datest%s 20%u-0%u-11T1%u:00:00", chance(c, 50) ? "art" : "op",
			chance(c, 50) ? 11 : 37, between(c, 1, 9), gen_below(c->g, 10));
	if (chance(c, 25))
		fprintf(c->f, "%s --weekdays Mon,Tue,Wed,Thu,Fri,Sat,Sun", maybe_not(c));
	if (chance(c, 10))
		fprintf(c->f, " --monthdays 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,"
			"23,24,25,26,27,28,29,30,31");
}

static void emit_mark(struct ctx *c)
{
	fprintf(c->f, " -m mark%s --mark 0x%x", maybe_not(c), gen_below(c->g, 4));
	if (chance(c, 50))
		fprintf(c->f, "/0x%x", gen_below(c->g, 4));
}

static void emit_frag(struct ctx *c)
{
	fprintf(c->f, " -m frag");
	if (chance(c, 50)) {
		fprintf(c->f, "%s --fragid ", maybe_not(c));
		put_range(c, between(c, 0, 6), between(c, 0, 6), false);
	}
	if (chance(c, 20))
		fprintf(c->f, " --fragres");
	if (chance(c, 30))
		fprintf(c->f, " --fragfirst");
	if (chance(c, 40))
		fprintf(c->f, chance(c, 50) ? " --fragmore" : " --fraglast");
}

static void emit_rt(struct ctx *c)
{
	/* Frames' headers have mostly zeros. */
	static const char *const addrs[] = { "::", "::", "::,::", "::,::,::", "::1", "::,::1" };
	bool type0 = chance(c, 40);

	fprintf(c->f, " -m rt");
	if (type0 || chance(c, 60))
		fprintf(c->f, "%s --rt-type %u", type0 ? "" : maybe_not(c),
			type0 ? 0 : gen_below(c->g, 5));
	if (chance(c, 40)) {
		fprintf(c->f, "%s --rt-segsleft ", maybe_not(c));
		put_range(c, between(c, 0, 3), between(c, 0, 3), false);
	}
	if (chance(c, 25))
		fprintf(c->f, "%s --rt-len %u", maybe_not(c), 8 * between(c, 1, 8));
	if (type0 && chance(c, 30))
		fprintf(c->f, " --rt-0-res");
	if (type0 && chance(c, 70))
		fprintf(c->f, " --rt-0-addrs %s%s", PICK(c, addrs),
			chance(c, 50) ? " --rt-0-not-strict" : "");
}

static void emit_state(struct ctx *c)
{
	static const char *const names[] = { "NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED" };
	unsigned some = between(c, 1, 31);
	const char *comma = "";

	if (chance(c, 60)) /* as rules mostly are */
		some = 1U << gen_below(c->g, 5) | 1U << gen_below(c->g, 5);
	if (chance(c, 50))
		fprintf(c->f, " -m conntrack%s --ctstate ", maybe_not(c));
	else
		fprintf(c->f, " -m state%s --state ", maybe_not(c));
	for (unsigned i = 0; i < 5; i++)
		if (some >> i & 1) {
			fprintf(c->f, "%s%s", comma, names[i]);
			comma = ",";
		}
}

static void emit_ct_addr(struct ctx *c)
{
	static const char *const sides[] = { "orig", "repl" };
	static const unsigned bits4[] = { 8, 24, 31, 1 }, bits6[] = { 32, 64, 127, 1 };

	fprintf(c->f, "%s --ct%s%s %s", maybe_not(c), PICK(c, sides), chance(c, 50) ? "src" : "dst",
		c->v6 ? addr6[gen_below(c->g, 4)] : addr4[gen_below(c->g, 4)]);
	if (chance(c, 50))
		fprintf(c->f, "/%u", c->v6 ? PICK(c, bits6) : PICK(c, bits4));
}

/* Of either end: those that open have ports of their own, and so have queries identifiers. */
static void emit_ct_port(struct ctx *c)
{
	static const char *const sides[] = { "origsrc", "repldst", "origdst", "replsrc" };
	unsigned side = gen_below(c->g, 4), a = PICK(c, ports), b = PICK(c, ports);

	if (side < 2) {
		a = 40000 + gen_below(c->g, 30);
		b = 40000 + gen_below(c->g, 30);
	}
	fprintf(c->f, "%s --ct%sport ", maybe_not(c), sides[side]);
	put_range(c, a, b, true);
}

static void emit_ct_status(struct ctx *c)
{
	static const char *const statuses[] = { "SEEN_REPLY", "ASSURED", "CONFIRMED", "SEEN_REPLY,ASSURED", "NONE",
						"EXPECTED", "EXPECTED,ASSURED" };

	fprintf(c->f, "%s --ctstatus %s", maybe_not(c), PICK(c, statuses));
}

/*
 * In seconds, and far from all times that a connection begins with: 10, 30, 60, 120 (30 and 120 are one, since the
 * latter is a stream's of two seconds), 300, 600, and days. What is not confirmed has no time yet, but what the
 * kernel says then depends on when it was booted.
 */
static void emit_ct_expire(struct ctx *c)
{
	static const char *const times[] = { ":20", "20:", "20:200", "200:", ":200", "200:1000", "1000:", "0",
					     ":450", "450:1000" };

	fprintf(c->f, " --ctstatus CONFIRMED%s --ctexpire %s", maybe_not(c), PICK(c, times));
}

/* What it knows of a connection beyond its state, each at most once. */
static void emit_conntrack(struct ctx *c)
{
	static const char *const protos4[] = { "tcp", "udp", "icmp", "sctp", "udplite", "50", "253" };
	static const char *const protos6[] = { "tcp", "udp", "ipv6-icmp", "sctp", "udplite", "50", "253" };
	unsigned parts = 0;

	fprintf(c->f, " -m conntrack");
	while (!parts)
		parts = gen_below(c->g, 32) & gen_below(c->g, 32);
	if (parts & 1)
		fprintf(c->f, "%s --ctproto %s", maybe_not(c), c->v6 ? PICK(c, protos6) : PICK(c, protos4));
	if (parts & 2)
		emit_ct_addr(c);
	if (parts & 4)
		emit_ct_port(c);
	if (parts & 8 && chance(c, 40))
		emit_ct_expire(c);
	else if (parts & 8)
		emit_ct_status(c);
	if (parts & 16)
		fprintf(c->f, " --ctdir %s", chance(c, 50) ? "ORIGINAL" : "REPLY");
}

/*
 * A connection has some tens of packets in a round. Of TCP and SCTP portguard counts all packets that tracking
 * lets through, the kernel none that it believes nothing of, and no SYN that comes again unanswered (README,
 * limits): so of the others. Errors about a connection ask about it, whatever their own protocol is.
 */
static void emit_connbytes(struct ctx *c)
{
	static const char *const dirs[] = { "original", "reply", "both" };
	static const char *const protos[] = { "udp", "udp", "icmp", "udplite", "50", "253" };
	static const unsigned lengths[] = { 28, 32, 40, 44, 48, 60, 70 };
	const char *proto = PICK(c, protos);
	unsigned mode = gen_below(c->g, 3), a = between(c, 0, 12), b = between(c, 0, 30);

	if (mode == 1) {
		a *= 40;
		b *= 50;
	} else if (mode == 2) {
		a = PICK(c, lengths);
		b = PICK(c, lengths);
	}
	fprintf(c->f, " -m conntrack --ctproto %s", c->v6 && !strcmp(proto, "icmp") ? "ipv6-icmp" : proto);
	fprintf(c->f, " -m connbytes%s --connbytes %u:", maybe_not(c), a < b ? a : b);
	if (chance(c, 60))
		fprintf(c->f, "%u", a < b ? b : a);
	fprintf(c->f, " --connbytes-mode %s --connbytes-dir %s",
		mode == 0 ? "packets" : mode == 1 ? "bytes" : "avgpkt", PICK(c, dirs));
}

/* Where states are asked for, all senders are local. */
static void emit_rpfilter(struct ctx *c)
{
	fprintf(c->f, " -m rpfilter%s%s%s%s", chance(c, 30) ? " --loose" : "", chance(c, 20) ? " --validmark" : "",
		chance(c, c->opts->tracks ? 70 : 30) ? " --accept-local" : "", chance(c, 50) ? " --invert" : "");
}

/* The table of features ------------------------------------------------------------------------ */

enum { FOR_4 = 1, FOR_6 = 2, FOR_BOTH = 3 };

/* `proto`: "tcp", "ports" (those with ports), "" any protocol; NULL: no match. */
static const struct feature {
	const char *name;
	unsigned families, weight;
	const char *proto;
	void (*emit)(struct ctx *c);
} features[] = {
	{ "ports", FOR_BOTH, 30, "ports", emit_ports },
	{ "multiport", FOR_BOTH, 15, "ports", emit_multiport },
	{ "flags", FOR_BOTH, 15, "tcp", emit_flags },
	{ "tcp-option", FOR_BOTH, 4, "tcp", emit_tcp_option },
	{ "tcpmss", FOR_BOTH, 4, "tcp", emit_tcpmss },
	{ "icmp", FOR_4, 30, "icmp", emit_icmp },
	{ "icmp6", FOR_6, 30, "ipv6-icmp", emit_icmp },
	{ "sctp-chunks", FOR_BOTH, 15, "sctp", emit_chunks },
	{ "dccp-types", FOR_BOTH, 15, "dccp", emit_dccp },
	{ "esp", FOR_BOTH, 30, "esp", emit_esp },
	{ "ah", FOR_4, 30, "ah", emit_ah },
	{ "ah6", FOR_6, 8, "", emit_ah },
	{ "frag", FOR_6, 6, "", emit_frag },
	{ "rt", FOR_6, 6, "", emit_rt },
	{ "comment", FOR_BOTH, 3, "", emit_comment },
	{ "limit", FOR_BOTH, 4, "", emit_limit },
	{ "hashlimit", FOR_BOTH, 4, "", emit_hashlimit },
	{ "recent", FOR_BOTH, 5, "", emit_recent },
	{ "quota", FOR_BOTH, 3, "", emit_quota },
	{ "nth", FOR_BOTH, 4, "", emit_nth },
	{ "set", FOR_BOTH, 5, "", emit_set },
	{ "addrtype", FOR_BOTH, 5, "", emit_addrtype },
	{ "mac", FOR_BOTH, 3, "", emit_mac },
	{ "iprange", FOR_BOTH, 4, "", emit_iprange },
	{ "length", FOR_BOTH, 5, "", emit_length },
	{ "ttl", FOR_BOTH, 5, "", emit_ttl },
	{ "tos", FOR_BOTH, 4, "", emit_tos },
	{ "dscp", FOR_BOTH, 4, "", emit_dscp },
	{ "pkttype", FOR_BOTH, 3, "", emit_pkttype },
	{ "time", FOR_BOTH, 3, "", emit_time },
	{ "mark", FOR_BOTH, 5, "", emit_mark },
	{ "state", FOR_BOTH, 10, "", emit_state },
	{ "conntrack", FOR_BOTH, 40, "", emit_conntrack },
	{ "connbytes", FOR_BOTH, 25, "", emit_connbytes },
	{ "rpfilter", FOR_BOTH, 25, "", emit_rpfilter },
	{ "chains", FOR_BOTH, 0, NULL, NULL },
	{ "goto", FOR_BOTH, 0, NULL, NULL },
	{ "return", FOR_BOTH, 0, NULL, NULL },
	{ "reject", FOR_BOTH, 0, NULL, NULL },
	{ "log", FOR_BOTH, 0, NULL, NULL },
	{ "set-mark", FOR_BOTH, 0, NULL, NULL },
	{ "protocols", FOR_BOTH, 0, NULL, NULL },
	{ "fragments", FOR_BOTH, 0, NULL, NULL },
	{ "interfaces", FOR_BOTH, 0, NULL, NULL },
	{ "notrack", FOR_BOTH, 0, NULL, NULL },
	{ "raw", FOR_BOTH, 0, NULL, NULL },
};

enum { N_FEATURES = sizeof(features) / sizeof(features[0]) };

static unsigned feature(const char *name, size_t n)
{
	unsigned i;

	for (i = 0; i < N_FEATURES; i++)
		if (strlen(features[i].name) == n && !strncmp(features[i].name, name, n))
			break;
	if (i == N_FEATURES) {
		fprintf(stderr, "referee: no feature '%.*s'\n", (int)n, name);
		exit(2);
	}
	return i;
}

uint64_t random_features(const char *text)
{
	uint64_t set = 0;

	if (!text)
		text = "all";
	while (*text) {
		bool minus = *text == '-';
		size_t n = strcspn(text += minus, ",");

		if (n == 3 && !strncmp(text, "all", 3))
			set = ~0ULL;
		else if (minus)
			set &= ~(1ULL << feature(text, n));
		else
			set |= 1ULL << feature(text, n);
		text += n + (text[n] == ',');
	}
	return set;
}

static bool enabled(const struct ctx *c, const char *name)
{
	return c->opts->features >> feature(name, strlen(name)) & 1;
}

static bool fits(const struct ctx *c, const struct feature *f)
{
	static const char *const with_ports[] = { "tcp", "udp", "sctp", "dccp" };

	if (!f->emit || !(f->families & (c->v6 ? FOR_6 : FOR_4)) ||
	    !(c->opts->features >> (f - features) & 1))
		return false;
	if ((f->emit == emit_state || f->emit == emit_conntrack || f->emit == emit_connbytes) && !c->stateful)
		return false;
	if (f->emit == emit_rpfilter && !c->raw)
		return false;
	if (strcmp(f->proto, "ports") != 0)
		return !f->proto[0] || !strcmp(f->proto, c->proto);
	if (f->emit == emit_multiport && !strcmp(c->proto, "udplite"))
		return true;
	for (size_t i = 0; i < sizeof(with_ports) / sizeof(with_ports[0]); i++)
		if (!strcmp(c->proto, with_ports[i]))
			return true;
	return false;
}

static void emit_matches(struct ctx *c, unsigned n)
{
	unsigned used[MATCHES_MAX];

	for (unsigned k = 0; k < n; k++) {
		unsigned total = 0, i;

		for (i = 0; i < N_FEATURES; i++)
			total += fits(c, &features[i]) ? features[i].weight : 0;
		if (!total)
			return;
		total = gen_below(c->g, total);
		for (i = 0;; i++) {
			unsigned w = fits(c, &features[i]) ? features[i].weight : 0;

			if (total < w)
				break;
			total -= w;
		}
		used[k] = i;
		for (unsigned j = 0; j < k; j++)
			if (used[j] == i)
				return;
		features[i].emit(c);
		c->conditions++;
	}
}

/* Rules ---------------------------------------------------------------------------------------- */

/* iptables takes no "!" in a rule with comma lists. */
static void emit_addr(struct ctx *c, const char *option, bool lists)
{
	unsigned n = lists ? between(c, 1, 3) : 1;

	fprintf(c->f, "%s %s ", lists ? "" : maybe_not(c), option);
	for (unsigned i = 0; i < n; i++)
		fprintf(c->f, "%s%s", i ? "," : "", any_net(c));
	c->expands *= n;
	c->conditions++;
}

static void emit_proto(struct ctx *c)
{
	static const char *const names[] = { "tcp", "tcp", "tcp", "tcp", "udp", "udp", "sctp", "dccp",
					     "udplite", "icmp", "icmp", "esp", "ah", "" , "" };
	static const char *const others[] = { "47", "50", "59", "1", "58", "4", "41", "132", "253" };

	c->proto = PICK(c, names);
	if (c->v6 && !strcmp(c->proto, "icmp"))
		c->proto = "ipv6-icmp";
	if (c->v6 && !strcmp(c->proto, "ah")) /* -p walks past it: iptables warns, and it never matches */
		c->proto = "";
	if (enabled(c, "protocols") && chance(c, 10)) {
		fprintf(c->f, "%s -p %s", maybe_not(c), PICK(c, others));
		c->proto = "";
	} else if (c->proto[0]) {
		fprintf(c->f, " -p %s", c->proto);
		c->conditions += c->proto[0] != 't' && c->proto[0] != 'u';
	}
}

static const char *any_reject(struct ctx *c)
{
	static const char *const with4[] = { "", " --reject-with icmp-host-prohibited",
					     " --reject-with icmp-admin-prohibited",
					     " --reject-with icmp-net-unreachable" };
	static const char *const with6[] = { "", " --reject-with icmp6-adm-prohibited",
					     " --reject-with icmp6-no-route" };

	if (!strcmp(c->proto, "tcp") && chance(c, 40))
		return " --reject-with tcp-reset";
	return c->v6 ? PICK(c, with6) : PICK(c, with4);
}

/* What a rule is for, which says how narrow it should be. */
enum purpose { JUMPS, RETURNS, PASSES, DECIDES };

static enum purpose any_purpose(struct ctx *c, unsigned passing)
{
	if (c->chain + 1 < c->chains && chance(c, c->chain ? 20 : 30))
		return JUMPS;
	if (enabled(c, "return") && chance(c, c->chain ? 10 : 3))
		return RETURNS;
	return chance(c, passing) ? PASSES : DECIDES;
}

static void emit_passing(struct ctx *c)
{
	unsigned what = gen_below(c->g, 4);

	if (what == 0 && enabled(c, "log"))
		fprintf(c->f, "-j LOG --log-prefix \"a b\"");
	else if (what == 1 && enabled(c, "log"))
		fprintf(c->f, "-j NFLOG --nflog-group 3 --nflog-prefix x");
	else if (what == 2 && enabled(c, "set-mark"))
		fprintf(c->f, "-j MARK --set-xmark 0x%x/0x%x", gen_below(c->g, 4), gen_below(c->g, 4));
}

/* Jumps only lead to later chains, so that there is no loop. */
static void emit_target(struct ctx *c, const struct rules *rules, enum purpose purpose)
{
	if (purpose == JUMPS)
		fprintf(c->f, "-%c %s", enabled(c, "goto") && chance(c, 25) ? 'g' : 'j',
			rules->chain[between(c, c->chain + 1, c->chains - 1)].name);
	else if (purpose == RETURNS)
		fprintf(c->f, "-j RETURN");
	else if (purpose == PASSES)
		emit_passing(c);
	else if (enabled(c, "reject") && chance(c, 15))
		fprintf(c->f, "-j REJECT%s", any_reject(c));
	else
		fprintf(c->f, "-j %s", chance(c, 45) ? "ACCEPT" : "DROP");
}

static FILE *text_open(char **text)
{
	static size_t size;
	FILE *f = open_memstream(text, &size);

	if (!f)
		abort();
	return f;
}

/* Mostly the state alone, of any packet or of a protocol: so rules and states meet. */
static void emit_state_conditions(struct ctx *c)
{
	static const char *const protos[] = { "", "", "tcp", "tcp", "tcp", "udp", "icmp" };

	c->negated = 15;
	c->conditions = 0;
	if (chance(c, 8))
		emit_addr(c, "-s", false);
	if (chance(c, 8))
		emit_addr(c, "-d", false);
	c->proto = PICK(c, protos);
	if (c->v6 && !strcmp(c->proto, "icmp"))
		c->proto = "ipv6-icmp";
	if (c->proto[0])
		fprintf(c->f, " -p %s", c->proto);
	if (c->stateful && chance(c, 60))
		emit_state(c);
	emit_matches(c, c->stateful ? chance(c, 60) + chance(c, 15) : 1);
}

static void emit_conditions(struct ctx *c, enum purpose purpose)
{
	bool lists = chance(c, 12), narrow = purpose == DECIDES || purpose == RETURNS;

	if (c->opts->tracks && enabled(c, "state")) {
		emit_state_conditions(c);
		return;
	}
	/* A rule that takes nearly everything leaves nothing to those behind it. */
	c->negated = narrow ? 10 : 30;
	c->conditions = 0;
	if (chance(c, 35))
		emit_addr(c, "-s", lists);
	if (chance(c, 30))
		emit_addr(c, "-d", lists);
	if (enabled(c, "interfaces") && chance(c, 12))
		fprintf(c->f, "%s -i %s", maybe_not(c), PICK(c, ifaces));
	emit_proto(c);
	if (!c->v6 && enabled(c, "fragments") && chance(c, 5))
		fprintf(c->f, "%s -f", maybe_not(c));
	emit_matches(c, purpose == JUMPS ? chance(c, 30) : chance(c, 70) + chance(c, 40) + chance(c, 15));
	for (unsigned i = 0; narrow && c->conditions < 2 && i < 3; i++)
		emit_matches(c, 1);
}

static void add_rule(struct ctx *c, struct rules *rules, enum purpose purpose)
{
	char *spec, *target;

	c->f = text_open(&spec);
	c->expands = 1;
	emit_conditions(c, purpose);
	fclose(c->f);
	c->f = text_open(&target);
	emit_target(c, rules, purpose);
	fclose(c->f);
	rules_add(rules, c->chain, spec, target, c->expands);
}

/* Mostly, something leads to a chain that has rules. */
static void add_way_to(struct ctx *c, struct rules *rules, unsigned chain)
{
	char *spec, *target;

	c->chain = gen_below(c->g, chain);
	if (c->chain && !rules->chain[c->chain].n)
		c->chain = 0;
	c->f = text_open(&spec);
	c->expands = 1;
	if (chance(c, 50))
		emit_conditions(c, JUMPS);
	fclose(c->f);
	c->f = text_open(&target);
	fprintf(c->f, "-%c %s", enabled(c, "goto") && chance(c, 20) ? 'g' : 'j',
		rules->chain[chain].name);
	fclose(c->f);
	rules_add(rules, c->chain, spec, target, c->expands);
}

/* Sets of all types that rules name, some entries of each. */
static char *make_sets(struct ctx *c)
{
	char *text;
	char v = c->v6 ? '6' : '4';

	c->f = text_open(&text);
	fprintf(c->f, "create %cip hash:ip family inet%s\ncreate %cnet hash:net family inet%s\n"
		"create %cipport hash:ip,port family inet%s\n", v, c->v6 ? "6" : "", v,
		c->v6 ? "6" : "", v, c->v6 ? "6" : "");
	for (unsigned i = 0; i < 5; i++) {
		const char *net = c->v6 ? net6[gen_below(c->g, 4)] : net4[gen_below(c->g, 4)];
		const char *proto = chance(c, 50) ? "tcp" : "udp";

		fprintf(c->f, "-exist add %cip %s\n", v, any_host(c));
		fprintf(c->f, "-exist add %cnet %s\n", v, net);
		fprintf(c->f, "-exist add %cipport %s,%s:%u\n", v, any_host(c), proto,
			PICK(c, ports));
	}
	fclose(c->f);
	return text;
}

static void emit_raw_target(struct ctx *c)
{
	if (c->opts->tracks && enabled(c, "notrack") && (!enabled(c, "raw") || chance(c, 65)))
		fprintf(c->f, "-j %s", chance(c, 50) ? "CT --notrack" : "NOTRACK");
	else if (chance(c, 25))
		emit_passing(c);
	else
		fprintf(c->f, "-j %s", chance(c, 60) ? "DROP" : "ACCEPT");
}

/* Before tracking, which some of these rules keep away from packets, and before INPUT. */
static void add_raw_rules(struct ctx *c, struct rules *rules)
{
	char *spec, *target;

	c->chain = rules_raw(rules);
	c->raw = true;
	c->stateful = false;
	for (unsigned n = chance(c, 40) ? between(c, 1, 4) : 0; n; n--) {
		c->f = text_open(&spec);
		c->expands = 1;
		emit_conditions(c, DECIDES);
		fclose(c->f);
		c->f = text_open(&target);
		emit_raw_target(c);
		fclose(c->f);
		rules_add(rules, c->chain, spec, target, c->expands);
	}
}

struct rules *random_rules(struct gen *g, const struct random_opts *opts)
{
	struct ctx c = { .g = g, .opts = opts, .v6 = opts->v6, .stateful = opts->tracks };
	struct rules *rules = rules_new(opts->v6, gen_below(g, 2));
	unsigned n, passing;
	char name[32];

	/* Small sets and large ones alike: the compiled form changes with size. */
	n = chance(&c, opts->tracks ? 85 : 50) ? 20 : chance(&c, 10) ? RULES_MANY : RULES_MAX;
	n = between(&c, 1, n);
	/* A set in which every packet ends at the first rules tests only those. */
	passing = chance(&c, opts->tracks ? 60 : 30) ? 70 : 20;
	c.chains = enabled(&c, "chains") && chance(&c, 80) ? between(&c, 2, n < 24 ? 4 : CHAINS_MAX) : 1;
	for (unsigned i = 1; i < c.chains; i++) {
		snprintf(name, sizeof(name), "c%u%s", i, chance(&c, 20) ? "-long_name.x" : "");
		rules_chain(rules, name);
	}
	if (enabled(&c, "set"))
		rules->sets = make_sets(&c);
	for (unsigned i = 0; i < n; i++) {
		unsigned chain = chance(&c, 40) ? 0 : gen_below(g, c.chains);

		if (chain && !rules->chain[chain].n && chance(&c, 90))
			add_way_to(&c, rules, chain);
		c.chain = chain;
		add_rule(&c, rules, any_purpose(&c, passing));
	}
	rules->tracks = opts->tracks;
	if (opts->tracks)
		rules_raw(rules); /* where a tracking set has its own way in */
	if (enabled(&c, "raw") || (opts->tracks && enabled(&c, "notrack")))
		add_raw_rules(&c, rules);
	return rules;
}
