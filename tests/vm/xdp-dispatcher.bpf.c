// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A dispatcher for the installed libxdp, whose functions may change packets as those of libxdp 1.5.5
 * and later may: without that no program that does is let in by newer kernels.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#define _LINUX_TYPES_H /* vmlinux.h has these */
#include <xdp/prog_dispatcher.h>

static const volatile struct xdp_dispatcher_config conf;

/* Replaced by programs; what it returns until then goes on to the next. */
#define PLACE(name)                                                             \
	__noinline int name(struct xdp_md *ctx)                                 \
	{                                                                       \
		volatile int go_on = XDP_DISPATCHER_RETVAL;                     \
                                                                                \
		if (!ctx)                                                       \
			return XDP_ABORTED;                                     \
		bpf_xdp_adjust_tail(ctx, 0);                                    \
		return go_on;                                                   \
	}
PLACE(prog0)
PLACE(prog1)
PLACE(prog2)
PLACE(prog3)
PLACE(prog4)
PLACE(prog5)
PLACE(prog6)
PLACE(prog7)
PLACE(prog8)
PLACE(prog9)
PLACE(compat_test) /* in which libxdp tries whether the kernel can do it */

#define RUN(n)                                                                  \
	do {                                                                    \
		if (conf.num_progs_enabled <= n)                                \
			return XDP_PASS;                                        \
		verdict = prog##n(ctx);                                         \
		if (!(1U << verdict & conf.chain_call_actions[n]))              \
			return verdict;                                         \
	} while (0)

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	int verdict;

	RUN(0);
	RUN(1);
	RUN(2);
	RUN(3);
	RUN(4);
	RUN(5);
	RUN(6);
	RUN(7);
	RUN(8);
	RUN(9);
	if (conf.num_progs_enabled > MAX_DISPATCHER_ACTIONS)
		return compat_test(ctx);
	return XDP_PASS;
}

/* What it tries it with. */
SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

__uint(dispatcher_version, XDP_DISPATCHER_VERSION) SEC(XDP_METADATA_SECTION);
char LICENSE[] SEC("license") = "Dual BSD/GPL";
