// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Makes every run of a BPF_PROG_TEST_RUN another packet: writes the next addresses, ports and
 * protocol of a list into the frame and tail-calls the program under test. One packet repeated
 * would find all it needs in the first-level cache. What the mutator costs itself is measured with
 * `empty` behind it and the same list.
 */
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "mutate.h"

/* The index is a constant, so that the JIT makes the call a jump. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} position SEC(".maps");

/* The command sets the lists' lengths. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_ip4);
} list_ip4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bench_ip6);
} list_ip6 SEC(".maps");

const volatile __u32 length = 1;

/* Where these words are in an Ethernet frame without tags, IP options or extension headers. */
enum {
	IP4_TTL = 14 + 8,
	IP4_ADDRS = 14 + 12,
	IP4_PORTS = 14 + 20,
	IP6_LEN = 14 + 4,
	IP6_ADDRS = 14 + 8,
	IP6_PORTS = 14 + 40,
};

static __always_inline __u32 next_position(void)
{
	__u32 zero = 0, now, *at = bpf_map_lookup_elem(&position, &zero);

	if (!at)
		return 0;
	now = *at;
	*at = now + 1 < length ? now + 1 : 0;
	return now;
}

SEC("xdp")
int mutate_ip4(struct xdp_md *ctx)
{
	char *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 at = next_position();
	const struct bench_ip4 *p = bpf_map_lookup_elem(&list_ip4, &at);

	if (!p || frame + IP4_PORTS + 4 > end)
		return XDP_ABORTED;
	*(__u32 *)(frame + IP4_TTL) = p->ttl_proto;
	*(__u64 *)(frame + IP4_ADDRS) = p->addrs;
	*(__u32 *)(frame + IP4_PORTS) = p->ports;
	bpf_tail_call_static(ctx, &next, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int mutate_ip6(struct xdp_md *ctx)
{
	char *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 at = next_position();
	const struct bench_ip6 *p = bpf_map_lookup_elem(&list_ip6, &at);

	if (!p || frame + IP6_PORTS + 4 > end)
		return XDP_ABORTED;
	*(__u32 *)(frame + IP6_LEN) = p->len_next;
	for (int i = 0; i < 4; i++)
		*(__u64 *)(frame + IP6_ADDRS + 8 * i) = p->addrs[i];
	*(__u32 *)(frame + IP6_PORTS) = p->ports;
	bpf_tail_call_static(ctx, &next, 0);
	return XDP_ABORTED;
}

/* The least that a tracker pays for the kernel's hash: a flow's entry found, or made, and counted in. */
struct hash_key {
	__u64 addrs;
	__u32 ports, proto;
};
struct hash_value {
	__u64 packets, bytes, last, more[5]; /* a cache line */
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct hash_key);
	__type(value, struct hash_value);
} flows SEC(".maps");

SEC("xdp")
int hash(struct xdp_md *ctx)
{
	char *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct hash_value *value, first = { .packets = 1 };
	struct hash_key key = { 0 };

	if (frame + IP4_PORTS + 4 > end)
		return XDP_ABORTED;
	key.addrs = *(__u64 *)(frame + IP4_ADDRS);
	key.ports = *(__u32 *)(frame + IP4_PORTS);
	key.proto = *(__u8 *)(frame + IP4_TTL + 1);
	value = bpf_map_lookup_elem(&flows, &key);
	if (!value) {
		bpf_map_update_elem(&flows, &key, &first, 0);
		return XDP_PASS;
	}
	value->packets++;
	value->bytes += end - frame;
	value->last = bpf_jiffies64();
	return XDP_PASS;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

SEC("tc")
int empty_tc(struct __sk_buff *skb)
{
	(void)skb;
	return -1; /* TC_ACT_UNSPEC */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
