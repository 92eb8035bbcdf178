/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Small things that every file of the command may use. No kernel, no I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define _printf_(fmt, first) __attribute__((format(printf, fmt, first)))
#define _cleanup_(f) __attribute__((cleanup(f)))

/* Take what a variable owns; the variable is left empty, so its cleanup does nothing. */
#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *pp_ = &(p);                                                         \
		__typeof__(p) v_ = *pp_;                                                           \
		*pp_ = NULL;                                                                       \
		v_;                                                                                \
	})
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *pfd_ = &(fd);                                                                 \
		int v_ = *pfd_;                                                                    \
		*pfd_ = -1;                                                                        \
		v_;                                                                                \
	})

static inline void pg_freep(void *p)
{
	free(*(void **)p);
}
static inline void pg_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void pg_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define _free_ _cleanup_(pg_freep)
#define _close_ _cleanup_(pg_closep)
#define _fclose_ _cleanup_(pg_fclosep)

/*
 * What went wrong, for the one line that main() prints. Filled where the cause is known.
 * `exit_code` is iptables': 1 the operation failed, 2 bad usage, 3 no such table or version
 * mismatch, 4 no privilege or the lock is held.
 */
struct pg_err {
	int exit_code;
	bool complete; /* the text has iptables' own prefix, or none: main() adds nothing */
	char text[1024];
};

enum { PG_EXIT_FAILED = 1, PG_EXIT_USAGE = 2, PG_EXIT_VERSION = 3, PG_EXIT_RESOURCE = 4 };

/* Fill err (which may be NULL) with exit code 1 and the text; returns `r`, a negative errno. */
int pg_fail(struct pg_err *err, int r, const char *fmt, ...) _printf_(3, 4);

/* The same with an exit code of the caller's. */
int pg_fail_exit(struct pg_err *err, int exit_code, int r, const char *fmt, ...) _printf_(4, 5);

/*
 * Parse a whole decimal number (or hexadecimal with 0x) between min and max, both included.
 * Rejects an empty text, signs, blanks, trailing text and overflow. 0, or -EINVAL, or -ERANGE;
 * *ret changes only on success.
 */
int pg_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int pg_parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret);
int pg_parse_u16(const char *text, uint16_t min, uint16_t max, uint16_t *ret);
int pg_parse_u8(const char *text, uint8_t min, uint8_t max, uint8_t *ret);

/*
 * A growing text. Once an append failed for lack of memory, `oom` stays set and the text is
 * unusable; check it once, at the end. pg_text_free() accepts an empty one.
 */
struct pg_text {
	char *buf; /* always NUL-terminated when not NULL */
	size_t len, cap;
	bool oom;
};
void pg_text_add(struct pg_text *t, const char *fmt, ...) _printf_(2, 3);
void pg_text_addn(struct pg_text *t, const char *bytes, size_t n);
void pg_text_free(struct pg_text *t);

/* What a clock of clock_gettime() says, in nanoseconds. */
uint64_t pg_clock_ns(clockid_t id);

/*
 * A moment of CLOCK_MONOTONIC, which has no date, as the calendar has it now: the clock may be set,
 * so it is asked each time. As long as it is not, one moment has one date, to the nanosecond.
 */
struct timespec pg_wall_time(uint64_t monotonic_ns);

/*
 * Copy `text` into buf (size bytes, always terminated) with every control byte (C0, DEL, and C1 in
 * UTF-8) replaced by '?', so that it may be shown on a terminal. Returns buf.
 */
char *pg_printable(const char *text, char *buf, size_t size);
