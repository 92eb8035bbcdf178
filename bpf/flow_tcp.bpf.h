/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a segment does to its connection. The pair's state and whether a segment is INVALID are as in
 * nf_conntrack: a table, its exceptions, and the check of the window. The ends' own states follow
 * RFC 9293 as far as what passes here proves them.
 *
 * Not as the kernel: selective acknowledgements are not read, so the window reaches from what is
 * acknowledged in sequence; a segment that repeats the last does not shorten the flow's life, which
 * data that is not acknowledged does anyway; of an established flow nobody notes which end was the last,
 * so a RST behind its sender's last byte is believed also if the other end has sent since.
 */
#pragma once

/* PG_SEG_NONE: flags that no TCP sends together (tcp_valid_flags of nf_conntrack_proto_tcp.c). */
static __always_inline enum pg_segment segment_of(__u8 flags)
{
	const __u8 fin = 1 << PG_FLAG_FIN, syn = 1 << PG_FLAG_SYN, rst = 1 << PG_FLAG_RST,
		   ack = 1 << PG_FLAG_ACK, urg = 1 << PG_FLAG_URG;

	switch (flags & (fin | syn | rst | ack | urg)) {
	case ack:
	case ack | urg:
		return PG_SEG_ACK;
	case syn:
	case syn | urg:
		return PG_SEG_SYN;
	case syn | ack:
		return PG_SEG_SYN_ACK;
	case fin | ack:
	case fin | ack | urg:
		return PG_SEG_FIN;
	case rst:
	case rst | ack:
		return PG_SEG_RST;
	}
	return PG_SEG_NONE;
}

/*
 * What a segment makes of the state, by its event, by whether the opener (0) or the other end (1)
 * sent it, and by the state before. PG_TCP_NONE: it can't be. IGNORED: our entry may be out of step
 * with the ends, so what they may be sorting out among themselves is let through, but not believed.
 */
enum { TCP_IGNORED = _PG_TCP_MAX, TCP_REOPENED, TCP_CHALLENGED };

#define TCP(from, to) [PG_TCP_##from] = PG_TCP_##to
#define IGNORED(from) [PG_TCP_##from] = TCP_IGNORED
#define TCP_FIN_ROW                                                                                \
	{                                                                                          \
		TCP(SYN_RECV, FIN_WAIT), TCP(ESTABLISHED, FIN_WAIT), TCP(FIN_WAIT, LAST_ACK),      \
			TCP(CLOSE_WAIT, LAST_ACK), TCP(LAST_ACK, LAST_ACK),                        \
			TCP(TIME_WAIT, TIME_WAIT), TCP(CLOSE, CLOSE)                               \
	}
#define TCP_ACK_ROW(in_syn_recv)                                                                   \
	TCP(SYN_RECV, in_syn_recv), TCP(ESTABLISHED, ESTABLISHED), TCP(FIN_WAIT, CLOSE_WAIT),      \
		TCP(CLOSE_WAIT, CLOSE_WAIT), TCP(LAST_ACK, TIME_WAIT), TCP(TIME_WAIT, TIME_WAIT),  \
		TCP(CLOSE, CLOSE)
#define TCP_RST_ROW { [PG_TCP_SYN_SENT ... PG_TCP_SYN_SENT2] = PG_TCP_CLOSE }

static const __u8 tcp_next[8][2][16] = {
	[PG_SEG_SYN] = {
		{ TCP(SYN_SENT, SYN_SENT), TCP(SYN_SENT2, SYN_SENT2), TCP(TIME_WAIT, SYN_SENT),
		  TCP(CLOSE, SYN_SENT), IGNORED(SYN_RECV), IGNORED(ESTABLISHED),
		  IGNORED(FIN_WAIT), IGNORED(CLOSE_WAIT), IGNORED(LAST_ACK) },
		{ TCP(SYN_SENT, SYN_SENT2), TCP(SYN_SENT2, SYN_SENT2), TCP(TIME_WAIT, SYN_SENT) },
	},
	[PG_SEG_SYN_ACK] = {
		{ TCP(SYN_RECV, SYN_RECV), TCP(SYN_SENT2, SYN_RECV) },
		{ TCP(SYN_SENT, SYN_RECV), TCP(SYN_SENT2, SYN_RECV), IGNORED(SYN_RECV),
		  IGNORED(ESTABLISHED), IGNORED(FIN_WAIT), IGNORED(CLOSE_WAIT),
		  IGNORED(LAST_ACK), IGNORED(TIME_WAIT), IGNORED(CLOSE) },
	},
	[PG_SEG_FIN] = { TCP_FIN_ROW, TCP_FIN_ROW },
	[PG_SEG_ACK] = {
		{ TCP_ACK_ROW(ESTABLISHED) },
		{ TCP_ACK_ROW(SYN_RECV), IGNORED(SYN_SENT), IGNORED(SYN_SENT2) },
	},
	[PG_SEG_RST] = { TCP_RST_ROW, TCP_RST_ROW },
};

#undef TCP
#undef IGNORED

/* What a packet does to its flow. */
enum flow_effect {
	FLOW_GOES_ON,
	FLOW_STAYS,   /* the packet is the flow's, and changes nothing but what was seen last */
	FLOW_REFUSES, /* the packet is INVALID */
	FLOW_SPOILS,  /* likewise, but what of it came before changes the flow */
	FLOW_ENDS,
	FLOW_REOPENS, /* it has ended, and the packet begins the next with the same ends */
};

/* The ends' states ----------------------------------------------------------------------------- */

#define END(from, to) [PG_END_##from] = PG_END_##to + 1

/* Of the sender, by the event; + 1, 0: it stays. */
static const __u8 end_sends[8][16] = {
	[PG_SEG_SYN] = { END(CLOSED, SYN_SENT), END(LISTEN, SYN_SENT) },
	[PG_SEG_SYN_ACK] = { END(CLOSED, SYN_RECEIVED), END(LISTEN, SYN_RECEIVED),
			     END(SYN_SENT, SYN_RECEIVED) },
	[PG_SEG_FIN] = { END(SYN_RECEIVED, FIN_WAIT_1), END(ESTABLISHED, FIN_WAIT_1),
			 END(CLOSE_WAIT, LAST_ACK) },
};
/*
 * Of the receiver: when all its bytes are acknowledged, and behind that when it gets a FIN. Four rows,
 * because clang puts a table of one or two into a section of its own that libbpf takes for a map.
 */
enum { END_IS_ACKED, END_GETS_FIN };
static const __u8 end_receives[4][16] = {
	[END_IS_ACKED] = { END(SYN_RECEIVED, ESTABLISHED), END(FIN_WAIT_1, FIN_WAIT_2),
			   END(CLOSING, TIME_WAIT), END(LAST_ACK, CLOSED) },
	[END_GETS_FIN] = { END(ESTABLISHED, CLOSE_WAIT), END(FIN_WAIT_1, CLOSING),
			   END(FIN_WAIT_2, TIME_WAIT) },
};

#undef END

/* To a state + 1; 0: none. `from` is what the transition is counted from. */
static __always_inline void move_end(struct flow_pkt *f, __u32 end, __u32 from, __u32 to)
{
	__u32 shift = PG_FLOW_END_SHIFT + 4 * (end & 1);

	if (!to || to - 1 == from)
		return;
	f->status = (f->status & ~(15ULL << shift)) | (__u64)(to - 1) << shift;
	f->moves = f->moves << 8 | a_move(from, to - 1);
}

static __always_inline void reset_end(struct flow_pkt *f, __u32 end)
{
	__u32 state = end_state(f->status, end);

	if (state != PG_END_LISTEN)
		move_end(f, end, state, PG_END_CLOSED + 1);
}

static __always_inline void move_sender(struct flow_pkt *f)
{
	__u32 state = end_state(f->status, f->from), from = state;

	/* That the other end listens is a guess until it answers. */
	if (state <= PG_END_LISTEN)
		from = f->event == PG_SEG_SYN ? PG_END_CLOSED : PG_END_LISTEN;
	move_end(f, f->from, from, end_sends[f->event & 7][state]);
}

/*
 * Is the SYN acknowledged that the receiver has sent? Data that came with it (RFC 7413) need not be.
 * What a SYN begins has the number behind it in max_ack, until there is an acknowledgement to note.
 */
static __always_inline bool acks_syn(const struct flow_pkt *f)
{
	return f->acks_all || (!(f->status & of_end(PG_FLOW_HAS_ACK, f->from ^ 1)) &&
			       !after(f->rcv.max_ack, f->ack));
}

static __always_inline void move_receiver(struct flow_pkt *f)
{
	__u32 end = f->from ^ 1, state = end_state(f->status, end), from = state, acked = 0, fin = 0;

	if (state == PG_END_SYN_SENT && f->event == PG_SEG_SYN_ACK && acks_syn(f))
		acked = PG_END_ESTABLISHED + 1;
	/* A segment with ACK in the window acknowledges the SYN-ACK, perhaps not the data behind that. */
	else if (f->acks_all || (state == PG_END_SYN_RECEIVED && f->event != PG_SEG_SYN_ACK &&
				 f->flags & 1 << PG_FLAG_ACK))
		acked = end_receives[END_IS_ACKED][state];
	if (acked && state == PG_END_SYN_RECEIVED) { /* a FIN may follow in the same segment */
		move_end(f, end, state, acked);
		from = acked - 1;
	}
	if (f->event == PG_SEG_FIN)
		fin = end_receives[END_GETS_FIN][(acked ? acked - 1 : state) & 15];
	move_end(f, end, from, fin ?: acked);
}

/* In f->status. */
__noinline int flow_move_ends(struct pkt *p)
{
	struct flow_pkt *f;

	if (!p)
		return 0;
	f = &p->flow;
	if (f->event == PG_SEG_RST) {
		reset_end(f, 0);
		reset_end(f, 1);
		return 0;
	}
	move_sender(f);
	barrier();
	move_receiver(f);
	return 0;
}

/* Both ends begin anew with a SYN that was not believed. */
static __always_inline void restart_ends(struct flow_pkt *f)
{
	f->moves = moves_of_leaving(f->status);
	f->status &= ~(255ULL << PG_FLOW_END_SHIFT);
	barrier();
	move_end(f, f->from ^ 1, PG_END_CLOSED, PG_END_SYN_SENT + 1);
}

/* Windows -------------------------------------------------------------------------------------- */

/* A window announced is never taken to be smaller than the kernel's MAXACKWINCONST here. */
#define LEAST_ACK_WINDOW 66000

/*
 * Nearly: too old, or a little too much. It is the flow's, and moves nothing. LET_IN: it is out, and
 * moves the flow's state all the same, but no window.
 */
enum window_verdict { IN_WINDOW, OUT_OF_WINDOW, NEARLY_IN_WINDOW, LET_IN };

static __always_inline __u32 scale_of(__u64 status, __u32 end)
{
	return status >> (PG_FLOW_SCALE_SHIFT + 4 * (end & 1)) & 15;
}

static __always_inline __u64 with_scale(__u64 status, __u32 end, __u8 options)
{
	__u32 shift = PG_FLOW_SCALE_SHIFT + 4 * (end & 1);

	status &= ~(15ULL << shift | of_end(PG_FLOW_HAS_SCALE, end));
	status |= (__u64)(options & PG_LAST_SCALE) << shift;
	return options & PG_LAST_HAS_SCALE ? status | of_end(PG_FLOW_HAS_SCALE, end) : status;
}

static __always_inline void begin_window(struct pg_flow_window *w, __u32 end, __u32 window)
{
	w->end = w->max_end = end;
	w->max_win = window ?: 1;
}

/* From a SYN or SYN-ACK. Windows are scaled if both ends offer it; one without options offers what it did. */
static __always_inline void begin_sender(struct flow_pkt *f, bool reply)
{
	const __u64 both = PG_FLOW_HAS_SCALE | PG_FLOW_HAS_SCALE << 1;
	__u64 now = f->status;

	begin_window(&f->snd, f->end, f->window);
	if (f->scale)
		now = with_scale(now & ~of_end(PG_FLOW_HAS_ACK, f->from), f->from, f->scale);
	if (!(now & of_end(PG_FLOW_HAS_ACK, f->from)))
		f->snd.max_ack = f->seq + 1;
	if (reply && (now & both) != both)
		now &= ~(255ULL << PG_FLOW_SCALE_SHIFT);
	f->status = now;
}

/* From any other segment of a sender that was not heard before. */
static __always_inline void guess_sender(struct flow_pkt *f)
{
	begin_window(&f->snd, f->end, f->window << scale_of(f->status, f->from));
	f->snd.max_end += f->snd.max_win;
	if (!f->rcv.max_win)
		f->rcv.end = f->rcv.max_end = f->ack;
	else if (f->ack == f->rcv.end + 1) /* it answers a keep-alive */
		f->rcv.end++;
}

/* Segments that say something about the path. Of the sender as it was known before this one. */
static __always_inline void note_trouble(struct flow_pkt *f, const struct pkt *p)
{
	const struct pg_flow_window *s = &f->snd;

	f->trouble = 0;
	if (f->event == PG_SEG_RST)
		return;
	if (!f->window)
		f->trouble = 1ULL << PG_TROUBLE_ZERO_WINDOWS;
	if (f->end == f->seq || !s->max_win || f->old & of_end(PG_FLOW_RST_AHEAD, f->from))
		return;
	/* Picked up in mid-stream, its window does not move before the other end is heard. */
	if (f->old & PG_FLOW_PICKED_UP && !(f->old & of_end(PG_FLOW_HAS_ACK, f->from)))
		return;
	/* Where both ends opened, a SYN-ACK follows the SYN with its number. */
	if (f->event == PG_SEG_SYN_ACK && end_state(f->old, f->from) == PG_END_SYN_SENT)
		return;
	if (!after(f->end, s->end))
		f->trouble += (__u64)p->packets << PG_TROUBLE_RETRANSMITS;
	else if (after(f->seq, s->end) && f->event != PG_SEG_SYN && f->event != PG_SEG_SYN_ACK)
		f->trouble += 1ULL << PG_TROUBLE_OUT_OF_ORDER;
}

/* A RST that says so is not where the sender's next byte is: see check_reset(). */
static __always_inline __u64 with_sent(__u64 status, struct flow_pkt *f, __u32 end)
{
	f->snd.end = end;
	status &= ~of_end(PG_FLOW_RST_AHEAD, f->from);
	return f->event == PG_SEG_RST ? status | of_end(PG_FLOW_RST_AHEAD, f->from) : status;
}

/* What a segment that is in the window leaves of the windows. */
static __always_inline void use_segment(struct flow_pkt *f, __u32 ack, __u32 end)
{
	struct pg_flow_window *s = &f->snd, *r = &f->rcv;
	const bool syn = f->flags & 1 << PG_FLAG_SYN;
	__u64 now = f->status;
	__u32 window = syn ? f->window : f->window << scale_of(now, f->from);

	if (s->max_win < window)
		s->max_win = window;
	if (after(end, s->end))
		now = with_sent(now, f, end);
	if (f->flags & 1 << PG_FLAG_ACK) {
		if (!(now & of_end(PG_FLOW_HAS_ACK, f->from)) || after(ack, s->max_ack))
			s->max_ack = ack;
		now |= of_end(PG_FLOW_HAS_ACK, f->from);
	}
	now &= ~of_end(PG_FLOW_NO_WINDOW, f->from);
	if (!window && f->event != PG_SEG_RST)
		now |= of_end(PG_FLOW_NO_WINDOW, f->from);
	if (r->max_win && after(end, s->max_end))
		r->max_win += end - s->max_end;
	if (after(ack + window, r->max_end - 1))
		r->max_end = ack + window + !window;
	f->status = now;
}

/*
 * Is a segment one that the sender could have sent, as far as we have seen (tcp_in_window())? Leaves
 * the windows in f->snd and f->rcv, also of a segment that is not believed: what began a sender stays
 * begun. Data that went a little beyond the window may be acknowledged: then the receiver was more
 * generous than it said.
 */
static __always_inline enum window_verdict check_window(struct flow_pkt *f, bool reply, bool liberal)
{
	struct pg_flow_window *s = &f->snd, *r = &f->rcv;
	const bool syn = f->flags & 1 << PG_FLAG_SYN, has_ack = f->flags & 1 << PG_FLAG_ACK,
		   rst = f->flags & 1 << PG_FLAG_RST;
	__u32 seq = f->seq, end = f->end, ack = f->ack, window;
	__u8 state = f->old & PG_FLOW_TCP_STATE;
	bool ack_is_late, seq_is_old;

	if (!s->max_win || (syn && after(end, s->end) &&
			    (state == PG_TCP_SYN_SENT || state == PG_TCP_SYN_RECV))) {
		bool first = !s->max_win;

		if (syn)
			begin_sender(f, reply);
		else
			guess_sender(f);
		if (syn && !has_ack && (first || reply)) /* both ends opened */
			return IN_WINDOW;
	}
	barrier();
	if (!has_ack || (rst && !ack))
		ack = r->end;
	if (rst && !seq && state == PG_TCP_SYN_SENT) /* it answers a SYN */
		seq = end = s->end;
	f->acks_all = has_ack && !after(r->end, ack);
	liberal |= !!(f->status & of_end(PG_FLOW_LIBERAL, f->from));
	window = s->max_win > LEAST_ACK_WINDOW ? s->max_win : LEAST_ACK_WINDOW;
	ack_is_late = !after(ack, r->end - window - 1);
	seq_is_old = r->max_win && !after(end, s->end - r->max_win - 1);
	if (after(seq, s->max_end)) {
		if (!seq_is_old && !ack_is_late && end - s->max_end + 1 <= r->max_win &&
		    !after(ack, r->end)) {
			f->status = with_sent(f->status, f, end);
			return liberal ? LET_IN : NEARLY_IN_WINDOW;
		}
		return liberal ? LET_IN : OUT_OF_WINDOW;
	}
	if (after(ack, r->end))
		return liberal ? LET_IN : OUT_OF_WINDOW;
	if (seq_is_old || ack_is_late)
		return liberal ? LET_IN : NEARLY_IN_WINDOW;
	use_segment(f, ack, end);
	return IN_WINDOW;
}

__noinline int flow_check_window(struct pkt *p, __u32 reply, __u32 liberal)
{
	return p ? check_window(&p->flow, reply & 1, liberal & 1) : OUT_OF_WINDOW;
}

/* Steps ---------------------------------------------------------------------------------------- */

static __always_inline enum pg_segment last_of(__u64 status)
{
	return status >> PG_FLOW_LAST_SHIFT & 7;
}

static __always_inline bool is_end_of_it(__u32 event)
{
	return event == PG_SEG_FIN || event == PG_SEG_RST;
}

static __always_inline bool last_is_same_end(const struct flow_pkt *f)
{
	return !(f->old & PG_FLOW_LAST_FROM_1) == !f->from;
}

/*
 * Of an assured flow an ACK does not matter for what comes next. So the status of most flows stays
 * what it is.
 */
static __always_inline __u64 with_last(__u64 status, const struct flow_pkt *f)
{
	status &= ~(PG_FLOW_LAST | PG_FLOW_LAST_FROM_1);
	if (status & PG_FLOW_ASSURED && f->event != PG_SEG_SYN && !is_end_of_it(f->event))
		return status;
	status |= (__u64)f->event << PG_FLOW_LAST_SHIFT;
	return f->from ? status | PG_FLOW_LAST_FROM_1 : status;
}

/* A segment that is let through unbelieved. A SYN of the opener may be answered. */
static __always_inline enum flow_effect stay(struct flow_pkt *f, struct pg_flow *flow, bool reply)
{
	__u64 now = f->old;

	f->status = with_last(now, f);
	if (f->event == PG_SEG_SYN_ACK && now & PG_FLOW_TIMING)
		return FLOW_STAYS; /* the SYN-ACK comes again: see take_time() */
	f->status &= ~PG_FLOW_TIMING;
	flow->last_end = f->end;
	flow->last_win = f->window;
	if (f->event == PG_SEG_ACK) /* it may challenge a SYN: see check_reset() */
		flow->win[f->from & 1].max_ack = f->ack;
	if (f->event == PG_SEG_SYN && !reply) {
		flow->last_scale = f->scale;
		f->status &= ~(PG_FLOW_SIMULTANEOUS | PG_FLOW_CHALLENGE);
		if ((now & PG_FLOW_TCP_STATE) == PG_TCP_LAST_ACK)
			f->status |= PG_FLOW_CHALLENGE;
	}
	return FLOW_STAYS;
}

/*
 * The answer to a SYN that was not believed: both ends begin anew, so we do. As the kernel, of a flow
 * that was picked up in mid-stream the end that answers is taken at its word ever after.
 */
static __always_inline void resync(struct flow_pkt *f, const struct pg_flow *flow)
{
	const __u64 of_ends = PG_FLOW_HAS_SCALE | PG_FLOW_HAS_ACK | PG_FLOW_NO_WINDOW | PG_FLOW_RST_AHEAD;

	if (flow->last_end != f->rcv.end) /* or it was but the same SYN again */
		restart_ends(f);
	barrier();
	f->status &= ~(PG_FLOW_CLOSING | PG_FLOW_CHALLENGE | of_ends | of_ends << 1 |
		       of_end(PG_FLOW_LIBERAL, f->from ^ 1) | 255ULL << PG_FLOW_SCALE_SHIFT);
	f->status = with_scale(f->status, f->from ^ 1, flow->last_scale);
	begin_window(&f->rcv, flow->last_end, flow->last_win);
	f->rcv.max_ack = flow->last_end; /* without data, as nearly every SYN */
	__builtin_memset(&f->snd, 0, sizeof(f->snd));
}

enum reset_verdict { RESET_IS_CHECKED, RESET_IS_VALID, RESET_IS_INVALID, RESET_CHANGES_NOTHING };

/*
 * A RST may be forged: of an established connection it must be where the sender's next byte is, or
 * where the receiver expects it. Otherwise the receiver challenges it, and the connection goes on.
 */
static __always_inline enum reset_verdict check_reset(const struct flow_pkt *f,
						      const struct pg_flow *flow)
{
	const __u64 both = PG_FLOW_TCP_STATE | PG_FLOW_ASSURED;
	__u8 state = f->old & PG_FLOW_TCP_STATE;
	__u32 last = last_of(f->old);
	bool established = (f->old & both) == (PG_TCP_ESTABLISHED | PG_FLOW_ASSURED);
	__u32 last_end = f->old & PG_FLOW_TIMING ? 0 : flow->last_end;

	/* The connection is closing, and its ports may be in use again. */
	if (state >= PG_TCP_FIN_WAIT && state <= PG_TCP_CLOSE)
		return RESET_IS_VALID;
	if (f->old & of_end(PG_FLOW_HAS_ACK, f->from ^ 1) && last != PG_SEG_SYN) {
		if (!f->seq && !established)
			return RESET_IS_CHECKED;
		if (after(f->rcv.max_ack, f->seq))
			return RESET_IS_INVALID;
		if (established && f->seq != f->rcv.max_ack &&
		    (f->seq != f->snd.end || f->old & of_end(PG_FLOW_RST_AHEAD, f->from)))
			return RESET_CHANGES_NOTHING;
		return RESET_IS_CHECKED;
	}
	/* It answers a SYN or an ACK that was let through unbelieved. */
	if (((f->old & PG_FLOW_SEEN_REPLY && last == PG_SEG_SYN && !last_is_same_end(f)) ||
	     (!(f->old & PG_FLOW_ASSURED) && last == PG_SEG_ACK)) &&
	    f->ack == last_end)
		return RESET_IS_VALID;
	/* It answers the ACK with which an end that knows an older connection has challenged the SYN. */
	if (state == PG_TCP_SYN_SENT && last == PG_SEG_ACK &&
	    f->seq == flow->win[!!(f->old & PG_FLOW_LAST_FROM_1)].max_ack)
		return RESET_IS_VALID;
	return RESET_IS_CHECKED;
}

/*
 * The pair closes by any RST while its ends are closing, as nf_conntrack's does; an end only by one where
 * it expects the next byte, or its keep-alive's, or behind its sender's last.
 */
static __always_inline bool reset_misses_ends(const struct flow_pkt *f)
{
	return f->old & of_end(PG_FLOW_HAS_ACK, f->from ^ 1) && f->seq != f->rcv.max_ack &&
	       f->seq + 1 != f->rcv.max_ack && f->seq != f->snd.end;
}

/* The pair's state behind a segment that is believed, from `state` to `next`. */
static __always_inline void take_state(struct flow_pkt *f, __u8 state, __u8 next)
{
	__u64 now = with_last(f->status, f);

	if (next == PG_TCP_SYN_SENT2)
		now |= PG_FLOW_SIMULTANEOUS;
	if (next == PG_TCP_FIN_WAIT && state != PG_TCP_FIN_WAIT)
		now |= PG_FLOW_CLOSING;
	if (next == PG_TCP_ESTABLISHED && f->old & PG_FLOW_SEEN_REPLY &&
	    (state == PG_TCP_SYN_RECV || state == PG_TCP_ESTABLISHED))
		now |= PG_FLOW_ASSURED;
	if (f->event == PG_SEG_SYN_ACK)
		now |= PG_FLOW_TIMING;
	else if (f->event != PG_SEG_SYN) /* behind a challenge pg_flow.last_end is still that one's */
		now &= ~PG_FLOW_TIMING;
	f->status = (now & ~PG_FLOW_TCP_STATE) | next;
}

/* What the table makes of the segment, with its exceptions; f->state is what it was. */
static __always_inline __u8 next_state(struct flow_pkt *f, const struct pg_flow *flow, bool reply)
{
	__u8 state = f->old & PG_FLOW_TCP_STATE, next = tcp_next[f->event & 7][reply][state];
	bool answers_syn = last_of(f->old) == PG_SEG_SYN && !last_is_same_end(f);

	f->state = state;
	if (next == PG_TCP_SYN_SENT && state != PG_TCP_SYN_SENT)
		return f->old & PG_FLOW_CLOSING ||
				       (last_of(f->old) == PG_SEG_RST && last_is_same_end(f)) ?
			       TCP_REOPENED :
			       TCP_IGNORED;
	if (next == TCP_IGNORED && f->event == PG_SEG_SYN_ACK && answers_syn &&
	    !(f->old & PG_FLOW_TIMING) && f->ack == flow->last_end) {
		f->state = PG_TCP_SYN_SENT;
		resync(f, flow);
		return PG_TCP_SYN_RECV;
	}
	/* RFC 5961: an ACK that answers a SYN challenges it, and is not the last FIN's. */
	if (next == PG_TCP_TIME_WAIT && state == PG_TCP_LAST_ACK && answers_syn &&
	    f->event == PG_SEG_ACK && f->old & PG_FLOW_CHALLENGE)
		return TCP_CHALLENGED;
	if (next == PG_TCP_SYN_RECV && reply && f->event == PG_SEG_ACK &&
	    f->old & PG_FLOW_SIMULTANEOUS)
		return PG_TCP_ESTABLISHED;
	return next;
}

/*
 * A FIN or RST of an assured flow that is out of the window is what came last all the same. Where either
 * end says so we may be out of step with them, and are not to remember the flow for days.
 */
static __always_inline void note_spoiler(struct flow_pkt *f)
{
	if (!(f->old & PG_FLOW_ASSURED) || !is_end_of_it(f->event))
		return;
	f->shortens = is_end_of_it(last_of(f->old)) && !last_is_same_end(f);
	if (!f->shortens)
		f->status = with_last(f->status, f);
}

static __always_inline void take_windows(struct flow_pkt *f, const struct pg_flow *flow)
{
	f->snd_was = flow->win[f->from & 1];
	f->rcv_was = flow->win[(f->from ^ 1) & 1];
	barrier(); /* read once: it may change meanwhile */
	f->snd = f->snd_was;
	f->rcv = f->rcv_was;
}

/*
 * As nf_conntrack_tcp_packet(). From f->old to f->status, and the windows to f->snd and f->rcv. What
 * it writes to the flow itself is what tells of a segment that is not believed.
 */
static __always_inline enum flow_effect tcp_step(struct pkt *p, struct pg_flow *flow, bool reply,
						 bool liberal)
{
	enum reset_verdict reset = RESET_IS_CHECKED;
	struct flow_pkt *f = &p->flow;
	enum window_verdict window;

	f->moves = 0;
	f->acks_all = f->shortens = 0;
	f->status = f->old;
	take_windows(f, flow);
	note_trouble(f, p);
	f->next = next_state(f, flow, reply);
	barrier();
	switch (f->next) {
	case PG_TCP_NONE:
		return FLOW_REFUSES;
	case TCP_REOPENED:
		return FLOW_REOPENS;
	case TCP_IGNORED:
		return stay(f, flow, reply);
	case TCP_CHALLENGED:
		f->status = f->old & ~PG_FLOW_CHALLENGE;
		return FLOW_STAYS;
	}
	if (f->event == PG_SEG_RST)
		reset = check_reset(f, flow);
	if (reset == RESET_IS_INVALID)
		return FLOW_REFUSES;
	if (reset == RESET_CHANGES_NOTHING)
		f->next = f->state;
	window = reset == RESET_IS_VALID ? IN_WINDOW : flow_check_window(p, reply, liberal);
	f->out_of_window = window;
	if (window == OUT_OF_WINDOW) {
		note_spoiler(f);
		return FLOW_SPOILS;
	}
	if (window == NEARLY_IN_WINDOW)
		return FLOW_STAYS;
	if (reset != RESET_CHANGES_NOTHING && !(reset == RESET_IS_VALID && reset_misses_ends(f)))
		flow_move_ends(p);
	barrier();
	if (p->frag == PG_FRAG_FIRST) /* how far all of its fragments reach is not known */
		f->status |= PG_FLOW_LIBERAL | PG_FLOW_LIBERAL << 1;
	take_state(f, f->state, f->next & PG_FLOW_TCP_STATE);
	return f->event == PG_SEG_RST && !(f->old & PG_FLOW_SEEN_REPLY) ? FLOW_ENDS : FLOW_GOES_ON;
}

/* Which timeout holds behind the step. */
static __always_inline __u8 tcp_timeout(const struct flow_pkt *f)
{
	__u8 state = f->status & PG_FLOW_TCP_STATE;

	if (f->event == PG_SEG_RST)
		return PG_TIMEOUT_TCP_CLOSE;
	if (state == PG_TCP_ESTABLISHED && !(f->old & PG_FLOW_SEEN_REPLY))
		return PG_TIMEOUT_TCP_UNACKNOWLEDGED;
	return state;
}

/* Times of the handshake, in units of 1.024 µs, by the exact clock: 11 bits of them are kept. */
static __always_inline __u16 pack_rtt(__u32 units)
{
	__u32 us = units + (units >> 6) + (units >> 7) + (units >> 11), shift = 0;

	NO_UNROLL for (int i = 0; i < 20 && us >= 4096; i++) {
		us >>= 1;
		shift++;
	}
	if (us < 2048)
		return us ?: 1; /* 0 would be none */
	return 2048 + (shift << 10) + ((us - 2048) >> 1 & 1023);
}

/*
 * A SYN, its SYN-ACK and the ACK of that one tell the round trips on both sides of us: each from the
 * last of its kind, if they were repeated.
 */
static __always_inline void take_time(struct pg_flow *flow, const struct flow_pkt *f)
{
	__u32 now;

	if (!((f->old | f->status) & PG_FLOW_TIMING)) {
		if (!(f->status & PG_FLOW_ASSURED) && f->event == PG_SEG_ACK &&
		    f->out_of_window == IN_WINDOW)
			flow->last_end = f->end;
		return;
	}
	now = bpf_ktime_get_ns() >> 10;
	if (f->old & PG_FLOW_TIMING && f->event == PG_SEG_SYN_ACK &&
	    (f->old & PG_FLOW_TCP_STATE) == PG_TCP_SYN_SENT)
		flow->rtt[0] = pack_rtt(now - flow->last_end);
	if (f->old & PG_FLOW_TIMING && f->event == PG_SEG_ACK && flow->rtt[0])
		flow->rtt[1] = pack_rtt(now - flow->last_end);
	flow->last_end = f->status & PG_FLOW_TIMING ? now : f->end;
}
