/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sequences of packets between two hosts, and what each of them is. A test has a `struct step` of its own,
 * start(POLICY), which forgets all flows, and go_on(STEPS, N).
 */
#pragma once

#include "names.h"
#include "pkt.h"

#define NEW PG_CT_NEW
#define ESTABLISHED PG_CT_ESTABLISHED
#define RELATED PG_CT_RELATED
#define INVALID PG_CT_INVALID
#define UNTRACKED PG_CT_UNTRACKED

/* The client is the far end; what it sends arrives. */
#define FROM_CLIENT(...) IP4(.src = "192.0.2.1", .dst = "192.0.2.2", ##__VA_ARGS__)
#define FROM_SERVER(...) IP4(.src = "192.0.2.2", .dst = "192.0.2.1", ##__VA_ARGS__)
#define FROM_CLIENT6(...) IP6(.src = "2001:db8::9", .dst = "2001:db8::2", ##__VA_ARGS__)
#define FROM_SERVER6(...) IP6(.src = "2001:db8::2", .dst = "2001:db8::9", ##__VA_ARGS__)

#define ACCEPT_ALL "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"

#define GO_ON(...)                                                                                 \
	do {                                                                                       \
		const struct step steps_[] = { __VA_ARGS__ };                                      \
		go_on(steps_, ARRAY_SIZE(steps_));                                                 \
	} while (0)
#define PLAY(...)                                                                                  \
	do {                                                                                       \
		start(ACCEPT_ALL);                                                                 \
		GO_ON(__VA_ARGS__);                                                                \
	} while (0)
