/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>

#include "names.h"
#include "replay.h"
#include "view.h"

#define TOP_PORTS 20

static void add_item(struct pg_text *t, bool *first, const char *name, uint64_t n)
{
	pg_text_add(t, "%s%s %" PRIu64, *first ? "" : ", ", name, n);
	*first = false;
}

static void add_l2(struct pg_text *t, const struct pg_replay_sums *sums)
{
	static const char *const tags[] = { "none", "one", "two", "more" };
	bool first = true;
	char name[16];

	pg_text_add(t, "EtherTypes  ");
	for (unsigned i = 0; i < ARRAY_SIZE(sums->ethertype); i++) {
		snprintf(name, sizeof(name), i ? "0x%04x" : "802.3", i);
		if (sums->ethertype[i])
			add_item(t, &first, name, sums->ethertype[i]);
	}
	first = true;
	pg_text_add(t, "\nVLAN tags   ");
	for (unsigned i = 0; i < ARRAY_SIZE(tags); i++)
		if (sums->vlans[i])
			add_item(t, &first, tags[i], sums->vlans[i]);
	pg_text_addn(t, "\n", 1);
}

static void add_l4(struct pg_text *t, const struct pg_replay_sums *sums)
{
	bool first = true;
	char name[16];

	pg_text_add(t, "Protocols   ");
	for (unsigned i = 0; i < ARRAY_SIZE(sums->l4); i++) {
		snprintf(name, sizeof(name), "%u:", i);
		if (sums->l4[i])
			add_item(t, &first, name, sums->l4[i]);
	}
	if (first)
		pg_text_addn(t, "none", 4);
	first = true;
	pg_text_add(t, "\nFragments   ");
	for (int i = PG_FRAG_NONE + 1; i < _PG_FRAG_MAX; i++)
		add_item(t, &first, pg_frag_name((enum pg_frag)i), sums->frag[i]);
	pg_text_addn(t, "\n", 1);
}

void pg_view_replay(struct pg_text *t, const struct pg_replay_sums *sums,
		    const struct pg_snapshot *snap, unsigned width)
{
	static const struct pg_ports_opts top = { .sort = PG_SORT_PACKETS, .limit = TOP_PORTS };

	pg_text_add(t, "Frames      %" PRIu64 ": %" PRIu64 " accepted, %" PRIu64 " dropped",
		    sums->frames, sums->verdict[PG_VERDICT_ACCEPT],
		    sums->verdict[PG_VERDICT_DROP]);
	if (sums->verdict[PG_VERDICT_REJECT])
		pg_text_add(t, ", %" PRIu64 " rejected", sums->verdict[PG_VERDICT_REJECT]);
	if (sums->cut)
		pg_text_add(t, ", %" PRIu64 " cut short by the capture", sums->cut);
	if (sums->skipped)
		pg_text_add(t, ", %" PRIu64 " skipped", sums->skipped);
	pg_text_addn(t, "\n", 1);
	add_l2(t, sums);
	add_l4(t, sums);
	pg_text_addn(t, "\n", 1);
	pg_view_reasons(t, snap, width, false);
	pg_text_addn(t, "\n", 1);
	pg_view_rules(t, snap, width);
	if (snap->n_port) {
		pg_text_addn(t, "\n", 1);
		pg_view_ports(t, snap, width, &top);
	}
	if (snap->n_port > TOP_PORTS)
		pg_text_add(t, "… and %zu more ports (--json has them all)\n",
			    snap->n_port - TOP_PORTS);
}

void pg_view_against(struct pg_text *t, const struct pg_replay_sums *sums,
		     const struct pg_diff *diff)
{
	pg_text_add(t, "Frames       %" PRIu64, sums->frames);
	if (sums->skipped)
		pg_text_add(t, ", %" PRIu64 " skipped", sums->skipped);
	pg_text_add(t, "\nDifferences  %" PRIu64 "\n", diff->packets);
	if (diff->n)
		pg_text_addn(t, "\n", 1);
	pg_view_diff(t, diff, 0);
}
