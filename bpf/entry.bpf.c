// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What stands among the programs of libxdp's dispatcher: it goes on to the interface's own program. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

/* One program: `attach` puts it there before this is attached, and `upgrade` another. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pg_entry SEC(".maps");

SEC("xdp")
int portguard_entry(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &pg_entry, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
