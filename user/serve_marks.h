/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the policy says of ports is asked of a program of one's own, and to load one takes privileges that
 * the reading process of `portguard serve` has given up. So there is a third process, which the reader
 * alone can ask, and nothing but "now": it answers with the ports that have a mark.
 */
#pragma once

#include "jail.h"
#include "port_marks.h"

struct pg_marker; /* the reader's end */
/*
 * Starts the process. What comes of `follow` in it is its own; not_fd is closed in it. 0 or a negative errno with err filled; the
 * process ends when the marker is closed, or when we do.
 */
int pg_marker_start(struct pg_dp_follow *follow, const struct pg_jail_user *user, int not_fd,
		    struct pg_marker **ret_marker, struct pg_err *err);
/* Ask, unless it is at work. */
void pg_marker_ask(struct pg_marker *marker);
/* What it has said the last time, none at first; never waits. */
const struct pg_port_marks *pg_marker_marks(struct pg_marker *marker);
/* Why there are none; "": nothing went wrong. */
const char *pg_marker_error(const struct pg_marker *marker);
