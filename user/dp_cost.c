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

bool pg_dp_cost_read(__u32 prog_id, struct pg_dp_cost *ret)
{
	_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	*ret = (struct pg_dp_cost){ .ns = info.run_time_ns, .runs = info.run_cnt, .known = true };
	return true;
}
