/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the dashboard changes: a port is allowed or denied, a policy is kept or taken back. */
#pragma once

#include "cmd.h"
#include "top.h"

/* Work out what top->ask would do, in iptables' words, and open the question. Changes nothing. */
int pg_top_prepare(struct pg_ctx *ctx, struct pg_top *top, struct pg_err *err);
/* Do it, if it still is what was shown; for ask.seconds, unless that is 0. Sets the message. */
int pg_top_apply(struct pg_ctx *ctx, struct pg_top *top, struct pg_err *err);
/* Keep the policy that waits for its confirmation, or take it back. */
int pg_top_settle(struct pg_ctx *ctx, struct pg_top *top, bool keep, struct pg_err *err);
