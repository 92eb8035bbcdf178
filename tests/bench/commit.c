// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long a large policy takes to come into force, in the place of another one as large, and how
 * much memory the command needs for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "measure.h"
#include "policy.h"
#include "rulefile.h"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* A line of /proc/self/status, in MB; -1: there is none. */
static double memory_mb(const char *name)
{
	_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			return strtod(line + strlen(name) + 1, NULL) / 1024;
	return -1;
}

/* From here on VmHWM is the peak. */
static void forget_peak(void)
{
	_close_ int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "5", 1) != 1)
		fprintf(stderr, "bench: the peak of memory includes what came before\n");
}

static int parse(unsigned n, bool ipv6, struct pg_ruleset **ret, double *ret_ms, struct pg_err *err)
{
	_cleanup_(bench_rules_free) struct bench_rules rules = { 0 };
	_cleanup_(pg_text_free) struct pg_text text = { 0 };
	const struct pg_rulefile_opts opts = { .name = "rules" };
	struct pg_notes notes = { 0 };
	double start;
	int r;

	if (bench_rules_random(&rules, ipv6, n))
		return pg_fail(err, -ENOMEM, "out of memory");
	bench_write_iptables(&text, &rules, "filter", "INPUT");
	if (text.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	start = now_ms();
	r = pg_rulefile_parse(text.buf, text.len, &opts, ret, &notes, err);
	*ret_ms = now_ms() - start;
	pg_notes_free(&notes);
	return r;
}

static int compile(struct pg_dp *dp, const struct pg_ruleset *set, struct bench_commit *c,
		   struct pg_err *err)
{
	_cleanup_(pg_tables_freep) struct pg_tables *tables = NULL;
	double start, before;
	int r;

	forget_peak();
	before = memory_mb("VmRSS:");
	start = now_ms();
	r = pg_policy_compile(dp, set, &tables, err);
	c->compile_ms = now_ms() - start;
	c->peak_mb = memory_mb("VmHWM:") - before;
	return r;
}

/* Everything in a policy that is replaced: it has other addresses. */
static int measure(struct bench_commit *c, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *old = NULL, *set = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	const struct pg_private_opts private = { .untraced = true };
	struct pg_dp_policy_info info;
	double ignored, start;
	int r = parse(c->rules - 1, false, &old, &ignored, err);

	if (!r)
		r = parse(c->rules, false, &set, &c->parse_ms, err);
	if (!r)
		r = pg_dp_open_private(&private, &dp, err);
	if (!r)
		r = compile(dp, set, c, err);
	if (!r)
		r = pg_policy_commit(dp, old, err);
	if (r)
		return r;
	start = now_ms();
	r = pg_policy_commit(dp, set, err);
	c->commit_ms = now_ms() - start;
	pg_dp_policy_info(dp, &info);
	c->tables_mb = info.memory_bytes / 1e6;
	return r;
}

/* In a process of its own: memory that another left free is not grown into. */
static int measure_apart(struct bench_commit *c, struct pg_err *err)
{
	struct bench_commit *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pg_err why = { 0 };
	int status;
	pid_t pid;

	if (shared == MAP_FAILED)
		return pg_fail(err, -ENOMEM, "out of memory");
	*shared = *c;
	pid = fork();
	if (pid == 0) {
		if (measure(shared, &why))
			snprintf(shared->why_not, sizeof(shared->why_not), "%.*s",
				 (int)strcspn(why.text, "\n"), why.text);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		snprintf(shared->why_not, sizeof(shared->why_not), "it did not come to an end");
	*c = *shared;
	munmap(shared, sizeof(*shared));
	return 0;
}

int bench_commits(struct bench_commit *ret, const struct bench_opts *opts, struct pg_err *err)
{
	int r = 0;

	for (int i = 0; !r && i < BENCH_COMMITS; i++) {
		ret[i] = (struct bench_commit){ .rules = i ? 100000 : 10000 };
		if (!(opts->groups & BENCH_COMMIT) || ret[i].rules > opts->max_rules)
			snprintf(ret[i].why_not, sizeof(ret[i].why_not), "not asked for");
		else
			r = measure_apart(&ret[i], err);
	}
	return r;
}
