// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kern.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <string.h>

#include "mutate.h"
#include "tests/bench/mutate.skel.h"
#include "pkt.h"

struct bench_mutator {
	struct mutate_bpf *skel;
	int fd;
};

/* Frames --------------------------------------------------------------------------------------- */

/* Where these headers begin behind an Ethernet header; the mutator's program has the same. */
enum { IP_AT = 14, IP4_L4 = 14 + 20, IP6_L4 = 14 + 40 };

static uint16_t ip4_check(const unsigned char *header)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += i == 10 ? 0 : header[i] << 8 | header[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return htons(~((sum & 0xffff) + (sum >> 16)));
}

static void put_flow4(unsigned char *frame, const struct bench_flow *f)
{
	uint16_t check;

	frame[IP_AT + 9] = f->proto;
	memcpy(frame + IP_AT + 12, f->src, 4);
	memcpy(frame + IP_AT + 16, f->dst, 4);
	check = ip4_check(frame + IP_AT);
	memcpy(frame + IP_AT + 10, &check, 2);
}

static void put_flow6(unsigned char *frame, const struct bench_flow *f)
{
	frame[IP_AT + 6] = f->proto;
	memcpy(frame + IP_AT + 8, f->src, 16);
	memcpy(frame + IP_AT + 24, f->dst, 16);
}

static void put_flow(unsigned char *frame, const struct bench_flow *f, bool ipv6)
{
	const uint16_t ports[2] = { htons(f->sport), htons(f->dport) };

	if (ipv6)
		put_flow6(frame, f);
	else
		put_flow4(frame, f);
	memcpy(frame + (ipv6 ? IP6_L4 : IP4_L4), ports, sizeof(ports));
}

void bench_frame_segment(struct bench_frame *ret, const struct bench_flow *flow, bool ipv6,
			 const struct bench_segment *segment)
{
	const struct pkt_layer tcp =
		TCP(.flags = segment->flags, .seq = segment->seq, .ack = segment->ack);

	if (ipv6)
		ret->len = pkt_build(PKT(ETH(), IP6(), tcp), ret->bytes, sizeof(ret->bytes));
	else
		ret->len = pkt_build(PKT(ETH(), IP4(), tcp, PAD(10)), ret->bytes,
				     sizeof(ret->bytes));
	put_flow(ret->bytes, flow, ipv6);
}

void bench_frame_build(struct bench_frame *ret, const struct bench_flow *flow, bool ipv6)
{
	static const struct bench_segment syn = { .flags = PKT_SYN, .seq = 1 };

	bench_frame_segment(ret, flow, ipv6, &syn);
}

/* The mutator ---------------------------------------------------------------------------------- */

static struct bench_ip4 element4(const unsigned char *frame)
{
	struct bench_ip4 e;

	memcpy(&e.ttl_proto, frame + IP_AT + 8, 4);
	memcpy(&e.addrs, frame + IP_AT + 12, 8);
	memcpy(&e.ports, frame + IP4_L4, 4);
	return e;
}

static struct bench_ip6 element6(const unsigned char *frame)
{
	struct bench_ip6 e;

	memcpy(&e.len_next, frame + IP_AT + 4, 4);
	memcpy(e.addrs, frame + IP_AT + 8, 32);
	memcpy(&e.ports, frame + IP6_L4, 4);
	return e;
}

static int fill(struct mutate_bpf *skel, const struct bench_flows *flows)
{
	int fd = bpf_map__fd(flows->ipv6 ? skel->maps.list_ip6 : skel->maps.list_ip4), r = 0;
	struct bench_frame frame;

	bench_frame_build(&frame, flows->flow, flows->ipv6);
	for (uint32_t i = 0; !r && i < flows->n; i++) {
		struct bench_ip4 ip4;
		struct bench_ip6 ip6;

		put_flow(frame.bytes, &flows->flow[i], flows->ipv6);
		ip4 = element4(frame.bytes);
		ip6 = element6(frame.bytes);
		r = bpf_map_update_elem(fd, &i, flows->ipv6 ? (void *)&ip6 : &ip4, BPF_ANY);
	}
	return r;
}

static struct mutate_bpf *open_skel(bool frags)
{
	struct mutate_bpf *skel = mutate_bpf__open();
	struct bpf_program *prog;

	if (!skel)
		return NULL;
	bpf_object__for_each_program(prog, skel->obj) {
		bpf_program__set_autoload(prog, false);
		if (frags && bpf_program__type(prog) == BPF_PROG_TYPE_XDP)
			bpf_program__set_flags(prog, BPF_F_XDP_HAS_FRAGS);
	}
	return skel;
}

/*
 * A program can only call one that can do with frames in several buffers if it can itself, and
 * only one of the two will do: no kernel says beforehand which.
 */
static int try(struct mutate_bpf *skel, const struct bench_flows *flows, int target)
{
	struct bpf_program *prog = flows->ipv6 ? skel->progs.mutate_ip6 : skel->progs.mutate_ip4;
	uint32_t zero = 0;
	int r;

	bpf_program__set_autoload(prog, true);
	bpf_program__set_autoload(skel->progs.empty, target < 0);
	bpf_map__set_max_entries(flows->ipv6 ? skel->maps.list_ip6 : skel->maps.list_ip4, flows->n);
	skel->rodata->length = flows->n;
	r = mutate_bpf__load(skel);
	if (!r)
		r = fill(skel, flows);
	if (target < 0)
		target = bpf_program__fd(skel->progs.empty);
	if (!r)
		r = bpf_map_update_elem(bpf_map__fd(skel->maps.next), &zero, &target, BPF_ANY);
	return r;
}

int bench_mutator_new(const struct bench_flows *flows, int target, struct bench_mutator **ret,
		      struct pg_err *err)
{
	struct bench_mutator *m = calloc(1, sizeof(*m));
	int r = -ENOMEM;

	for (int frags = 1; m && r && frags >= 0; frags--) {
		mutate_bpf__destroy(m->skel);
		m->skel = open_skel(frags);
		r = m->skel ? try(m->skel, flows, target) : -errno;
	}
	if (r) {
		bench_mutator_free(m);
		return pg_fail(err, r, "cannot put the mutator before the program: %s",
			       strerror(-r));
	}
	m->fd = bpf_program__fd(flows->ipv6 ? m->skel->progs.mutate_ip6 :
					      m->skel->progs.mutate_ip4);
	*ret = m;
	return 0;
}

void bench_mutator_free(struct bench_mutator *m)
{
	if (m)
		mutate_bpf__destroy(m->skel);
	free(m);
}

int bench_mutator_fd(const struct bench_mutator *m)
{
	return m->fd;
}

static int load_empties(bool frags, struct mutate_bpf **ret)
{
	struct mutate_bpf *skel = open_skel(frags);
	int r;

	if (!skel)
		return -errno;
	bpf_program__set_autoload(skel->progs.empty, true);
	bpf_program__set_autoload(skel->progs.empty_tc, true);
	r = mutate_bpf__load(skel);
	if (r)
		mutate_bpf__destroy(skel);
	else
		*ret = skel;
	return r;
}

/* For the whole run of the bench. */
static struct mutate_bpf *empties(struct pg_err *err)
{
	static struct mutate_bpf *skel;
	int r = 0;

	if (!skel)
		r = load_empties(true, &skel);
	if (r)
		r = load_empties(false, &skel);
	if (r)
		pg_fail(err, r, "cannot load the empty programs: %s", strerror(-r));
	return skel;
}

int bench_empty_fd(struct pg_err *err)
{
	struct mutate_bpf *skel = empties(err);

	return skel ? bpf_program__fd(skel->progs.empty) : -1;
}

int bench_empty_tc_fd(struct pg_err *err)
{
	struct mutate_bpf *skel = empties(err);

	return skel ? bpf_program__fd(skel->progs.empty_tc) : -1;
}

/* The kernel's hash ---------------------------------------------------------------------------- */

struct bench_hash {
	struct mutate_bpf *skel;
};

static int load_hash(struct bench_hash *hash, bool frags, uint32_t flows)
{
	mutate_bpf__destroy(hash->skel);
	hash->skel = open_skel(frags);
	if (!hash->skel)
		return -errno;
	bpf_program__set_autoload(hash->skel->progs.hash, true);
	bpf_map__set_max_entries(hash->skel->maps.flows, flows);
	return mutate_bpf__load(hash->skel);
}

int bench_hash_new(uint32_t flows, struct bench_hash **ret, struct pg_err *err)
{
	struct bench_hash *hash = calloc(1, sizeof(*hash));
	int r = hash ? load_hash(hash, true, flows) : -ENOMEM;

	if (hash && r)
		r = load_hash(hash, false, flows);
	if (!r) {
		*ret = hash;
		return 0;
	}
	bench_hash_free(hash);
	return pg_fail(err, r, "cannot load the program with a hash: %s", strerror(-r));
}

void bench_hash_free(struct bench_hash *hash)
{
	if (hash)
		mutate_bpf__destroy(hash->skel);
	free(hash);
}

int bench_hash_fd(const struct bench_hash *hash)
{
	return bpf_program__fd(hash->skel->progs.hash);
}

/* Running -------------------------------------------------------------------------------------- */

int bench_run(const struct bench_run *run, unsigned repeat, unsigned *ret_ns,
	      unsigned *ret_verdict, struct pg_err *err)
{
	struct xdp_md ctx = { .data_end = run->frame.len, .ingress_ifindex = run->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->frame.bytes,
		    .data_size_in = run->frame.len, .repeat = repeat);

	if (run->ifindex) {
		opts.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
		if (setns(run->netns, CLONE_NEWNET))
			return pg_fail(err, -errno, "cannot enter a network namespace: %s",
				       strerror(errno));
	}
	if (bpf_prog_test_run_opts(run->prog, &opts))
		return pg_fail(err, -errno, "cannot run a frame through the program: %s",
			       strerror(errno));
	*ret_ns = opts.duration;
	*ret_verdict = opts.retval;
	return 0;
}

int bench_pin_cpu(struct pg_err *err)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		return pg_fail(err, -errno, "cannot stay on one CPU: %s", strerror(errno));
	return 0;
}
