/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Conditions on what stands behind the fixed header: options of TCP and DCCP, chunks of SCTP, the
 * addresses of an IPv6 routing header. They are read where they are asked for, one of them each time
 * the check is made: CHECK_AGAIN until it is answered. progress.walk is where the next one stands in
 * the frame, and 0 at the start.
 */
#pragma once

static __always_inline bool load_piece(const struct loop *loop, struct pkt *p, __u32 at, __u32 len)
{
	bool ok = !(loop->xdp ? bpf_xdp_load_bytes(loop->ctx, at, p->out, len) :
				bpf_skb_load_bytes(loop->ctx, at, p->out, len));

	barrier();
	return ok;
}

/* Such a packet is dropped; an inverted condition holds for it nevertheless, and the rule counts. */
static __always_inline enum check_result drops(const struct pg_check *c)
{
	return c->invert ? CHECK_HOLDS_AND_DROPS : CHECK_DROPS;
}

/* Options -------------------------------------------------------------------------------------- */

/* xt_tcpudp.c tcp_find_option(): dropped in any case where they are cut off. */
static __always_inline enum check_result begin_tcp_options(const struct loop *loop, struct pkt *p)
{
	__u32 doff;

	if (!load_piece(loop, p, p->l4 + 12, 1))
		return CHECK_DROPS;
	doff = (p->out[0] >> 4) * 4;
	if (p->l4 - p->l3 + doff > p->ip_len)
		return CHECK_DROPS;
	p->progress.walk = p->l4 + 20;
	p->progress.walk_end = p->l4 + doff;
	return CHECK_AGAIN;
}

/* net/linux/dccp.h __dccp_hdr_len(), by the header's ninth byte: extended sequence number, type. */
static __always_inline __u32 dccp_header_len(__u8 byte)
{
	/* What follows the generic header, in words, by type: 4 bits each. */
	const __u64 words = 0x3333332232222031ULL;

	return 12 + (byte & 1) * 4 + (words >> (byte >> 1 & 15) * 4 & 15) * 4;
}

/* xt_dccp.c dccp_find_option() */
static __always_inline enum check_result begin_dccp_options(const struct loop *loop,
							    const struct pg_check *c,
							    struct pkt *p)
{
	__u32 begin, end;

	if (!load_piece(loop, p, p->l4, 9))
		return drops(c);
	begin = dccp_header_len(p->out[8]);
	end = p->out[4] * 4;
	if (end < begin || (end > begin && p->l4 - p->l3 + end > p->ip_len))
		return drops(c);
	p->progress.walk = p->l4 + begin;
	p->progress.walk_end = p->l4 + end;
	return CHECK_AGAIN;
}

static __always_inline enum check_result check_option(const struct loop *loop,
						      const struct pg_check *c, struct pkt *p)
{
	struct progress *at = &p->progress;
	enum check_result r;
	__u8 kind, len = 0;
	__u32 left;

	if (!at->walk) {
		r = p->proto == IPPROTO_TCP ? begin_tcp_options(loop, p) :
					      begin_dccp_options(loop, c, p);
		if (r != CHECK_AGAIN)
			return r;
		barrier();
	}
	left = at->walk_end - at->walk;
	if ((__s32)left <= 0)
		return holds(c->invert);
	if (!(left > 1 ? load_piece(loop, p, at->walk, 2) : load_piece(loop, p, at->walk, 1)))
		return CHECK_DROPS;
	kind = p->out[0];
	if (kind == c->v[0])
		return holds(!c->invert);
	if (kind > 1 && left > 1)
		len = p->out[1];
	at->walk += len ?: 1;
	return CHECK_AGAIN;
}

static __always_inline enum check_result check_dccp_type(const struct loop *loop,
							 const struct pg_check *c, struct pkt *p)
{
	if (!load_piece(loop, p, p->l4 + 8, 1))
		return CHECK_DROPS;
	return holds((c->v[0] >> (p->out[0] >> 1 & 15) & 1) != c->invert);
}

/* Chunks --------------------------------------------------------------------------------------- */

/* The flags of this type are as they are asked for, if they are (xt_sctp.c match_flags()). */
static __always_inline bool chunk_flags_hold(const struct pg_check *c, __u8 type, __u8 flags)
{
	const struct pg_chunk_flags *f = c->chunks.flag;

#pragma unroll
	for (int i = 0; i < PG_CHUNK_FLAGS; i++)
		if (i < c->chunks.n_flags && f[i].type == type)
			return (flags & f[i].mask) == f[i].flag;
	return true;
}

static __always_inline bool no_chunks_left(const struct pkt *p)
{
	__u32 left = 0;

#pragma unroll
	for (int i = 0; i < 8; i++)
		left |= p->chunks_left[i];
	return !left;
}

/* xt_sctp.c match_packet() */
static __always_inline enum check_result check_chunks(const struct loop *loop,
						      const struct pg_check *c, struct pkt *p)
{
	struct progress *at = &p->progress;
	__u32 end = p->l3 + p->ip_len, len, bit;
	__u8 type, op = c->chunks.op;
	bool wanted;

	if (!at->walk) {
		at->walk = p->l4 + 12;
		__builtin_memcpy(p->chunks_left, c->chunks.map, sizeof(p->chunks_left));
	}
	if (at->walk + 4 > end || !load_piece(loop, p, at->walk, 4))
		return drops(c);
	len = p->out[2] << 8 | p->out[3];
	if (!len)
		return drops(c);
	type = p->out[0];
	bit = 1U << (type & 31);
	wanted = c->chunks.map[type >> 5 & 7] & bit;
	if (op == PG_CHUNKS_ONLY && !wanted)
		return holds(c->invert);
	if (wanted && chunk_flags_hold(c, type, p->out[1])) {
		if (op == PG_CHUNKS_ANY)
			return holds(!c->invert);
		p->chunks_left[type >> 5 & 7] &= ~bit;
	} else if (wanted && op == PG_CHUNKS_ONLY) {
		return holds(c->invert);
	}
	at->walk += (len + 3) & ~3U;
	if (at->walk < end)
		return CHECK_AGAIN;
	if (op == PG_CHUNKS_ANY)
		return holds(c->invert);
	return holds((op == PG_CHUNKS_ONLY || no_chunks_left(p)) != c->invert);
}

/* Addresses of a routing header ---------------------------------------------------------------- */

static __always_inline __u32 rt_addrs(const struct pkt *p)
{
	return (p->field[PG_FIELD_RT_LEN - PG_FIELD_ESP_SPI] - 8) / 16;
}

/* ip6t_rt.c rt_mt6(). Behind the fields of the header, so there is one. */
static __always_inline enum check_result check_rt_count(const struct pg_check *c, struct pkt *p)
{
	p->rt_next = 0;
	return holds(c->v[1] ? c->v[0] == rt_addrs(p) : c->v[0] <= rt_addrs(p));
}

/* The next address; unless strict, one of those that are left. */
static __always_inline enum check_result check_rt_addr(const struct loop *loop,
						       const struct pg_check *c, struct pkt *p)
{
	const __be32 *addr = (const void *)p->out;

	if (p->rt_next >= rt_addrs(p))
		return CHECK_FAILS;
	if (!load_piece(loop, p, p->rt_at + 8 + 16 * p->rt_next, 16))
		return CHECK_DROPS;
	p->rt_next++;
	if (addr[0] == c->addr[4] && addr[1] == c->addr[5] && addr[2] == c->addr[6] &&
	    addr[3] == c->addr[7])
		return CHECK_HOLDS;
	return c->v[0] ? CHECK_FAILS : CHECK_AGAIN;
}
