/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "oracle.h"

#include <string.h>

enum { EXT_HEADERS_MAX = 12, TAGS_MAX = 2 };

/* An IP packet, trimmed to its length. */
struct view {
	const uint8_t *ip;
	size_t len;
	bool v6, departs;
	const char *iface;
};

/* The state that one rule's evaluation leaves for its matches (struct xt_action_param). */
struct param {
	unsigned proto;
	size_t thoff;	  /* may lie behind the packet */
	unsigned fragoff; /* not 0: a later fragment */
	bool hotdrop;
	enum pg_reason why;
};

static unsigned get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* n bytes at `off` of the packet, or NULL (skb_header_pointer) */
static const uint8_t *header(const struct view *v, size_t off, size_t n)
{
	return off + n <= v->len ? v->ip + off : NULL;
}

static bool hotdrop(struct param *par, enum pg_reason why)
{
	par->hotdrop = true;
	par->why = why;
	return false;
}

/* Before the rules ----------------------------------------------------------------------------- */

static bool checksum_ok(const uint8_t *p, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i < n; i += 2) {
		sum += get16(p + i);
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum == 0xffff;
}

/* Drops that portguard makes on its own: a TCP header that says it is shorter than 20 bytes. */
static bool bad_doff(const struct view *v, unsigned proto, size_t thoff)
{
	const uint8_t *tcp = header(v, thoff, 20);

	return proto == 6 && tcp && tcp[12] >> 4 < 5;
}

static enum pg_reason check_ip4(const uint8_t *ip, size_t have, struct view *ret, bool *ret_stricter)
{
	size_t hlen, total;

	if (have < 20)
		return PG_REASON_SHORT_HEADER;
	if (ip[0] >> 4 != 4)
		return PG_REASON_BAD_VERSION;
	hlen = (ip[0] & 15) * 4;
	if (hlen < 20)
		return PG_REASON_BAD_IHL;
	if (have < hlen)
		return PG_REASON_SHORT_HEADER;
	total = get16(ip + 2);
	if (total < hlen)
		return PG_REASON_BAD_LENGTH;
	if (total > have)
		return PG_REASON_TRUNCATED;
	if (!checksum_ok(ip, hlen))
		return PG_REASON_BAD_CHECKSUM;
	*ret = (struct view){ .ip = ip, .len = total };
	if (!(get16(ip + 6) & 0x1fff) && bad_doff(ret, ip[9], hlen)) {
		*ret_stricter = true;
		return PG_REASON_BAD_DOFF;
	}
	return PG_REASON_RULE;
}

static bool is_ext(unsigned nexthdr)
{
	return nexthdr == 0 || nexthdr == 43 || nexthdr == 44 || nexthdr == 51 || nexthdr == 60;
}

enum walk { WALK_FOUND, WALK_BROKEN, WALK_TOO_LONG };

/* ipv6_find_hdr() with target -1 */
static enum walk find_header(const struct view *v, struct param *par)
{
	unsigned nexthdr = v->ip[6], offset;
	size_t start = 40;

	par->fragoff = 0;
	for (unsigned n = 0; is_ext(nexthdr); n++) {
		const uint8_t *h = header(v, start, 2);

		if (!h)
			return WALK_BROKEN;
		if (nexthdr == 43 && !header(v, start, 4))
			return WALK_BROKEN;
		if (nexthdr == 44) {
			if (!header(v, start, 4))
				return WALK_BROKEN;
			offset = get16(h + 2) & ~7U;
			if (offset && is_ext(h[0]))
				return WALK_BROKEN;
			if (offset) {
				par->fragoff = offset;
				par->proto = h[0];
				return WALK_FOUND;
			}
			start += 8;
		} else {
			start += nexthdr == 51 ? (h[1] + 2U) * 4 : (h[1] + 1U) * 8;
		}
		nexthdr = h[0];
		/* The thirteenth may still end the packet or the chain. */
		if (n == EXT_HEADERS_MAX)
			return WALK_TOO_LONG;
	}
	par->proto = nexthdr;
	par->thoff = start;
	return WALK_FOUND;
}

/* Length of a packet that begins with hop-by-hop options and says 0; 0: a wrong jumbo option. */
static size_t jumbo_len(const uint8_t *ip, size_t have)
{
	size_t len;

	if (have < 48 || ip[42] != 0xc2 || ip[43] != 4)
		return have;
	len = (size_t)get16(ip + 44) << 16 | get16(ip + 46);
	return len < 65536 || len + 40 > have ? 0 : len + 40;
}

static enum pg_reason check_ip6(const uint8_t *ip, size_t have, struct view *ret, bool *ret_stricter)
{
	struct param par = { 0 };
	enum walk walk;
	size_t total;

	if (have < 40)
		return PG_REASON_SHORT_HEADER;
	if (ip[0] >> 4 != 6)
		return PG_REASON_BAD_VERSION;
	total = 40 + get16(ip + 4);
	if (total == 40 && ip[6] == 0) {
		total = jumbo_len(ip, have);
		if (!total)
			return PG_REASON_BAD_LENGTH;
	}
	if (total > have)
		return PG_REASON_TRUNCATED;
	*ret = (struct view){ .ip = ip, .len = total, .v6 = true };
	walk = find_header(ret, &par);
	if (walk == WALK_TOO_LONG) {
		*ret_stricter = true;
		return PG_REASON_EXT_TOO_LONG;
	}
	if (walk == WALK_FOUND && !par.fragoff && bad_doff(ret, par.proto, par.thoff)) {
		*ret_stricter = true;
		return PG_REASON_BAD_DOFF;
	}
	return PG_REASON_RULE;
}

static enum pg_reason check_arp(const uint8_t *arp, size_t have, bool rarp)
{
	static const uint8_t ethernet_ip4[] = { 0, 1, 8, 0, 6, 4 };

	if (have < 28)
		return PG_REASON_SHORT_HEADER;
	if (rarp || get16(arp + 6) == 3 || get16(arp + 6) == 4)
		return PG_REASON_RARP;
	if (memcmp(arp, ethernet_ip4, sizeof(ethernet_ip4)))
		return PG_REASON_BAD_ARP;
	if (!memcmp(arp + 14, arp + 24, 4) && memcmp(arp + 14, "\0\0\0\0", 4))
		return PG_REASON_GRATUITOUS_ARP;
	return PG_REASON_ARP;
}

static enum pg_reason check_frame(const uint8_t *frame, size_t len, struct view *ret,
				  bool *ret_stricter)
{
	unsigned type = get16(frame + 12), tags = 0;
	enum pg_reason why;
	size_t off = 14;

	for (; (type == 0x8100 || type == 0x88a8) && tags <= TAGS_MAX; tags++) {
		if (len < off + 4)
			return PG_REASON_SHORT_HEADER;
		type = get16(frame + off + 2);
		off += 4;
	}
	if (type == 0x0800)
		why = check_ip4(frame + off, len - off, ret, ret_stricter);
	else if (type == 0x86dd)
		why = check_ip6(frame + off, len - off, ret, ret_stricter);
	else if (type == 0x0806 || type == 0x8035)
		why = check_arp(frame + off, len - off, type == 0x8035);
	else
		why = PG_REASON_NON_IP;
	return tags > TAGS_MAX ? PG_REASON_TOO_MANY_VLANS : why;
}

/* Matches -------------------------------------------------------------------------------------- */

static bool in_range(const struct pg_port_range *r, unsigned port)
{
	return (port >= r->lo && port <= r->hi) != r->invert;
}

/* xt_tcpudp.c, xt_sctp.c, xt_dccp.c */
static bool match_ports(const struct view *v, const struct pg_match *m, struct param *par)
{
	size_t size = m->kind == PG_MATCH_TCP ? 20 :
		      m->kind == PG_MATCH_SCTP || m->kind == PG_MATCH_DCCP ? 12 : 8;
	const uint8_t *h;

	if (par->fragoff) {
		if (m->kind == PG_MATCH_TCP && par->fragoff == 1)
			return hotdrop(par, PG_REASON_TINY_FRAGMENT);
		return false;
	}
	h = header(v, par->thoff, size);
	if (!h)
		return hotdrop(par, PG_REASON_SHORT_L4);
	if (!in_range(&m->ports.sport, get16(h)) || !in_range(&m->ports.dport, get16(h + 2)))
		return false;
	if (m->kind == PG_MATCH_TCP && m->ports.flags_set)
		return ((h[13] & m->ports.flags_mask) == m->ports.flags_comp) !=
		       m->ports.flags_invert;
	return true;
}

static bool match_icmp(const struct view *v, const struct pg_match *m, struct param *par)
{
	const uint8_t *h;
	bool hit;

	if (par->fragoff)
		return false;
	h = header(v, par->thoff, 8);
	if (!h)
		return hotdrop(par, PG_REASON_SHORT_L4);
	hit = h[0] == m->icmp.type && h[1] >= m->icmp.code_lo && h[1] <= m->icmp.code_hi;
	/* For IPv4 the kernel's word for "any" is type 255. */
	if (m->kind == PG_MATCH_ICMP && (m->icmp.any || m->icmp.type == 255))
		hit = true;
	return hit != m->icmp.invert;
}

static bool match_multiport(const struct view *v, const struct pg_match *m, struct param *par)
{
	const uint8_t *h;

	if (par->fragoff)
		return false;
	h = header(v, par->thoff, 4);
	if (!h)
		return hotdrop(par, PG_REASON_SHORT_L4);
	for (unsigned i = 0; i < m->multiport.n; i++) {
		unsigned lo = m->multiport.range[i].lo, hi = m->multiport.range[i].hi;
		bool src = get16(h) >= lo && get16(h) <= hi;
		bool dst = get16(h + 2) >= lo && get16(h + 2) <= hi;

		if ((src && m->multiport.side != PG_MULTIPORT_DST) ||
		    (dst && m->multiport.side != PG_MULTIPORT_SRC))
			return !m->multiport.invert;
	}
	return m->multiport.invert;
}

/* xt_length.c */
static bool match_length(const struct view *v, const struct pg_match *m)
{
	return (v->len >= m->range.lo && v->len <= m->range.hi) != m->range.invert;
}

static bool match(const struct view *v, const struct pg_match *m, struct param *par)
{
	switch (m->kind) {
	case PG_MATCH_ICMP:
	case PG_MATCH_ICMP6:
		return match_icmp(v, m, par);
	case PG_MATCH_MULTIPORT:
		return match_multiport(v, m, par);
	case PG_MATCH_COMMENT:
		return true;
	case PG_MATCH_LENGTH:
		return match_length(v, m);
	default:
		return match_ports(v, m, par);
	}
}

/* Rules ---------------------------------------------------------------------------------------- */

static bool match_addr(const struct view *v, const struct pg_addr *a, bool destination)
{
	size_t n = v->v6 ? 16 : 4;
	const uint8_t *p = v->ip + (v->v6 ? 8 : 12) + (destination ? n : 0);
	bool equal = true;

	if (!a->set)
		return true;
	for (size_t i = 0; i < n; i++)
		if ((p[i] & a->mask[i]) != a->addr[i])
			equal = false;
	return equal != a->invert;
}

static bool match_ifname(const char *name, const struct pg_ifname *f)
{
	size_t n = strlen(f->name);
	bool equal;

	if (!f->set)
		return true;
	if (n && f->name[n - 1] == '+')
		equal = !strncmp(name, f->name, n - 1);
	else
		equal = !strcmp(name, f->name);
	return equal != f->invert;
}

static bool match_ip4(const struct view *v, const struct pg_rule *r, struct param *par)
{
	par->proto = v->ip[9];
	par->thoff = (v->ip[0] & 15) * 4;
	par->fragoff = get16(v->ip + 6) & 0x1fff;
	if (r->proto && (r->proto == par->proto) == r->proto_invert)
		return false;
	return !r->fragment_set || (par->fragoff != 0) != r->fragment_invert;
}

static bool match_ip6(const struct view *v, const struct pg_rule *r, struct param *par)
{
	par->thoff = 0;
	if (r->fragment_set)
		return false;
	if (!r->proto)
		return true;
	if (find_header(v, par) != WALK_FOUND)
		return hotdrop(par, PG_REASON_EXT_BROKEN);
	return (r->proto == par->proto) != r->proto_invert;
}

/* Which families a rule belongs to at all: what ip6tables would not take is not in its chain. */
static bool for_family(const struct pg_rule *r, bool v6)
{
	unsigned families = r->narrowed;

	if (r->src.set)
		families &= r->src.family;
	if (r->dst.set)
		families &= r->dst.family;
	if (r->fragment_set)
		families &= PG_V4;
	for (size_t i = 0; i < r->n_match; i++) {
		if (r->match[i].kind == PG_MATCH_ICMP)
			families &= PG_V4;
		if (r->match[i].kind == PG_MATCH_ICMP6)
			families &= PG_V6;
	}
	return families & (v6 ? PG_V6 : PG_V4);
}

static bool match_rule(const struct view *v, const struct pg_rule *r, struct param *par)
{
	if (!for_family(r, v->v6))
		return false;
	if (!match_addr(v, &r->src, false) || !match_addr(v, &r->dst, true))
		return false;
	if (!match_ifname(v->departs ? "" : v->iface, &r->in) ||
	    !match_ifname(v->departs ? v->iface : "", &r->out))
		return false;
	if (!(v->v6 ? match_ip6(v, r, par) : match_ip4(v, r, par)))
		return false;
	for (size_t i = 0; i < r->n_match; i++)
		if (!match(v, &r->match[i], par))
			return false;
	return true;
}

/* Walking ------------------------------------------------------------------------------------- */

/* How far an evaluation has come: ipt_do_table() with its stack as recursion. */
struct run {
	const struct pg_ruleset *set;
	const struct view *v;
	struct oracle_count *count;
	struct oracle_result *ret;
};

size_t oracle_counts(const struct pg_ruleset *set, size_t n_chains)
{
	size_t n = 0;

	for (size_t i = 0; i < n_chains; i++)
		n += set->chain[i].n_rules + 1;
	return n;
}

static void count_hit(const struct run *run, size_t chain, size_t rule)
{
	struct oracle_count *c = &run->count[oracle_counts(run->set, chain) + rule];

	c->packets++;
	c->bytes += run->v->len;
}

static size_t chain_named(const struct pg_ruleset *set, const char *name)
{
	size_t i = PG_CHAINS_BUILTIN;

	while (strcmp(set->chain[i].name, name))
		i++;
	return i;
}

static void end_at(const struct run *run, size_t chain, size_t rule, enum pg_verdict verdict,
		   enum pg_reason reason)
{
	run->ret->chain = chain;
	run->ret->rule = rule;
	run->ret->verdict = verdict;
	run->ret->reason = reason;
}

enum walked { WALK_DECIDED, WALK_RETURNED };

static enum walked walk_chain(const struct run *run, size_t at)
{
	const struct pg_chain *chain = &run->set->chain[at];
	enum walked walked;

	for (size_t i = 0; i < chain->n_rules; i++) {
		const struct pg_rule *r = &chain->rule[i];
		struct param par = { 0 };
		bool hit = match_rule(run->v, r, &par);

		if (par.hotdrop) {
			end_at(run, at, i + 1, PG_VERDICT_DROP, par.why);
			return WALK_DECIDED;
		}
		if (!hit)
			continue;
		count_hit(run, at, i);
		switch (r->target) {
		case PG_TARGET_NONE:
			continue;
		case PG_TARGET_RETURN:
			return WALK_RETURNED;
		case PG_TARGET_CHAIN:
			walked = walk_chain(run, chain_named(run->set, r->chain));
			if (walked == WALK_DECIDED || r->is_goto)
				return walked;
			continue;
		default:
			end_at(run, at, i + 1,
			       r->target == PG_TARGET_ACCEPT ? PG_VERDICT_ACCEPT : PG_VERDICT_DROP,
			       PG_REASON_RULE);
			return WALK_DECIDED;
		}
	}
	return WALK_RETURNED;
}

static void decide(const struct run *run, size_t chain)
{
	const struct pg_chain *c = &run->set->chain[chain];

	if (walk_chain(run, chain) == WALK_DECIDED)
		return;
	count_hit(run, chain, c->n_rules);
	end_at(run, chain, 0, c->policy == PG_TARGET_ACCEPT ? PG_VERDICT_ACCEPT : PG_VERDICT_DROP,
	       PG_REASON_POLICY);
}

void oracle_run(const struct pg_ruleset *set, const char *iface, enum pg_dir dir, const uint8_t *frame,
		size_t len, struct oracle_count *count, struct oracle_result *ret)
{
	struct view v;

	*ret = (struct oracle_result){ 0 };
	ret->reason = check_frame(frame, len, &v, &ret->stricter);
	switch (ret->reason) {
	case PG_REASON_NON_IP:
	case PG_REASON_ARP:
	case PG_REASON_GRATUITOUS_ARP:
	case PG_REASON_RARP:
		ret->verdict = PG_VERDICT_ACCEPT;
		return;
	case PG_REASON_RULE:
		break;
	default:
		ret->verdict = PG_VERDICT_DROP;
		return;
	}
	v.iface = iface;
	v.departs = dir == PG_DIR_OUT;
	ret->asked = true;
	ret->ip_len = v.len;
	ret->v6 = v.v6;
	decide(&(struct run){ set, &v, count, ret }, v.departs ? PG_CHAIN_OUTPUT : PG_CHAIN_INPUT);
}
