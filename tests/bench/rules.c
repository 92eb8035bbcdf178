// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rule sets, packets for them, and which rule each packet meets. */
#include "rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* Lists ---------------------------------------------------------------------------------------- */

static int grow(void **list, size_t size, size_t n, size_t *cap)
{
	void *more;

	if (n < *cap)
		return 0;
	more = realloc(*list, size * (2 * *cap + 64));
	if (!more)
		return -ENOMEM;
	*list = more;
	*cap = 2 * *cap + 64;
	return 0;
}

int bench_rules_add(struct bench_rules *rules, const struct bench_rule *rule)
{
	int r = grow((void **)&rules->rule, sizeof(*rule), rules->n, &rules->cap);

	if (!r)
		rules->rule[rules->n++] = *rule;
	return r;
}

int bench_flows_add(struct bench_flows *flows, const struct bench_flow *flow)
{
	int r = grow((void **)&flows->flow, sizeof(*flow), flows->n, &flows->cap);

	if (!r)
		flows->flow[flows->n++] = *flow;
	return r;
}

void bench_rules_free(struct bench_rules *rules)
{
	free(rules->rule);
	*rules = (struct bench_rules){ 0 };
}

void bench_flows_free(struct bench_flows *flows)
{
	free(flows->flow);
	*flows = (struct bench_flows){ 0 };
}

/* Random --------------------------------------------------------------------------------------- */

/* A linear congruential generator (Knuth's constants), whose high bits are the good ones. */
uint32_t bench_random(struct bench_random *r)
{
	r->state = r->state * 6364136223846793005ULL + 1442695040888963407ULL;
	return r->state >> 32;
}

static uint32_t below(struct bench_random *r, uint32_t n)
{
	return (uint64_t)bench_random(r) * n >> 32;
}

static void random_bytes(struct bench_random *r, uint8_t *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = bench_random(r);
}

/* Set the bits of addr from `len` on: to zero, or to those of `host`. */
static void set_host(uint8_t *addr, unsigned len, unsigned bits, const uint8_t *host)
{
	for (unsigned i = len / 8; i < bits / 8; i++) {
		uint8_t mask = i == len / 8 ? 0xff >> len % 8 : 0xff;

		addr[i] = (addr[i] & ~mask) | (host ? host[i] & mask : 0);
	}
}

/* Away from bench_last_flow()'s, and from what no packet comes from. */
static struct bench_prefix random_prefix(struct bench_random *r, bool ipv6)
{
	struct bench_prefix p = { 0 };

	random_bytes(r, p.addr, ipv6 ? 16 : 4);
	if (ipv6) {
		memcpy(p.addr, "\x20\x01\x0d\xb8", 4);
		p.addr[4] |= 0x80;
		p.len = 48 + below(r, 81);
	} else {
		p.addr[0] = 11 + below(r, 100);
		p.len = 24 + below(r, 9);
	}
	set_host(p.addr, p.len, ipv6 ? 128 : 32, NULL);
	return p;
}

struct bench_flow bench_last_flow(bool ipv6)
{
	struct bench_flow f = { .sport = 40000, .dport = 443, .proto = IPPROTO_TCP };

	inet_pton(ipv6 ? AF_INET6 : AF_INET, ipv6 ? "2001:db8::" : "10.0.0.0", f.src);
	inet_pton(ipv6 ? AF_INET6 : AF_INET, ipv6 ? "2001:db8:ffff::2" : "192.0.2.2", f.dst);
	return f;
}

int bench_rules_random(struct bench_rules *ret, bool ipv6, size_t n)
{
	struct bench_random rnd = { 1 + n };
	const struct bench_flow last = bench_last_flow(ipv6);
	struct bench_rule rule = {
		.sport = BENCH_ALL_PORTS,
		.dport = BENCH_ALL_PORTS,
		.proto = IPPROTO_TCP,
	};
	int r = 0;

	*ret = (struct bench_rules){ .ipv6 = ipv6 };
	for (size_t i = 0; !r && i + 1 < n; i++) {
		rule.src = random_prefix(&rnd, ipv6);
		rule.dport.lo = rule.dport.hi = 1 + below(&rnd, 60000);
		r = bench_rules_add(ret, &rule);
	}
	memcpy(rule.src.addr, last.src, 16);
	rule.src.len = ipv6 ? 48 : 24;
	rule.dport.lo = rule.dport.hi = last.dport;
	return r ? r : bench_rules_add(ret, &rule);
}

static uint16_t port_in(struct bench_random *r, const struct bench_ports *p)
{
	return p->lo + below(r, p->hi - p->lo + 1U);
}

static struct bench_flow flow_for(const struct bench_rule *rule, bool ipv6, bool exact,
				  struct bench_random *r)
{
	struct bench_flow f = { .proto = rule->proto ? rule->proto : IPPROTO_TCP };
	uint8_t host[16];

	memcpy(f.src, rule->src.addr, 16);
	memcpy(f.dst, rule->dst.addr, 16);
	random_bytes(r, host, sizeof(host));
	if (!exact)
		set_host(f.src, rule->src.len, ipv6 ? 128 : 32, host);
	random_bytes(r, host, sizeof(host));
	set_host(f.dst, rule->dst.len, ipv6 ? 128 : 32, host);
	/* Where any will do, one that a packet may well have: not multicast, not loopback. */
	if (!rule->dst.len)
		memcpy(f.dst, random_prefix(r, ipv6).addr, 4);
	f.sport = port_in(r, &rule->sport);
	f.dport = port_in(r, &rule->dport);
	return f;
}

static void shuffle(size_t *order, size_t n, struct bench_random *r)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = below(r, i), was = order[i - 1];

		order[i - 1] = order[k];
		order[k] = was;
	}
}

static int spread(struct bench_flows *ret, const struct bench_rules *rules, size_t n, bool exact)
{
	_free_ size_t *order = calloc(rules->n + 1, sizeof(*order));
	struct bench_random rnd = { n };
	int r = order ? 0 : -ENOMEM;

	*ret = (struct bench_flows){ .ipv6 = rules->ipv6 };
	for (size_t i = 0; !r && i < rules->n; i++)
		order[i] = i;
	if (!r)
		shuffle(order, rules->n, &rnd);
	for (size_t i = 0; !r && i < n; i++) {
		const struct bench_rule *rule = &rules->rule[order[i % rules->n]];
		struct bench_flow f = flow_for(rule, rules->ipv6, exact, &rnd);

		r = bench_flows_add(ret, &f);
	}
	return r;
}

int bench_flows_spread(struct bench_flows *ret, const struct bench_rules *rules, size_t n)
{
	return spread(ret, rules, n, false);
}

int bench_flows_exact(struct bench_flows *ret, const struct bench_rules *rules, size_t n)
{
	return spread(ret, rules, n, true);
}

int bench_flows_random(struct bench_flows *ret, bool ipv6, size_t n)
{
	const struct bench_rule any = { .sport = BENCH_ALL_PORTS, .dport = BENCH_ALL_PORTS };
	struct bench_random rnd = { 7 * n + ipv6 };
	int r = 0;

	*ret = (struct bench_flows){ .ipv6 = ipv6 };
	for (size_t i = 0; !r && i < n; i++) {
		struct bench_flow f = flow_for(&any, ipv6, false, &rnd);

		f.proto = bench_random(&rnd) & 1 ? IPPROTO_TCP : IPPROTO_UDP;
		r = bench_flows_add(ret, &f);
	}
	return r;
}

/* Which rule ----------------------------------------------------------------------------------- */

static bool in_prefix(const struct bench_prefix *p, const uint8_t *addr)
{
	unsigned whole = p->len / 8, rest = p->len % 8;

	return !memcmp(p->addr, addr, whole) &&
	       (!rest || !((p->addr[whole] ^ addr[whole]) >> (8 - rest)));
}

static bool in_ports(const struct bench_ports *p, uint16_t port)
{
	return p->lo <= port && port <= p->hi;
}

static bool matches(const struct bench_rule *rule, const struct bench_flow *f)
{
	bool has_ports = f->proto == IPPROTO_TCP || f->proto == IPPROTO_UDP;

	if (rule->proto && rule->proto != f->proto)
		return false;
	if (!in_prefix(&rule->src, f->src) || !in_prefix(&rule->dst, f->dst))
		return false;
	if (!has_ports)
		return !bench_asks_ports(&rule->sport) && !bench_asks_ports(&rule->dport);
	return in_ports(&rule->sport, f->sport) && in_ports(&rule->dport, f->dport);
}

/*
 * Rules by their one destination port, and those that have no such; a hundred thousand rules times
 * as many packets is too much for a plain search. Each list is in the rules' order, and `next` of a
 * rule is the one behind it; n is the end.
 */
struct index {
	size_t first[65536], last[65536], first_other, last_other;
	size_t next[];
};

static void append(struct index *x, size_t *first, size_t *last, size_t i, size_t end)
{
	if (*first == end)
		*first = i;
	else
		x->next[*last] = i;
	*last = i;
	x->next[i] = end;
}

static struct index *make_index(const struct bench_rules *rules)
{
	struct index *x = calloc(1, sizeof(*x) + (rules->n + 1) * sizeof(*x->next));

	if (!x)
		return NULL;
	for (size_t p = 0; p < 65536; p++)
		x->first[p] = rules->n;
	x->first_other = rules->n;
	for (size_t i = 0; i < rules->n; i++) {
		const struct bench_ports *p = &rules->rule[i].dport;

		if (p->lo == p->hi)
			append(x, &x->first[p->lo], &x->last[p->lo], i, rules->n);
		else
			append(x, &x->first_other, &x->last_other, i, rules->n);
	}
	return x;
}

static size_t first_in(const struct bench_rules *rules, const struct index *x, size_t i,
		       const struct bench_flow *f)
{
	while (i < rules->n && !matches(&rules->rule[i], f))
		i = x->next[i];
	return i;
}

int bench_expect(const struct bench_rules *rules, const struct bench_flows *flows, size_t **ret)
{
	_free_ struct index *x = make_index(rules);
	size_t *list = calloc(flows->n + 1, sizeof(*list));

	if (!x || !list) {
		free(list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < flows->n; i++) {
		const struct bench_flow *f = &flows->flow[i];
		size_t a = first_in(rules, x, x->first[f->dport], f);
		size_t b = first_in(rules, x, x->first_other, f);

		list[i] = a < b ? a : b;
	}
	*ret = list;
	return 0;
}

/* As text -------------------------------------------------------------------------------------- */

const char *bench_prefix_str(const struct bench_prefix *p, bool ipv6, char *buf)
{
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(ipv6 ? AF_INET6 : AF_INET, p->addr, addr, sizeof(addr));
	snprintf(buf, BENCH_ADDR_MAX, "%s/%u", addr, p->len);
	return buf;
}

static void add_ports(struct pg_text *t, const char *option, const struct bench_ports *p,
		      const char *to)
{
	if (!bench_asks_ports(p))
		return;
	if (p->lo == p->hi)
		pg_text_add(t, " %s %u", option, p->lo);
	else
		pg_text_add(t, " %s %u%s%u", option, p->lo, to, p->hi);
}

static const char *transport(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : "udp";
}

static void add_proto(struct pg_text *t, uint8_t proto)
{
	if (proto == IPPROTO_TCP || proto == IPPROTO_UDP)
		pg_text_add(t, " -p %s", transport(proto));
	else
		pg_text_add(t, " -p %u", proto);
}

void bench_write_iptables(struct pg_text *t, const struct bench_rules *rules, const char *table,
			  const char *chain)
{
	char buf[BENCH_ADDR_MAX];

	pg_text_add(t, "*%s\n:%s DROP [0:0]\n", table, chain);
	for (size_t i = 0; i < rules->n; i++) {
		const struct bench_rule *rule = &rules->rule[i];

		pg_text_add(t, "-A %s", chain);
		if (rule->src.len)
			pg_text_add(t, " -s %s", bench_prefix_str(&rule->src, rules->ipv6, buf));
		if (rule->dst.len)
			pg_text_add(t, " -d %s", bench_prefix_str(&rule->dst, rules->ipv6, buf));
		if (rule->proto)
			add_proto(t, rule->proto);
		add_ports(t, "--sport", &rule->sport, ":");
		add_ports(t, "--dport", &rule->dport, ":");
		pg_text_add(t, " -j ACCEPT\n");
	}
	pg_text_add(t, "COMMIT\n");
}

static void begin_nft(struct pg_text *t, const char *iface)
{
	pg_text_add(t,
		    "add table netdev bench\nadd chain netdev bench ingress { type filter hook "
		    "ingress device \"%s\" priority 0; policy drop; }\n",
		    iface);
}

static void add_nft_ports(struct pg_text *t, const struct bench_rule *rule)
{
	char option[16];

	snprintf(option, sizeof(option), "%s sport", transport(rule->proto));
	add_ports(t, option, &rule->sport, "-");
	snprintf(option, sizeof(option), "%s dport", transport(rule->proto));
	add_ports(t, option, &rule->dport, "-");
}

void bench_write_nft(struct pg_text *t, const struct bench_rules *rules, const char *iface)
{
	const char *ip = rules->ipv6 ? "ip6" : "ip";
	char buf[BENCH_ADDR_MAX];

	begin_nft(t, iface);
	for (size_t i = 0; i < rules->n; i++) {
		const struct bench_rule *rule = &rules->rule[i];

		pg_text_add(t, "add rule netdev bench ingress");
		if (rule->src.len)
			pg_text_add(t, " %s saddr %s", ip,
				    bench_prefix_str(&rule->src, rules->ipv6, buf));
		if (rule->dst.len)
			pg_text_add(t, " %s daddr %s", ip,
				    bench_prefix_str(&rule->dst, rules->ipv6, buf));
		if (rule->proto && !bench_asks_ports(&rule->sport) &&
		    !bench_asks_ports(&rule->dport))
			pg_text_add(t, " meta l4proto %u", rule->proto);
		add_nft_ports(t, rule);
		pg_text_add(t, " counter accept\n");
	}
}

void bench_write_nft_set(struct pg_text *t, const struct bench_rules *rules, const char *iface,
			 bool prefixes)
{
	const char *ip = rules->ipv6 ? "ip6" : "ip";
	char buf[BENCH_ADDR_MAX];

	begin_nft(t, iface);
	pg_text_add(t, "add set netdev bench allowed { typeof %s saddr . tcp dport;%s }\n", ip,
		    prefixes ? " flags interval;" : "");
	for (size_t i = 0; i < rules->n; i++) {
		const struct bench_rule *rule = &rules->rule[i];

		bench_prefix_str(&rule->src, rules->ipv6, buf);
		if (!prefixes)
			*strchr(buf, '/') = '\0';
		pg_text_add(t, "%s%s . %u", i % 1000 ? ", " : "add element netdev bench allowed { ",
			    buf, rule->dport.lo);
		if (i % 1000 == 999 || i + 1 == rules->n)
			pg_text_add(t, " }\n");
	}
	pg_text_add(t,
		    "add rule netdev bench ingress %s saddr . tcp dport @allowed counter accept\n",
		    ip);
}
