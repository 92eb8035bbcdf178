/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The commands, one file each, and what main() gives them. */
#pragma once

#include "util.h"

struct pg_cmd;
struct pg_config;

struct pg_ctx {
	const char *state_dir; /* --state, PORTGUARD_STATE, the configuration; NULL: the default */
	const struct pg_cmd *const *commands; /* all with a name, then NULL */
	const struct pg_config *config; /* never NULL */
	bool json;
	bool verbose;
};

/*
 * run() gets argv with argv[0] being the command's own name; global options (--state, --json,
 * --verbose) are already taken out. Returns 0, or a negative errno with err filled, or a positive
 * exit code when everything has been said already.
 */
struct pg_cmd {
	const char *name;
	/* Help, the manual and completion are made of these; usage.h says how they are written. */
	const char *args;
	const char *help; /* one line */
	const char *details; /* what the options do; NULL: nothing to add */
	int (*run)(struct pg_ctx *ctx, int argc, char **argv, struct pg_err *err);
};
