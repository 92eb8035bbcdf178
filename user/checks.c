/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "checks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "match.h"

size_t pg_match_checks(const struct pg_match *m)
{
	switch (m->kind) {
	case PG_MATCH_TCP:
		return m->ports.option.set;
	case PG_MATCH_DCCP:
		return m->ports.dccp_types_set + m->ports.option.set;
	case PG_MATCH_SCTP:
		return m->ports.chunks != NULL;
	case PG_MATCH_UDP:
	case PG_MATCH_UDPLITE:
	case PG_MATCH_ICMP:
	case PG_MATCH_ICMP6:
	case PG_MATCH_MULTIPORT:
	case PG_MATCH_COMMENT:
		return 0;
	case PG_MATCH_CONNTRACK:
		return __builtin_popcount(m->conntrack.given);
	case PG_MATCH_IPRANGE:
		return m->iprange.src_set + m->iprange.dst_set;
	case PG_MATCH_AH:
		return 1 + m->ah.len.set + m->ah.res;
	case PG_MATCH_FRAG:
		return 1 + m->frag.id.set + m->frag.res + m->frag.first + m->frag.more +
		       m->frag.last;
	case PG_MATCH_RT:
		return 1 + m->rt.type.set + m->rt.segsleft.set + m->rt.len.set + m->rt.res +
		       (m->rt.n_addrs ? 1 + m->rt.n_addrs : 0);
	default:
		return 1;
	}
}

bool pg_match_remembers(const struct pg_match *m)
{
	switch (m->kind) {
	case PG_MATCH_LIMIT:
	case PG_MATCH_HASHLIMIT:
	case PG_MATCH_CONNLIMIT:
	case PG_MATCH_RECENT:
	case PG_MATCH_QUOTA:
	case PG_MATCH_STATISTIC:
	/* These drop what is cut off, even where a match behind them would not hold. */
	case PG_MATCH_TCPMSS:
	case PG_MATCH_ESP:
	case PG_MATCH_AH:
	case PG_MATCH_FRAG:
	case PG_MATCH_RT:
		return true;
	case PG_MATCH_TCP:
	case PG_MATCH_DCCP:
	case PG_MATCH_SCTP:
		return pg_match_checks(m);
	default:
		return false;
	}
}

static bool has_state(const struct pg_match *m)
{
	return m->kind == PG_MATCH_LIMIT || m->kind == PG_MATCH_QUOTA || m->kind == PG_MATCH_CONNLIMIT ||
	       (m->kind == PG_MATCH_STATISTIC && m->statistic.nth);
}

size_t pg_rule_states(const struct pg_rule *rule)
{
	size_t n = 0;

	for (size_t i = 0; i < rule->n_match; i++)
		n += has_state(&rule->match[i]);
	return n;
}

void pg_rule_state_start(const struct pg_rule *rule, size_t n, struct pg_state *ret)
{
	*ret = (struct pg_state){ 0 };
	for (size_t i = 0; i < rule->n_match; i++) {
		const struct pg_match *m = &rule->match[i];

		if (!has_state(m) || n--)
			continue;
		if (m->kind == PG_MATCH_STATISTIC)
			ret->value = m->statistic.every - 1 - m->statistic.packet;
		if (m->kind == PG_MATCH_CONNLIMIT)
			ret->value = pg_clock_ns(CLOCK_MONOTONIC); /* tells its lists from those of rules before it */
		return;
	}
}

uint32_t pg_match_needs(const struct pg_match *m)
{
	switch (m->kind) {
	case PG_MATCH_STATE:
		return PG_NEED_STATE;
	case PG_MATCH_CONNTRACK:
		return m->conntrack.more ? PG_NEED_STATE | PG_NEED_FLOW : PG_NEED_STATE;
	case PG_MATCH_CONNBYTES:
	case PG_MATCH_CONNLIMIT:
		return PG_NEED_STATE | PG_NEED_FLOW;
	case PG_MATCH_HASHLIMIT:
		return m->hashlimit->modes & (PG_HASHLIMIT_SPT | PG_HASHLIMIT_DPT) ? PG_NEED_HEADERS : 0;
	case PG_MATCH_RPFILTER:
		return PG_NEED_ROUTES;
	case PG_MATCH_ADDRTYPE:
		return (m->addrtype.src | m->addrtype.dst) & 1U << RTN_UNREACHABLE ? PG_NEED_ROUTES : 0;
	case PG_MATCH_TCPMSS:
	case PG_MATCH_ESP:
	case PG_MATCH_AH:
	case PG_MATCH_FRAG:
	case PG_MATCH_RT:
		return PG_NEED_HEADERS;
	default:
		return 0;
	}
}

uint64_t pg_name_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
	return h;
}

static struct pg_check field_is(enum pg_field field, uint32_t lo, uint32_t hi, bool invert)
{
	return (struct pg_check){ .kind = PG_CHECK_FIELD, .invert = invert,
				  .v = { field, lo, hi } };
}

static struct pg_check bits_are(enum pg_field field, uint32_t mask, uint32_t value, bool invert)
{
	return (struct pg_check){ .kind = PG_CHECK_BITS, .invert = invert,
				  .v = { field, mask, value } };
}

static struct pg_check range_is(enum pg_field field, const struct pg_u32_range *r)
{
	return r->set ? field_is(field, r->lo, r->hi, r->invert) :
			field_is(field, 0, UINT32_MAX, false);
}

/* In 1/10000 s: the kernel's unit (XT_LIMIT_SCALE). */
static struct pg_check limit(const struct pg_match *m)
{
	uint64_t cost = (uint64_t)m->limit.avg * 100000;

	return (struct pg_check){ .kind = PG_CHECK_LIMIT, .u64 = { cost, cost * m->limit.burst } };
}

static void hashlimit(const struct pg_match *m, struct pg_check *ret)
{
	const struct pg_hashlimit *h = m->hashlimit;
	uint64_t cost, burst;

	if (h->rate_match && h->bytes) {
		/* xt_hashlimit.c rateinfo_init(): bytes of an interval, and how many of them at once. */
		cost = ((h->avg ? UINT32_MAX / h->avg : UINT32_MAX) - 1ULL) << 4;
		burst = h->burst ? h->burst * cost : cost;
	} else if (h->rate_match) {
		cost = h->avg ? 1000000 / h->avg : 0;
		burst = h->burst + cost;
	} else if (h->bytes) {
		/* Of 16 bytes each (xt_hashlimit.c user2credits_byte()). */
		cost = h->avg * PG_HASHLIMIT_SECOND >> 32;
		burst = h->burst;
	} else {
		cost = h->avg * 1000; /* from microseconds */
		burst = cost * h->burst;
	}
	*ret = (struct pg_check){ .kind = PG_CHECK_HASHLIMIT, .invert = h->above,
				  .u64 = { cost, burst, pg_name_hash(h->name) } };
	ret->v[6] = h->modes;
	ret->v[7] = (h->bytes ? PG_HASHLIMIT_BYTES : 0) | (h->rate_match ? PG_HASHLIMIT_RATE : 0);
	ret->v[9] = h->interval_s;
	ret->v[10] = h->expire_ms;
	ret->bytes[32] = h->srcmask;
	ret->bytes[33] = h->dstmask;
}

static int recent(const struct pg_match *m, struct pg_check *ret, struct pg_err *err)
{
	const struct pg_recent *r = m->recent;

	if (r->hitcount > PG_RECENT_STAMPS)
		return pg_fail(err, -EINVAL, "recent: hitcount (%u) is larger than %d", r->hitcount,
			       PG_RECENT_STAMPS);
	*ret = (struct pg_check){ .kind = PG_CHECK_RECENT, .invert = r->invert,
				  .u64 = { pg_name_hash(r->name) } };
	ret->v[2] = r->op;
	ret->v[3] = r->seconds;
	ret->v[4] = r->hitcount;
	ret->v[5] = (r->dest ? PG_RECENT_DEST : 0) | (r->rttl ? PG_RECENT_TTL : 0);
	memcpy(&ret->addr[6], r->mask, 16);
	return 0;
}

static struct pg_check quota(const struct pg_match *m)
{
	return (struct pg_check){ .kind = PG_CHECK_QUOTA, .invert = m->quota.invert,
				  .u64 = { m->quota.bytes } };
}

static struct pg_check statistic(const struct pg_match *m)
{
	if (m->statistic.nth)
		return (struct pg_check){ .kind = PG_CHECK_NTH, .invert = m->statistic.invert,
					  .v = { m->statistic.every - 1 } };
	return (struct pg_check){ .kind = PG_CHECK_RANDOM, .invert = m->statistic.invert,
				  .v = { m->statistic.probability } };
}

/* With fewer directions than its set has dimensions nothing is in it (ip_set_core.c ip_set_test()). */
static int set(const struct pg_match *m, const struct pg_check_sets *sets, struct pg_check *ret,
	       struct pg_err *err)
{
	struct pg_set_ref ref = { .dims = 1 };
	struct pg_diag diag;

	if (sets && sets->find(sets->arg, m->set.name, &ref) < 0) {
		pg_diag(&diag, PG_DIAG_PARAM, NULL, "Set %s doesn't exist.", m->set.name);
		return pg_diag_report(&diag, -ENOENT, err);
	}
	*ret = (struct pg_check){ .kind = PG_CHECK_SET, .invert = m->set.invert,
				  .v = { ref.id, m->set.dirs, ref.net } };
	if (ref.dims > 1)
		ret->v[1] |= PG_SET_WITH_PORT;
	if (m->set.n_dirs < ref.dims)
		ret->v[0] = PG_SETS; /* none has that number: as ip_set_test(), it is never in it */
	return 0;
}

static struct pg_check time_of(const struct pg_match *m)
{
	const struct pg_time *t = m->time;
	struct timezone zone;
	struct pg_check c = { .kind = PG_CHECK_TIME, .s64 = { t->date_start, t->date_stop } };

	c.v[4] = t->daytime_start;
	c.v[5] = t->daytime_stop;
	c.v[6] = t->monthdays;
	c.v[7] = t->weekdays;
	c.v[8] = t->contiguous;
	/* The kernel's sys_tz, as it is now; glibc's gettimeofday() knows nothing of it. */
	if (t->kerneltz && !syscall(SYS_gettimeofday, NULL, &zone))
		c.v[9] = (uint32_t)zone.tz_minuteswest * 60;
	return c;
}

static struct pg_check addrtype(const struct pg_match *m)
{
	const struct pg_addrtype *a = &m->addrtype;

	return (struct pg_check){ .kind = PG_CHECK_ADDRTYPE,
				  .invert = a->src_invert | a->dst_invert << 1,
				  .v = { a->src, a->dst,
					 a->limit_in  ? PG_ADDRTYPE_IN :
					 a->limit_out ? PG_ADDRTYPE_OUT :
							0 } };
}

static struct pg_check mac(const struct pg_match *m)
{
	struct pg_check c = { .kind = PG_CHECK_MAC, .invert = m->mac.invert };

	memcpy(c.bytes, m->mac.addr, 6);
	return c;
}

/* Host order, as two words; of an IPv4 address as the programs copy it: in the first 32 bits. */
static void addr_words(const uint8_t *addr, bool v6, uint64_t *ret)
{
	uint32_t w[4] = { 0 };

	memcpy(w, addr, v6 ? 16 : 4);
	ret[0] = (uint64_t)ntohl(w[0]) << 32 | ntohl(w[1]);
	ret[1] = (uint64_t)ntohl(w[2]) << 32 | ntohl(w[3]);
}

static void iprange(const struct pg_match *m, struct pg_check *ret)
{
	bool v6 = m->iprange.family == PG_V6;

	if (m->iprange.src_set) {
		*ret = (struct pg_check){ .kind = PG_CHECK_SRC_RANGE,
					  .invert = m->iprange.src_invert };
		addr_words(m->iprange.src_lo, v6, (uint64_t *)ret->u64);
		addr_words(m->iprange.src_hi, v6, (uint64_t *)ret->u64 + 2);
		ret++;
	}
	if (m->iprange.dst_set) {
		*ret = (struct pg_check){ .kind = PG_CHECK_DST_RANGE,
					  .invert = m->iprange.dst_invert };
		addr_words(m->iprange.dst_lo, v6, (uint64_t *)ret->u64);
		addr_words(m->iprange.dst_hi, v6, (uint64_t *)ret->u64 + 2);
	}
}

static struct pg_check ttl(const struct pg_match *m)
{
	uint8_t v = m->ttl.value;

	switch (m->ttl.op) {
	case PG_TTL_LT:
		return v ? field_is(PG_FIELD_TTL, 0, v - 1, false) :
			   field_is(PG_FIELD_TTL, 0, UINT32_MAX, true);
	case PG_TTL_GT:
		return field_is(PG_FIELD_TTL, v + 1U, UINT32_MAX, false);
	default:
		return field_is(PG_FIELD_TTL, v, v, m->ttl.op == PG_TTL_NE);
	}
}

static void ah(const struct pg_match *m, struct pg_check *ret)
{
	*ret++ = range_is(PG_FIELD_AH_SPI, &m->ah.spi);
	if (m->ah.len.set)
		*ret++ = range_is(PG_FIELD_AH_LEN, &m->ah.len);
	if (m->ah.res)
		*ret = field_is(PG_FIELD_AH_RES, 0, 0, false);
}

static void frag(const struct pg_match *m, struct pg_check *ret)
{
	/* That there is a fragment header at all. */
	*ret++ = field_is(PG_FIELD_FRAG_BITS, 0, UINT32_MAX, false);
	if (m->frag.id.set)
		*ret++ = range_is(PG_FIELD_FRAG_ID, &m->frag.id);
	if (m->frag.res)
		*ret++ = field_is(PG_FIELD_FRAG_RES, 0, 0, false);
	if (m->frag.first)
		*ret++ = bits_are(PG_FIELD_FRAG_BITS, 0xfff8, 0, false);
	if (m->frag.more)
		*ret++ = bits_are(PG_FIELD_FRAG_BITS, 1, 1, false);
	if (m->frag.last)
		*ret = bits_are(PG_FIELD_FRAG_BITS, 1, 0, false);
}

static void rt(const struct pg_match *m, struct pg_check *ret)
{
	*ret++ = field_is(PG_FIELD_RT_TYPE, 0, UINT32_MAX, false);
	if (m->rt.type.set)
		*ret++ = range_is(PG_FIELD_RT_TYPE, &m->rt.type);
	if (m->rt.segsleft.set)
		*ret++ = range_is(PG_FIELD_RT_SEGS, &m->rt.segsleft);
	if (m->rt.len.set)
		*ret++ = range_is(PG_FIELD_RT_LEN, &m->rt.len);
	if (m->rt.res)
		*ret++ = field_is(PG_FIELD_RT_RESERVED, 0, 0, false);
	if (!m->rt.n_addrs)
		return;
	*ret++ = (struct pg_check){ .kind = PG_CHECK_RT_COUNT,
				    .v = { m->rt.n_addrs, !m->rt.nonstrict } };
	for (unsigned i = 0; i < m->rt.n_addrs; i++, ret++) {
		*ret = (struct pg_check){ .kind = PG_CHECK_RT_ADDR, .v = { !m->rt.nonstrict } };
		memcpy(&ret->addr[4], m->rt.addrs[i], 16);
	}
}

static struct pg_check option_is(const struct pg_match *m)
{
	return (struct pg_check){ .kind = PG_CHECK_OPTION, .invert = m->ports.option.invert,
				  .v = { m->ports.option.lo } };
}

/* In the order in which the kernel asks. */
static void dccp(const struct pg_match *m, struct pg_check *ret)
{
	if (m->ports.dccp_types_set)
		*ret++ = (struct pg_check){ .kind = PG_CHECK_DCCP_TYPE,
					    .invert = m->ports.dccp_types_invert,
					    .v = { m->ports.dccp_types } };
	if (m->ports.option.set)
		*ret = option_is(m);
}

static struct pg_check chunks(const struct pg_match *m)
{
	static const uint8_t op[] = {
		[PG_CHUNK_ANY] = PG_CHUNKS_ANY,
		[PG_CHUNK_ALL] = PG_CHUNKS_ALL,
		[PG_CHUNK_ONLY] = PG_CHUNKS_ONLY,
	};
	const struct pg_sctp_chunks *from = m->ports.chunks;
	struct pg_check c = { .kind = PG_CHECK_CHUNKS, .invert = from->invert };

	for (unsigned i = 0; i < 256; i++)
		c.chunks.map[i / 32] |= (uint32_t)(from->map[i / 8] >> i % 8 & 1) << i % 32;
	c.chunks.op = op[from->op];
	c.chunks.n_flags = from->n_flags;
	for (unsigned i = 0; i < from->n_flags; i++)
		c.chunks.flag[i] = (struct pg_chunk_flags){ from->flag[i].type, from->flag[i].flag,
							    from->flag[i].mask };
	return c;
}

static struct pg_check ct_state(const struct pg_match *m)
{
	return (struct pg_check){ .kind = PG_CHECK_STATE,
				  .invert = !!(m->conntrack.inverted & 1U << PG_CT_PART_STATE),
				  .v = { m->conntrack.states } };
}

static struct pg_check ct_field(enum pg_ct_field field, uint32_t lo, uint32_t hi)
{
	return (struct pg_check){ .kind = PG_CHECK_CT_FIELD, .v = { field, lo, hi } };
}

static struct pg_check ct_addr(const struct pg_conntrack *more, unsigned end)
{
	struct pg_check c = { .kind = PG_CHECK_CT_ADDR, .v = { end } };
	size_t bytes = more->addr[end].family == PG_V4 ? 4 : 16;

	memcpy(&c.addr[2], more->addr[end].addr, bytes);
	memcpy(&c.addr[6], more->addr[end].mask, bytes);
	return c;
}

static struct pg_check ct_part(const struct pg_match *m, enum pg_ct_part part)
{
	const struct pg_conntrack *more = m->conntrack.more;

	switch (part) {
	case PG_CT_PART_STATE:
		return ct_state(m);
	case PG_CT_PART_PROTO:
		return ct_field(PG_CT_PROTO, more->proto, more->proto);
	case PG_CT_PART_STATUS:
		return ct_field(PG_CT_STATUS, more->status, 0);
	case PG_CT_PART_EXPIRE:
		return ct_field(PG_CT_EXPIRES, more->expire_lo, more->expire_hi);
	case PG_CT_PART_DIR:
		return ct_field(PG_CT_DIR, more->reply, more->reply);
	case PG_CT_PART_ORIGSRC:
	case PG_CT_PART_ORIGDST:
	case PG_CT_PART_REPLSRC:
	case PG_CT_PART_REPLDST:
		return ct_addr(more, part - PG_CT_PART_ORIGSRC);
	default:
		part -= PG_CT_PART_ORIGSRCPORT;
		return ct_field(PG_CT_PORT + part, more->port[part].lo, more->port[part].hi);
	}
}

static void conntrack(const struct pg_match *m, struct pg_check *ret)
{
	for (unsigned part = 0; part < _PG_CT_PART_MAX; part++) {
		if (!(m->conntrack.given >> part & 1))
			continue;
		*ret = ct_part(m, part);
		ret->invert = m->conntrack.inverted >> part & 1;
		ret->with_state = m->conntrack.given & 1U << PG_CT_PART_STATE;
		ret++;
	}
}

static struct pg_check connbytes(const struct pg_match *m)
{
	struct pg_check c = { .kind = PG_CHECK_CONNBYTES, .invert = m->connbytes.invert,
			      .u64 = { m->connbytes.lo, m->connbytes.hi } };

	c.v[4] = m->connbytes.mode;
	c.v[5] = m->connbytes.dir;
	return c;
}

/* A prefix longer than the family's addresses is all of them. */
static struct pg_check connlimit(const struct pg_match *m)
{
	return (struct pg_check){ .kind = PG_CHECK_CONNLIMIT, .invert = m->connlimit.upto,
				  .v = { m->connlimit.limit, m->connlimit.dest, m->connlimit.mask } };
}

static struct pg_check rpfilter(const struct pg_match *m)
{
	return (struct pg_check){ .kind = PG_CHECK_RPFILTER, .invert = m->rpfilter.invert,
				  .v = { (m->rpfilter.loose ? PG_RPFILTER_LOOSE : 0) |
					 (m->rpfilter.validmark ? PG_RPFILTER_MARK : 0) |
					 (m->rpfilter.accept_local ? PG_RPFILTER_LOCAL : 0) } };
}

const char *pg_match_unenforced(const struct pg_match *m, unsigned families)
{
	uint32_t types = m->kind == PG_MATCH_ADDRTYPE ? m->addrtype.src | m->addrtype.dst : 0;

	/* The kernel tells programs only whether there is a way, not whether there is one by here. */
	if (families & PG_V6 && types & 1U << RTN_UNREACHABLE && (m->addrtype.limit_in || m->addrtype.limit_out))
		return m->addrtype.limit_in ? "option `--limit-iface-in' is not supported yet with UNREACHABLE of IPv6" :
					      "option `--limit-iface-out' is not supported yet with UNREACHABLE of IPv6";
	return NULL;
}

static struct pg_check simple_check(const struct pg_match *m)
{
	switch (m->kind) {
	case PG_MATCH_STATE:
		return ct_state(m);
	case PG_MATCH_CONNBYTES:
		return connbytes(m);
	case PG_MATCH_CONNLIMIT:
		return connlimit(m);
	case PG_MATCH_LIMIT:
		return limit(m);
	case PG_MATCH_QUOTA:
		return quota(m);
	case PG_MATCH_STATISTIC:
		return statistic(m);
	case PG_MATCH_TIME:
		return time_of(m);
	case PG_MATCH_ADDRTYPE:
		return addrtype(m);
	case PG_MATCH_MAC:
		return mac(m);
	case PG_MATCH_LENGTH:
		return range_is(PG_FIELD_LENGTH, &m->range);
	case PG_MATCH_TCPMSS:
		return range_is(PG_FIELD_MSS, &m->range);
	case PG_MATCH_ESP:
		return range_is(PG_FIELD_ESP_SPI, &m->range);
	case PG_MATCH_TTL:
	case PG_MATCH_HL:
		return ttl(m);
	case PG_MATCH_TOS:
		return bits_are(PG_FIELD_TOS, m->bits.mask, m->bits.value, m->bits.invert);
	case PG_MATCH_DSCP:
		return bits_are(PG_FIELD_TOS, 0xfc, m->bits.value << 2, m->bits.invert);
	case PG_MATCH_MARK:
		return bits_are(PG_FIELD_MARK, m->bits.mask, m->bits.value, m->bits.invert);
	case PG_MATCH_PKTTYPE:
		return field_is(PG_FIELD_PKTTYPE, m->pkttype.type, m->pkttype.type,
				m->pkttype.invert);
	case PG_MATCH_RPFILTER:
		return rpfilter(m);
	case PG_MATCH_TCP:
		return option_is(m);
	case PG_MATCH_SCTP:
		return chunks(m);
	default: /* PG_MATCH_VLAN */
		return field_is(PG_FIELD_VLAN, m->vlan.lo, m->vlan.hi, m->vlan.invert);
	}
}

int pg_match_make_checks(const struct pg_match *m, uint32_t state,
			 const struct pg_check_sets *sets, struct pg_check *ret,
			 struct pg_err *err)
{
	switch (m->kind) {
	case PG_MATCH_CONNTRACK:
		conntrack(m, ret);
		return 0;
	case PG_MATCH_HASHLIMIT:
		hashlimit(m, ret);
		return 0;
	case PG_MATCH_RECENT:
		return recent(m, ret, err);
	case PG_MATCH_SET:
		return set(m, sets, ret, err);
	case PG_MATCH_IPRANGE:
		iprange(m, ret);
		return 0;
	case PG_MATCH_AH:
		ah(m, ret);
		return 0;
	case PG_MATCH_FRAG:
		frag(m, ret);
		return 0;
	case PG_MATCH_RT:
		rt(m, ret);
		return 0;
	case PG_MATCH_DCCP:
		dccp(m, ret);
		return 0;
	default:
		if (!pg_match_checks(m))
			return 0;
		*ret = simple_check(m);
		ret->state = state;
		return 0;
	}
}
