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
};

struct captures {
	struct captured *frame[2]; /* by family */
	size_t n[2], cap[2];
};

static void keep(struct captures *c, const uint8_t *data, size_t len)
{
	bool v6 = data[12] == 0x86;
	struct captured f = { malloc(len), len };

	if (c->n[v6] == c->cap[v6]) {
		c->cap[v6] = c->cap[v6] ? 2 * c->cap[v6] : 256;
		c->frame[v6] = realloc(c->frame[v6], c->cap[v6] * sizeof(c->frame[v6][0]));
	}
	if (!f.data || !c->frame[v6])
		abort();
	memcpy(f.data, data, len);
	c->frame[v6][c->n[v6]++] = f;
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
	struct pg_frame f;
	unsigned n = 0;

	if (pg_capture_open(path, &capture, &err) < 0)
		return;
	while (n < PER_FILE && pg_capture_next(capture, &f, &err) == 1)
		if (is_ip(f.data, f.len)) {
			keep(c, f.data, f.len);
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

const uint8_t *captures_frame(const struct captures *c, struct gen *g, bool v6, size_t *ret_len)
{
	size_t i;

	if (!c->n[v6])
		return NULL;
	i = gen_below(g, c->n[v6]);
	*ret_len = c->frame[v6][i].len;
	return c->frame[v6][i].data;
}

size_t captures_addresses(const struct captures *c, bool v6, char **ret, size_t max)
{
	size_t step = c->n[v6] / max + 1, n = 0;

	for (size_t i = 0; i < c->n[v6] && n < max; i += step) {
		char text[INET6_ADDRSTRLEN];

		inet_ntop(v6 ? AF_INET6 : AF_INET, c->frame[v6][i].data + (v6 ? 22 : 26), text,
			  sizeof(text));
		if (!strcmp(text, "::") || !strcmp(text, "0.0.0.0")) /* no set takes it */
			continue;
		ret[n] = strdup(text);
		if (!ret[n++])
			abort();
	}
	return n;
}
