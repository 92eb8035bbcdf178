/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Capture files, good and bad, built byte by byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"

#define ETHERNET 1
#define RAW_IP 101

/* A file in the making. */
struct file {
	uint8_t bytes[4096];
	size_t len;
	bool swap; /* the other byte order */
};

static void put(struct file *f, const void *bytes, size_t n)
{
	assert_true(f->len + n <= sizeof(f->bytes));
	memcpy(f->bytes + f->len, bytes, n);
	f->len += n;
}

static void put32(struct file *f, uint32_t v)
{
	v = f->swap ? __builtin_bswap32(v) : v;
	put(f, &v, sizeof(v));
}

static void put16(struct file *f, uint16_t v)
{
	v = f->swap ? __builtin_bswap16(v) : v;
	put(f, &v, sizeof(v));
}

static void put_frame(struct file *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(f, &(uint8_t){ (uint8_t)i }, 1);
}

static void pcap_header(struct file *f, uint32_t magic, uint32_t link_type)
{
	put32(f, magic);
	put16(f, 2);
	put16(f, 4);
	put32(f, 0);
	put32(f, 0);
	put32(f, 65535);
	put32(f, link_type);
}

static void pcap_packet(struct file *f, uint32_t sec, uint32_t frac, uint32_t len, uint32_t wire)
{
	put32(f, sec);
	put32(f, frac);
	put32(f, len);
	put32(f, wire);
	put_frame(f, len);
}

static void ng_section(struct file *f)
{
	put32(f, 0x0a0d0d0a);
	put32(f, 28);
	put32(f, 0x1a2b3c4d);
	put16(f, 1);
	put16(f, 0);
	put32(f, UINT32_MAX);
	put32(f, UINT32_MAX);
	put32(f, 28);
}

static void ng_interface(struct file *f, uint16_t link_type, uint32_t snaplen)
{
	put32(f, 1);
	put32(f, 20);
	put16(f, link_type);
	put16(f, 0);
	put32(f, snaplen);
	put32(f, 20);
}

/* An enhanced packet block; the time is in microseconds, as of an interface without options. */
static void ng_packet(struct file *f, uint32_t iface, uint32_t us, uint32_t len, uint32_t wire)
{
	uint32_t padded = (len + 3) & ~3U;

	put32(f, 6);
	put32(f, 32 + padded);
	put32(f, iface);
	put32(f, 0);
	put32(f, us);
	put32(f, len);
	put32(f, wire);
	put_frame(f, padded);
	put32(f, 32 + padded);
}

static int open_file(const struct file *f, struct pg_capture **ret, struct pg_err *err)
{
	char path[] = "/tmp/pg-test-capture-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, f->bytes, f->len), f->len);
	close(fd);
	r = pg_capture_open(path, ret, err);
	unlink(path);
	return r;
}

static void expect_frame(struct pg_capture *c, size_t len, size_t wire, int64_t sec, uint32_t nsec)
{
	struct pg_frame frame;

	assert_int_equal(pg_capture_next(c, &frame, NULL), 1);
	assert_int_equal(frame.len, len);
	assert_int_equal(frame.wire_len, wire);
	assert_int_equal(frame.sec, sec);
	assert_int_equal(frame.nsec, nsec);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(frame.data[i], (uint8_t)i);
}

static void expect_end(struct pg_capture *c)
{
	struct pg_frame frame;

	assert_int_equal(pg_capture_next(c, &frame, NULL), 0);
	pg_capture_close(c);
}

static void pcap_of_microseconds_and_nanoseconds(void **state)
{
	static const struct {
		uint32_t magic, nsec;
	} kinds[] = { { 0xa1b2c3d4, 7000 }, { 0xa1b23c4d, 7 } };

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
		struct file f = { .swap = i & 1 };
		struct pg_capture *c;

		pcap_header(&f, kinds[i / 2].magic, ETHERNET);
		pcap_packet(&f, 1000, 7, 60, 60);
		pcap_packet(&f, 1001, 7, 20, 1514);
		assert_int_equal(open_file(&f, &c, NULL), 0);
		expect_frame(c, 60, 60, 1000, kinds[i / 2].nsec);
		expect_frame(c, 20, 1514, 1001, kinds[i / 2].nsec);
		expect_end(c);
	}
}

static void wire_length_is_never_below_what_was_captured(void **state)
{
	struct file f = { 0 };
	struct pg_capture *c;

	(void)state;
	pcap_header(&f, 0xa1b2c3d4, ETHERNET);
	pcap_packet(&f, 1, 0, 60, 0);
	assert_int_equal(open_file(&f, &c, NULL), 0);
	expect_frame(c, 60, 60, 1, 0);
	expect_end(c);
}

static void pcapng_whose_interfaces_differ_in_snapshot_length(void **state)
{
	(void)state;
	for (int swap = 0; swap < 2; swap++) {
		struct file f = { .swap = swap };
		struct pg_capture *c;

		ng_section(&f);
		ng_interface(&f, ETHERNET, 96);
		ng_packet(&f, 0, 5, 60, 60);
		ng_interface(&f, ETHERNET, 262144);
		ng_packet(&f, 1, 6, 61, 200);
		/* A second section begins anew. */
		ng_section(&f);
		ng_interface(&f, ETHERNET, 100);
		ng_packet(&f, 0, 7, 62, 62);
		assert_int_equal(open_file(&f, &c, NULL), 0);
		expect_frame(c, 60, 60, 0, 5000);
		expect_frame(c, 61, 200, 0, 6000);
		expect_frame(c, 62, 62, 0, 7000);
		expect_end(c);
	}
}

static void other_link_types_are_refused_by_name(void **state)
{
	struct file f = { 0 }, g = { 0 };
	struct pg_capture *c;
	struct pg_frame frame;
	struct pg_err err;

	(void)state;
	pcap_header(&f, 0xa1b2c3d4, RAW_IP);
	assert_int_equal(open_file(&f, &c, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "link type RAW (Raw IP, 12)"));

	/* One that comes later. */
	ng_section(&g);
	ng_interface(&g, ETHERNET, 0);
	ng_packet(&g, 0, 5, 60, 60);
	ng_interface(&g, RAW_IP, 0);
	ng_packet(&g, 1, 5, 60, 60);
	assert_int_equal(open_file(&g, &c, NULL), 0);
	expect_frame(c, 60, 60, 0, 5000);
	assert_int_equal(pg_capture_next(c, &frame, &err), -EINVAL);
	assert_non_null(strstr(err.text, "an interface has a type 101 different"));
	pg_capture_close(c);
}

static void a_file_cut_off_gives_its_frames_and_then_an_error(void **state)
{
	struct file f = { 0 };
	struct pg_capture *c;
	struct pg_frame frame;
	struct pg_err err;

	(void)state;
	pcap_header(&f, 0xa1b2c3d4, ETHERNET);
	pcap_packet(&f, 1, 0, 60, 60);
	pcap_packet(&f, 2, 0, 60, 60);
	f.len -= 10;
	assert_int_equal(open_file(&f, &c, NULL), 0);
	expect_frame(c, 60, 60, 1, 0);
	assert_int_equal(pg_capture_next(c, &frame, &err), -EINVAL);
	assert_non_null(strstr(err.text, "truncated dump file"));
	pg_capture_close(c);
}

/* Every beginning of a good file: an error or an end, and nothing read behind it. */
static void every_prefix_of_a_file_ends_in_order(void **state)
{
	struct file whole = { 0 };

	(void)state;
	ng_section(&whole);
	ng_interface(&whole, ETHERNET, 96);
	ng_packet(&whole, 0, 5, 20, 60);
	ng_interface(&whole, ETHERNET, 262144);
	ng_packet(&whole, 1, 6, 21, 200);
	for (size_t n = 0; n < whole.len; n++) {
		struct file f = whole;
		struct pg_capture *c;
		struct pg_frame frame;
		int frames = 0;

		f.len = n;
		if (open_file(&f, &c, NULL) < 0)
			continue;
		while (pg_capture_next(c, &frame, NULL) == 1)
			frames++;
		assert_true(frames < 2);
		pg_capture_close(c);
	}
}

static void absurd_lengths_are_errors(void **state)
{
	struct file f = { 0 }, g = { 0 }, h = { 0 };
	struct pg_capture *c;
	struct pg_frame frame;
	struct pg_err err;

	(void)state;
	pcap_header(&f, 0xa1b2c3d4, ETHERNET);
	put32(&f, 1);
	put32(&f, 0);
	put32(&f, 0xfffffff0);
	put32(&f, 0xfffffff0);
	assert_int_equal(open_file(&f, &c, NULL), 0);
	assert_int_equal(pg_capture_next(c, &frame, &err), -EINVAL);
	assert_non_null(strstr(err.text, "bigger than"));
	pg_capture_close(c);

	/* A block shorter than its own head, one that claims to be 4 GB, and no file at all. */
	ng_section(&g);
	put32(&g, 1);
	put32(&g, 4);
	put_frame(&g, 40);
	assert_true(open_file(&g, &c, &err) < 0);
	ng_section(&h);
	ng_interface(&h, ETHERNET, 0);
	put32(&h, 6);
	put32(&h, 0xfffffffc);
	put_frame(&h, 40);
	assert_int_equal(open_file(&h, &c, NULL), 0);
	assert_int_equal(pg_capture_next(c, &frame, &err), -EINVAL);
	pg_capture_close(c);
	assert_int_equal(pg_capture_open("/nonexistent/file", &c, &err), -ENOENT);
	assert_string_equal(err.text,
			    "cannot open '/nonexistent/file': No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcap_of_microseconds_and_nanoseconds),
		cmocka_unit_test(wire_length_is_never_below_what_was_captured),
		cmocka_unit_test(pcapng_whose_interfaces_differ_in_snapshot_length),
		cmocka_unit_test(other_link_types_are_refused_by_name),
		cmocka_unit_test(a_file_cut_off_gives_its_frames_and_then_an_error),
		cmocka_unit_test(every_prefix_of_a_file_ends_in_order),
		cmocka_unit_test(absurd_lengths_are_errors),
	};

	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
