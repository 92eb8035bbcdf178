/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "top_change.h"

#include <errno.h>
#include <string.h>

#include "edit.h"
#include "kill.h"
#include "short.h"
#include "ssh_guard.h"

/* The policy with the change, and the words of it. *ret_changed: it is another one. */
static int change(const struct pg_ruleset *old, const struct pg_top_ask *ask, struct pg_ruleset **ret_set,
		  struct pg_text *log, bool *ret_changed, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = pg_ruleset_dup(old);
	_cleanup_(pg_short_free) struct pg_short rules = {};
	struct pg_diag diag;
	char port[16];
	char *word = port;
	int r;

	if (!set)
		return pg_fail(err, -ENOMEM, "out of memory");
	snprintf(port, sizeof(port), "%u/%s", ask->port.port, pg_port_proto_name(ask->port.proto));
	r = pg_short_parse(&word, 1, ask->deny ? PG_SHORT_DENY : PG_SHORT_ALLOW, &rules, &diag);
	if (!r)
		r = pg_short_add(&rules, set, log, ret_changed, &diag);
	if (r < 0)
		return pg_diag_report(&diag, r, err);
	if (log->oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	*ret_set = TAKE_PTR(set);
	return 0;
}

static void show_words(struct pg_top_ask *ask, const struct pg_text *log)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	char line[400];

	for (const char *p = log->buf; p && *p;) {
		size_t n = strcspn(p, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)n, p);
		pg_text_add(&t, "%s%s\n", line[0] == '#' ? "" : "portguard ", line);
		p += n + (p[n] == '\n');
	}
	snprintf(ask->command, sizeof(ask->command), "%s", t.buf && !t.oom ? t.buf : "");
}

int pg_top_prepare(struct pg_ctx *ctx, struct pg_top *top, struct pg_err *err)
{
	_cleanup_(pg_edit_close) struct pg_edit edit = {};
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_text_free) struct pg_text log = {};
	bool changed = true;
	int r = pg_edit_open(ctx, false, 0, &edit, err);

	if (!r)
		r = change(edit.set, &top->ask, &set, &log, &changed, err);
	if (r < 0)
		return r;
	if (!changed) {
		snprintf(top->message, sizeof(top->message), "%u/%s: such a rule is there already",
			 top->ask.port.port, pg_port_proto_name(top->ask.port.proto));
		return 0;
	}
	show_words(&top->ask, &log);
	top->ask.warning[0] = '\0';
	top->ask.seconds = top->ask.seconds ? top->ask.seconds : 60;
	top->ask.open = true;
	return 0;
}

/* Whom a denial does not hold for, in a few words; "": it holds for all. */
static void name_exceptions(const struct pg_text *log, char *buf, size_t size)
{
	static const char note[] = "# still lets some in: ";
	const char *at = log->buf ? strstr(log->buf, note) : NULL;
	int n;

	*buf = '\0';
	if (!at)
		return;
	at += strlen(note);
	n = (int)strcspn(at, "\n");
	snprintf(buf, size, ", but not for all: %.*s%s", n, at, strstr(at, note) ? " and others" : "");
}

/* A policy that would drop the SSH connection that this is typed on is refused, as by `apply'. */
static int commit(struct pg_edit *edit, struct pg_ruleset *set, struct pg_top *top,
		  const struct pg_text *log, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text warning = {};
	const struct pg_top_ask *ask = &top->ask;
	char but[160], time[32] = "";
	int r = edit->dp ? pg_ssh_guard(edit->dp, set, &warning, err) : 0;

	if (!r)
		r = pg_edit_commit_for(edit, set, ask->seconds, err);
	if (r < 0)
		return r;
	top->frozen = false; /* what it does is to be seen */
	name_exceptions(log, but, sizeof(but));
	if (ask->seconds)
		snprintf(time, sizeof(time), " for %u s", ask->seconds);
	snprintf(top->message, sizeof(top->message), "%u/%s is %s%s%s%s%s", ask->port.port,
		 pg_port_proto_name(ask->port.proto), ask->deny ? "denied" : "allowed", time, but,
		 warning.len ? "; " : "", warning.len ? warning.buf : "");
	return 0;
}

int pg_top_apply(struct pg_ctx *ctx, struct pg_top *top, struct pg_err *err)
{
	_cleanup_(pg_edit_close) struct pg_edit edit = {};
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	_cleanup_(pg_text_free) struct pg_text log = {};
	struct pg_top_ask now = top->ask;
	bool changed = true;
	int r = pg_edit_open(ctx, true, 0, &edit, err);

	if (!r)
		r = change(edit.set, &top->ask, &set, &log, &changed, err);
	if (r < 0)
		return r;
	show_words(&now, &log);
	if (strcmp(now.command, top->ask.command)) {
		/* Somebody has changed the policy meanwhile: what was agreed to is something else. */
		memcpy(top->ask.command, now.command, sizeof(now.command));
		snprintf(top->ask.warning, sizeof(top->ask.warning),
			 "The policy has changed meanwhile: now it would be this.");
		top->ask.seconds = top->ask.seconds ? top->ask.seconds : 60;
		top->ask.open = true;
		return 0;
	}
	return commit(&edit, set, top, &log, err);
}

static int keep(struct pg_dp *dp, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = NULL;
	int r = pg_policy_read(dp, &set, err);

	if (r < 0)
		return r;
	if (pg_kill_wanted(set, false))
		return pg_fail(err, -EBUSY, "it has rules that end connections: `portguard confirm' does "
					    "that and says which");
	return pg_dp_confirm(dp, err);
}

int pg_top_settle(struct pg_ctx *ctx, struct pg_top *top, bool keeps, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.pending = true,
	};
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	int r = pg_dp_open(&opts, &dp, err);

	if (r == -ENOENT)
		return pg_fail(err, r, "nothing is attached");
	if (r < 0)
		return r;
	if (!keeps && !pg_dp_take_back(dp))
		return pg_fail(err, -ENOENT, "no policy is waiting for confirmation");
	r = keeps ? keep(dp, err) : 0;
	if (r < 0)
		return r;
	snprintf(top->message, sizeof(top->message), "%s",
		 keeps ? "The new policy stays" : "The old policy is in force again");
	return 0;
}
