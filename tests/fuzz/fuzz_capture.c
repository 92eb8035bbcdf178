// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A capture file, pcap or pcapng, as replay reads it. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"

static uint8_t sum;

/* Every byte of a frame is there to be read. */
static void touch(const struct pg_frame *frame)
{
	MUST(frame->wire_len >= frame->len);
	for (size_t i = 0; i < frame->len; i++)
		sum ^= frame->data[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pg_capture *capture = NULL;
	struct pg_frame frame;
	struct pg_err err = { 0 };
	char path[64];
	int fd = memfd_create("capture", MFD_CLOEXEC), r;

	MUST(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = pg_capture_open(path, &capture, &err);
	while (!r) {
		r = pg_capture_next(capture, &frame, &err);
		if (r != 1)
			break;
		touch(&frame);
		r = 0;
	}
	if (r < 0)
		MUST(err.text[0]);
	pg_capture_close(capture);
	close(fd);
	return 0;
}
