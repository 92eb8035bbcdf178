/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* iptables' verbs. */
#include <errno.h>
#include <string.h>

#include "chains.h"
#include "edit.h"
#include "iptables.h"
#include "list.h"

static int run_iptables(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_iptables = {
	.name = "",
	.args = "-A|-I|-D|-R|-C|-L|-S|-F|-P|-Z|-N|-X|-E … (as iptables; tables filter and raw)",
	.help = "iptables' verbs, with its options and its words",
	.run = run_iptables,
};

extern const struct pg_cmd pg_cmd_rules; /* the listing as JSON */

static void print_help(void)
{
	printf("portguard v" PG_VERSION "\n\n"
	       "Usage: portguard -A|-C|-D CHAIN RULE\n"
	       "       portguard -I CHAIN [NUMBER] RULE\n"
	       "       portguard -R CHAIN NUMBER RULE\n"
	       "       portguard -D CHAIN NUMBER\n"
	       "       portguard -L|-S [CHAIN [NUMBER]] [-n] [-v] [-x] [--line-numbers]\n"
	       "       portguard -F [CHAIN]\n"
	       "       portguard -Z [CHAIN [NUMBER]]\n"
	       "       portguard -P CHAIN ACCEPT|DROP\n"
	       "       portguard -N CHAIN\n"
	       "       portguard -X [CHAIN]\n"
	       "       portguard -E CHAIN NEW-NAME\n\n"
	       "A rule is made of\n"
	       "  [!] -p PROTOCOL, [!] -s ADDRESS[/MASK][,…], [!] -d ADDRESS[/MASK][,…]\n"
	       "  [!] -i NAME[+], [!] -o NAME[+], [!] -f, -4, -6, -c PACKETS BYTES\n"
	       "  -j ACCEPT, DROP [--kill], RETURN, CHAIN; -g CHAIN\n"
	       "  -j REJECT [--reject-with TYPE]\n"
	       "  -j LOG [--log-prefix TEXT] [--log-level LEVEL] [--log-tcp-sequence]\n"
	       "     [--log-tcp-options] [--log-ip-options] [--log-uid] [--log-macdecode]\n"
	       "  -j NFLOG [--nflog-group N] [--nflog-prefix TEXT] [--nflog-size N]\n"
	       "     [--nflog-threshold N]\n"
	       "  -j MARK --set-xmark|--set-mark VALUE[/MASK], --and-mark|--or-mark|--xor-mark VALUE\n"
	       "  -j CT --notrack, -j NOTRACK (in table raw)\n"
	       "  -m tcp, udp, udplite, sctp, dccp: [!] --sport PORT[:PORT], [!] --dport …\n"
	       "  -m tcp: [!] --tcp-flags MASK SET, [!] --syn\n"
	       "  -m multiport: [!] --sports LIST, --dports LIST, --ports LIST\n"
	       "  -m icmp: [!] --icmp-type TYPE; -m icmp6: [!] --icmpv6-type TYPE\n"
	       "  -m addrtype, pkttype, mac, iprange, length, ttl, hl, tos, dscp, mark, tcpmss,\n"
	       "  -m esp, ah, frag, rt; --tcp-option, --dccp-types, --chunk-types …: as iptables\n"
	       "  -m vlan: [!] --vlan-id ID[:ID]\n"
	       "  -m state: [!] --state STATE,…; -m conntrack: [!] --ctstate STATE,… and others\n"
	       "  -m connlimit, connbytes, limit, hashlimit, recent, set, quota, statistic, time,\n"
	       "  -m rpfilter: as iptables; portguard-rules(7) has the options of all of them\n"
	       "  -m comment: --comment TEXT\n"
	       "It holds for IPv4 and IPv6 unless -4, -6 or what it asks for says otherwise.\n"
	       "Every verb takes -w [SECONDS], -t filter or -t raw, and -v.\n");
}

static int parse_argv(int argc, char **argv, struct pg_command *ret, struct pg_err *err)
{
	_free_ struct pg_arg *arg = calloc((size_t)argc, sizeof(*arg));
	const struct pg_parse_from from = { .file = false };
	struct pg_diag diag;
	int r;

	if (!arg)
		return pg_fail(err, -ENOMEM, "out of memory");
	for (int i = 1; i < argc; i++)
		arg[i - 1].text = argv[i];
	r = pg_command_parse(arg, (size_t)(argc - 1), &from, ret, &diag);
	return r < 0 ? pg_diag_report(&diag, r, err) : 0;
}

static int print_text(struct pg_text *t, struct pg_err *err)
{
	if (t->oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	if (t->len)
		fwrite(t->buf, 1, t->len, stdout);
	return 0;
}

static int print_listing(const struct pg_command *cmd, const struct pg_ruleset *set,
			 struct pg_err *err)
{
	const struct pg_list_opts opts = {
		.table = cmd->table,
		.chain = cmd->chain,
		.num = cmd->num,
		.family = cmd->families,
		.numeric = cmd->numeric,
		.verbose = cmd->verbose,
		.exact = cmd->exact,
		.line_numbers = cmd->line_numbers,
	};
	_cleanup_(pg_text_free) struct pg_text t = {};

	if (cmd->verb == PG_VERB_LIST)
		pg_list_print(&t, set, &opts);
	else
		pg_list_rules_print(&t, set, &opts);
	return print_text(&t, err);
}

/* What iptables says with -v about a rule, before it is known whether all goes well. */
static int print_rules(const struct pg_command *cmd, struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = {};

	for (size_t i = 0; cmd->verbose && i < cmd->n_rules; i++)
		pg_list_one(&t, &cmd->rule[i]);
	return print_text(&t, err);
}

/* What iptables says with -v about chains. `before`: as they were, -X has taken some away. */
static int print_chains(const struct pg_command *cmd, const struct pg_ruleset *before,
			struct pg_err *err)
{
	bool flush = cmd->verb == PG_VERB_FLUSH, zero = cmd->verb == PG_VERB_ZERO || cmd->zero;
	bool drop = cmd->verb == PG_VERB_DELETE_CHAIN || cmd->verb == PG_VERB_DELETE_CHAINS;
	const char *what = flush ? "Flushing" : drop ? "Deleting" : "Zeroing";
	_cleanup_(pg_text_free) struct pg_text t = {};

	for (size_t i = 0; cmd->verbose && (flush || zero || drop) && i < before->n_chains; i++) {
		const struct pg_chain *chain = &before->chain[i];

		if (chain->table != cmd->table || (cmd->chain && strcmp(cmd->chain, chain->name)) ||
		    (drop && pg_chain_is_builtin(before, chain)))
			continue;
		pg_text_add(&t, "%s chain `%s'\n", what, chain->name);
	}
	return print_text(&t, err);
}

/* What the user should know though all went well: a line each, on standard error. */
static int print_warnings(const struct pg_command *cmd, struct pg_err *err)
{
	if (cmd->warning.len)
		fprintf(stderr, "portguard: warning: %s\n", cmd->warning.buf);
	if (cmd->warning.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	return 0;
}

static int change(const struct pg_command *cmd, struct pg_edit *edit, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *set = pg_ruleset_dup(edit->set);
	struct pg_diag diag;
	int r;

	if (!set)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = print_rules(cmd, err);
	if (r < 0)
		return r;
	r = pg_command_apply(cmd, set, &diag);
	if (r < 0)
		return pg_diag_report(&diag, r, err);
	if (pg_command_writes(cmd)) {
		r = pg_edit_commit(edit, set, err);
		if (r < 0)
			return r;
	}
	/* -L -Z shows the counters that it has just forgotten: no packet comes to them any more, and all that came count. */
	if (cmd->zero)
		pg_policy_count(edit->dp, edit->set);
	if (cmd->verb == PG_VERB_LIST || cmd->verb == PG_VERB_LIST_RULES)
		r = print_listing(cmd, edit->set, err);
	if (!r)
		r = print_chains(cmd, edit->set, err);
	return r < 0 ? r : print_warnings(cmd, err);
}

static int execute(struct pg_ctx *ctx, const struct pg_command *cmd, struct pg_err *err)
{
	bool lists = cmd->verb == PG_VERB_LIST || cmd->verb == PG_VERB_LIST_RULES;
	char name[] = "rules", *argv[] = { name, NULL };
	_cleanup_(pg_edit_close) struct pg_edit edit = {};
	int r;

	if (ctx->json && lists && !cmd->zero)
		return pg_cmd_rules.run(ctx, 1, argv, err);
	r = pg_edit_open(ctx, pg_command_writes(cmd), cmd->wait_s, &edit, err);

	return r < 0 ? r : change(cmd, &edit, err);
}

static int run_iptables(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	struct pg_command cmd = {};
	int r = parse_argv(argc, argv, &cmd, err);

	if (r < 0)
		return r;
	switch (cmd.verb) {
	case PG_VERB_HELP:
		print_help();
		break;
	case PG_VERB_VERSION:
		printf("portguard v" PG_VERSION "\n");
		break;
	default:
		r = execute(ctx, &cmd, err);
	}
	pg_command_free(&cmd);
	return r;
}
