/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kill.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "flow_read.h"
#include "options.h"
#include "ssh_guard.h"
#include "trial.h"

/* Which ones ------------------------------------------------------------------------------------- */

static bool same_end(const struct pg_flow_row *row, int end, const uint8_t *addr, uint16_t port,
		     size_t bytes)
{
	return row->port[end] == port && !memcmp(row->addr[end], addr, bytes);
}

static bool is_ssh(const struct pg_flow_row *row, const struct pg_ssh *ssh)
{
	size_t bytes = ssh->family == PG_FAMILY_V4 ? 4 : 16;

	if (row->proto != IPPROTO_TCP || row->family != ssh->family || !row->here)
		return false;
	for (int end = 0; end < 2; end++)
		if (same_end(row, end, ssh->client, ssh->client_port, bytes) &&
		    same_end(row, !end, ssh->server, ssh->server_port, bytes))
			return true;
	return false;
}

/* Take one's own SSH connection out of the list. */
static bool spare_ssh(struct pg_flow_list *list)
{
	struct pg_ssh ssh;

	if (!pg_ssh_find(&ssh))
		return false;
	for (size_t i = 0; i < list->n; i++) {
		if (!is_ssh(&list->row[i], &ssh))
			continue;
		list->row[i] = list->row[--list->n];
		return true;
	}
	return false;
}

/* Ending them -------------------------------------------------------------------------------------- */

static size_t fill_ends(const struct pg_flow_list *list, struct pg_socket_ends *ends,
			struct pg_kill_result *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct pg_flow_row *row = &list->row[i];

		if (row->proto != IPPROTO_TCP && row->proto != IPPROTO_UDP)
			continue;
		if (!row->here) {
			ret->elsewhere++;
			continue;
		}
		/* Either end may be this host's, or both. */
		for (int own = 0; own < 2; own++) {
			struct pg_socket_ends *e = &ends[n++];

			memset(e, 0, sizeof(*e));
			memcpy(e->addr[0], row->addr[own], sizeof(e->addr[0]));
			memcpy(e->addr[1], row->addr[!own], sizeof(e->addr[1]));
			e->port[0] = row->port[own];
			e->port[1] = row->port[!own];
			e->family = row->family;
			e->proto = row->proto;
		}
	}
	return n;
}

/* Sockets first: the RST that they send is still the flow's. */
static int kill_all(struct pg_dp *dp, struct pg_flow_list *list, bool force,
		    struct pg_kill_result *ret, struct pg_err *err)
{
	_free_ struct pg_socket_ends *ends = NULL;
	struct pg_sockets_closed sockets;
	size_t n;
	int r;

	*ret = (struct pg_kill_result){ .spared = !force && spare_ssh(list) };
	ends = calloc(2 * list->n + 1, sizeof(*ends));
	if (!ends)
		return pg_fail(err, -ENOMEM, "out of memory");
	n = fill_ends(list, ends, ret);
	r = pg_dp_sockets_close(ends, n, &sockets, err);
	if (r < 0)
		return r;
	ret->closed = sockets.closed;
	ret->failed = sockets.failed;
	ret->error = sockets.error;
	for (size_t i = 0; i < list->n; i++)
		ret->flows += pg_dp_flow_end(dp, &list->row[i].key);
	return 0;
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* What went wrong is said where the rest of it was done all the same. */
static void warn(const struct pg_kill_result *kr)
{
	if (kr->failed && kr->error == -EOPNOTSUPP)
		fprintf(stderr, "portguard: this kernel cannot close sockets (CONFIG_INET_DIAG_DESTROY is "
				"off): %zu of this host's go on until their ends give up\n",
			kr->failed);
	else if (kr->failed)
		fprintf(stderr, "portguard: %zu socket%s of this host could not be closed: %s\n",
			kr->failed, plural(kr->failed), strerror(-kr->error));
	if (kr->elsewhere)
		fprintf(stderr, "portguard: %zu of them %s in another network namespace: sockets there are "
				"closed by running portguard there\n",
			kr->elsewhere, kr->elsewhere == 1 ? "is" : "are");
	if (kr->spared)
		fprintf(stderr, "portguard: the SSH connection that you are on is spared; --force ends it, "
				"too\n");
}

/* Of what nobody tracks none can be found. */
static void warn_untracked(const struct pg_dp *dp)
{
	if (!pg_dp_policy_tracks(dp))
		fputs("portguard: nothing is tracked, so that no connection can be ended: 'portguard track on' "
		      "changes that\n", stderr);
}

static void report(const struct pg_kill_result *kr, bool json)
{
	if (json)
		printf("{\"killed\":%zu,\"sockets_closed\":%zu,\"sockets_failed\":%zu}\n", kr->flows,
		       kr->closed, kr->failed);
	else
		printf("%zu flow%s ended, %zu socket%s of this host closed\n", kr->flows,
		       plural(kr->flows), kr->closed, plural(kr->closed));
	warn(kr);
}

int pg_kill_command(const struct pg_ctx *ctx, const struct pg_flow_query *query, bool force,
		    int wait_s, struct pg_err *err)
{
	const struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.wait_s = wait_s,
		.verbose = ctx->verbose,
		.pending = true,
	};
	_cleanup_(pg_flow_list_clear) struct pg_flow_list list = { 0 };
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	struct pg_kill_result result;
	int r = pg_dp_open(&opts, &dp, err);

	if (r == -ENOENT)
		return pg_fail(err, r, "nothing is attached: there are no flows");
	if (!r)
		r = pg_flows_read(dp, query, &list, err);
	if (!r)
		r = kill_all(dp, &list, force, &result, err);
	if (r < 0)
		return r;
	report(&result, ctx->json);
	if (!result.flows)
		warn_untracked(dp);
	/* As conntrack -D, which fails where it has found none. */
	return result.flows || result.spared ? 0 : PG_EXIT_FAILED;
}

/* What a policy forbids -------------------------------------------------------------------------- */

static bool kills(const struct pg_rule *rule)
{
	return rule->target == PG_TARGET_DROP && rule->args.drop.kill;
}

bool pg_kill_wanted(const struct pg_ruleset *set, bool fresh)
{
	for (size_t i = 0; i < set->n_chains; i++) {
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			const struct pg_rule *rule = &set->chain[i].rule[k];

			if (kills(rule) && (!fresh || rule->slot == PG_NO_SLOT))
				return true;
		}
	}
	return false;
}

/* Keep of the list what the policy forbids on one interface. */
static int judge(struct pg_dp *dp, const struct pg_ruleset *set, bool all, const char *iface,
		 const struct pg_flow_list *from, struct pg_flow_list *forbidden, struct pg_err *err)
{
	static const struct pg_flow_query every_flow;
	_cleanup_(pg_trial_clear) struct pg_trial trial = { 0 };
	int r = pg_trial_open(&trial, dp, set, iface, err);

	for (size_t i = 0; !r && i < from->n; i++) {
		const struct pg_rule *by = NULL;
		bool drops;

		if (strcmp(from->row[i].iface, iface))
			continue;
		r = pg_trial_flow(&trial, &from->row[i], &drops, &by, err);
		if (r || !drops || (!all && !(by && kills(by))))
			continue;
		if (pg_flow_list_add(forbidden, &every_flow, &from->row[i]) < 0)
			r = pg_fail(err, -ENOMEM, "out of memory");
	}
	return r;
}

/* Interface by interface, because rules ask for them. */
static int find_forbidden(struct pg_dp *dp, const struct pg_ruleset *set, bool all,
			  const struct pg_flow_list *list, struct pg_flow_list *forbidden,
			  struct pg_err *err)
{
	char (*seen)[IFNAMSIZ] = calloc(PG_MAX_IFACES + 1, sizeof(*seen));
	size_t n = 0, k;
	int r = 0;

	if (!seen)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < list->n; i++) {
		const char *iface = list->row[i].iface;

		for (k = 0; k < n && strcmp(seen[k], iface);)
			k++;
		if (k < n || n > PG_MAX_IFACES)
			continue;
		memcpy(seen[n++], iface, sizeof(*seen));
		r = judge(dp, set, all, iface, list, forbidden, err);
	}
	free(seen);
	return r;
}

int pg_kill_forbidden(struct pg_dp *dp, const struct pg_ruleset *set, bool all, bool force,
		      struct pg_err *err)
{
	_cleanup_(pg_flow_list_clear) struct pg_flow_list list = { 0 }, forbidden = { 0 };
	static const struct pg_flow_query every_flow;
	struct pg_kill_result result;
	int r = pg_flows_read(dp, &every_flow, &list, err);

	if (!r)
		r = find_forbidden(dp, set, all, &list, &forbidden, err);
	if (!r)
		r = kill_all(dp, &forbidden, force, &result, err);
	if (r)
		return r;
	report(&result, false);
	warn_untracked(dp);
	if (result.spared)
		fputs("portguard: warning: the policy forbids that one: it is cut off unless a rule before accepts "
		      "ESTABLISHED\n", stderr);
	return 0;
}
