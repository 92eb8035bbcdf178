/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What portguard may have to do without, and what that costs: for `status`, `doctor` and who changes it. */
#pragma once

#define PG_WORDS_NO_FRAGS "no XDP for packets in several buffers (Linux 5.18): native mode needs small MTUs"
#define PG_WORDS_NO_TCX                                                                                      \
	"no TCX (Linux 6.6): mode tc uses filters of a clsact qdisc instead, which others can remove"
#define PG_WORDS_NO_JIT "the BPF compiler is off: every packet is interpreted, many times slower"
#define PG_WORDS_NO_EGRESS                                                                                   \
	"departures are not seen (--no-egress): answers to this host's own connections are not ESTABLISHED"
