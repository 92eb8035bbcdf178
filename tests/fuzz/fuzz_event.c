// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The first bytes of a packet that was logged: any, because they came from the network. */
#include "fuzz.h"

#include "logline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct pg_event event = { 0 };
	struct pg_logfields fields;
	struct pg_text t = { 0 };

	memcpy(&event, data, n < sizeof(event) ? n : sizeof(event));
	if (event.captured > sizeof(event.data))
		return 0; /* the door lets none of these in */
	pg_logline(&t, &event, "eth0");
	if (t.len)
		must_be_printable(t.buf, t.len);
	pg_text_free(&t);
	pg_logfields(&event, &fields);
	must_be_printable(fields.src, strlen(fields.src));
	must_be_printable(fields.dst, strlen(fields.dst));
	must_be_printable(fields.flags, strlen(fields.flags));
	return 0;
}
