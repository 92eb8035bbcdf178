/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of commands → scripts with which shells complete portguard's command line. Pure. */
#pragma once

#include "cmd.h"

/* `commands` ends with NULL; t->oom says whether it could be written. */
void pg_completion_bash(struct pg_text *t, const struct pg_cmd *const *commands);
void pg_completion_zsh(struct pg_text *t, const struct pg_cmd *const *commands);
void pg_completion_fish(struct pg_text *t, const struct pg_cmd *const *commands);
