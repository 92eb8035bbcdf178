/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames of many connections at once, both directions of each, as conntrack is asked about them:
 * handshakes, data, closings and what comes after, retransmissions, segments out of turn, associations of
 * SCTP, UDP both ways, queries and their answers, ICMP errors that quote any of it, and headers that are
 * cut off.
 *
 * All of them are local to the receiver, so that they come to INPUT. Left out by name, because there
 * portguard's tracking is not the kernel's (bpf/flow.bpf.h says so): fragments, which the kernel puts
 * together before its rules; DCCP and GRE. Checksums are right, and so are sequence numbers, but
 * for `windows`: then some are out of what their receiver has room for. Left out of those are RSTs behind
 * their sender's last byte where the other end has acknowledged anything else: bpf/flow_tcp.bpf.h.
 */
#pragma once

#include "bpf/gen.h"
#include "frames.h"

struct flows;

struct flows *flows_new(struct gen *g, bool v6, bool windows, bool sctp);
void flows_free(struct flows *flows);
/* The next frame, to the Ethernet address `dst`, with its number in its source address. */
void flows_frame(struct flows *flows, const char *dst, uint32_t number, struct frame *ret);
