/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel's routing knows of a packet's addresses: what kind they are (from the command's
 * copy of table `local`), and which interface the way back to the sender leads through.
 */
#pragma once

static __always_inline void copy_addr(__be32 *to, const struct pkt *p, bool dest)
{
	const __be32 *from = dest ? p->daddr : p->saddr;

	to[0] = from[0];
	to[1] = to[2] = to[3] = 0;
	if (p->family == PG_FAMILY_V6)
		__builtin_memcpy(to + 1, from + 1, 12);
}

/* RTN_* as in linux/rtnetlink.h */
enum { RTN_UNSPEC, RTN_UNICAST, RTN_LOCAL = 2, RTN_BROADCAST = 3, RTN_ANYCAST = 4, RTN_MULTICAST = 5,
       RTN_UNREACHABLE = 7 };

/* As net/ipv4/fib_frontend.c __inet_dev_addr_type(), with the command's copy of the local table. */
static __always_inline const struct pg_local *find_local(const struct pkt *p, bool dest)
{
	struct pg_local_key key = { .prefixlen = 8 * (4 + 16), .family = p->family };

	copy_addr(key.addr, p, dest);
	return bpf_map_lookup_elem(&pg_locals, &key);
}

/* `ifindex`: of the interface whose addresses count; 0: of all. */
static __always_inline __u32 addr_type(const struct pkt *p, bool dest, __u32 ifindex)
{
	__u32 first = bpf_ntohl(dest ? p->daddr[0] : p->saddr[0]);
	const struct pg_local *local;

	if (p->family == PG_FAMILY_V6 && first >> 24 == 0xff)
		return RTN_MULTICAST;
	if (p->family == PG_FAMILY_V4 && (!first || first == ~0U))
		return RTN_BROADCAST;
	if (p->family == PG_FAMILY_V4 && first >> 28 == 14)
		return RTN_MULTICAST;
	local = find_local(p, dest);
	if (!local || (ifindex && local->ifindex != ifindex))
		return RTN_UNICAST;
	return local->type;
}

/* What the kernel is asked of a packet's way on. */
static __always_inline void ask_way(const struct pkt *p, struct bpf_fib_lookup *q)
{
	__builtin_memset(q, 0, sizeof(*q));
	q->family = p->family == PG_FAMILY_V6 ? AF_INET6 : AF_INET;
	q->l4_protocol = p->proto;
	q->ifindex = cfg.ifindex;
	if (p->has_ports) {
		q->sport = bpf_htons(p->sport);
		q->dport = bpf_htons(p->dport);
	}
	q->src[0] = p->saddr[0];
	q->dst[0] = p->daddr[0];
	if (p->family == PG_FAMILY_V6) {
		q->tos_or_flow = bpf_htonl(p->tos << 20);
		__builtin_memcpy(q->src, p->saddr, 16);
		__builtin_memcpy(q->dst, p->daddr, 16);
	} else {
		*(__u8 *)&q->tos_or_flow = p->tos;
	}
}

/* Reverse path --------------------------------------------------------------------------------- */

#define LOOPBACK_IFINDEX 1

/*
 * The kernel looks for no ways to link-local addresses on behalf of programs. Where they are not the
 * link's, others of the same short prefixes tell whether there is another way.
 */
#define NO_LONGER_LINK_LOCAL bpf_htonl(0x00400000)

static __always_inline bool is_link_local(const __be32 *addr)
{
	return (addr[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* The question that the packet's answer would be; the kernel's module asks from the loopback device. */
static __always_inline void ask_back4(struct bpf_fib_lookup *fib, const struct pkt *p)
{
	__u32 to = bpf_ntohl(p->daddr[0]);

	fib->family = AF_INET;
	fib->dst[0] = p->saddr[0];
	if (to >> 28 != 14 && to != ~0U)
		fib->src[0] = p->daddr[0];
	*(__u8 *)&fib->tos_or_flow = p->tos;
}

static __always_inline void ask_back6(struct bpf_fib_lookup *fib, const struct pkt *p)
{
	bool unicast = bpf_ntohl(p->daddr[0]) >> 24 != 0xff && !is_link_local(p->daddr);

	fib->family = AF_INET6;
	fib->l4_protocol = p->proto;
	fib->tos_or_flow = bpf_htonl((__u32)p->tos << 20);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		fib->dst[i] = p->saddr[i];
		fib->src[i] = unicast ? p->daddr[i] : 0;
	}
	if (is_link_local(p->saddr))
		fib->dst[0] |= NO_LONGER_LINK_LOCAL;
}

/*
 * One look-up; FIB_*. From the loopback device, as the kernel's module asks, so that rules with `iif`
 * and what the arrival's own device may do have no say. `output`: a way that leaves there is wanted.
 */
static __always_inline long find_back(void *ctx, struct pkt *p, __u32 output, __u32 mark)
{
	struct bpf_fib_lookup *fib = (void *)p->out; /* not on the stack, which is short */
	__u32 flags = output ? FIB_OUTPUT : 0;
	long r = -1;

	__builtin_memset(fib, 0, sizeof(*fib));
	if (p->family == PG_FAMILY_V4)
		ask_back4(fib, p);
	else
		ask_back6(fib, p);
	fib->ifindex = output ?: LOOPBACK_IFINDEX;
	fib->mark = mark;
	if (mark) /* older kernels know nothing of it: there the tables that a mark leads to have no say */
		r = bpf_fib_lookup(ctx, fib, sizeof(*fib), flags | FIB_MARK);
	if (r < 0)
		r = bpf_fib_lookup(ctx, fib, sizeof(*fib), flags);
	return r;
}

/*
 * ipt_rpfilter.c and ip6t_rpfilter.c rpfilter_mt(), but for --invert. What they ask and we can't: of
 * several equal ways of IPv4 the one that the packet's hash chooses is looked at, not all, and of
 * IPv6 ways to one prefix those of the best metric; those through a tunnel of the route's own (`encap`)
 * count with --loose only; where one link has link-local addresses, all have.
 */
static __always_inline bool comes_from_there(void *ctx, struct pkt *p, __u32 how)
{
	const struct bpf_fib_lookup *fib = (const void *)p->out;
	__u32 to = bpf_ntohl(p->daddr[0]);
	__u32 mark = how & PG_RPFILTER_MARK ? p->mark : 0;
	bool v6 = p->family == PG_FAMILY_V6, loose = how & PG_RPFILTER_LOOSE;
	long r;

	if (cfg.ifindex == LOOPBACK_IFINDEX)
		return true;
	if (v6 && !(p->saddr[0] | p->saddr[1] | p->saddr[2] | p->saddr[3]))
		return true;
	if (!v6 && !p->saddr[0] && (to == ~0U || to >> 8 == 0xe00000))
		return true;
	if (addr_type(p, false, v6 || loose ? 0 : cfg.ifindex) == RTN_LOCAL)
		return how & PG_RPFILTER_LOCAL;
	if (v6 && is_link_local(p->saddr) && find_local(p, false))
		return true;
	r = FIB_NOT_ENABLED;
	if (v6 && !loose) /* of ways with one destination, IPv6 prefers what leaves there */
		r = find_back(ctx, p, cfg.ifindex, mark);
	if (r == FIB_NOT_ENABLED)
		r = find_back(ctx, p, 0, mark);
	barrier();
	switch (r) {
	case FIB_FOUND:
	case FIB_NO_NEIGHBOUR:
	case FIB_TOO_LARGE:
		return loose || fib->ifindex == cfg.ifindex;
	case FIB_ENCAPSULATED:
		return loose;
	case FIB_NOT_ENABLED: /* nobody knows: rather no test than a host that hears nobody */
		return true;
	}
	return false;
}

/*
 * Of what arrives for an address that was not the host's when the policy came: is it now? The kernel would not
 * route it on.
 */
static __always_inline bool is_new_here(void *ctx, struct pkt *p)
{
	struct bpf_fib_lookup *fib = (void *)p->out;
	long r;

	if (p->pkttype || find_local(p, true))
		return false;
	ask_way(p, fib);
	r = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	return r == FIB_NOT_FORWARDED || r == FIB_NOT_ENABLED;
}

/*
 * xt_addrtype.c match_lookup_rt6(), of an address that is not the host's own: there is no way to it,
 * or one that leads nowhere. Multicast always has one.
 */
static __always_inline bool is_unreachable6(void *ctx, struct pkt *p, bool dest)
{
	struct bpf_fib_lookup *fib = (void *)p->out;
	const __be32 *addr = dest ? p->daddr : p->saddr;
	__u32 type = addr_type(p, dest, 0);
	long r;

	if (type != RTN_UNICAST || (is_link_local(addr) && find_local(p, dest)))
		return false;
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->family = AF_INET6;
	fib->ifindex = LOOPBACK_IFINDEX;
	__builtin_memcpy(fib->dst, addr, 16);
	if (is_link_local(addr))
		fib->dst[0] |= NO_LONGER_LINK_LOCAL;
	r = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
	return r >= FIB_BLACKHOLE && r <= FIB_NOT_FORWARDED;
}
