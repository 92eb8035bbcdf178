/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What fuzz targets have in common. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold whatever the input is; libFuzzer keeps the input that shows it does not. */
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What the command prints for a terminal has no byte that tells it to do something. */
static inline void must_be_printable(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		MUST(((uint8_t)text[i] >= ' ' && text[i] != 0x7f) || text[i] == '\n' ||
		     text[i] == '\t');
}
