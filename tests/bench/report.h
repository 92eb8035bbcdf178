/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What was measured, for people and for programs. */
#pragma once

#include "measure.h"

struct bench_report {
	const struct bench_table *table;
	const struct bench_commit *commit; /* BENCH_COMMITS */
	const struct bench_listing *listing;
	const struct bench_opts *opts;
};

void bench_report_print(const struct bench_report *r);
int bench_report_json(const struct bench_report *r, const char *path, struct pg_err *err);
/* Nanoseconds over rules, a line a tool, by gnuplot. -ENOENT: it is not installed. */
int bench_report_svg(const struct bench_report *r, const char *path, struct pg_err *err);
