/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames for a rule set: aimed at its rules and next to them, mixed at random from what its rules
 * name, broken on purpose, and out of captures.
 */
#pragma once

#include <stdint.h>

#include "captures.h"
#include "rules.h"
#include "want.h"

enum { FRAME_MAX = 1514 };

struct frame {
	size_t len;
	uint8_t data[FRAME_MAX];
};

/* A captured one as frame `number` to the Ethernet address `dst`. */
void frame_readdress(const uint8_t *data, size_t len, const char *dst, uint32_t number, struct frame *ret);

struct aim; /* at one rule set */

struct aim *aim_new(struct gen *g, const struct rules *rules, const struct captures *captures);
void aim_free(struct aim *aim);

/*
 * The next frame, to the Ethernet address `dst`. Its number stands in the lower half of its source
 * address. Without fragments, no frame is one.
 */
void aim_frame(struct aim *aim, const char *dst, uint32_t number, struct frame *ret);
