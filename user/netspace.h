/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network namespaces that processes are in, beside this one's. */
#pragma once

#include <stdint.h>

#include "util.h"

struct pg_netspace {
	uint64_t inode;
	unsigned pid;  /* of a process in it */
	char name[48]; /* "web" (ip netns), "docker:0123456789ab", "sleep[123]": fit for a terminal */
};

struct pg_netspaces {
	struct pg_netspace *space; /* owned; ours is not among them */
	size_t n;
	int home; /* a descriptor of ours */
	bool partial; /* there are more than are looked at */
};

/* 0 or -ENOMEM. The caller clears in any case. */
int pg_netspaces_read(struct pg_netspaces *ret);
void pg_netspaces_clear(struct pg_netspaces *spaces);
/* This thread goes there and back. 0 or a negative errno; leaving does not fail, it aborts. */
int pg_netspace_enter(const struct pg_netspace *space);
void pg_netspace_leave(const struct pg_netspaces *spaces);
