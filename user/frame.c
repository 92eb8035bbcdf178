/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "frame.h"

#include <stdarg.h>
#include <string.h>
#include <wchar.h>

bool pg_frame_make(struct pg_frame *f, unsigned width, unsigned height, bool ascii)
{
	*f = (struct pg_frame){ .width = width, .height = height, .ascii = ascii };
	f->cell = calloc((size_t)width * height + 1, sizeof(*f->cell));
	if (!f->cell)
		return false;
	for (size_t i = 0; i < (size_t)width * height; i++)
		f->cell[i].ch = ' ';
	return true;
}

void pg_frame_free(struct pg_frame *f)
{
	free(f->cell);
	*f = (struct pg_frame){ 0 };
}

/* The next character; what is no UTF-8 is one '?' a byte. Overlong forms and surrogates are none. */
static uint32_t next_char(const char **text)
{
	const unsigned char *p = (const unsigned char *)*text;
	unsigned more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : 4;
	static const uint32_t lowest[] = { 0, 0x80, 0x800, 0x10000 };
	uint32_t ch;

	(*text)++;
	if (!more)
		return *p < 0x20 || *p == 0x7f ? '?' : *p;
	if (more == 4)
		return '?';
	ch = *p & (0x3fU >> more);
	for (unsigned i = 1; i <= more; i++) {
		if (p[i] >> 6 != 2)
			return '?';
		ch = ch << 6 | (p[i] & 0x3f);
	}
	if (ch < lowest[more] || ch < 0xa0 || (ch >> 11) == 0x1b || ch > 0x10ffff)
		return '?';
	*text += more;
	return ch;
}

/* What our own views draw with is narrow everywhere; of others the locale knows. */
static int char_width(uint32_t ch)
{
	if (ch < 0x80 || (ch >= 0x2500 && ch < 0x25a0) || (ch >= 0x2800 && ch < 0x2900))
		return 1;
	return wcwidth((wchar_t)ch);
}

unsigned pg_frame_width(const char *text)
{
	unsigned n = 0;

	while (*text) {
		int w = char_width(next_char(&text));

		n += w < 0 ? 1 : (unsigned)w;
	}
	return n;
}

unsigned pg_frame_put(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		      const char *text)
{
	unsigned at = x;

	if (y >= f->height || x >= f->width)
		return 0;
	if (columns > f->width - x)
		columns = f->width - x;
	while (*text) {
		struct pg_cell *cell = &f->cell[(size_t)y * f->width + at];
		uint32_t ch = next_char(&text);
		int w = char_width(ch);

		if (w < 0 || (f->ascii && ch >= 0x80)) {
			ch = '?';
			w = 1;
		}
		if (!w)
			continue;
		if (at - x + (unsigned)w > columns)
			break;
		*cell = (struct pg_cell){ ch, (uint8_t)look };
		if (w == 2)
			cell[1] = (struct pg_cell){ 0, (uint8_t)look };
		at += (unsigned)w;
	}
	return at - x;
}

unsigned pg_frame_printf(struct pg_frame *f, unsigned x, unsigned y, unsigned look, const char *fmt,
			 ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pg_frame_put(f, x, y, f->width, look, text);
}

void pg_frame_right(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		    const char *text)
{
	unsigned n = pg_frame_width(text);

	pg_frame_put(f, x + (n < columns ? columns - n : 0), y, columns, look, text);
}

void pg_frame_fill(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		   uint32_t ch)
{
	for (unsigned i = x; y < f->height && i < f->width && i - x < columns; i++)
		f->cell[(size_t)y * f->width + i] = (struct pg_cell){ ch, (uint8_t)look };
}

void pg_frame_look(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look)
{
	for (unsigned i = x; y < f->height && i < f->width && i - x < columns; i++) {
		uint8_t *l = &f->cell[(size_t)y * f->width + i].look;

		*l = (uint8_t)(look & PG_LOOK_SELECTED ? *l | look : look);
	}
}

void pg_frame_bar(struct pg_frame *f, unsigned x, unsigned y, unsigned columns, unsigned look,
		  double value, double max)
{
	double part = max <= 0 || value <= 0 ? 0 : value < max ? value / max : 1;
	unsigned eighths = (unsigned)(part * columns * 8 + 0.5);

	/* What there is of something is never shown as nothing. */
	if (part > 0 && !eighths)
		eighths = 1;
	if (f->ascii) {
		pg_frame_fill(f, x, y, (eighths + 7) / 8, look, '#');
		return;
	}
	pg_frame_fill(f, x, y, eighths / 8, look, 0x2588);
	if (eighths % 8)
		pg_frame_fill(f, x + eighths / 8, y, 1, look, 0x2590 - eighths % 8);
}

void pg_frame_spark(struct pg_frame *f, unsigned x, unsigned y, unsigned look, const float *value,
		    unsigned n)
{
	static const char ascii[] = "_.-=+*%#";
	float max = 0;

	for (unsigned i = 0; i < n; i++)
		max = value[i] > max ? value[i] : max;
	for (unsigned i = 0; i < n; i++) {
		unsigned level = (unsigned)(value[i] / max * 7.999f) + 1;

		if (value[i] > 0)
			pg_frame_fill(f, x + i, y, 1, look,
				      f->ascii ? (uint32_t)ascii[level - 1] : 0x2580 + level);
	}
}

void pg_frame_box(struct pg_frame *f, unsigned x, unsigned y, unsigned width, unsigned height,
		  const char *title)
{
	static const uint32_t lines[2][6] = {
		{ 0x250c, 0x2510, 0x2514, 0x2518, 0x2500, 0x2502 },
		{ '+', '+', '+', '+', '-', '|' },
	};
	const uint32_t *l = lines[f->ascii];

	if (width < 2 || height < 2)
		return;
	for (unsigned row = 0; row < height; row++) {
		bool top = !row, bottom = row == height - 1;

		pg_frame_fill(f, x, y + row, width, PG_LOOK_PLAIN, top || bottom ? l[4] : ' ');
		pg_frame_fill(f, x, y + row, 1, PG_LOOK_PLAIN, top ? l[0] : bottom ? l[2] : l[5]);
		pg_frame_fill(f, x + width - 1, y + row, 1, PG_LOOK_PLAIN,
			      top ? l[1] : bottom ? l[3] : l[5]);
	}
	if (title && width > 6) {
		unsigned n = pg_frame_put(f, x + 3, y, width - 6, PG_LOOK_STRONG, title);

		pg_frame_fill(f, x + 2, y, 1, PG_LOOK_PLAIN, ' ');
		pg_frame_fill(f, x + 3 + n, y, 1, PG_LOOK_PLAIN, ' ');
	}
}

static void add_char(struct pg_text *t, uint32_t ch)
{
	char buf[4];
	size_t n = 0;

	if (ch < 0x80) {
		buf[n++] = (char)ch;
	} else if (ch < 0x800) {
		buf[n++] = (char)(0xc0 | ch >> 6);
	} else {
		if (ch < 0x10000) {
			buf[n++] = (char)(0xe0 | ch >> 12);
		} else {
			buf[n++] = (char)(0xf0 | ch >> 18);
			buf[n++] = (char)(0x80 | (ch >> 12 & 0x3f));
		}
		buf[n++] = (char)(0x80 | (ch >> 6 & 0x3f));
	}
	if (ch >= 0x80)
		buf[n++] = (char)(0x80 | (ch & 0x3f));
	pg_text_addn(t, buf, n);
}

static uint32_t look_letter(uint8_t look)
{
	static const char letters[_PG_LOOK_MAX] = {
		[PG_LOOK_PLAIN] = '.', [PG_LOOK_DIM] = 'd',  [PG_LOOK_STRONG] = 's',
		[PG_LOOK_GOOD] = 'g',  [PG_LOOK_WARN] = 'w', [PG_LOOK_BAD] = 'b',
		[PG_LOOK_CHART] = 'c', [PG_LOOK_HEAD] = 'h', [PG_LOOK_BAR] = 't',
		[PG_LOOK_ON_BAR] = 'o', [PG_LOOK_KEY] = 'k',
	};
	char letter = letters[look & ~PG_LOOK_SELECTED];

	if (!(look & PG_LOOK_SELECTED))
		return (uint32_t)letter;
	return letter == '.' ? ':' : (uint32_t)letter - 'a' + 'A';
}

void pg_frame_text(struct pg_text *t, const struct pg_frame *f, bool looks)
{
	for (unsigned y = 0; y < f->height; y++) {
		const struct pg_cell *row = &f->cell[(size_t)y * f->width];
		unsigned end = f->width;

		while (end && (looks ? row[end - 1].look == PG_LOOK_PLAIN : row[end - 1].ch == ' '))
			end--;
		for (unsigned x = 0; x < end; x++)
			if (looks || row[x].ch)
				add_char(t, looks ? look_letter(row[x].look) : row[x].ch);
		pg_text_addn(t, "\n", 1);
	}
}
