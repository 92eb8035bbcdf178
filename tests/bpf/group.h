/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How main() of a test ends: its tests in one harness, or one test that is skipped. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness.h"

static void skips_without_bpf(void **state)
{
	(void)state;
	skip();
}

/* BPF is not permitted here; err says why. */
static int group_skip(const struct pg_err *err)
{
	const struct CMUnitTest skipped[] = { cmocka_unit_test(skips_without_bpf) };

	print_message("skipped: %s\n", err->text);
	return cmocka_run_group_tests(skipped, NULL, NULL);
}

/* n tests, if h was opened; err says why it was not. It is closed. Returns how many failed. */
__attribute__((unused)) static int group_run(struct harness *h, bool opened, const struct pg_err *err,
					     const struct CMUnitTest *tests, size_t n,
					     CMFixtureFunction setup)
{
	int failed;

	if (!opened)
		return group_skip(err);
	failed = _cmocka_run_group_tests("tests", tests, n, setup, NULL);
	harness_close(h);
	return failed;
}
