// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pcapng.h"

#include <string.h>

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_IFACE = 1, BLOCK_STATS = 5, BLOCK_PACKET = 6 };
#define SECTION_MAGIC 0x1a2b3c4dU
#define NANOSECONDS 9

enum {
	OPT_END,
	OPT_COMMENT,
	OPT_SECTION_OS = 3,
	OPT_SECTION_APPLICATION,
	OPT_IFACE_NAME = 2,
	OPT_IFACE_RESOLUTION = 9,
	OPT_PACKET_FLAGS = 2,
	OPT_STATS_DELIVERED = 8,
};
/* Of OPT_PACKET_FLAGS. */
enum { FLAGS_IN = 1, FLAGS_OUT = 2 };

/* Whatever has a length is padded to whole words of 32 bits. */
static uint32_t padded(uint32_t n)
{
	return (n + 3) & ~3U;
}

static void put32(FILE *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void put16(FILE *f, uint16_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

static void put_padded(FILE *f, const void *data, uint32_t n)
{
	static const char zeros[4];

	if (n) /* data may be NULL */
		fwrite(data, 1, n, f);
	fwrite(zeros, 1, padded(n) - n, f);
}

static void put_option(FILE *f, uint16_t code, const void *value, uint16_t n)
{
	put16(f, code);
	put16(f, n);
	put_padded(f, value, n);
}

/* A text's length in a block; what is longer than an option can be is cut. */
static uint16_t text_len(const char *text)
{
	size_t n = strlen(text);

	return n < 0xfff0 ? (uint16_t)n : 0xfff0;
}

static uint32_t option_size(uint32_t n)
{
	return 4 + padded(n);
}

static void put_time(FILE *f, uint64_t time_ns)
{
	put32(f, (uint32_t)(time_ns >> 32));
	put32(f, (uint32_t)time_ns);
}

void pg_pcapng_begin(FILE *f, const char *application, const char *os)
{
	uint32_t size = 28 + option_size(text_len(os)) + option_size(text_len(application)) + 4;
	const uint64_t unknown = UINT64_MAX; /* the section's length */

	put32(f, BLOCK_SECTION);
	put32(f, size);
	put32(f, SECTION_MAGIC);
	put16(f, 1);
	put16(f, 0);
	fwrite(&unknown, sizeof(unknown), 1, f);
	put_option(f, OPT_SECTION_OS, os, text_len(os));
	put_option(f, OPT_SECTION_APPLICATION, application, text_len(application));
	put_option(f, OPT_END, NULL, 0);
	put32(f, size);
}

void pg_pcapng_iface(FILE *f, const char *name, uint32_t link_type, uint32_t snap)
{
	uint32_t size = 20 + option_size(text_len(name)) + option_size(1) + 4;
	const uint8_t resolution = NANOSECONDS;

	put32(f, BLOCK_IFACE);
	put32(f, size);
	put16(f, (uint16_t)link_type);
	put16(f, 0);
	put32(f, snap);
	put_option(f, OPT_IFACE_NAME, name, text_len(name));
	put_option(f, OPT_IFACE_RESOLUTION, &resolution, 1);
	put_option(f, OPT_END, NULL, 0);
	put32(f, size);
}

void pg_pcapng_packet(FILE *f, const struct pg_pcapng_packet *packet)
{
	uint32_t size = 32 + padded(packet->len) + option_size(text_len(packet->comment)) +
			option_size(4) + 4;
	const uint32_t flags = packet->out ? FLAGS_OUT : FLAGS_IN;

	put32(f, BLOCK_PACKET);
	put32(f, size);
	put32(f, packet->iface);
	put_time(f, packet->time_ns);
	put32(f, packet->len);
	put32(f, packet->wire_len);
	put_padded(f, packet->data, packet->len);
	put_option(f, OPT_COMMENT, packet->comment, text_len(packet->comment));
	put_option(f, OPT_PACKET_FLAGS, &flags, sizeof(flags));
	put_option(f, OPT_END, NULL, 0);
	put32(f, size);
}

void pg_pcapng_stats(FILE *f, uint32_t iface, uint64_t time_ns, uint64_t delivered,
		     const char *comment)
{
	uint32_t size = 24 + option_size(text_len(comment)) + option_size(sizeof(delivered)) + 4;

	put32(f, BLOCK_STATS);
	put32(f, size);
	put32(f, iface);
	put_time(f, time_ns);
	put_option(f, OPT_COMMENT, comment, text_len(comment));
	put_option(f, OPT_STATS_DELIVERED, &delivered, sizeof(delivered));
	put_option(f, OPT_END, NULL, 0);
	put32(f, size);
}
