// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frames through the programs of a private instance, by BPF_PROG_TEST_RUN. */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/mman.h>

#include "dp_impl.h"

/*
 * What every kernel takes without page fragments: a page less the headroom and the tail that the
 * kernel keeps for skb_shared_info. With multi-buffer support XDP frames may be larger; a packet's
 * headers are at its beginning either way.
 */
#define RUN_MAX_LINEAR 3400

size_t pg_dp_run_max(const struct pg_dp *dp)
{
	(void)dp;
	return RUN_MAX_LINEAR;
}

static bool has_xdp(const struct pg_dp *dp)
{
	return pg_dp_prog_fd(dp->skel, PG_PROG_XDP) >= 0;
}

static enum pg_prog prog_for(const struct pg_dp *dp, enum pg_dir dir)
{
	return dir == PG_DIR_OUT ? PG_PROG_TC_OUT : has_xdp(dp) ? PG_PROG_XDP : PG_PROG_TC_IN;
}

int pg_dp_run(struct pg_dp *dp, enum pg_dir dir, const void *frame, size_t len, size_t wire_len,
	      struct pg_trace *ret_trace, struct pg_err *err)
{
	return pg_dp_run_prog(dp, prog_for(dp, dir), frame, len, wire_len, ret_trace, err);
}

int pg_dp_run_prog(struct pg_dp *dp, enum pg_prog prog, const void *frame, size_t len,
		   size_t wire_len, struct pg_trace *ret_trace, struct pg_err *err)
{
	struct pg_trace_map *map = dp->map[PG_MAP_TRACE].mem;
	struct pg_trace *t = &map->packet;
	struct __sk_buff skb = { .ifindex = dp->run_ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);
	int r;

	memset(t, 0, sizeof(*t));
	map->n_steps = 0;
	t->frame_len = wire_len > len ? wire_len : 0;
	if (prog != PG_PROG_XDP) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	r = bpf_prog_test_run_opts(pg_dp_prog_fd(dp->skel, prog), &opts);
	if (r)
		return pg_dp_fail(err, -errno, "cannot run a frame through the program");
	*ret_trace = *t;
	return 0;
}

/* Many at once ----------------------------------------------------------------------------------- */

int pg_dp_feed_map(struct pg_dp *dp, struct pg_err *err)
{
	int map = -1, r = pg_dp_feed_open(dp->skel, &dp->feed_prog, &map);
	void *mem;

	if (r)
		return pg_dp_fail(err, r, "cannot feed frames to the program");
	mem = mmap(NULL, sizeof(*dp->feed), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (mem == MAP_FAILED)
		return pg_dp_fail(err, -errno, "cannot map frames into memory");
	dp->feed = mem;
	return 0;
}

/* As eth_type_trans() sees what comes for us; what leaves has no other type. */
static __u16 pkttype_of(enum pg_dir dir, const __u8 *dest)
{
	static const __u8 all[ETH_ALEN] = { 255, 255, 255, 255, 255, 255 };

	if (dir == PG_DIR_OUT || !(dest[0] & 1))
		return PACKET_HOST;
	return memcmp(dest, all, sizeof(all)) ? PACKET_MULTICAST : PACKET_BROADCAST;
}

bool pg_dp_feed(struct pg_dp *dp, enum pg_dir dir, const void *frame, size_t len, size_t wire_len)
{
	struct pg_feed *f = dp->feed;

	if (f && dir == PG_DIR_OUT && has_xdp(dp))
		return false;
	if (!f || f->n == PG_FEED_FRAMES || dp->feed_bytes + len > PG_FEED_BYTES || len > PG_FEED_MAX)
		return false;
	f->frame[f->n++] = (struct pg_feed_frame){
		.at = (__u32)dp->feed_bytes,
		.len = (__u32)len,
		.wire_len = wire_len > len ? (__u32)wire_len : 0,
		.dir = (__u16)dir,
		.pkttype = pkttype_of(dir, frame),
	};
	memcpy(f->data + dp->feed_bytes, frame, len);
	dp->feed_bytes += len;
	return true;
}

size_t pg_dp_fed(const struct pg_dp *dp)
{
	return dp->feed ? dp->feed->n : 0;
}

/* One test run costs the kernel some milliseconds beside the frames: few are better run one by one. */
#define FEED_FEW 512

static int run_few(struct pg_dp *dp, struct pg_err *err)
{
	struct pg_feed *f = dp->feed;
	int r = 0;

	for (__u32 i = 0; !r && i < f->n; i++) {
		const struct pg_feed_frame *frame = &f->frame[i];

		r = pg_dp_run(dp, (enum pg_dir)frame->dir, f->data + frame->at, frame->len,
			      frame->wire_len ?: frame->len, &f->trace[i], err);
	}
	return r;
}

int pg_dp_feed_run(struct pg_dp *dp, struct pg_err *err)
{
	struct pg_feed *f = dp->feed;
	__u8 blank[RUN_MAX_LINEAR] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = blank, .data_size_in = sizeof(blank));

	if (!f || f->n < FEED_FEW)
		return f ? run_few(dp, err) : 0;
	f->next = f->failed = 0;
	opts.repeat = (int)f->n + 1; /* the last keeps what was made of the last but one */
	if (bpf_prog_test_run_opts(dp->feed_prog, &opts))
		return pg_dp_fail(err, -errno, "cannot run frames through the program");
	if (f->failed)
		return pg_fail(err, -EIO, "%u frames could not be given to the program", f->failed);
	return 0;
}

const struct pg_trace *pg_dp_feed_trace(const struct pg_dp *dp, size_t i)
{
	return &dp->feed->trace[i % PG_FEED_FRAMES];
}

void pg_dp_feed_clear(struct pg_dp *dp)
{
	if (dp->feed)
		dp->feed->n = 0;
	dp->feed_bytes = 0;
}

size_t pg_dp_run_steps(const struct pg_dp *dp, const struct pg_step **ret_step)
{
	const struct pg_trace_map *map = dp->map[PG_MAP_TRACE].mem;

	*ret_step = map->step;
	return map->n_steps;
}

int pg_dp_private_prog(const struct pg_dp *dp, enum pg_prog prog)
{
	return pg_dp_prog_fd(dp->skel, prog);
}
