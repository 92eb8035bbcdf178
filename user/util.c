/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "util.h"

static void verr(struct pg_err *err, int exit_code, const char *fmt, va_list ap)
{
	if (!err)
		return;
	err->exit_code = exit_code;
	err->complete = false;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Make room for `more` bytes and a NUL. */
static bool text_reserve(struct pg_text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 256;
	char *buf;

	if (t->oom || more >= SIZE_MAX / 2 - t->len)
		goto fail;
	while (cap < t->len + more + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	buf = realloc(t->buf, cap);
	if (!buf)
		goto fail;
	t->buf = buf;
	t->cap = cap;
	return true;
fail:
	t->oom = true;
	return false;
}

/* Length of the valid UTF-8 sequence at p, 0 if there is none. Sets *ret_code. */
static size_t utf8_sequence(const unsigned char *p, uint32_t *ret_code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t n;

	if (p[0] < 0x80) {
		*ret_code = p[0];
		return 1;
	}
	if ((p[0] & 0xe0) == 0xc0)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if ((p[0] & 0xf8) == 0xf0)
		n = 4;
	else
		return 0;
	code = p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return n;
}

int pg_fail(struct pg_err *err, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	verr(err, PG_EXIT_FAILED, fmt, ap);
	va_end(ap);
	return r;
}

int pg_fail_exit(struct pg_err *err, int exit_code, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	verr(err, exit_code, fmt, ap);
	va_end(ap);
	return r;
}

int pg_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned base = 10;
	uint64_t v = 0;
	bool overflow = false;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		int d = hex_digit(*text);

		if (d < 0 || (unsigned)d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (unsigned)d, &v))
			overflow = true; /* go on: a later letter makes it no number at all */
	}
	if (overflow || v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int pg_parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t v;
	int r = pg_parse_u64(text, min, max, &v);

	if (!r)
		*ret = (uint32_t)v;
	return r;
}

int pg_parse_u16(const char *text, uint16_t min, uint16_t max, uint16_t *ret)
{
	uint64_t v;
	int r = pg_parse_u64(text, min, max, &v);

	if (!r)
		*ret = (uint16_t)v;
	return r;
}

int pg_parse_u8(const char *text, uint8_t min, uint8_t max, uint8_t *ret)
{
	uint64_t v;
	int r = pg_parse_u64(text, min, max, &v);

	if (!r)
		*ret = (uint8_t)v;
	return r;
}

void pg_text_add(struct pg_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		t->oom = true;
		return;
	}
	if (!text_reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void pg_text_addn(struct pg_text *t, const char *bytes, size_t n)
{
	if (!text_reserve(t, n))
		return;
	memcpy(t->buf + t->len, bytes, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

void pg_text_free(struct pg_text *t)
{
	free(t->buf);
	*t = (struct pg_text){};
}

char *pg_printable(const char *text, char *buf, size_t size)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len = 0;

	if (!size)
		return buf;
	while (*p) {
		uint32_t code = 0;
		size_t n = utf8_sequence(p, &code);

		/* A stray byte above 0x7f may be C1 on a terminal that is not UTF-8. */
		if (!n || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
			if (len + 1 >= size)
				break;
			buf[len++] = '?';
			p += n ? n : 1;
			continue;
		}
		if (len + n >= size)
			break;
		memcpy(buf + len, p, n);
		len += n;
		p += n;
	}
	buf[len] = '\0';
	return buf;
}

uint64_t pg_clock_ns(clockid_t id)
{
	struct timespec t = { 0 };

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct timespec pg_wall_time(uint64_t monotonic_ns)
{
	uint64_t before, real, mono;
	int64_t ns;

	/*
	 * Two clocks can't be read at once, and what passes between would make two readings of one
	 * moment differ. The coarse clocks stand still from tick to tick: in one tick, their
	 * difference is the kernel's own.
	 */
	do {
		before = pg_clock_ns(CLOCK_MONOTONIC_COARSE);
		real = pg_clock_ns(CLOCK_REALTIME_COARSE);
		mono = pg_clock_ns(CLOCK_MONOTONIC_COARSE);
	} while (before != mono);
	ns = (int64_t)(real - mono + monotonic_ns);
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}
