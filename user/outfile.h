/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A file that is replaced as a whole: whoever reads it, also after a power failure, finds what it
 * was or what it has become. What is no regular file (a pipe, /dev/stdout) is written to as it is.
 */
#pragma once

#include "util.h"

struct pg_outfile {
	FILE *f;       /* to write to; owned */
	char *path;    /* owned; where a link leads, if it is one */
	char *temp;    /* owned; f's name until it is path's; NULL: it has none */
	bool replaces; /* or f is the file itself */
};

/* A new file gets the mode 0600; one that is there keeps its own, and its owner. */
int pg_outfile_open(const char *path, struct pg_outfile *ret, struct pg_err *err);
/* Make what was written the file, and wait for the disk. */
int pg_outfile_commit(struct pg_outfile *out, struct pg_err *err);
/* Without a commit before, all is as it was. */
void pg_outfile_close(struct pg_outfile *out);
