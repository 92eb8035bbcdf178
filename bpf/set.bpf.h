/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Named sets: is this packet's address, or address and port, among a set's entries? As xt_set and
 * ip_set (net/netfilter/ipset/) answer it.
 */
#pragma once

/*
 * Prefixes of one address: /1 to /128. A set in which all of them have expired and were not
 * collected yet is asked that often.
 */
#define SET_MAX_PREFIXES 128

/* Only where an entry has a timeout: the clock is the dearest part of a look-up. */
static __always_inline bool set_expired(const struct pg_set_value *v)
{
	if (!v->expires_ns)
		return false;
	return (set_coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns()) >= v->expires_ns;
}

static __always_inline bool set_find_hash(__u32 id, const struct pg_set_key *key)
{
	void *set = bpf_map_lookup_elem(&pg_sets_hash, &id);
	const struct pg_set_value *v;

	if (!set)
		return false;
	v = bpf_map_lookup_elem(set, key);
	return v && !set_expired(v);
}

/*
 * The longest prefix decides, and may be an exception (nomatch). One that has expired is as good as
 * gone, and hides nothing: then the next shorter one is asked for.
 */
static __always_inline bool set_find_net(__u32 id, struct pg_set_net_key *key)
{
	void *set = bpf_map_lookup_elem(&pg_sets_net, &id);
	const struct pg_set_value *v;

	if (!set)
		return false;
	for (int i = 0; i < SET_MAX_PREFIXES; i++) {
		v = bpf_map_lookup_elem(set, key);
		if (!v)
			return false;
		if (!set_expired(v))
			return !v->nomatch;
		if (v->prefix <= 1 || v->prefix > 128)
			return false;
		key->prefixlen = PG_SET_FAMILY_BITS + v->prefix - 1;
	}
	return false;
}

/*
 * Protocol and port as ip_set_get_ip4_port() and ip_set_get_ip6_port() find them: TCP, UDP,
 * UDP-Lite, SCTP and ICMP need their whole header; any other protocol has port 0. false: the
 * packet cannot be in a set with ports.
 */
static __always_inline bool set_port(const struct pkt *p, bool src, struct pg_set_key *key)
{
	bool later = p->l4_state == PG_L4_LATER || p->l4_state == PG_L4_OFF1;

	/* IPPROTO_NONE ends ipv6_skip_exthdr() without a transport header. */
	if (p->l4_state == PG_L4_BROKEN || !p->proto ||
	    (p->family == PG_FAMILY_V6 && (later || p->proto == IPPROTO_NONE)))
		return false;
	key->proto = p->proto;
	switch (p->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
		key->port = src ? p->sport : p->dport;
		return p->has_ports && p->l4_state == PG_L4_FULL;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		key->port = (p->sport & 0xff) << 8 | (p->dport & 0xff);
		return p->has_icmp;
	}
	return true;
}

/*
 * Whether the packet is in set `id`. `net`: the set's entries are in pg_sets_net (pg_set_info.net).
 * Bit i of dirs: the i-th dimension is the source; PG_SET_WITH_PORT: there is a second dimension,
 * the port. What is left for the compiler to know: a rule that names fewer directions than its set
 * has dimensions never matches, nor does a set of the other family.
 */
static __always_inline bool set_contains(__u32 id, bool net, const struct pkt *p, __u32 dirs)
{
	const __be32 *from = dirs & 1 ? p->saddr : p->daddr;
	bool v6 = p->family == PG_FAMILY_V6;
	struct pg_set_net_key nkey = {};
	struct pg_set_key key = {};

	key.addr[0] = from[0];
	if (v6) {
		key.addr[1] = from[1];
		key.addr[2] = from[2];
		key.addr[3] = from[3];
	}
	if (net) {
		nkey.prefixlen = PG_SET_FAMILY_BITS + (v6 ? 128 : 32);
		nkey.family = p->family;
		__builtin_memcpy(nkey.addr, key.addr, sizeof(nkey.addr));
		return set_find_net(id, &nkey);
	}
	key.family = p->family;
	if (dirs & PG_SET_WITH_PORT && !set_port(p, dirs & 2, &key))
		return false;
	return set_find_hash(id, &key);
}
