/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "captures.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

enum { FRAME_LONGEST = 1514, PER_FILE = 400 };

struct captured {
	uint8_t *data; /* owned */
	size_t len;
	bool first; /* of its file */
};

struct captures {
	struct captured *frame[2]; /* by family */
	size_t n[2], cap[2];
};

static void keep(struct captures *c, const uint8_t *data, size_t len, bool first[2])
{
	bool v6 = data[12] == 0x86;
	struct captured f = { malloc(len), len, first[v6] };

	if (c->n[v6] == c->cap[v6]) {
		c->cap[v6] = c->cap[v6] ? 2 * c->cap[v6] : 256;
		c->frame[v6] = realloc(c->frame[v6], c->cap[v6] * sizeof(c->frame[v6][0]));
	}
	if (!f.data || !c->frame[v6])
		abort();
	memcpy(f.data, data, len);
	c->frame[v6][c->n[v6]++] = f;
	first[v6] = false;
}

static bool is_ip(const uint8_t *data, size_t len)
{
	unsigned type = len >= 34 ? data[12] << 8 | data[13] : 0;

	return len <= FRAME_LONGEST && (type == 0x0800 || (type == 0x86dd && len >= 54));
}

/* The beginning of a large capture says as much as all of it. */
static void read_file(struct captures *c, const char *path)
{
	_cleanup_(pg_capture_closep) struct pg_capture *capture = NULL;
	struct pg_err err = { 0 };
	bool first[2] = { true, true };
	struct pg_frame f;
	unsigned n = 0;

	if (pg_capture_open(path, &capture, &err) < 0)
		return;
	while (n < PER_FILE && pg_capture_next(capture, &f, &err) == 1)
		if (is_ip(f.data, f.len)) {
			keep(c, f.data, f.len, first);
			n++;
		}
}

/* By name, so that the same seed draws the same frames everywhere. */
static void read_folder(struct captures *c, const char *folder)
{
	struct dirent **entry;
	int n = scandir(folder, &entry, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *dot = strrchr(entry[i]->d_name, '.');
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
		if (dot && (!strcmp(dot, ".pcap") || !strcmp(dot, ".pcapng") || !strcmp(dot, ".cap")))
			read_file(c, path);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
}

struct captures *captures_new(const char *const *folders, size_t n)
{
	struct captures *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	for (size_t i = 0; i < n; i++)
		read_folder(c, folders[i]);
	return c;
}

void captures_free(struct captures *c)
{
	if (!c)
		return;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (size_t i = 0; i < c->n[v6]; i++)
			free(c->frame[v6][i].data);
		free(c->frame[v6]);
	}
	free(c);
}

size_t captures_count(const struct captures *c, bool v6)
{
	return c->n[v6];
}

const uint8_t *captures_at(const struct captures *c, bool v6, size_t i, size_t *ret_len)
{
	*ret_len = c->frame[v6][i].len;
	return c->frame[v6][i].data;
}

const uint8_t *captures_frame(const struct captures *c, struct gen *g, bool v6, size_t *ret_len)
{
	return c->n[v6] ? captures_at(c, v6, gen_below(g, c->n[v6]), ret_len) : NULL;
}

/* Adds the sender's address as text, unless it is none. */
static size_t push_sender(const struct captured *f, bool v6, char **ret, size_t n)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v6 ? AF_INET6 : AF_INET, f->data + (v6 ? 22 : 26), text, sizeof(text));
	if (!strcmp(text, "::") || !strcmp(text, "0.0.0.0")) /* no set takes it */
		return n;
	ret[n] = strdup(text);
	if (!ret[n])
		abort();
	return n + 1;
}

size_t captures_first(const struct captures *c, bool v6, char **ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n[v6] && n < max; i++)
		if (c->frame[v6][i].first)
			n = push_sender(&c->frame[v6][i], v6, ret, n);
	return n;
}

size_t captures_addresses(const struct captures *c, bool v6, char **ret, size_t max)
{
	size_t step = c->n[v6] / max + 1, n = 0;

	for (size_t i = 0; i < c->n[v6] && n < max; i += step)
		n = push_sender(&c->frame[v6][i], v6, ret, n);
	return n;
}
