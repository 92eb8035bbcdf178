/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <string.h>

#include "names.h"
#include "replay.h"

#define ETHERTYPE_MIN 0x600 /* below: a length (IEEE 802.3) */

int pg_replay_init(struct pg_replay *replay, struct pg_dp *dp, struct pg_err *err)
{
	*replay = (struct pg_replay){ .dp = dp, .buf = malloc(pg_dp_run_max(dp)),
				      .fed = calloc(PG_FEED_FRAMES, sizeof(*replay->fed)) };
	return replay->buf && replay->fed ? 0 : pg_fail(err, -ENOMEM, "out of memory");
}

void pg_replay_clear(struct pg_replay *replay)
{
	free(replay->buf);
	free(replay->fed);
	replay->buf = NULL;
	replay->fed = NULL;
	pg_diff_clear(&replay->old.diff);
}

void pg_replay_count(struct pg_replay_sums *sums, const struct pg_trace *trace)
{
	sums->verdict[trace->verdict < _PG_VERDICT_MAX ? trace->verdict : PG_VERDICT_DROP]++;
	sums->reason[trace->reason < _PG_REASON_MAX ? trace->reason : PG_REASON_INTERNAL]++;
	sums->ethertype[trace->ethertype < ETHERTYPE_MIN ? 0 : trace->ethertype]++;
	sums->vlans[trace->vlans < ARRAY_SIZE(sums->vlans) ? trace->vlans : 3]++;
	if (trace->has_proto)
		sums->l4[trace->proto]++;
	if (trace->frag < _PG_FRAG_MAX)
		sums->frag[trace->frag]++;
}

void pg_verdict_header(FILE *f)
{
	fputs("frame\ttime\tdirection\tverdict\tchain\trule\treason\tethertype\tvlans\tl3\tsrc\t"
	      "dst\tproto\tfrag\tsport\tdport\tflags\n",
	      f);
}

/* Chain and rule. */
static void put_rule(FILE *f, const struct pg_trace *trace, const struct pg_term_map *map)
{
	char name[PG_CHAIN_NAME_MAX + 1];
	struct pg_place place;

	pg_answer_place(map, trace, &place);
	if (place.chain)
		fprintf(f, "\t%s\t%u", pg_printable(place.chain->name, name, sizeof(name)),
			place.num);
	else
		fputs("\t-\t-", f);
}

static const char *l3_name(unsigned type)
{
	switch (type) {
	case ETHERTYPE_IP:
		return "ip";
	case ETHERTYPE_IPV6:
		return "ipv6";
	case ETHERTYPE_ARP:
	case ETHERTYPE_REVARP:
		return "arp";
	default:
		return "-";
	}
}

static void put_l2(FILE *f, const struct pg_trace *trace)
{
	unsigned tags = trace->vlans < ARRAY_SIZE(trace->vlan_id) ? trace->vlans :
								   ARRAY_SIZE(trace->vlan_id);

	if (trace->ethertype < ETHERTYPE_MIN)
		fputs("\t-\t", f);
	else
		fprintf(f, "\t0x%04x\t", trace->ethertype);
	for (unsigned i = 0; i < tags; i++)
		fprintf(f, "%s%u", i ? "," : "", trace->vlan_id[i]);
	if (!tags)
		fputc('-', f);
	fprintf(f, "\t%s", l3_name(trace->l3_type));
}

static void put_l3(FILE *f, const struct pg_trace *trace)
{
	int family = trace->l3_type == ETHERTYPE_IPV6 ? AF_INET6 : AF_INET;
	char src[INET6_ADDRSTRLEN] = "-", dst[INET6_ADDRSTRLEN] = "-";

	if (trace->has_l3) {
		inet_ntop(family, trace->saddr, src, sizeof(src));
		inet_ntop(family, trace->daddr, dst, sizeof(dst));
	}
	fprintf(f, "\t%s\t%s", src, dst);
	if (trace->has_proto)
		fprintf(f, "\t%u", trace->proto);
	else
		fputs("\t-", f);
	fprintf(f, "\t%s", pg_frag_name((enum pg_frag)trace->frag));
}

static void put_l4(FILE *f, const struct pg_trace *trace)
{
	if (trace->has_ports)
		fprintf(f, "\t%u\t%u", trace->sport, trace->dport);
	else
		fputs("\t-\t-", f);
	if (trace->has_flags)
		fprintf(f, "\t%02x\n", trace->tcp_flags);
	else
		fputs("\t-\n", f);
}

void pg_verdict_line(FILE *f, uint64_t number, const struct pg_frame *frame, enum pg_dir dir,
		     const struct pg_trace *trace, const struct pg_term_map *map)
{
	fprintf(f, "%" PRIu64 "\t%" PRId64 ".%09" PRIu32 "\t%s", number, frame->sec, frame->nsec,
		dir == PG_DIR_OUT ? "out" : "in");
	if (!trace) {
		fputs("\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\n", f);
		return;
	}
	fprintf(f, "\t%s", pg_verdict_name((enum pg_verdict)trace->verdict));
	put_rule(f, trace, map);
	fprintf(f, "\t%s", pg_reason_name((enum pg_reason)trace->reason));
	put_l2(f, trace);
	put_l3(f, trace);
	put_l4(f, trace);
}

/* What the program would say, could it be run: every frame ends under a reason. */
static void trace_short(struct pg_replay *replay, const struct pg_frame *frame,
			struct pg_trace *ret)
{
	*ret = (struct pg_trace){
		.frame_len = (__u32)frame->wire_len,
		.ip_len = (__u32)frame->wire_len,
		.term = PG_TRACE_NO_TERM,
		.verdict = PG_VERDICT_DROP,
		.reason = PG_REASON_SHORT_HEADER,
	};
	replay->short_frames.packets++;
	replay->short_frames.bytes += frame->wire_len;
}

/* The frame as it was on the wire, as far as it can be run: what was not captured is zeros. */
static const uint8_t *whole_frame(struct pg_replay *replay, const struct pg_frame *frame,
				  size_t *ret_len)
{
	size_t len = pg_dp_run_max(replay->dp);

	if (len > frame->wire_len)
		len = frame->wire_len;
	*ret_len = len;
	if (frame->len >= len)
		return frame->data;
	memcpy(replay->buf, frame->data, frame->len);
	memset(replay->buf + frame->len, 0, len - frame->len);
	return replay->buf;
}

static void skip(struct pg_replay *replay, const struct pg_frame *frame, const char *why)
{
	replay->sums.skipped++;
	if (!replay->warning[0])
		snprintf(replay->warning, sizeof(replay->warning), "frame %" PRIu64 ": %.200s",
			 replay->sums.frames, why);
	if (replay->verdicts)
		pg_verdict_line(replay->verdicts, replay->sums.frames, frame, PG_DIR_IN, NULL,
				&replay->map);
}

static void take_side(const struct pg_term_map *map, const struct pg_trace *trace,
		      struct pg_diff_side *ret)
{
	pg_answer_place(map, trace, &ret->place);
	ret->verdict = trace->verdict;
	ret->reason = trace->reason;
}

static int compare(struct pg_replay *replay, uint64_t number, enum pg_dir dir,
		   const struct pg_trace *was, const struct pg_trace *now, struct pg_err *err)
{
	struct pg_replay_old *old = &replay->old;
	struct pg_diff_row row;
	int r;

	if (was->verdict == now->verdict)
		return 0;
	pg_diff_row_from_trace(now, dir, &row);
	take_side(&old->map, was, &row.was);
	take_side(&replay->map, now, &row.now);
	row.first_frame = number;
	r = pg_diff_add(&old->diff, &row);
	return r ? pg_fail(err, r, "out of memory") : 0;
}

/* A frame that was run, or that is too short for that. `was` NULL: there is no other policy. */
static int take(struct pg_replay *replay, uint64_t number, const struct pg_frame *frame,
		enum pg_dir dir, const struct pg_trace *was, const struct pg_trace *now,
		struct pg_err *err)
{
	pg_replay_count(&replay->sums, now);
	if (replay->verdicts)
		pg_verdict_line(replay->verdicts, number, frame, dir, now, &replay->map);
	return was ? compare(replay, number, dir, was, now, err) : 0;
}

/* Run the frames that wait. */
static int flush(struct pg_replay *replay, struct pg_err *err)
{
	size_t n = pg_dp_fed(replay->dp);
	struct pg_dp *old = replay->old.dp;
	int r = n ? pg_dp_feed_run(replay->dp, err) : 0;

	if (n && !r && old)
		r = pg_dp_feed_run(old, err);
	for (size_t i = 0; !r && i < n; i++) {
		const struct pg_replay_fed *fed = &replay->fed[i];
		const struct pg_frame frame = { .sec = fed->sec, .nsec = fed->nsec };

		r = take(replay, fed->number, &frame, fed->dir,
			 old ? pg_dp_feed_trace(old, i) : NULL, pg_dp_feed_trace(replay->dp, i), err);
	}
	pg_dp_feed_clear(replay->dp);
	if (old)
		pg_dp_feed_clear(old);
	return r;
}

/* Both instances take it, or neither: they are alike. */
static bool feed(struct pg_replay *replay, const struct pg_frame *frame, enum pg_dir dir,
		 const uint8_t *data, size_t len)
{
	size_t at = pg_dp_fed(replay->dp);

	if (!pg_dp_feed(replay->dp, dir, data, len, frame->wire_len))
		return false;
	if (replay->old.dp)
		pg_dp_feed(replay->old.dp, dir, data, len, frame->wire_len);
	replay->fed[at] = (struct pg_replay_fed){ replay->sums.frames, frame->sec, frame->nsec, dir };
	return true;
}

/* At once, behind those that wait. */
static int run_alone(struct pg_replay *replay, const struct pg_frame *frame, enum pg_dir dir,
		     const uint8_t *data, size_t len, struct pg_err *err)
{
	struct pg_trace now, was;
	struct pg_dp *old = replay->old.dp;
	struct pg_err why = { 0 };

	if (pg_dp_run(replay->dp, dir, data, len, frame->wire_len, &now, &why) < 0 ||
	    (old && pg_dp_run(old, dir, data, len, frame->wire_len, &was, &why) < 0)) {
		skip(replay, frame, why.text);
		return 0;
	}
	return take(replay, replay->sums.frames, frame, dir, old ? &was : NULL, &now, err);
}

static int run_frame(struct pg_replay *replay, const struct pg_frame *frame, struct pg_err *err)
{
	enum pg_dir dir = pg_locals_dir(replay->locals, frame->data, frame->len);
	bool runs = frame->wire_len >= ETH_HLEN;
	struct pg_trace trace;
	const uint8_t *data = NULL;
	size_t len = 0;
	int r;

	replay->sums.frames++;
	replay->sums.cut += frame->len < frame->wire_len;
	if (runs)
		data = whole_frame(replay, frame, &len);
	if (runs && feed(replay, frame, dir, data, len))
		return 0;
	r = flush(replay, err);
	if (r)
		return r;
	if (!runs) {
		trace_short(replay, frame, &trace);
		return take(replay, replay->sums.frames, frame, dir, NULL, &trace, err);
	}
	if (feed(replay, frame, dir, data, len))
		return 0;
	return run_alone(replay, frame, dir, data, len, err);
}

int pg_replay_capture(struct pg_replay *replay, struct pg_capture *capture, struct pg_err *err)
{
	struct pg_frame frame;
	int r;

	while ((r = pg_capture_next(capture, &frame, err)) > 0) {
		r = run_frame(replay, &frame, err);
		if (r)
			return r;
	}
	/* What came before a damaged end counts. */
	return flush(replay, r < 0 ? NULL : err) ?: r;
}
