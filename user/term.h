/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The terminal, by ncursesw: a frame onto the screen, keys from it. However the process ends, the
 * terminal is left as it was.
 */
#pragma once

#include "frame.h"
#include "top.h"

/* Can it show more than ASCII? By the locale that is set. */
bool pg_term_has_unicode(void);

/* Take the terminal. `colour`: not if it is to be monochrome. 0 or a negative errno with err filled. */
int pg_term_open(bool colour, struct pg_err *err);
void pg_term_close(void);

void pg_term_size(unsigned *ret_width, unsigned *ret_height);
void pg_term_show(const struct pg_frame *f);
/* Draw all of the next frame anew. */
void pg_term_redraw(void);
/* Give the terminal back until the process is continued. */
void pg_term_suspend(void);

/*
 * Wait for a key, timeout_ms at most. 1: there is one; 0: there is none, or the size has changed; a
 * negative errno: -EINTR where a signal wants the process to end, -EIO where the terminal is gone.
 */
int pg_term_key(int timeout_ms, struct pg_key *ret);
/* The signal that wants it, to end by; 0: none. */
int pg_term_signal(void);
