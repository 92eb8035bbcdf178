/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Real frames: all untagged IPv4 and IPv6 ones of the captures in a folder. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/gen.h"

struct captures;

/* Adds a folder's files; those that are no Ethernet captures are passed over. NULL: no folder. */
struct captures *captures_new(const char *const *folders, size_t n);
void captures_free(struct captures *captures);
/* How many frames there are of a family. */
size_t captures_count(const struct captures *captures, bool v6);
/* One of them at random, as it was captured; NULL: there is none. */
const uint8_t *captures_frame(const struct captures *captures, struct gen *g, bool v6,
			      size_t *ret_len);
/* The i-th, in the order of the files and of each one's time. */
const uint8_t *captures_at(const struct captures *captures, bool v6, size_t i, size_t *ret_len);
/* Addresses that occur in them, at most `max`, each as text of the caller's to free. */
size_t captures_addresses(const struct captures *captures, bool v6, char **ret, size_t max);
/* Who speaks first in each file: both ends of what it has with others are in it. The same. */
size_t captures_first(const struct captures *captures, bool v6, char **ret, size_t max);
