/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "cmd.h"

/* Print the rules of the policy in force that no packet met for so many days. */
int pg_learn_unused(const struct pg_ctx *ctx, uint32_t days, struct pg_err *err);
