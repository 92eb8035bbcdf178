/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The process of `portguard serve` that reads the instance. */
#pragma once

#include "dp.h"
#include "serve_ask.h"
#include "serve_marks.h"

struct pg_reader_opts {
	struct pg_dp_follow *follow;
	struct pg_marker *marker;
	unsigned max_ports, max_rules; /* of /metrics */
};

/* Answer what comes over `sock` until its other end is closed. 0 or a negative errno. */
int pg_reader_run(int sock, const struct pg_reader_opts *opts);
