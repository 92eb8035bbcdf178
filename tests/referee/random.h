/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Random rule sets over the whole language. Values come from small pools, which the frames know
 * too, so that rules and frames meet. The same seed gives the same rule sets; what asks for the
 * time of day is written relative to `now`, and holds or doesn't for hours.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "bpf/gen.h"
#include "rules.h"

/* Which features random rules use: one bit each, by their names. */
struct random_opts {
	bool v6;
	bool tracks;	   /* rules that ask for connections' states */
	unsigned round;	   /* names of state tables carry it: they outlive a rule set */
	uint64_t features; /* random_features() makes it of text */
	time_t now;
	/* Addresses that captures brought along, as text. */
	const char *const *addr;
	size_t n_addr;
};

struct rules *random_rules(struct gen *g, const struct random_opts *opts);
/*
 * "all,-limit,-recent" or "chains,limit"; NULL: all that is enforced. Ends the process for a name
 * it does not know.
 */
uint64_t random_features(const char *text);
