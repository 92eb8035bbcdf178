/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* doctor: what stands in the way here, and what mends it. */
#include <errno.h>
#include <sys/ioctl.h>

#include "doctor.h"
#include "options.h"

static int run_doctor(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_doctor = {
	.name = "doctor",
	.args = "[IFACE…] [--json]",
	.help = "Say what in this kernel, its interfaces and other rules is in the way, and what mends it",
	.details =
		"Of the interfaces named, or of all that are up. Changes nothing; what follows a # is the\n"
		"command that would, or that shows more where the choice is yours. Exit code 1 if there is a\n"
		"problem.\n",
	.run = run_doctor,
};

static int show(const struct pg_ctx *ctx, const struct pg_doctor *doctor,
		const struct pg_findings *findings, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	struct winsize size = { 0 };

	if (ctx->json)
		return pg_json_doctor(stdout, doctor, findings, err);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){ 0 };
	pg_view_findings(&t, findings, size.ws_col);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf, 1, t.len, stdout);
	return 0;
}

static int examine(const struct pg_ctx *ctx, char **name, size_t n, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_READ,
		.verbose = ctx->verbose,
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	_cleanup_(pg_doctor_clear) struct pg_doctor doctor = { 0 };
	_cleanup_(pg_findings_clear) struct pg_findings findings = { 0 };
	struct pg_err why = { 0 };
	enum pg_severity worst = PG_SEVERITY_OK;
	int r = pg_dp_open(&opts, &dp, &why);

	/* Without the right to look at the instance there is still a lot to say. */
	if (r < 0 && r != -ENOENT && r != -EPERM && r != -EACCES) {
		*err = why;
		return r;
	}
	r = pg_doctor_gather(dp, pg_state_dir(ctx), name, n, &doctor, err);
	if (r < 0)
		return r;
	pg_doctor_judge(&doctor, &findings);
	r = show(ctx, &doctor, &findings, err);
	for (size_t i = 0; i < findings.n; i++)
		if (findings.one[i].severity > worst)
			worst = findings.one[i].severity;
	return r ? r : worst == PG_SEVERITY_PROBLEM;
}

static int run_doctor(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	static const struct option longs[] = { { 0 } };
	int c;

	optind = 0;
	c = pg_getopt(&pg_cmd_doctor, argc, argv, ":", longs, err);
	if (c != -1)
		return c == PG_OPT_HELP ? 0 : -EINVAL;
	return examine(ctx, argv + optind, (size_t)(argc - optind), err);
}
