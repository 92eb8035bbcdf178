// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The verifier takes every program in every form in which it is loaded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "dp_impl.h"

static struct pg_dp *dp;
static struct pg_shadow_maps maps; /* but for .next, which takes one kind of program only */

#define XDP PG_PROG_XDP
#define IN PG_PROG_TC_IN
#define OUT PG_PROG_TC_OUT

static const char *name_of(unsigned progs)
{
	return progs == XDP ? "portguard_xdp" : progs == IN ? "portguard_tc_in" :
	       progs == OUT ? "portguard_tc_out" : "portguard_tc_in and _out";
}

static void load(const char *form, struct pg_load_opts opts)
{
	struct portguard_bpf *skel = NULL;
	struct pg_err err = { 0 };

	if (opts.role == PG_ROLE_SHADOW || opts.role == PG_ROLE_BESIDE) {
		maps.next = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "pg_next", 4, 4, 1, NULL);
		opts.shadow = &maps;
	}
	if (pg_dp_load(dp, &opts, &skel, &err))
		fail_msg("%s, %s: %s", name_of(opts.progs), form, err.text);
	pg_dp_unload(skel);
	if (opts.shadow)
		close(maps.next);
}

static void load_each(const char *form, struct pg_load_opts opts)
{
	for (unsigned prog = XDP; prog <= OUT; prog <<= 1) {
		opts.progs = prog;
		load(form, opts);
	}
}

static void as_attached(void **state)
{
	(void)state;
	load_each("as attached", (struct pg_load_opts){ 0 });
}

/* What machines with more CPUs than shards load. */
static void counting_with_atomics(void **state)
{
	struct pg_ctl *ctl = pg_dp_ctl(dp);
	__u32 shards = ctl->shards;

	(void)state;
	if (libbpf_num_possible_cpus() < 2)
		skip();
	ctl->shards = 1;
	load_each("atomic", (struct pg_load_opts){ 0 });
	ctl->shards = shards;
}

static void with_a_trace(void **state)
{
	(void)state;
	load_each("traced", (struct pg_load_opts){ .trace = true });
}

static void without_ethernet(void **state)
{
	(void)state;
	load("without Ethernet", (struct pg_load_opts){ .progs = IN, .no_l2 = true });
	load("without Ethernet", (struct pg_load_opts){ .progs = OUT, .no_l2 = true });
}

static void of_a_policy_that_is_tried(void **state)
{
	(void)state;
	load_each("shadow", (struct pg_load_opts){ .role = PG_ROLE_SHADOW });
	load_each("beside", (struct pg_load_opts){ .role = PG_ROLE_BESIDE });
}

static void that_is_fed(void **state)
{
	const struct pg_load_opts fed = { .progs = IN | OUT, .role = PG_ROLE_FED, .trace = true };
	struct pg_load_opts xdp = fed;

	(void)state;
	load("fed", fed);
	if (!pg_dp_can_feed())
		return; /* frames run one by one then */
	xdp.progs = XDP;
	load("fed", xdp);
}

static int make_maps(void)
{
	__u32 cpus = libbpf_num_possible_cpus();
	LIBBPF_OPTS(bpf_map_create_opts, mmap, .map_flags = BPF_F_MMAPABLE);
	LIBBPF_OPTS(bpf_map_create_opts, lazy, .map_flags = BPF_F_NO_PREALLOC);

	maps.handoff = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pg_handoff", 4, sizeof(struct pg_handoff),
				      cpus, &mmap);
	maps.differences = bpf_map_create(BPF_MAP_TYPE_HASH, "pg_differences",
					  sizeof(struct pg_difference), sizeof(struct pg_count),
					  PG_DIFFERENCES, &lazy);
	return maps.handoff < 0 || maps.differences < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_attached),
		cmocka_unit_test(counting_with_atomics),
		cmocka_unit_test(with_a_trace),
		cmocka_unit_test(without_ethernet),
		cmocka_unit_test(of_a_policy_that_is_tried),
		cmocka_unit_test(that_is_fed),
	};
	struct pg_err err = { 0 };
	int failed;

	dp = pg_dp_new(true, false);
	if (!dp || pg_dp_create(dp, 0, &err) || make_maps()) {
		printf("skip: no BPF here: %s\n", err.text);
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pg_dp_close(dp);
	return failed;
}
