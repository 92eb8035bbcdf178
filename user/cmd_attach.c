/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>

#include "config.h"
#include "edit.h"
#include "ifaces.h"
#include "names.h"
#include "options.h"
#include "policy.h"
#include "rulefile.h"

static int run_attach(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);

const struct pg_cmd pg_cmd_attach = {
	.name = "attach",
	.args = "IFACE… [--mode auto|native|skb|tc] [--multiprog] [--policy FILE] [--no-egress] [--flows N] "
		"[--force] [-v] [-w [SECONDS]]",
	.help = "Attach to interfaces: all of them or, when one cannot be, none",
	.details =
		"  --mode MODE         how:\n"
		"         auto         native XDP where that is the best there is, else tc, else skb\n"
		"         native       XDP in the driver\n"
		"         skb          generic XDP; a GSO packet counts as one\n"
		"         tc           the same program on TC ingress\n"
		"  --multiprog         XDP as one of several programs, by libxdp's dispatcher\n"
		"  --policy FILE       (iptables-save's format) is the policy of the first packet already\n"
		"  --no-egress         neither count departures nor ask OUTPUT's rules about them\n"
		"  --flows N           of a new instance: how many flows it tracks at once, 152 bytes each\n"
		"  --force             replace an XDP program that is not ours\n"
		"  -v, --verbose       show the end of the verifier's log when the kernel refuses a program\n"
		PG_HELP_WAIT
		"What is not said is as the configuration file has it: portguard.conf(5).\n",
	.run = run_attach,
};

struct options {
	const struct pg_config *config;
	struct pg_attach_opts attach;
	bool mode_said; /* otherwise it is the configuration's */
	uint32_t flows;	    /* 0: not said */
	const char *policy; /* file; NULL: the policy in force stays */
	int wait_s;
	bool verbose;
};

static int mode_from_str(const char *text, enum pg_mode *ret, struct pg_err *err)
{
	if (pg_mode_from_str(text, ret) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--mode takes auto, native, skb or tc, not '%s'", text);
	return 0;
}

static int flows_from_str(const char *text, uint32_t *ret, struct pg_err *err)
{
	uint32_t n;

	if (pg_parse_u32(text, 1, PG_FLOWS_MAX, &n) < 0)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "--flows takes a number from 1 to %u, not '%s'", PG_FLOWS_MAX, text);
	*ret = pg_flows_round(n);
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o, struct pg_err *err)
{
	static const struct option longs[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "multiprog", no_argument, NULL, 'M' },
		{ "policy", required_argument, NULL, 'p' },
		{ "no-egress", no_argument, NULL, 'e' },
		{ "flows", required_argument, NULL, 'n' },
		{ "force", no_argument, NULL, 'f' },
		{ "wait", optional_argument, NULL, 'w' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = pg_getopt(&pg_cmd_attach, argc, argv, ":vw::", longs, err)) != -1) {
		switch (c) {
		case 'v':
			o->verbose = true;
			break;
		case 'm':
			if (mode_from_str(optarg, &o->attach.mode, err) < 0)
				return -EINVAL;
			o->mode_said = true;
			break;
		case 'M':
			o->attach.multi = true;
			break;
		case 'p':
			o->policy = optarg;
			break;
		case 'e':
			o->attach.no_egress = true;
			break;
		case 'n':
			if (flows_from_str(optarg, &o->flows, err) < 0)
				return -EINVAL;
			break;
		case 'f':
			o->attach.force = true;
			break;
		case 'w':
			if (pg_wait_parse(pg_optional_number(argc, argv), &o->wait_s, err) < 0)
				return -EINVAL;
			break;
		case PG_OPT_HELP:
			return c;
		default:
			return -EINVAL;
		}
	}
	if (o->attach.multi && o->attach.mode == PG_MODE_TC)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "--multiprog is about XDP, not --mode tc");
	if (optind == argc)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "attach needs the name of an interface");
	return 0;
}

static int load_policy(const char *path, struct pg_ruleset **ret_set, struct pg_err *err)
{
	const struct pg_rulefile_opts opts = { 0 };
	struct pg_notes notes = { 0 };
	int r = pg_rulefile_load(path, &opts, ret_set, &notes, err);

	pg_notes_print(&notes, stderr);
	pg_notes_free(&notes);
	return r;
}

/* What there was before, to go back to. */
struct before {
	bool created; /* there was no instance */
	struct pg_dp_iface iface[PG_MAX_IFACES];
	struct pg_ruleset *policy;
};

/*
 * Back to what was before. Errors have nowhere to go: the one that is reported is the one that
 * made us go back, and each step is worth trying even if another failed.
 */
static void undo(struct pg_dp *dp, const struct before *before, char **name, size_t n)
{
	if (before->created) {
		pg_dp_destroy(dp, NULL);
		return;
	}
	while (n--) {
		const struct pg_dp_iface *was = pg_iface_find(before->iface, name[n]);
		const struct pg_attach_opts opts = {
			.mode = was ? (enum pg_mode)was->abi.mode : PG_MODE_NONE,
			.no_egress = was && !was->egress_prog_id,
			.multi = was && was->multi,
			.reason = was ? was->abi.mode_reason : NULL,
		};

		if (was)
			pg_dp_attach(dp, name[n], &opts, NULL);
		else
			pg_dp_detach(dp, name[n], NULL);
	}
	pg_policy_renew(dp, before->policy, NULL);
}

static int attach_one(struct pg_dp *dp, const struct options *o, const char *name,
		      struct pg_err *err)
{
	const struct pg_config_attach *config = pg_config_iface(o->config, name);
	struct pg_attach_opts opts = o->attach;

	if (!o->mode_said)
		opts.mode = config->mode;
	opts.multi |= config->multiprog && opts.mode != PG_MODE_TC;
	opts.no_egress |= !config->egress;
	return pg_dp_attach(dp, name, &opts, err);
}

/*
 * The interfaces get their slots and the policy goes in before the first program is attached, so
 * that no packet meets another policy, or this one without its rules with -i. What passes them already is
 * unknown to a policy that tracks others'.
 */
static int attach_all(struct pg_dp *dp, const struct options *o, struct pg_ruleset *policy, bool replaces,
		      const struct before *before, char **name, size_t n, struct pg_err *err)
{
	bool tracked = pg_dp_policy_tracks(dp);
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = pg_dp_reserve(dp, name[i], err);
	if (r >= 0)
		r = replaces ? pg_policy_commit(dp, policy, err) : pg_policy_renew(dp, policy, err);
	if (r >= 0 && tracked && pg_dp_policy_tracks(dp))
		r = pg_dp_flow_adopt(dp, false, err);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = attach_one(dp, o, name[i], err);
	if (r < 0)
		undo(dp, before, name, n);
	else if (pg_dp_policy_tracks(dp))
		pg_dp_flow_adopt(dp, tracked, NULL);
	return r;
}

static int report(struct pg_dp *dp, char **name, size_t n, struct pg_err *err)
{
	_free_ struct pg_dp_iface *iface = calloc(PG_MAX_IFACES, sizeof(*iface));
	int r;

	if (!iface)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = pg_dp_ifaces(dp, iface, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct pg_dp_iface *f = pg_iface_find(iface, name[i]);
		char shown[IFNAMSIZ], reason[sizeof(f->abi.mode_reason)];

		if (!f)
			continue;
		printf("%s: attached, mode %s (%s)%s\n",
		       pg_printable(f->abi.name, shown, sizeof(shown)),
		       pg_mode_name((enum pg_mode)f->abi.mode),
		       pg_printable(f->abi.mode_reason, reason, sizeof(reason)),
		       f->egress_prog_id ? "" : ", departures not counted");
	}
	return 0;
}

/* Opens the instance, or makes one, and notes how it was. */
static int open_instance(struct pg_ctx *ctx, const struct options *o, struct before *before,
			 struct pg_dp **ret_dp, struct pg_err *err)
{
	struct pg_dp_opts opts = {
		.state_dir = ctx->state_dir,
		.mode = PG_DP_WRITE,
		.wait_s = o->wait_s,
		.verbose = ctx->verbose || o->verbose,
	};
	struct pg_dp_flow_info info;
	int r = pg_dp_open(&opts, ret_dp, err);

	if (!r && o->flows) {
		pg_dp_flow_info(*ret_dp, &info);
		if (info.capacity[PG_FLOW_TABLE] != o->flows)
			return pg_fail(err, -EBUSY,
				       "the instance is made for %u flows: detach all its interfaces first",
				       info.capacity[PG_FLOW_TABLE]);
	}
	if (r == -ENOENT) {
		opts.mode = PG_DP_CREATE;
		opts.flows = o->flows ? o->flows : o->config->flows;
		r = pg_dp_open(&opts, ret_dp, err);
		before->created = true;
	}
	if (r < 0)
		return r;
	r = pg_dp_ifaces(*ret_dp, before->iface, err);
	if (r < 0)
		return r;
	/* Somebody else may have made it between the two attempts, and it is theirs if in use. */
	for (size_t i = 0; i < PG_MAX_IFACES; i++)
		if (before->iface[i].abi.netns)
			before->created = false;
	return pg_policy_read(*ret_dp, &before->policy, err);
}

/* Nobody has used it: there was none, or one that a command like `set create` has made. */
static bool is_fresh(const struct before *before)
{
	const struct pg_ruleset *set = before->policy;

	for (size_t i = 0; i < PG_MAX_IFACES; i++)
		if (before->iface[i].abi.netns)
			return false;
	for (size_t i = 0; i < set->n_chains; i++)
		if (i >= PG_CHAINS_BUILTIN || set->chain[i].n_rules ||
		    set->chain[i].policy != PG_TARGET_ACCEPT)
			return false;
	return true;
}

/* What the configuration says of a new instance. */
static int configure(struct pg_dp *dp, const struct pg_config *config, struct pg_err *err)
{
	for (unsigned i = 0; i < _PG_TIMEOUT_MAX; i++)
		if (config->timeout_s[i])
			pg_dp_timeout_set(dp, (enum pg_timeout)i, config->timeout_s[i]);
	if (config->fragments != PG_FRAGMENTS_AUTO)
		pg_dp_set_fragments(dp, config->fragments);
	return config->flow_options ? pg_dp_flow_options_set(dp, config->flow_options, err) : 0;
}

/* *policy: of --policy, or NULL; the one to be in force. *ret_replaces: it is another than before. */
static int choose_policy(struct pg_dp *dp, const struct options *o, const struct before *before,
			 struct pg_ruleset **policy, bool *ret_replaces, struct pg_err *err)
{
	bool fresh = is_fresh(before);
	int r = fresh ? configure(dp, o->config, err) : 0;

	if (r >= 0 && fresh && !*policy && o->config->policy)
		r = load_policy(o->config->policy, policy, err);
	if (r < 0)
		return r;
	*ret_replaces = *policy;
	if (*policy)
		pg_policy_inherit(*policy, before->policy);
	else
		*policy = pg_ruleset_dup(before->policy);
	return *policy ? 0 : pg_fail(err, -ENOMEM, "out of memory");
}

static int attach(struct pg_ctx *ctx, const struct options *o, struct before *before, char **name,
		  size_t n, struct pg_err *err)
{
	_cleanup_(pg_ruleset_freep) struct pg_ruleset *policy = NULL;
	_cleanup_(pg_dp_closep) struct pg_dp *dp = NULL;
	bool replaces;
	int r;

	/* Before anything is touched: a wrong file or name changes nothing. */
	if (o->policy) {
		r = load_policy(o->policy, &policy, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		r = pg_dp_find_iface(name[i], err);
		if (r)
			return r;
	}
	r = open_instance(ctx, o, before, &dp, err);
	if (r < 0)
		return r;
	r = choose_policy(dp, o, before, &policy, &replaces, err);
	if (r < 0) {
		undo(dp, before, name, 0);
		return r;
	}
	r = attach_all(dp, o, policy, replaces, before, name, n, err);
	if (r >= 0)
		r = report(dp, name, n, err);
	if (r >= 0)
		pg_edit_warn(dp, true);
	return r;
}

static int run_attach(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err)
{
	struct options o = { .config = ctx->config };
	struct before *before;
	int r = parse_options(argc, argv, &o, err);

	if (r)
		return r == PG_OPT_HELP ? 0 : r;
	before = calloc(1, sizeof(*before));
	if (!before)
		return pg_fail(err, -ENOMEM, "out of memory");
	r = attach(ctx, &o, before, argv + optind, pg_names_once(argv + optind, (size_t)(argc - optind)),
		   err);
	pg_ruleset_free(before->policy);
	free(before);
	return r;
}
