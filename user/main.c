/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Find the command, run it, print the error once. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "cmd.h"
#include "config.h"
#include "dp.h"
#include "options.h"

extern const struct pg_cmd pg_cmd_attach, pg_cmd_detach, pg_cmd_upgrade, pg_cmd_status, pg_cmd_allow, pg_cmd_deny,
	pg_cmd_limit, pg_cmd_delete, pg_cmd_save, pg_cmd_restore, pg_cmd_apply, pg_cmd_shadow,
	pg_cmd_promote, pg_cmd_confirm, pg_cmd_rollback, pg_cmd_lint, pg_cmd_rules, pg_cmd_ports,
	pg_cmd_reasons, pg_cmd_flows, pg_cmd_states, pg_cmd_track, pg_cmd_set_timeout, pg_cmd_top,
	pg_cmd_serve, pg_cmd_drops, pg_cmd_dump, pg_cmd_log, pg_cmd_test, pg_cmd_replay,
	pg_cmd_learn, pg_cmd_set, pg_cmd_set_fragments, pg_cmd_doctor, pg_cmd_completion,
	pg_cmd_manual, pg_cmd_iptables;

/* pg_cmd_iptables has no name: its verbs begin with a dash. */
static const struct pg_cmd *const commands[] = {
	&pg_cmd_attach, &pg_cmd_detach, &pg_cmd_upgrade, &pg_cmd_status, &pg_cmd_allow,
	&pg_cmd_deny, &pg_cmd_limit, &pg_cmd_delete, &pg_cmd_save, &pg_cmd_restore, &pg_cmd_apply,
	&pg_cmd_shadow, &pg_cmd_promote, &pg_cmd_confirm, &pg_cmd_rollback, &pg_cmd_lint,
	&pg_cmd_rules, &pg_cmd_ports, &pg_cmd_reasons, &pg_cmd_flows, &pg_cmd_states, &pg_cmd_track,
	&pg_cmd_set_timeout, &pg_cmd_top, &pg_cmd_serve, &pg_cmd_drops, &pg_cmd_dump, &pg_cmd_log,
	&pg_cmd_test, &pg_cmd_replay, &pg_cmd_learn, &pg_cmd_set, &pg_cmd_set_fragments,
	&pg_cmd_doctor, &pg_cmd_completion, &pg_cmd_manual, NULL
};

static void print_help(void)
{
	printf("portguard v" PG_VERSION ": a packet filter in XDP that speaks iptables\n\n"
	       "Usage: portguard COMMAND [ARGUMENTS…]\n"
	       "       portguard %s\n\nCommands:\n",
	       pg_cmd_iptables.args);
	for (size_t i = 0; commands[i]; i++)
		printf("  %-11s  %s\n", commands[i]->name, commands[i]->help);
	printf("  -A -I -D -R -C -L -S -F -P -Z -N -X -E\n"
	       "               %s\n\n"
	       "Options of every command:\n"
	       "  --state DIR   the instance's directory (PORTGUARD_STATE; default %s)\n"
	       "  --json        one JSON document instead of tables, for commands that read\n"
	       "  --verbose     say more about what fails\n"
	       "  --help        of portguard, or of a command\n",
	       pg_cmd_iptables.help, PG_STATE_DIR_DEFAULT);
}

/*
 * A state directory begins with a slash; the states of `-m state --state NEW` and of `flows --state
 * TIME_WAIT` do not, and belong to that.
 */
static bool is_state_option(char **argv, int i, bool verb, bool flows)
{
	if (strncmp(argv[i], "--state", 7) || (argv[i][7] && argv[i][7] != '='))
		return false;
	if (flows && argv[i][7])
		return argv[i][8] == '/';
	return !(verb || flows) || argv[i][7] || !argv[i + 1] || argv[i + 1][0] == '/';
}

/*
 * Take the global options out of argv[1..]. A word that is another option's value is not told
 * apart: no option of portguard's has a use for the value --json. "--" ends them.
 */
static int take_globals(struct pg_ctx *ctx, int *argc, char **argv, struct pg_err *err)
{
	bool verb = false; /* one of iptables': it has a --verbose of its own */
	bool flows = false;
	int kept = 1, i;

	for (i = 1; i < *argc && strcmp(argv[i], "--"); i++) {
		bool takes = is_state_option(argv, i, verb, flows);

		if (takes && argv[i][7]) {
			ctx->state_dir = argv[i] + 8;
		} else if (takes && i + 1 < *argc) {
			ctx->state_dir = argv[++i];
		} else if (takes) {
			return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
					    "option \"--state\" requires an argument");
		} else if (!strcmp(argv[i], "--json")) {
			ctx->json = true;
		} else if (!strcmp(argv[i], "--verbose") && !verb) {
			ctx->verbose = true;
		} else {
			if (kept == 1) {
				verb = argv[i][0] == '-';
				flows = !strcmp(argv[i], "flows");
			}
			argv[kept++] = argv[i];
		}
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	if (ctx->state_dir && !*ctx->state_dir)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL, "the state directory has no name");
	return 0;
}

static const struct pg_cmd *find_command(const char *name)
{
	if (name[0] == '-' || name[0] == '!')
		return &pg_cmd_iptables;
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* `help COMMAND` is `COMMAND --help`. */
static int help(const char *name, struct pg_err *err)
{
	const struct pg_cmd *cmd = name ? find_command(name) : NULL;

	if (name && !cmd)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "there is no command '%s'; `portguard --help` lists them", name);
	if (cmd && cmd != &pg_cmd_iptables)
		pg_cmd_usage(cmd);
	else
		print_help();
	return 0;
}

/* Whatever a message quotes, a terminal must not be told to do anything by it. */
static void print_error(struct pg_err *err, const char *what)
{
	const char *prefix = err->complete ? "" : what;
	char shown[sizeof(err->text)];

	for (char *next = err->text, *line; (line = strsep(&next, "\n"));) {
		fprintf(stderr, "%s%s\n", prefix, pg_printable(line, shown, sizeof(shown)));
		prefix = "";
	}
}

/*
 * A filter can be seen, examined and taken away whatever the file is like: of its settings these use
 * none but the state directory.
 */
static int read_config(const struct pg_cmd *cmd, struct pg_config *config, struct pg_err *err)
{
	int r = pg_config_read(NULL, config, err);

	if (r >= 0 || (cmd != &pg_cmd_detach && cmd != &pg_cmd_status && cmd != &pg_cmd_doctor))
		return r;
	print_error(err, "portguard: warning: ");
	*err = (struct pg_err){ .exit_code = PG_EXIT_FAILED };
	config->state_dir = pg_config_salvage(NULL);
	return 0;
}

static int run(struct pg_ctx *ctx, struct pg_config *config, int argc, char **argv,
	       struct pg_err *err)
{
	const struct pg_cmd *cmd;
	int r = take_globals(ctx, &argc, argv, err);

	if (r < 0)
		return r;
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
			 !strcmp(argv[1], "help")))
		return help(argc > 2 ? argv[2] : NULL, err);
	/* As iptables without arguments: it says that no command was given. */
	cmd = argc > 1 ? find_command(argv[1]) : &pg_cmd_iptables;
	if (!cmd)
		return pg_fail_exit(err, PG_EXIT_USAGE, -EINVAL,
				    "there is no command '%s'; `portguard --help' lists them",
				    argv[1]);
	if (cmd != &pg_cmd_iptables && argc > 2 && !strcmp(argv[2], "--help"))
		return help(argv[1], err); /* asks nothing of the file */
	r = read_config(cmd, config, err);
	if (r < 0)
		return r;
	if (!ctx->state_dir)
		ctx->state_dir = config->state_dir;
	if (cmd == &pg_cmd_iptables)
		return cmd->run(ctx, argc, argv, err);
	return cmd->run(ctx, argc - 1, argv + 1, err);
}

int main(int argc, char **argv)
{
	struct pg_config config = { 0 };
	struct pg_ctx ctx = {
		.state_dir = getenv("PORTGUARD_STATE"),
		.commands = commands,
		.config = &config,
	};
	struct pg_err err = { .exit_code = PG_EXIT_FAILED };
	int r;

	if (ctx.state_dir && !*ctx.state_dir)
		ctx.state_dir = NULL;
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error, and what is half written goes */
	r = run(&ctx, &config, argc, argv, &err);
	pg_config_free(&config);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "portguard: cannot write to standard output: %s\n",
			strerror(errno));
		return PG_EXIT_FAILED;
	}
	if (r >= 0)
		return r;
	if (!err.text[0])
		pg_fail(&err, r, "%s", strerror(-r));
	if (r == -EPERM && err.exit_code == PG_EXIT_FAILED)
		err.exit_code = PG_EXIT_RESOURCE;
	print_error(&err, "portguard: ");
	return err.exit_code;
}
