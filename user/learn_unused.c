/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "json_put.h"
#include "learn_show.h"

static void add_unused(struct pg_text *t, const struct pg_chain *chain, size_t at, int64_t now)
{
	const struct pg_rule *rule = &chain->rule[at];
	time_t since = (time_t)rule->unhit_since;
	int64_t days = (now - rule->unhit_since) / 86400;
	char date[32] = "?";
	struct tm tm;

	if (localtime_r(&since, &tm))
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
	pg_text_add(t, "-A %s ", chain->name);
	pg_rule_print(t, rule, 0);
	pg_text_add(t, "\n    rule %zu of %s: %s since %s (%" PRId64 " day%s)\n", at + 1, chain->name,
		    rule->packets ? "no packet" : "never a packet,", date, days, days == 1 ? "" : "s");
}

static struct json_object *unused(const struct pg_chain *chain, size_t at, bool *oom)
{
	_cleanup_(pg_text_free) struct pg_text spec = { 0 };
	struct json_object *o = json_object_new_object();
	const struct pg_rule *rule = &chain->rule[at];

	pg_rule_print(&spec, rule, 0);
	pg_json_text(o, "chain", chain->name, oom);
	pg_json_number(o, "rule", at + 1, oom);
	pg_json_text(o, "spec", spec.buf ? spec.buf : "", oom);
	pg_json_number(o, "packets", rule->packets, oom);
	pg_json_number(o, "unhit_since", (uint64_t)rule->unhit_since, oom);
	return o;
}

int pg_unused_print(FILE *f, const struct pg_ruleset *set, uint32_t days, int64_t now, bool json,
		    struct pg_err *err)
{
	_cleanup_(pg_text_free) struct pg_text t = { 0 };
	struct json_object *array = json_object_new_array(), *doc = json_object_new_object();
	bool oom = false;
	int n = 0, r;

	for (size_t i = 0; i < set->n_chains; i++) {
		for (size_t k = 0; k < set->chain[i].n_rules; k++) {
			const struct pg_rule *rule = &set->chain[i].rule[k];

			if (!rule->unhit_since || now - rule->unhit_since < (int64_t)days * 86400)
				continue;
			add_unused(&t, &set->chain[i], k, now);
			json_object_array_add(array, unused(&set->chain[i], k, &oom));
			n++;
		}
	}
	pg_json_put(doc, "unused", array, &oom);
	if (json) {
		r = pg_json_end(f, doc, oom, err);
		return r < 0 ? r : n;
	}
	json_object_put(doc);
	if (t.oom)
		return pg_fail(err, -ENOMEM, "out of memory");
	fwrite(t.buf ? t.buf : "", 1, t.len, f);
	return n;
}
