/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ethernet frames of a capture file, pcap or pcapng, by libpcap. */
#pragma once

#include <stdint.h>

#include "util.h"

struct pg_capture;

struct pg_frame {
	const uint8_t *data; /* valid until the next call */
	size_t len;	     /* captured */
	size_t wire_len;     /* len at least */
	int64_t sec;
	uint32_t nsec;
};

/*
 * "-" is standard input. Refused by name: link types other than Ethernet. Messages begin with the
 * path.
 */
int pg_capture_open(const char *path, struct pg_capture **ret_capture, struct pg_err *err);
void pg_capture_close(struct pg_capture *capture);
static inline void pg_capture_closep(struct pg_capture **capture)
{
	pg_capture_close(*capture);
}

/* 1: *ret is the next frame; 0: there are no more; or a negative errno with err filled. */
int pg_capture_next(struct pg_capture *capture, struct pg_frame *ret, struct pg_err *err);
