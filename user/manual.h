/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* portguard's own tables → parts of its manual pages, as items of mdoc's lists. Pure. */
#pragma once

#include "cmd.h"

/* Subsections, one a command, in the order of the table, which ends with NULL. */
void pg_manual_commands(struct pg_text *t, const struct pg_cmd *const *commands);
/* The others need no commands; they take them to be called alike. */
void pg_manual_matches(struct pg_text *t, const struct pg_cmd *const *commands);
void pg_manual_targets(struct pg_text *t, const struct pg_cmd *const *commands);
void pg_manual_reasons(struct pg_text *t, const struct pg_cmd *const *commands);
void pg_manual_timeouts(struct pg_text *t, const struct pg_cmd *const *commands);
