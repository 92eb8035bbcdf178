/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the attached programs cost, as the kernel measures it while somebody asks for that. */
#include <errno.h>

#include "dp_impl.h"

int pg_dp_cost_begin(struct pg_err *err)
{
	int fd;

	pg_dp_libbpf_listen(false);
	fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return fd < 0 ? pg_dp_fail(err, fd, "cannot have programs measured") : fd;
}
