/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libpcap reads the file. It gives up on a pcapng whose interfaces have different snapshot
 * lengths, which is common (a capture on two NICs) and means nothing for reading; so the file
 * passes through a stream that sets each interface's snapshot length to 0, "no limit".
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#include "capture.h"

#define NG_SECTION 0x0a0d0d0aU /* the same in both byte orders */
#define NG_MAGIC 0x1a2b3c4dU
#define NG_INTERFACE 1U
#define NG_BLOCK_MIN 12U
#define NG_INTERFACE_MIN 20U
/* Type, length and, of an interface, link type, reserved, snapshot length; of a section, magic. */
#define NG_HEAD 16U
#define NG_SNAPLEN_AT 12U

struct stream {
	FILE *file;
	uint8_t head[NG_HEAD]; /* of the block that is being read, as it is passed on */
	size_t head_len, head_at;
	uint64_t body_left;
	bool raw;     /* not pcapng, or not as it should be: libpcap will say so */
	bool started; /* past the first block's head */
	bool swapped; /* this section's byte order is not ours */
};

struct pg_capture {
	char *path;
	pcap_t *pcap;
};

static uint32_t get_u32(const struct stream *s, size_t at)
{
	uint32_t v;

	memcpy(&v, s->head + at, sizeof(v));
	return s->swapped ? __builtin_bswap32(v) : v;
}

/* Reads the head of the next block and changes it where it is an interface's. */
static void next_block(struct stream *s)
{
	uint32_t type, len;

	s->head_at = 0;
	s->head_len = fread(s->head, 1, NG_BLOCK_MIN, s->file);
	if (s->head_len < NG_BLOCK_MIN)
		return;

	type = get_u32(s, 0);
	if (type == NG_SECTION) {
		s->swapped = false;
		s->swapped = get_u32(s, 8) != NG_MAGIC;
	}
	len = get_u32(s, 4);
	s->raw = (!s->started && type != NG_SECTION) || len < NG_BLOCK_MIN;
	s->started = true;
	if (s->raw)
		return;
	s->body_left = len - NG_BLOCK_MIN;

	if (type == NG_INTERFACE && len >= NG_INTERFACE_MIN) {
		size_t n = fread(s->head + NG_BLOCK_MIN, 1, NG_HEAD - NG_BLOCK_MIN, s->file);

		s->head_len += n;
		s->body_left -= n;
		memset(s->head + NG_SNAPLEN_AT, 0, n);
	}
}

/* For fopencookie(): what read(2) would do. */
static ssize_t stream_read(void *cookie, char *buf, size_t size)
{
	struct stream *s = cookie;
	size_t n;

	if (s->head_at == s->head_len && !s->body_left && !s->raw)
		next_block(s);

	if (s->head_at < s->head_len) {
		n = s->head_len - s->head_at;
		n = n < size ? n : size;
		memcpy(buf, s->head + s->head_at, n);
		s->head_at += n;
		return (ssize_t)n;
	}
	n = s->raw || s->body_left > size ? size : (size_t)s->body_left;
	n = fread(buf, 1, n, s->file);
	if (!s->raw)
		s->body_left -= n;
	/* Cut off in the middle of a block: nothing more will come. */
	if (!n) {
		s->raw = true;
		return ferror(s->file) ? -1 : 0;
	}
	return (ssize_t)n;
}

static int stream_close(void *cookie)
{
	struct stream *s = cookie;

	if (s->file != stdin)
		fclose(s->file);
	free(s);
	return 0;
}

static FILE *stream_open(const char *path)
{
	static const cookie_io_functions_t functions = {
		.read = stream_read,
		.close = stream_close,
	};
	struct stream *s = calloc(1, sizeof(*s));
	FILE *f;

	if (!s)
		return NULL;
	s->file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	f = s->file ? fopencookie(s, "r", functions) : NULL;
	if (!f) {
		int saved = errno;

		if (s->file && s->file != stdin)
			fclose(s->file);
		free(s);
		errno = saved;
		return NULL;
	}
	/* stdio's own 4 KB would mean a call for every second frame. */
	setvbuf(f, NULL, _IOFBF, 1U << 16);
	return f;
}

static int check_linktype(const struct pg_capture *capture, struct pg_err *err)
{
	int type = pcap_datalink(capture->pcap);
	const char *name = pcap_datalink_val_to_name(type);
	const char *text = pcap_datalink_val_to_description(type);

	if (type == DLT_EN10MB)
		return 0;
	return pg_fail(err, -EPROTONOSUPPORT,
		       "%s: link type %s (%s, %d) is not supported, only EN10MB (Ethernet)",
		       capture->path, name ? name : "unknown", text ? text : "no description",
		       type);
}

int pg_capture_open(const char *path, struct pg_capture **ret_capture, struct pg_err *err)
{
	_cleanup_(pg_capture_closep) struct pg_capture *capture = calloc(1, sizeof(*capture));
	char why[PCAP_ERRBUF_SIZE] = "";
	FILE *f;
	int r;

	if (!capture)
		return pg_fail(err, -ENOMEM, "out of memory");
	capture->path = strdup(path);
	if (!capture->path)
		return pg_fail(err, -ENOMEM, "out of memory");

	f = stream_open(path);
	if (!f) {
		r = -errno;
		return pg_fail(err, r, "cannot open '%s': %s", path, strerror(-r));
	}
	capture->pcap = pcap_fopen_offline_with_tstamp_precision(
		f, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!capture->pcap) {
		fclose(f);
		return pg_fail(err, -EINVAL, "%s: %s", path, why);
	}
	r = check_linktype(capture, err);
	if (r < 0)
		return r;
	*ret_capture = TAKE_PTR(capture);
	return 0;
}

void pg_capture_close(struct pg_capture *capture)
{
	if (!capture)
		return;
	if (capture->pcap)
		pcap_close(capture->pcap);
	free(capture->path);
	free(capture);
}

int pg_capture_next(struct pg_capture *capture, struct pg_frame *ret, struct pg_err *err)
{
	struct pcap_pkthdr *header;
	const unsigned char *data;
	int r = pcap_next_ex(capture->pcap, &header, &data);

	if (r == PCAP_ERROR_BREAK)
		return 0;
	if (r != 1)
		return pg_fail(err, -EINVAL, "%s: %s", capture->path,
			       pcap_geterr(capture->pcap));
	*ret = (struct pg_frame){
		.data = data,
		.len = header->caplen,
		/* Some writers leave the length on the wire at 0. */
		.wire_len = header->len > header->caplen ? header->len : header->caplen,
		.sec = header->ts.tv_sec,
		.nsec = (uint32_t)header->ts.tv_usec,
	};
	return 1;
}
