/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "edit.h"
#include "ifaces.h"
#include "kernel_words.h"
#include "kill.h"
#include "print.h"

int pg_edit_open(const struct pg_ctx *ctx, bool write, int wait_s, struct pg_edit *ret,
		 struct pg_err *err)
{
	struct pg_edit edit = {
		.opts = {
			.state_dir = ctx->state_dir,
			.mode = write ? PG_DP_WRITE : PG_DP_READ,
			.wait_s = wait_s,
			.verbose = ctx->verbose,
		},
	};
	int r = pg_dp_open(&edit.opts, &edit.dp, err);

	if (!r || r == -ENOENT)
		r = pg_policy_read(edit.dp, &edit.set, err);
	if (r < 0) {
		pg_edit_close(&edit);
		return r;
	}
	*ret = edit;
	return 0;
}

int pg_edit_commit_for(struct pg_edit *edit, struct pg_ruleset *set, uint32_t confirm_s,
		       struct pg_err *err)
{
	bool kills = !confirm_s && (edit->kill_all || pg_kill_wanted(set, true));
	bool created = !edit->dp, tracked;
	int r;

	if (created) {
		edit->opts.mode = PG_DP_CREATE;
		r = pg_dp_open(&edit->opts, &edit->dp, err);
		if (r < 0)
			return r;
	}
	tracked = pg_dp_policy_tracks(edit->dp);
	/* An instance that was just made has counters that the policy read before does not know. */
	if (created || set == edit->set)
		r = pg_policy_commit_for(edit->dp, set, confirm_s, err);
	else
		r = pg_policy_commit_over(edit->dp, set, edit->set, confirm_s, err);
	if (r < 0 && created)
		pg_dp_destroy(edit->dp, NULL);
	if (r >= 0 && !edit->quiet)
		pg_edit_warn(edit->dp, !tracked);
	if (r < 0 || !kills)
		return r;
	return pg_kill_forbidden(edit->dp, set, edit->kill_all, edit->kill_ssh, err);
}

int pg_edit_commit(struct pg_edit *edit, struct pg_ruleset *set, struct pg_err *err)
{
	return pg_edit_commit_for(edit, set, 0, err);
}

void pg_edit_warn(struct pg_dp *dp, bool begins)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	char name[4 * IFNAMSIZ + 1];
	const struct pg_dp_adopted *adopted = pg_dp_flow_adopted(dp);

	if (adopted->homeless)
		fprintf(stderr, "portguard: warning: %u of %u connections that exist found no place "
			"among the flows: they are new to the policy\n", adopted->homeless, adopted->met);
	if (adopted->conntrack)
		fprintf(stderr, "portguard: warning: cannot read the kernel's conntrack: %s: what only that "
			"knows is new to the policy\n", strerror(-adopted->conntrack));
	if (!iface || !begins || !pg_dp_policy_tracks(dp) || pg_dp_ifaces(dp, iface, NULL))
		return;
	for (int i = 0; i < PG_MAX_IFACES; i++)
		if (iface[i].here && pg_dp_iface_is_deaf(&iface[i]))
			fprintf(stderr, "portguard: warning: %s: " PG_WORDS_NO_EGRESS "\n",
				pg_printable(iface[i].abi.name, name, sizeof(name)));
}

void pg_edit_say_waiting(const struct pg_ruleset *set, uint32_t confirm_s)
{
	printf("In force for %u s: 'portguard confirm' keeps it%s, 'portguard rollback' takes it back.\n",
	       confirm_s,
	       pg_kill_wanted(set, false) ? " and ends what -j DROP --kill forbids" : "");
}

int pg_edit_parse(const struct pg_text *text, const struct pg_rulefile_opts *opts,
		  struct pg_ruleset **ret_set, struct pg_err *err)
{
	struct pg_notes notes = {};
	int r = pg_rulefile_parse(text->buf, text->len, opts, ret_set, &notes, err);

	pg_notes_print(&notes, stderr);
	pg_notes_free(&notes);
	return r;
}

void pg_edit_close(struct pg_edit *edit)
{
	pg_ruleset_free(edit->set);
	pg_dp_close(edit->dp);
	*edit = (struct pg_edit){};
}
