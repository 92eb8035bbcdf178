/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The process of `portguard serve` that talks HTTP. */
#pragma once

#include "serve_ask.h"

struct pg_http_opts {
	int listen_fd;
	int ask_fd;		   /* the reader's */
	const char *token;	   /* NULL: everybody may ask */
	const char *cert, *key;    /* PEM; NULL: no TLS */
	const char *const *name;   /* that it may be called by, beside addresses and localhost */
	size_t n_names;
};

struct pg_http;
/* Opens all that it will need. The options must outlive it. 0 or a negative errno with err filled. */
int pg_http_start(const struct pg_http_opts *opts, struct pg_http **ret_http, struct pg_err *err);
/* Serves until SIGINT or SIGTERM, which are no failure; one of the two is what it returns then. */
int pg_http_run(struct pg_http *http, struct pg_err *err);
