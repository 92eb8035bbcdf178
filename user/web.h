/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The files of the page, which the Makefile puts into the binary: see user/web/embed.sh. */
#pragma once

#include <stddef.h>

struct pg_asset {
	const char *path; /* as in a URL */
	const char *type; /* of the content */
	const unsigned char *data;
	size_t size;
};

extern const struct pg_asset pg_assets[];
extern const size_t pg_n_assets;
