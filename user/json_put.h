/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * json-c for documents that are small enough to be built whole. A value for which there was no memory
 * sets `oom`, and pg_json_end() then refuses the document.
 */
#pragma once

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "util.h"

/* The value belongs to `obj` afterwards, or is freed. */
static inline void pg_json_put(struct json_object *obj, const char *key, struct json_object *value,
			       bool *oom)
{
	if (!obj || !value || json_object_object_add(obj, key, value) < 0) {
		json_object_put(value);
		*oom = true;
	}
}

static inline void pg_json_number(struct json_object *obj, const char *key, uint64_t number, bool *oom)
{
	pg_json_put(obj, key, json_object_new_uint64(number), oom);
}

static inline void pg_json_bool(struct json_object *obj, const char *key, bool value, bool *oom)
{
	pg_json_put(obj, key, json_object_new_boolean(value), oom);
}

/* Without what a terminal would obey. */
static inline void pg_json_text(struct json_object *obj, const char *key, const char *text, bool *oom)
{
	size_t size = strlen(text) + 1;
	_free_ char *clean = malloc(size);

	if (clean)
		pg_json_put(obj, key, json_object_new_string(pg_printable(text, clean, size)), oom);
	else
		*oom = true;
}

/* Writes the document and frees it. */
static inline int pg_json_end(FILE *f, struct json_object *doc, bool oom, struct pg_err *err)
{
	const char *text =
		oom ? NULL : json_object_to_json_string_ext(doc, JSON_C_TO_STRING_NOSLASHESCAPE);
	bool failed = !text;

	if (text)
		fprintf(f, "%s\n", text);
	json_object_put(doc);
	if (failed)
		return pg_fail(err, -ENOMEM, "out of memory");
	return ferror(f) ? pg_fail(err, -EIO, "cannot write: %s", strerror(errno)) : 0;
}
