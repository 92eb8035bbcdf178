/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ClassBench's filter sets and traces (D. E. Taylor, J. S. Turner: "ClassBench: A Packet
 * Classification Benchmark", 2005). A filter is a line
 *
 *	@192.0.2.0/24	198.51.100.1/32	0 : 65535	443 : 443	0x06/0xFF	0x0000/0x0200
 *
 * and a packet of a trace a line of decimal numbers: source, destination, ports, protocol, and what
 * else there is. The flags of both are left out: what they mean is not defined in iptables' terms.
 */
#pragma once

#include "rules.h"

/* One line, without its newline. -EINVAL where it is not of this form. */
int bench_classbench_rule(const char *line, struct bench_rule *ret);
int bench_classbench_flow(const char *line, struct bench_flow *ret);

/* All lines of a file. Empty ones are none. The caller frees, also on failure. */
int bench_classbench_rules(const char *path, struct bench_rules *ret, struct pg_err *err);
int bench_classbench_flows(const char *path, struct bench_flows *ret, struct pg_err *err);
