/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fields of headers that few rules ask for: TCP's MSS, the SPI of ESP and AH, IPv6 extension
 * headers. Only where the policy needs them, and then by helpers, which is slow and simple.
 */
#pragma once

/* `len` bytes of the frame into memory of ours. */
static __always_inline bool load(void *ctx, bool xdp, __u32 at, void *to, __u32 len)
{
	return !(xdp ? bpf_xdp_load_bytes(ctx, at, to, len) : bpf_skb_load_bytes(ctx, at, to, len));
}

/*
 * From 1 to `most` of them, whatever `len` is. Not by comparing len with 0: verifiers before 6.8 learn
 * nothing of it, and all lose it where clang makes one question of two.
 */
static __always_inline bool load_some(void *ctx, bool xdp, __u32 at, void *to, __u32 len,
				      __u32 most)
{
	__u64 last = len - 1ULL;

	barrier_var(last);
	return last < most && load(ctx, xdp, at, to, last + 1);
}

static __always_inline void set_field(struct pkt *p, enum pg_field field, __u32 value)
{
	p->field[field - PG_FIELD_ESP_SPI] = value;
	p->have |= 1 << (field - PG_FIELD_ESP_SPI);
}

static __always_inline void cut_field(struct pkt *p, enum pg_field field)
{
	p->cut |= 1 << (field - PG_FIELD_ESP_SPI);
}

/* xt_tcpmss.c tcpmss_mt(): the first MSS option that is whole. */
static __always_inline void load_mss(void *ctx, bool xdp, struct pkt *p)
{
	__u32 doff, len;
	__u8 *opts = p->out;

	if (!load(ctx, xdp, p->l4 + 12, opts, 1))
		return;
	barrier();
	doff = (opts[0] >> 4) * 4;
	if (doff <= 20)
		return;
	len = doff - 20;
	if (p->l4 - p->l3 + doff > p->ip_len)
		return cut_field(p, PG_FIELD_MSS);
	if (!load_some(ctx, xdp, p->l4 + 20, opts, len, 40))
		return;
	p->ext_off = 0; /* in memory, so that the verifier takes it for any number */
	NO_UNROLL for (int n = 0; n < 40; n++) {
		__u32 i;

		barrier();
		i = p->ext_off & 63;
		if (p->ext_off >= len)
			break;
		if (opts[i] == 2 && len - i >= 4 && opts[i + 1] == 4) {
			set_field(p, PG_FIELD_MSS, opts[i + 2] << 8 | opts[i + 3]);
			break;
		}
		p->ext_off = i + (opts[i] < 2 || !opts[i + 1] ? 1 : opts[i + 1]);
	}
}

static __always_inline void cut_ipsec(struct pkt *p, bool ah)
{
	cut_field(p, ah ? PG_FIELD_AH_SPI : PG_FIELD_ESP_SPI);
	if (ah) {
		cut_field(p, PG_FIELD_AH_LEN);
		cut_field(p, PG_FIELD_AH_RES);
	}
}

/* An AH or ESP header of which `have` bytes are in the packet. */
static __always_inline void load_ipsec(void *ctx, bool xdp, struct pkt *p, __u32 at, bool ah,
				       __s32 have)
{
	__u32 *w = (void *)p->out;
	__u32 spi = ah ? 1 : 0;

	if (have < (ah ? 12 : 8))
		return cut_ipsec(p, ah);
	if (!load(ctx, xdp, at, w, 8))
		return;
	barrier();
	/* ip6t_ah.c: nor one that is longer than its packet, in recent kernels. */
	if (ah && p->family == PG_FAMILY_V6 && have < (p->out[1] + 2) << 2)
		return cut_ipsec(p, ah);
	set_field(p, ah ? PG_FIELD_AH_SPI : PG_FIELD_ESP_SPI, bpf_ntohl(w[spi]));
	if (ah) {
		set_field(p, PG_FIELD_AH_LEN, (p->out[1] + 2) << 2);
		set_field(p, PG_FIELD_AH_RES, p->out[2] << 8 | p->out[3]);
	}
}

static __always_inline void load_fragment(void *ctx, bool xdp, struct pkt *p, __u32 at, __s32 have)
{
	__u32 *w = (void *)p->out;

	if (have < 8) {
		cut_field(p, PG_FIELD_FRAG_ID);
		cut_field(p, PG_FIELD_FRAG_BITS);
		cut_field(p, PG_FIELD_FRAG_RES);
		return;
	}
	if (!load(ctx, xdp, at, w, 8))
		return;
	barrier();
	set_field(p, PG_FIELD_FRAG_ID, bpf_ntohl(w[1]));
	set_field(p, PG_FIELD_FRAG_BITS, p->out[2] << 8 | p->out[3]);
	set_field(p, PG_FIELD_FRAG_RES, p->out[1] | (p->out[3] & 6));
}

static __always_inline void cut_routing(struct pkt *p)
{
	cut_field(p, PG_FIELD_RT_TYPE);
	cut_field(p, PG_FIELD_RT_SEGS);
	cut_field(p, PG_FIELD_RT_LEN);
	cut_field(p, PG_FIELD_RT_RESERVED);
}

static __always_inline void load_routing(void *ctx, bool xdp, struct pkt *p, __u32 at, __s32 have)
{
	if (have < 4)
		return cut_routing(p);
	if (!load(ctx, xdp, at, p->out, 4))
		return;
	barrier();
	/* ip6t_rt.c: recent kernels drop one that is longer than its packet, older ones did not match. */
	if (have < ((p->out[1] + 1) << 3))
		return cut_routing(p);
	set_field(p, PG_FIELD_RT_TYPE, p->out[2]);
	set_field(p, PG_FIELD_RT_SEGS, p->out[3]);
	set_field(p, PG_FIELD_RT_LEN, (p->out[1] + 1) << 3);
	p->rt_at = at;
	if (!load(ctx, xdp, at + 4, p->out, 4))
		return;
	barrier();
	set_field(p, PG_FIELD_RT_RESERVED, *(__u32 *)p->out);
}

/* A walk that can't go on finds none of those that it has not met (ipv6_find_hdr(): -EBADMSG). */
static __always_inline void cut_unseen(struct pkt *p, __u32 seen)
{
	if (!(seen & 1))
		cut_ipsec(p, true);
	if (!(seen & 2)) {
		cut_field(p, PG_FIELD_FRAG_ID);
		cut_field(p, PG_FIELD_FRAG_BITS);
		cut_field(p, PG_FIELD_FRAG_RES);
	}
	if (!(seen & 4))
		cut_routing(p);
}

/* IPv6 extension headers, the first of each kind; what lies behind a later fragment's is payload. */
static __always_inline void load_ext(void *ctx, bool xdp, struct pkt *p)
{
	__u32 seen = 0;

	p->ext_off = sizeof(struct ip6_header);
	if (!load(ctx, xdp, p->l3 + 6, p->out, 1))
		return;
	barrier();
	p->ext_next = p->out[0];
	NO_UNROLL for (int i = 0; i < PG_MAX_EXT_HEADERS; i++) {
		__u32 at, off, kind;
		__s32 have;

		barrier();
		off = p->ext_off & 0x7fff;
		kind = p->ext_next;
		at = (p->l3 & 0xff) + off;
		have = (__s32)p->ip_len - (__s32)off;
		if (!ext_kinds[kind & 255].need)
			break;
		if (have < ext_kinds[kind & 255].need) {
			cut_unseen(p, seen);
			break;
		}
		if (kind == IPPROTO_AH && !(seen & 1)) {
			load_ipsec(ctx, xdp, p, at, true, have);
			seen |= 1;
		} else if (kind == IPPROTO_FRAGMENT && !(seen & 2)) {
			load_fragment(ctx, xdp, p, at, have);
			seen |= 2;
		} else if (kind == IPPROTO_ROUTING && !(seen & 4)) {
			load_routing(ctx, xdp, p, at, have);
			seen |= 4;
		}
		if (!(have < 4 ? load(ctx, xdp, at, p->out, 2) : load(ctx, xdp, at, p->out, 4)))
			break;
		barrier();
		if (kind == IPPROTO_FRAGMENT && (p->out[2] << 8 | p->out[3]) & IP6_OFFSET)
			break;
		p->ext_next = p->out[0];
		p->ext_off = off + (kind == IPPROTO_FRAGMENT ? 8 :
				    kind == IPPROTO_AH	     ? (p->out[1] + 2) << 2 :
							       (p->out[1] + 1) << 3);
	}
}

static __always_inline bool may_have_ports(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_ESP: /* its SPI */
	case IPPROTO_AH:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return true;
	}
	return false;
}

/* Ports as xt_hashlimit.c hashlimit_init_dst() finds them, by proto_ports_offset(). */
static __always_inline void load_ports(void *ctx, bool xdp, struct pkt *p)
{
	bool v6 = p->family == PG_FAMILY_V6, later = p->frag == PG_FRAG_LATER;
	__u32 at = p->l4 - p->l3;

	if (v6 && !later && (p->l4_state == PG_L4_BROKEN || p->proto == IPPROTO_NONE))
		return;
	if ((v6 && later) || !may_have_ports(p->proto))
		return set_field(p, PG_FIELD_PORTS, 0);
	if (later) {
		if (!load(ctx, xdp, p->l3, p->out, 1))
			return;
		barrier();
		at = (p->out[0] & 15) * 4;
	}
	if (p->proto == IPPROTO_AH)
		at += 4;
	if (p->ip_len < at + 4 || !load(ctx, xdp, p->l3 + at, p->out, 4))
		return;
	barrier();
	set_field(p, PG_FIELD_PORTS, bpf_ntohl(*(__u32 *)p->out));
}

static __always_inline void load_headers(void *ctx, bool xdp, struct pkt *p)
{
	__s32 have = p->ip_len - (p->l4 - p->l3);

	p->have = p->cut = 0;
	if (!(p->needs & PG_NEED_HEADERS))
		return;
	if (p->family == PG_FAMILY_V6)
		load_ext(ctx, xdp, p);
	barrier();
	load_ports(ctx, xdp, p);
	barrier();
	if (!p->l4)
		return;
	if (p->proto == IPPROTO_TCP && p->l4_state == PG_L4_FULL)
		load_mss(ctx, xdp, p);
	else if (p->proto == IPPROTO_ESP)
		load_ipsec(ctx, xdp, p, p->l4, false, have);
	else if (p->proto == IPPROTO_AH && p->family == PG_FAMILY_V4)
		load_ipsec(ctx, xdp, p, p->l4, true, have);
}
