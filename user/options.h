/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Options of the commands that are not iptables' own, by getopt_long(). */
#pragma once

/* For --help of commands that change something. */
#define PG_HELP_WAIT                                                                               \
	"  -w [SECONDS]        wait for another portguard's lock; alone, as long as it takes\n"

#include <getopt.h>

#include "cmd.h"
#include "dp.h"
#include "rulefile.h"

/* The directory that a command works on, for messages. */
static inline const char *pg_state_dir(const struct pg_ctx *ctx)
{
	return ctx->state_dir ? ctx->state_dir : PG_STATE_DIR_DEFAULT;
}

/*
 * getopt_long() for a command: starts from the beginning when optind is 0, which the caller sets;
 * prints nothing. `--help` and `-h` need not be in the lists: they come back as PG_OPT_HELP, with
 * the command's help printed. A wrong option comes back as '?', with err filled.
 */
#define PG_OPT_HELP 0x100
int pg_getopt(const struct pg_cmd *cmd, int argc, char **argv, const char *shorts,
	      const struct option *longs, struct pg_err *err);

/* Who names one twice means it once: each stays at its first place. How many are left. */
size_t pg_names_once(char **name, size_t n);

/* "Usage: …" and the line of help, on standard output. */
void pg_cmd_usage(const struct pg_cmd *cmd);

/* For commands that take nothing but -w. 0, PG_OPT_HELP, or negative. */
int pg_wait_option(const struct pg_cmd *cmd, int argc, char **argv, int *ret_wait_s,
		   struct pg_err *err);

/*
 * For commands that take nothing but -w and work on an instance whose policy may wait for its
 * confirmation: it is opened for writing. `none` says what an instance that does not exist lacks. 0,
 * PG_OPT_HELP, or negative.
 */
int pg_open_pending(const struct pg_cmd *cmd, const struct pg_ctx *ctx, int argc, char **argv,
		    const char *none, struct pg_dp **ret_dp, struct pg_err *err);

/*
 * For commands that follow what happens: the instance, opened as `mode` says. Where there is none,
 * -ENOENT and "nothing is attached in DIR, so `so`".
 */
int pg_open_following(const struct pg_ctx *ctx, enum pg_dp_open_mode mode, const char *so,
		      struct pg_dp **ret_dp, struct pg_err *err);

/*
 * Options of commands that read a file in iptables-save's format: -4, -6 and those that let them go
 * on without what is not enforced. -EINVAL: none of these, or err says what is wrong.
 */
enum { PG_OPT_SKIP_TABLES = 0x180, PG_OPT_SKIP_UNSUPPORTED };
#define PG_LONG_FAMILY                                                                             \
	{ "ipv4", no_argument, NULL, '4' }, { "ipv6", no_argument, NULL, '6' }
#define PG_LONG_FILE                                                                               \
	PG_LONG_FAMILY, { "skip-tables", no_argument, NULL, PG_OPT_SKIP_TABLES },                  \
		{ "skip-unsupported", no_argument, NULL, PG_OPT_SKIP_UNSUPPORTED }
#define PG_HELP_FILE                                                                               \
	"  --skip-tables       go on without tables that portguard does not enforce\n"             \
	"  --skip-unsupported  go on without rules that use an unsupported feature; says which\n"
int pg_family_option(int c, unsigned *family, struct pg_err *err);
int pg_file_option(int c, struct pg_rulefile_opts *opts, struct pg_err *err);

/* The value of -w: seconds, or as long as it takes (-1) for NULL. */
int pg_wait_parse(const char *text, int *ret_wait_s, struct pg_err *err);

/*
 * The value of an option whose value may stand in a word of its own though it is optional
 * (`--watch 2`, `-w 5`): that word if it is a number, which is then taken from the arguments;
 * NULL if there is none.
 */
const char *pg_optional_number(int argc, char **argv);
