/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the chunks of a packet do to its SCTP association, as in nf_conntrack: a table, the checks of
 * verification tags (RFC 9260, 8.5), and what belongs to none (8.4). Its CRC32c is not looked at. An end's
 * tag, which all that it sends carries, is kept in pg_flow_window.max_end, as on the wire.
 *
 *	flow_chunks_*()	reads them, into struct flow_pkt
 *	flow_sctp()	one step of the association
 *	flow_sctp_new()	can it begin with this packet?
 */
#pragma once

/* Chunks that say something, by their types; and with the T bit those that bear the other end's tag. */
enum sctp_chunk {
	SCTP_DATA = 0,
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_HEARTBEAT = 4,
	SCTP_HEARTBEAT_ACK = 5,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_ERROR = 9,
	SCTP_COOKIE_ECHO = 10,
	SCTP_COOKIE_ACK = 11,
	SCTP_SHUTDOWN_COMPLETE = 14,
	SCTP_OTHERS_ABORT = 12, /* not ECNE: CHUNK_OTHER */
	SCTP_OTHERS_COMPLETE = 15,
};

/* Sets of them, by type. Any other is as SACK. */
#define CHUNK(name) (1U << SCTP_##name)
#define CHUNK_OTHER (1U << 3)
#define CHUNKS_ALONE (CHUNK(INIT) | CHUNK(INIT_ACK) | CHUNK(SHUTDOWN_COMPLETE))
#define CHUNKS_FIRST (CHUNKS_ALONE | CHUNK(COOKIE_ECHO) | CHUNK(COOKIE_ACK))
/* They begin nothing. */
#define CHUNKS_OF_OLD                                                                              \
	(CHUNK(DATA) | CHUNK_OTHER | CHUNK(ABORT) | CHUNK(SHUTDOWN_COMPLETE) | CHUNK(COOKIE_ACK))
/* Their tag is looked at one by one, or not at all. */
#define CHUNKS_WITH_TAG                                                                            \
	(CHUNK(INIT) | CHUNK(SHUTDOWN_COMPLETE) | CHUNK(COOKIE_ECHO) | CHUNK(ABORT) |              \
	 CHUNK(SHUTDOWN_ACK) | CHUNK(HEARTBEAT) | CHUNK(HEARTBEAT_ACK))

/* How many of them in one packet; one with more is INVALID: no SCTP sends it. */
#define SCTP_SAID 16U

/*
 * How many chunks of a packet are looked at, so that one full of tiny ones costs no more. What says
 * anything comes before DATA (RFC 9260, 6.10).
 */
#define SCTP_CHUNKS 32U

/*
 * What a chunk makes of the state, by type, by whether the opener (0) or the other end (1) sent it, and by
 * the state before. What is not here leaves it as it is, but for what nothing but heartbeats has begun:
 * see next_sctp_state().
 */
#define SCTP(from, to) [PG_SCTP_##from] = PG_SCTP_##to
#define SCTP_ABORT_ROW                                                                             \
	{                                                                                          \
		[PG_SCTP_ESTABLISHED ... PG_SCTP_SHUTDOWN_ACK_SENT] = PG_SCTP_CLOSED               \
	}
#define SCTP_BOTH(...) { { __VA_ARGS__ }, { __VA_ARGS__ } }

static const __u8 sctp_next[16][2][16] = {
	[SCTP_INIT] = { { SCTP(SHUTDOWN_SENT, CLOSED), SCTP(SHUTDOWN_RECD, CLOSED),
			  SCTP(HEARTBEAT_SENT, COOKIE_WAIT) } },
	[SCTP_INIT_ACK] = { { 0 }, { SCTP(CLOSED, COOKIE_WAIT) } },
	[SCTP_COOKIE_ECHO] = SCTP_BOTH(SCTP(COOKIE_WAIT, COOKIE_ECHOED)),
	[SCTP_COOKIE_ACK] = SCTP_BOTH(SCTP(COOKIE_ECHOED, ESTABLISHED)),
	[SCTP_ERROR] = { { 0 }, { SCTP(COOKIE_ECHOED, CLOSED) } },
	[SCTP_ABORT] = { SCTP_ABORT_ROW, SCTP_ABORT_ROW },
	[SCTP_SHUTDOWN] = { { SCTP(ESTABLISHED, SHUTDOWN_SENT) },
			    { SCTP(ESTABLISHED, SHUTDOWN_RECD) } },
	[SCTP_SHUTDOWN_ACK] = { { SCTP(NONE, SHUTDOWN_ACK_SENT),
				  SCTP(HEARTBEAT_SENT, SHUTDOWN_ACK_SENT),
				  SCTP(SHUTDOWN_SENT, SHUTDOWN_ACK_SENT),
				  SCTP(SHUTDOWN_RECD, SHUTDOWN_ACK_SENT) },
				{ SCTP(SHUTDOWN_SENT, SHUTDOWN_ACK_SENT),
				  SCTP(SHUTDOWN_RECD, SHUTDOWN_ACK_SENT) } },
	[SCTP_SHUTDOWN_COMPLETE] = SCTP_BOTH(SCTP(SHUTDOWN_ACK_SENT, CLOSED)),
	[SCTP_HEARTBEAT] = { { SCTP(NONE, HEARTBEAT_SENT), SCTP(HEARTBEAT_SENT, HEARTBEAT_SENT) },
			     { SCTP(HEARTBEAT_SENT, HEARTBEAT_SENT) } },
	[SCTP_HEARTBEAT_ACK] = { { SCTP(HEARTBEAT_SENT, HEARTBEAT_SENT) },
				 { SCTP(HEARTBEAT_SENT, ESTABLISHED) } },
};

#undef SCTP
#undef SCTP_ABORT_ROW
#undef SCTP_BOTH

/* NONE: it can't be. */
static __always_inline __u8 next_sctp_state(__u8 chunk, bool reply, __u8 state)
{
	__u8 next = sctp_next[chunk & 15][reply & 1][state & 15];

	if (next)
		return next;
	if (state != PG_SCTP_NONE && state != PG_SCTP_HEARTBEAT_SENT)
		return state;
	return reply ? PG_SCTP_NONE : PG_SCTP_CLOSED;
}

/* Reading -------------------------------------------------------------------------------------- */

/* CHUNK_OTHER, as a type. */
#define SCTP_OTHER 3U

static __always_inline __u32 known_type(__u32 type)
{
	const __u32 known = CHUNKS_OF_OLD | CHUNKS_FIRST | CHUNKS_WITH_TAG | CHUNK(SHUTDOWN) | CHUNK(ERROR);

	return type < 16 && known >> type & 1 ? type : SCTP_OTHER;
}

/* Into f->said. False: there are too many. */
static __always_inline bool note_chunk(struct flow_pkt *f, __u32 type, bool bears_others_tag)
{
	__u32 n = f->n_said;

	if (type == SCTP_DATA || type == SCTP_OTHER)
		return true;
	if (n >= SCTP_SAID)
		return false;
	if (bears_others_tag && type == SCTP_ABORT)
		type = SCTP_OTHERS_ABORT;
	if (bears_others_tag && type == SCTP_SHUTDOWN_COMPLETE)
		type = SCTP_OTHERS_COMPLETE;
	f->said |= (__u64)type << 4 * n;
	f->n_said = n + 1;
	return true;
}

/* The chunk at p->ext_off. False: it is not there, or not where it may be: then f->chunks is 0. */
static __always_inline bool read_chunk(const struct source *s)
{
	struct flow_pkt *f = &s->p->flow;
	const __u8 *chunk = s->p->out;
	__u32 at = s->p->ext_off, len, type, before = f->chunks;

	if (!load_from(s, at, s->p->out, 4))
		return false;
	barrier();
	type = known_type(chunk[0]);
	len = chunk[2] << 8 | chunk[3];
	f->chunks |= 1U << type;
	s->p->ext_off = at + ((len + 3) & ~3U);
	if (len && !(before & CHUNKS_ALONE) && !(before && CHUNKS_FIRST >> type & 1) &&
	    note_chunk(f, type, chunk[1] & 1))
		return true;
	f->chunks = 0;
	return false;
}

static long read_chunk_xdp(__u64 i, struct loop *loop)
{
	const struct source s = { loop->ctx, true, this_pkt() };

	(void)i;
	return !s.p || !read_chunk(&s);
}

static long read_chunk_tc(__u64 i, struct loop *loop)
{
	const struct source s = { loop->ctx, false, this_pkt() };

	(void)i;
	return !s.p || !read_chunk(&s);
}

static __always_inline void begin_chunks(struct pkt *p)
{
	struct flow_pkt *f = &p->flow;

	f->chunks = f->n_said = 0;
	f->said = 0;
	p->ext_off = p->l4 + 12;
}

/* The tags: the packet's own, and the one that an INIT or INIT-ACK asks for. */
static __always_inline void read_tags(const struct source *s)
{
	struct flow_pkt *f = &s->p->flow;
	const __be32 *word = (const void *)s->p->out;

	if (!load_from(s, s->p->l4, s->p->out, 12)) {
		f->chunks = 0;
		return;
	}
	f->vtag = word[1];
	if (!(f->chunks & (CHUNK(INIT) | CHUNK(INIT_ACK))))
		return;
	if (!load_from(s, s->p->l4 + 16, s->p->out, 16))
		f->chunks = 0;
	barrier();
	f->init_tag = word[0];
}

__noinline int flow_chunks_xdp(struct xdp_md *ctx, struct pkt *p)
{
	const struct source s = { ctx, true, p };
	struct loop loop = { .ctx = ctx };

	if (!p)
		return 0;
	begin_chunks(p);
	bpf_loop(SCTP_CHUNKS, read_chunk_xdp, &loop, 0);
	read_tags(&s);
	return p->flow.chunks;
}

__noinline int flow_chunks_tc(struct __sk_buff *ctx, struct pkt *p)
{
	const struct source s = { ctx, false, p };
	struct loop loop = { .ctx = ctx };

	if (!p)
		return 0;
	begin_chunks(p);
	bpf_loop(SCTP_CHUNKS, read_chunk_tc, &loop, 0);
	read_tags(&s);
	return p->flow.chunks;
}

/* Steps ---------------------------------------------------------------------------------------- */

/*
 * A heartbeat may come over another path, on which we have not seen its tag: then it is let through, and
 * whoever answers it there has begun anew. False: it is of no association; `*skips`: it moves nothing.
 */
static __always_inline bool take_heartbeat(struct flow_pkt *f, bool answers, bool *skips)
{
	const __u64 from = f->from ? PG_FLOW_SCTP_LOST_TAG_FROM_1 : 0;

	if (!f->snd.max_end) {
		f->snd.max_end = f->vtag;
		return true;
	}
	if (f->vtag == f->snd.max_end) {
		f->status &= ~PG_FLOW_SCTP_LOST_TAG;
		return true;
	}
	if (f->chunks & CHUNK(DATA) || f->ignored)
		return false;
	if (!answers) {
		f->status = (f->status & ~PG_FLOW_SCTP_LOST_TAG_FROM_1) | PG_FLOW_SCTP_LOST_TAG | from;
		f->ignored = *skips = true;
		return true;
	}
	if (!(f->status & PG_FLOW_SCTP_LOST_TAG) || (f->status & PG_FLOW_SCTP_LOST_TAG_FROM_1) == from)
		return false;
	f->status &= ~PG_FLOW_SCTP_LOST_TAG;
	f->snd.max_end = f->vtag;
	f->rcv.max_end = 0;
	return true;
}

/* The tag that an INIT or INIT-ACK asks for. False: another one was agreed upon. */
static __always_inline bool take_init(struct flow_pkt *f, __u32 chunk, __u8 state, __u8 next)
{
	const __u64 own = of_end(PG_FLOW_SCTP_INIT, f->from), others = of_end(PG_FLOW_SCTP_INIT, f->from ^ 1);

	if (chunk == SCTP_INIT) {
		/* One that asks again for the same tag begins no handshake (Linux 7.1, and 6.18.y). */
		if (state == PG_SCTP_NONE || f->rcv.max_end != f->init_tag) {
			if (f->status & own)
				f->status &= ~others;
			f->status |= own;
		}
		/* One that comes again does not prolong the life of what nobody has answered. */
		f->ignored |= state == PG_SCTP_CLOSED && next == PG_SCTP_CLOSED;
	} else if (f->rcv.max_end != f->init_tag &&
		   ((!(f->status & others) && f->rcv.max_end) ||
		    (f->status & own && f->status & others))) {
		return false;
	}
	f->rcv.max_end = f->init_tag;
	return true;
}

static __always_inline bool has_right_tag(const struct flow_pkt *f, __u32 chunk)
{
	switch (chunk) {
	case SCTP_INIT:
		return !f->vtag;
	case SCTP_ABORT:
	case SCTP_SHUTDOWN_COMPLETE:
	case SCTP_COOKIE_ECHO:
		return f->vtag == f->snd.max_end;
	case SCTP_OTHERS_ABORT:
	case SCTP_OTHERS_COMPLETE:
		return f->vtag == f->rcv.max_end;
	}
	return true;
}

/* False: the packet is INVALID from here on; what chunks before this one have changed holds. */
static __always_inline bool take_chunk(struct flow_pkt *f, __u32 chunk, bool reply)
{
	__u8 state = f->status & PG_FLOW_SCTP_STATE, next;
	bool skips = false;

	if (!has_right_tag(f, chunk))
		return false;
	if (chunk == SCTP_COOKIE_ACK)
		f->status &= ~(PG_FLOW_SCTP_INIT | PG_FLOW_SCTP_INIT << 1);
	if ((chunk == SCTP_HEARTBEAT || chunk == SCTP_HEARTBEAT_ACK) &&
	    !take_heartbeat(f, chunk == SCTP_HEARTBEAT_ACK, &skips))
		return false;
	if (skips)
		return true;
	if (chunk == SCTP_OTHERS_ABORT)
		chunk = SCTP_ABORT;
	if (chunk == SCTP_OTHERS_COMPLETE)
		chunk = SCTP_SHUTDOWN_COMPLETE;
	next = next_sctp_state(chunk, reply, state);
	if (next == PG_SCTP_NONE)
		return false;
	if ((chunk == SCTP_INIT || chunk == SCTP_INIT_ACK) && !take_init(f, chunk, state, next))
		return false;
	f->status = (f->status & ~PG_FLOW_SCTP_STATE) | next;
	if (next == PG_SCTP_ESTABLISHED && state != PG_SCTP_ESTABLISHED)
		f->status |= PG_FLOW_ASSURED;
	return true;
}

/* A function of its own: the loop below would be 16 of it to the verifier. */
__noinline int flow_sctp_chunk(struct pkt *p, __u32 chunk, __u32 reply)
{
	return p && take_chunk(&p->flow, chunk & 15, reply & 1);
}

/* From f->status, f->snd and f->rcv to what they are behind the packet; its effect. */
__noinline int flow_sctp(struct pkt *p, __u32 reply)
{
	struct flow_pkt *f;

	if (!p)
		return FLOW_REFUSES;
	f = &p->flow;
	f->ignored = 0;
	if (!(f->chunks & CHUNKS_WITH_TAG) && f->vtag != f->snd.max_end)
		return FLOW_REFUSES;
	NO_UNROLL for (__u32 i = 0; i < SCTP_SAID; i++) {
		barrier();
		if (i >= f->n_said)
			break;
		if (!flow_sctp_chunk(p, f->said >> 4 * i & 15, reply))
			return FLOW_SPOILS;
	}
	return f->ignored ? FLOW_STAYS : FLOW_GOES_ON;
}

/* Can an association begin with the packet? If so, f->status, f->snd and f->rcv are its. */
__noinline int flow_sctp_new(struct pkt *p)
{
	struct flow_pkt *f;

	if (!p)
		return 0;
	f = &p->flow;
	if (f->chunks & CHUNKS_OF_OLD)
		return 0;
	f->status = 0;
	__builtin_memset(&f->snd, 0, sizeof(f->snd));
	__builtin_memset(&f->rcv, 0, sizeof(f->rcv));
	if (f->chunks & CHUNK(INIT))
		f->rcv.max_end = f->init_tag;
	if (f->chunks & CHUNK(SHUTDOWN_ACK))
		f->rcv.max_end = f->vtag;
	if (f->chunks & CHUNK(HEARTBEAT))
		f->snd.max_end = f->vtag;
	return flow_sctp(p, 0) == FLOW_GOES_ON;
}

/* As tcp_step(). */
static __always_inline enum flow_effect sctp_step(struct pkt *p, const struct pg_flow *flow, bool reply)
{
	struct flow_pkt *f = &p->flow;

	f->moves = f->trouble = 0;
	f->status = f->old;
	take_windows(f, flow);
	return flow_sctp(p, reply);
}

static __always_inline __u8 sctp_timeout(const struct flow_pkt *f)
{
	return PG_TIMEOUT_SCTP_ESTABLISHED + (f->status & PG_FLOW_SCTP_STATE) - PG_SCTP_ESTABLISHED;
}
