// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What XDP writes in front of a packet that rules have marked; tests/net/test_mark.sh has what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "group.h"
#include "pkt.h"

#include "dp_impl.h"

#define META_MAX 256 /* a packet's headroom */

static struct harness h;
static uint8_t out[PKT_MAX];

static struct pg_trace *trace(void)
{
	return &((struct pg_trace_map *)h.dp->map[PG_MAP_TRACE].mem)->packet;
}

/* Runs a TCP packet to `port` behind `meta` bytes of another's metadata. How many bytes are in front of it then; -1: dropped. */
static int meta_after(uint16_t port, __u32 meta)
{
	const struct pkt_layer layers[] = { ETH(), IP4(), TCP(.dport = port), { .kind = PKT_END } };
	struct xdp_md md = { .data = meta };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = out, .data_out = out, .data_size_out = sizeof(out),
		    .ctx_in = &md, .ctx_out = &md, .ctx_size_in = sizeof(md), .ctx_size_out = sizeof(md));
	int r;

	memset(out, 0xee, meta);
	opts.data_size_in = meta + pkt_build(layers, out + meta, sizeof(out) - meta);
	md.data_end = opts.data_size_in;
	*trace() = (struct pg_trace){ 0 };
	r = bpf_prog_test_run_opts(pg_dp_prog_fd(h.dp->skel, PG_PROG_XDP), &opts);
	assert_int_equal(r, 0);
	return opts.retval == XDP_DROP ? -1 : (int)(md.data - md.data_meta);
}

static void a_mark_stands_in_front(void **state)
{
	struct pg_mark_meta m;

	(void)state;
	assert_int_equal(meta_after(80, 0), sizeof(m));
	memcpy(&m, out, sizeof(m));
	assert_int_equal(m.magic, PG_MARK_MAGIC);
	assert_int_equal(m.mark, 0x11);
	assert_int_equal(m.netns, (__u32)h.dp->netns);
	assert_int_equal(meta_after(81, 0), sizeof(m));
	memcpy(&m, out, sizeof(m));
	assert_int_equal(m.mark, 0x80000000);
}

static void without_a_mark_nothing_does(void **state)
{
	(void)state;
	assert_int_equal(meta_after(82, 0), 0);
	assert_int_equal(meta_after(83, 0), 0); /* set, and set back */
	assert_int_equal(meta_after(84, 0), -1); /* marked and dropped */
	assert_int_equal(trace()->reason, PG_REASON_RULE);
}

static void anothers_metadata_stays(void **state)
{
	(void)state;
	assert_int_equal(meta_after(80, 8), 8 + sizeof(struct pg_mark_meta));
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(out[sizeof(struct pg_mark_meta) + i], 0xee);
}

/* As much as the kernel lets a test run begin with: 32 bytes, or from Linux 6.3 on what the headroom has. */
static __u32 most_metadata(void)
{
	struct xdp_md md = { .data = META_MAX };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = out, .ctx_in = &md, .ctx_size_in = sizeof(md));
	int r;

	do {
		md.data -= 4;
		opts.data_size_in = md.data_end = md.data + 64;
		r = bpf_prog_test_run_opts(pg_dp_prog_fd(h.dp->skel, PG_PROG_XDP), &opts);
	} while (r && md.data);
	return md.data;
}

static void what_cannot_be_told_is_dropped(void **state)
{
	__u32 full = most_metadata();

	(void)state;
	assert_true(full >= 32);
	assert_int_equal(meta_after(80, full), -1);
	assert_int_equal(trace()->reason, PG_REASON_MARK_LOST);
	assert_int_equal(meta_after(82, full), full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_stands_in_front),
		cmocka_unit_test(without_a_mark_nothing_does),
		cmocka_unit_test(anothers_metadata_stays),
		cmocka_unit_test(what_cannot_be_told_is_dropped),
	};
	struct pg_err err = { 0 };
	bool opened = harness_open(&h, "pgt0", &err);

	if (opened)
		harness_load(&h, "*filter\n:INPUT ACCEPT [0:0]\n"
				 "-A INPUT -p tcp --dport 80 -j MARK --set-mark 0x11\n"
				 "-A INPUT -p tcp --dport 81 -j MARK --set-mark 0x80000000\n"
				 "-A INPUT -p tcp --dport 83:84 -j MARK --set-mark 7\n"
				 "-A INPUT -p tcp --dport 83 -j MARK --set-mark 0\n"
				 "-A INPUT -p tcp --dport 84 -j DROP\n"
				 "COMMIT\n");
	return group_run(&h, opened, &err, tests, ARRAY_SIZE(tests), NULL);
}
