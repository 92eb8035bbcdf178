// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a state directory's maps hold of interfaces and sets: any memory. `status` and `set list` show it,
 * and send nothing else to a terminal.
 */
#include "fuzz.h"

#include "dp_hook.h"
#include "dp_impl.h"
#include "export_json.h"
#include "snapshot.h"
#include "view.h"
#include "view_set.h"

enum { SLOTS = 4, WIDTH = 100 };

/* Pins are looked for where there are none. */
static struct pg_dp dp = { .path = "/nonexistent", .netns = 1 };
static struct pg_iface slots[PG_MAX_IFACES];
static struct pg_set_info infos[PG_SETS];

static void show_status(void)
{
	struct pg_iface_row row[SLOTS] = { 0 };
	struct pg_ruleset *rules = pg_ruleset_new();
	struct pg_snapshot snap = { .exists = true, .iface = row, .n_iface = SLOTS, .rules = rules };
	static struct pg_dp_iface iface[PG_MAX_IFACES];
	struct pg_err err = { 0 };
	struct pg_text t = { 0 };
	char *json = NULL;
	size_t n;
	FILE *f;

	MUST(rules && !pg_dp_ifaces(&dp, iface, &err));
	for (size_t i = 0; i < SLOTS; i++)
		row[i].iface = iface[i];
	pg_view_status(&t, &snap, WIDTH);
	must_be_printable(t.buf, t.len);
	f = open_memstream(&json, &n);
	MUST(f && !pg_json_status(f, &snap, &err));
	fclose(f);
	must_be_printable(json, n);
	free(json);
	pg_text_free(&t);
	pg_ruleset_free(rules);
}

static void show_sets(void)
{
	static struct pg_set_info read[PG_SETS];
	const enum pg_set_format formats[] = { PG_SET_PLAIN, PG_SET_SAVE, PG_SET_XML, PG_SET_JSON };
	char *text;
	size_t n;

	pg_dp_sets_read(&dp, read);
	for (size_t i = 0; i < SLOTS; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(formats); k++) {
			const struct pg_set_show how = { .format = formats[k] };
			const struct pg_set_view view = { .info = &read[i] };
			FILE *f = open_memstream(&text, &n);

			MUST(f);
			if (read[i].type)
				pg_set_show(f, &view, &how);
			fclose(f);
			must_be_printable(text, n);
			free(text);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t of_slots = SLOTS * sizeof(slots[0]), of_infos = SLOTS * sizeof(infos[0]);

	dp.map[PG_MAP_IFACES].mem = slots;
	dp.map[PG_MAP_SET_INFO].mem = infos;
	memset(slots, 0, of_slots);
	memset(infos, 0, of_infos);
	memcpy(slots, data, n < of_slots ? n : of_slots);
	if (n > of_slots)
		memcpy(infos, data + of_slots, n - of_slots < of_infos ? n - of_slots : of_infos);
	show_status();
	show_sets();
	return 0;
}
